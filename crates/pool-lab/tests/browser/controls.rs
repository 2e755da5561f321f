//! The controls around a run: play, step, speed, copy, and the watch over what takes too long.

use test_servers::{Chromium, Page, start_or_skip};

use crate::{assert_quiet, lab, said, start, text};

fn still(page: &mut Page) {
    page.media("screen", &[("prefers-reduced-motion", "reduce")]);
    page.open(&lab("fairness"));
    start(page, "callers=10&duration=20/callers=10&duration=20");
}

fn click(page: &mut Page, label: &str) {
    page.evaluate(&format!(
        "[...lab.querySelectorAll('button')].find(({{ textContent }}) => textContent === '{label}').click()"
    ));
}

fn number(page: &mut Page, script: &str) -> f64 {
    page.evaluate(script).as_f64().unwrap_or_else(|| panic!("no number: {script}"))
}

#[test]
#[ignore = "long: drives a browser"]
fn step_goes_one_moment_on_and_stops_at_the_end() {
    let mut page = start_or_skip!(Chromium::find()).page();
    still(&mut page);
    page.evaluate("lab.player.go(7)");
    let before =
        text(&mut page, "lab.canvases[0].nextElementSibling.textContent + lab.player.moment.textContent");
    click(&mut page, "Step");
    assert_eq!(number(&mut page, "lab.player.at"), 8.0);
    let after =
        text(&mut page, "lab.canvases[0].nextElementSibling.textContent + lab.player.moment.textContent");
    assert_ne!(before, after, "another moment is shown and said");
    page.evaluate("lab.player.go(lab.player.last)");
    click(&mut page, "Step");
    assert_eq!(page.evaluate("lab.player.at === lab.player.last"), true);
    assert_quiet(&mut page);
}

/// By pictures that come when the test says: at the speed of one, a run takes eight seconds.
#[test]
#[ignore = "long: drives a browser"]
fn four_times_the_speed_gets_four_times_as_far() {
    let mut page = start_or_skip!(Chromium::find()).page();
    still(&mut page);
    page.evaluate("window.requestAnimationFrame = (picture) => { window.picture = picture; return 1; };");
    let mut shares = Vec::new();
    for speed in ["0.5", "1", "4"] {
        page.evaluate(&format!(
            "lab.player.go(0); lab.player.speed.value = '{speed}'; lab.player.play(); picture(1000); picture(2000);"
        ));
        shares.push(number(&mut page, "lab.player.at / lab.player.last"));
        click(&mut page, "Pause");
    }
    assert_eq!(shares, [0.0625, 0.125, 0.5]);
    // At the end it stops by itself, and plays from the start when it is asked again.
    page.evaluate("lab.player.play(); picture(0); picture(60000);");
    assert_eq!(text(&mut page, "lab.player.playing.textContent"), "Play");
    page.evaluate("lab.player.play(); picture(0);");
    assert_eq!(number(&mut page, "lab.player.at"), 0.0);
    assert_quiet(&mut page);
}

#[test]
#[ignore = "long: drives a browser"]
fn copy_takes_the_snippet_and_says_so_or_what_to_do() {
    let mut page = start_or_skip!(Chromium::find()).page();
    still(&mut page);
    let clipboard = |page: &mut Page, write: &str| {
        page.evaluate(&format!(
            "Object.defineProperty(navigator, 'clipboard', {{ configurable: true, value: {{ writeText: {write} }} }})"
        ));
    };
    clipboard(&mut page, "async () => { throw new Error('not allowed') }");
    click(&mut page, "Copy");
    page.until("lab.textContent.includes('Not allowed here: select the text')");
    clipboard(&mut page, "async (text) => { window.copied = text; }");
    click(&mut page, "Copy");
    page.until("lab.textContent.includes('Copied')");
    assert_eq!(
        page.evaluate("copied === lab.runs[1].snippet"),
        true,
        "of the second: the first button has changed"
    );
    assert_quiet(&mut page);
}

/// The watch of thirty seconds ends after a moment here.
#[test]
#[ignore = "long: drives a browser"]
fn a_run_that_takes_too_long_is_stopped_and_the_next_one_works() {
    let mut page = start_or_skip!(Chromium::find()).page();
    still(&mut page);
    page.evaluate("window.wait = setTimeout; window.setTimeout = (act, millis) => wait(act, millis === 30_000 ? 1 : millis);");
    let much = "rate=3000&hold=1&duration=60";
    assert_eq!(
        start(&mut page, &format!("{much}/{much}")),
        "No run: the run took too long and was stopped: ask for less."
    );
    page.evaluate("window.setTimeout = wait;");
    start(&mut page, "callers=10&duration=20/callers=10&duration=20");
    assert!(said(&mut page).contains("First, changed: Of "), "{}", said(&mut page));
}
