//! The script of the book's pages, as far as the lab goes: its buttons, and links to runs.

use test_servers::{Chromium, Page, start_or_skip};

use crate::{assert_quiet, serve, text};

/// A page with two labs, each below a screen of text, and what mdBook has for the rest of the script.
fn page(chromium: &Chromium, address: &str) -> Page {
    let mut page = chromium.page();
    page.media("screen", &[("prefers-reduced-motion", "reduce")]);
    page.resize(1000, 700);
    let body = "<script>const path_to_root = '';</script>\
        <label id=mdbook-sidebar-toggle></label><input type=checkbox id=mdbook-sidebar-toggle-anchor>\
        <main id=mdbook-content>\
        <div style='height: 2000px'></div><pool-lab id=first preset=sizing></pool-lab>\
        <div style='height: 2000px'></div><pool-lab id=second preset=fairness></pool-lab>\
        <div style='height: 2000px'></div></main><script src=guide.js></script>";
    page.open(&format!("{}{address}", serve::serve(body)));
    page
}

fn status(page: &mut Page, lab: &str) -> String {
    text(page, &format!("{lab}.status?.textContent ?? ''"))
}

/// Waits until a lab says this, and is where a reader sees it.
fn until(page: &mut Page, lab: &str, said: &str) {
    page.until(&format!("{lab}.status?.textContent.startsWith('{said}')"));
    page.until(&format!("(({{ top }}) => top > -1 && top < innerHeight)({lab}.getBoundingClientRect())"));
}

#[test]
#[ignore = "long: drives a browser"]
fn the_button_says_what_it_opens() {
    let mut page = page(&start_or_skip!(Chromium::find()), "");
    let labels = text(
        &mut page,
        "[...document.querySelectorAll('pool-lab')].map((each) => each.textContent).join('|')",
    );
    assert_eq!(labels, "Size my pool with my own numbers|Predict, then run it here");
    page.evaluate("first.querySelector('button').click()");
    page.until("first.sizing?.form.contains(document.activeElement)");
    assert_eq!(status(&mut page, "second"), "");
    assert_quiet(&mut page);
}

#[test]
#[ignore = "long: drives a browser"]
fn a_link_to_a_run_is_followed_by_its_own_lab_alone() {
    let mut page = page(
        &start_or_skip!(Chromium::find()),
        "#lab/fairness/callers=10&duration=20/callers=10&duration=20",
    );
    until(&mut page, "second", "First, changed: Of ");
    assert_eq!(status(&mut page, "first"), "", "a lab that nobody asked");
    let before = status(&mut page, "second");
    // In the page as it is: a lab that has not started, then one that has, then none.
    page.evaluate("location.hash = '#lab/sizing/rate=80&duration=5/rate=80&duration=6'");
    until(&mut page, "first", "First, changed: Of ");
    assert_eq!(status(&mut page, "second"), before);
    page.evaluate("window.kept = first.runs; location.hash = '#lab/fairness/callers=12&duration=20/callers=10&duration=20'");
    page.until("second.runs[0].knobs.includes('callers=12')");
    until(&mut page, "second", "First, changed: Of ");
    assert_eq!(page.evaluate("first.runs === kept && !first.screen.hidden"), true);
    let before = status(&mut page, "second");
    page.evaluate("location.hash = '#elsewhere'");
    page.evaluate("location.hash = '#lab/fairness'");
    page.evaluate("second.busy");
    assert_eq!(status(&mut page, "second"), before, "a link to a lab and to no run");
    assert_quiet(&mut page);
}

/// Somebody may ask what is wrong with it.
#[test]
#[ignore = "long: drives a browser"]
fn a_run_that_is_refused_has_an_address_too() {
    let mut page = page(
        &start_or_skip!(Chromium::find()),
        "#lab/fairness/callers=10&duration=20/callers=10&duration=20",
    );
    until(&mut page, "second", "First, changed: Of ");
    page.evaluate("second.knobs.form.elements['0.callers'].value = 'many'; second.knobs.form.requestSubmit(); second.busy");
    let hash = text(&mut page, "decodeURIComponent(location.hash)");
    assert!(hash.starts_with("#lab/fairness/") && hash.contains("callers=many"), "{hash}");
    // Whoever follows it sees where the mistake is.
    page.evaluate(&format!(
        "location.hash = '#elsewhere'; location.hash = {hash:?}; new Promise((next) => setTimeout(next))"
    ));
    page.evaluate("second.busy");
    assert_eq!(text(&mut page, "document.activeElement.name"), "0.callers");
    page.evaluate("location.hash = '#lab/sizing/%E0%A4%A'");
    until(&mut page, "first", "No run: the address of this run is damaged.");
    assert_quiet(&mut page);
}
