//! The pictures of the troubleshooting pages: what a page's program does over time, before the cure and after it.
//!
//! The program says each change (`examples/troubleshooting/trace`), and `cargo guide generate` keeps them in [`DATA`]: a
//! line for each part of the program, as `PART: TIME VALUE, TIME VALUE`.

use std::fs;
use std::path::Path;

use crate::canvas::{BLUE, BROWN};
use crate::format::{count, wrap};
use crate::strips::{self, Strip};
use crate::tables::{head, row};
use crate::{Block, Result};

/// Where the data is, relative to the repository: a file `NAME.txt` for each program.
pub const DATA: &str = "book/data/traces";

/// Where the pictures are, relative to the repository.
pub const FOLDER: &str = "book/src/troubleshooting/plots";

/// How to draw the trace of one program.
struct Picture {
    program: &'static str,
    title: &'static str,
    /// The name of the axis, and how much of the data is 1 on it.
    axis: (&'static str, f64),
    /// How much of the data a column of the plot spans, and how much a row of the table.
    spans: (f64, f64),
    /// A level lasts until the next change. Otherwise each value is a point of its own.
    level: bool,
    /// The parts that the plot shows. The table has all.
    shown: &'static [&'static str],
}

const SECOND: f64 = 1000.0;
const BOTH: &[&str] = &["before the cure", "after the cure"];

const PICTURES: [Picture; 11] = [
    Picture {
        program: "after_a_lull",
        title: "Requests without an answer, after the lull",
        axis: ("Seconds; a column is 0.2 s", SECOND),
        spans: (200.0, SECOND),
        level: true,
        shown: &["before the cure", "after the cure: it talks", "the other cure: it asks"],
    },
    Picture {
        program: "connection_churn",
        title: "Open connections",
        axis: ("Minutes; a column is 6 s", 60.0 * SECOND),
        spans: (6.0 * SECOND, 30.0 * SECOND),
        level: true,
        shown: BOTH,
    },
    Picture {
        program: "crosstalk",
        title: "Wrong answers",
        axis: ("Requests; a column is one", 1.0),
        spans: (1.0, 1.0),
        level: false,
        shown: &["before the cure", "after the cure", "one caller only"],
    },
    Picture {
        program: "deadlock_at_n",
        title: "Callers that wait",
        axis: ("Seconds; a column is 0.1 s", SECOND),
        spans: (100.0, SECOND),
        level: true,
        shown: &["3 tasks, pool of 4", "4 tasks, pool of 4", "5 tasks, pool of 5", "after the cure, 4 tasks"],
    },
    Picture {
        program: "descriptors_and_ports",
        title: "Local ports used so far",
        axis: ("Requests; a column is four", 1.0),
        spans: (4.0, 20.0),
        level: false,
        shown: BOTH,
    },
    Picture {
        program: "leaks",
        title: "Connections held, of three",
        axis: ("Seconds; a column is one", SECOND),
        spans: (SECOND, 10.0 * SECOND),
        level: true,
        shown: BOTH,
    },
    Picture {
        program: "pool_exhaustion",
        title: "Callers that wait",
        axis: ("Seconds; a column is 0.05 s", SECOND),
        spans: (50.0, 250.0),
        level: true,
        shown: &[
            "before the cure",
            "twice the pool, twice the callers",
            "after the cure",
            "cured, twice the callers",
        ],
    },
    Picture {
        program: "slow_first_requests",
        title: "Milliseconds that each request takes",
        axis: ("Requests: four at the start, four later, four after a lull", 1.0),
        spans: (1.0, 1.0),
        level: false,
        shown: BOTH,
    },
    Picture {
        program: "stale_connections",
        title: "Connections in the pool that the server has closed",
        axis: ("Seconds; a column is one", SECOND),
        spans: (SECOND, 10.0 * SECOND),
        level: true,
        shown: &[
            "before the cure",
            "after the cure: a look before use",
            "background checks instead",
            "a short idle_timeout instead",
        ],
    },
    Picture {
        program: "stampede",
        title: "Connects in a second",
        axis: ("Hours; a column is the worst second of 10 min", 3600.0),
        spans: (600.0, 3600.0),
        level: false,
        shown: &["before the cure", "after the cure", "spread by hand, still no jitter"],
    },
    Picture {
        program: "too_many_clients",
        title: "Connections at a server that allows 20",
        axis: ("Seconds; a column is 0.1 s", SECOND),
        spans: (100.0, SECOND),
        level: true,
        shown: &["before the cure", "too many still", "after the cure"],
    },
];

