//! What the knobs do that no preset turns.

use pool_lab::{Outcome, Run, Scenario, run};

fn of(knobs: &str) -> Run {
    run(&Scenario::parse(knobs).unwrap())
}

const ROOMY: &str = "rate=200&max_connections=60&min_connections=60&duration=60&seed=2";

/// Little's law: the call counts as long as the connection is kept.
#[test]
fn a_call_while_holding_takes_connections_and_one_after_a_release_does_not() {
    let held = |knobs: &str| {
        let run = of(&format!("{ROOMY}&holds=constant&hold=20&call=80&{knobs}"));
        assert_eq!(run.figures.count(Outcome::Served), run.figures.requests());
        let acquires = run.statistic("total_acquisitions").unwrap() as f64 / run.figures.requests() as f64;
        let all_take_100_ms = run.requests.iter().all(|request| request.total == 100);
        assert!(all_take_100_ms, "there is room for all");
        (run.figures.utilisation * 60.0, acquires.round(), run.advice.held.unwrap())
    };
    let (kept, acquires, by_law) = held("during_call=keeps");
    assert!((kept - 20.0).abs() < 1.0 && acquires == 1.0 && by_law == 20.0, "{kept} {acquires} {by_law}");
    let (released, acquires, by_law) = held("during_call=releases");
    assert!(
        (released - 4.0).abs() < 0.2 && acquires == 2.0 && by_law == 4.0,
        "{released} {acquires} {by_law}"
    );
}

#[test]
fn a_call_beside_nested_acquires_keeps_the_first_connection() {
    let nested = "nested=yes&holds=constant&hold=20&call=80&during_call=releases";
    let run = of(&format!("{ROOMY}&{nested}"));
    // The first for all of the 100 ms, the second for the last 10 of them.
    let held = run.figures.utilisation * 60.0;
    assert!((held - 22.0).abs() < 1.0, "{held}");
}

#[test]
fn mixed_holds_have_their_mean_and_two_lengths() {
    let run = of(&format!("{ROOMY}&holds=mixed&hold=20&long_every=10&long_factor=11"));
    let holds: Vec<u64> = run.requests.iter().map(|request| request.total - request.waited).collect();
    assert!(holds.iter().all(|hold| [10, 110].contains(hold)), "{holds:?}");
    let mean = holds.iter().sum::<u64>() as f64 / holds.len() as f64;
    assert!((mean - 20.0).abs() < 1.0, "{mean}");
}

#[test]
fn requests_trickle_beside_bursts_and_leave_the_bursts_as_they_are() {
    let bursts = "arrivals=burst&callers=20&think=10000&duration=60";
    let alone = of(bursts);
    let both = of(&format!("{bursts}&trickle=5"));
    let count = |run: &Run| run.requests.iter().filter(|request| request.arrived % 10_000 == 0).count();
    assert_eq!((alone.figures.requests(), count(&alone)), (120, 120));
    // One of the trickle may come with a burst.
    assert!((120..123).contains(&count(&both)), "{}", count(&both));
    let trickled = both.figures.requests() - 120;
    assert!((250..350).contains(&trickled), "{trickled}");
}

/// A connect hangs until the pool gives it up, so fewer of them fail than if they are refused.
#[test]
fn a_silent_server_lets_connects_hang_and_answers_when_it_is_back() {
    let down = |fault: &str| {
        of(&format!(
            "rate=20&max_connections=4&connection_timeout=1000&fault={fault}&fault_at=5&fault_for=20&seed=3"
        ))
    };
    let (refused, silent) = (down("outage"), down("silent"));
    let failed = |run: &Run| run.statistic("failed_connects").unwrap();
    assert!(failed(&refused) > failed(&silent), "{} and {}", failed(&refused), failed(&silent));
    for run in [refused, silent] {
        assert!(run.figures.count(Outcome::TimedOut) > 300, "{:?}", run.figures.outcomes);
        let last = run.requests.iter().filter(|request| request.arrived > 28_000);
        assert!(last.into_iter().all(|request| request.outcome == Outcome::Served), "it is back");
    }
}

