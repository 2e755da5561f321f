//! What the module refuses, told where the reader can put it right.

use test_servers::{Chromium, Page, start_or_skip};

use crate::{assert_quiet, lab, said, start, text};

/// Types this into a control of a form, over what it has. A browser may make something else of it.
fn type_into(page: &mut Page, control: &str, typed: &str) {
    page.evaluate(&format!(
        "(({{ elements }}) => {{
            const control = elements['{control}'];
            control.closest('details')?.setAttribute('open', '');
            control.focus();
            control.select();
            document.execCommand('insertText', false, '{typed}');
        }})(lab.{form})",
        form = if control.contains('.') { "knobs.form" } else { "sizing.form" }
    ));
}

fn submit(page: &mut Page, form: &str) {
    page.evaluate(&format!("lab.{form}.form.requestSubmit()"));
    page.evaluate("lab.busy");
}

/// What is said at the control that has the focus. It is seen, and belongs to the control.
fn at_focus(page: &mut Page) -> (String, String) {
    assert_eq!(page.evaluate("document.activeElement.getAttribute('aria-invalid')"), "true");
    let note = "document.getElementById(document.activeElement.getAttribute('aria-describedby'))";
    assert_eq!(
        page.evaluate(&format!("{note}.previousElementSibling.contains(document.activeElement)")),
        true
    );
    for seen in [note, "document.activeElement"] {
        let place = page.evaluate(&format!(
            "(({{ top, bottom }}) => top >= 0 && bottom <= innerHeight)({seen}.getBoundingClientRect())"
        ));
        assert_eq!(place, true, "{seen} is off the screen");
    }
    assert_eq!(
        page.evaluate("lab.querySelectorAll('.pool-lab-error, [aria-invalid]').length"),
        2,
        "old ones"
    );
    (text(page, "document.activeElement.name"), text(page, &format!("{note}.textContent")))
}

fn sizing(page: &mut Page) {
    page.media("screen", &[("prefers-reduced-motion", "reduce")]);
    page.resize(390, 800);
    page.open(&lab("sizing"));
    start(page, "");
}

/// Browsers make 125, 25 and 10 of these in a field for numbers.
#[test]
#[ignore = "long: drives a browser"]
fn what_is_no_number_is_refused_as_it_was_typed() {
    let mut page = start_or_skip!(Chromium::find()).page();
    sizing(&mut page);
    for typed in ["12,5", "25%", "10ms", "1&rate=5", "", "1e"] {
        type_into(&mut page, "0.hold", typed);
        submit(&mut page, "knobs");
        let shown = typed.replace('&', " ");
        let hint = "write a point before decimals, and nothing between thousands; ";
        let hint = if typed.contains(',') { hint } else { "" };
        let why =
            format!("Mean hold time in ms: it is \"{shown}\": {hint}choose a number from 0.01 to 60000 ms.");
        assert_eq!(at_focus(&mut page), ("0.hold".to_owned(), why.clone()));
        assert_eq!(said(&mut page), format!("No run: {why}"));
    }
    for typed in ["12", " 12 ", "1.2e1"] {
        type_into(&mut page, "0.hold", typed);
        submit(&mut page, "knobs");
        assert_eq!(
            page.evaluate("lab.runs.map(({ knobs }) => knobs.includes('hold=12&')).join()"),
            "true,true"
        );
        assert_eq!(
            page.evaluate(
                "lab.querySelectorAll('.pool-lab-error, [aria-invalid], [aria-describedby]').length"
            ),
            0
        );
    }
    let kinds = "['max_connections', 'lifetime_jitter'].map((name) => {
        const { type, inputMode, autocomplete } = lab.knobs.form.elements[`0.${name}`];
        return [type, inputMode, autocomplete].join();
    }).join('|')";
    assert_eq!(text(&mut page, kinds), "text,numeric,off|text,decimal,off");
    assert_quiet(&mut page);
}

#[test]
#[ignore = "long: drives a browser"]
fn the_second_configuration_has_its_own_mistakes() {
    let mut page = start_or_skip!(Chromium::find()).page();
    sizing(&mut page);
    type_into(&mut page, "1.max_connections", "0");
    submit(&mut page, "knobs");
    let (control, why) = at_focus(&mut page);
    assert_eq!(control, "1.max_connections");
    assert!(why.starts_with("max_connections, 16 connections: it is \"0\": "), "{why}");
    // Of both, where there is one control for both. Then a knob that says nothing alone.
    type_into(&mut page, "1.max_connections", "16");
    type_into(&mut page, "0.seed", "x");
    submit(&mut page, "knobs");
    assert_eq!(at_focus(&mut page).0, "0.seed");
    type_into(&mut page, "0.seed", "1");
    type_into(&mut page, "1.min_connections", "17");
    submit(&mut page, "knobs");
    assert_eq!(at_focus(&mut page).0, "1.min_connections");
    assert_quiet(&mut page);
}

#[test]
#[ignore = "long: drives a browser"]
fn the_readers_own_numbers_are_refused_in_their_own_form() {
    let mut page = start_or_skip!(Chromium::find()).page();
    sizing(&mut page);
    type_into(&mut page, "hold", "0");
    submit(&mut page, "sizing");
    let label = text(&mut page, "lab.sizing.form.elements.hold.labels[0].textContent");
    let (control, why) = at_focus(&mut page);
    assert_eq!(control, "hold");
    assert!(why.starts_with(&format!("{label}: it is \"0\": ")), "{why}");
    assert_eq!(said(&mut page), format!("No run: {why}"));
    // Its mark does not outlive another run.
    submit(&mut page, "knobs");
    assert_eq!(page.evaluate("lab.querySelectorAll('.pool-lab-error, [aria-invalid]').length"), 0);
    assert_quiet(&mut page);
}

#[test]
#[ignore = "long: drives a browser"]
fn a_link_that_is_refused_says_what_a_reader_can_know() {
    let mut page = start_or_skip!(Chromium::find()).page();
    sizing(&mut page);
    // A knob is named by its label where the form that asked does not have it.
    for (address, why) in [
        ("%E0%A4%A", "the address of this run is damaged."),
        ("size/%E0%A4%A", "the address of this run is damaged."),
        ("size/seed=-1", "Seed: it is \"-1\": choose a number from 0 to 1000000000."),
        ("colour=red", "colour is no knob of the lab: remove it."),
    ] {
        assert_eq!(start(&mut page, address), format!("No run: {why}"));
        assert_eq!(page.evaluate("lab.querySelectorAll('.pool-lab-error').length"), 0);
    }
    // The knobs are folded away, and open for it.
    start(&mut page, "seed=-1");
    assert_eq!(at_focus(&mut page).0, "0.seed");
    start(&mut page, "duration=5/duration=5&during_call=hangs");
    assert_eq!(at_focus(&mut page).0, "0.during_call");
    assert_quiet(&mut page);
}

#[test]
#[ignore = "long: drives a browser"]
fn a_label_has_the_unit_if_there_is_one() {
    let mut page = start_or_skip!(Chromium::find()).page();
    page.open(&lab("fairness"));
    start(&mut page, "");
    let labels =
        text(&mut page, "[...lab.querySelectorAll('form label')].map((each) => each.textContent).join('|')");
    let labels: Vec<&str> = labels.split('|').collect();
    for label in [
        "max_connections",
        "max_pending (0: off)",
        "connection_timeout in ms",
        "idle_timeout in ms (0: off)",
        "Connections that the server accepts (0: off)",
    ] {
        assert!(labels.contains(&label), "{label}: {labels:?}");
    }
}
