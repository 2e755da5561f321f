//! Every preset shows what it says it shows. The book quotes figures of these runs, and their tables are generated.

use std::fs;
use std::path::Path;

use pool_lab::{Figures, KNOBS, Outcome, PRESETS, Preset, Run, Scenario, report, run};

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
fn the_two_configurations_get_the_same_requests_at_the_same_times() {
    for preset in PRESETS {
        let arrivals = |run: &Run| {
            let mut arrivals: Vec<u64> = run.requests.iter().map(|request| request.arrived).collect();
            arrivals.sort_unstable();
            arrivals
        };
        let runs = runs(preset.name);
        assert!(!runs[0].requests.is_empty(), "{}", preset.name);
        // A request that leaks its connection is in no list, and takes its place in the order along.
        assert!(preset.name == "exhaustion" || arrivals(&runs[0]) == arrivals(&runs[1]), "{}", preset.name);
    }
}

/// The shipped page says so: a preset is where a reader needs it. The other place of each is the page of the lab.
#[test]
fn every_preset_is_in_the_chapter_that_needs_it() {
    let chapters = [
        ("sizing", "guide/sizing"),
        ("exhaustion", "troubleshooting/pool-exhaustion"),
        ("churn", "troubleshooting/connection-churn"),
        ("stampede", "troubleshooting/stampede"),
        ("database-down", "troubleshooting/server-down"),
        ("nested-acquires", "troubleshooting/deadlock-at-n"),
        ("fairness", "performance/queueing"),
        ("idle-order", "performance/lifo-or-fifo"),
        ("overload", "guide/load-shedding"),
        ("stale-connections", "troubleshooting/stale-connections"),
        ("shared-budget", "troubleshooting/too-many-clients"),
        ("deploy", "performance/fleets"),
    ];
    assert_eq!(chapters.len(), PRESETS.len());
    let book = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../book/src");
    for preset in PRESETS {
        let (_, chapter) = chapters.iter().find(|(name, _)| *name == preset.name).expect(preset.name);
        for page in [chapter, &"lab/pool-lab"] {
            let text = fs::read_to_string(book.join(format!("{page}.md"))).unwrap();
            let element = format!("<pool-lab preset=\"{}\"></pool-lab>", preset.name);
            assert!(text.contains(&element), "{page}.md has no {element}");
        }
    }
}

/// The size that the page says is not enough, and the one that is too much.
#[test]
fn with_ten_the_queue_grows_and_forty_are_idle_for_the_most_part() {
    let [small, _] = both("sizing");
    let scenario = |connections: u32| {
        let (_, scenario) = Preset::named("sizing").unwrap().scenarios().unwrap().remove(0);
        let knobs =
            scenario.address().replace("max_connections=12", &format!("max_connections={connections}"));
        run(&Scenario::parse(&knobs.replace("min_connections=12", &format!("min_connections={connections}")))
            .unwrap())
    };
    let (ten, forty) = (scenario(10), scenario(40));
    assert!(ten.figures.p99_wait > 5 * small.p99_wait, "{} and {}", ten.figures.p99_wait, small.p99_wait);
    assert!(forty.figures.p99_wait <= 20 && forty.figures.utilisation < 0.3, "{:?}", forty.figures);
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
    assert!(runs[1].figures.opened > runs[0].figures.opened, "jitter shortens lives");
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
    assert_eq!(runs.iter().map(|run| run.figures.most_open).collect::<Vec<_>>(), [20, 20]);
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
    assert_eq!(large.count(Outcome::Served), large.requests(), "the old copies still serve");
    assert_eq!((small.most_open, small.most_replicas, small.refused_connects), (80, 16, 0));
    assert!(small.deploy_took < Some(6_000), "{:?}", small.deploy_took);
    assert_eq!(small.count(Outcome::Served), small.requests());
}

/// As Kubernetes rolls: a replica that is told to end no longer counts, and the next new replica starts at
/// once.
#[test]
fn the_surge_and_the_time_to_end_say_how_many_replicas_are_alive() {
    let deploy = "replicas=8&fault=deploy&fault_at=5&boot=5&duration=120&rate=80";
    let figures = |more: &str| {
        let run = run(&Scenario::parse(&format!("{deploy}&{more}")).unwrap());
        // What arithmetic reserves for a deploy is never too little. A pool of the default has ten connections.
        let most = run.advice.in_a_deploy / 10;
        assert!(
            run.figures.most_replicas == most || run.figures.most_replicas + 1 == most,
            "{more}: {} and {most}",
            run.figures.most_replicas
        );
        run.figures
    };
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

/// What a reader copies from the lab, as the lab writes it: every knob of the pool, each away from its default.
#[test]
fn a_copied_snippet_compiles_and_says_the_same_configuration() {
    let text = KNOBS.iter().filter(|knob| knob.group == "Pool" && knob.name != "warm").map(|knob| {
        let value = match knob.name {
            "min_connections" => "2",
            "max_connections" => "12",
            "max_connecting" => "3",
            "max_pending" => "20",
            "connection_timeout" => "7000",
            "idle_timeout" => "0",
            "max_lifetime" => "60000",
            "lifetime_jitter" => "0.5",
            "health_check_interval" => "5000",
            "check_after_idle" => "250",
            "fail_fast_after" => "1000",
            "idle_order" => "fifo",
            "detect_nested_acquires" => "yes",
            name => panic!("a new knob: {name}"),
        };
        format!("{}={value}", knob.name)
    });
    let scenario = Scenario::parse(&text.collect::<Vec<_>>().join("&")).unwrap();
    assert_eq!(scenario.snippet(), include_str!("snippet.rs"));
    assert_eq!(copied::config(), scenario.config());
}

#[path = "snippet.rs"]
#[expect(unreachable_pub, reason = "in the reader's program it is not")]
mod copied;
