//! A run as JSON: what the browser draws, and what a test compares with the native run.

use crate::json::{Object, array, text};
use crate::knobs::{KNOBS, Kind};
use crate::ledger::{Again, Figures, Outcome, Request, quantile};
use crate::preset::PRESETS;
use crate::run::Run;
use crate::scenario::{Arrivals, KnobError, Scenario};
use crate::theory;
use crate::words::{snippet, summary};

/// At so many moments, at equal distances, so many requests that arrive next are drawn one by one.
const MOMENTS: usize = 50;
const DRAWN: usize = 40;
const BARS: usize = 24;

/// Everything of a run that a page shows, as JSON.
pub fn report(run: &Run) -> String {
    let frames = run.frames.iter().map(|frame| {
        format!("[{},{},{},{},{}]", frame.at, frame.idle, frame.held, frame.connecting, frame.waiting)
    });
    let (requests, moments) = drawn(run);
    let statistics = run.statistics.iter().map(|(name, value)| format!("[{},{value}]", text(name)));
    let diagnoses =
        run.diagnoses.iter().map(|(outcome, said)| format!("[{},{}]", text(outcome.as_str()), text(said)));
    Object::new()
        .text("knobs", &run.scenario.address())
        .raw("figures", &figures(&run.figures))
        .raw("advice", &advice(run))
        .raw("frames", &array(frames))
        .raw("requests", &array(requests.iter().map(|request| request_json(request))))
        .raw("moments", &array(moments.iter().map(usize::to_string)))
        .raw("waits", &bars(run, |request| request.waited))
        .raw("totals", &bars(run, |request| request.total))
        .raw("curve", &curve(&run.scenario))
        .raw("statistics", &array(statistics))
        .raw("diagnoses", &array(diagnoses))
        .text("summary", &summary(run))
        .text("snippet", &snippet(&run.scenario))
        .end()
}

/// The requests that are drawn, in the order of their arrival, and for each moment the index of the first of them that
/// arrives after it.
fn drawn(run: &Run) -> (Vec<&Request>, Vec<usize>) {
    let end = (run.scenario.values.duration * 1e3) as u64;
    let mut drawn = Vec::new();
    let mut taken = 0_usize;
    let moments = (0..MOMENTS).map(|moment| {
        let at = end * moment as u64 / MOMENTS as u64;
        let first = run.requests.partition_point(|request| request.arrived < at);
        let last = (first + DRAWN).min(run.requests.len());
        // What the moment before has taken too stands at the end of the list.
        let start = drawn.len() - taken.saturating_sub(first).min(drawn.len());
        drawn.extend(&run.requests[taken.max(first).min(last)..last]);
        taken = last;
        start
    });
    let moments = moments.collect();
    (drawn, moments)
}

fn request_json(request: &Request) -> String {
    let Request { arrived, waited, total, outcome, again } = request;
    let again = again.map(|Again { released, asked, waited }| format!(",{released},{asked},{waited}"));
    format!("[{arrived},{waited},{total},{}{}]", *outcome as usize, again.unwrap_or_default())
}

fn figures(figures: &Figures) -> String {
    let outcomes = Outcome::ALL.into_iter().fold(Object::new(), |object, outcome| {
        object.number(outcome.as_str(), figures.count(outcome) as f64)
    });
    Object::new()
        .raw("outcomes", &outcomes.end())
        .number("requests", figures.requests() as f64)
        .number("mean_wait", figures.mean_wait)
        .number("p50_wait", figures.p50_wait as f64)
        .number("p99_wait", figures.p99_wait as f64)
        .number("p50_refusal", figures.p50_refusal as f64)
        .number("p99_total", figures.p99_total as f64)
        .number("utilisation", figures.utilisation)
        .number("throughput", figures.throughput)
        .number("most_waiting", figures.most_waiting as f64)
        .number("most_open", figures.most_open as f64)
        .number("mean_open", figures.mean_open)
        .number("refused_connects", figures.refused_connects as f64)
        .number("most_replicas", figures.most_replicas as f64)
        .maybe("deploy_took", figures.deploy_took.map(|took| took as f64))
        .number("opened", figures.opened as f64)
        .end()
}

fn advice(run: &Run) -> String {
    let advice = &run.advice;
    Object::new()
        .maybe("held", advice.held)
        .maybe("mean_wait", advice.mean_wait)
        .maybe("least_connections", advice.least_connections.map(|number| number as f64))
        .number("together", advice.together as f64)
        .number("in_a_deploy", advice.in_a_deploy as f64)
        .end()
}

/// How many of the requests with a connection took so long: bars of equal width up to the 99.5th percentile, and one for the
/// rest.
fn bars(run: &Run, time: fn(&Request) -> u64) -> String {
    let mut times: Vec<u64> = run.requests.iter().filter(|request| request.is_acquired()).map(time).collect();
    // Bars of one run are joined to those of another: a power of two divides every larger one.
    let width = (quantile(&mut times, 0.995) + 1).div_ceil(BARS as u64).next_power_of_two();
    let mut bars = vec![0_u64; BARS + 1];
    for time in &times {
        bars[((time / width) as usize).min(BARS)] += 1;
    }
    while bars.len() > 1 && bars.last() == Some(&0) {
        bars.pop();
    }
    Object::new().number("width", width as f64).raw("bars", &array(bars.iter().map(u64::to_string))).end()
}

