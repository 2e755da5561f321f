//! How long the lab takes. The bounds are generous: a test machine is busy with other tests.

use std::io::Write;

use pool_lab::PRESETS;
use test_servers::{Chromium, start_or_skip};

use crate::serve::serve;
use crate::{lab, start};

/// Sixty pictures a second leave sixteen milliseconds for each.
#[test]
#[ignore = "long: drives a browser"]
fn a_picture_of_two_hundred_connections_and_two_thousand_callers_is_drawn_in_time() {
    let mut page = start_or_skip!(Chromium::find()).page();
    page.media("screen", &[("prefers-reduced-motion", "reduce")]);
    page.resize(1280, 900);
    page.open(&lab("overload"));
    let crowd = "rate=500&hold=60000&duration=5&max_connections=200&min_connections=200";
    start(&mut page, &format!("{crowd}/{crowd}"));
    let most = page.evaluate("[lab.runs[0].figures.most_open, lab.runs[0].figures.most_waiting]");
    assert_eq!(most[0], 200);
    assert!(most[1].as_u64() >= Some(2_000), "{most}");
    // What the script does for a picture, and what the browser does with it until the next one.
    let millis = page.evaluate(
        "(async () => {
            const times = [];
            for (let at = 0; at < 120; at++) {
                const before = performance.now();
                lab.player.show(at % lab.player.last);
                times.push(performance.now() - before);
                await new Promise(requestAnimationFrame);
            }
            return times.sort((a, b) => a - b)[60];
        })()",
    );
    let millis = millis.as_f64().unwrap();
    let _ = writeln!(std::io::stderr(), "a picture of a crowd: {millis:.2} ms");
    assert!(millis < 16.0, "{millis} ms");
    // What a reader sees of it, with the plot of the requests open as well.
    let shown = page.evaluate(
        "(async () => {
            lab.querySelectorAll('details').forEach((each) => { each.open = true; });
            lab.player.go(0);
            lab.player.play();
            const begin = performance.now();
            let pictures = 0;
            while (performance.now() - begin < 2000) {
                await new Promise(requestAnimationFrame);
                pictures++;
            }
            return pictures / (performance.now() - begin) * 1000;
        })()",
    );
    let shown = shown.as_f64().unwrap();
    let _ = writeln!(std::io::stderr(), "pictures of a crowd: {shown:.0} a second");
    assert!(shown > 5.0, "{shown} pictures a second");
}

/// From the answer to the question to the first picture, on a processor a quarter as fast as this one. The runs are made while
/// the reader thinks about the question.
#[test]
#[ignore = "long: drives a browser"]
fn the_picture_comes_soon_after_the_answer_on_a_slow_processor() {
    let mut page = start_or_skip!(Chromium::find()).page();
    page.open(&lab(PRESETS[0].name));
    page.evaluate("lab.start()");
    page.evaluate("lab.asked.runs.then(() => {})");
    page.slow_down(4.0);
    let millis = page.evaluate(
        "(async () => {
            const before = performance.now();
            lab.querySelector('.pool-lab-question button').click();
            while (lab.screen.hidden) {
                await new Promise(requestAnimationFrame);
            }
            await new Promise(requestAnimationFrame);
            return performance.now() - before;
        })()",
    );
    let millis = millis.as_f64().unwrap();
    let _ = writeln!(
        std::io::stderr(),
        "from the answer to the picture at a quarter of the speed: {millis:.0} ms"
    );
    assert!(millis < 5_000.0, "{millis} ms");
}

/// From a link that names a run: the module has to be loaded first.
#[test]
#[ignore = "long: drives a browser"]
fn the_first_runs_come_soon_on_a_slow_processor() {
    let mut page = start_or_skip!(Chromium::find()).page();
    page.open(&serve(""));
    page.slow_down(4.0);
    // In the page itself: a worker is not slowed down.
    let millis = page.evaluate(
        "(async () => {
            const before = performance.now();
            const { load } = await import('./module.js');
            const lab = await load();
            const loaded = performance.now();
            for (const { knobs } of JSON.parse(lab.knobs()).presets[0].scenarios) {
                JSON.parse(lab.run(knobs));
            }
            return [loaded - before, performance.now() - loaded];
        })()",
    );
    let [load, runs] = [&millis[0], &millis[1]].map(|millis| millis.as_f64().unwrap());
    let _ = writeln!(
        std::io::stderr(),
        "at a quarter of the speed: {load:.0} ms to load, {runs:.0} ms for the runs"
    );
    assert!(load + runs < 10_000.0, "{load} and {runs} ms");
}