/// One part of a program: its name, and each time with the value from then on.
struct Part {
    name: String,
    changes: Vec<(f64, f64)>,
}

/// Every picture: its file, relative to the repository, and its text.
///
/// # Errors
///
/// The data cannot be read, or lacks what a picture shows.
pub fn all(root: &Path) -> Result<Vec<(String, String)>> {
    let draw = |picture: &Picture| Ok((file(picture.program), picture.draw(&read(root, picture.program)?)?));
    PICTURES.iter().map(draw).collect()
}

fn file(program: &str) -> String {
    format!("{FOLDER}/{}.svg", program.replace('_', "-"))
}

/// A block for each page: the picture, and below it the table of its figures, folded.
pub(crate) fn blocks() -> impl Iterator<Item = (String, Block)> {
    PICTURES.iter().map(|picture| {
        let block: Block = Box::new(move |root| picture.block(&read(root, picture.program)?));
        (format!("trace-{}", picture.program.replace('_', "-")), block)
    })
}

fn read(root: &Path, program: &str) -> Result<Vec<Part>> {
    let file = format!("{DATA}/{program}.txt");
    let text = fs::read_to_string(root.join(&file))
        .map_err(|error| format!("{file} cannot be read: {error}; write it with `cargo guide generate`"))?;
    text.lines()
        .map(|line| part(line).ok_or_else(|| format!("{file}: not `PART: TIME VALUE, ..`: {line}")))
        .collect()
}

fn part(line: &str) -> Option<Part> {
    // A name may have a colon; the changes have none.
    let (name, changes) = line.rsplit_once(": ")?;
    let change = |text: &str| {
        let (at, value) = text.split_once(' ')?;
        Some((at.parse().ok()?, value.parse().ok()?))
    };
    let changes: Option<Vec<(f64, f64)>> =
        changes.split(", ").filter(|text| !text.is_empty()).map(change).collect();
    Some(Part { name: name.to_owned(), changes: changes? })
}

impl Part {
    /// The highest value in each span of time, up to `end`.
    fn highest(&self, span: f64, end: f64, level: bool) -> Vec<f64> {
        let bins = (end / span).floor() as usize + 1;
        let bin = |at: f64| (at / span).floor() as usize;
        let mut highest = vec![0.0_f64; bins];
        for (index, (at, value)) in self.changes.iter().enumerate() {
            let next = self.changes.get(index + 1).map_or(end, |(next, _)| *next);
            // A level that ends where a span begins is not in it.
            let last =
                if level && next > *at { bin(next - f64::EPSILON.max(next * 1e-12)) } else { bin(*at) };
            for place in &mut highest[bin(*at).min(bins - 1)..=last.min(bins - 1)] {
                *place = place.max(*value);
            }
        }
        highest
    }

    fn most(&self) -> f64 {
        self.changes.iter().map(|(_, value)| *value).fold(0.0, f64::max)
    }
}

/// The last change of all parts.
fn end(parts: &[Part]) -> f64 {
    parts.iter().flat_map(|part| &part.changes).map(|(at, _)| *at).fold(0.0, f64::max)
}

