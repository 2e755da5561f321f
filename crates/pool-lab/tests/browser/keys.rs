//! The lab by keyboard alone.

use std::collections::BTreeSet;

use test_servers::{Chromium, Page, start_or_skip};

use crate::{assert_quiet, lab, said, start, text};

/// What has the focus: by its text, its label, or its name.
const FOCUSED: &str = "(({ activeElement: it }) => it.id || it.name || it.getAttribute('aria-label') || it.textContent)(document)";

/// Presses Tab until this has the focus.
fn tab_to(page: &mut Page, wanted: &str) {
    for _ in 0..120 {
        if text(page, FOCUSED) == wanted {
            return;
        }
        page.press("Tab");
    }
    panic!("Tab does not lead to {wanted}");
}

#[test]
#[ignore = "long: drives a browser"]
fn every_control_is_reached_by_tab_and_shows_its_focus() {
    let mut page = start_or_skip!(Chromium::find()).page();
    page.media("screen", &[("prefers-reduced-motion", "reduce")]);
    page.open(&lab("sizing"));
    start(&mut page, "max_connections=12/max_connections=16");
    page.evaluate("lab.querySelectorAll('details').forEach((each) => { each.open = true; })");
    page.evaluate(
        "[...lab.querySelectorAll('button, input, select, summary')].filter((each) => !each.disabled) \
         .forEach((each, index) => { each.dataset.control = index; }); \
         document.getElementById('before').focus()",
    );
    let controls = page.evaluate("lab.querySelectorAll('[data-control]').length").as_u64().unwrap();
    assert!(controls > 60, "{controls}");
    let mut reached = BTreeSet::new();
    while text(&mut page, "document.activeElement.id") != "after" {
        assert!(reached.len() <= controls as usize, "Tab never leaves the lab");
        page.press("Tab");
        let focus = page.evaluate(
            "(({ activeElement: it }, style) => ({ control: it.dataset.control ?? null, text: it.outerHTML.slice(0, 80), \
             isShown: getComputedStyle(it).outlineStyle !== 'none' && parseFloat(getComputedStyle(it).outlineWidth) > 0, \
             isNamed: Boolean(it.labels?.length || it.getAttribute('aria-label') || it.textContent) }))(document)",
        );
        assert_eq!(focus["isShown"], true, "no sign of the focus: {}", focus["text"]);
        assert_eq!(focus["isNamed"], true, "no label: {}", focus["text"]);
        if let Some(control) = focus["control"].as_str() {
            assert!(reached.insert(control.to_owned()), "{} twice", focus["text"]);
        }
    }
    assert_eq!(reached.len() as u64, controls);
    // And back.
    page.press("Shift+Tab");
    assert_ne!(text(&mut page, FOCUSED), "after");
    assert_quiet(&mut page);
}

#[test]
fn a_reader_with_a_keyboard_predicts_runs_and_turns_a_knob() {
    let mut page = start_or_skip!(Chromium::find()).page();
    page.media("screen", &[("prefers-reduced-motion", "reduce")]);
    page.open(&lab("fairness"));
    start(&mut page, "");
    assert_eq!(page.evaluate("lab.screen.hidden"), true, "no run before the answer");
    // The question has the focus: the first answer comes next.
    page.press("Tab");
    assert_eq!(text(&mut page, FOCUSED), "About 100 ms");
    page.press("Tab");
    page.press("Enter");
    page.until("lab.screen.hidden === false");
    assert!(text(&mut page, "lab.verdict.textContent").starts_with("Right. "));

    tab_to(&mut page, "Moment of the run");
    let moment = |page: &mut Page| page.evaluate("lab.player.at").as_f64().unwrap();
    let last = moment(&mut page);
    page.press("ArrowLeft");
    assert_eq!(moment(&mut page), last - 1.0);
    let spoken = text(&mut page, "document.activeElement.getAttribute('aria-valuetext')");
    assert!(spoken.ends_with(" s"), "{spoken}");
    page.press("ArrowRight");
    assert_eq!(moment(&mut page), last);

    page.evaluate("document.getElementById('before').focus()");
    tab_to(&mut page, "Play");
    page.press("Space");
    page.until("lab.player.timer !== undefined");
    page.press("Space");
    assert_eq!(text(&mut page, "lab.player.playing.textContent"), "Play");
    page.press("Tab");
    page.press("Enter");
    assert_eq!(text(&mut page, FOCUSED), "Step");

    page.evaluate("document.getElementById('before').focus()");
    tab_to(&mut page, "Turn the knobs");
    page.press("Enter");
    page.until("document.activeElement.parentElement.open");
    let callers = text(&mut page, "lab.knobs.form.elements['0.callers'].id");
    tab_to(&mut page, &callers);
    for key in ["Backspace", "Backspace", "3", "6", "Enter"] {
        page.press(key);
    }
    page.until("lab.status.textContent.startsWith('First, changed')");
    assert!(said(&mut page).contains("First, changed: Of 216 requests"), "six bursts of 36");
    let order = text(&mut page, "lab.knobs.form.elements['0.arrivals'].id");
    page.evaluate("document.getElementById('before').focus()");
    tab_to(&mut page, &order);
    page.press("ArrowUp");
    assert_eq!(page.evaluate("lab.knobs.form.elements['0.arrivals'].value"), "closed");
    assert_quiet(&mut page);
}
