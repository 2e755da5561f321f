//! What a reader sees of a Rust block, and the program behind it.
//!
//! mdBook hides a line that begins with `# ` behind a button: it is still in the page, in the search index and, without
//! JavaScript, in the way. The site leaves such lines out and links to the whole program instead.

/// One line of a block, as mdBook 0.5 reads it.
enum Line<'a> {
    Shown(&'a str),
    /// The text without the mark.
    Hidden(String),
}

fn line(text: &str) -> Line<'_> {
    let code = text.trim_start();
    let indent = &text[..text.len() - code.len()];
    match code.strip_prefix('#') {
        Some("") => Line::Hidden(String::new()),
        Some(rest) if rest.starts_with(' ') => Line::Hidden(format!("{indent}{}", &rest[1..])),
        _ => Line::Shown(text),
    }
}

/// Whether a Rust block has lines that readers do not see.
pub fn hides_lines(code: &str) -> bool {
    code.lines().any(|text| matches!(line(text), Line::Hidden(hidden) if !hidden.trim().is_empty()))
}

/// The lines that readers see, as far to the left as they go. `##` stays: mdBook makes a `#` of it.
pub fn shown(code: &str) -> String {
    let lines = code.lines().filter_map(|text| match line(text) {
        Line::Shown(text) => Some(text),
        Line::Hidden(_) => None,
    });
    dedented(lines)
}

/// The whole program: hidden lines without their marks.
pub fn whole_program(code: &str) -> String {
    let lines: Vec<String> = code
        .lines()
        .map(|text| match line(text) {
            Line::Shown(text) => {
                let code = text.trim_start();
                let indent = &text[..text.len() - code.len()];
                code.strip_prefix("##").map_or_else(|| text.to_owned(), |rest| format!("{indent}#{rest}"))
            }
            Line::Hidden(text) => text,
        })
        .collect();
    dedented(lines.iter().map(String::as_str))
}

/// As far to the left as they go, without empty lines at either end, and one between two paragraphs.
pub fn dedented<'a>(lines: impl Iterator<Item = &'a str>) -> String {
    let lines: Vec<&str> = lines.collect();
    let indent = |line: &&str| line.len() - line.trim_start().len();
    let common = lines.iter().filter(|line| !line.trim().is_empty()).map(indent).min().unwrap_or(0);
    let mut text = String::new();
    let mut gap = false;
    for line in lines {
        if line.trim().is_empty() {
            gap = !text.is_empty();
            continue;
        }
        if std::mem::take(&mut gap) {
            text.push('\n');
        }
        text.push_str(&line[common..]);
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODE: &str = "\
# use a::B;
#
    # fn main() {

    #[derive(Debug)]
    struct A;
#     hidden();

        ## not a mark

# }
";

    #[test]
    fn readers_see_what_is_not_marked_and_no_indentation() {
        assert_eq!(shown(CODE), "#[derive(Debug)]\nstruct A;\n\n    ## not a mark\n");
        assert!(hides_lines(CODE));
        assert!(!hides_lines("#[derive(Debug)]\nstruct A;\n## text\n#\n"));
    }

    #[test]
    fn the_whole_program_has_every_line() {
        let whole = "use a::B;\n\n    fn main() {\n\n    #[derive(Debug)]\n    struct A;\n    hidden();\n\n        # not a mark\n\n}\n";
        assert_eq!(whole_program(CODE), whole);
    }

    #[test]
    fn a_block_of_nothing_shows_nothing() {
        assert_eq!(shown("# a\n\n# b\n"), "");
        assert_eq!(shown(""), "");
    }
}
