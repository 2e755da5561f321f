//! Every preset shows what it says it shows. The book quotes figures of these runs, and their tables are generated.

use std::fs;
use std::path::Path;

use pool_lab::{Figures, Outcome, PRESETS, Preset, Run, Scenario, report, run};

fn runs(name: &str) -> Vec<Run> {
    let preset = Preset::named(name).unwrap_or_else(|| panic!("no preset {name}"));
    preset.scenarios().expect("a valid preset").iter().map(|(_, scenario)| run(scenario)).collect()
}

fn both(name: &str) -> [Figures; 2] {
    runs(name).into_iter().map(|run| run.figures).collect::<Vec<_>>().try_into().expect("two configurations")
}

#[test]
fn every_preset_asks_a_question_with_one_right_answer() {
    for preset in PRESETS {
        for key in ["title", "question", "explanation", "first", "second"] {
            assert!(!preset.text(key).is_empty(), "{}: {key}", preset.name);
        }
        let answers = preset.answers();
        assert!(answers.len() > 1 && answers.contains(&preset.text("right")), "{}: {answers:?}", preset.name);
        assert_eq!(preset.scenarios().map(|scenarios| scenarios.len()), Ok(2), "{}", preset.name);
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("presets");
    assert_eq!(fs::read_dir(folder).unwrap().count(), PRESETS.len(), "a file is in no list");
}

#[test]
fn a_preset_is_a_toml_file() {
    for preset in PRESETS {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("presets/{}.toml", preset.name));
        let table: toml::Table = fs::read_to_string(path).unwrap().parse().unwrap();
        for key in ["title", "question", "answers", "right", "explanation", "first", "second"] {
            assert_eq!(table[key].as_str(), Some(&*preset.text(key)), "{}: {key}", preset.name);
        }
    }
}

#[test]
#[ignore = "long: every preset twice"]
fn a_run_is_the_same_to_the_last_digit_every_time() {
    for preset in PRESETS {
        let twice =
            [runs(preset.name), runs(preset.name)].map(|runs| runs.iter().map(report).collect::<Vec<_>>());
        assert_eq!(twice[0], twice[1], "{}", preset.name);
    }
}

#[test]
fn the_two_configurations_get_the_same_requests() {
    let [first, second] = both("overload");
    assert_eq!(first.requests(), second.requests());
}

#[test]
fn sixteen_connections_keep_the_target_and_twelve_do_not() {
    let runs = runs("sizing");
    let [small, large] = [&runs[0], &runs[1]];
    assert!(small.figures.p99_wait > 20, "{:?}", small.figures);
    assert!(large.figures.p99_wait <= 20, "{:?}", large.figures);
    assert_eq!(large.advice.held, Some(10.0));
    assert_eq!(large.advice.least_connections, Some(16));
}

#[test]
fn a_leak_shows_as_timeouts_that_name_the_holders() {
    let runs = runs("exhaustion");
    let [leaking, sound] = [&runs[0], &runs[1]];
    assert!(leaking.figures.count(Outcome::TimedOut) > 100, "{:?}", leaking.figures);
    assert_eq!(sound.figures.count(Outcome::TimedOut), 0);
    let (outcome, said) = &leaking.diagnoses[0];
    assert_eq!(*outcome, Outcome::TimedOut);
    assert!(said.contains("drive.rs:"), "{said}");
    assert!(!said.contains("crates"), "it names the folders of whoever compiled it: {said}");
}

#[test]
fn a_short_idle_timeout_opens_connections_again_and_again() {
    let [short, long] = both("churn");
    assert!(short.opened > 10 * long.opened, "{} and {}", short.opened, long.opened);
}

#[test]
fn jitter_spreads_the_reconnects() {
    let most = |run: &Run| run.frames.iter().map(|frame| frame.connecting).max().unwrap();
    let runs = runs("stampede");
    assert!(most(&runs[0]) > 2 * most(&runs[1]), "{} and {}", most(&runs[0]), most(&runs[1]));
}

#[test]
fn with_fail_fast_after_an_outage_costs_its_callers_no_deadline() {
    let [waits, fails_fast] = both("database-down");
    assert_eq!(waits.p50_refusal, 5_000);
    assert!(fails_fast.p50_refusal < 100, "{}", fails_fast.p50_refusal);
    assert!(fails_fast.count(Outcome::ConnectFailed) > 500, "{:?}", fails_fast.outcomes);
}

#[test]
fn nested_acquires_block_a_pool_that_is_large_enough_on_average() {
    let runs = runs("nested-acquires");
    assert!(runs[0].figures.count(Outcome::TimedOut) > 50, "{:?}", runs[0].figures.outcomes);
    assert_eq!(runs[1].figures.count(Outcome::TimedOut), 0);
    assert!(runs[0].diagnoses[0].1.contains("this task itself holds"), "{}", runs[0].diagnoses[0].1);
}

