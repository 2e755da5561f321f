//! The presets: a question, a scenario, and often a second one on the same arrivals.

use crate::json::{Object, array, text};
use crate::scenario::{KnobError, Scenario};

macro_rules! presets {
    ($($name:literal),* $(,)?) => {
        /// Every preset, in the order of the Lab page.
        pub const PRESETS: &[Preset] =
            &[$(Preset { name: $name, source: include_str!(concat!("../presets/", $name, ".toml")) },)*];
    };
}

presets![
    "sizing",
    "exhaustion",
    "churn",
    "stampede",
    "database-down",
    "nested-acquires",
    "fairness",
    "idle-order",
    "overload",
    "stale-connections",
    "shared-budget",
    "deploy",
];

/// One preset: a file of the folder `presets`, which says what it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Preset {
    /// Its name in an address, and that of its file.
    pub name: &'static str,
    source: &'static str,
}

impl Preset {
    /// The preset of this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        PRESETS.iter().find(|preset| preset.name == name)
    }

    /// The lines of a table of the file, without comments. Before the first one stand the texts: the table "".
    fn table(&self, wanted: &str) -> String {
        let mut table = String::new();
        let mut current = "";
        for line in self.source.lines().map(str::trim) {
            if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                current = name;
            } else if current == wanted && !line.starts_with('#') && !line.is_empty() {
                table.push_str(line);
                table.push('\n');
            }
        }
        table
    }

    /// A text of the file: `title`, `question`, `answers`, `explanation`, or the name of either configuration.
    pub fn text(&self, key: &str) -> String {
        let table = self.table("");
        let value = table.lines().find_map(|line| {
            let (name, value) = line.split_once('=')?;
            (name.trim() == key).then(|| value.trim().trim_matches('"').to_owned())
        });
        value.unwrap_or_default()
    }

    /// The answers to the question, of which one is right.
    pub fn answers(&self) -> Vec<String> {
        self.text("answers").split(" | ").map(str::to_owned).collect()
    }

    /// The configurations that it compares, one or two, by their names.
    ///
    /// # Errors
    ///
    /// A mistake in the file. The tests of the lab read every preset.
    pub fn scenarios(&self) -> Result<Vec<(String, Scenario)>, KnobError> {
        let first = Scenario::parse(&self.table("knobs"))?;
        let other = self.table("other");
        let mut scenarios = vec![(self.text("first"), first.clone())];
        if !other.is_empty() {
            scenarios.push((self.text("second"), first.with(&other)?));
        }
        Ok(scenarios)
    }

    pub(crate) fn json(&self) -> String {
        let scenarios = self.scenarios().unwrap_or_default();
        let scenarios = scenarios.iter().map(|(name, scenario)| {
            Object::new().text("name", name).text("knobs", &scenario.address()).end()
        });
        Object::new()
            .text("name", self.name)
            .text("title", &self.text("title"))
            .text("question", &self.text("question"))
            .raw("answers", &array(self.answers().iter().map(|answer| text(answer))))
            .text("right", &self.text("right"))
            .text("explanation", &self.text("explanation"))
            .raw("scenarios", &array(scenarios))
            .end()
    }
}
