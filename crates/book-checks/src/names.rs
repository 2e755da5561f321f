//! A name of the crate that stands in inline code is one that the crate has.
//!
//! Looked at are `Pool::acquire` and every other member of a public item, `stats.field` and `config.option`, the targets
//! of the log (`poolhouse::leak`), the reason of a close (``reason `idle_timeout` ``), and words that are nearly a public
//! name and stand in no code of the repository: `pending_request`, `max_conections`. What other pools call `Pool` has
//! other members: the pages on coming from them, and lines that name one, are looked at for near misses only.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;

use crate::api_model::{Entry, entries};
use crate::{Book, Finding, Page, generated, prose, tidy};

/// Where the reasons of a close are.
const REASONS: &str = "crates/poolhouse/src/events.rs";

/// Words shorter than this are near to too many others.
const SHORTEST: usize = 8;

fn pattern(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a valid pattern")
}

static MEMBER: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?:^|[^\w:])((?:blocking::)?[A-Z]\w+)::(\w+)"));
static FIELD: LazyLock<Regex> = LazyLock::new(|| pattern(r"^(stats|config)\.([a-z_]+)"));
static TARGET: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?-u:\b)poolhouse::([a-z_]+)(?:$|[^\w:])"));
static LOGGED: LazyLock<Regex> = LazyLock::new(|| pattern(r#"(?:target:|\w,) "poolhouse::([a-z_]+)""#));
static LABEL: LazyLock<Regex> = LazyLock::new(|| pattern(r#"Self::\w+, "([a-z_]+)""#));
static REASON: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?-u:\b)reason `([a-z_]+)`"));
static WORD: LazyLock<Regex> = LazyLock::new(|| pattern(r"[A-Za-z_][A-Za-z0-9_]*"));
static OTHERS: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"(?i)(?-u:\b)(?:bb8|deadpool|r2d2|sqlx|hikari\w*|diesel|mobc|network_system)(?-u:\b)")
});

/// What the crate has.
struct Known {
    items: BTreeMap<String, BTreeSet<String>>,
    targets: BTreeSet<String>,
    reasons: BTreeSet<String>,
    /// Every public name in `snake_case`.
    public: BTreeSet<String>,
    /// Every word in the code of the repository.
    written: BTreeSet<String>,
}

pub fn check(book: &Book) -> Vec<Finding> {
    let entries = entries(&book.root);
    if entries.is_empty() {
        return Vec::new();
    }
    let known = known(&book.root, &entries);
    let mut found = Vec::new();
    for page in book.texts() {
        let mut add = |offset: usize, message: String| {
            let line = page.line_at(offset);
            if !generated::contains(page, line) {
                found.push(Finding::new(&page.name, line, message));
            }
        };
        for run in prose::runs(page) {
            let foreign = is_foreign(page, page.line_at(run.source(0)));
            for (range, code) in run.code() {
                let message =
                    if foreign { None } else { member(&known, code).or_else(|| target(&known, code)) };
                if let Some(message) = message.or_else(|| near_miss(&known, code)) {
                    add(run.source(range.start), message);
                }
            }
            for reason in REASON.captures_iter(&run.text) {
                if !known.reasons.contains(&reason[1]) {
                    let all = known.reasons.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
                    let offset = reason.get(0).map_or(0, |whole| whole.start());
                    add(
                        run.source(offset),
                        format!("there is no reason `{}`: there are [{all}]", &reason[1]),
                    );
                }
            }
        }
    }
    found
}

/// Whether another pool is spoken of: in the paragraph, in the heading above, or in the row or the head of the table.
fn is_foreign(page: &Page, line: usize) -> bool {
    let lines: Vec<&str> = page.text.lines().collect();
    let index = (line - 1).min(lines.len() - 1);
    let (above, from) = (&lines[..index], &lines[index..]);
    let paragraph = from.iter().take_while(|line| !line.trim().is_empty());
    let paragraph: Vec<&&str> =
        if lines[index].starts_with('|') { vec![&lines[index]] } else { paragraph.collect() };
    let heading = above.iter().rev().find(|line| line.starts_with('#'));
    let head = above.iter().rev().take_while(|line| line.starts_with('|')).last();
    page.name.contains("/from-")
        || paragraph.into_iter().chain(heading).chain(head).any(|line| OTHERS.is_match(line))
}

fn known(root: &Path, entries: &[Entry]) -> Known {
    let mut items = BTreeMap::new();
    let mut public = BTreeSet::new();
    // Which type implements which trait is not looked at.
    let of_traits = || entries.iter().filter(|entry| entry.kind == "trait").flat_map(|entry| &entry.methods);
    for entry in entries {
        let members =
            entry.methods.iter().map(|method| &method.name).chain(entry.parts.iter().map(|part| &part.name));
        let members: BTreeSet<String> = members.cloned().collect();
        public.extend(
            members.iter().filter(|name| name.chars().all(|c| c.is_ascii_lowercase() || c == '_')).cloned(),
        );
        let inherited = of_traits().map(|method| method.name.clone());
        items.insert(entry.path.clone(), members.into_iter().chain(inherited).collect());
    }
    let (mut targets, mut reasons, mut written) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let mut files = Vec::new();
    for folder in ["crates", "examples", "tests"] {
        tidy::walk(root, folder, &mut files);
    }
    for file in files.iter().filter(|file| file.ends_with(".rs") && !file.starts_with("crates/book-checks/"))
    {
        let text = fs::read_to_string(root.join(file)).unwrap_or_default();
        // Not by the pattern, which takes seconds for megabytes of code.
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let new: Vec<String> = words.filter(|word| !written.contains(*word)).map(ToOwned::to_owned).collect();
        written.extend(new);
        if file.starts_with("crates/poolhouse/src/") {
            targets.extend(LOGGED.captures_iter(&text).map(|target| target[1].to_owned()));
        }
        if file == REASONS {
            reasons.extend(LABEL.captures_iter(&text).map(|label| label[1].to_owned()));
        }
    }
    public.extend(reasons.iter().cloned());
    Known { items, targets, reasons, public, written }
}

