//! What the runs are called, and which of them stand beside each other.

use pool_lab::{Preset, Scenario};
use test_servers::{Chromium, Page, start_or_skip};

use crate::{assert_quiet, lab, said, start, text};

const SIZE: &str = "size/rate=200&hold=50&target=20&duration=20";

fn sizing(page: &mut Page) {
    page.media("screen", &[("prefers-reduced-motion", "reduce")]);
    page.open(&lab("sizing"));
}

/// The names of the runs, where a reader finds them: above the table, above the knobs, and at the knobs.
fn names(page: &mut Page) -> String {
    let table =
        text(page, "[...lab.screen.querySelectorAll('thead th')].map((each) => each.textContent).join('|')");
    let names = table.replace('|', ", then ");
    let legends = "[...lab.knobs.form.querySelectorAll('legend')].map((each) => each.textContent).join()";
    assert!(text(page, legends).contains(&format!("Pool: {names}")), "{names}: {}", text(page, legends));
    for (index, name) in table.split('|').enumerate() {
        let label = format!("lab.knobs.form.elements['{index}.max_connections'].getAttribute('aria-label')");
        assert_eq!(text(page, &label), format!("max_connections, {name}"));
        assert!(said(page).contains(&format!("{name}: Of ")), "{name}: {}", said(page));
    }
    table
}

fn connections(page: &mut Page) -> [u64; 2] {
    let values = ["max", "min"].map(|name| {
        let value = |index| format!("lab.knobs.form.elements['{index}.{name}_connections'].value");
        [0, 1].map(|index| text(page, &value(index)).parse().expect("a number"))
    });
    assert_eq!(values[0], values[1], "the least as the most");
    values[0]
}

/// Runs what the knobs say.
fn run(page: &mut Page) {
    page.evaluate("lab.knobs.form.requestSubmit()");
    page.evaluate("lab.busy");
}

#[test]
#[ignore = "long: drives a browser"]
fn a_size_stands_beside_a_pool_of_one_connection_more() {
    let mut page = start_or_skip!(Chromium::find()).page();
    sizing(&mut page);
    start(&mut page, SIZE);
    let [size, more] = connections(&mut page);
    assert_eq!(more, size + 1);
    let sized = format!("{size} connections|{more} connections");
    assert_eq!(names(&mut page), sized);
    for index in [0, 1] {
        let knobs = text(&mut page, &format!("lab.runs[{index}].knobs"));
        let scenario = Scenario::parse(&knobs).unwrap();
        assert_eq!(scenario.config().max_connections as u64, [size, more][index]);
    }
    let hash = text(&mut page, "decodeURIComponent(location.hash)");
    assert!(hash.starts_with("#lab/sizing/size/rate=200"), "{hash}");
    // The same again, from the knobs; then one of them turned.
    run(&mut page);
    assert_eq!(names(&mut page), sized);
    page.evaluate("lab.knobs.form.elements['1.max_connections'].value = 40");
    run(&mut page);
    assert_eq!(names(&mut page), format!("{size} connections|Second, changed"));
    assert_quiet(&mut page);
}

#[test]
#[ignore = "long: drives a browser"]
fn an_answer_to_the_question_runs_what_it_asks_about() {
    let mut page = start_or_skip!(Chromium::find()).page();
    sizing(&mut page);
    start(&mut page, SIZE);
    page.evaluate("lab.querySelector('.pool-lab-question button').click(); lab.busy");
    assert_eq!(names(&mut page), "12 connections|16 connections");
    assert_eq!(connections(&mut page), [12, 16]);
    let runs = text(&mut page, "lab.runs.map(({ knobs }) => knobs).join('/')");
    let preset = Preset::named("sizing").unwrap().scenarios().unwrap();
    assert_eq!(runs, format!("{}/{}", preset[0].1.address(), preset[1].1.address()));
    assert_quiet(&mut page);
}

#[test]
#[ignore = "long: drives a browser"]
fn a_size_says_of_which_copy_it_is_and_counts_in_english() {
    let mut page = start_or_skip!(Chromium::find()).page();
    sizing(&mut page);
    start(&mut page, "size/rate=200&hold=50&target=20&duration=20&replicas=4");
    let [size, more] = connections(&mut page);
    assert_eq!(names(&mut page), format!("{size} connections in each copy|{more} connections in each copy"));
    start(&mut page, "size/rate=1&hold=1&target=1000&duration=20");
    assert_eq!(names(&mut page), "1 connection|2 connections");
    assert_quiet(&mut page);
}

