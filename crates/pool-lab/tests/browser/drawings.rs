//! What the lab draws, pixel by pixel: of runs made by hand, so that each stroke is known.

use serde_json::Value;
use test_servers::{Chromium, Page, start_or_skip};

use crate::{assert_quiet, serve};

/// A page with the drawings, a canvas 400 pixels wide, and what one looks at it with.
///
/// `row(y, from, to)` has a letter for each pixel: `i` for ink, `a` for the accent's colour, `.` for none of them.
fn canvas() -> String {
    serve::serve(
        "<canvas style='width: 400px'></canvas><script type=module>
            import * as drawings from './drawings.js';
            const canvas = document.querySelector('canvas');
            const colours = { ink: '#000', accent: '#00f' };
            window.draw = (name, ...rest) => drawings[name](canvas, colours, ...rest);
            window.row = (y, from = 0, to = 400) => {
                const { data } = canvas.getContext('2d').getImageData(from, y, to - from, 1);
                return Array.from({ length: to - from }, (_, x) =>
                    data[4 * x + 3] < 100 ? '.' : data[4 * x + 2] > 128 ? 'a' : 'i').join('');
            };
            window.highest = drawings.highest;
            window.canvas = canvas;
        </script>",
    )
}

fn open(chromium: &Chromium) -> Page {
    let mut page = chromium.page();
    page.resize(500, 500);
    page.open(&canvas());
    page.until("window.draw !== undefined");
    page
}

fn row(page: &mut Page, y: u32) -> String {
    page.evaluate(&format!("row({y})")).as_str().expect("a text").to_owned()
}

/// The lengths of the strokes in a row, of pixels of any colour.
fn strokes(row: &str) -> Vec<usize> {
    row.split('.').map(str::len).filter(|length| *length > 0).collect()
}

fn draw_requests(page: &mut Page, runs: &Value) {
    let key = page.evaluate(&format!("draw('drawRequests', {runs}, ['one', 'two'], 0)"));
    assert!(key.as_str().is_some_and(|key| key.contains("Cross: an error")), "{key}");
}

/// The axis goes from 0 to 370 ms over 370 pixels, from the tenth.
#[test]
#[ignore = "long: drives a browser"]
fn a_request_is_a_line_of_its_phases_with_its_end() {
    let mut page = open(&start_or_skip!(Chromium::find()));
    let run = serde_json::json!([{ "moments": [0], "frames": [[0, 0, 0, 0, 0]], "requests": [
        [0, 100, 200, 0],
        [0, 100, 100, 2],
        [0, 0, 200, 1],
        [0, 0, 300, 0, 50, 150, 100],
        [0, 0, 300, 2, 50, 50, 250],
        [0, 40, 60_000, 6],
        [370, 0, 0, 0],
    ] }]);
    draw_requests(&mut page, &run);
    let lines: Vec<String> = (0..6).map(|line| row(&mut page, 8 + line * 4)).collect();
    let part = |line: usize, from: usize, to: usize| &lines[line][10 + from..10 + to];
    let all = |part: &str, letter: char| !part.is_empty() && part.chars().all(|each| each == letter);
    let outer = |page: &mut Page, line: u32| row(page, 8 + line * 4 - 1);

    // It waits, and then holds. A wait is thin: there is nothing of it in the row above.
    assert!(all(part(0, 105, 195), 'a'), "{}", lines[0]);
    let above = outer(&mut page, 0);
    assert!(all(&above[15..105], '.') && all(&above[115..205], 'a'), "{above}");
    assert!(all(part(0, 205, 360), '.'), "served: no mark\n{}", lines[0]);
    // It waits in vain: a cross.
    assert!(all(part(1, 115, 360), '.') && part(1, 100, 110).contains('i'), "{}", lines[1]);
    // Too late: a ring, whose middle is empty.
    assert!(all(part(2, 5, 195), 'a') && part(2, 200, 210).contains('i'), "{}", lines[2]);
    assert_ne!(part(1, 100, 110), part(2, 200, 210), "a cross and a ring look alike");
    // It holds, has nothing during its call, waits again, and holds again.
    assert!(
        all(part(3, 5, 45), 'a') && all(part(3, 55, 145), '.') && all(part(3, 255, 295), 'a'),
        "{}",
        lines[3]
    );
    // It holds one and waits for another: hollow, so the row above has colour, too.
    let above = outer(&mut page, 4);
    assert!(all(part(4, 5, 45), 'a') && above[75..285].contains('a'), "{}\n{above}", lines[4]);
    assert!(part(4, 300, 312).contains('i'), "an error after the second wait: {}", lines[4]);
    // It never ends: to the edge, and no mark.
    assert!(all(part(5, 45, 365), 'a') && all(part(5, 372, 385), '.'), "{}", lines[5]);
    assert_quiet(&mut page);
}

