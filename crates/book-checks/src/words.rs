//! The words of a text that carry its meaning, each cut down to its stem: `closing`, `closed` and `closes` are one.
//!
//! The stem need not be a word. It has to be the same for the forms of a word, and another one for other words.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::Regex;

static WORD: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"[A-Za-z0-9]+").expect("a valid pattern"));

/// Words that stand in any sentence, whatever it is about.
const EMPTY: &str = "a about above after again all also an and any are as at be because been before below both but by \
    can cannot do does each either else even every few for from get gets give gives go goes had has have here how i if \
    in into is it its itself last less let like made make makes many may more most much must need needs never no none \
    nor not nothing now of off on once one only or other others our out over own per same see set she should so some \
    such take takes than that the their them then there these they this those three to too two under until up use used \
    uses using very was way well were what when where whether which while who whom whose why will with without would \
    yet you your";

static EMPTY_STEMS: LazyLock<BTreeSet<String>> =
    LazyLock::new(|| EMPTY.split_whitespace().map(stem).collect());

const ENDINGS: [&str; 16] = [
    "ations", "ation", "ments", "ment", "ions", "ion", "ings", "ing", "ers", "er", "ed", "es", "ly", "s",
    "e", "y",
];

/// What is left of a word must be at least this long.
const SHORTEST: usize = 3;

pub(crate) fn stem(word: &str) -> String {
    let mut word = word.to_ascii_lowercase();
    // Twice: `retries` loses `es`, then the `i` that was a `y`.
    let ending =
        ENDINGS.iter().find(|ending| word.ends_with(**ending) && word.len() >= SHORTEST + ending.len());
    if let Some(ending) = ending {
        word.truncate(word.len() - ending.len());
    }
    while word.len() > SHORTEST && word.ends_with(['e', 'i', 'y']) {
        word.pop();
    }
    let doubled = word.len() > SHORTEST && word.as_bytes()[word.len() - 1] == word.as_bytes()[word.len() - 2];
    if doubled {
        word.pop();
    }
    word
}

/// The stems of all words that mean something, single letters aside.
pub(crate) fn content(text: &str) -> BTreeSet<String> {
    let stems = WORD.find_iter(text).filter(|word| word.len() > 1).map(|word| stem(word.as_str()));
    stems.filter(|stem| !EMPTY_STEMS.contains(stem)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_of_a_word_have_one_stem() {
        for forms in [
            &["close", "closes", "closed", "closing"][..],
            &["retry", "retries"],
            &["size", "sizing", "sizes"],
            &["shut", "shutting"],
            &["connect", "connection", "connections", "connected"],
            &["wait", "waiter", "waiters", "Waiting"],
            &["proxy", "proxies"],
        ] {
            let stems: BTreeSet<String> = forms.iter().map(|form| stem(form)).collect();
            assert_eq!(stems.len(), 1, "{forms:?}: {stems:?}");
        }
        assert_ne!(stem("close"), stem("clone"));
    }

    #[test]
    fn words_that_say_nothing_are_left_out() {
        let found = content("The `max_connections` of it, and their closing.");
        assert_eq!(found.into_iter().collect::<Vec<_>>(), ["clos", "connect", "max"]);
    }
}
