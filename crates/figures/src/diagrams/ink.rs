//! Pen and type: what both kinds of diagram are drawn with.

use std::fmt::Write as _;

use super::source::{Align, Diagram, Kind};
use crate::canvas::{MARGIN, WIDTH, escape};

/// In pixels, on a card that is as wide as a phone's column.
pub(super) const TYPE: f64 = 12.5;
pub(super) const LINE: f64 = 15.5;

const INK: &str = "#22262b";
const FAINT: &str = "#4a5058";

/// The fill and the stroke of a kind.
fn colours(kind: Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::Plain => ("#ffffff", "#6b7480"),
        Kind::Good => ("#dff1e1", "#2f7d3b"),
        Kind::Wait => ("#fbeccb", "#946200"),
        Kind::Bad => ("#fbdfdb", "#b3372a"),
        Kind::Main => ("#dbe9f8", "#0b5cab"),
        Kind::Bare => ("none", "none"),
    }
}

fn stroke(kind: Kind) -> &'static str {
    if matches!(kind, Kind::Plain | Kind::Bare) { FAINT } else { colours(kind).1 }
}

/// A picture in the making.
pub(super) struct Sheet {
    body: String,
}

/// How a text stands at its point.
#[derive(Clone, Copy)]
pub(super) struct Style {
    pub(super) align: Align,
    pub(super) strong: bool,
    pub(super) faint: bool,
    /// Paints a rim of the card's colour, so that it can be read on a line.
    pub(super) rim: bool,
}

impl Sheet {
    pub(super) fn new() -> Sheet {
        Sheet { body: String::new() }
    }

    fn put(&mut self, element: std::fmt::Arguments<'_>) {
        self.body.write_fmt(element).expect("a string takes everything");
        self.body.push('\n');
    }

    pub(super) fn band(&mut self, (x, y): (f64, f64), (w, h): (f64, f64)) {
        self.put(format_args!(
            "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"#efefea\"/>",
            px(x),
            px(y),
            px(w),
            px(h)
        ));
    }

    pub(super) fn rectangle(&mut self, (x, y): (f64, f64), (w, h): (f64, f64), kind: Kind, dashed: bool) {
        let (fill, stroke) = colours(kind);
        self.put(format_args!(
            "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"5\" fill=\"{fill}\" stroke=\"{stroke}\" stroke-width=\"1.3\"{}/>",
            px(x), px(y), px(w), px(h), dashes(dashed)
        ));
    }

    pub(super) fn line(&mut self, points: &[(f64, f64)], kind: Kind, dashed: bool) {
        let list: Vec<String> = points.iter().map(|(x, y)| format!("{},{}", px(*x), px(*y))).collect();
        self.put(format_args!(
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"1.4\"{}/>",
            list.join(" "),
            stroke(kind),
            dashes(dashed)
        ));
    }

    /// The head of an arrow whose tip is at `to`.
    pub(super) fn head(&mut self, from: (f64, f64), to: (f64, f64), kind: Kind) {
        let (dx, dy) = (to.0 - from.0, to.1 - from.1);
        let length = dx.hypot(dy).max(0.001);
        let (ux, uy) = (dx / length, dy / length);
        let (bx, by) = (to.0 - 8.0 * ux, to.1 - 8.0 * uy);
        self.put(format_args!(
            "<polygon points=\"{},{} {},{} {},{}\" fill=\"{}\"/>",
            px(to.0),
            px(to.1),
            px(bx - 4.0 * uy),
            px(by + 4.0 * ux),
            px(bx + 4.0 * uy),
            px(by - 4.0 * ux),
            stroke(kind)
        ));
    }

    /// One line of text, whose middle is at this height.
    pub(super) fn write(&mut self, text: &str, (x, y): (f64, f64), style: Style) {
        let anchor = match style.align {
            Align::Start => "start",
            Align::Middle => "middle",
            Align::End => "end",
        };
        let weight = if style.strong { " font-weight=\"bold\"" } else { "" };
        let fill = if style.faint { FAINT } else { INK };
        let rim = if style.rim {
            " stroke=\"#fafaf7\" stroke-width=\"4\" stroke-linejoin=\"round\" paint-order=\"stroke\""
        } else {
            ""
        };
        self.put(format_args!(
            "<text x=\"{}\" y=\"{}\" text-anchor=\"{anchor}\" fill=\"{fill}\"{weight}{rim}>{}</text>",
            px(x),
            px(y + TYPE * 0.36),
            escape(text)
        ));
    }

    /// The card with everything that has been put on it.
    pub(super) fn finish(self, diagram: &Diagram, height: f64) -> String {
        let height = height.ceil();
        let description = diagram.description.split_whitespace().collect::<Vec<_>>().join(" ");
        format!(
            "<svg role=\"img\" width=\"{WIDTH}\" height=\"{height}\" viewBox=\"0 0 {WIDTH} {height}\" \
             xmlns=\"http://www.w3.org/2000/svg\" font-family=\"Arial, Helvetica, sans-serif\" font-size=\"{TYPE}\">\n\
             <title>{}</title>\n<desc>{}</desc>\n\
             <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#fafaf7\"/>\n\
             <rect x=\"0.5\" y=\"0.5\" width=\"{}\" height=\"{}\" fill=\"none\" stroke=\"#d4d4ce\"/>\n{}</svg>\n",
            escape(&diagram.title),
            escape(&description),
            WIDTH - 1,
            height - 1.0,
            self.body
        )
    }
}

/// A length with no more digits than an eye needs.
fn px(length: f64) -> String {
    let rounded = (length * 10.0).round() / 10.0;
    format!("{}", if rounded == 0.0 { 0.0 } else { rounded })
}

fn dashes(dashed: bool) -> &'static str {
    if dashed { " stroke-dasharray=\"5 4\"" } else { "" }
}

/// The width of a card without its margins.
pub(super) fn room() -> f64 {
    f64::from(WIDTH - 2 * MARGIN)
}

/// About how wide a text is. The widths are Arial's, in thousandths of its size; Helvetica has the same.
pub(super) fn width(text: &str, strong: bool) -> f64 {
    let thousandths: f64 = text
        .chars()
        .map(|c| match c {
            '\'' | 'i' | 'j' | 'l' => 222.0,
            ' ' | '!' | ',' | '.' | '/' | ':' | ';' | 'I' | '[' | ']' | '|' | 'f' | 't' => 278.0,
            '(' | ')' | '-' | '`' | 'r' | '"' | '“' | '”' => 340.0,
            'J' | 'c' | 'k' | 's' | 'v' | 'x' | 'y' | 'z' => 500.0,
            'A' | 'B' | 'E' | 'K' | 'P' | 'S' | 'V' | 'X' | 'Y' | '&' => 667.0,
            'C' | 'D' | 'H' | 'N' | 'R' | 'U' | 'w' => 722.0,
            'G' | 'O' | 'Q' => 778.0,
            'M' | 'm' | '%' => 860.0,
            'W' | '@' | '…' | '→' => 1_000.0,
            _ => 575.0,
        })
        .sum();
    thousandths / 1_000.0 * TYPE * if strong { 1.07 } else { 1.0 }
}
