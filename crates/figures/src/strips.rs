//! Strips one below the other on a common time axis: a column for each unit of time.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use crate::Result;
use crate::canvas::{Area, Axis, FAINT, INK, MARGIN, Painted, WIDTH, card, grid, write};

pub(crate) struct Strip {
    pub(crate) label: String,
    pub(crate) colour: RGBColor,
    /// One for each unit of time.
    pub(crate) values: Vec<f64>,
}

const STRIP: i32 = 84;
const COLUMNS: i32 = 56;
const FOOT: i32 = 44;

/// `unit` is how much of the axis a value takes.
pub(crate) fn draw(
    title: &str,
    description: &str,
    (axis, unit): (&str, f64),
    strips: &[Strip],
) -> Result<String> {
    let height = MARGIN + strips.len() as i32 * STRIP + FOOT;
    card(title, description, height, |area| paint(area, (axis, unit), strips))
}

fn paint(area: &Area<'_>, (name, unit): (&str, f64), strips: &[Strip]) -> Painted {
    let longest = strips.iter().map(|strip| strip.values.len()).max().unwrap_or_default() as f64;
    let most = strips.iter().flat_map(|strip| strip.values.iter().copied()).fold(0.0, f64::max);
    let axis = Axis::linear(&[longest * unit], (MARGIN + 4, WIDTH - MARGIN - 4));
    let bottom = MARGIN + strips.len() as i32 * STRIP;
    grid(area, &axis, MARGIN, bottom, name)?;
    for (index, strip) in strips.iter().enumerate() {
        let top = MARGIN + index as i32 * STRIP;
        let floor = top + STRIP - 6;
        write(area, &strip.label, (MARGIN + 4, top), (HPos::Left, VPos::Top), INK)?;
        area.draw(&PathElement::new([(axis.start(), floor), (WIDTH - MARGIN, floor)], FAINT))?;
        for (at, value) in strip.values.iter().enumerate().filter(|(_, value)| **value > 0.0) {
            let left = axis.at(at as f64 * unit);
            let right = axis.at((at + 1) as f64 * unit).max(left + 2);
            let high = (value / most * f64::from(COLUMNS)).round().max(1.0) as i32;
            area.draw(&Rectangle::new([(left, floor - high), (right, floor)], strip.colour.filled()))?;
        }
    }
    Ok(())
}
