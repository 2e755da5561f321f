//! Code blocks, as mdBook, rustdoc and skeptic see them.

use std::ops::Range;

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

use crate::include::{Include, includes};

/// The Markdown that mdBook 0.5 reads with the settings of this book.
pub fn markdown_options() -> Options {
    Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_HEADING_ATTRIBUTES
        | Options::ENABLE_SMART_PUNCTUATION
        | Options::ENABLE_DEFINITION_LIST
        | Options::ENABLE_GFM
}

/// The line, counted from 1, in which the byte at `offset` stands.
pub fn line_at(text: &str, offset: usize) -> usize {
    text.as_bytes()[..offset.min(text.len())].iter().filter(|&&b| b == b'\n').count() + 1
}

/// One code block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// What follows the opening fence; empty for an indented block.
    pub info: String,
    /// Made by indenting, without a fence.
    pub indented: bool,
    /// The line of the opening fence.
    pub line: usize,
    /// Where the whole block stands in the chapter.
    pub range: Range<usize>,
    /// What stands between the fences.
    pub code: String,
    /// The HTML comments directly above, nearest first, without their marks.
    pub comments: Vec<String>,
}

/// Who runs a Rust block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Runner {
    /// It is a doctest, and may be a complete program too.
    Doctest,
    /// It shows example files, which the examples test runs.
    Examples(Vec<Include>),
    /// It mixes code of its own with includes: nobody can run it.
    Nobody,
}

impl Block {
    /// The words of the info string.
    pub fn tags(&self) -> impl Iterator<Item = &str> {
        self.info.split([',', ' ', '\t']).filter(|tag| !tag.is_empty())
    }

    pub fn language(&self) -> Option<&str> {
        self.tags().next()
    }

    pub fn has_tag(&self, tag: &str) -> bool {
        self.tags().any(|t| t == tag)
    }

    /// Whether rustdoc takes this block for Rust. It does so for the tag `rust` anywhere, for its own attributes without
    /// any language, and for a block without any tag.
    pub fn is_rust(&self) -> bool {
        if self.indented || self.language().is_none() || self.has_tag("rust") {
            return true;
        }
        self.tags().all(is_rustdoc_attribute)
    }

    /// The includes in this block. An escaped one is no include.
    pub fn includes(&self) -> Vec<Include> {
        includes(&self.code)
    }

    pub fn runner(&self) -> Runner {
        let found = self.includes();
        if found.is_empty() {
            return Runner::Doctest;
        }
        let others = self.code.lines().filter(|line| !line.trim().is_empty()).count();
        if others == found.len() { Runner::Examples(found) } else { Runner::Nobody }
    }

    /// Whether the block is a program that a reader can paste into `main.rs`, and that skeptic can judge.
    ///
    /// Skeptic counts a compile error as the panic that `should_panic` asks for, does not know `compile_fail`, and
    /// does not undo rustdoc's `##`. What is taken from the documentation of a crate (`<!-- rustdoc: ITEM -->`) is a program
    /// only for rustdoc's sake.
    pub fn is_program(&self) -> bool {
        const NOT_FOR_SKEPTIC: [&str; 3] = ["should_panic", "compile_fail", "ignore"];
        let mut lines = self.code.lines().map(str::trim_start);
        self.has_tag("rust")
            && !NOT_FOR_SKEPTIC.iter().any(|tag| self.has_tag(tag))
            && self.includes().is_empty()
            && self.comment("rustdoc").is_none()
            && !lines.clone().any(|line| line.starts_with("##"))
            && lines.any(|line| {
                let line = line.strip_prefix("# ").unwrap_or(line).trim_start();
                let line = line.strip_prefix("pub ").unwrap_or(line);
                line.strip_prefix("async ").unwrap_or(line).starts_with("fn main(")
            })
    }

    /// The text of the comment `<!-- KEY: text -->` above the block.
    pub fn comment(&self, key: &str) -> Option<&str> {
        self.comments.iter().find_map(|comment| Some(comment.strip_prefix(key)?.strip_prefix(':')?.trim()))
    }
}

