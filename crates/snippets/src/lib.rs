//! Which code blocks a chapter holds, and which runner runs each of them.
//!
//! Three parties must agree on this: the build script that turns chapters into doctests, the build script that turns
//! complete programs into plain binaries, and the book checks that prove that no snippet is left out. So it is decided
//! here, once.
//!
//! A Rust block is run as a doctest. If it is nothing but includes of example files it is run by the examples test
//! instead, because rustdoc does not expand mdBook's includes. If it also has a `main` of its own, it is compiled and
//! run once more as a plain program.
//!
//! Runners that read whole files get copies of the chapters in which the blocks that are not theirs are no longer Rust.
//! A copy has the same lines as the chapter, so that every line number stays true.

mod block;
mod files;
mod include;
mod shown;

pub use block::{Block, Runner, blocks, line_at, markdown_options};
pub use files::{Source, module_name, sources, write_if_changed};
pub use include::{Include, Part, includes};
pub use shown::{dedented, hides_lines, shown, whole_program};

/// The chapter as rustdoc may read it: blocks made of includes are no longer Rust. `None` if nothing had to change.
pub fn for_doctests(chapter: &str) -> Option<String> {
    keep_rust(chapter, |block| block.includes().is_empty())
}

/// The chapter as skeptic may read it: only complete programs are still Rust. `None` if nothing had to change.
pub fn for_programs(chapter: &str) -> Option<String> {
    keep_rust(chapter, Block::is_program)
}

fn keep_rust(chapter: &str, keep: impl Fn(&Block) -> bool) -> Option<String> {
    let dropped: Vec<usize> =
        blocks(chapter).iter().filter(|b| b.is_rust() && !keep(b)).map(|b| b.line).collect();
    if dropped.is_empty() {
        return None;
    }
    let lines = chapter
        .split_inclusive('\n')
        .enumerate()
        .map(|(index, line)| if dropped.contains(&(index + 1)) { as_text(line) } else { line.to_owned() });
    Some(lines.collect())
}

/// Replaces the info string of a fence line by `text`, and keeps what stands before the fence.
fn as_text(fence: &str) -> String {
    let end = fence.rfind(['`', '~']).map_or(0, |last| last + 1);
    format!("{}text\n", &fence[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHAPTER: &str = "\
# One

```rust
let a = 1;
```

- in a list:

  ```rust,no_run
  {{#rustdoc_include ../../examples/a.rs:main}}
  ```

```rust
# fn main() {
println!(\"hello\");
# }
```
";

    #[test]
    fn doctests_keep_all_but_includes_and_every_line_number() {
        let copy = for_doctests(CHAPTER).unwrap();
        assert_eq!(copy, CHAPTER.replace("rust,no_run", "text"));
    }

    #[test]
    fn programs_keep_only_what_has_a_main() {
        let copy = for_programs(CHAPTER).unwrap();
        assert_eq!(copy.lines().count(), CHAPTER.lines().count());
        let kept: Vec<usize> = blocks(&copy).iter().filter(|b| b.is_rust()).map(|b| b.line).collect();
        assert_eq!(kept, [13]);
    }

    #[test]
    fn a_chapter_without_rust_needs_no_copy() {
        assert_eq!(for_doctests("# One\n\n```toml\na = 1\n```\n"), None);
        assert_eq!(for_programs("# One\n"), None);
    }
}
