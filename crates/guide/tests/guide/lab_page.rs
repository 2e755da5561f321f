//! The Lab's page of the built book, without scripts, in print, and by keyboard.

use test_servers::{Chromium, Page, start_or_skip};

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
