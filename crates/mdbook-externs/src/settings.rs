//! The table `[preprocessor.externs]` of `book.toml`.
//!
//! mdBook hands the table over as it is, its own keys included, and accepts any others. A misspelt key would so be
//! ignored without a word; here it is an error that names the key.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use mdbook_preprocessor::config::Config;
use serde::Deserialize;
use serde::de::IgnoredAny;

const TABLE: &str = "preprocessor.externs";

/// What the book asks for. Relative paths are relative to the folder of `book.toml`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Settings {
    /// The package whose library and dependencies the snippets may use; without it, the package that cargo finds.
    pub(crate) package: Option<String>,
    /// Features of that package to switch on.
    #[serde(default)]
    pub(crate) features: Vec<String>,
    /// The `Cargo.toml` to use; without it, the one that cargo finds.
    pub(crate) manifest_path: Option<PathBuf>,
    /// Where to build; without it, `mdbook-externs` in cargo's target folder.
    pub(crate) target_dir: Option<PathBuf>,
    /// Whether to leave out blocks that have nothing but includes.
    #[serde(default)]
    pub(crate) skip_included: bool,

    // mdBook's own keys.
    #[serde(default)]
    after: Vec<String>,
    #[serde(rename = "before")]
    _before: Option<IgnoredAny>,
    #[serde(rename = "command")]
    _command: Option<IgnoredAny>,
    #[serde(rename = "optional")]
    _optional: Option<IgnoredAny>,
    #[serde(rename = "renderers")]
    _renderers: Option<IgnoredAny>,
}

impl Settings {
    pub(crate) fn from_config(config: &Config) -> Result<Settings> {
        let settings: Settings = config
            .get(TABLE)
            .with_context(|| format!("[{TABLE}] in book.toml is wrong"))?
            .with_context(|| format!("book.toml has no table [{TABLE}]: name the preprocessor `externs`"))?;
        // mdBook sorts preprocessors by name, and `externs` comes before `links`.
        ensure!(
            !config.build.use_default_preprocessors || settings.after.iter().any(|name| name == "links"),
            "[{TABLE}] in book.toml needs `after = [\"links\"]`: \
             without it snippets would be tested before mdBook has expanded their includes"
        );
        Ok(settings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(toml: &str) -> Result<Settings> {
        Settings::from_config(&toml.parse::<Config>().unwrap())
    }

    #[test]
    fn mdbooks_own_keys_are_accepted() {
        let settings = parse(
            "[preprocessor.externs]\ncommand = 'x'\nrenderers = ['test']\nbefore = ['x']\nafter = ['links']\n\
             optional = true\npackage = 'p'\nfeatures = ['f']\nmanifest-path = 'm'\ntarget-dir = 't'\n\
             skip-included = true",
        )
        .unwrap();
        assert_eq!(settings.package.as_deref(), Some("p"));
        assert_eq!(settings.features, ["f"]);
        assert!(settings.skip_included);
    }

    #[test]
    fn an_unknown_key_is_named() {
        let error = parse("[preprocessor.externs]\nafter = ['links']\npackges = ['p']").unwrap_err();
        assert!(format!("{error:#}").contains("packges"), "{error:#}");
    }

    #[test]
    fn a_missing_after_links_is_an_error_unless_mdbook_runs_no_links() {
        let error = parse("[preprocessor.externs]\npackage = 'p'").unwrap_err();
        assert!(error.to_string().contains("after = [\"links\"]"), "{error:#}");
        parse("[build]\nuse-default-preprocessors = false\n[preprocessor.externs]").unwrap();
    }

    #[test]
    fn another_name_for_the_table_is_an_error() {
        let error = parse("[preprocessor.crates]\ncommand = 'mdbook-externs'").unwrap_err();
        assert!(error.to_string().contains("name the preprocessor `externs`"), "{error:#}");
    }
}