/// No pool of the lab has more.
#[test]
#[ignore = "long: drives a browser"]
fn at_the_bounds_of_the_lab_a_size_stands_beside_one_connection_less() {
    let mut page = start_or_skip!(Chromium::find()).page();
    sizing(&mut page);
    start(&mut page, "");
    let most = "max_connections=1000&min_connections=1000&rate=1&duration=1";
    page.evaluate(&format!(
        "import('./ask.js').then(({{ ask }}) => {{ lab.sizing.size = () => ask('run', '{most}'); return lab.size(''); }})"
    ));
    assert_eq!(names(&mut page), "1000 connections|999 connections");
    assert_eq!(connections(&mut page), [1000, 999]);
    assert_quiet(&mut page);
}

#[test]
#[ignore = "long: drives a browser"]
fn a_size_without_a_run_shows_none_and_says_why() {
    let mut page = start_or_skip!(Chromium::find()).page();
    sizing(&mut page);
    start(&mut page, SIZE);
    page.evaluate(
        "lab.sizing.size = async () => { lab.sizing.answer.innerHTML = '<p>No size fits.</p><ol></ol>'; return null; }; \
         lab.size('rate=1')",
    );
    assert_eq!(said(&mut page), "No size fits.");
    assert_eq!(page.evaluate("lab.screen.hidden"), true);
    assert_eq!(text(&mut page, "lab.sizing.answer.textContent"), "No size fits.");
    assert_quiet(&mut page);
}

#[test]
#[ignore = "long: drives a browser"]
fn an_old_size_is_gone_when_something_else_runs_or_fails() {
    let mut page = start_or_skip!(Chromium::find()).page();
    sizing(&mut page);
    let answer = "lab.sizing.answer.textContent";
    for (value, status) in [("14", "First, changed: Of "), ("none", "No run: ")] {
        start(&mut page, SIZE);
        assert_ne!(text(&mut page, answer), "");
        page.evaluate(&format!("lab.knobs.form.elements['0.max_connections'].value = '{value}'"));
        page.evaluate("lab.knobs.form.elements['0.min_connections'].value = 1");
        run(&mut page);
        assert!(said(&mut page).starts_with(status), "{}", said(&mut page));
        assert_eq!(text(&mut page, answer), "", "the size beside {status}");
    }
    assert_quiet(&mut page);
}

/// What is one copy's, and what is of all of them, is said where there are several.
#[test]
#[ignore = "long: drives a browser"]
fn with_several_copies_each_figure_says_of_how_many_it_is() {
    let mut page = start_or_skip!(Chromium::find()).page();
    page.media("screen", &[("prefers-reduced-motion", "reduce")]);
    page.open(&lab("shared-budget"));
    let rows = |page: &mut Page, address: &str| {
        start(page, address);
        text(page, "[...lab.screen.querySelectorAll('tbody th')].map((each) => each.textContent).join('|')")
    };
    let key = "lab.screen.querySelector('.pool-lab-pair + .pool-lab-key').textContent.includes('own pool')";
    let one = rows(&mut page, "duration=5/duration=5");
    assert!(!one.contains("copy") && !one.contains("copies"), "{one}");
    assert_eq!(page.evaluate(key), false);
    let four = rows(&mut page, "duration=5&replicas=4/duration=5&replicas=4");
    let four: Vec<&str> = four.split('|').collect();
    for row in [
        "requests, all copies together",
        "most callers waiting, all copies together",
        "most connections open, all copies together",
        "utilisation, all copies together",
        "held on average, by Little's law, each copy",
        "mean wait by arithmetic, each copy",
        "least max_connections for the target, by arithmetic, each copy",
        "connections of all replicas",
        "the same at most during a deploy",
    ] {
        assert!(four.contains(&row), "{row}: {four:?}");
    }
    assert_eq!(page.evaluate(key), true, "why callers wait beside idle connections");
    assert_quiet(&mut page);
}
