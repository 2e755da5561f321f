//! Horizontal bars: a line of text, and below it the bars with their figures.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use crate::Result;
use crate::canvas::{Area, Axis, FAINT, INK, MARGIN, Painted, WIDTH, card, grid, write};

pub(crate) struct Row {
    pub(crate) label: String,
    pub(crate) colour: RGBColor,
    /// One bar each, one below the other.
    pub(crate) values: Vec<f64>,
    /// The figures in words.
    pub(crate) text: String,
}

pub(crate) enum Scale {
    Linear,
    /// Begins here, or at a round number below the least value if that is less.
    LogFrom(f64),
}

pub(crate) struct Bars<'a> {
    pub(crate) title: &'a str,
    pub(crate) axis: &'a str,
    /// What the bars of a row are, if there are several.
    pub(crate) legend: Option<&'a str>,
    pub(crate) scale: Scale,
    /// The pixels to keep for the figures.
    pub(crate) room: i32,
    pub(crate) rows: Vec<Row>,
}

const ROW: i32 = 37;
const BAR: i32 = 12;
const FOOT: i32 = 44;

impl Bars<'_> {
    pub(crate) fn draw(&self) -> Result<String> {
        let top = if self.legend.is_some() { 30 } else { MARGIN };
        let bottom = top + self.rows.len() as i32 * ROW;
        let texts: Vec<String> = self.rows.iter().map(|row| format!("{}: {}", row.label, row.text)).collect();
        let description = format!("{}. {}.", self.axis, texts.join("; "));
        card(self.title, &description, bottom + FOOT, |area| self.paint(area, top, bottom))
    }

    fn paint(&self, area: &Area<'_>, top: i32, bottom: i32) -> Painted {
        let values: Vec<f64> = self.rows.iter().flat_map(|row| row.values.iter().copied()).collect();
        let pixels = (MARGIN + 4, WIDTH - MARGIN - self.room);
        let axis = match self.scale {
            Scale::Linear => Axis::linear(&values, pixels),
            Scale::LogFrom(least) => Axis::log(&values, least, pixels),
        };
        if let Some(legend) = self.legend {
            write(area, legend, (MARGIN, 9), (HPos::Left, VPos::Top), FAINT)?;
        }
        grid(area, &axis, top, bottom, self.axis)?;
        for (index, row) in self.rows.iter().enumerate() {
            let y = top + index as i32 * ROW;
            write(area, &row.label, (MARGIN, y + 2), (HPos::Left, VPos::Top), INK)?;
            let thick = BAR / row.values.len() as i32;
            let mut end = axis.start();
            for (below, value) in row.values.iter().enumerate() {
                let y = y + 19 + below as i32 * thick;
                let colour = if below == 0 { row.colour.mix(1.0) } else { row.colour.mix(0.55) };
                let x = axis.at(*value).max(axis.start() + 1);
                area.draw(&Rectangle::new([(axis.start(), y), (x, y + thick)], colour.filled()))?;
                end = end.max(x);
            }
            let middle = y + 19 + BAR / 2;
            write(area, &row.text, (end + 5, middle + 5), (HPos::Left, VPos::Bottom), INK)?;
        }
        Ok(())
    }
}
