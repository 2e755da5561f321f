//! Every picture says in words what it shows, and every picture that is drawn is shown.

use std::collections::BTreeSet;

use pulldown_cmark::{Event, Parser, Tag, TagEnd};

use crate::book::resolve;
use crate::{Book, Finding, tidy};

/// Fewer words name a picture, and do not tell what is to be seen in it.
const FEWEST_WORDS: usize = 4;

pub fn check(book: &Book) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut shown = BTreeSet::new();
    for page in book.chapters() {
        let mut image: Option<(usize, String)> = None;
        for (event, range) in Parser::new_ext(&page.text, snippets::markdown_options()).into_offset_iter() {
            match event {
                Event::Start(Tag::Image { dest_url, .. }) => {
                    shown.extend(resolve(page.folder(), &dest_url));
                    image = Some((range.start, String::new()));
                }
                Event::Text(text) | Event::Code(text) => {
                    if let Some((_, words)) = &mut image {
                        words.push_str(&text);
                    }
                }
                Event::SoftBreak => {
                    if let Some((_, words)) = &mut image {
                        words.push(' ');
                    }
                }
                Event::End(TagEnd::Image) => {
                    if let Some((offset, words)) = image.take()
                        && words.split_whitespace().count() < FEWEST_WORDS
                    {
                        let message =
                            "an image that not everybody sees: say between `![` and `]` what it shows";
                        found.push(Finding::new(&page.name, page.line_at(offset), message));
                    }
                }
                _ => {}
            }
        }
    }
    let mut files = Vec::new();
    tidy::walk(&book.root, "book/src", &mut files);
    for file in files.into_iter().filter(|file| file.ends_with(".svg") && !shown.contains(file)) {
        found.push(Finding::new(
            file,
            1,
            "no chapter shows this picture: show it, or remove it and its source",
        ));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Fixture, expect};

    #[test]
    fn pictures_without_words_and_pictures_that_nobody_sees_are_found() {
        let text =
            "# A\n\n![Bars: the wait of\neach `Pool`](p/a.svg)\n\n![](p/b.svg)\n\n![a plot](p/b.svg)\n";
        let fixture = Fixture::new(&[
            ("book/src/a.md", text),
            ("book/src/p/a.svg", ""),
            ("book/src/p/b.svg", ""),
            ("book/src/p/c.svg", ""),
        ]);
        let a = "book/src/a.md";
        expect(
            check(&fixture.book),
            &[(a, 6, "what it shows"), (a, 8, "what it shows"), ("book/src/p/c.svg", 1, "no chapter shows")],
        );
    }
}
