//! The labs of the built book: on their own page and in a chapter, without scripts, in print, by keyboard, and to a screen
//! reader.

use std::process::Command;

use test_servers::{Chromium, Page, start_or_skip};

use crate::look::serve_book;
use crate::search::BOOK;

fn open(page: &mut Page) {
    page.open(&format!("file://{}", BOOK.join("lab/pool-lab.html").display()));
}

/// Whether each picture and table of a run is to be seen, and how many of them there are.
///
/// mdBook has a second copy of each picture for its enlarged view.
const SEEN: &str = "(() => {
    const all = [...document.querySelectorAll('.lab-run :is(table, img:not(.img-wrapper img))')];
    return [all.length, all.every((each) => each.checkVisibility() && each.getBoundingClientRect().height > 50)];
})()";

/// Every preset has a picture and a table, which come from the same run as the lab's.
fn presets() -> usize {
    pool_lab::PRESETS.len()
}

#[test]
fn without_scripts_each_run_is_a_picture_and_a_table() {
    let mut page = start_or_skip!(Chromium::find()).page();
    page.disable_scripts();
    open(&mut page);
    assert_eq!(
        page.evaluate("document.querySelectorAll('pool-lab button').length"),
        0,
        "a button that does nothing"
    );
    // A reader opens each with Enter; a closed one shows nothing.
    assert_eq!(page.evaluate(SEEN)[1], false);
    for index in 0..presets() {
        page.evaluate(&format!("document.querySelectorAll('.lab-run > summary')[{index}].focus()"));
        page.press("Enter");
    }
    page.evaluate("Promise.all([...document.images].map((image) => { image.loading = 'eager'; return image.decode(); }))");
    assert_eq!(page.evaluate(SEEN), serde_json::json!([2 * presets(), true]));
}

#[test]
#[ignore = "long: drives a browser"]
fn in_print_the_runs_are_there_and_the_controls_are_not() {
    let mut page = start_or_skip!(Chromium::find()).page();
    open(&mut page);
    page.media("print", &[]);
    page.evaluate("Promise.all([...document.images].map((image) => { image.loading = 'eager'; return image.decode(); }))");
    assert_eq!(page.evaluate(SEEN), serde_json::json!([2 * presets(), true]));
    let labs = "[...document.querySelectorAll('pool-lab')].filter((lab) => lab.checkVisibility()).length";
    assert_eq!(page.evaluate(labs), 0);
}

/// With the scripts, and compressed as a server sends them: what a reader waits for after the click.
#[test]
fn the_module_and_its_scripts_are_light() {
    let output = Command::new("sh")
        .args(["-c", "for file in *.js pool-lab.wasm; do gzip -9 <\"$file\"; done | wc -c"])
        .current_dir(BOOK.join("lab"))
        .output()
        .expect("sh and gzip, which every Unix has");
    let bytes: usize = String::from_utf8_lossy(&output.stdout).trim().parse().expect("a number");
    assert!(bytes > 0 && bytes <= 150 * 1024, "{bytes} bytes");
}

/// A page from a file cannot load the module. Its button says so, to a key too.
#[test]
#[ignore = "long: drives a browser"]
fn the_button_of_a_lab_is_for_keys_too_and_loads_nothing_before() {
    let mut page = start_or_skip!(Chromium::find()).page();
    open(&mut page);
    let loaded = "performance.getEntriesByType('resource').filter(({ name }) => name.includes('/lab/pool-lab.')).length";
    assert_eq!(page.evaluate(loaded), 0);
    page.evaluate("document.querySelector('pool-lab button').focus()");
    page.press("Enter");
    page.until("document.querySelector('pool-lab').textContent.includes('needs a page that comes from a web server')");
}

