//! Scripts as a reader loads them: without what only their readers need.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// Makes the scripts of the Pool Lab shorter, in a built book.
pub(crate) fn shorten_lab(site: &Path) -> Result<()> {
    let Ok(entries) = fs::read_dir(site.join("lab")) else { return Ok(()) };
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "js") {
            let script =
                fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            fs::write(&path, terse(&script)).with_context(|| format!("cannot write {}", path.display()))?;
        }
    }
    Ok(())
}

/// A script without its comments and its indents.
pub(crate) fn terse(script: &str) -> String {
    let mut in_comment = false;
    let mut lines = String::new();
    for line in script.lines().map(str::trim) {
        in_comment |= line.starts_with("/*");
        if !in_comment && !line.is_empty() && !line.starts_with("//") {
            lines.push_str(line);
            lines.push('\n');
        }
        in_comment &= !line.ends_with("*/");
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_loses_what_only_its_readers_need() {
        let script = "// A.\n(() => {\n    /** B\n     * c. */\n    /* D. */\n    e(`//f`); // g\n\n    // H.\n})();\n";
        assert_eq!(terse(script), "(() => {\ne(`//f`); // g\n})();\n");
    }
}
