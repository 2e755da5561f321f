//! What the plots share: the card, the colours, the type, and the axis.
//!
//! A plot is as wide as a phone's column, so that its text has its full size there; on a wide screen the page enlarges
//! it. It is a light card of its own, legible on any page. Where the page knows that it is dark, its style sheet turns
//! the card dark (`book/theme/guide.css`).

use plotters::coord::Shift;
use plotters::coord::ranged1d::{Ranged, ValueFormatter};
use plotters::coord::types::RangedCoordf64;
use plotters::drawing::DrawingAreaErrorKind;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::Result;
use crate::data::{Competitor, Kind};
use crate::format;

pub(crate) const WIDTH: i32 = 350;
pub(crate) const MARGIN: i32 = 10;

/// In pixels: a little above what is legible at the width of a phone.
const TYPE: f64 = 13.0;
const FAMILY: &str = "Arial, Helvetica, sans-serif";

const CARD: RGBColor = RGBColor(0xfa, 0xfa, 0xf7);
const FRAME: RGBColor = RGBColor(0xd4, 0xd4, 0xce);
pub(crate) const GRID: RGBColor = RGBColor(0xdd, 0xdd, 0xd8);
pub(crate) const INK: RGBColor = RGBColor(0x22, 0x26, 0x2b);
pub(crate) const FAINT: RGBColor = RGBColor(0x55, 0x5b, 0x63);

pub(crate) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
pub(crate) type Painted = std::result::Result<(), DrawingAreaErrorKind<std::io::Error>>;

/// Three that are told apart by shade as well as by hue.
pub(crate) const BLUE: RGBColor = RGBColor(0x0b, 0x5c, 0xab);
pub(crate) const GREY: RGBColor = RGBColor(0x7b, 0x86, 0x93);
pub(crate) const BROWN: RGBColor = RGBColor(0xb5, 0x82, 0x2f);

/// Poolhouse, its peers, and what is no pool are told apart by shade as well as by hue.
pub(crate) fn colour(competitor: &Competitor) -> RGBColor {
    match (competitor.kind, competitor.id.starts_with("poolhouse")) {
        (_, true) => BLUE,
        (Kind::Pool, _) => GREY,
        _ => BROWN,
    }
}

/// What a plot calls a competitor.
pub(crate) fn label(competitor: &Competitor) -> String {
    match competitor.kind {
        Kind::Pool => competitor.label.clone(),
        Kind::Baseline => format!("{} (baseline)", competitor.label),
        Kind::Floor => format!("{} (floor)", competitor.label),
    }
}

/// Text whose box hangs from the point by this corner.
pub(crate) fn write(
    area: &Area<'_>,
    text: &str,
    at: (i32, i32),
    (h, v): (HPos, VPos),
    colour: RGBColor,
) -> Painted {
    // Plotters counts the size of a font in another unit than SVG.
    let style = (FAMILY, TYPE * 1.24).into_text_style(area).color(&colour).pos(Pos::new(h, v));
    area.draw(&Text::new(text.to_owned(), at, style))
}

/// Draws a card and what `paint` puts on it. `title` and `description` are for those who do not see it.
pub(crate) fn card(
    title: &str,
    description: &str,
    height: i32,
    paint: impl FnOnce(&Area<'_>) -> Painted,
) -> Result<String> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (WIDTH as u32, height as u32)).into_drawing_area();
        let frame = Rectangle::new([(0, 0), (WIDTH - 1, height - 1)], FRAME);
        area.fill(&CARD)
            .and_then(|()| area.draw(&frame))
            .and_then(|()| paint(&area))
            .and_then(|()| area.present())
            .map_err(|error| format!("the plot `{title}` cannot be drawn: {error}"))?;
    }
    let head = svg.find('>').ok_or("plotters has drawn no SVG")?;
    svg.insert_str(
        head + 1,
        &format!("\n<title>{}</title>\n<desc>{}</desc>", escape(title), escape(description)),
    );
    svg.insert_str(head, " role=\"img\"");
    Ok(format!("{}\n", svg.trim_end()))
}

pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// A scale between two pixels.
pub(crate) struct Axis {
    scale: RangedCoordf64,
    pixels: (i32, i32),
    log: bool,
}