/// `Pool::aquire`, `stats.pending`.
fn member(known: &Known, code: &str) -> Option<String> {
    for found in MEMBER.captures_iter(code) {
        let Some(members) = known.items.get(&found[1]) else { continue };
        if !members.contains(&found[2]) && !code.contains('<') {
            return Some(missing(&format!("`{}::{}`", &found[1], &found[2]), &found[2], members));
        }
    }
    let found = FIELD.captures(code)?;
    let of = if &found[1] == "stats" { "PoolStats" } else { "PoolConfig" };
    let members = known.items.get(of)?;
    let what = format!("`{}` of `{of}`", &found[2]);
    // The other things that are written like this are guarantees and files, and have checks of their own.
    let is_other = code == "stats.consistent" || code.ends_with(".rs");
    (!members.contains(&found[2]) && !is_other).then(|| missing(&what, &found[2], members))
}

fn missing(what: &str, name: &str, members: &BTreeSet<String>) -> String {
    let nearest = members.iter().min_by_key(|member| distance(member, name));
    let nearest = nearest.map_or(String::new(), |nearest| format!(" The nearest is `{nearest}`."));
    format!("poolhouse has no {what}: fix the name.{nearest}")
}

/// `poolhouse::leaks`: neither a target of the log nor a module.
fn target(known: &Known, code: &str) -> Option<String> {
    let found = TARGET.captures(code)?;
    let is_module = known.items.keys().any(|path| path.starts_with(&format!("{}::", &found[1])));
    (!is_module && !known.targets.contains(&found[1])).then(|| {
        let all = known.targets.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        format!("nothing logs to `poolhouse::{}`: the targets are [{all}]", &found[1])
    })
}

/// A word that is nearly a public name.
fn near_miss(known: &Known, code: &str) -> Option<String> {
    // `db.client.connection.wait_time` is nobody's field.
    if code.matches('.').count() > 1 {
        return None;
    }
    for word in WORD.find_iter(code).map(|word| word.as_str()) {
        let is_snake = word.contains('_') && word.chars().all(|c| c.is_ascii_lowercase() || c == '_');
        if !is_snake || word.len() < SHORTEST || known.written.contains(word) {
            continue;
        }
        if let Some(name) = known.public.iter().find(|name| distance(name, word) <= 2) {
            return Some(format!("`{word}` stands in no code, and is nearly `{name}`: fix the name"));
        }
    }
    None
}

/// How many letters have to be added, left out or changed.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let changed = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Fixture, expect};

    const LIB: &str = "pub use crate::a::{Pool, PoolStats, Event};\n";
    const A: &str = "pub struct Pool;\nimpl Pool {\n    pub fn acquire(&self) { info!(target: \"poolhouse::leak\", \"\") }\n\
        fn own_helper(&self) {}\n}\npub struct PoolStats { pub pending_requests: usize }\npub enum Event { Retired }\n";
    const EVENTS: &str = "const ALL: [(Self, &str); 1] = [(Self::Idle, \"idle_timeout\")];\n";

    fn check_with(text: &str) -> Vec<Finding> {
        let files = [
            ("book/src/a.md", text),
            ("crates/poolhouse/src/lib.rs", LIB),
            ("crates/poolhouse/src/a.rs", A),
            ("crates/poolhouse/src/events.rs", EVENTS),
        ];
        check(&Fixture::new(&files).book)
    }

    #[test]
    fn names_that_the_crate_has_pass() {
        let text = "# A\n\n`Pool::acquire`, `Event::Retired`, `stats.pending_requests`, `poolhouse::leak`, `own_helpers`, `std::mem`.\n\
                    The reason `idle_timeout`. In deadpool it is `Pool::status()`.\n\n\
                    | here | sqlx |\n|---|---|\n| `x` | `Pool::size` |\n";
        expect(check_with(text), &[]);
    }

    #[test]
    fn names_that_it_lacks_are_found() {
        let text = "# A\n\n`Pool::aquire`\n`Event::Expired { .. }`\n`stats.waiting`\n`poolhouse::leaks`\n`pending_request`\n\
                    the reason `idle`\n\nIn bb8 and here: `pending_requets`.\n";
        let file = "book/src/a.md";
        expect(
            check_with(text),
            &[
                (file, 3, "no `Pool::aquire`: fix the name. The nearest is `acquire`"),
                (file, 4, "no `Event::Expired`"),
                (file, 5, "no `waiting` of `PoolStats`"),
                (file, 6, "the targets are [leak]"),
                (file, 7, "nearly `pending_requests`"),
                (file, 8, "there are [idle_timeout]"),
                (file, 10, "nearly `pending_requests`"),
            ],
        );
    }
}
