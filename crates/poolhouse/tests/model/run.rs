//! Draws sequences until enough steps are done, and reports the first that fails in its smallest form.
//!
//! Each sequence has a seed of its own, drawn from the run's. So a failure is played again, and shrunk again, by itself.

use std::cell::Cell;
use std::panic::{PanicHookInfo, catch_unwind};
use std::sync::Once;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

use crate::coverage::Coverage;
use crate::ops::{Case, case};
use crate::play::play;
use crate::server::Scripted;

/// The longest sequence.
const LONGEST: usize = 120;

/// No sequence takes this long, not even with its shrinking.
const STUCK: Duration = Duration::from_secs(60);

thread_local! {
    static UNSCRIPTED: Cell<u64> = const { Cell::new(0) };
}

/// Panics on this thread so far that no script asked for. Those in a task end there, so somebody has to count.
pub(crate) fn unscripted_panics() -> u64 {
    UNSCRIPTED.get()
}

/// Keeps the panics that are part of the play off stderr.
pub(crate) fn listen_to_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let default = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic: &PanicHookInfo<'_>| {
            if !panic.payload().is::<Scripted>() {
                UNSCRIPTED.set(UNSCRIPTED.get() + 1);
                default(panic);
            }
        }));
    });
}

/// Plays sequences drawn from `seed` until `steps` are done, or only the sequence with the seed `only`.
pub(crate) fn run(seed: u64, steps: u64, only: Option<u64>) -> Coverage {
    listen_to_panics();
    let mut seen = Coverage::default();
    let mut seeds = fastrand::Rng::with_seed(seed);
    let (progress, watched) = mpsc::channel();
    thread::spawn(move || watch(&watched));
    while seen.steps < steps.max(1) {
        let sequence = only.unwrap_or_else(|| seeds.u64(..));
        progress.send(sequence).expect("the watch outlives the run");
        sequence_of(sequence, &mut seen);
        seen.sequences += 1;
        if only.is_some() {
            break;
        }
    }
    seen
}

/// A sequence that hangs prints its seed too. Nothing else can end a thread that is stuck.
fn watch(progress: &Receiver<u64>) {
    let mut current = 0;
    loop {
        match progress.recv_timeout(STUCK) {
            Ok(sequence) => current = sequence,
            Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) => {
                eprintln!("stuck for {STUCK:?}: {}", command(current));
                std::process::abort();
            }
        }
    }
}

fn command(sequence: u64) -> String {
    format!("POOLHOUSE_MODEL_SEQUENCE={sequence} cargo test -p poolhouse --test model -- --nocapture")
}

/// Draws from a seed of its own.
fn runner_of(seed: u64) -> TestRunner {
    let mut bytes = [0; 32];
    fastrand::Rng::with_seed(seed).fill(&mut bytes);
    let config = Config {
        cases: 1,
        max_shrink_iters: 50_000,
        // A seed means another sequence after every change here, so a file of seeds would tell nothing.
        failure_persistence: None,
        ..Config::default()
    };
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
}

fn sequence_of(seed: u64, seen: &mut Coverage) {
    let mut runner = runner_of(seed);
    let seen = std::cell::RefCell::new(seen);
    let played = runner
        .run(&case(LONGEST), |case| play(&case, &mut seen.borrow_mut(), None).map_err(TestCaseError::fail));
    match played {
        Ok(()) => {}
        Err(TestError::Fail(why, smallest)) => panic!("{}", report(seed, &why.to_string(), smallest)),
        Err(error) => panic!("sequence {seed}: {error}"),
    }
}

/// Proptest tries to leave out each step once. What could not go then may go now.
fn leave_out(mut case: Case) -> Case {
    let mut index = 0;
    while index < case.steps.len() {
        let mut shorter = case.clone();
        shorter.steps.remove(index);
        let fails = catch_unwind(|| play(&shorter, &mut Coverage::default(), None))
            .is_ok_and(|verdict| verdict.is_err());
        (case, index) = if fails { (shorter, 0) } else { (case, index + 1) };
    }
    case
}

fn report(seed: u64, why: &str, case: Case) -> String {
    let case = leave_out(case);
    let mut story = String::new();
    let again = play(&case, &mut Coverage::default(), Some(&mut story));
    format!(
        "{}\n\nThe smallest sequence that fails:\n\n{}\n\nWhat each step led to:\n\n{story}\n{}\n\
         Play it again: {}\n\
         To keep it as a test, put the sequence into regressions.rs.\n",
        again.as_ref().err().map_or(why, String::as_str),
        case.as_rust(),
        if again.is_ok() { "It passes when played once more: something is not deterministic.\n" } else { "" },
        command(seed),
    )
}

/// A sequence that failed once and passes when it is played again helps nobody.
#[test]
fn a_sequence_goes_the_same_way_each_time() {
    listen_to_panics();
    for seed in 0..60 {
        let case = case(LONGEST).new_tree(&mut runner_of(seed)).expect("it has no filter").current();
        let story = || {
            let mut story = String::new();
            let verdict = play(&case, &mut Coverage::default(), Some(&mut story));
            (verdict, story)
        };
        assert_eq!(story(), story(), "sequence {seed} went two ways: {}", command(seed));
    }
}
