//! Lines over a count, both on logarithmic scales. Each has its name at its end.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use crate::Result;
use crate::canvas::{Area, Axis, INK, Painted, WIDTH, card, lattice, write};
use crate::format::{count, number};

pub(crate) struct Line {
    pub(crate) label: String,
    pub(crate) colour: RGBColor,
    pub(crate) strong: bool,
    pub(crate) points: Vec<(f64, f64)>,
}

const HEIGHT: i32 = 330;
const LEFT: i32 = 52;
const RIGHT: i32 = WIDTH - 128;
const TOP: i32 = 34;
const BOTTOM: i32 = HEIGHT - 50;

pub(crate) fn draw(title: &str, (x, y): (&str, &str), lines: &[Line]) -> Result<String> {
    let point = |(x, y): &(f64, f64)| format!("{} at {}", number(*y), count(*x));
    let texts: Vec<String> = lines
        .iter()
        .map(|line| {
            let points: Vec<String> = line.points.iter().map(point).collect();
            format!("{}: {}", line.label, points.join(", "))
        })
        .collect();
    let description = format!("{y} against {x}. {}.", texts.join("; "));
    card(title, &description, HEIGHT, |area| paint(area, (x, y), lines))
}

fn paint(area: &Area<'_>, (x_name, y_name): (&str, &str), lines: &[Line]) -> Painted {
    let all = || lines.iter().flat_map(|line| line.points.iter().copied());
    let xs: Vec<f64> = all().map(|(x, _)| x).collect();
    let ys: Vec<f64> = all().map(|(_, y)| y).collect();
    let x_axis = Axis::log(&xs, f64::INFINITY, (LEFT, RIGHT));
    let y_axis = Axis::log(&ys, f64::INFINITY, (BOTTOM, TOP));
    lattice(area, (&x_axis, x_axis.ticks(), x_name), (&y_axis, y_name))?;
    // Weak lines first, so that the strong ones lie on top.
    let mut order: Vec<&Line> = lines.iter().collect();
    order.sort_by_key(|line| line.strong);
    for line in &order {
        let points: Vec<(i32, i32)> =
            line.points.iter().map(|(x, y)| (x_axis.at(*x), y_axis.at(*y))).collect();
        let width = if line.strong { 3 } else { 2 };
        area.draw(&PathElement::new(points.clone(), line.colour.stroke_width(width)))?;
        for point in points {
            area.draw(&Circle::new(point, 3, line.colour.filled()))?;
        }
    }
    let mut ends = Vec::new();
    for line in lines {
        if let Some((x, y)) = line.points.last() {
            let ink = if line.strong { line.colour } else { INK };
            ends.push(End {
                at: (x_axis.at(*x), y_axis.at(*y)),
                name: &line.label,
                colour: line.colour,
                ink,
            });
        }
    }
    names(area, RIGHT, ends)
}

/// Where a line ends, its colour, and its name with the colour of that.
pub(crate) struct End<'a> {
    pub(crate) at: (i32, i32),
    pub(crate) name: &'a str,
    pub(crate) colour: RGBColor,
    pub(crate) ink: RGBColor,
}

/// The names stand one below the other in the order of the ends. A thin line leads from each end to its name.
pub(crate) fn names(area: &Area<'_>, right: i32, mut ends: Vec<End<'_>>) -> Painted {
    const APART: i32 = 17;
    ends.sort_by_key(|end| end.at.1);
    let mut places: Vec<i32> = ends.iter().map(|end| end.at.1).collect();
    // Names that are too close push each other apart, each by half. A few passes suffice for so few names.
    for _ in 0..200 {
        for index in 1..places.len() {
            let lacks = APART - (places[index] - places[index - 1]);
            if lacks > 0 {
                places[index - 1] -= lacks / 2;
                places[index] += lacks - lacks / 2;
            }
        }
    }
    for (End { at: (x, y), name, colour, ink }, place) in ends.into_iter().zip(places) {
        area.draw(&PathElement::new([(x + 4, y), (right + 10, place)], colour))?;
        write(area, name, (right + 13, place + 5), (HPos::Left, VPos::Bottom), ink)?;
    }
    Ok(())
}
