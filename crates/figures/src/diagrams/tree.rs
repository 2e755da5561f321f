//! A tree, a node below the other, each as far to the right as it is deep.

use super::Fault;
use super::ink::{LINE, Sheet, Style, room, width};
use super::source::{Align, Diagram, Kind, line};
use crate::canvas::MARGIN;

/// How far a node stands to the right of its parent.
const INDENT: f64 = 16.0;
/// Between nodes.
const GAP: f64 = 7.0;
/// Within a box.
const PAD: f64 = 5.0;

pub(super) fn draw(diagram: &Diagram, source: &str) -> Result<String, Fault> {
    let mut sheet = Sheet::new();
    let mut y = f64::from(MARGIN);
    // The foot of the latest node of each depth: where its children's branches begin.
    let mut trunks: Vec<f64> = Vec::new();
    for spanned in &diagram.node {
        let (node, span) = (spanned.get_ref(), spanned.span());
        let fault = |message: String| Err(Fault { line: line(source, &span), message });
        if node.depth > trunks.len() {
            return fault(format!("node `depth`: {} is more than one below the node before", node.depth));
        }
        let x = f64::from(MARGIN) + node.depth as f64 * INDENT;
        let w = room() - node.depth as f64 * INDENT;
        let texts: Vec<&str> = node.text.lines().collect();
        let pages: Vec<&str> = node.page.iter().flat_map(|page| page.lines()).collect();
        let h = (texts.len() + pages.len()) as f64 * LINE + 2.0 * PAD;
        trunks.truncate(node.depth);
        if let Some(trunk) = trunks.last_mut() {
            let left = x - INDENT + 7.0;
            sheet.line(&[(left, *trunk), (left, y + h / 2.0), (x, y + h / 2.0)], Kind::Plain, false);
            *trunk = y + h / 2.0;
        }
        let (kind, strong) = match (node.page.is_some(), node.depth) {
            (true, _) => (Kind::Plain, false),
            (false, 0) => (Kind::Main, true),
            (false, _) => (Kind::Wait, true),
        };
        sheet.rectangle((x, y), (w, h), kind, false);
        let words = texts.iter().map(|text| (*text, strong)).chain(pages.iter().map(|page| (*page, true)));
        for (index, (text, strong)) in words.enumerate() {
            let arrow = index == texts.len();
            let indent = if index >= texts.len() { 20.0 } else { 0.0 };
            let needed = width(text, strong) + indent;
            if needed > w - 2.0 * PAD - 2.0 {
                return fault(format!(
                    "node `text` or `page`: `{text}` is about {needed:.0} wide, and has {:.0}",
                    w - 2.0 * PAD
                ));
            }
            let at = (x + PAD + 2.0, y + PAD + LINE * (index as f64 + 0.5));
            let style = Style { align: Align::Start, strong, faint: false, rim: false };
            if arrow {
                sheet.line(&[at, (at.0 + 10.0, at.1)], Kind::Main, false);
                sheet.head(at, (at.0 + 15.0, at.1), Kind::Main);
            }
            sheet.write(text, (at.0 + indent, at.1), style);
        }
        trunks.push(y + h);
        y += h + GAP;
    }
    Ok(sheet.finish(diagram, y - GAP + f64::from(MARGIN)))
}
