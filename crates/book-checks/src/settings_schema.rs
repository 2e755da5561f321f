//! The JSON schema of the options as text, for editors and for deploys of a settings file.
//!
//! It is made from the code: names, texts and types are those of `PoolConfig`, defaults are its own as it writes them, and
//! bounds are asked of it by reading a value at each.

use std::io;
use std::path::Path;

use poolhouse::PoolConfig;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use crate::config_options::described;
use crate::{Finding, kept};

const FILE: &str = "book/src/reference/pool-config.schema.json";

/// The units of a duration, of which each is in a form at least that a person would write.
const UNITS: &str = "nanos|nsec|ns|usec|us|µs|millis|msec|ms|seconds?|secs?|s|minutes?|mins?|m|hours?|hrs?|h|days?|d\
     |weeks?|wks?|w|months?|M|years?|yrs?|y";

#[derive(Serialize)]
struct Schema {
    #[serde(rename = "$schema")]
    dialect: &'static str,
    title: &'static str,
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(rename = "additionalProperties")]
    others: bool,
    properties: InOrder<Property>,
    #[serde(rename = "$defs")]
    definitions: InOrder<Definition>,
}

/// An option. What it may be is one of the fields from `kind` on.
#[derive(Default, Serialize)]
struct Property {
    description: String,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    #[serde(rename = "$ref", skip_serializing_if = "Option::is_none")]
    reference: Option<&'static str>,
    #[serde(rename = "enum", skip_serializing_if = "Vec::is_empty")]
    words: Vec<&'static str>,
    #[serde(rename = "anyOf", skip_serializing_if = "Vec::is_empty")]
    any_of: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    minimum: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    maximum: Option<u8>,
    default: Value,
}

#[derive(Serialize)]
struct Definition {
    description: &'static str,
    #[serde(rename = "type")]
    kind: &'static str,
    pattern: String,
}

