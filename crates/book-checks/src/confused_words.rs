//! A word that is spelt right and is another one: *from* for *form*, *then* for *than*, *the* for *they*.
//!
//! The spelling sees none of them, so the words beside them tell. Each pattern is a sequence of words that is always wrong
//! in this book: "comes form", "more then", "of they", "a idle".

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::{Regex, RegexSet};

use crate::{Book, Finding, prose};

/// It shows sentences as they should not be.
const STYLE_GUIDE: &str = "book/src/appendices/style-guide.md";

/// What was meant, and words that are wrong. In a pattern a backtick stands for any inline code.
const CONFUSED: [(&str, &str); 46] = [
    (
        "form",
        concat!(
            r"(?:the|its|short|long|wrong|right|simple) from of|(?:its|wrong|simple|short|",
            r"long) from|(?:a|the) from",
        ),
    ),
    (
        "from",
        concat!(
            r"(?:comes?|came|coming|differs?|different|apart|away|far|back|taken|taking|read|made|",
            r"up|down|moves?|moved|goes|removed|gone|measured|known|seen|sent|gets?|taken|learned|",
            r"opened|ends?|follows?|apart|number|answer|protects?|away|free|hidden|range|out) form",
        ),
    ),
    (
        "from",
        concat!(
            r"form (?:the|its|your|our|their|one|this|which|there|here|it|them|being|each|all|",
            r"outside|inside|another|other)",
        ),
    ),
    (
        "than",
        concat!(
            r"(?:more|less|fewer|other|rather|later|sooner|larger|smaller|longer|shorter|higher|",
            r"lower|faster|slower|better|worse|earlier|older|younger|cheaper|easier|harder|",
            r"stricter|wider|simpler|newer|different|bigger) then",
        ),
    ),
    (
        "then",
        concat!(
            r"(?:and|but|until|since|by|even|only|if|when|is|are|they|does|will|may|would|",
            r"which) than",
        ),
    ),
    (
        "lose",
        concat!(
            r"(?:to|not|never|can|may|would|will|you|they|we|must|and|cannot|could|does|do|",
            r"or) loose",
        ),
    ),
    ("loses", r"looses|loosing"),
    ("loose", r"(?:a|the|too|is|are) lose"),
    ("affect", r"(?:to|not|may|can|does|do|will|that|which|they|cannot|would|could|both) effect"),
    ("effect", r"(?:the|an|no|its|this|that|side|one|same|have|has|any|into|little|an?|whose) affect"),
    ("its", r"it['’]s"),
    (
        "it is",
        concat!(
            r"its (?:a|an|the|not|been|always|never|too|also|at|because|what|when|where|how|why|",
            r"just|this|possible|enough|better)",
        ),
    ),
    ("whether", r"weather"),
    (
        "they",
        concat!(
            r"the (?:pay|get|go|come|take|give|make|see|find|know|say|tell|ask|become|grow|keep|serve|begin|went|",
            r"came|took|got|saw|knew|gave|made|became|kept|seem|stay|follow|depend|happen|differ|agree|contain|belong)|",
            r"the (?:is|are|was|were|has|have|had|may|must|can|will|would|could|should|cannot|",
            r"does|do|did|also|and|or|of|in|to|at|by|for|with|from|on|if|when|that|as|but|it|they|",
            r"we|you|then|than|a|an|not|never|always|because|so|which|who|what|be|been|too|still|",
            r"all|this|these|those|its|your|their|my|our|no)",
        ),
    ),
    ("the", r"(?:of|in|on|at|for|with|by|from|to|into|over|through) they"),
    (
        "the",
        concat!(
            r"they (?:pool|server|connection|same|next|other|whole|database|caller|client|maximum|",
            r"manager|proxy|task|page|code|test|example|lock)s?",
        ),
    ),
    ("the", r"(?:of|in|at|for|with|into|over|on|through) then"),
    (
        "not",
        concat!(
            r"(?:do|does|did|must|need|could|should|would|is|are|was|must) now (?:a|an|the|be|",
            r"have|know|need|see|wait|close|open|help|enough|only|take|use|hold|count|mean|show|",
            r"say|come|change|limit|in|on|for|to|by|because|yet)",
        ),
    ),
    (
        "of",
        concat!(
            r"(?:out|because|instead|number|part|end|each|one|some|most|many|half|all|none|list|",
            r"size|kind|case|lack|means|spite|sort|set|pool|ahead|full|course|share|rest|limit|",
            r"order|any|two|both|maximum|time|row|test|place|middle|name|state|text|cost|sum|",
            r"values?|rate) off",
        ),
    ),
    (
        "off",
        concat!(
            r"(?:switch|switched|turned|cut|cuts|backs|falls?|shut|shed|sheds|lets?|far|",
            r"break|breaks|hands?) of",
        ),
    ),
    (
        "to",
        concat!(
            r"too (?:the|a|an|be|its|your|their|it|them|have|get|see|wait|close|open|keep|do|make|",
            r"read|find|this|that|each|all|which|one|another|every|both|say|use|take|give|know|",
            r"come|go|run|set|connect|server|answer|acquire|let|add|write)",
        ),
    ),
    (
        "too",
        concat!(
            r"to (?:many|much|large|small|late|short|few|high|often|early|soon|old|big|little|",
            r"busy|expensive|strict|optimistic|rare|weak)",
        ),
    ),
    (
        "their",
        concat!(
            r"there (?:own|connections?|pools?|turn|place|time|limits?|names?|deadlines?|",
            r"lifetimes?|order|result)",
        ),
    ),
    (
        "there",
        concat!(
            r"their (?:is|are|was|were|has|have|had|may|must|can|will|would|could|should|cannot|",
            r"does|do|did)",
        ),
    ),
    ("were", r"(?:they|these|those|there|which|who) where"),
    ("where", r"(?:the line|the place|page|know|say|says|see|shows?|look|find) were"),
    ("quite", r"quiet (?:a|the|as|so|often|enough|different|another|well)"),
    (
        "quiet",
        concat!(
            r"quite (?:machine|connection|pool|period|time|hours?|minutes?|night|server|network|",
            r"tenant|for|service|one)",
        ),
    ),
    (
        "through",
        concat!(
            r"(?:goes|go|passes?|gets?|runs?|half-?way|sent|seen|walks?|way|went|connects?|works|",
            r"pass|get|only|done|reached|reads?|answers?) though",
        ),
    ),
    ("an", r"(?:of|with|at|from|as|into) and"),
    (
        "and",
        concat!(
            r"an (?:the|it|they|then|a|so|not|is|in|of|to|no|never|that|this|their|its|your|you|",
            r"how|what|when|which|for|by|with)",
        ),
    ),
    ("an", r"a (?-i:[aei][a-z]{2,}|o[a-mo-z][a-z]+|on[abdf-z][a-z]*)"),
    ("a", r"an (?-i:[bcdfgjklmnpqrstvwyz][a-z]{2,})"),
    ("is", r"(?:there|this|what) in (?:not|no|never|always)"),
    (
        "it",
        concat!(
            r"(?:if|when|because|until|before|after|while) is (?:is|has|was|does|waits?|comes?|",
            r"closes|opens|takes?|holds?|can|may|will|would|had|must|gets?|cannot|finds?|goes|",
            r"needs?|asks?|says?|keeps?|ends?|fails?)",
        ),
    ),
    ("is", r"(?:there|who|what) it (?:not|no|never|always)"),
    ("in", r"is (?:whom|front|turn|advance|particular|addition)"),
    ("of", r"(?:number|part|most|half|none|kind|instead|because|full|rest|middle|rate|lack) or"),
    ("of", r"(?:half|none|kind|instead|because|full|lack|middle) on"),
    ("one of the two", r"(?:of|with|from|into) (?:of|with|by|from|into|to)"),
    (
        "every",
        concat!(
            r"ever (?:connection|pool|caller|request|server|task|time|one|test|page|error|other|",
            r"acquire|replica|process|guarantee|promise|option|packet|waiter|session|transaction|",
            r"second|minute)",
        ),
    ),
    ("ever", r"every (?:again|been|was|were|is)"),
    ("least", r"at last (?:one|as|the|\d|half|two|a|once)"),
    (
        "last",
        concat!(
            r"(?:the|its|their|your) least (?:connection|handle|one|request|error|clone|page|",
            r"caller|part|byte|step)",
        ),
    ),
    ("lead", r"(?:lead|leads) too"),
    ("cause", r"(?:the|a|one|likeliest|its|that|this|which) because"),
];

