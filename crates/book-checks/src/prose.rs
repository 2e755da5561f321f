//! The sentences of a page, without its code, and with the place of every word.

use std::ops::Range;
use std::sync::LazyLock;

use pulldown_cmark::{Event, Parser, Tag, TagEnd};
use regex::Regex;

use crate::Page;

static SENTENCE_END: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"[.!?;]\s").expect("a valid pattern"));

/// A stretch of running text: a paragraph, a heading, a list item or a table cell.
#[derive(Debug, Default)]
pub(crate) struct Run {
    /// The text; inline code stands in backticks, and a line break is a space.
    pub(crate) text: String,
    /// Where parts of `text` come from: offset in `text`, offset in the page.
    places: Vec<(usize, usize)>,
    /// The parts of `text` that are inline code.
    code: Vec<Range<usize>>,
    /// The parts of `text` that are links, with their targets.
    links: Vec<(Range<usize>, String)>,
    /// Which row of the page's tables it is a cell of.
    pub(crate) row: Option<usize>,
    pub(crate) is_heading: bool,
}

impl Run {
    fn push(&mut self, text: &str, source: usize) {
        self.places.push((self.text.len(), source));
        self.text.push_str(text);
    }

    /// The offset in the page of the byte at `offset` in `text`. Exact to the line.
    pub(crate) fn source(&self, offset: usize) -> usize {
        let index = self.places.partition_point(|(start, _)| *start <= offset);
        self.places.get(index.wrapping_sub(1)).map_or(0, |(start, source)| source + (offset - start))
    }

    /// The inline code, without its backticks, and where it stands in `text`.
    pub(crate) fn code(&self) -> impl Iterator<Item = (Range<usize>, &str)> {
        self.code.iter().map(|range| (range.clone(), self.text[range.clone()].trim_matches('`')))
    }

    /// The links: where each stands in `text`, and its target.
    pub(crate) fn links(&self) -> impl Iterator<Item = (Range<usize>, &str)> {
        self.links.iter().map(|(range, target)| (range.clone(), target.as_str()))
    }

    /// The text in which inline code is blanked, so that only words are left.
    pub(crate) fn words(&self) -> String {
        self.replace_code(|_, _, length| Some(" ".repeat(length)))
    }

    /// The text with other words for inline code. `with` gets the number of each piece, its code and its length with the
    /// backticks, and gives what is as long, or nothing to let it stand.
    pub(crate) fn replace_code(&self, with: impl Fn(usize, &str, usize) -> Option<String>) -> String {
        let mut text = self.text.clone();
        for (number, (place, code)) in self.code().enumerate() {
            if let Some(other) = with(number, code, place.len()) {
                text.replace_range(place, &other);
            }
        }
        text
    }
}

/// All runs of a page: not its code blocks, its HTML, its link targets or its bare addresses.
pub(crate) fn runs(page: &Page) -> Vec<Run> {
    let mut runs = vec![Run::default()];
    let mut in_code = false;
    let mut in_metadata = false;
    let (mut row, mut rows) = (None, 0);
    for (event, range) in Parser::new_ext(&page.text, snippets::markdown_options()).into_offset_iter() {
        let run = runs.last_mut().expect("there is always one");
        match event {
            Event::Start(Tag::CodeBlock(_)) => in_code = true,
            Event::End(TagEnd::CodeBlock) => in_code = false,
            Event::Start(Tag::MetadataBlock(_)) => in_metadata = true,
            Event::End(TagEnd::MetadataBlock(_)) => in_metadata = false,
            Event::Text(text) if !in_code && !in_metadata => run.push(&without_addresses(&text), range.start),
            Event::Code(code) => {
                let start = run.text.len();
                run.push(&format!("`{code}`"), range.start);
                run.code.push(start..run.text.len());
            }
            Event::SoftBreak | Event::HardBreak => run.push(" ", range.start),
            Event::InlineHtml(_) => run.push(" ", range.start),
            Event::Start(Tag::Link { dest_url, .. }) => {
                run.links.push((run.text.len()..run.text.len(), dest_url.into_string()));
            }
            Event::End(TagEnd::Link) => {
                if let Some((place, _)) = run.links.last_mut() {
                    place.end = run.text.len();
                }
            }
            Event::Start(Tag::TableHead | Tag::TableRow) => {
                rows += 1;
                row = Some(rows);
            }
            Event::End(TagEnd::TableHead | TagEnd::TableRow) => row = None,
            Event::Start(Tag::Heading { .. }) => runs.push(Run { is_heading: true, ..Run::default() }),
            Event::Start(
                Tag::Paragraph
                | Tag::Item
                | Tag::TableCell
                | Tag::DefinitionListTitle
                | Tag::DefinitionListDefinition,
            )
            | Event::End(
                TagEnd::Paragraph
                | TagEnd::Heading(_)
                | TagEnd::Item
                | TagEnd::TableCell
                | TagEnd::DefinitionListTitle
                | TagEnd::DefinitionListDefinition,
            ) => runs.push(Run { row, ..Run::default() }),
            _ => {}
        }
    }
    runs.retain(|run| !run.text.trim().is_empty());
    runs
}

/// The sentences of a run, with their places in its text.
pub(crate) fn sentences(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut start = 0;
    for end in SENTENCE_END.find_iter(text) {
        found.push((start, &text[start..end.end()]));
        start = end.end();
    }
    found.push((start, &text[start..]));
    found
}

/// Blanks bare addresses, keeping the length.
fn without_addresses(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    for piece in text.split_inclusive(' ') {
        if piece.contains("://") {
            kept.push_str(&" ".repeat(piece.len()));
        } else {
            kept.push_str(piece);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Fixture;

    #[test]
    fn code_and_addresses_are_no_words() {
        let fixture = Fixture::chapter(
            "# One `x`\n\nSee <https://a.example/wrod>\nor [two](b.md) `wrod`.\n\n```text\nwrod\n```\n",
        );
        let page = fixture.book.chapters().next().unwrap();
        let words: Vec<String> =
            runs(page).iter().map(|r| r.words().split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(words, ["One", "See or two ."]);
    }

    #[test]
    fn links_have_their_text_and_their_target() {
        let fixture = Fixture::chapter("# One\n\nSee [two\n`x`](b.md#c), and [3](d.md).\n");
        let page = fixture.book.chapters().next().unwrap();
        let run = &runs(page)[1];
        let links: Vec<(&str, &str)> =
            run.links().map(|(place, target)| (&run.text[place], target)).collect();
        assert_eq!(links, [("two `x`", "b.md#c"), ("3", "d.md")]);
    }

    #[test]
    fn places_are_exact_to_the_line() {
        let fixture = Fixture::chapter("# One\n\nfirst line\nsecond `code` line\n");
        let page = fixture.book.chapters().next().unwrap();
        let runs = runs(page);
        let at = |word: &str| page.line_at(runs[1].source(runs[1].text.find(word).unwrap()));
        assert_eq!((at("first"), at("second"), at("code")), (3, 4, 4));
    }
}
