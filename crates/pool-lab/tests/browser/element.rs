//! What the element shows: every preset, wild settings, the reader's own numbers.

use pool_lab::{PRESETS, Preset, Question, Scenario, ask, run};
use test_servers::{Chromium, Page, start_or_skip};

use crate::{assert_quiet, lab, quoted, said, start, text};

fn addresses(preset: &Preset) -> Vec<String> {
    preset.scenarios().unwrap().iter().map(|(_, scenario)| scenario.address()).collect()
}

#[test]
#[ignore = "long: drives a browser"]
fn it_shows_every_preset_and_its_snippet() {
    let mut page = start_or_skip!(Chromium::find()).page();
    for preset in PRESETS {
        page.open(&lab(preset.name));
        let said = start(&mut page, &addresses(preset).join("/"));
        for (index, (name, scenario)) in preset.scenarios().unwrap().iter().enumerate() {
            let summary = run(scenario).summary();
            assert!(said.contains(&format!("{name}: {summary}")), "{}: {said}\n{summary}", preset.name);
            let code = format!("[...lab.querySelectorAll('pre:last-child > code')].at({index}).textContent");
            assert_eq!(text(&mut page, &code), scenario.snippet(), "what a reader copies");
        }
        assert_eq!(
            page.evaluate(
                "[...lab.querySelectorAll('canvas')].slice(0, 2).every(({ width }) => width > 100)"
            ),
            true
        );
        // What is closed is drawn once it is opened.
        page.evaluate("lab.querySelectorAll('details').forEach((each) => { each.open = true; })");
        page.until("[...lab.querySelectorAll('canvas')].every(({ style }) => style.height !== '')");
        assert_quiet(&mut page);
    }
}

/// A setting that makes no sense gives a message, and the page lives on.
#[test]
#[ignore = "long: drives a browser"]
fn a_wild_address_is_refused_in_words() {
    let mut page = start_or_skip!(Chromium::find()).page();
    page.open(&lab("sizing"));
    let wild = [
        "max_connections=NaN",
        "max_connections=0",
        "max_connections=-1",
        "max_connections=1e9",
        "max_connections=2.5",
        "rate=0",
        "rate=-0.0001",
        "rate=Infinity",
        "rate=10000&duration=600",
        "hold=1e300",
        "duration=1e300",
        "arrivals=closed&callers=2000&think=1&duration=600",
        "replicas=50&max_connections=1000",
        "seed=-1",
        "colour=red",
        "=5",
        "rate=%00",
        "%E0%A4%A",
        "max_lifetime=100&max_connections=1000",
        "health_check_interval=1",
        "health_check_interval=10&max_connections=1000",
        "duration=21600&replicas=50&rate=1",
        "duration=21601",
        "trickle=-1",
        "arrivals=burst&trickle=10000",
        "holds=mixed&long_every=1",
        "holds=mixed&long_factor=1e300",
        "call=0.5",
        "during_call=hangs",
        "fault=silly",
        "size/rate=NaN",
        "size/rate=0",
        "size/rate=1e308&hold=60000",
        "size/rate=10000&hold=60000",
        "size/server_limit=100&reserved=100",
        "size/hold=5&slow=400&long_every=50",
        "size/rate=12,5",
        "size/server_limit=1&replicas=3&surge=1",
        "size/%E0%A4%A",
    ];
    for address in wild {
        let said = start(&mut page, address);
        assert!(said.starts_with("No run: ") && said.len() > 20, "{address}: {said}");
        assert_eq!(
            page.evaluate("lab.screen?.hidden ?? true"),
            true,
            "{address}: an old run beside a refusal"
        );
    }
    // What is much, and allowed.
    for address in ["rate=10000&hold=60000&duration=5", "size/rate=0.1&hold=1&target=1"] {
        let said = start(&mut page, address);
        assert!(!said.starts_with("No run: "), "{address}: {said}");
    }
    assert_quiet(&mut page);
}

