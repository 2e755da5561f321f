//! Health checks: what they say of other connections, and what ends them early.

use super::*;

/// Opens some idle connections, and begins the one regular check that is due at the time that is returned.
fn checking(config: PoolConfig, count: u32) -> (TestPolicy, Home, Boxed, Tick) {
    let (mut policy, home, now) = policy(config);
    open(&mut policy, home, count, now);
    let due = now + SECOND * 30;
    let mut checks = policy.plan(due, home, &mut Fx::default()).entries();
    assert_eq!((checks.len(), policy.chores.wanted()), (1, 0));
    (policy, home, checks.pop().expect("one"), due)
}

/// `health.off_path`: after a failed check all that have not proved to work since it began are checked at once, and
/// not handed out before.
#[test]
fn a_failed_check_puts_the_others_in_doubt() {
    let (mut policy, home, now) = policy(config(8));
    open(&mut policy, home, 6, now);
    let mut fx = Fx::default();
    let began = now + SECOND * 30;
    let failing = policy.plan(began, home, &mut fx).entries().pop().expect("due");
    // One is given back while the check runs, and one is still held when it fails.
    let [proven, held] = [take(&mut policy, began), take(&mut policy, began)];
    let ids = (proven.id, held.id);
    policy.give_back(proven, Disposition::Reuse, began + SECOND, &mut fx);
    let ended = began + SECOND * 3;
    let mut fx = Fx::default();
    policy.chore_ended(failing, ChoreOutcome::Failed, ended, &mut fx);
    assert!(fx.plan);
    assert_eq!(fx.retired[0].1, RetireReason::CheckFailed);
    assert_eq!(policy.stats().failed_checks, 1);

    let mut fx = Fx::default();
    let good = policy.try_take(ended, here(), &mut fx).expect("it worked after the check began");
    assert_eq!(good.id, ids.0);
    assert!(policy.try_take(ended, here(), &mut fx).is_none(), "the others are in doubt");
    let mut checks = policy.plan(ended, home, &mut fx).entries();
    assert_eq!(checks.len(), 3, "all at once");
    policy.give_back(held, Disposition::Reuse, ended, &mut fx);
    let back = policy.try_take(ended, here(), &mut fx).expect("whoever used it found it to work");
    assert_eq!(back.id, ids.1);
    let passed = checks.pop().expect("three");
    let id = passed.id;
    policy.chore_ended(passed, ChoreOutcome::Passed, ended + SECOND, &mut fx);
    assert_eq!(policy.try_take(ended + SECOND, here(), &mut fx).expect("proven again").id, id);
}

/// `health.off_path`: neither a check that is cut short nor a connection that the peer had closed says anything about
/// the others.
#[test]
fn other_ends_of_a_check_cast_no_doubt() {
    let gone = RetireReason::RuntimeGone;
    for (outcome, reason) in
        [(ChoreOutcome::Dropped, gone), (ChoreOutcome::PeerClosed, RetireReason::PeerClosed)]
    {
        let (mut policy, _, entry, due) = checking(config(4), 4);
        let mut fx = Fx::default();
        policy.chore_ended(entry, outcome, due + SECOND, &mut fx);
        assert_eq!(fx.retired[0].1, reason);
        assert_eq!(policy.stats().failed_checks, 0);
        take(&mut policy, due + SECOND);
    }
}

/// `health.off_path`: an acquire that waits when others come into doubt is served by the first of them that
/// passes.
#[test]
fn a_waiter_gets_what_passes_the_doubt() {
    let (mut policy, home, failing, due) = checking(config(3), 3);
    let mut fx = Fx::default();
    policy.chore_ended(failing, ChoreOutcome::Failed, due + SECOND, &mut fx);
    let wait = join(&mut policy, due + SECOND, 0, &mut fx);
    let plan = policy.plan(due + SECOND, home, &mut fx);
    assert_eq!((plan.chores.len(), policy.chores.wanted()), (2, 1), "one for the waiter, one for itself");
    for (entry, _) in plan.chores {
        policy.chore_ended(entry, ChoreOutcome::Passed, due + SECOND, &mut fx);
    }
    assert!(matches!(got(&mut policy, wait, due + SECOND), Some(Ok(_))));
}

