//! What writes the generated blocks, by name. The place to add one is [`Generators::all`].

use std::collections::BTreeMap;
use std::path::Path;

use crate::{Book, api, config_options, errors, guarantees, lab, moves, quiz, statistics, tracing_events};

/// Makes a block from the source of the crate below this folder.
type OfSource = fn(&Path) -> Result<String, String>;

/// Functions that return the lines of generated blocks, or why there are none.
#[derive(Default)]
pub struct Generators(BTreeMap<String, Box<dyn Fn() -> Result<String, String>>>);

impl Generators {
    /// None yet.
    pub fn new() -> Generators {
        Generators::default()
    }

    /// Every generator of the book in `root`: what the book test compares with, and `cargo guide generate` writes.
    ///
    /// # Panics
    ///
    /// What a generator needs to read cannot be read.
    pub fn all(root: &Path) -> Generators {
        let folder = root.to_owned();
        let generators = Generators::new()
            .with_fallible("config-options", config_options::table)
            .with_fallible("config-sections", config_options::sections)
            .with_fallible("config-peers", config_options::peers)
            .with("guarantee-tests", move || {
                guarantees::table(&Book::load(&folder).expect("the chapters can be read"))
            });
        let of_source: [(&str, OfSource); 6] = [
            ("stats-fields", statistics::fields),
            ("stats-watch", statistics::watch),
            ("stats-prometheus", statistics::prometheus),
            ("log-table", |root| Ok(tracing_events::table(root))),
            ("events", tracing_events::events),
            ("retire-reasons", tracing_events::reasons),
        ];
        let generators = of_source.into_iter().fold(generators, |generators, (name, block)| {
            let root = root.to_owned();
            generators.with_fallible(name, move || block(&root))
        });
        let generators = api::generators(root, errors::generators(root, generators));
        quiz::generators(root, Generators::measured(root, generators), |root| {
            Generators::measured(root, Generators::new())
        })
    }

    /// Adds the tables of the benchmark, the experiments and the lab.
    fn measured(root: &Path, generators: Generators) -> Generators {
        let generators =
            lab::blocks().fold(generators, |all, (name, block)| all.with(&name, move || block.text()));
        let generators = moves::names(root).into_iter().fold(generators, |generators, program| {
            let root = root.to_owned();
            generators.with_fallible(&format!("move {program}"), move || moves::block(&root, &program))
        });
        figures::blocks().into_iter().fold(generators, |generators, (name, block)| {
            let root = root.to_owned();
            generators.with_fallible(&name, move || block(&root))
        })
    }

    /// Adds a generator for the blocks `<!-- generated: NAME -->`.
    #[must_use]
    pub fn with(self, name: &str, generate: impl Fn() -> String + 'static) -> Generators {
        self.with_fallible(name, move || Ok(generate()))
    }

    /// Adds a generator that may say what it lacks, and what to do.
    #[must_use]
    pub fn with_fallible(
        mut self,
        name: &str,
        generate: impl Fn() -> Result<String, String> + 'static,
    ) -> Generators {
        self.0.insert(name.to_owned(), Box::new(generate));
        self
    }

    /// The text of a block, with one newline at its end.
    pub fn generate(&self, name: &str) -> Option<Result<String, String>> {
        let text = self.0.get(name)?();
        Some(text.map(|text| format!("{}\n", text.trim_matches('\n'))))
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

/// Every option of the pool with its default, as the book writes it: `("max_connections", "10")`.
pub fn option_defaults() -> Vec<(String, String)> {
    let options = poolhouse::PoolConfig::default().options();
    options.into_iter().map(|(name, default)| (name.to_owned(), default)).collect()
}
