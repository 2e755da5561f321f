//! The table of options in the configuration reference, from the code and from its documentation.

use std::collections::BTreeMap;

use poolhouse::PoolConfig;

use crate::crate_source::without_targets;

const SOURCE: &str = include_str!("../../poolhouse/src/config.rs");

/// What the documentation says of an option.
struct Described {
    kind: String,
    text: String,
}

/// One row an option, in the order of the code.
pub(crate) fn table() -> String {
    let described = described(SOURCE);
    let mut table = String::from("| option | type | default | what it does |\n|---|---|---|---|\n");
    for (name, default) in PoolConfig::default().options() {
        let Described { kind, text } = described
            .get(name)
            .unwrap_or_else(|| panic!("crates/poolhouse/src/config.rs: {name} has no documentation"));
        table.push_str(&format!("| `{name}` | `{kind}` | {default} | {text} |\n"));
    }
    table
}

/// The fields of `PoolConfig` with their types and documentation.
fn described(source: &str) -> BTreeMap<&str, Described> {
    let fields = source
        .lines()
        .skip_while(|line| !line.starts_with("pub struct PoolConfig"))
        .take_while(|line| *line != "}");
    let (mut described, mut docs) = (BTreeMap::new(), Vec::new());
    for line in fields.map(str::trim) {
        if let Some(doc) = line.strip_prefix("/// ") {
            docs.push(without_targets(doc));
        } else if let Some((name, kind)) = line.strip_prefix("pub ").and_then(|field| field.split_once(": "))
        {
            let (kind, text) = (kind.trim_end_matches(',').to_owned(), docs.join(" "));
            docs.clear();
            described.insert(name, Described { kind, text });
        }
    }
    described
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_has_a_row_with_its_type_default_and_text() {
        let table = table();
        assert_eq!(table.lines().count(), 2 + PoolConfig::default().options().len());
        assert!(table.contains("| `max_connections` | `usize` | 10 | The most connections"), "{table}");
        assert!(!table.contains("](crate::"), "{table}");
    }
}
