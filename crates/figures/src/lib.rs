//! The tables, plots and diagrams of the book, from what the benchmark and the experiments measured.
//!
//! The benchmark writes two files, [`BENCH`] and [`COUNTS`], and the experiments one each. From them this crate makes text: Markdown for the
//! generated blocks of the chapters ([`blocks`]), and SVG for the plots ([`plots`]). It writes nothing itself, and the
//! same data always gives the same text, so that a test can compare. The [`diagrams`] are drawn from sources that lie
//! beside them in the book.
//!
//! The plots are drawn by plotters, with nothing of it but the backend for SVG. It is what criterion draws with, so it
//! is kept; it needs no browser, no font and no C library; and its text is that of an SVG, which can be read aloud.

mod ahead;
mod bars;
mod calculators;
mod canvas;
mod curves;
mod data;
mod database;
pub mod diagrams;
mod experiments;
mod format;
mod layers;
mod lines;
mod metrics;
pub mod plots;
mod sizes;
mod strips;
mod summaries;
mod tables;
pub mod traces;
mod waits;

#[cfg(test)]
mod sample;

use std::path::Path;

pub use data::{BENCH, COUNTS};
use data::{Bench, Counts};

/// Why there is no text: what is wrong with the data, and the command that fixes it.
pub type Result<T> = std::result::Result<T, String>;

/// Makes the text of one block from the files below a folder.
pub type Block = Box<dyn Fn(&Path) -> Result<String>>;

/// Makes a block from data.
type Make<D> = fn(&D) -> Result<String>;

/// Every block by its name.
pub fn blocks() -> Vec<(String, Block)> {
    let mut blocks: Vec<(String, Block)> = Vec::new();
    for id in ["S1", "S2", "S3", "S4", "S5", "S6", "S8", "S9", "S10", "S11"] {
        blocks.push((
            format!("bench-{}", id.to_lowercase()),
            Box::new(move |root| tables::scenario(&Bench::read(root)?, id)),
        ));
    }
    let bench: [(&str, Make<Bench>); 7] = [
        ("bench-ahead", ahead::table),
        ("bench-run", tables::run),
        ("bench-setups", tables::setups),
        ("bench-share", summaries::share),
        ("bench-spike", summaries::spike),
        ("bench-summary", summaries::network),
        ("bench-tails", summaries::tails),
    ];
    for (name, make) in bench {
        blocks.push((name.to_owned(), Box::new(move |root| make(&Bench::read(root)?))));
    }
    let counts: [(&str, Make<Counts>); 2] =
        [("counts-costs", tables::costs), ("counts-sizes", tables::sizes)];
    for (name, make) in counts {
        blocks.push((name.to_owned(), Box::new(move |root| make(&Counts::read(root)?))));
    }
    blocks.extend(experiments::blocks());
    blocks.extend(layers::blocks());
    blocks.extend(database::blocks());
    blocks.extend(sizes::blocks());
    blocks.extend(traces::blocks());
    blocks.extend(calculators::blocks());
    blocks
}