/// `resize.exact`: a connection under a check goes before an idle one, and what is told to go is not counted twice.
#[test]
fn a_shrink_cuts_checks_first() {
    let (mut policy, home, entry, due) = checking(config(4), 4);
    let mut fx = Fx::default();
    policy.resize(3, due, &mut fx);
    assert!(fx.plan && fx.retired.is_empty());
    assert_eq!((policy.chores.abandoned(), policy.idle.len()), (1, 3));
    let told = policy.plan(due, home, &mut fx).abandoned_chores;
    assert_eq!(told, [entry.id]);
    assert_eq!(retired(&fx), [], "the one under the check is the one too many");
    policy.resize(2, due, &mut fx);
    assert_eq!(fx.retired.len(), 1, "the cut one is leaving already");
    let mut fx = Fx::default();
    policy.chore_ended(entry, ChoreOutcome::Dropped, due, &mut fx);
    assert_eq!(fx.retired[0].1, RetireReason::Shrunk);
    assert_eq!((policy.open(), policy.stats().failed_checks), (2, 0));
}

/// `resize.exact`: what comes back while a cut check has not ended stays, if it is not one too many after that.
#[test]
fn a_cut_check_makes_room_for_what_comes_back() {
    let (mut policy, _, entry, due) = checking(config(3), 3);
    let held = [take(&mut policy, due), take(&mut policy, due)];
    let mut fx = Fx::default();
    policy.resize(2, due, &mut fx);
    assert_eq!(policy.chores.abandoned(), 1);
    for entry in held {
        policy.give_back(entry, Disposition::Reuse, due, &mut fx);
    }
    policy.chore_ended(entry, ChoreOutcome::Dropped, due, &mut fx);
    assert_eq!((policy.idle.len(), policy.open()), (2, 2));
}

/// `resize.exact`: a check that is told to stop and passes all the same gives its connection back, if it fits again.
#[test]
fn a_cut_check_that_passes() {
    for (then, stays) in [(3, false), (4, true)] {
        let (mut policy, _, entry, due) = checking(config(4), 4);
        let mut fx = Fx::default();
        policy.resize(3, due, &mut fx);
        policy.resize(then, due, &mut fx);
        policy.chore_ended(entry, ChoreOutcome::Passed, due, &mut fx);
        assert_eq!((fx.retired.is_empty(), policy.open()), (stays, then), "{then}");
    }
}

/// `resize.exact`: and if it fits only in the place of an attempt to connect, the attempt goes.
#[test]
fn a_cut_check_that_passes_before_a_connect_ends() {
    let (mut policy, home, entry, due) = checking(config(3), 2);
    let coming = attempt(&mut policy, home, due);
    let mut fx = Fx::default();
    policy.resize(2, due, &mut fx);
    assert_eq!((policy.chores.abandoned(), abandoned(&policy)), (1, 0));
    policy.chore_ended(entry, ChoreOutcome::Passed, due, &mut fx);
    assert_eq!((policy.idle.len(), fx.retired.len()), (2, 0));
    assert_eq!(policy.plan(due, home, &mut fx).abandoned_connects, [coming]);
}

/// `lifetime.no_dip`: a connection may be under a check when its successor opens. It goes when the check ends.
#[test]
fn a_successor_for_what_is_under_a_check() {
    let timing = PoolConfig { max_lifetime: SECOND * 33, idle_timeout: Duration::MAX, ..config(3) };
    let (mut policy, home, entry, due) = checking(PoolConfig { min_connections: 1, ..timing }, 1);
    let mut fx = Fx::default();
    let key = policy.plan(due, home, &mut fx).connects;
    // Both came due in one plan, or the successor comes next.
    let key = key.first().copied().unwrap_or(0);
    policy.connected(key, 2, (due, due), &mut fx);
    assert!(fx.retired.is_empty(), "it is under a check");
    assert_eq!((policy.open(), policy.idle.len()), (2, 1));
    assert!(policy.plan(due, home, &mut fx).connects.is_empty(), "one successor is enough");
    policy.chore_ended(entry, ChoreOutcome::Passed, due + SECOND, &mut fx);
    assert_eq!(retired(&fx), [(1, RetireReason::Lifetime)]);
    assert_eq!(policy.idle.iter().map(|entry| entry.connection).collect::<Vec<_>>(), [2]);
}

