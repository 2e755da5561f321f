//! Every guarantee that the book states is named by a test, every guarantee that a test names is stated, and so is
//! every guarantee that prose leans on.
//!
//! The book states them in the first column of the tables of its guarantees chapter. What it lists there under "Not
//! promised yet" is known too, so that a test may name it, and needs no test.
//!
//! A test names the ids in its documentation: those in backticks anywhere, and the list that begins it, with or without
//! backticks (`/// size.max, size.min: what is tested`). An id is two words with a point between, of which the first is
//! a family of guarantees; the name of a file is none. Ids at the head of a module of tests stand for the module as a
//! whole, unless a test inside names the same id: then the head is its summary. The head of `main.rs` or `mod.rs` in a
//! folder of tests stands for the folder. A test that is ignored proves nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use regex::Regex;

use crate::rust_tests::{self, Doc, Module, Source};
use crate::{Book, Finding, Page, generated};

pub(crate) const CHAPTER: &str = "book/src/reference/guarantees.md";
const NOT_YET: &str = "## Not promised yet";

/// The first words of ids. A test that names another id of one of these is wrong about it.
const FAMILIES: [&str; 18] = [
    "acquire",
    "try_acquire",
    "size",
    "cancel",
    "release",
    "panic",
    "lifetime",
    "health",
    "connect",
    "resize",
    "close",
    "leak",
    "epoch",
    "stats",
    "observe",
    "suspend",
    "time",
    "foreign",
];

/// Longer lines of the table are broken.
const LONGEST_LINE: usize = 110;

fn pattern(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a valid pattern")
}

static STATED: LazyLock<Regex> = LazyLock::new(|| pattern(r"^\| `([a-z_]+\.[a-z_]+)` \|"));
static LEANED_ON: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"guarantees?\s+`[a-z_]+\.[a-z_]+`(?:(?:,|,?\s+and|\s+or)\s+`[a-z_]+\.[a-z_]+`)*")
});
static IN_BACKTICKS: LazyLock<Regex> = LazyLock::new(|| pattern(r"`([a-z_]+)\.([a-z_]+)`"));
static FIRST_IN_LIST: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^[\s,]*(?:and\s+)?`?([a-z_]+)\.([a-z_]+)(?-u:\b)`?"));

/// The ids of the chapter, with the lines on which it states them.
#[derive(Default)]
struct Known {
    stated: BTreeMap<String, usize>,
    not_yet: BTreeSet<String>,
}

/// An id that a test, or the head of a module, names.
struct Mention {
    id: String,
    file: String,
    line: usize,
    /// What it proves the id with; nothing, if the head only sums up what its tests name.
    proof: Option<Proof>,
}

#[derive(Clone)]
struct Proof {
    /// `a_function`, or the words for a whole module.
    shown: String,
    tests: usize,
}

pub fn check(book: &Book) -> Vec<Finding> {
    let Some(chapter) = book.page(CHAPTER) else { return Vec::new() };
    let mut found = Vec::new();
    let known = known(chapter, &mut found);
    let (sources, unreadable) = rust_tests::sources(&book.root);
    found.extend(unreadable);
    let mentions = mentions(&sources, &known);
    for (id, line) in &known.stated {
        if !mentions.iter().any(|mention| mention.id == *id && mention.proof.is_some()) {
            let message = format!("no test names `{id}`: write one, and name the id in its documentation");
            found.push(Finding::new(CHAPTER, *line, message));
        }
    }
    for mention in &mentions {
        if !known.has(&mention.id) {
            let message = format!("`{}` is no guarantee of {CHAPTER}: fix the id, or state it", mention.id);
            found.push(Finding::new(&mention.file, mention.line, message));
        }
    }
    for page in book.chapters() {
        for list in LEANED_ON.find_iter(&page.text) {
            for found_id in IN_BACKTICKS.captures_iter(list.as_str()) {
                let id = format!("{}.{}", &found_id[1], &found_id[2]);
                if !known.stated.contains_key(&id) {
                    let offset = list.start() + found_id.get(0).map_or(0, |whole| whole.start());
                    let message = format!("`{id}` is not stated in {CHAPTER}: fix the id, or state it");
                    found.push(Finding::new(&page.name, page.line_at(offset), message));
                }
            }
        }
    }
    found
}

