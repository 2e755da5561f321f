//! How long the waits are: for each pool a line from the median to the longest, on a logarithmic scale.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use crate::Result;
use crate::canvas::{Area, Axis, FAINT, INK, MARGIN, Painted, WIDTH, card, grid, write};
use crate::format::number;

pub(crate) struct Row {
    pub(crate) label: String,
    pub(crate) colour: RGBColor,
    pub(crate) median: f64,
    pub(crate) p99: f64,
    pub(crate) longest: f64,
}

const ROW: i32 = 37;
const TOP: i32 = 48;

pub(crate) fn draw(title: &str, axis: &str, rows: &[Row]) -> Result<String> {
    let texts: Vec<String> = rows
        .iter()
        .map(|row| {
            format!(
                "{}: median {}, 99th percentile {}, longest {}",
                row.label,
                number(row.median),
                number(row.p99),
                number(row.longest)
            )
        })
        .collect();
    let description = format!("{axis}. {}.", texts.join("; "));
    let bottom = TOP + rows.len() as i32 * ROW;
    card(title, &description, bottom + 44, |area| paint(area, axis, rows, bottom))
}

fn paint(area: &Area<'_>, name: &str, rows: &[Row], bottom: i32) -> Painted {
    let values: Vec<f64> = rows.iter().flat_map(|row| [row.median, row.longest]).collect();
    let axis = Axis::log(&values, f64::INFINITY, (MARGIN + 6, WIDTH - MARGIN - 60));
    legend(area)?;
    grid(area, &axis, TOP, bottom, name)?;
    for (index, row) in rows.iter().enumerate() {
        let y = TOP + index as i32 * ROW;
        write(area, &row.label, (MARGIN, y + 2), (HPos::Left, VPos::Top), INK)?;
        let y = y + 25;
        let (from, to) = (axis.at(row.median), axis.at(row.longest));
        area.draw(&PathElement::new([(from, y), (to, y)], row.colour.stroke_width(2)))?;
        dot(area, (from, y), row.colour)?;
        ring(area, (axis.at(row.p99), y), row.colour)?;
        tick(area, (to, y), row.colour)?;
        write(area, &number(row.longest), (to + 7, y + 5), (HPos::Left, VPos::Bottom), INK)?;
    }
    Ok(())
}

fn legend(area: &Area<'_>) -> Painted {
    let corner = (HPos::Left, VPos::Top);
    dot(area, (MARGIN + 5, 17), FAINT)?;
    write(area, "median", (MARGIN + 16, 9), corner, FAINT)?;
    ring(area, (MARGIN + 82, 17), FAINT)?;
    write(area, "99th percentile", (MARGIN + 93, 9), corner, FAINT)?;
    tick(area, (MARGIN + 210, 17), FAINT)?;
    write(area, "longest", (MARGIN + 219, 9), corner, FAINT)?;
    write(area, "The figure is the longest wait.", (MARGIN, 28), corner, FAINT)
}

fn dot(area: &Area<'_>, at: (i32, i32), colour: RGBColor) -> Painted {
    area.draw(&Circle::new(at, 5, colour.filled()))
}

fn ring(area: &Area<'_>, at: (i32, i32), colour: RGBColor) -> Painted {
    area.draw(&Circle::new(at, 5, WHITE.filled()))?;
    area.draw(&Circle::new(at, 5, colour.stroke_width(2)))
}

fn tick(area: &Area<'_>, (x, y): (i32, i32), colour: RGBColor) -> Painted {
    area.draw(&Rectangle::new([(x - 2, y - 7), (x + 1, y + 7)], colour.filled()))
}