/// `suspend.nothing_moves`: a suspension ends what was open before it, also if it is over when the check ends.
#[test]
fn a_suspension_that_is_over_when_the_check_ends() {
    for outcome in [ChoreOutcome::Passed, ChoreOutcome::Dropped] {
        let (mut policy, home, entry, due) = checking(config(2), 2);
        let mut fx = Fx::default();
        policy.suspend(due, &mut fx);
        policy.resume(due, &mut fx);
        assert_eq!(retired(&fx), [(if entry.connection == 1 { 2 } else { 1 }, RetireReason::Suspended)]);
        let mut fx = Fx::default();
        assert_eq!(policy.plan(due, home, &mut fx).abandoned_chores, [entry.id]);
        policy.chore_ended(entry, outcome, due, &mut fx);
        assert_eq!(fx.retired[0].1, RetireReason::Suspended);
        assert_eq!(policy.open(), 0);
    }
}

/// `suspend.nothing_moves`: a check that is told to stop serves nobody, so a waiter after the suspension gets
/// a connect at once.
#[test]
fn nobody_waits_for_a_check_that_is_cut() {
    let timing = PoolConfig { check_after_idle: SECOND, ..config(2) };
    let (mut policy, home, now) = policy(timing);
    open(&mut policy, home, 1, now);
    let (mut fx, late) = (Fx::default(), now + SECOND * 2);
    join(&mut policy, late, 0, &mut fx);
    let plan = policy.plan(late, home, &mut fx);
    assert_eq!((plan.chores.len(), plan.connects.len(), policy.chores.wanted()), (1, 0, 1));
    policy.suspend(late, &mut fx);
    policy.resume(late, &mut fx);
    assert_eq!(policy.chores.wanted(), 0);
    assert_eq!(policy.plan(late, home, &mut fx).connects.len(), 1);
}

/// `health.known_dead`: what a waiter was served comes into doubt, and is taken back when the waiter comes for it. It is
/// checked, also if another connection serves that waiter at once.
#[test]
fn what_is_taken_back_in_doubt_is_checked() {
    let never = Duration::MAX;
    let timing =
        PoolConfig { idle_timeout: never, max_lifetime: never, health_check_interval: never, ..config(3) };
    let (mut policy, home, now) = policy(PoolConfig { check_after_idle: SECOND * 15, ..timing });
    open(&mut policy, home, 2, now);
    let (doubtful, good) = (take(&mut policy, now), take(&mut policy, now));
    let mut fx = Fx::default();
    let wait = join(&mut policy, now, 0, &mut fx);
    let id = doubtful.id;
    policy.give_back(doubtful, Disposition::Reuse, now, &mut fx);
    let third = attempt(&mut policy, home, now);
    policy.connected(third, 3, (now, now), &mut fx);
    // The check of the idle one fails. What the waiter was served has not been used since that check began.
    let later = now + SECOND * 16;
    let other = join(&mut policy, later, 1, &mut fx);
    let failing = policy.plan(later, home, &mut fx).entries().pop().expect("it has been idle for long");
    policy.chore_ended(failing, ChoreOutcome::Failed, later, &mut fx);
    policy.cancel(other, later, &mut fx);
    policy.give_back(good, Disposition::Reuse, later, &mut fx);
    policy.plan(later, home, &mut fx);
    let mut fx = Fx::default();
    let Polled::Granted(got) = ask(&mut policy, wait, later, &mut fx) else { panic!("one is fit") };
    assert_ne!(got.id, id);
    assert!(fx.plan, "nobody waits for it, and it is in doubt");
    let checks = policy.plan(later, home, &mut fx).entries();
    assert_eq!(checks.iter().map(|entry| entry.id).collect::<Vec<_>>(), [id]);
}