impl Axis {
    /// From zero to a little more than the largest value.
    pub(crate) fn linear(values: &[f64], pixels: (i32, i32)) -> Axis {
        let most = values.iter().copied().fold(0.0, f64::max);
        Axis { scale: (0.0..most * 1.02).into(), pixels, log: false }
    }

    /// From a round number below the least value to one above the largest. `least` is where it begins at the latest.
    pub(crate) fn log(values: &[f64], least: f64, pixels: (i32, i32)) -> Axis {
        let bottom = values.iter().copied().filter(|value| *value > 0.0).fold(least, f64::min);
        let top = values.iter().copied().fold(bottom, f64::max);
        let from = round_numbers().filter(|tick| *tick <= bottom).last().unwrap_or(bottom);
        Axis { scale: (from.log10()..(top * 1.1).log10()).into(), pixels, log: true }
    }

    /// The pixel of a value. Zero has no place on a logarithmic scale, and is put at its start.
    pub(crate) fn at(&self, value: f64) -> i32 {
        let value = if self.log { value.log10() } else { value };
        self.scale.map(&value.max(self.scale.range().start), self.pixels)
    }

    /// Where the axis begins.
    pub(crate) fn start(&self) -> i32 {
        self.pixels.0
    }

    /// Values worth a line of the grid, with the texts beside them.
    pub(crate) fn ticks(&self) -> Vec<(f64, String)> {
        self.at_most(5)
    }

    /// The same, with so many of them at most if the scale is linear.
    pub(crate) fn at_most(&self, count: usize) -> Vec<(f64, String)> {
        let range = self.scale.range();
        let ticks: Vec<f64> = if self.log {
            let inside = |tick: &f64| (range.start - 1e-9..=range.end + 1e-9).contains(&tick.log10());
            let tens: Vec<f64> =
                round_numbers().filter(inside).filter(|tick| tick.log10().fract().abs() < 1e-9).collect();
            if tens.len() > 2 { tens } else { round_numbers().filter(inside).collect() }
        } else {
            self.scale.key_points(count)
        };
        ticks.into_iter().map(|tick| (tick, short(tick))).collect()
    }
}

/// A whole number as such; a fraction with the digits that it needs.
fn short(tick: f64) -> String {
    if tick.fract() == 0.0 { format::count(tick) } else { RangedCoordf64::format(&tick) }
}

/// 1, 2 and 5 in every decade that a figure may be in.
fn round_numbers() -> impl Iterator<Item = f64> {
    (-3..12).flat_map(|power| [1.0, 2.0, 5.0].map(|digit| digit * 10f64.powi(power)))
}

/// The grid and the figures below it, for an axis that lies, and its name.
pub(crate) fn grid(area: &Area<'_>, axis: &Axis, top: i32, bottom: i32, name: &str) -> Painted {
    for (value, text) in axis.ticks() {
        let x = axis.at(value);
        area.draw(&PathElement::new([(x, top), (x, bottom)], GRID))?;
        write(area, &text, (x, bottom + 4), (HPos::Center, VPos::Top), FAINT)?;
    }
    write(area, name, (MARGIN, bottom + 21), (HPos::Left, VPos::Top), FAINT)
}

/// The grid of a plot with two axes, the figures beside it, and the names of the axes.
pub(crate) fn lattice(
    area: &Area<'_>,
    (x_axis, x_ticks, x_name): (&Axis, Vec<(f64, String)>, &str),
    (y_axis, y_name): (&Axis, &str),
) -> Painted {
    let ((left, right), (bottom, top)) = (x_axis.pixels, y_axis.pixels);
    write(area, y_name, (MARGIN, 9), (HPos::Left, VPos::Top), FAINT)?;
    for (value, text) in x_ticks {
        let x = x_axis.at(value);
        area.draw(&PathElement::new([(x, top), (x, bottom)], GRID))?;
        write(area, &text, (x, bottom + 4), (HPos::Center, VPos::Top), FAINT)?;
    }
    for (value, text) in y_axis.ticks() {
        let y = y_axis.at(value);
        area.draw(&PathElement::new([(left, y), (right, y)], GRID))?;
        write(area, &text, (left - 5, y + 5), (HPos::Right, VPos::Bottom), FAINT)?;
    }
    write(area, x_name, (MARGIN, bottom + 24), (HPos::Left, VPos::Top), FAINT)
}