/// Utilisation and mean wait by Erlang C, for the curve. Empty where the formula does not apply.
pub(crate) fn curve(scenario: &Scenario) -> String {
    if scenario.arrivals() != Arrivals::Poisson {
        return "[]".to_owned();
    }
    let connections = scenario.values.max_connections as usize;
    array((1..=48).map(|step| {
        let utilisation = f64::from(step) / 50.0;
        let wait = theory::mean_wait(connections, utilisation) * scenario.mean_hold();
        format!("[{utilisation},{}]", (wait * 1e3).round() / 1e3)
    }))
}

/// Every knob and every preset, as JSON: what a page needs to draw its controls.
pub fn knobs_json() -> String {
    let knobs = KNOBS.iter().map(|knob| {
        let object = Object::new()
            .text("name", knob.name)
            .text("group", knob.group)
            .text("label", knob.label)
            .text("default", &Scenario::default().text(knob));
        match knob.kind {
            Kind::Choice(words) => object.raw("choices", &array(words.iter().map(|word| text(word)))).end(),
            Kind::Number { unit, least, most, whole, off } => object
                .text("unit", unit)
                .number("least", if off { 0.0 } else { least })
                .number("most", most)
                .raw("whole", if whole { "true" } else { "false" })
                .raw("off", if off { "true" } else { "false" })
                .end(),
        }
    });
    let presets = PRESETS.iter().map(crate::preset::Preset::json);
    Object::new().raw("knobs", &array(knobs)).raw("presets", &array(presets)).end()
}

/// What is wrong with a scenario, as JSON: in whole, and by the knob, for a page that has another name for it.
pub fn error_json(error: &KnobError) -> String {
    Object::new().text("error", &error.to_string()).text("knob", &error.knob).text("said", error.said()).end()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drive::run;

    #[test]
    fn at_each_moment_the_next_requests_are_drawn_and_none_twice() {
        for knobs in
            ["rate=500&hold=10&duration=20", "rate=2&duration=30", "arrivals=burst&callers=90&think=7000"]
        {
            let run = run(&Scenario::parse(knobs).unwrap());
            let (requests, moments) = drawn(&run);
            assert_eq!(moments.len(), MOMENTS);
            for (index, start) in moments.into_iter().enumerate() {
                let at = (run.scenario.values.duration * 1e3) as u64 * index as u64 / MOMENTS as u64;
                let next = run.requests.iter().filter(|request| request.arrived >= at).take(DRAWN);
                let shown = &requests[start..(start + DRAWN).min(requests.len())];
                assert!(next.eq(shown.iter().copied()), "{knobs}, moment {index}");
            }
            assert!(requests.len() <= run.requests.len());
            assert!(requests.is_sorted_by_key(|request| request.arrived), "{knobs}");
        }
    }

    /// What a line of the picture says of a request: by a report of two that acquire twice, and one that leaks.
    #[test]
    fn a_request_says_when_it_waits_again_and_whether_it_holds_meanwhile() {
        let of = |knobs: &str| {
            let steady = "arrivals=constant&holds=constant&rate=10&hold=40&duration=1&max_connections=1&min_connections=1";
            let run = run(&Scenario::parse(&format!("{steady}&{knobs}")).unwrap());
            (request_json(&run.requests[0]), run.requests)
        };
        assert_eq!(of("").0, "[100,0,40,0]");
        assert_eq!(of("call=30&during_call=releases").0, "[100,0,70,0,20,50,0]");
        // The one connection is its own: it waits for it until its deadline.
        let (nested, requests) = of("nested=yes&connection_timeout=150");
        assert_eq!(nested, "[100,0,170,2,20,20,150]");
        assert_eq!((requests[1].waited, requests[1].total), (70, 240), "{:?}", requests[1]);
        let (leaks, requests) = of("leak_every=1&connection_timeout=150");
        assert_eq!(leaks, "[100,0,60900,6]", "to the end of what is watched");
        assert_eq!(request_json(&requests[1]), "[200,150,150,2]");
    }

    /// Or a page could not put the bars of two runs on one axis.
    #[test]
    fn the_width_of_a_bar_is_a_power_of_two() {
        for (hold, width) in [(1, 1), (23, 1), (24, 2), (100, 8), (1000, 64)] {
            let knobs = format!("rate=1&holds=constant&hold={hold}&duration=5&max_connections=50");
            let json = bars(&run(&Scenario::parse(&knobs).unwrap()), |request| request.total);
            assert!(json.starts_with(&format!("{{\"width\":{width},")), "{hold}: {json}");
        }
    }
}