/// The guarantees with the number of their tests, then the tests of each by file.
pub(crate) fn table(book: &Book) -> String {
    let Some(chapter) = book.page(CHAPTER) else { return String::new() };
    let known = known(chapter, &mut Vec::new());
    let (sources, _) = rust_tests::sources(&book.root);
    let mentions = mentions(&sources, &known);
    let mut ids: Vec<&String> = known.stated.keys().collect();
    ids.sort_by_key(|id| known.stated[*id]);
    let mut table = String::from("| guarantee | tests |\n|---|---|\n");
    let mut list = String::new();
    for id in ids {
        let (mut files, mut count) = (BTreeMap::<&str, Vec<&str>>::new(), 0);
        for mention in mentions.iter().filter(|mention| mention.id == *id) {
            let Some(proof) = &mention.proof else { continue };
            files.entry(&mention.file).or_default().push(&proof.shown);
            count += proof.tests;
        }
        table.push_str(&format!("| `{id}` | {count} |\n"));
        list.push_str(&format!("- `{id}`\n"));
        for (file, proofs) in files {
            list.push_str(&wrapped(&format!("  - `{file}`:"), &proofs));
        }
    }
    format!("{table}\n<details>\n<summary>Each test by its name</summary>\n\n{list}\n</details>\n")
}

/// A list item: its beginning, then the names with commas, on lines that are not too long.
fn wrapped(start: &str, names: &[&str]) -> String {
    let (mut text, mut line) = (String::new(), start.to_owned());
    for (index, name) in names.iter().enumerate() {
        let comma = if index + 1 < names.len() { "," } else { "" };
        if line.len() + 1 + name.len() + comma.len() > LONGEST_LINE {
            text.push_str(&line);
            text.push('\n');
            line = "   ".to_owned();
        }
        line.push_str(&format!(" {name}{comma}"));
    }
    text + &line + "\n"
}

impl Known {
    fn has(&self, id: &str) -> bool {
        self.stated.contains_key(id) || self.not_yet.contains(id)
    }
}

/// Reads the chapter: the tables that a person wrote, and the section of what is not promised yet.
fn known(chapter: &Page, wrong: &mut Vec<Finding>) -> Known {
    let mut known = Known::default();
    let mut in_not_yet = false;
    for (index, line) in chapter.text.lines().enumerate() {
        let number = index + 1;
        if generated::contains(chapter, number) {
            continue;
        }
        if line.starts_with("## ") {
            in_not_yet = line == NOT_YET;
        }
        if in_not_yet {
            let ids = IN_BACKTICKS.captures_iter(line).filter(|id| is_id(&id[1], &id[2]));
            known.not_yet.extend(ids.map(|id| format!("{}.{}", &id[1], &id[2])));
        } else if let Some(id) = STATED.captures(line)
            && let Some(first) = known.stated.insert(id[1].to_owned(), number)
        {
            let message = format!("`{}` is stated in line {first} too: state it once", &id[1]);
            wrong.push(Finding::new(CHAPTER, number, message));
        }
    }
    for id in &known.not_yet {
        if let Some(line) = known.stated.get(id) {
            let message = format!("`{id}` is promised here, and not promised yet below: choose one");
            wrong.push(Finding::new(CHAPTER, *line, message));
        }
    }
    known
}

fn is_id(family: &str, word: &str) -> bool {
    FAMILIES.contains(&family) && !matches!(word, "rs" | "md" | "toml" | "txt")
}

/// Every id that a test or the head of a module of tests names, in the order of the files.
fn mentions(sources: &[Source], known: &Known) -> Vec<Mention> {
    let mut found = Vec::new();
    for source in sources {
        let mut covered: Vec<&Module> = vec![&source.module];
        if let Some(folder) = folder_of_tests(&source.file) {
            let below = sources.iter().filter(|other| {
                other.file != source.file
                    && other.file.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
            });
            covered.extend(below.map(|other| &other.module));
        }
        // The head of a file that holds more than tests describes the code.
        if !source.module.tests.is_empty() || covered.len() > 1 {
            head(&source.file, &source.module, &covered, known, &mut found);
        }
        tests(&source.file, &source.module, known, &mut found);
    }
    found
}

/// The folder that this file's head speaks for, if there is one.
fn folder_of_tests(file: &str) -> Option<&str> {
    let (folder, name) = file.rsplit_once('/')?;
    let is_of_tests = folder.split('/').any(|part| part == "tests") && folder != "tests";
    (is_of_tests && matches!(name, "main.rs" | "mod.rs")).then_some(folder)
}

