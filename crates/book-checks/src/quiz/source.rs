//! What a file of questions may say, and where its answers are read.

use std::fs;
use std::path::Path;

use regex::RegexBuilder;
use serde::Deserialize;

use crate::Generators;
use crate::outputs;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Quiz {
    /// The page that shows them, relative to the repository.
    pub(super) page: String,
    /// How many pages to read the test ends in. Without it: those of the questions that were not answered right at once.
    pub(super) pages: Option<usize>,
    pub(super) question: Vec<Question>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Question {
    pub(super) ask: String,
    /// What a reader must know to predict. Markdown.
    #[serde(default)]
    pub(super) about: String,
    /// A part of a file that is shown, as `file:anchor`.
    pub(super) code: Option<String>,
    /// The example whose output has the answer.
    pub(super) output: Option<String>,
    /// The generated block whose table has the answer.
    pub(super) table: Option<String>,
    /// The headline in the output below which the answer stands, up to the next one.
    pub(super) under: Option<String>,
    /// A pattern that matches once. Its one group is the answer.
    answer: String,
    pub(super) choices: Vec<Choice>,
    /// Markdown.
    pub(super) because: String,
    /// Where to read on, relative to `book/src`.
    pub(super) read: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Choice {
    /// What the program printed if this choice is right.
    value: String,
    /// The same in words.
    text: Option<String>,
}

impl Choice {
    pub(super) fn text(&self) -> &str {
        self.text.as_ref().unwrap_or(&self.value)
    }
}

/// What was printed.
pub(super) struct Answer {
    /// Which choice is right.
    pub(super) right: usize,
    /// The lines that say so.
    pub(super) lines: String,
}

impl Question {
    /// Which choice is right by what was printed, and the lines that say so.
    pub(super) fn answer(&self, root: &Path, tables: &Generators) -> Result<Answer, String> {
        let printed = self.printed(root, tables)?;
        let part = match &self.under {
            Some(headline) => below(&printed, headline)?,
            None => &printed,
        };
        let pattern = RegexBuilder::new(&self.answer).multi_line(true).build();
        let pattern = pattern.map_err(|error| error.to_string())?;
        if pattern.captures_len() != 2 {
            return Err(format!("`{}` needs one group: the answer", self.answer));
        }
        let matches: Vec<_> = pattern.captures_iter(part).collect();
        let [only] = matches.as_slice() else {
            return Err(format!("`{}` matches {} times: make it match once", self.answer, matches.len()));
        };
        let (whole, value) = (only.get(0).expect("the whole match"), &only[1]);
        let says: Vec<usize> =
            (0..self.choices.len()).filter(|index| self.choices[*index].value == *value).collect();
        let [right] = says.as_slice() else {
            return Err(format!("the program printed `{value}`, and {} choices say so", says.len()));
        };
        let start = part[..whole.start()].rfind('\n').map_or(0, |end| end + 1);
        let end = part[whole.end()..].find('\n').map_or(part.len(), |end| whole.end() + end);
        let lines = part[start..end].to_owned();
        let lines = if self.table.is_some() { format!("{}{lines}", head(&printed)) } else { lines };
        Ok(Answer { right: *right, lines })
    }

    fn printed(&self, root: &Path, tables: &Generators) -> Result<String, String> {
        match (&self.output, &self.table) {
            (Some(example), None) => {
                let file = format!("{}{example}.txt", outputs::FOLDER);
                fs::read_to_string(root.join(&file)).map_err(|error| format!("{file}: {error}"))
            }
            (None, Some(table)) => {
                tables.generate(table).unwrap_or_else(|| Err(format!("no generated block `{table}`")))
            }
            _ => Err("give either `output` or `table`".to_owned()),
        }
    }
}

fn below<'a>(printed: &'a str, headline: &str) -> Result<&'a str, String> {
    let start = printed
        .find(&format!("{headline}\n"))
        .filter(|start| *start == 0 || printed[..*start].ends_with('\n'))
        .ok_or_else(|| format!("the output has no line `{headline}`"))?;
    let below = &printed[start + headline.len() + 1..];
    Ok(below.find("\n== ").map_or(below, |end| &below[..=end]))
}

/// The two lines that begin a table.
fn head(table: &str) -> String {
    table.lines().filter(|line| line.starts_with('|')).take(2).map(|line| format!("{line}\n")).collect()
}