/// A map that keeps the order of the code.
struct InOrder<T>(Vec<(&'static str, T)>);

impl<T: Serialize> Serialize for InOrder<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// The whole file.
fn schema() -> Result<String, String> {
    let options = PoolConfig::default().options();
    let properties: Result<Vec<_>, String> =
        options.into_iter().map(|(name, _)| Ok((name, property(name)?))).collect();
    let schema = Schema {
        dialect: "https://json-schema.org/draft/2020-12/schema",
        title: "The options of a poolhouse pool",
        kind: "object",
        others: false,
        properties: InOrder(properties?),
        definitions: InOrder(vec![
            (
                "duration",
                Definition {
                    description: "Numbers with their units, such as 30s, 5m, 250ms or 1h 30m.",
                    kind: "string",
                    pattern: format!("^{}$", duration()),
                },
            ),
            (
                "duration_or_off",
                Definition {
                    description: "Numbers with their units, such as 30s, 5m, 250ms or 1h 30m; or off.",
                    kind: "string",
                    pattern: format!("^(off|{})$", duration()),
                },
            ),
        ]),
    };
    let text = serde_json::to_string_pretty(&schema).map_err(|error| error.to_string())?;
    Ok(format!("{text}\n"))
}

/// A pattern of the text of a duration, without anchors.
fn duration() -> String {
    format!(r"([0-9]+(\.[0-9]+)? ?({UNITS}) ?)+")
}

fn property(name: &'static str) -> Result<Property, String> {
    let described = described(name)?;
    let default = serde_json::to_value(PoolConfig::default()).map_err(|error| error.to_string())?;
    let property = Property {
        // As it is called in a settings file.
        description: described.text.replace("`None`", "off").replace('`', ""),
        default: default[name].clone(),
        ..Property::default()
    };
    Ok(match described.kind.as_str() {
        "usize" => Property { kind: Some("integer"), minimum: Some(least(name)), ..property },
        "Option<usize>" | "Option<u64>" => Property {
            any_of: vec![json!({ "const": "off" }), json!({ "type": "integer", "minimum": least(name) })],
            ..property
        },
        "Duration" | "Option<Duration>" if reads(name, &json!("off")) => {
            Property { reference: Some("#/$defs/duration_or_off"), ..property }
        }
        "Duration" => Property { reference: Some("#/$defs/duration"), ..property },
        "f64" => Property { kind: Some("number"), minimum: Some(0), maximum: Some(1), ..property },
        "bool" => Property { kind: Some("boolean"), ..property },
        "IdleOrder" => Property { words: vec!["lifo", "fifo"], ..property },
        kind => {
            return Err(format!("`{name}` is a {kind}: say in settings_schema.rs what that is in a schema"));
        }
    })
}

/// The least number that the option may be, by itself.
fn least(name: &str) -> u8 {
    u8::from(!reads(name, &json!(0)))
}

/// Whether the pool reads this value of the option. Without a minimum, which bounds others.
fn reads(name: &str, value: &Value) -> bool {
    let mut settings = json!({ "min_connections": 0 });
    settings[name] = value.clone();
    serde_json::from_value::<PoolConfig>(settings).is_ok()
}

pub fn check(root: &Path) -> Vec<Finding> {
    if !root.join("book/src/reference/configuration.md").exists() {
        return Vec::new();
    }
    match schema() {
        Err(lack) => vec![Finding::new(FILE, 1, lack)],
        Ok(made) => kept::drift(root, FILE, &made, |same| {
            let wanted = made.lines().nth(same).unwrap_or_default().trim();
            format!("from the code it is `{wanted}` now: run `cargo guide generate`")
        })
        .into_iter()
        .collect(),
    }
}

/// Writes the schema. Returns its name if it changed.
///
/// # Errors
///
/// An option is of a type that has no schema yet, or the file cannot be written.
pub fn rewrite(root: &Path) -> io::Result<Option<String>> {
    if !root.join("book/src/reference/configuration.md").exists() {
        return Ok(None);
    }
    let made = schema().map_err(io::Error::other)?;
    Ok(kept::write(root, FILE, &made)?.then(|| FILE.to_owned()))
}

#[cfg(test)]
mod tests {
    use regex::Regex;

    use super::*;

    fn parsed() -> Value {
        serde_json::from_str(&schema().unwrap()).unwrap()
    }

    #[test]
    fn every_option_has_its_text_and_its_default() {
        let schema = parsed();
        let default = serde_json::to_value(PoolConfig::default()).unwrap();
        let properties = schema["properties"].as_object().unwrap();
        assert_eq!(properties.len(), PoolConfig::default().options().len());
        for (name, property) in properties {
            assert_eq!(property["default"], default[name], "{name}");
            assert!(property["description"].as_str().is_some_and(|text| text.ends_with('.')), "{name}");
        }
        assert_eq!(schema["additionalProperties"], json!(false));
    }

    /// What the schema lets through the pool reads, and what it stops the pool refuses.
    #[test]
    fn the_bounds_are_those_of_the_pool() {
        let schema = parsed();
        for (name, property) in schema["properties"].as_object().unwrap() {
            if let Some(least) = property["minimum"].as_u64() {
                assert!(reads(name, &json!(least)) || name == "max_connections", "{name} at {least}");
                assert!(!reads(name, &json!(least as i64 - 1)), "{name} below {least}");
            }
            if let Some(most) = property["maximum"].as_f64() {
                assert!(reads(name, &json!(most)) && !reads(name, &json!(most + 0.1)), "{name}");
            }
            let off = property["$ref"] == json!("#/$defs/duration_or_off") || property["anyOf"].is_array();
            assert_eq!(reads(name, &json!("off")), off, "{name}");
            for word in property["enum"].as_array().into_iter().flatten() {
                assert!(reads(name, word), "{name}: {word}");
            }
        }
    }

    #[test]
    fn durations_are_those_that_the_pool_reads() {
        let pattern = Regex::new(parsed()["$defs"]["duration"]["pattern"].as_str().unwrap()).unwrap();
        let unit = UNITS.split('|').flat_map(|unit| match unit.strip_suffix('?') {
            Some(plural) => vec![plural, &plural[..plural.len() - 1]],
            None => vec![unit],
        });
        for text in unit.map(|unit| format!("5000000{unit}")).chain(["1h 30m".into(), "1.5s".into()]) {
            assert!(pattern.is_match(&text) && reads("idle_timeout", &json!(text)), "{text}");
        }
        for text in ["30", "off", "s", "1 parsec", "-1s", ""] {
            assert!(!pattern.is_match(text) && !reads("max_connect_backoff", &json!(text)), "{text}");
        }
    }
}
