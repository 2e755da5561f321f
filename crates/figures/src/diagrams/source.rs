//! What a source may say.

use std::ops::Range;

use serde::Deserialize;
use toml::Spanned;

use super::Fault;

/// A place in the grid: a column and a row.
pub(super) type Place = [f64; 2];

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Diagram {
    pub(super) title: String,
    /// The whole picture in words.
    pub(super) description: String,
    /// How many columns share the width.
    #[serde(default = "one")]
    pub(super) columns: f64,
    /// The height of a row in pixels.
    #[serde(default = "row_height")]
    pub(super) row_height: f64,
    /// Rows, if the last box is not the end of it.
    #[serde(default)]
    pub(super) rows: f64,
    #[serde(default, rename = "box")]
    pub(super) boxes: Vec<Spanned<Shape>>,
    #[serde(default)]
    pub(super) arrow: Vec<Spanned<Arrow>>,
    #[serde(default)]
    pub(super) text: Vec<Spanned<Words>>,
    #[serde(default)]
    pub(super) lane: Vec<Spanned<Lane>>,
    #[serde(default)]
    pub(super) mark: Vec<Spanned<Mark>>,
    #[serde(default)]
    pub(super) node: Vec<Spanned<Node>>,
}

fn one() -> f64 {
    1.0
}

fn row_height() -> f64 {
    24.0
}

fn whole_box() -> Place {
    [1.0, 1.5]
}

/// Colours tell what a thing is; the words say it too.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    #[default]
    Plain,
    /// It works.
    Good,
    /// Somebody waits.
    Wait,
    /// It goes wrong, or ends.
    Bad,
    /// What the picture is about.
    Main,
    /// Text without a frame.
    Bare,
}

/// A box. Its first line is strong, the others explain it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Shape {
    pub(super) id: String,
    pub(super) text: String,
    /// Its upper left corner.
    pub(super) at: Place,
    #[serde(default = "whole_box")]
    pub(super) size: Place,
    #[serde(default)]
    pub(super) kind: Kind,
    #[serde(default)]
    pub(super) dashed: bool,
}

/// An arrow. An end is the id of a box, then perhaps a side, then perhaps where along it, from 0 to 1: `idle right 0.3`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Arrow {
    pub(super) from: String,
    pub(super) to: String,
    #[serde(default)]
    pub(super) text: String,
    /// Corners on the way.
    #[serde(default)]
    pub(super) via: Vec<Place>,
    /// Where the text stands; the middle of the longest leg if not given.
    pub(super) label: Option<Place>,
    #[serde(default)]
    pub(super) align: Align,
    #[serde(default)]
    pub(super) kind: Kind,
    #[serde(default)]
    pub(super) dashed: bool,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(super) enum Align {
    Start,
    #[default]
    Middle,
    End,
}

/// Words without a box.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Words {
    pub(super) text: String,
    pub(super) at: Place,
    #[serde(default)]
    pub(super) align: Align,
    #[serde(default)]
    pub(super) strong: bool,
}

/// A band across the picture, with its name at its upper left.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Lane {
    pub(super) text: String,
    pub(super) row: f64,
    #[serde(default = "lane_height")]
    pub(super) rows: f64,
}

fn lane_height() -> f64 {
    2.0
}

/// An upright line: a moment.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Mark {
    pub(super) text: String,
    pub(super) column: f64,
    /// Where it begins and ends.
    pub(super) rows: [f64; 2],
    #[serde(default)]
    pub(super) align: Align,
    #[serde(default)]
    pub(super) kind: Kind,
}

/// A node of a tree, below the nearest node before it that is less deep.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Node {
    #[serde(default)]
    pub(super) depth: usize,
    pub(super) text: String,
    /// The page that a leaf leads to.
    pub(super) page: Option<String>,
}

impl Diagram {
    pub(super) fn parse(source: &str) -> Result<Diagram, Fault> {
        let diagram: Diagram = toml::from_str(source).map_err(|error| Fault {
            line: error.span().map_or(1, |span| line(source, &span)),
            message: error.message().to_owned(),
        })?;
        let fault = |message: &str| Err(Fault { line: 1, message: message.to_owned() });
        if diagram.title.trim().is_empty() {
            return fault("`title` is empty: it is what a screen reader says first");
        }
        if diagram.description.trim().is_empty() {
            return fault("`description` is empty: say in words what the picture shows");
        }
        if !(diagram.columns > 0.0 && diagram.row_height > 0.0) {
            return fault("`columns` and `row_height` must be above 0");
        }
        match (diagram.boxes.is_empty(), diagram.node.is_empty()) {
            (true, true) => fault("no `box` and no `node`: draw something"),
            (false, false) => fault("`box` and `node`: a diagram is a grid or a tree, not both"),
            _ => Ok(diagram),
        }
    }
}

/// The line in which a span begins.
pub(super) fn line(source: &str, span: &Range<usize>) -> usize {
    source[..span.start.min(source.len())].matches('\n').count() + 1
}
