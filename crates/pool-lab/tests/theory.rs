//! Runs of the lab beside what queueing theory says, each from independent replications with a confidence interval.

use pool_lab::{Figures, Outcome, Scenario, run, theory};

/// Student's t for a two-sided 99 % interval with seven degrees of freedom.
const T: f64 = 3.499;
const REPLICATIONS: u32 = 8;

/// The mean of a figure over independent seeds, and half the width of its 99 % confidence interval.
fn replicated(scenario: &str, figure: impl Fn(&Figures) -> f64) -> (f64, f64) {
    let values: Vec<f64> = (0..REPLICATIONS)
        .map(|seed| {
            let scenario =
                Scenario::parse(&format!("{scenario}&seed={}", 1_000 + seed)).expect("it is valid");
            figure(&run(&scenario).figures)
        })
        .collect();
    let count = f64::from(REPLICATIONS);
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0);
    (mean, T * (variance / count).sqrt())
}

/// Fails unless the theory lies in the interval, and unless the interval is narrow enough to mean something.
fn assert_agrees(what: &str, (mean, half): (f64, f64), theory: f64) {
    assert!(half < 0.15 * theory, "{what}: {mean} ± {half} says little");
    assert!((mean - theory).abs() <= half, "{what}: {mean} ± {half}, theory {theory}");
}

fn queue(connections: usize, utilisation: f64, more: &str) -> String {
    let rate = utilisation * connections as f64 * 1e3 / HOLD;
    // Long enough for some ten thousand requests.
    let duration = (12_000.0 / rate).clamp(60.0, 600.0);
    format!(
        "rate={rate}&hold={HOLD}&max_connections={connections}&min_connections={connections}&max_lifetime=0\
         &connection_timeout=600000&duration={duration}&warm_up={}{more}",
        duration / 10.0
    )
}

const HOLD: f64 = 100.0;

#[test]
fn one_connection_waits_as_in_m_m_1() {
    let measured = replicated(&queue(1, 0.6, ""), |figures| figures.mean_wait);
    assert_agrees("M/M/1 at 0.6", measured, theory::mean_wait(1, 0.6) * HOLD);
}

#[test]
fn several_connections_wait_as_in_m_m_c() {
    for (connections, utilisation) in [(4, 0.7), (10, 0.8)] {
        let measured = replicated(&queue(connections, utilisation, ""), |figures| figures.mean_wait);
        let theory = theory::mean_wait(connections, utilisation) * HOLD;
        assert_agrees(&format!("M/M/{connections} at {utilisation}"), measured, theory);
    }
}

#[test]
fn the_tail_is_that_of_m_m_c() {
    let measured = replicated(&queue(4, 0.7, ""), |figures| figures.p99_wait as f64);
    assert_agrees("99th percentile", measured, theory::wait_quantile(4, 0.7, 0.99) * HOLD);
}

/// Pollaczek and Khinchine: with one connection, equal holds halve the wait. With more there are bounds alone.
#[test]
#[ignore = "long: a hundred thousand requests"]
fn equal_holds_wait_as_in_m_d_c() {
    let (mean, half) = replicated(&queue(1, 0.6, "&holds=constant"), |figures| figures.mean_wait);
    assert_agrees("M/D/1 at 0.6", (mean, half), theory::mean_wait(1, 0.6) * HOLD / 2.0);
    let (mean, half) = replicated(&queue(4, 0.8, "&holds=constant"), |figures| figures.mean_wait);
    let exponential = theory::mean_wait(4, 0.8) * HOLD;
    // Half of M/M/c is the limit in heavy traffic; below it the ratio is somewhat more than a half, and less than one.
    assert!(
        mean + half > exponential / 2.0 && mean - half < exponential * 0.65,
        "{mean} ± {half} of {exponential}"
    );
}

#[test]
#[ignore = "long: a hundred thousand requests"]
fn a_bounded_queue_refuses_as_in_m_m_c_k() {
    let scenario = queue(4, 1.1, "&max_pending=6");
    let (refused, wait) = theory::finite_queue(4, 6, 1.1);
    let share =
        replicated(&scenario, |figures| figures.count(Outcome::Refused) as f64 / figures.requests() as f64);
    assert_agrees("share refused", share, refused);
    assert_agrees("wait", replicated(&scenario, |figures| figures.mean_wait), wait * HOLD);
}

/// The number that waits is looked at on a clock of its own, and not derived from the waits.
#[test]
fn littles_law_holds_for_those_who_wait() {
    let scenario = Scenario::parse(&queue(4, 0.85, "&seed=5")).unwrap();
    let run = run(&scenario);
    let waiting: usize = run.frames.iter().map(|frame| frame.waiting).sum();
    let waiting = waiting as f64 / run.frames.len() as f64;
    let waits: u64 = run.requests.iter().map(|request| request.waited).sum();
    let (count, last) = (run.requests.len() as f64, run.frames.last().unwrap().at as f64);
    let by_law = (count / last) * (waits as f64 / count);
    assert!((waiting - by_law).abs() < 0.15 * by_law, "{waiting} seen, {by_law} by Little's law");
}

#[test]
fn utilisation_is_the_load_by_the_connections() {
    let measured = replicated(&queue(10, 0.6, ""), |figures| figures.utilisation);
    assert_agrees("utilisation", measured, 0.6);
}
