//! Other words for pages, guarantees and names: what links, sentences and paragraphs may call them, beside the words that
//! they have by themselves. In `data/other_words.toml`.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::words;

const DATA: &str = include_str!("../data/other_words.toml");
pub(crate) const FILE: &str = "crates/book-checks/data/other_words.toml";

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct OtherWords {
    /// By the name of the page, with an anchor or without.
    pub(crate) pages: BTreeMap<String, String>,
    pub(crate) guarantees: BTreeMap<String, String>,
    /// Of methods, options and statistics.
    pub(crate) names: BTreeMap<String, String>,
}

impl OtherWords {
    /// # Panics
    ///
    /// The data file is not well formed.
    pub(crate) fn of_the_book() -> OtherWords {
        toml::from_str(DATA).unwrap_or_else(|error| panic!("{FILE}: {error}"))
    }
}

/// The other words of one.
pub(crate) fn of(words: &BTreeMap<String, String>, name: &str) -> BTreeSet<String> {
    words.get(name).map(|words| words::content(words)).unwrap_or_default()
}