fn is_rustdoc_attribute(tag: &str) -> bool {
    matches!(tag, "should_panic" | "no_run" | "compile_fail" | "test_harness" | "standalone_crate")
        || tag.starts_with("ignore")
        || tag.starts_with("edition")
        || tag.starts_with("E0")
}

/// All code blocks of a chapter, in order.
pub fn blocks(chapter: &str) -> Vec<Block> {
    let mut found: Vec<Block> = Vec::new();
    let mut open = false;
    for (event, range) in Parser::new_ext(chapter, markdown_options()).into_offset_iter() {
        match event {
            Event::Start(Tag::CodeBlock(kind)) => {
                let (info, indented) = match kind {
                    CodeBlockKind::Fenced(info) => (info.trim().to_owned(), false),
                    CodeBlockKind::Indented => (String::new(), true),
                };
                let line = line_at(chapter, range.start);
                let comments = comments_above(chapter, line);
                found.push(Block { info, indented, line, range, code: String::new(), comments });
                open = true;
            }
            Event::Text(text) if open => {
                if let Some(block) = found.last_mut() {
                    block.code.push_str(&text);
                }
            }
            Event::End(TagEnd::CodeBlock) => open = false,
            _ => {}
        }
    }
    found
}

fn comments_above(chapter: &str, line: usize) -> Vec<String> {
    let before: Vec<&str> = chapter.lines().take(line - 1).map(str::trim).collect();
    let mut end = before.len();
    let mut found = Vec::new();
    loop {
        while end > 0 && before[end - 1].is_empty() {
            end -= 1;
        }
        if end == 0 || !before[end - 1].ends_with("-->") {
            return found;
        }
        let Some(start) = (0..end).rev().find(|&i| before[i].starts_with("<!--")) else { return found };
        let comment = before[start..end].join(" ");
        found.push(comment.trim_start_matches("<!--").trim_end_matches("-->").trim().to_owned());
        end = start;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(chapter: &str) -> Block {
        let mut found = blocks(chapter);
        assert_eq!(found.len(), 1, "{found:?}");
        found.remove(0)
    }

    #[test]
    fn rust_is_what_rustdoc_takes_for_rust() {
        for (info, rust) in [
            ("", true),
            ("rust", true),
            ("rust,no_run", true),
            ("no_run", true),
            ("rust editable", true),
            ("text", false),
            ("toml,no_run", false),
        ] {
            assert_eq!(only(&format!("```{info}\nx\n```\n")).is_rust(), rust, "{info:?}");
        }
        assert!(only("para\n\n    indented\n").is_rust());
    }

    #[test]
    fn a_program_has_a_main_even_a_hidden_one() {
        let block = |code: &str| only(&format!("```rust\n{code}\n```\n")).is_program();
        assert!(block("fn main() {}"));
        assert!(block("# #[tokio::main]\n# async fn main() {\nx();\n# }"));
        assert!(!block("let domain = 1;"));
        assert!(!block("// fn main() {}"));
        assert!(!block("fn main() {}\n## hidden"));
        assert!(!only("<!-- rustdoc: a -->\n\n```rust\nfn main() {}\n```\n").is_program());
        assert!(!only("```rust,should_panic\nfn main() {}\n```\n").is_program());
    }

    #[test]
    fn comments_above_belong_to_the_block() {
        let block = only("text\n\n<!-- a: one\n two -->\n<!-- b: three -->\n\n```rust\nx\n```\n");
        assert_eq!(block.comment("a"), Some("one two"));
        assert_eq!(block.comment("b"), Some("three"));
        assert_eq!(block.line, 7);
        assert_eq!(only("<!-- a: 1 -->\ntext\n\n```rust\nx\n```\n").comment("a"), None);
    }

    #[test]
    fn includes_decide_the_runner() {
        let runner = |code: &str| only(&format!("```rust\n{code}\n```\n")).runner();
        assert_eq!(runner("let a = 1;"), Runner::Doctest);
        assert!(
            matches!(runner("{{#include a.rs:x}}\n\n{{#include b.rs}}"), Runner::Examples(i) if i.len() == 2)
        );
        assert_eq!(runner("let a = 1;\n{{#include a.rs}}"), Runner::Nobody);
        assert_eq!(runner("# fn main() {\n{{#include a.rs}}\n# }"), Runner::Nobody);
    }
}
