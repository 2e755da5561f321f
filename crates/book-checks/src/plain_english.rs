//! The rules of the style guide that a program can see: a noun as the subject of a sentence, and the field's words.

use std::sync::LazyLock;

use regex::Regex;

use crate::{Book, Finding, prose};

/// It shows sentences as they should not be.
const STYLE_GUIDE: &str = "book/src/appendices/style-guide.md";

/// A word that readers do not search for, as a pattern, and the field's word for it.
const WORDS: [(&str, &str); 4] = [
    (r"mend(?:s|ed|ing)?", "fix"),
    (r"alarm(?:s|ed|ing)?", "alert"),
    (r"for ever", "forever"),
    (r"frost", "frozen"),
];

static WORD: LazyLock<Regex> = LazyLock::new(|| {
    let alternatives = WORDS.map(|(word, _)| format!("({word})")).join("|");
    Regex::new(&format!(r"(?i)(?-u:\b)(?:{alternatives})(?-u:\b)")).expect("a valid pattern")
});

/// A sentence that begins with `Who` or `Whoever`, up to its end. A heading has no end, and is no sentence.
static WITHOUT_A_NOUN: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?:^|[.!?:]\s)\s*(Who(?:ever)?\s[^.!?]*[.!?])").expect("a valid pattern"));

pub fn check(book: &Book) -> Vec<Finding> {
    let mut found = Vec::new();
    for page in book.texts().filter(|page| page.name != STYLE_GUIDE) {
        for run in prose::runs(page) {
            let words = run.words();
            let mut add = |place, message| {
                found.push(Finding::new(&page.name, page.line_at(run.source(place)), message));
            };
            for captures in WORD.captures_iter(&words) {
                let whole = captures.get(0).expect("the group of the match");
                let better = WORDS
                    .iter()
                    .zip(captures.iter().skip(1))
                    .find_map(|((_, better), group)| group.map(|_| better));
                let better = better.expect("the alternative that matched");
                add(whole.start(), format!("`{}` is not the field's word: write `{better}`", whole.as_str()));
            }
            for captures in WITHOUT_A_NOUN.captures_iter(&words) {
                let sentence = captures.get(1).expect("the group of the match");
                if !sentence.as_str().ends_with('?') {
                    let message =
                        "a sentence that begins with `Who`: make a noun its subject, such as `a caller`";
                    add(sentence.start(), message.to_owned());
                }
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Fixture, expect};

    const A: &str = "book/src/a.md";

    fn found(text: &str) -> Vec<Finding> {
        check(&Fixture::chapter(text).book)
    }

    #[test]
    fn plain_sentences_pass() {
        expect(
            found(
                "# Who serves whom\n\nWho holds it? Ask `Pool::holders`. The caller who waits longest is first. Fix it.\n\n\
                 Commend the amendment, for every alert: `mend for ever`.\n\n```text\nWho acquires waits. An alarm.\n```\n",
            ),
            &[],
        );
    }

    #[test]
    fn a_sentence_has_a_noun_for_its_subject() {
        expect(
            found(
                "# A\n\nWho acquires waits.\n\nWait. Whoever asks\nwaits, too.\n\n- **Fair:** Who comes first is served first.\n",
            ),
            &[(A, 3, "a caller"), (A, 5, "a caller"), (A, 8, "a caller")],
        );
        // The question mark is that of the next sentence.
        expect(found("# A\n\nWho waits, waits. Why?\n"), &[(A, 3, "begins with `Who`")]);
    }

    #[test]
    fn the_words_are_those_of_the_field() {
        expect(
            found("# An alarm\n\nIt waits for\never. Mended.\n\n| a |\n|---|\n| in the frost |\n"),
            &[
                (A, 1, "`alarm` is not the field's word: write `alert`"),
                (A, 3, "write `forever`"),
                (A, 4, "`Mended` is not the field's word: write `fix`"),
                (A, 8, "write `frozen`"),
            ],
        );
    }

    #[test]
    fn the_style_guide_may_show_mistakes() {
        expect(check(&Fixture::new(&[(STYLE_GUIDE, "# A\n\nWho acquires waits for ever.\n")]).book), &[]);
    }
}
