//! A grid: boxes and texts at given places, arrows between them, lanes and marks behind them.

use std::collections::BTreeMap;
use std::ops::Range;

use super::Fault;
use super::ink::{LINE, Sheet, Style, room, width};
use super::source::{Align, Arrow, Diagram, Kind, Lane, Mark, Place, Shape, Words, line};
use crate::canvas::{MARGIN, WIDTH};

type Point = (f64, f64);

/// The rectangle of a box, in pixels.
#[derive(Clone, Copy)]
struct Frame {
    x: f64,
    y: f64,
    w: f64,
    h: f64,
}

impl Frame {
    fn middle(self) -> Point {
        (self.x + self.w / 2.0, self.y + self.h / 2.0)
    }

    /// A point of a side, so far along it.
    fn point(self, side: Side, share: f64) -> Point {
        match side {
            Side::Left => (self.x, self.y + self.h * share),
            Side::Right => (self.x + self.w, self.y + self.h * share),
            Side::Top => (self.x + self.w * share, self.y),
            Side::Bottom => (self.x + self.w * share, self.y + self.h),
        }
    }

    /// The side that faces a point.
    fn facing(self, (x, y): Point) -> Side {
        let (cx, cy) = self.middle();
        let (dx, dy) = ((x - cx) / self.w, (y - cy) / self.h);
        match (dx.abs() > dy.abs(), dx > 0.0, dy > 0.0) {
            (true, true, _) => Side::Right,
            (true, false, _) => Side::Left,
            (false, _, true) => Side::Bottom,
            (false, _, false) => Side::Top,
        }
    }
}

#[derive(Clone, Copy)]
enum Side {
    Left,
    Right,
    Top,
    Bottom,
}

struct Grid<'a> {
    column: f64,
    row: f64,
    source: &'a str,
    frames: BTreeMap<&'a str, Frame>,
    sheet: Sheet,
    bottom: f64,
}

pub(super) fn draw(diagram: &Diagram, source: &str) -> Result<String, Fault> {
    let mut grid = Grid {
        column: room() / diagram.columns,
        row: diagram.row_height,
        source,
        frames: BTreeMap::new(),
        sheet: Sheet::new(),
        bottom: diagram.rows * diagram.row_height,
    };
    for lane in &diagram.lane {
        grid.lane(lane.get_ref(), &lane.span())?;
    }
    for mark in &diagram.mark {
        grid.mark(mark.get_ref(), &mark.span())?;
    }
    for shape in &diagram.boxes {
        grid.shape(shape.get_ref(), &shape.span())?;
    }
    for arrow in &diagram.arrow {
        grid.arrow(arrow.get_ref(), &arrow.span())?;
    }
    for words in &diagram.text {
        grid.words(words.get_ref(), &words.span())?;
    }
    let height = grid.bottom + f64::from(2 * MARGIN);
    Ok(grid.sheet.finish(diagram, height))
}

impl<'a> Grid<'a> {
    fn fault<T>(&self, span: &Range<usize>, message: String) -> Result<T, Fault> {
        Err(Fault { line: line(self.source, span), message })
    }

    fn pixels(&self, [column, row]: Place) -> Point {
        (f64::from(MARGIN) + column * self.column, f64::from(MARGIN) + row * self.row)
    }

    fn lane(&mut self, lane: &Lane, span: &Range<usize>) -> Result<(), Fault> {
        let at = self.pixels([0.0, lane.row]);
        self.sheet.band((at.0 - 4.0, at.1), (room() + 8.0, lane.rows * self.row - 4.0));
        self.bottom = self.bottom.max((lane.row + lane.rows) * self.row);
        let style = Style { align: Align::Start, strong: false, faint: true, rim: false };
        self.text(&lane.text, (at.0, at.1 + LINE / 2.0 + 1.0), style, "lane `text`", span)
    }

    fn mark(&mut self, mark: &Mark, span: &Range<usize>) -> Result<(), Fault> {
        let [from, to] = mark.rows.map(|row| self.pixels([mark.column, row]));
        self.sheet.line(&[from, to], mark.kind, true);
        self.bottom = self.bottom.max(mark.rows[1] * self.row);
        let style = Style { align: mark.align, strong: false, faint: false, rim: true };
        let x = match mark.align {
            Align::Start => from.0 + 4.0,
            Align::Middle => from.0,
            Align::End => from.0 - 4.0,
        };
        self.text(&mark.text, (x, from.1 + LINE / 2.0), style, "mark `text`", span)
    }

