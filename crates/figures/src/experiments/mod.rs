//! The tables and plots of the experiments: a module for each chapter.

mod fleets;
mod idle_order;
mod lifetime;
mod littles_law;
mod outage;
mod overload;
mod pool_sizes;
mod queueing;

use std::fs;
use std::path::Path;

use plotters::style::RGBColor;
use serde::de::DeserializeOwned;

use crate::canvas::{BLUE, BROWN, GREY};
use crate::format::wrap;
use crate::tables::{head, row};
use crate::{Block, Result};

/// What writes the data anew.
const COMMAND: &str = "cargo guide generate";

/// Told apart by shade as well as by hue.
const COLOURS: [RGBColor; 4] = [BLUE, BROWN, RGBColor(0x2f, 0x6f, 0x3e), GREY];

pub(crate) fn blocks() -> Vec<(String, Block)> {
    vec![
        block("experiment-littles-law", ::experiments::littles_law::FILE, littles_law::table),
        block("experiment-queueing", ::experiments::queueing::FILE, queueing::table),
        block("experiment-shapes", ::experiments::queueing::FILE, queueing::shapes),
        block("experiment-outage-refused", ::experiments::outage::FILE, outage::refused),
        block("experiment-outage-silent", ::experiments::outage::FILE, outage::silent),
        block("experiment-outage-texts", ::experiments::outage::FILE, outage::texts),
        block("experiment-overload", ::experiments::overload::FILE, overload::table),
        block("experiment-idle-order", ::experiments::idle_order::FILE, idle_order::table),
        block("experiment-idle-order-fixed", ::experiments::idle_order::FILE, idle_order::fixed),
        block("experiment-pool-sizes", ::experiments::pool_sizes::FILE, pool_sizes::table),
        block("experiment-lifetime", ::experiments::lifetime::FILE, lifetime::table),
        block("experiment-fleets", ::experiments::fleets::FILE, fleets::table),
    ]
}

/// The name of each plot, and its text.
pub(crate) fn plots(root: &Path) -> Result<Vec<(&'static str, String)>> {
    let queueing = read(root, ::experiments::queueing::FILE)?;
    let outage = read(root, ::experiments::outage::FILE)?;
    Ok(vec![
        ("littles-law", littles_law::plot(&read(root, ::experiments::littles_law::FILE)?)?),
        ("queueing-mean", queueing::mean(&queueing)?),
        ("queueing-p99", queueing::p99(&queueing)?),
        ("outage-connects", outage::plot(&outage)?),
        ("outage-recovery", outage::recovery(&outage)?),
        ("overload", overload::plot(&read(root, ::experiments::overload::FILE)?)?),
        ("idle-order", idle_order::plot(&read(root, ::experiments::idle_order::FILE)?)?),
        ("pool-sizes", pool_sizes::plot(&read(root, ::experiments::pool_sizes::FILE)?)?),
        ("lifetime", lifetime::plot(&read(root, ::experiments::lifetime::FILE)?)?),
        ("fleets", fleets::plot(&read(root, ::experiments::fleets::FILE)?)?),
    ])
}

fn block<D: DeserializeOwned + 'static>(
    name: &str,
    file: &'static str,
    make: fn(&D) -> String,
) -> (String, Block) {
    (name.to_owned(), Box::new(move |root| Ok(make(&read(root, file)?))))
}

fn read<D: DeserializeOwned>(root: &Path, file: &str) -> Result<D> {
    let file = format!("{}/{file}", ::experiments::FOLDER);
    let text = fs::read_to_string(root.join(&file));
    text.map_err(|error| error.to_string())
        .and_then(|text| serde_json::from_str(&text).map_err(|error| error.to_string()))
        .map_err(|error| format!("{file} cannot be read: {error}; write it with `{COMMAND}`"))
}

/// A table, and below it how its figures came about. The first `texts` columns are texts.
fn table(header: &[&str], texts: usize, rows: impl IntoIterator<Item = Vec<String>>, about: &str) -> String {
    let rows: String = rows.into_iter().map(|cells| row(&cells)).collect();
    format!("{}{rows}\n{}", head(header, texts), wrap(&format!("{about} In virtual time. `{COMMAND}`")))
}
