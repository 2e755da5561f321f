//! Curves over linear axes, with what was measured as dots beside them. Each has its name at its end.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use crate::Result;
use crate::canvas::{Area, Axis, FAINT, Painted, WIDTH, card, lattice, write};
use crate::lines::{self, End};

pub(crate) struct Curve {
    pub(crate) label: String,
    pub(crate) colour: RGBColor,
    pub(crate) points: Vec<(f64, f64)>,
    /// What was measured, if the curve is what was expected.
    pub(crate) dots: Vec<(f64, f64)>,
}

pub(crate) struct Curves<'a> {
    pub(crate) title: &'a str,
    /// What the curves show, in words.
    pub(crate) description: String,
    pub(crate) x: &'a str,
    pub(crate) y: &'a str,
    /// Where the axes end.
    pub(crate) ends: (f64, f64),
    /// A height that means something, with its name.
    pub(crate) limit: Option<(f64, &'a str)>,
    pub(crate) curves: Vec<Curve>,
}

const HEIGHT: i32 = 330;
const LEFT: i32 = 42;
const RIGHT: i32 = WIDTH - 120;
const TOP: i32 = 34;
const BOTTOM: i32 = HEIGHT - 50;

impl Curves<'_> {
    pub(crate) fn draw(&self) -> Result<String> {
        card(self.title, &self.description, HEIGHT, |area| self.paint(area))
    }

    fn paint(&self, area: &Area<'_>) -> Painted {
        let x_axis = Axis::linear(&[self.ends.0], (LEFT, RIGHT));
        let y_axis = Axis::linear(&[self.ends.1], (BOTTOM, TOP));
        lattice(area, (&x_axis, x_axis.at_most(6), self.x), (&y_axis, self.y))?;
        if let Some((height, name)) = self.limit {
            let y = y_axis.at(height);
            area.draw(&PathElement::new([(LEFT, y), (RIGHT, y)], FAINT.stroke_width(2)))?;
            write(area, name, (LEFT + 4, y - 3), (HPos::Left, VPos::Bottom), FAINT)?;
        }
        let mut ends = Vec::new();
        for curve in &self.curves {
            let inside = |(x, y): &(f64, f64)| *x <= self.ends.0 && *y <= self.ends.1 * 1.02;
            let pixel = |(x, y): &(f64, f64)| (x_axis.at(*x), y_axis.at(*y));
            // A curve that leaves the plot ends at its edge.
            let points: Vec<(i32, i32)> =
                curve.points.iter().filter(|point| inside(point)).map(pixel).collect();
            if let Some(end) = points.last() {
                let Curve { label: name, colour, .. } = curve;
                ends.push(End { at: *end, name, colour: *colour, ink: *colour });
            }
            area.draw(&PathElement::new(points, curve.colour.stroke_width(2)))?;
            for dot in curve.dots.iter().filter(|dot| inside(dot)) {
                area.draw(&Circle::new(pixel(dot), 4, curve.colour.filled()))?;
            }
        }
        lines::names(area, RIGHT, ends)
    }
}