/// `than` has a comparison before it, in the same sentence.
static THAN: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?i)(?-u:\b)than(?-u:\b)").expect("a valid pattern"));
static COMPARISON: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(?i)(?-u:\b)(?:more|less|others?|otherwise|else|elsewhere|worse|different|differently|times|\w+er)(?-u:\b)",
    )
    .expect("a valid pattern")
});

/// Each pattern, and all of them in one search: hardly a text has any.
static PATTERNS: LazyLock<(Vec<Regex>, RegexSet)> = LazyLock::new(|| {
    let patterns = CONFUSED.map(|(_, words)| format!(r"(?i)(?-u:\b)(?:{words})(?-u:\b)"));
    let each = patterns.iter().map(|pattern| Regex::new(pattern).expect("a valid pattern"));
    (each.collect(), RegexSet::new(&patterns).expect("valid patterns"))
});

pub fn check(book: &Book) -> Vec<Finding> {
    let mut found = Vec::new();
    for page in book.texts().filter(|page| page.name != STYLE_GUIDE) {
        for run in prose::runs(page) {
            let words = without_code(&run);
            for (start, sentence) in prose::sentences(&words) {
                if let Some(than) = THAN.find(sentence)
                    && !COMPARISON.is_match(&sentence[..than.start()])
                {
                    let message = "`than` compares nothing: is `then` or `that` meant?";
                    found.push(Finding::new(
                        &page.name,
                        page.line_at(run.source(start + than.start())),
                        message,
                    ));
                }
            }
            let mut seen = BTreeSet::new();
            let (patterns, any) = &*PATTERNS;
            for index in any.matches(&words) {
                let meant = CONFUSED[index].0;
                let wrong =
                    patterns[index].find_iter(&words).filter(|wrong| stands_alone(&words, wrong.range()));
                // One finding a place, by the first pattern: `an the` is no `a the` either.
                for wrong in wrong.filter(|wrong| seen.insert(wrong.start())) {
                    let message = format!("`{}` cannot be right: is `{meant}` meant?", wrong.as_str());
                    found.push(Finding::new(&page.name, page.line_at(run.source(wrong.start())), message));
                }
            }
        }
    }
    found
}