/// What the tests of a module and of those inside it name.
fn tests(file: &str, module: &Module, known: &Known, found: &mut Vec<Mention>) {
    for test in &module.tests {
        for (id, line) in ids(&test.doc, known) {
            let proof = (!test.ignored).then(|| Proof { shown: format!("`{}`", test.name), tests: 1 });
            found.push(Mention { id, file: file.to_owned(), line, proof });
        }
    }
    for inner in &module.modules {
        head(file, inner, &[inner], known, found);
        tests(file, inner, known, found);
    }
}

/// What the head of a module names. It proves an id if it has tests and none of them names the id.
fn head(file: &str, module: &Module, covered: &[&Module], known: &Known, found: &mut Vec<Mention>) {
    let inside: Vec<_> =
        covered.iter().flat_map(|module| module.all_tests()).filter(|test| !test.ignored).collect();
    for (id, line) in ids(&module.head, known) {
        let is_named_inside = inside.iter().any(|test| ids(&test.doc, known).iter().any(|own| own.0 == id));
        let what = match (module.name.as_str(), covered.len()) {
            ("", 1) => "the whole file".to_owned(),
            ("", _) => "the whole folder".to_owned(),
            (name, _) => format!("the whole of `mod {name}`"),
        };
        let proof =
            (!inside.is_empty() && !is_named_inside).then_some(Proof { shown: what, tests: inside.len() });
        found.push(Mention { id, file: file.to_owned(), line, proof });
    }
}