#[test]
fn the_last_of_sixty_waits_for_nine_groups_before_it() {
    let [six, twelve] = both("fairness");
    assert_eq!((six.max_wait, twelve.max_wait), (900, 400));
}

#[test]
fn lifo_gives_connections_back_and_fifo_does_not() {
    let runs = runs("idle-order");
    let open = |run: &Run| run.frames.last().map(|frame| frame.idle + frame.held).unwrap();
    assert!(2 * open(&runs[0]) < open(&runs[1]), "{} and {}", open(&runs[0]), open(&runs[1]));
}

#[test]
fn a_bounded_queue_serves_in_time_what_an_unbounded_one_serves_late() {
    let [unbounded, bounded] = both("overload");
    assert!(unbounded.throughput < 20.0, "{}", unbounded.throughput);
    assert!(bounded.throughput > 90.0, "{}", bounded.throughput);
    // Some holds alone are longer than the patience.
    assert!(bounded.count(Outcome::Late) < 5, "{:?}", bounded.outcomes);
}

#[test]
fn a_check_before_reuse_keeps_dead_connections_from_callers() {
    let [trusting, checking] = both("stale-connections");
    assert!(trusting.count(Outcome::Broken) > 30, "{:?}", trusting.outcomes);
    assert_eq!(checking.count(Outcome::Broken), 0);
}

#[test]
fn large_pools_share_a_servers_limit_unfairly_and_small_ones_do_not() {
    let runs = runs("shared-budget");
    let [large, small] = [&runs[0].figures, &runs[1].figures];
    // Requests come to the four replicas alike, and two of them have no connection.
    let failed = large.count(Outcome::TimedOut) as f64 / large.requests() as f64;
    assert!((failed - 0.5).abs() < 0.02, "{failed}");
    assert_eq!(small.count(Outcome::Served), small.requests());
    assert_eq!((large.most_open, small.most_open), (40, 40));
    assert!(runs[0].diagnoses[0].1.contains("too many clients already"), "{}", runs[0].diagnoses[0].1);
}

#[test]
fn a_deploy_ends_if_old_and_new_pools_fit_together() {
    let [large, small] = both("deploy");
    assert_eq!((large.deploy_took, large.most_open, large.most_replicas), (None, 100, 16));
    assert!(large.refused_connects > 100, "{}", large.refused_connects);
    assert_eq!((small.most_open, small.most_replicas, small.refused_connects), (80, 16, 0));
    assert!(small.deploy_took < Some(6_000), "{:?}", small.deploy_took);
    assert_eq!(small.count(Outcome::Served), small.requests());
}

/// As Kubernetes rolls: a replica that is told to end no longer counts, and the next new replica starts at
/// once.
#[test]
fn the_surge_and_the_time_to_end_say_how_many_replicas_are_alive() {
    let deploy = "replicas=8&fault=deploy&fault_at=5&boot=5&duration=120&rate=80";
    let figures = |more: &str| run(&Scenario::parse(&format!("{deploy}&{more}")).unwrap()).figures;
    // Each step takes 5 s; after 30 s the first old one has ended.
    let one = figures("surge=1&fault_for=30");
    assert!((14..=15).contains(&one.most_replicas), "{}", one.most_replicas);
    assert!(one.deploy_took >= Some(40_000) && one.deploy_took < Some(42_000), "{:?}", one.deploy_took);
    assert_eq!(figures("surge=1&fault_for=0").most_replicas, 9);
    assert_eq!(figures("surge=8&fault_for=30").most_replicas, 16);
    assert_eq!(figures("surge=3&fault_for=0").most_replicas, 11);
    // An old one that closes its pool early leaves its connections to the new ones.
    let open = |ending: &str| {
        let more = format!("surge=8&fault_for=30&min_connections=10&server_limit=160&ending={ending}");
        let run = run(&Scenario::parse(&format!("{deploy}&{more}")).unwrap());
        let open = run.frame_at(15_300).map(|frame| frame.idle + frame.held);
        (open, run.figures.count(Outcome::Served) == run.figures.requests())
    };
    assert_eq!((open("keeps"), open("closes")), ((Some(160), true), (Some(80), true)));
}

/// What a reader copies from the lab, as the lab writes it.
#[test]
fn a_copied_snippet_compiles_and_says_the_same_configuration() {
    let text = "min_connections=2&max_connections=12&max_pending=20&fail_fast_after=1000&idle_timeout=0&idle_order=fifo";
    let scenario = Scenario::parse(&format!(
        "{text}&lifetime_jitter=0.5&health_check_interval=5000&detect_nested_acquires=yes"
    ))
    .unwrap();
    assert_eq!(scenario.snippet(), include_str!("snippet.rs"));
    assert_eq!(copied::config(), scenario.config());
}

#[path = "snippet.rs"]
#[expect(unreachable_pub, reason = "in the reader's program it is not")]
mod copied;
