//! The module that the book ships, in headless Chromium: it gives the same runs as the native lab, to the last digit, and
//! its element shows them, to keys and to eyes that want no motion.
//!
//! Chromium is not installed everywhere. Without it the tests say so and pass, unless `REAL_SERVERS=required`.
#![cfg(unix)]

mod controls;
mod drawings;
mod element;
mod guide;
mod keys;
mod names;
mod refusals;
mod serve;
mod speed;

use pool_lab::{PRESETS, Question, ask, knobs_json};
use test_servers::{Chromium, Page, start_or_skip};

/// A page with one lab, which is not started.
fn lab(preset: &str) -> String {
    serve::serve(&format!(
        "<button id=before>before</button><pool-lab preset={preset}></pool-lab><button id=after>after</button>\
         <script type=module>import './pool-lab.js'; window.lab = document.querySelector('pool-lab');</script>"
    ))
}

/// A text as a script writes it.
fn quoted(text: &str) -> String {
    format!("{text:?}")
}

/// Starts the lab with an address. Returns what it says.
fn start(page: &mut Page, address: &str) -> String {
    page.evaluate(&format!("lab.start({})", quoted(address)));
    said(page)
}

fn said(page: &mut Page) -> String {
    text(page, "lab.status.textContent")
}

fn text(page: &mut Page, script: &str) -> String {
    page.evaluate(script).as_str().unwrap_or_else(|| panic!("no text: {script}")).to_owned()
}

fn assert_quiet(page: &mut Page) {
    assert_eq!(page.complaints(), [] as [&str; 0]);
}

const RUNS: [&str; 5] = [
    "rate=800&hold=5&max_connections=6&duration=60&seed=77",
    "arrivals=closed&callers=300&think=50&replicas=4&cores=8&contention=3&server_limit=30&leak_every=500",
    "arrivals=burst&callers=20&think=600000&trickle=0.5&holds=mixed&call=70&during_call=releases&duration=3600",
    "rate=40&call=80&health_check_interval=0&connection_timeout=1000&fault=silent&fault_at=5&fault_for=20",
    "max_connections=0",
];

const SIZES: [&str; 4] = [
    "rate=200&hold=50&target=20&duration=120",
    "rate=300&hold=40&target=10&replicas=6&surge=2&server_limit=40&duration=60",
    "rate=300&hold=400&target=10&replicas=6&surge=2&server_limit=90&duration=60",
    "arrivals=closed",
];

const SWEEPS: [&str; 2] = ["hold=50&max_connections=4&duration=60", "arrivals=burst"];

#[test]
#[ignore = "long: drives a browser"]
fn the_browser_computes_what_the_native_lab_computes() {
    let mut page = start_or_skip!(Chromium::find()).page();
    page.open(&serve::serve(""));
    page.evaluate("import('./module.js').then(({ load }) => load()).then((lab) => { window.lab = lab; })");
    assert_eq!(text(&mut page, "lab.knobs()"), knobs_json());
    let mut runs: Vec<String> = RUNS.map(str::to_owned).into();
    for preset in PRESETS {
        runs.extend(preset.scenarios().unwrap().iter().map(|(_, scenario)| scenario.address()));
    }
    let runs = runs.iter().map(|text| (Question::Run, "run", &**text));
    let sizes = SIZES.iter().map(|text| (Question::Size, "size", *text));
    let sweeps = SWEEPS.iter().map(|text| (Question::Sweep, "sweep", *text));
    for (question, name, asked) in runs.chain(sizes).chain(sweeps) {
        let browser = text(&mut page, &format!("lab.{name}({})", quoted(asked)));
        assert_eq!(browser, ask(question, asked), "{name} of {asked}");
    }
    assert_quiet(&mut page);
}
