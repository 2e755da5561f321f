//! A paragraph or a row of a table, with the words round it that say what it is about: its heading, and the head of its
//! table.

use std::collections::BTreeSet;

use crate::prose::{self, Run};
use crate::{Page, words};

pub(crate) struct Passage {
    /// One, or the cells of a row.
    pub(crate) runs: Vec<Run>,
    about: String,
}

pub(crate) fn passages(page: &Page) -> Vec<Passage> {
    let mut found: Vec<Passage> = Vec::new();
    let (mut heading, mut head, mut last_row) = (String::new(), String::new(), None);
    let mut head_row = None;
    for run in prose::runs(page) {
        if run.is_heading {
            heading.clone_from(&run.text);
        }
        if run.row.is_some() && last_row.is_none() {
            (head_row, head) = (run.row, String::new());
        }
        if run.row.is_some() && run.row == head_row {
            head.push_str(&run.text);
            head.push(' ');
        }
        let row = run.row;
        match found.last_mut() {
            Some(passage) if row.is_some() && row == last_row => passage.runs.push(run),
            _ => {
                let about = if row.is_some() { format!("{heading} {head}") } else { heading.clone() };
                found.push(Passage { runs: vec![run], about });
            }
        }
        last_row = row;
    }
    found
}

impl Passage {
    /// The words of the passage and round it, without these pieces of inline code: each has its number of all of them.
    pub(crate) fn words_without(&self, left_out: impl Fn(usize, &str) -> bool) -> BTreeSet<String> {
        let mut all = words::content(&self.about);
        let mut before = 0;
        for run in &self.runs {
            let text = run.replace_code(|number, code, length| {
                left_out(before + number, code).then(|| " ".repeat(length))
            });
            all.extend(words::content(&text));
            before += run.code().count();
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Fixture;

    #[test]
    fn a_passage_has_the_words_of_its_heading_and_its_table() {
        let fixture = Fixture::chapter(
            "# Sizes\n\nA `pool` waits.\n\n## Limits\n\n| option | bound |\n|---|---|\n| `x_y` | ten `z` |\n",
        );
        let page = fixture.book.chapters().next().unwrap();
        let passages = passages(page);
        let words = |index: usize| {
            passages[index].words_without(|_, code| code == "x_y").into_iter().collect::<Vec<_>>()
        };
        assert_eq!(words(1), ["pool", "siz", "wait"]);
        assert_eq!(words(4), ["bound", "limit", "opt", "ten"]);
    }
}
