//! JSON, written by hand: the module for the browser would grow by a third with a library.

use std::fmt::Write;

/// Writes an object, member by member.
pub(crate) struct Object(String);

impl Object {
    pub(crate) fn new() -> Self {
        Self("{".to_owned())
    }

    /// A member whose value is JSON already.
    pub(crate) fn raw(mut self, name: &str, value: &str) -> Self {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        let _ = write!(self.0, "{}:{value}", text(name));
        self
    }

    pub(crate) fn text(self, name: &str, value: &str) -> Self {
        self.raw(name, &text(value))
    }

    pub(crate) fn number(self, name: &str, value: f64) -> Self {
        self.raw(name, &number(value))
    }

    pub(crate) fn maybe(self, name: &str, value: Option<f64>) -> Self {
        self.raw(name, &value.map_or("null".to_owned(), number))
    }

    pub(crate) fn end(self) -> String {
        self.0 + "}"
    }
}

/// To six digits after the point: what is exact is exact, and the rest stays short.
fn number(value: f64) -> String {
    if value.is_finite() { ((value * 1e6).round() / 1e6).to_string() } else { "null".to_owned() }
}

pub(crate) fn array(values: impl IntoIterator<Item = String>) -> String {
    format!("[{}]", values.into_iter().collect::<Vec<_>>().join(","))
}

pub(crate) fn text(value: &str) -> String {
    let mut quoted = String::from("\"");
    for char in value.chars() {
        match char {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            char if char < ' ' => {
                let _ = write!(quoted, "\\u{:04x}", char as u32);
            }
            char => quoted.push(char),
        }
    }
    quoted + "\""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_json() {
        let object = Object::new().text("a\"", "b\\\n\u{1}").number("c", 0.1 + 0.2).maybe("d", None);
        let object = object.number("e", f64::NAN).raw("f", &array(["1".to_owned(), "2".to_owned()])).end();
        assert_eq!(object, r#"{"a\"":"b\\\n\u0001","c":0.3,"d":null,"e":null,"f":[1,2]}"#);
    }
}