impl Picture {
    fn shown<'a>(&self, parts: &'a [Part]) -> Result<Vec<&'a Part>> {
        let find = |name: &&str| {
            let found = parts.iter().find(|part| part.name == **name);
            found.ok_or_else(|| format!("{DATA}/{}.txt has no part `{name}`", self.program))
        };
        self.shown.iter().map(find).collect()
    }

    /// What the picture shows, in a sentence.
    fn words(&self, parts: &[Part]) -> Result<String> {
        let of = |part: &Part| format!("{}, at most {}", part.name, count(part.most()));
        let of: Vec<String> = self.shown(parts)?.into_iter().map(of).collect();
        Ok(format!("{}: {}.", self.title, of.join("; ")))
    }

    fn draw(&self, parts: &[Part]) -> Result<String> {
        let (span, _) = self.spans;
        let end = end(parts);
        let strip = |part: &Part| Strip {
            label: format!("{}: at most {}", part.name, count(part.most())),
            colour: if cured(&part.name) { BLUE } else { BROWN },
            values: part.highest(span, end, self.level),
        };
        let strips: Vec<Strip> = self.shown(parts)?.into_iter().map(strip).collect();
        let (axis, unit) = self.axis;
        strips::draw(self.title, &self.words(parts)?, (axis, span / unit), &strips)
    }

    fn block(&self, parts: &[Part]) -> Result<String> {
        let (_, span) = self.spans;
        let (end, (axis, unit)) = (end(parts), self.axis);
        let columns: Vec<Vec<f64>> = parts.iter().map(|part| part.highest(span, end, self.level)).collect();
        let from = axis.split([';', ':']).next().unwrap_or(axis);
        let header: Vec<&str> =
            [from].into_iter().chain(parts.iter().map(|part| part.name.as_str())).collect();
        let rows = (0..columns.first().map_or(0, Vec::len)).map(|index| {
            let at = std::iter::once(count(index as f64 * span / unit));
            row(&at.chain(columns.iter().map(|column| count(column[index]))).collect::<Vec<_>>())
        });
        let rows: String = rows.collect();
        let picture = file(self.program);
        let picture = picture.strip_prefix("book/src/troubleshooting/").unwrap_or(&picture);
        Ok(format!(
            "{}\n\n<details>\n<summary>{}: the figures</summary>\n\n{}{rows}\n{}\n\n</details>",
            wrap(&format!("![{}]({picture})", self.words(parts)?)),
            self.title,
            head(&header, 0),
            wrap(&format!(
                "The highest value from each row's start to the next row's. From `{}.rs`. `cargo guide generate`",
                self.program
            )),
        ))
    }
}

/// Whether a part shows the cure.
fn cured(name: &str) -> bool {
    !["before the cure", "tasks, pool of", "twice the pool", "too many still"]
        .iter()
        .any(|sign| name.contains(sign))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn churn(text: &str) -> (tempfile::TempDir, Result<Vec<Part>>) {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join(DATA)).unwrap();
        fs::write(folder.path().join(DATA).join("connection_churn.txt"), text).unwrap();
        let parts = read(folder.path(), "connection_churn");
        (folder, parts)
    }

    #[test]
    fn a_level_lasts_and_a_point_does_not() {
        let part = part("a: b: 0 2, 1000 5, 1000 1, 3500 0").unwrap();
        assert_eq!((part.name.as_str(), part.most()), ("a: b", 5.0));
        assert_eq!(part.highest(1000.0, 4000.0, true), [2.0, 5.0, 1.0, 1.0, 0.0]);
        assert_eq!(part.highest(1000.0, 4000.0, false), [2.0, 5.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn a_picture_has_words_a_strip_for_each_part_and_a_table() {
        let (_folder, parts) = churn("before the cure: 0 5, 10000 0\nafter the cure: 0 4\n");
        let (parts, picture) = (parts.unwrap(), &PICTURES[1]);
        let svg = picture.draw(&parts).unwrap();
        assert!(svg.contains("<title>Open connections</title>") && svg.contains("after the cure: at most 4"));
        let block = picture.block(&parts).unwrap();
        assert!(block.starts_with("![Open connections: before the cure, at most 5; after"), "{block}");
        assert!(block.contains("| Minutes | before the cure | after the cure |"), "{block}");
        assert!(block.contains("\n| 0 | 5 | 4 |\n"), "{block}");
    }

    #[test]
    fn what_is_missing_is_named() {
        let (folder, parts) = churn("before the cure: 0 5\n");
        assert!(PICTURES[1].draw(&parts.unwrap()).unwrap_err().contains("no part `after the cure`"));
        assert!(all(folder.path()).unwrap_err().contains("after_a_lull.txt cannot be read"));
        assert!(churn("before the cure: five\n").1.err().unwrap().contains("TIME VALUE"));
    }
}
