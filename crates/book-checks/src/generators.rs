//! What writes the generated blocks, by name. The place to add one is [`Generators::all`].

use std::collections::BTreeMap;

/// Functions that return the lines of generated blocks.
#[derive(Default)]
pub struct Generators(BTreeMap<String, Box<dyn Fn() -> String>>);

impl Generators {
    /// None yet.
    pub fn new() -> Generators {
        Generators::default()
    }

    /// Every generator of this book: what the book test compares with, and `cargo guide generate` writes.
    pub fn all() -> Generators {
        Generators::new()
    }

    /// Adds a generator for the blocks `<!-- generated: NAME -->`.
    #[must_use]
    pub fn with(mut self, name: &str, generate: impl Fn() -> String + 'static) -> Generators {
        self.0.insert(name.to_owned(), Box::new(generate));
        self
    }

    /// The text of a block, with one newline at its end.
    pub fn generate(&self, name: &str) -> Option<String> {
        Some(format!("{}\n", self.0.get(name)?().trim_matches('\n')))
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

/// Every option of the pool with its default, as the book writes it: `("max_connections", "10")`.
pub fn option_defaults() -> Vec<(String, String)> {
    Vec::new()
}