/// Where a chapter has a lab, print and readers without scripts get the picture of the same run.
#[test]
#[ignore = "long: drives a browser"]
fn in_a_chapter_a_picture_stands_where_the_lab_cannot() {
    let mut page = start_or_skip!(Chromium::find()).page();
    let seen = "(() => {
        const picture = document.querySelector('.lab-static img:not(.img-wrapper img)');
        return [Boolean(document.querySelector('pool-lab')), picture.checkVisibility()];
    })()";
    let address = format!("file://{}", BOOK.join("performance/queueing.html").display());
    page.open(&address);
    assert_eq!(page.evaluate(seen), serde_json::json!([true, false]));
    page.media("print", &[]);
    assert_eq!(page.evaluate(seen), serde_json::json!([true, true]));
    page.media("screen", &[]);
    page.disable_scripts();
    page.open(&address);
    assert_eq!(page.evaluate(seen), serde_json::json!([true, true]));
}

/// A click on the button of the real page, an answer, and every part opened: a screen reader finds a name for everything, and
/// every text can be read, in a light theme and in a dark one.
#[test]
#[ignore = "long: drives a browser"]
fn a_click_starts_the_lab_of_a_chapter_and_everybody_can_use_it() {
    let (_server, address) = serve_book();
    let mut page = start_or_skip!(Chromium::find()).page();
    page.media("screen", &[("prefers-reduced-motion", "reduce")]);
    page.open(&format!("http://{address}/performance/queueing.html"));
    page.evaluate("document.querySelector('pool-lab button').click()");
    page.until("document.querySelector('.pool-lab-question button') !== null");
    page.evaluate("document.querySelector('.pool-lab-question button').click()");
    page.until("document.querySelector('.pool-lab-screen')?.hidden === false");
    page.evaluate("document.querySelectorAll('pool-lab details').forEach((each) => { each.open = true; })");
    page.evaluate(
        "new Promise((loaded) => {
            const script = document.createElement('script');
            Object.assign(script, { onload: loaded, src: '/look/axe.min.js' });
            document.head.append(script);
            // A colour that is on its way to another is neither.
            document.head.append(Object.assign(document.createElement('style'), { textContent: '* { transition: none !important }' }));
        }).then(() => null)",
    );
    for theme in ["light", "coal"] {
        page.evaluate(&format!("document.getElementById('mdbook-theme-{theme}').click()"));
        let found = page.evaluate(
            "axe.run('pool-lab', { resultTypes: ['violations'] }).then(({ violations }) => violations.map(
                ({ id, nodes }) => `${id}: ${nodes.map(({ target }) => target).join(', ')}`))",
        );
        assert_eq!(found, serde_json::json!([]), "{theme}");
    }
    assert_eq!(page.complaints(), [] as [&str; 0]);
}

/// A link reproduces its run, on the page of a chapter too, and only in the lab that it names.
#[test]
#[ignore = "long: drives a browser"]
fn a_link_to_a_run_shows_it_without_a_click() {
    let (_server, address) = serve_book();
    let mut page = start_or_skip!(Chromium::find()).page();
    page.media("screen", &[("prefers-reduced-motion", "reduce")]);
    let knobs = "rate=80&hold=50&max_connections=6&duration=20";
    let scenario = pool_lab::Scenario::parse(knobs).unwrap();
    let knobs = scenario.address();
    page.open(&format!("http://{address}/lab/pool-lab.html#lab/sizing/{knobs}/{knobs}"));
    page.until("document.querySelector('.pool-lab-screen')?.hidden === false");
    let said = page.evaluate("document.querySelector('.pool-lab-status').textContent");
    let summary = pool_lab::run(&scenario).summary();
    assert!(said.as_str().is_some_and(|said| said.contains(&summary)), "{said}\n{summary}");
    let started = "[...document.querySelectorAll('pool-lab')].filter((lab) => lab.status).map((lab) => lab.getAttribute('preset'))";
    assert_eq!(page.evaluate(started), serde_json::json!(["sizing"]));
    assert_eq!(page.complaints(), [] as [&str; 0]);
}
