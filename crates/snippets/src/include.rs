//! mdBook's includes: `{{#include FILE:PART}}` and its siblings.

/// One include.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Include {
    /// `include`, `rustdoc_include`, `playground` or `template`.
    pub directive: String,
    /// The file, relative to the folder of the chapter.
    pub path: String,
    pub part: Part,
    /// The line in the text that was searched, counted from 1.
    pub line: usize,
}

/// What is taken of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    All,
    Anchor(String),
    Lines(String),
}

/// Finds the includes in `text`. As in mdBook, a backslash before the braces makes them plain text.
pub fn includes(text: &str) -> Vec<Include> {
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let mut rest = line;
        while let Some(start) = rest.find("{{#") {
            let escaped = rest[..start].ends_with('\\');
            let Some(length) = rest[start..].find("}}") else { break };
            let inner = &rest[start + 3..start + length];
            if !escaped && let Some(include) = parse(inner, index + 1) {
                found.push(include);
            }
            rest = &rest[start + length + 2..];
        }
    }
    found
}

fn parse(inner: &str, line: usize) -> Option<Include> {
    let (directive, target) = inner.split_once(char::is_whitespace)?;
    if !matches!(directive, "include" | "rustdoc_include" | "playground" | "template") {
        return None;
    }
    let target = target.split_whitespace().next()?;
    let (path, part) = match target.split_once(':') {
        None => (target, Part::All),
        Some((path, part)) if part.starts_with(|c: char| c.is_ascii_digit() || c == ':') => {
            (path, Part::Lines(part.to_owned()))
        }
        Some((path, part)) => (path, Part::Anchor(part.to_owned())),
    };
    Some(Include { directive: directive.to_owned(), path: path.to_owned(), part, line })
}

impl Include {
    /// Whether the anchor that this include names opens and closes in `text`. Anything but an anchor is there.
    pub fn is_in(&self, text: &str) -> bool {
        let Part::Anchor(name) = &self.part else { return true };
        let has = |mark: &str| {
            text.lines().any(|line| {
                line.split_once(mark).is_some_and(|(_, after)| {
                    let word = after.trim_start();
                    let end = word.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '-'));
                    &word[..end.unwrap_or(word.len())] == name
                })
            })
        };
        has("ANCHOR:") && has("ANCHOR_END:")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directives_paths_and_parts() {
        let text = "a {{#include x.rs}} b\n{{#rustdoc_include ../y.rs:main-part}}\n{{#include z.rs:3:5}}\n";
        let found = includes(text);
        let short: Vec<_> =
            found.iter().map(|i| (i.directive.as_str(), i.path.as_str(), &i.part, i.line)).collect();
        assert_eq!(
            short,
            [
                ("include", "x.rs", &Part::All, 1),
                ("rustdoc_include", "../y.rs", &Part::Anchor("main-part".into()), 2),
                ("include", "z.rs", &Part::Lines("3:5".into()), 3),
            ]
        );
    }

    #[test]
    fn an_escaped_include_is_text() {
        assert_eq!(includes("\\{{#include x.rs}} and {{#title T}}"), []);
    }

    #[test]
    fn an_anchor_must_open_and_close() {
        let include = &includes("{{#include x.rs:a}}")[0];
        assert!(include.is_in("// ANCHOR: a\nx\n// ANCHOR_END: a\n"));
        assert!(!include.is_in("// ANCHOR: a\nx\n"));
        assert!(!include.is_in("// ANCHOR: ab\nx\n// ANCHOR_END: ab\n"));
    }
}