#[test]
fn health_checks_are_traffic_and_can_be_switched_off() {
    let longest = |interval: u32| {
        let knobs = "rate=0.5&hold=10&max_connections=5&min_connections=5&duration=300&kill_idle=20000&idle_timeout=0";
        let run = of(&format!("{knobs}&health_check_interval={interval}"));
        let unused = run.lives.iter().map(|life| life.longest_unused).max().unwrap();
        (unused, run.figures.count(Outcome::Broken))
    };
    let (checked, broken) = longest(5_000);
    assert!(checked < 20_000 && broken == 0, "{checked} {broken}");
    // Nothing else keeps them alive: each burst but the first finds all of them dead.
    let unchecked =
        of("arrivals=burst&callers=5&think=30000&hold=10&max_connections=5&min_connections=5&duration=100\
                        &kill_idle=20000&health_check_interval=0&connection_timeout=1000");
    assert_eq!(unchecked.figures.count(Outcome::Broken), 15, "{:?}", unchecked.figures.outcomes);
}

#[test]
fn the_lives_of_the_connections_add_up() {
    let run = of(
        "arrivals=burst&callers=10&think=30000&holds=constant&hold=20&connect=10&max_connecting=10&duration=90\
                  &max_connections=10&idle_timeout=5000&min_connections=1",
    );
    let closed = run.lives.iter().filter(|life| life.closed.is_some_and(|closed| closed < 90_000)).count();
    assert_eq!(run.lives.len() as u64, run.figures.opened + 1, "and the one that was open at the start");
    assert_eq!(closed as u64, run.figures.closed);
    assert_eq!(run.lives.iter().map(|life| life.uses).sum::<u64>(), 30);
    assert_eq!(run.lives[0].opened, 0);
    // Ten for five seconds, and one for the rest of the thirty.
    assert!((run.figures.mean_open - 75.0 / 30.0).abs() < 0.1, "{}", run.figures.mean_open);
    assert_eq!(run.figures.most_held, 10);
}

/// How long the requests of a run took, shortest first.
fn totals(knobs: &str) -> Vec<u64> {
    let run = of(&format!("holds=constant&hold=100&max_connections=4&min_connections=4&{knobs}"));
    let mut totals: Vec<u64> = run.requests.iter().map(|request| request.total).collect();
    totals.sort_unstable();
    totals
}

const ONE_BURST: &str = "arrivals=burst&think=600000&duration=5";

#[test]
fn a_server_with_two_cores_works_on_two_requests_at_once() {
    assert_eq!(totals(&format!("{ONE_BURST}&callers=4&cores=2")), [100, 100, 200, 200]);
    assert_eq!(totals(&format!("{ONE_BURST}&callers=4")), [100; 4]);
}

#[test]
fn with_contention_each_other_request_in_progress_slows_one_down() {
    assert_eq!(totals(&format!("{ONE_BURST}&callers=3&contention=50")), [100, 150, 200]);
}

#[test]
fn a_slow_server_slows_what_begins_meanwhile_and_nothing_else() {
    let every_ten_seconds = "arrivals=burst&callers=1&think=10000&duration=45";
    let slow = "fault=slow&slow_factor=5&fault_at=15&fault_for=10";
    assert_eq!(totals(&format!("{every_ten_seconds}&{slow}")), [100, 100, 100, 100, 500]);
}

/// Each of three callers asks, works for 100 ms, and thinks for as long: they never wait for each other.
#[test]
fn callers_of_a_closed_load_wait_for_their_answer_before_they_ask_again() {
    let run = of(
        "arrivals=closed&callers=3&think=100&holds=constant&hold=100&max_connections=3&min_connections=3&duration=60",
    );
    assert!((897..=900).contains(&run.figures.requests()), "{}", run.figures.requests());
    assert!(run.requests.iter().all(|request| (request.waited, request.total) == (0, 100)));
    assert_eq!(run.figures.most_held, 3);
}