#[test]
#[ignore = "long: drives a browser"]
fn two_runs_share_the_axis_of_time_and_the_scale() {
    let mut page = open(&start_or_skip!(Chromium::find()));
    let runs = serde_json::json!([
        { "moments": [0], "frames": [[0, 1, 2, 0, 40]], "requests": [[0, 0, 100, 0]] },
        { "moments": [0], "frames": [[0, 1, 2, 0, 10]], "requests": [[0, 0, 370, 0]] },
    ]);
    draw_requests(&mut page, &runs);
    let lengths = [8, 198].map(|y| strokes(&row(&mut page, y)).iter().sum::<usize>());
    assert!(lengths[0].abs_diff(100) <= 2 && lengths[1].abs_diff(370) <= 2, "{lengths:?}");
    assert_eq!(page.evaluate(&format!("highest({runs})")), 40);
}

/// The plot begins with the requests of the moment: 50 moments, a request each, and the last shows what is left.
#[test]
#[ignore = "long: drives a browser"]
fn requests_are_those_of_the_moment() {
    let mut page = open(&start_or_skip!(Chromium::find()));
    let moments: Vec<usize> = (0..50).map(|moment| moment * 2).collect();
    let requests: Vec<[u64; 4]> = (0..100).map(|at| [at * 10, 0, 10, 0]).collect();
    let run = serde_json::json!([{ "moments": moments, "frames": vec![[0; 5]; 400], "requests": requests }]);
    let lines = |page: &mut Page, moment: u32| {
        page.evaluate(&format!("draw('drawRequests', {run}, ['one'], {moment})"));
        (0..40).filter(|line| row(page, 8 + line * 4).contains('a')).count()
    };
    assert_eq!(lines(&mut page, 0), 40);
    assert_eq!(lines(&mut page, 200), 40, "from the fiftieth on");
    assert_eq!(lines(&mut page, 399), 2);
}

/// What is held, open and waits differs in its stroke: each curve is level here, so that a row has all of one.
#[test]
#[ignore = "long: drives a browser"]
fn the_three_curves_and_the_two_runs_differ_without_colour() {
    let mut page = open(&start_or_skip!(Chromium::find()));
    let run = serde_json::json!({ "frames": vec![[0, 3, 1, 2, 2]; 100] });
    let said = page.evaluate(&format!("draw('drawRun', {run}, 50, 4)"));
    assert_eq!(said, "1 held, 3 idle, 2 being opened, 2 waiting");
    // The scale is from 0 at 120 to 4 at 12: 27 pixels each. The line of the moment crosses all of them.
    let [open, waiting, held] = [12, 66, 93].map(|y| strokes(&row(&mut page, y)[40..390]));
    assert!(held.len() <= 2, "solid: {held:?}");
    let middle = |strokes: &[usize]| strokes[strokes.len() / 2];
    assert!(open.len() > 20 && (5..=7).contains(&middle(&open)), "dashes: {open:?}");
    assert!(waiting.len() > 40 && (1..=3).contains(&middle(&waiting)), "dots: {waiting:?}");
    // The first of two distributions is filled, the second is hollow.
    let times = r#"{ "waits": { "bars": [5], "width": 1 } }"#;
    page.evaluate(&format!("draw('drawTimes', [{times}, {times}], 'waits')"));
    let bars = row(&mut page, 100);
    let (first, second) = (&bars[20..190], &bars[210..380]);
    assert!(first.chars().all(|each| each == 'a') && second.chars().all(|each| each == '.'), "{bars}");
    // Both runs and their curves: a disc and a square, solid and dashed.
    let run = r#"{ "figures": { "mean_wait": 5, "utilisation": 0.5 }, "curve": [[0, 2], [1, 2]] }"#;
    page.evaluate(&format!("draw('drawCurve', [{run}], undefined)"));
    let level = |page: &mut Page| {
        let rows = (24..170).map(|y| strokes(&row(page, y)[50..370]));
        rows.max_by_key(|strokes| strokes.iter().sum::<usize>()).expect("a hundred rows")
    };
    let first = level(&mut page);
    assert_eq!(first, [320], "the curve of the first is solid");
    let dotless = r#"{ "figures": { "mean_wait": 5, "utilisation": 0.5 }, "curve": [] }"#;
    page.evaluate(&format!("draw('drawCurve', [{dotless}, {run}], undefined)"));
    let second = level(&mut page);
    assert!(second.len() > 20, "the curve of the second is dashed: {second:?}");
    assert_quiet(&mut page);
}

