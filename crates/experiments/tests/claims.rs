//! What the chapters say of the data. That the data is what the experiments give is the book test's business.

use std::fs;
use std::path::Path;

use experiments::{fleets, idle_order, lifetime, littles_law, overload, pool_sizes, queueing};
use serde::de::DeserializeOwned;

fn read<D: DeserializeOwned>(file: &str) -> D {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(experiments::FOLDER).join(file);
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn only_the_budget_and_the_early_close_spare_a_deploy_the_servers_limit() {
    let data: fleets::Data = read(fleets::FILE);
    let [one_by_one, early, at_once, too_early, small, budget] = &data.deploys[..] else {
        panic!("six deploys")
    };
    assert!(one_by_one.refused > 0 && one_by_one.took_seconds > early.took_seconds, "it waits for old ones");
    assert_eq!((one_by_one.failed, early.refused, budget.refused, budget.failed), (0, 0, 0, 0));
    assert_eq!((at_once.took_seconds, at_once.failed), (None, 0));
    assert!(too_early.failed > too_early.requests / 20, "{}", too_early.failed);
    assert!(small.refused > 0 && small.failed > 0 && small.failed < small.requests / 100, "{}", small.failed);
    assert!(data.deploys.iter().all(|deploy| deploy.requests == small.requests), "the same requests");
}

#[test]
fn a_bound_keeps_goodput_at_the_capacity_and_a_long_deadline_does_not() {
    let data: overload::Data = read(overload::FILE);
    let [long, short, bounded] = &data.policies[..] else { panic!("three policies") };
    let beyond = |policy: &overload::Policy| -> Vec<f64> {
        policy.points.iter().filter(|point| point.load > 1.0).map(|point| point.good).collect()
    };
    assert_eq!(beyond(long), [0.0, 0.0, 0.0], "not one answer in time");
    for policy in [short, bounded] {
        assert!(beyond(policy).iter().all(|good| *good > 0.95 * data.capacity), "{:?}", beyond(policy));
    }
    assert!(short.points.iter().all(|point| point.p99_wait <= 0.5));
    assert!(bounded.points.iter().all(|point| point.refused_after == 0.0), "refused at once");
}

#[test]
fn what_is_held_is_the_rate_times_the_hold_however_holds_are_spread() {
    let data: littles_law::Data = read(littles_law::FILE);
    for case in &data.cases {
        let by_law = case.measured_rate * case.hold_ms / 1e3;
        assert!((case.measured_held / by_law - 1.0).abs() < 0.05, "{}: {by_law}", case.name);
    }
    let [.., calling, released, _, _] = &data.cases[..] else { panic!("seven cases") };
    assert!((calling.measured_held / released.measured_held - 5.0).abs() < 0.1, "a fifth");
}

#[test]
fn a_minimum_of_one_helps_and_one_of_ten_cannot_be_bettered() {
    let data: pool_sizes::Data = read(pool_sizes::FILE);
    let (trickle, silence): (Vec<&pool_sizes::Case>, Vec<_>) =
        data.cases.iter().partition(|case| case.trickle);
    for cases in [&trickle, &silence] {
        assert_eq!(cases.iter().map(|case| case.min).collect::<Vec<_>>(), [0, 1, 5, 10]);
        assert!(cases.is_sorted_by(|fewer, more| fewer.connects_per_hour >= more.connects_per_hour));
        assert!(cases.is_sorted_by(|fewer, more| fewer.open <= more.open));
        assert_eq!((cases[3].median_ms, cases[3].longest_ms), (0.0, data.hold_ms));
        assert!(cases[1].median_ms >= data.connect_ms, "half of them wait for a connect or longer");
    }
    assert!(silence[1].longest_ms < silence[0].longest_ms);
    let same = |case: &pool_sizes::Case| (case.median_ms, case.longest_ms, case.connects_per_hour);
    assert_eq!(same(trickle[0]), same(trickle[1]), "traffic keeps one open");
}

#[test]
fn only_jitter_that_is_drawn_at_birth_flattens_the_waves() {
    let data: lifetime::Data = read(lifetime::FILE);
    let [none, anew, tenth, half] = &data.policies[..] else { panic!("four policies") };
    let all = data.pools * data.each;
    assert_eq!((none.peak, anew.peak), (all, all));
    assert!(anew.first_wave_seconds < 60.0 && tenth.first_wave_seconds > 150.0);
    assert!(tenth.peak < all / 2 && half.peak < all / 8, "{} {}", tenth.peak, half.peak);
    assert!(half.per_hour > 1.2 * none.per_hour, "its price");
    // From the second hour on.
    assert!(half.per_minute[60..].iter().filter(|connects| **connects == 0).count() < 10);
}

#[test]
fn lifo_shrinks_and_fifo_keeps_what_its_rate_reaches() {
    let data: idle_order::Data = read(idle_order::FILE);
    for pair in data.shrinking.chunks(2) {
        let [lifo, fifo] = pair else { panic!("both orders") };
        assert_eq!((&*lifo.order, &*fifo.order, lifo.rate), ("Lifo", "Fifo", fifo.rate));
        assert!(lifo.open <= 4.0 && lifo.open <= fifo.open, "{lifo:?}");
        // Arrivals at random leave gaps, and do not always.
        let reached = (fifo.rate * fifo.idle_timeout).clamp(1.0, data.burst as f64);
        assert!(fifo.open <= reached + 1.0, "{fifo:?}");
        assert_eq!(fifo.connects, 0);
    }
    let [lifo, fifo] = &data.fixed[..] else { panic!("both orders") };
    assert!(lifo.used <= 3 && fifo.used == fifo.connections);
    assert!(lifo.longest_unused > 3.0 * fifo.longest_unused);
}

#[test]
fn the_dots_lie_near_the_curves() {
    let data: queueing::Data = read(queueing::FILE);
    for point in &data.points {
        let off = (point.mean - point.model_mean).abs();
        assert!(off < 0.01 || off < 0.3 * point.model_mean, "{point:?}");
    }
    let waits = |name: &str, connections: usize| {
        let found =
            data.shapes.iter().find(|shape| shape.name.starts_with(name) && shape.connections == connections);
        found.unwrap().mean
    };
    for connections in [1, 10] {
        let of = |name| waits(name, connections);
        assert_eq!(of("regular arrivals"), 0.0);
        assert!(of("random arrivals, equal") < of("random arrivals, exponential"));
        assert!(of("random arrivals, exponential") < of("random arrivals, 1 hold in 20"));
    }
}
