//! Tables of what was counted, for the book and for a terminal.

use std::time::Duration;

use serde_json::{Value, json};

use crate::contestants::AnyError;
use crate::table::markdown;

/// One row of a table.
pub trait Row {
    /// The heads of the columns.
    const HEADER: &'static [&'static str];

    /// What stands in them.
    fn cells(&self) -> Vec<String>;
}

/// A table with a name: that of the block in the book.
#[derive(Debug, Clone)]
pub struct Table {
    /// Such as `haproxy-dies`.
    pub name: &'static str,
    header: &'static [&'static str],
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table of these rows.
    pub fn new<R: Row>(name: &'static str, rows: &[R]) -> Self {
        Self { name, header: R::HEADER, rows: rows.iter().map(Row::cells).collect() }
    }

    /// With its name above it.
    pub fn markdown(&self) -> String {
        format!("### {}\n\n{}\n", self.name, markdown(self.header, &self.rows))
    }

    fn json(&self) -> Value {
        json!({ "name": self.name, "header": self.header, "rows": self.rows })
    }
}

/// Puts tables into the text of an earlier file, each in the place of the one with its name.
///
/// # Errors
///
/// The earlier text is none of ours.
pub fn merge(earlier: Option<&str>, tables: &[Table]) -> Result<String, AnyError> {
    let mut file: Value = earlier.map_or_else(|| Ok(json!({ "tables": [] })), serde_json::from_str)?;
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
    time.map_or_else(|| "never".to_owned(), |time| format!("{:.1} s", time.as_secs_f64()))
}

pub(super) fn millis(time: Duration) -> String {
    format!("{} ms", time.as_millis())
}

/// Errors of requests.
pub(super) fn errors(errors: usize, requests: usize) -> String {
    format!("{errors} of {requests}")
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
    fn a_table_takes_the_place_of_its_earlier_self() {
        let file = merge(None, &[Table::new("a", &[One(1)]), Table::new("b", &[One(2)])]).unwrap();
        let file = merge(Some(&file), &[Table::new("a", &[One(3)])]).unwrap();
        let read: Value = serde_json::from_str(&file).unwrap();
        assert_eq!(read["tables"][0]["rows"], json!([["3"]]));
        assert_eq!(read["tables"].as_array().map(Vec::len), Some(2));
        assert!(merge(Some("[]"), &[]).is_err());
    }
}
