//! A default that is stated in prose is the default in the code.
//!
//! It has one form, which this check can read: `` `max_connections` (default `10`) ``. A sentence that names an option,
//! the word "default" and a number in any other form is a finding, since nothing would notice when it goes out of date.

use std::sync::LazyLock;

use regex::Regex;

use crate::{Book, Finding, generated, prose};

pub(crate) static FORM: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"`([a-z_]+)` \(default `([^`]+)`\)").expect("a valid pattern"));
static DEFAULT: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?i)(?-u:\b)defaults?(?-u:\b)").expect("a valid pattern"));
/// A number in digits or in letters.
static NUMBER: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"\d|(?-u:\b)(?:zero|two|three|four|five|six|seven|eight|nine|ten|twelve|fifteen|twenty|thirty|forty|fifty|sixty|hundred|thousand|half)(?-u:\b)",
    )
    .expect("a valid pattern")
});

/// `defaults` are pairs of an option's name and its default as the book writes it.
pub fn check(book: &Book, defaults: &[(String, String)]) -> Vec<Finding> {
    let mut found = Vec::new();
    for page in book.texts() {
        for run in prose::runs(page) {
            for (start, sentence) in prose::sentences(&run.text) {
                let line = page.line_at(run.source(start));
                if !generated::contains(page, line) {
                    found.extend(
                        judge(sentence, defaults)
                            .into_iter()
                            .map(|message| Finding::new(&page.name, line, message)),
                    );
                }
            }
        }
    }
    found
}

fn judge(sentence: &str, defaults: &[(String, String)]) -> Vec<String> {
    let mut messages = Vec::new();
    for form in FORM.captures_iter(sentence) {
        let (name, value) = (&form[1], &form[2]);
        match defaults.iter().find(|(option, _)| option == name) {
            Some((_, default)) if default == value => {}
            Some((_, default)) => {
                messages.push(format!("the default of `{name}` is `{default}`, not `{value}`: fix the text"));
            }
            // Without a list there is nothing to compare with.
            None if defaults.is_empty() => {}
            None => messages.push(format!("there is no option `{name}`: fix the name")),
        }
    }
    let rest = FORM.replace_all(sentence, "");
    if DEFAULT.is_match(&rest) && NUMBER.is_match(&rest) {
        for (name, default) in defaults.iter().filter(|(name, _)| names(&rest, name)) {
            messages.push(format!(
                "a default in prose has the form: `{name}` (default `{default}`); \
                 otherwise nothing checks it when the code changes"
            ));
        }
    }
    messages
}

fn names(sentence: &str, option: &str) -> bool {
    sentence.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).any(|word| word == option)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Fixture, expect};

    const A: &str = "book/src/a.md";

    fn check_with(text: &str) -> Vec<Finding> {
        let defaults = [("max_connections", "10"), ("idle_timeout", "5 min")];
        check(&Fixture::chapter(text).book, &defaults.map(|(a, b)| (a.to_owned(), b.to_owned())))
    }

    #[test]
    fn the_form_with_the_right_value_passes() {
        let text = "# A\n\nThe limit is\n`max_connections` (default `10`), and `idle_timeout` (default `5 min`).\n\
                    Raise `max_connections` to 20. The default is fine.\n\n\
                    <!-- generated: t -->\n\n`max_connections`: default 10\n\n<!-- end generated -->\n";
        expect(check_with(text), &[]);
    }

    #[test]
    fn wrong_values_and_other_forms_are_found() {
        let text = "# A\n\nThe limit is `max_connections` (default `20`).\n\n\
                    By default, `max_connections` is ten.\n\nHere is `nothing` (default `1`).\n\n\
                    | `idle_timeout` | defaults to 5 min |\n|---|---|\n| `idle_timeout` defaults to 5 min | |\n";
        expect(
            check_with(text),
            &[
                (A, 3, "is `10`, not `20`"),
                (A, 5, "`max_connections` (default `10`)"),
                (A, 7, "no option `nothing`"),
                (A, 11, "has the form"),
            ],
        );
    }
}
