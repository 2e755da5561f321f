//! What a scenario found of one competitor.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::stats::Summary;

#[derive(Debug, Serialize)]
pub struct CompetitorResult {
    pub competitor: &'static str,
    pub metrics: BTreeMap<&'static str, Summary>,
    /// This competitor's figure by poolhouse's of the same round.
    pub to_poolhouse: BTreeMap<&'static str, Summary>,
    /// Why there is no figure, or what to know about it.
    pub note: Option<&'static str>,
}

impl CompetitorResult {
    pub fn only_note(competitor: &'static str, note: &'static str) -> Self {
        Self { competitor, metrics: BTreeMap::new(), to_poolhouse: BTreeMap::new(), note: Some(note) }
    }
}
