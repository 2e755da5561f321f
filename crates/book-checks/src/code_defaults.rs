//! The defaults of options that are not the pool's: those of the packet protocol and of the adapters.
//!
//! They are read from the code, for the adapters keep them to themselves. A comment that says "100 ms by default" says what
//! the code does, and so does the reference that is made of it.

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;

use crate::Finding;

const PACKET: &str = "crates/poolhouse/src/packet/manager.rs";
const POSTGRES: &str = "crates/poolhouse-postgres/src/manager.rs";
const REDIS: &str = "crates/poolhouse-redis/src/manager.rs";

/// Each option: its file, its name, and what the code calls its default.
const OPTIONS: [(&str, &str, &str); 6] = [
    (PACKET, "max_frame_length", "max_frame_length"),
    (PACKET, "io_timeout", "io_timeout"),
    (POSTGRES, "statement_cache", "STATEMENTS"),
    (POSTGRES, "cancel_after", "CANCEL_AFTER"),
    (REDIS, "drain_within", "DRAIN_WITHIN"),
    (REDIS, "drain_at_most", "DRAIN_AT_MOST"),
];

static DURATION: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^Duration::from_(secs|millis)\((\d+)\)$").expect("a valid pattern"));
static STATED: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(\d[\d_,]*(?: (?:ms|s|min|h|MiB))?) by default").expect("a valid pattern"));

/// Each option with its default as the book writes it. None of a crate that is not there.
pub fn list(root: &Path) -> Vec<(String, String)> {
    let defaults = OPTIONS.iter().filter_map(|(file, option, name)| {
        let source = fs::read_to_string(root.join(file)).ok()?;
        Some(((*option).to_owned(), value(&source, name)?))
    });
    defaults.collect()
}

pub fn check(root: &Path) -> Vec<Finding> {
    let mut found = Vec::new();
    for (file, option, name) in OPTIONS {
        let Ok(source) = fs::read_to_string(root.join(file)) else { continue };
        let Some(default) = value(&source, name) else {
            let message =
                format!("the default of `{option}` is not read from `{name}`: see code_defaults.rs");
            found.push(Finding::new(file, 1, message));
            continue;
        };
        for (line, stated) in stated(&source, option) {
            if stated != default {
                let message =
                    format!("the default of `{option}` is {default}, and its comment says {stated}: fix it");
                found.push(Finding::new(file, line, message));
            }
        }
    }
    found
}

/// What the code gives this name: the first that is a value and no type.
fn value(source: &str, name: &str) -> Option<String> {
    let given =
        Regex::new(&format!(r"(?-u:\b){name}(?-u:\b)(?:: \w+ =|:) ([^;,\n]+)[;,]")).expect("a valid pattern");
    let code: String = source
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(|line| [line, "\n"])
        .collect();
    given.captures_iter(&code).find_map(|given| written(given[1].trim()))
}

/// A value of the code, as the book writes it.
fn written(code: &str) -> Option<String> {
    if let Some(duration) = DURATION.captures(code) {
        let unit = if &duration[1] == "secs" { "s" } else { "ms" };
        return Some(format!("{} {unit}", &duration[2]));
    }
    let factors: Result<Vec<u64>, _> =
        code.split('*').map(|factor| factor.trim().replace('_', "").parse()).collect();
    let number: u64 = factors.ok()?.iter().product();
    let mebi = 1 << 20;
    Some(if number >= mebi && number.is_multiple_of(mebi) {
        format!("{} MiB", number / mebi)
    } else {
        number.to_string()
    })
}

/// The defaults in the comment above an option, a field or a setter, with their lines.
fn stated(source: &str, option: &str) -> Vec<(usize, String)> {
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    let [field, setter] = [format!("pub {option}:"), format!("pub fn {option}(")];
    let Some(at) = lines.iter().position(|line| line.starts_with(&field) || line.starts_with(&setter)) else {
        return Vec::new();
    };
    let above = |line: &str| line.starts_with("///") || line.starts_with("#[");
    let start = (0..at).rev().find(|index| !above(lines[*index])).map_or(0, |index| index + 1);
    let stated = (start..at).flat_map(|index| {
        STATED.captures_iter(lines[index]).map(move |stated| (index + 1, stated[1].replace([',', '_'], "")))
    });
    stated.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Fixture, expect};

    const PACKETS: &str = "pub struct O {\n    /// A frame. 16 MiB by default.\n    pub max_frame_length: usize,\n    \
        /// Above zero, 30 s by default; `MAX` sets none.\n    pub io_timeout: Duration,\n}\n\nDefault {\n    \
        max_frame_length: 16 * 1024 * 1024,\n    io_timeout: Duration::from_secs(30),\n}\n";
    const REPLIES: &str = "const DRAIN_WITHIN: Duration = Duration::from_millis(100);\nconst DRAIN_AT_MOST: usize = 1_000;\n\n\
        /// Wait. 100 ms by default.\n#[must_use]\npub fn drain_within(self) {}\n\n/// 1000 by default.\npub fn drain_at_most(self) {}\n";

    fn fixture(packets: &str, replies: &str) -> Fixture {
        Fixture::new(&[(PACKET, packets), (REDIS, replies)])
    }

    #[test]
    fn defaults_are_read_from_the_code() {
        let fixture = fixture(PACKETS, REPLIES);
        let list = list(&fixture.book.root);
        let list: Vec<_> = list.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let known = [
            ("max_frame_length", "16 MiB"),
            ("io_timeout", "30 s"),
            ("drain_within", "100 ms"),
            ("drain_at_most", "1000"),
        ];
        assert_eq!(list, known);
        expect(check(&fixture.book.root), &[]);
    }

    #[test]
    fn a_comment_that_says_another_default_is_found() {
        let packets = PACKETS.replace("16 * 1024", "8 * 1024").replace("from_secs(30)", "from_secs(20)");
        let replies = REPLIES.replace("from_millis(100)", "from_millis(50)").replace("1000 by", "100 by");
        expect(
            check(&fixture(&packets, &replies).book.root),
            &[
                (REDIS, 4, "`drain_within` is 50 ms, and its comment says 100 ms"),
                (REDIS, 8, "`drain_at_most` is 1000, and its comment says 100"),
                (PACKET, 2, "`max_frame_length` is 8 MiB, and its comment says 16 MiB"),
                (PACKET, 4, "`io_timeout` is 20 s, and its comment says 30 s"),
            ],
        );
        let moved = REPLIES.replace("DRAIN_AT_MOST", "MOST");
        expect(check(&fixture(PACKETS, &moved).book.root), &[(REDIS, 1, "`drain_at_most` is not read")]);
    }
}
