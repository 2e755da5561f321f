//! Tables of what was counted, for the book and for a terminal.

use std::time::Duration;

use serde_json::{Value, json};

use super::stage::{self, relay, server};
use super::{DEADLINE, POOL, PROCESSES, TASKS};
use crate::contestants::AnyError;
use crate::table::markdown;

/// One row of a table.
pub trait Row {
    /// The heads of the columns.
    const HEADER: &'static [&'static str];
    /// How many columns are texts, from the left. The others have numbers.
    const TEXTS: usize = 1;

    /// What stands in them.
    fn cells(&self) -> Vec<String>;
}

/// A table with a name: that of the block in the book.
#[derive(Debug, Clone)]
pub struct Table {
    /// Such as `haproxy-dies`.
    pub name: &'static str,
    header: &'static [&'static str],
    texts: usize,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table of these rows.
    pub fn new<R: Row>(name: &'static str, rows: &[R]) -> Self {
        Self {
            name,
            header: R::HEADER,
            texts: R::TEXTS,
            rows: rows.iter().map(Row::cells).collect(),
        }
    }

    /// With its name above it.
    pub fn markdown(&self) -> String {
        format!("### {}\n\n{}\n", self.name, markdown(self.header, &self.rows))
    }

    fn json(&self) -> Value {
        json!({ "name": self.name, "texts": self.texts, "header": self.header, "rows": self.rows })
    }
}

/// When, and what it ran with.
#[derive(Debug, Clone)]
pub struct About {
    /// Such as `2026-11-30`.
    pub date: String,
    /// Such as `PgBouncer 1.18.0`.
    pub versions: Vec<String>,
    /// The service, in words.
    pub setup: String,
}

impl About {
    /// Asks each program.
    ///
    /// # Errors
    ///
    /// One of them does not start.
    pub fn ask() -> Result<Self, AnyError> {
        let server = server(&[])?;
        let pooler = stage::pooler(&server, &[])?.console("SHOW VERSION")?;
        let relay = relay(&[server.port()], &[])?.command("show info")?;
        let relay = relay
            .lines()
            .find_map(|line| line.strip_prefix("Version: "))
            .unwrap_or("without a version");
        // Debian adds its own.
        let short = |version: &str| {
            version.split(['-', ' ']).next().unwrap_or_default().to_owned()
        };
        Ok(Self {
            date: server.sql("SELECT current_date")?,
            versions: vec![
                pooler,
                format!("HAProxy {}", short(relay)),
                format!(
                    "PostgreSQL {}",
                    short(&server.sql("SHOW server_version")?)
                ),
            ],
            setup: format!(
                "{PROCESSES} processes, each with a pool of {POOL} and {TASKS} tasks that ask in turn, and wait {} s \
                 for a connection and for an answer",
                DEADLINE.as_secs()
            ),
        })
    }
}

/// Puts tables into the text of an earlier file, each in the place of the one with its name.
///
/// # Errors
///
/// The earlier text is none of ours.
pub fn merge(
    earlier: Option<&str>,
    about: &About,
    tables: &[Table],
) -> Result<String, AnyError> {
    let mut file: Value = earlier
        .map_or_else(|| Ok(json!({ "tables": [] })), serde_json::from_str)?;
    if !file.is_object() {
        return Err("the file is none of this program's: name another".into());
    }
    file["date"] = json!(about.date);
    file["versions"] = json!(about.versions);
    file["setup"] = json!(about.setup);
    let list = file["tables"].as_array_mut().ok_or("the file has no tables")?;
    for table in tables {
        match list.iter_mut().find(|other| other["name"] == table.name) {
            Some(other) => *other = table.json(),
            None => list.push(table.json()),
        }
    }
    Ok(format!("{file:#}\n"))
}

pub(super) fn seconds(time: Option<Duration>) -> String {
    time.map_or_else(
        || "never".to_owned(),
        |time| format!("{:.1} s", time.as_secs_f64()),
    )
}

pub(super) fn millis(time: Duration) -> String {
    format!("{} ms", time.as_millis())
}

/// Errors of requests.
pub(super) fn errors(errors: usize, requests: usize) -> String {
    format!("{} of {}", grouped(errors), grouped(requests))
}

/// With commas between thousands.
fn grouped(number: usize) -> String {
    if number < 1000 {
        number.to_string()
    } else {
        format!("{},{:03}", grouped(number / 1000), number % 1000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct One(usize);

    impl Row for One {
        const HEADER: &'static [&'static str] = &["one"];

        fn cells(&self) -> Vec<String> {
            vec![self.0.to_string()]
        }
    }

    #[test]
    fn thousands_have_commas() {
        assert_eq!([7, 1000, 1_234_567].map(grouped), ["7", "1,000", "1,234,567"]);
    }

    #[test]
    fn a_table_takes_the_place_of_its_earlier_self() {
        let about = About {
            date: "2026-11-30".to_owned(),
            versions: Vec::new(),
            setup: String::new(),
        };
        let file = merge(
            None,
            &about,
            &[Table::new("a", &[One(1)]), Table::new("b", &[One(2)])],
        )
        .unwrap();
        let file =
            merge(Some(&file), &about, &[Table::new("a", &[One(3)])]).unwrap();
        let read: Value = serde_json::from_str(&file).unwrap();
        assert_eq!(read["tables"][0]["rows"], json!([["3"]]));
        assert_eq!(read["tables"].as_array().map(Vec::len), Some(2));
        assert!(merge(Some("[]"), &about, &[]).is_err());
    }
}