#[test]
fn a_turned_knob_moves_the_figures_and_the_name() {
    let mut page = start_or_skip!(Chromium::find()).page();
    page.open(&lab("sizing"));
    let mut p99 = Vec::new();
    for connections in [11, 13, 15, 20] {
        let set = format!("max_connections={connections}&min_connections={connections}");
        let said =
            start(&mut page, &format!("rate=200&hold=50&duration=60&{set}/rate=200&hold=50&duration=60"));
        assert!(
            said.starts_with("First, changed: Of "),
            "a name of the preset is not what has been run: {said}"
        );
        p99.push(page.evaluate("lab.runs[0].figures.p99_wait").as_u64().unwrap());
    }
    assert!(p99.is_sorted_by(|more, fewer| more > fewer), "{p99:?}");
    let hash = text(&mut page, "decodeURIComponent(location.hash)");
    assert!(hash.starts_with("#lab/sizing/") && hash.contains("max_connections=20"), "{hash}");
}

#[test]
#[ignore = "long: drives a browser"]
fn a_wrong_answer_is_told_the_right_one_and_three_knobs_of_the_pool_do_what_they_say() {
    let mut page = start_or_skip!(Chromium::find()).page();
    page.open(&lab("fairness"));
    page.evaluate("lab.start()");
    page.evaluate("[...lab.querySelectorAll('.pool-lab-question button')].find(({ textContent }) => textContent !== lab.preset.right).click()");
    page.until("lab.screen.hidden === false");
    let verdict = text(&mut page, "lab.verdict.textContent");
    let right = text(&mut page, "lab.preset.right");
    assert!(verdict.starts_with(&format!("Not so: {right}. ")), "{verdict}");
    // Less patience, a bound of the queue, and a shorter life: each moves what it is for.
    let figure = |page: &mut Page, knobs: &str, figure: &str| {
        let both = format!("rate=120&hold=100&duration=60&{knobs}");
        start(page, &format!("{both}/{both}"));
        page.evaluate(&format!("lab.runs[0].figures.{figure}")).as_u64().unwrap()
    };
    let errors = ["connection_timeout=500", "connection_timeout=2000"]
        .map(|knobs| figure(&mut page, knobs, "p50_refusal"));
    assert_eq!(errors, [500, 2000]);
    let waiting = "most_waiting";
    assert!(figure(&mut page, "max_pending=10", waiting) <= 10);
    assert!(figure(&mut page, "max_pending=0", waiting) > 10);
    let opened = "opened";
    assert!(figure(&mut page, "max_lifetime=5000", opened) > 10 * figure(&mut page, "", opened));
    assert_quiet(&mut page);
}

/// What is drawn has the colours of the page, also after the reader has chosen another theme.
#[test]
#[ignore = "long: drives a browser"]
fn a_run_is_drawn_again_in_the_colours_of_another_theme() {
    let mut page = start_or_skip!(Chromium::find()).page();
    page.media("screen", &[("prefers-reduced-motion", "reduce")]);
    page.open(&lab("fairness"));
    start(&mut page, "callers=10&duration=20/callers=10&duration=20");
    // The brightest pixel that is drawn.
    let ink = "Math.max(...[...lab.querySelectorAll('canvas')].slice(0, 2).map((canvas) => {
        const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
        let most = -1;
        for (let at = 0; at < data.length; at += 4) {
            most = data[at + 3] > 60 ? Math.max(most, data[at]) : most;
        }
        return most;
    }))";
    let dark_ink = page.evaluate(ink).as_i64().unwrap();
    assert!((0..100).contains(&dark_ink), "dark on light, and not blank: {dark_ink}");
    page.evaluate("document.documentElement.style.color = '#eee'; lab.style.color = '#eee'; document.documentElement.className = 'coal';");
    page.until(&format!("{ink} > 200"));
    let light_ink = page.evaluate(ink).as_i64().unwrap();
    assert!(light_ink > 200, "light on dark: {light_ink}");
    assert_quiet(&mut page);
}

#[test]
#[ignore = "long: drives a browser"]
fn the_readers_own_numbers_get_a_size_that_the_address_repeats() {
    let mut page = start_or_skip!(Chromium::find()).page();
    page.open(&lab("sizing"));
    start(&mut page, "");
    for (name, value) in
        [("rate", "300"), ("hold", "40"), ("target", "10"), ("replicas", "6"), ("surge", "2")]
    {
        page.evaluate(&format!("lab.sizing.form.elements.{name}.value = {value}"));
    }
    page.evaluate("lab.sizing.form.elements.server_limit.value = 40");
    let asked = text(&mut page, "lab.sizing.text()");
    page.evaluate("lab.sizing.form.requestSubmit()");
    page.until("lab.screen.hidden === false");
    let shown = text(
        &mut page,
        "[...lab.sizing.answer.querySelectorAll('p, li')].map((each) => each.textContent).join('|')",
    );
    let answer = ask(Question::Size, &asked);
    for sentence in shown.split('|') {
        assert!(answer.contains(sentence), "{sentence}\n{answer}");
    }
    assert!(shown.starts_with("Set max_connections to "), "{shown}");
    let before = said(&mut page);
    let address = text(&mut page, "location.hash").replace("#lab/sizing/", "");
    assert_eq!(start(&mut page, &address), before);
    assert_eq!(page.evaluate("lab.sizing.form.elements.server_limit.value"), "40");
    assert_quiet(&mut page);
}

