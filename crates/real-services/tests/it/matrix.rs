//! The programs `fault_matrix` and `speed`, short: what must be so of poolhouse is so.

use real_services::contestants::Contestant;
use real_services::matrix::{Fault, Pace, Report, Stage, run};
use real_services::speed::{self, Plan};
use test_servers::start_or_skip;

async fn report(stage: &Stage, faults: &[Fault], pools: &[Contestant]) -> Report {
    let mut report = Report::default();
    for fault in faults {
        for which in pools {
            report
                .cells
                .push(run(stage, *fault, *which, Pace::SHORT).await.unwrap());
        }
    }
    println!("{}", report.markdown());
    report
}

/// 0 wrong answers, never more backends than the maximum, and a recovery.
#[tokio::test(flavor = "multi_thread")]
async fn with_a_server_that_misbehaves_poolhouse_keeps_its_maximum() {
    let stage = start_or_skip!(Stage::start());
    let faults = [Fault::Restart, Fault::HangUps, Fault::Schema, Fault::Full];
    let report = report(&stage, &faults, &[Contestant::Poolhouse]).await;
    assert_eq!(report.broken_musts(), [""; 0]);
    assert!(
        report.cells.iter().all(|cell| cell.requests > 0 && cell.most_backends > 0)
    );
}

/// The table has a row for each pool, and none of them answers with somebody else's number.
#[tokio::test(flavor = "multi_thread")]
async fn the_matrix_has_all_four_pools() {
    let stage = start_or_skip!(Stage::start());
    let report = report(&stage, &[Fault::IdleKilled], &Contestant::ALL).await;
    assert_eq!(report.broken_musts(), [""; 0]);
    assert!(report.cells.iter().all(|cell| cell.wrong == 0));
    let table = report.markdown();
    for which in Contestant::ALL {
        assert!(table.contains(&format!("| {} |", which.name())), "{table}");
    }
    assert_eq!(
        report.json()["faults"][0]["pools"].as_array().map(Vec::len),
        Some(4)
    );
}

/// A wrong answer would be an error. How fast a debug build is on a busy machine says nothing.
#[tokio::test(flavor = "multi_thread")]
async fn speed_measures_everybody_in_each_round() {
    let (_server, target) = start_or_skip!(speed::server());
    let measured = speed::run(&target, Plan::SHORT).await.unwrap();
    assert!(measured.rounds() >= 1);
    let json = measured.json();
    for work in json["works"].as_array().unwrap() {
        let pools = work["pools"].as_array().unwrap();
        assert_eq!(pools.len(), 5, "four pools, and one connection per task");
        assert!(
            pools
                .iter()
                .all(|pool| pool["p99"]["median_us"].as_f64().unwrap() > 0.0),
            "{work}"
        );
    }
}