    fn shape(&mut self, shape: &'a Shape, span: &Range<usize>) -> Result<(), Fault> {
        let name = format!("box `{}`", shape.id);
        let (x, y) = self.pixels(shape.at);
        let frame = Frame { x, y, w: shape.size[0] * self.column, h: shape.size[1] * self.row };
        let right = f64::from(WIDTH - MARGIN) + 0.5;
        if frame.w <= 0.0 || frame.h <= 0.0 || x < f64::from(MARGIN) - 0.5 || y < 0.0 || x + frame.w > right {
            return self.fault(span, format!("{name}, `at` and `size`: it does not lie within the columns"));
        }
        self.sheet.rectangle((x, y), (frame.w, frame.h), shape.kind, shape.dashed);
        let lines: Vec<&str> = shape.text.lines().collect();
        if lines.len() as f64 * LINE > frame.h + 1.0 {
            return self.fault(
                span,
                format!(
                    "{name}, `text`: {} lines need {} rows",
                    lines.len(),
                    (lines.len() as f64 * LINE / self.row * 10.0).ceil() / 10.0
                ),
            );
        }
        let (cx, cy) = frame.middle();
        let first = cy - (lines.len() as f64 - 1.0) * LINE / 2.0;
        for (index, text) in lines.iter().enumerate() {
            let bare = shape.kind == Kind::Bare;
            let strong = index == 0 && !bare;
            let needed = width(text, strong);
            if needed > frame.w - 4.0 {
                return self.fault(
                    span,
                    format!("{name}, `text`: `{text}` is about {needed:.0} wide and the box {:.0}", frame.w),
                );
            }
            let style = Style { align: Align::Middle, strong, faint: index > 0, rim: bare };
            self.sheet.write(text, (cx, first + index as f64 * LINE), style);
        }
        self.bottom = self.bottom.max((shape.at[1] + shape.size[1]) * self.row);
        if self.frames.insert(&shape.id, frame).is_some() {
            return self.fault(span, format!("{name}, `id`: there is another box of this name"));
        }
        Ok(())
    }

    fn arrow(&mut self, arrow: &Arrow, span: &Range<usize>) -> Result<(), Fault> {
        let via: Vec<Point> = arrow.via.iter().map(|place| self.pixels(*place)).collect();
        let (from, to) = (self.end(&arrow.from, "from", span)?, self.end(&arrow.to, "to", span)?);
        let start = from.towards(via.first().copied().unwrap_or(to.frame.middle()));
        let end = to.towards(via.last().copied().unwrap_or(from.frame.middle()));
        let points: Vec<Point> = [start].into_iter().chain(via).chain([end]).collect();
        self.sheet.line(&points, arrow.kind, arrow.dashed);
        self.sheet.head(points[points.len() - 2], end, arrow.kind);
        let lowest = points.iter().map(|point| point.1).fold(0.0, f64::max) - f64::from(MARGIN);
        self.bottom = self.bottom.max(lowest);
        if arrow.text.is_empty() {
            return Ok(());
        }
        let at = arrow.label.map_or_else(|| middle(&points), |place| self.pixels(place));
        let style = Style { align: arrow.align, strong: false, faint: false, rim: true };
        self.text(&arrow.text, at, style, "arrow `text`", span)
    }

    fn words(&mut self, words: &Words, span: &Range<usize>) -> Result<(), Fault> {
        let at = self.pixels(words.at);
        let style = Style { align: words.align, strong: words.strong, faint: !words.strong, rim: false };
        self.bottom = self.bottom.max((words.at[1] * self.row) + LINE / 2.0);
        self.text(&words.text, at, style, "text `text`", span)
    }

    /// Lines around a point, each within the card.
    fn text(
        &mut self,
        text: &str,
        (x, y): Point,
        style: Style,
        field: &str,
        span: &Range<usize>,
    ) -> Result<(), Fault> {
        let lines: Vec<&str> = text.lines().collect();
        let first = y - (lines.len() as f64 - 1.0) * LINE / 2.0;
        for (index, text) in lines.iter().enumerate() {
            let needed = width(text, style.strong);
            let left = match style.align {
                Align::Start => x,
                Align::Middle => x - needed / 2.0,
                Align::End => x - needed,
            };
            if left < 2.0 || left + needed > f64::from(WIDTH) - 2.0 {
                return self.fault(span, format!("{field}: `{text}` leaves the card: move it or break it"));
            }
            self.sheet.write(text, (x, first + index as f64 * LINE), style);
        }
        Ok(())
    }

    fn end(&self, end: &str, field: &str, span: &Range<usize>) -> Result<End, Fault> {
        let mut words = end.split_whitespace();
        let id = words.next().unwrap_or_default();
        let Some(frame) = self.frames.get(id).copied() else {
            let known: Vec<&str> = self.frames.keys().copied().collect();
            return self.fault(
                span,
                format!("arrow `{field}`: there is no box `{id}`: there are [{}]", known.join(", ")),
            );
        };
        let side = match words.next() {
            None => None,
            Some("left") => Some(Side::Left),
            Some("right") => Some(Side::Right),
            Some("top") => Some(Side::Top),
            Some("bottom") => Some(Side::Bottom),
            Some(other) => {
                return self.fault(
                    span,
                    format!("arrow `{field}`: `{other}` is no side: write left, right, top or bottom"),
                );
            }
        };
        let share = match words.next() {
            None => 0.5,
            Some(word) => match word.parse() {
                Ok(share) if (0.0..=1.0).contains(&share) => share,
                _ => return self.fault(span, format!("arrow `{field}`: `{word}` is no share from 0 to 1")),
            },
        };
        Ok(End { frame, side, share })
    }
}

struct End {
    frame: Frame,
    side: Option<Side>,
    share: f64,
}

impl End {
    fn towards(&self, other: Point) -> Point {
        self.frame.point(self.side.unwrap_or_else(|| self.frame.facing(other)), self.share)
    }
}

/// The middle of the longest leg.
fn middle(points: &[Point]) -> Point {
    let length = |leg: &&[Point]| (leg[1].0 - leg[0].0).hypot(leg[1].1 - leg[0].1);
    points
        .windows(2)
        .max_by(|a, b| length(a).total_cmp(&length(b)))
        .map_or((0.0, 0.0), |leg| ((leg[0].0 + leg[1].0) / 2.0, (leg[0].1 + leg[1].1) / 2.0))
}