/// Inline code is one word that is none: it keeps the words beside it apart.
fn without_code(run: &prose::Run) -> String {
    run.replace_code(|_, _, length| Some(format!("`{}`", "_".repeat(length - 2))))
}

/// Whether it is no part of a longer word, such as `re-form the` or `it's`.
fn stands_alone(text: &str, place: std::ops::Range<usize>) -> bool {
    let joins = |letter: Option<char>| letter.is_some_and(|letter| matches!(letter, '-' | '\'' | '’'));
    !joins(text[..place.start].chars().next_back()) && !joins(text[place.end..].chars().next())
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
    fn right_words_pass() {
        expect(
            found(
                "# A\n\nThe form of it differs from the other, more than then; less, if you wait, than others. It loses its time, and they are quiet.\n\
                 An idle one, a useful one, an hour. Out of the pool, switched off: to `them` too. The `is` it was.\n\n\
                 ```text\nmore then\n```\n",
            ),
            &[],
        );
    }

    #[test]
    fn wrong_words_are_found() {
        for (wrong, meant) in [
            ("It comes form pools.", "from"),
            ("A simple from is long.", "form"),
            ("It is more then that.", "than"),
            ("Each task that polls it than waits.", "then` or `that"),
            ("Here the pay for it.", "they"),
            ("You may loose it.", "lose"),
            ("That has no affect.", "effect"),
            ("It's lock is held.", "its"),
            ("See weather it closes.", "whether"),
            ("Then the are closed.", "they"),
            ("It is one of they.", "the"),
            ("It does now wait.", "not"),
            ("Because off it.", "of"),
            ("Switch it, or switch of.", "off"),
            ("Begin too close.", "to"),
            ("It is to large.", "too"),
            ("Each has there own.", "their"),
            ("It is a idle one.", "an"),
            ("Here is an pool.", "a"),
            ("It ends an so it closes.", "and"),
        ] {
            let meant = format!("is `{meant}` meant?");
            expect(found(&format!("# A\n\n{wrong}\n")), &[(A, 3, meant.as_str())]);
        }
    }

    #[test]
    fn the_style_guide_may_show_mistakes() {
        expect(check(&Fixture::new(&[(STYLE_GUIDE, "# A\n\nIt is more then that.\n")]).book), &[]);
    }
}