/// The ids that documentation names, each once, with the line on which it does first.
fn ids(doc: &Doc, known: &Known) -> Vec<(String, usize)> {
    let mut found: Vec<(String, usize)> = Vec::new();
    let mut add = |family: &str, word: &str, line: usize| {
        let id = format!("{family}.{word}");
        if (is_id(family, word) || known.has(&id)) && !found.iter().any(|(other, _)| *other == id) {
            found.push((id, line));
        }
    };
    let mut in_list = true;
    for (number, line) in doc {
        let mut rest = line.as_str();
        while in_list && let Some(first) = FIRST_IN_LIST.captures(rest) {
            add(&first[1], &first[2], *number);
            rest = &rest[first[0].len()..];
        }
        in_list &= matches!(rest.trim(), "" | ",");
        for id in IN_BACKTICKS.captures_iter(rest) {
            add(&id[1], &id[2], *number);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Fixture, expect};

    const TEST: &str = "crates/a/tests/it/a.rs";

    /// A chapter that promises these ids, and the files around it.
    fn fixture(stated: &[&str], files: &[(&str, &str)]) -> Fixture {
        let rows: String = stated.iter().map(|id| format!("| `{id}` | Yes. | No. |\n")).collect();
        let chapter = format!(
            "# Guarantees\n\n| id | promise | limits |\n|---|---|---|\n{rows}\n{NOT_YET}\n\n- `leak.report`: soon.\n"
        );
        let mut all = vec![(CHAPTER, chapter.as_str())];
        all.extend(files);
        Fixture::new(&all)
    }

    fn listed(stated: &[&str], files: &[(&str, &str)]) -> String {
        let table = table(&fixture(stated, files).book);
        let (_, list) = table.split_once("</summary>\n\n").unwrap();
        list.trim_end_matches("\n</details>\n").to_owned()
    }

    #[test]
    fn a_guarantee_needs_a_test() {
        let files = [
            (
                TEST,
                "/// size.max: kept\n#[test]\nfn kept() {}\n/// size.min: shelved\n#[test]\n#[ignore]\nfn shelved() {}\n",
            ),
            ("crates/a/src/lib.rs", "//! `size.none`: prose.\n/// size.none: no test.\nfn a() {}\n"),
        ];
        let fixture = fixture(&["size.max", "size.min", "size.none"], &files);
        expect(
            check(&fixture.book),
            &[(CHAPTER, 6, "no test names `size.min`"), (CHAPTER, 7, "`size.none`")],
        );
    }

    #[test]
    fn a_test_may_not_name_what_nobody_promises() {
        let text = "//! `size.head`\n\n/// size.max, size.first,\n/// size.second: and `size.third`.\n#[test]\nfn a() {}\n";
        expect(
            check(&fixture(&["size.max"], &[(TEST, text)]).book),
            &[
                (TEST, 1, "`size.head` is no guarantee"),
                (TEST, 3, "`size.first`"),
                (TEST, 4, "`size.second`"),
                (TEST, 4, "`size.third`"),
            ],
        );
    }

    #[test]
    fn what_only_looks_like_an_id_passes() {
        let text = "/// size.max: reads `size.rs`, `book.toml` and `a.b`, then calls size.grow and `stats.total()`.\n\
                    /// `leak.report` comes later.\n#[test]\nfn a() {}\n";
        expect(check(&fixture(&["size.max"], &[(TEST, text)]).book), &[]);
    }

    #[test]
    fn prose_may_not_lean_on_what_nobody_promises() {
        let files = [
            (TEST, "/// size.max\n#[test]\nfn a() {}\n"),
            (
                "book/src/a.md",
                "# A\n\nIt holds (guarantee `size.max`).\n\nSo does\nguarantee `a.unknown`.\n\n\
              They do (guarantees `size.max` and\n`b.unknown`).\n",
            ),
        ];
        let file = "book/src/a.md";
        expect(
            check(&fixture(&["size.max"], &files).book),
            &[(file, 6, "`a.unknown`"), (file, 9, "`b.unknown`")],
        );
    }

    #[test]
    fn a_guarantee_is_stated_once_and_promised_or_not() {
        let files = [(TEST, "/// size.max, leak.report\n#[test]\nfn a() {}\n")];
        let fixture = fixture(&["size.max", "leak.report", "size.max"], &files);
        expect(check(&fixture.book), &[(CHAPTER, 6, "choose one"), (CHAPTER, 7, "is stated in line 5 too")]);
    }

    #[test]
    fn a_head_speaks_for_what_no_test_inside_names() {
        let files = [
            ("crates/a/tests/sim/main.rs", "//! `size.max`, `size.min`.\nmod b;\n"),
            ("crates/a/tests/sim/b.rs", "/// size.min\n#[test]\nfn b() {}\n#[test]\nfn c() {}\n"),
            ("crates/a/tests/d.rs", "//! `size.max`\n#[test]\nfn d() {}\n"),
            (
                "crates/a/src/lib.rs",
                "//! `size.min`\n/// `size.max`\n#[cfg(test)]\nmod tests { #[test] fn e() {} }\n",
            ),
        ];
        assert_eq!(
            listed(&["size.max", "size.min"], &files),
            "- `size.max`\n  - `crates/a/src/lib.rs`: the whole of `mod tests`\n  - `crates/a/tests/d.rs`: the whole file\n  \
             - `crates/a/tests/sim/main.rs`: the whole folder\n- `size.min`\n  - `crates/a/tests/sim/b.rs`: `b`\n"
        );
    }

    #[test]
    fn the_table_counts_and_its_lines_are_broken() {
        let name = "a".repeat(60);
        let text =
            format!("/// size.max\n#[test]\nfn {name}() {{}}\n/// size.max\n#[test]\nfn b{name}() {{}}\n");
        let fixture = fixture(&["size.min", "size.max"], &[(TEST, &text)]);
        assert_eq!(
            table(&fixture.book),
            format!(
                "| guarantee | tests |\n|---|---|\n| `size.min` | 0 |\n| `size.max` | 2 |\n\n<details>\n\
                 <summary>Each test by its name</summary>\n\n- `size.min`\n- `size.max`\n  - `{TEST}`: \
                 `{name}`,\n    `b{name}`\n\n</details>\n"
            )
        );
    }

    /// The block of the chapter is what the tests are now, and is not read as a statement of guarantees.
    #[test]
    fn the_block_drifts_when_a_test_is_renamed() {
        let marks = "<!-- generated: guarantee-tests -->\n\n<!-- end generated -->\n";
        let chapter =
            format!("# Guarantees\n\n| id | promise |\n|---|---|\n| `size.max` | Yes. |\n\n{marks}");
        let fixture = Fixture::new(&[(CHAPTER, &chapter), (TEST, "/// size.max\n#[test]\nfn before() {}\n")]);
        let root = &fixture.book.root;
        let generators = || crate::Generators::all(root);
        generated::rewrite(&fixture.book, &generators()).unwrap();
        let book = Book::load(root).unwrap();
        assert_eq!(generated::check(&book, &generators()), []);
        expect(check(&book), &[]);
        std::fs::write(root.join(TEST), "/// size.max\n#[test]\nfn after() {}\n").unwrap();
        expect(
            generated::check(&book, &generators()),
            &[(CHAPTER, 17, "`after``; run `cargo guide generate`")],
        );
    }
}