/// Where many wait, and for a moment nobody, the joint of the steep curve is at 0, and not below.
#[test]
#[ignore = "long: drives a browser"]
fn no_curve_goes_below_zero() {
    let mut page = open(&start_or_skip!(Chromium::find()));
    let frames: Vec<[u64; 5]> = (0..100).map(|at| [at * 1010, 0, 0, 0, at % 2 * 10]).collect();
    page.evaluate(&format!("draw('drawRun', {}, 99, 40)", serde_json::json!({ "frames": frames })));
    // Between two of the marks of the axis and their texts.
    for y in [124, 126, 128, 130] {
        let below = &row(&mut page, y)[60..190];
        assert!(below.chars().all(|each| each == '.'), "row {y}: {below}");
    }
    assert!(row(&mut page, 105)[60..190].contains('i'), "the curve itself");
    assert_quiet(&mut page);
}

/// The texts that are drawn, in their order.
fn texts(page: &mut Page, draw: &str) -> String {
    let script = format!(
        "(() => {{
            const texts = [];
            const pen = canvas.getContext('2d');
            pen.fillText = (text) => texts.push(text);
            {draw};
            delete pen.fillText;
            return texts.join('|');
        }})()"
    );
    page.evaluate(&script).as_str().expect("a text").to_owned()
}

#[test]
#[ignore = "long: drives a browser"]
fn axes_have_marks_with_their_units() {
    let mut page = open(&start_or_skip!(Chromium::find()));
    let frames =
        |millis: u64| -> Vec<[u64; 5]> { (0..100).map(|at| [at * millis / 99, 0, 1, 0, 7]).collect() };
    for (millis, marks) in [
        (20_000, "0|5 s|10 s|15 s|20 s"),
        (75_000, "0|20 s|40 s|60 s"),
        (600, "0|0.2 s|0.4 s|0.6 s"),
        (1, "0|0.0005 s|0.001 s"),
        (21_600_000, "0|10000 s|20000 s"),
    ] {
        let run = serde_json::json!({ "frames": frames(millis) });
        let drawn = texts(&mut page, &format!("draw('drawRun', {run}, 50, 7)"));
        assert_eq!(drawn, format!("7|0|{marks}").replace("0.0005 s", "0.001 s"), "{millis} ms");
    }
    let times = "[{ waits: { bars: [5, 0, 3], width: 8 } }]";
    assert_eq!(texts(&mut page, &format!("draw('drawTimes', {times}, 'waits')")), "0|10 ms|20 ms");
    assert_quiet(&mut page);
}

/// The bars of a run of short times and those of a run of long ones have one axis.
#[test]
#[ignore = "long: drives a browser"]
fn two_histograms_have_one_axis() {
    let mut page = open(&start_or_skip!(Chromium::find()));
    // Up to 16 ms in bars of 2 ms; and in one of 8 ms each, up to 32 ms. Two bars of 8 ms are as high as four are low.
    let first = serde_json::json!({ "waits": { "bars": [10, 10, 10, 10, 10, 10, 10, 10], "width": 2 } });
    let second = serde_json::json!({ "waits": { "bars": [40, 0, 0, 20], "width": 8 } });
    let key = page.evaluate(&format!("draw('drawTimes', [{first}, {second}], 'waits')"));
    assert_eq!(key, "Filled: first. Hollow: second. A bar is 8 ms wide; the last one holds the rest.");
    // Four bars of 95 pixels, of two halves each.
    let half = |row: &str, bar: usize, run: usize| {
        let from = 10 + bar * 95 + run * 47;
        row[from + 4..from + 40].to_owned()
    };
    let middle = row(&mut page, 120);
    for bar in 0..4 {
        let filled = half(&middle, bar, 0).chars().all(|each| each == 'a');
        assert_eq!(filled, bar < 2, "bar {bar}: {middle}");
    }
    let tops =
        [0, 3].map(|bar| (0..154).find(|y| half(&row(&mut page, *y), bar, 1).contains('i')).expect("a bar"));
    assert!((10..=13).contains(&tops[0]) && (81..=84).contains(&tops[1]), "{tops:?}");
    // What is beyond the bars of the finer run is at the end of the axis.
    let mut bars = vec![0; 25];
    bars[24] = 40;
    let rest = serde_json::json!({ "waits": { "bars": bars, "width": 1 } });
    page.evaluate(&format!("draw('drawTimes', [{rest}, {second}], 'waits')"));
    let middle = row(&mut page, 120);
    let filled = [0, 1, 2, 3].map(|bar| half(&middle, bar, 0).contains('a'));
    assert_eq!(filled, [false, false, false, true]);
    assert_quiet(&mut page);
}