/// As it stands, the form asks what the question above it asks. What is slow is asked for only if something is.
#[test]
#[ignore = "long: drives a browser"]
fn an_untouched_form_gives_the_answer_to_the_question() {
    let mut page = start_or_skip!(Chromium::find()).page();
    page.open(&lab("sizing"));
    start(&mut page, "");
    assert_eq!(page.evaluate("lab.sizing.form.elements.slow.disabled"), true);
    page.evaluate("lab.sizing.form.requestSubmit()");
    page.until("lab.screen.hidden === false");
    let answer = "lab.sizing.answer.firstChild.textContent";
    assert_eq!(text(&mut page, answer), "Set max_connections to 16.");
    // A few slow requests need more, and an address repeats them.
    page.evaluate(
        "(({ holds }) => { holds.value = 'mixed'; holds.dispatchEvent(new Event('change')); })(lab.sizing.form.elements)",
    );
    assert_eq!(page.evaluate("lab.sizing.form.elements.slow.disabled"), false);
    page.evaluate("lab.sizing.form.elements.slow.value = 2000");
    page.evaluate("lab.sizing.form.requestSubmit()");
    page.until("location.hash.includes('2000') && !lab.status.textContent.startsWith('Running')");
    let said = text(&mut page, answer);
    let address = text(&mut page, "location.hash").replace("#lab/sizing/", "");
    start(&mut page, &address);
    assert_eq!(text(&mut page, answer), said);
    assert_eq!(page.evaluate("lab.sizing.form.elements.holds.value"), "mixed");
    assert_quiet(&mut page);
}

#[test]
#[ignore = "long: drives a browser"]
fn several_loads_stand_beside_the_curve() {
    let mut page = start_or_skip!(Chromium::find()).page();
    page.open(&lab("overload"));
    start(&mut page, "hold=50&max_connections=4&duration=60/hold=50&max_connections=8");
    let knobs = text(&mut page, "lab.runs[0].knobs");
    assert_eq!(Scenario::parse(&knobs).unwrap().address(), knobs);
    page.evaluate("lab.several()");
    let native = ask(Question::Sweep, &knobs);
    assert_eq!(
        page.evaluate(&format!("JSON.stringify(lab.sweep) === {}", quoted(&native))),
        true,
        "{native}"
    );
    let column = |page: &mut Page, index: usize| {
        text(
            page,
            &format!(
                "[...lab.loads.querySelectorAll('tr')].map((row) => row.cells[{index}].textContent).join()"
            ),
        )
    };
    assert_eq!(column(&mut page, 0), "load,30 %,50 %,60 %,70 %,80 %,90 %,95 %", "what was asked for");
    let busy: Vec<String> = native
        .split("\"utilisation\":")
        .skip(1)
        .map(|rest| {
            let share: f64 = rest.split(',').next().unwrap().parse().unwrap();
            format!("{:.0} %", share * 100.0)
        })
        .collect();
    assert_eq!(column(&mut page, 1), format!("busy,{}", busy.join(",")), "what came of it");
    assert_quiet(&mut page);
}

fn plays(page: &mut Page, motion: &str) -> (String, bool) {
    page.media("screen", &[("prefers-reduced-motion", motion)]);
    page.open(&lab("fairness"));
    start(page, &addresses(Preset::named("fairness").unwrap()).join("/"));
    let label = text(page, "lab.player.playing.textContent");
    (label, page.evaluate("lab.player.at === lab.player.last") == true)
}

#[test]
#[ignore = "long: drives a browser"]
fn nothing_moves_by_itself_for_readers_who_want_less_motion() {
    let mut page = start_or_skip!(Chromium::find()).page();
    assert_eq!(plays(&mut page, "reduce"), ("Play".to_owned(), true));
    assert_eq!(plays(&mut page, "no-preference"), ("Pause".to_owned(), false));
}
