//! Waits that end by time, that are taken back, and that are one too many.

use super::*;

fn place_of_timeout(policy: &mut TestPolicy, wait: Wait, now: Tick) -> usize {
    match ask(policy, wait, now, &mut Fx::default()) {
        Polled::TimedOut(diagnosis) => diagnosis.timeout.position,
        _ => panic!("its time is up"),
    }
}

/// A connection that was given back at `now` and is decided for a waiter, who has not picked it up.
fn served_to(policy: &mut TestPolicy, held: Boxed, waiter: u32, now: Tick) -> Wait {
    let mut fx = Fx::default();
    let wait = join(policy, now, waiter, &mut fx);
    policy.give_back(held, Disposition::Reuse, now, &mut fx);
    assert_eq!(policy.waiting.answer(wait.ticket), Some("granted"));
    wait
}

/// `acquire.deadline`, `acquire.diagnosis`: one call ends every wait that is due, whatever its limit, and each is told
/// the place that it had.
#[test]
fn all_that_are_due_end_in_one_call() {
    let limits = [None, Some(2), Some(9), None, Some(60), Some(5), None];
    let ends_at_ten = [true, true, true, true, false, true, false];
    for by_plan in [true, false] {
        let (mut policy, home, now) = policy(PoolConfig { connection_timeout: SECOND * 10, ..config(1) });
        open(&mut policy, home, 1, now);
        let held = take(&mut policy, now);
        let mut fx = Fx::default();
        let mut waits = Vec::new();
        for (waiter, limit) in (0..).zip(limits) {
            // The last of those with the common limit arrives later than the others.
            let at = now + if waiter == 6 { SECOND } else { Duration::ZERO };
            waits.push(join_for(&mut policy, at, (waiter, limit.map(|limit| SECOND * limit)), &mut fx));
        }
        assert_eq!(
            policy.plan(now + SECOND, home, &mut fx).wake_at,
            Some(now + SECOND * 2),
            "the first of all"
        );
        let due = now + SECOND * 10;
        let mut fx = Fx::default();
        let mut places = Vec::new();
        if by_plan {
            let plan = policy.plan(due, home, &mut fx);
            assert_eq!(plan.wake_at, Some(now + SECOND * 11), "the last of those with the common limit");
        } else {
            match ask(&mut policy, waits[3], due, &mut fx) {
                Polled::TimedOut(diagnosis) => places.push((3, diagnosis.timeout.position)),
                _ => panic!("its time is up"),
            }
        }
        let woken: Vec<_> = fx.wake.into_iter().collect();
        let expected: Vec<_> = [0, 1, 2, 3, 5].into_iter().filter(|waiter| by_plan || *waiter != 3).collect();
        let woken_of_others: Vec<_> =
            woken.iter().copied().filter(|waiter| *waiter != 3 || by_plan).collect();
        assert_eq!(woken_of_others, expected);
        for (waiter, ends) in ends_at_ten.into_iter().enumerate() {
            if places.first().is_some_and(|(asked, _)| *asked == waiter) {
                continue;
            }
            let answer = policy.waiting.answer(waits[waiter].ticket);
            assert_eq!(answer, ends.then_some("timed out"), "{waiter}");
            if ends {
                places.push((waiter, place_of_timeout(&mut policy, waits[waiter], due)));
            }
        }
        places.sort_unstable();
        assert_eq!(places, [(0, 1), (1, 2), (2, 3), (3, 4), (5, 6)]);
        assert_eq!(policy.stats().timed_out_acquisitions, 5);
        let left = [waits[4].ticket, waits[6].ticket];
        assert_eq!(policy.waiting.tickets(), left);
        drop(held);
    }
}

/// `acquire.diagnosis`: the counts and the holders are those of the moment at which the wait was ended, whatever happens
/// until the waiter asks. One diagnosis serves all who ended together, and none is kept for nobody.
#[test]
fn a_crowd_is_told_the_counts_of_the_moment_at_which_its_waits_ended() {
    for by_plan in [true, false] {
        let (mut policy, home, now) = policy(PoolConfig { connection_timeout: SECOND, ..config(4) });
        open(&mut policy, home, 4, now);
        let held: Vec<_> = (0..4).map(|_| take(&mut policy, now)).collect();
        let mut fx = Fx::default();
        let crowd: Vec<_> = (0..5).map(|waiter| join(&mut policy, now, waiter, &mut fx)).collect();
        let due = now + SECOND;
        let mut told = Vec::new();
        if by_plan {
            policy.plan(due, home, &mut fx);
        } else {
            told.push(ask(&mut policy, crowd[0], due, &mut fx));
        }
        assert_eq!(policy.waiting.diagnoses(), 1, "one for all");
        // One more waits and what was held comes back, before the others ask.
        let _next = join(&mut policy, due, 5, &mut fx);
        for entry in held {
            policy.give_back(entry, Disposition::Retire(RetireReason::Invalidated), due, &mut fx);
        }
        let later = due + SECOND / 2;
        policy.cancel(crowd[4], later, &mut fx);
        told.extend(crowd[told.len()..4].iter().map(|wait| ask(&mut policy, *wait, later, &mut fx)));
        for (index, answer) in told.into_iter().enumerate() {
            let Polled::TimedOut(Diagnosis { timeout: told, .. }) = answer else { panic!("its time is up") };
            assert_eq!((told.active, told.idle, told.connecting), (4, 0, 0), "{index}, {by_plan}");
            assert_eq!((told.position, told.waiting), (index + 1, 5), "{by_plan}");
            assert_eq!((told.phase, told.longest_holders.len()), (crate::error::Phase::Queueing, 3));
            assert!(told.longest_holders.iter().all(|holder| holder.held_for == SECOND), "{by_plan}");
            let asked = if by_plan || index > 0 { later } else { due };
            assert_eq!(told.waited, asked.since(now), "how long it waited is its own");
        }
        assert_eq!(policy.waiting.diagnoses(), 0, "everybody has asked or gone");
    }
}

/// `acquire.diagnosis`, `foreign.unlocked`: a waiter that goes without asking keeps nothing, and the error in
/// the diagnosis of the last is dropped outside of the lock.
#[test]
fn a_diagnosis_goes_with_the_last_who_could_ask() {
    let (mut policy, home, now) = policy(PoolConfig { connection_timeout: SECOND, ..config(1) });
    let failing = attempt(&mut policy, home, now);
    policy.connect_failed(failing, refused(FailureKind::Transient), now, &mut Fx::default());
    let mut fx = Fx::default();
    let crowd: Vec<_> = (0..3).map(|waiter| join(&mut policy, now, waiter, &mut fx)).collect();
    policy.plan(now + SECOND, home, &mut fx);
    let error = Arc::clone(&policy.connects.last_failure().expect("it has failed").error);
    for (left, wait) in (0..3).rev().zip(crowd) {
        assert_eq!(policy.waiting.diagnoses(), 1);
        let mut fx = Fx::default();
        policy.cancel(wait, now + SECOND, &mut fx);
        assert!(fx.spent_errors.iter().any(|spent| Arc::ptr_eq(spent, &error)), "{left} are left");
    }
    assert_eq!((policy.waiting.diagnoses(), Arc::strong_count(&error)), (0, 2));
}

/// `acquire.deadline`, `acquire.diagnosis`: two threads may join in another order than they read the clock. The one that read
/// it first ends in time all the same, in the place that it has.
#[test]
fn a_wait_that_began_before_the_one_ahead_of_it() {
    let (mut policy, _, now) = policy(PoolConfig { connection_timeout: SECOND * 10, ..config(1) });
    let mut fx = Fx::default();
    let ahead = join(&mut policy, now + SECOND, 0, &mut fx);
    let wait = join(&mut policy, now, 1, &mut fx);
    assert_eq!(place_of_timeout(&mut policy, wait, now + SECOND * 10), 2);
    assert!(got(&mut policy, ahead, now + SECOND * 10).is_none());
}

/// `acquire.deadline`: a wait of its own length ends then, not before, and not at the common limit.
#[test]
fn each_wait_has_its_own_length() {
    for (own, ends) in [(None, 10), (Some(3), 3), (Some(20), 20)] {
        let (mut policy, home, now) = policy(PoolConfig { connection_timeout: SECOND * 10, ..config(1) });
        open(&mut policy, home, 1, now);
        let held = take(&mut policy, now);
        let mut fx = Fx::default();
        let wait = join_for(&mut policy, now, (0, own.map(|own| SECOND * own)), &mut fx);
        let end = now + SECOND * ends;
        assert_eq!(policy.deadlines.due(deadlines::Deadline::Wait), end);
        let before = end - Duration::from_nanos(1);
        assert!(matches!(ask(&mut policy, wait, before, &mut fx), Polled::Waiting(_)));
        assert!(matches!(ask(&mut policy, wait, end, &mut fx), Polled::TimedOut(_)));
        drop(held);
    }
}

/// `acquire.deadline`: an answer that came in time counts, however late the waiter comes for it.
#[test]
fn what_was_served_in_time_is_not_late() {
    let (mut policy, home, now) = policy(PoolConfig { connection_timeout: SECOND, ..config(1) });
    open(&mut policy, home, 1, now);
    let held = take(&mut policy, now);
    let wait = served_to(&mut policy, held, 0, now);
    policy.plan(now + SECOND * 5, home, &mut Fx::default());
    assert!(matches!(got(&mut policy, wait, now + SECOND * 5), Some(Ok(_))));
}

/// `health.off_path`: what is handed over needs no check if its waiter comes for it at once, however short the trust is.
#[test]
fn what_is_picked_up_at_once_is_not_stale() {
    let pick_up = Duration::from_millis(100);
    for (after, served) in [(pick_up - Duration::from_millis(1), true), (pick_up, false)] {
        let (mut policy, home, now) =
            policy(PoolConfig { check_after_idle: Duration::from_millis(1), ..config(1) });
        open(&mut policy, home, 1, now);
        let held = take(&mut policy, now);
        let wait = served_to(&mut policy, held, 0, now);
        assert_eq!(got(&mut policy, wait, now + after).is_some(), served, "{after:?}");
    }
}

/// `acquire.shed`: an answer that is taken back makes nobody one too many. Those that arrived last are refused.
#[test]
fn a_waiter_that_comes_back_displaces_the_youngest() {
    for case in ["invalidated", "suspended", "runtime gone", "dead"] {
        let (mut policy, home, now) = policy(PoolConfig { max_pending: Some(2), ..config(1) });
        open(&mut policy, home, 1, now);
        let held = take(&mut policy, now);
        let first = served_to(&mut policy, held, 0, now);
        let mut fx = Fx::default();
        let second = join(&mut policy, now, 1, &mut fx);
        let third = join(&mut policy, now, 2, &mut fx);
        let full = policy.take_or_join(now, here(), (&mut Some(3), None), &mut fx);
        assert!(matches!(full, Polled::Refused(Refusal::Overloaded { waiting: 2, max_pending: 2 })));
        let failed = policy.stats().failed_acquisitions;
        let mut fx = Fx::default();
        let first = match case {
            "invalidated" => {
                policy.invalidate_all(now, &mut fx);
                first
            }
            "suspended" => {
                policy.suspend(now, &mut fx);
                first
            }
            "runtime gone" => {
                policy.home_lost(home, now, &mut fx);
                first
            }
            _ => {
                let dead = got(&mut policy, first, now).expect("served").expect("a connection");
                policy.rejoin(dead, (now, None), now, here(), &mut fx).expect("it waits again")
            }
        };
        assert_eq!(policy.waiting.tickets(), [first.ticket, second.ticket], "{case}: by arrival");
        assert_eq!(fx.wake.into_iter().next(), Some(2), "{case}: the youngest is told at once");
        let youngest = got(&mut policy, third, now);
        assert!(
            matches!(youngest, Some(Err(Refusal::Overloaded { waiting: 2, max_pending: 2 }))),
            "{case}: {:?}",
            youngest.map(|answer| answer.map(|entry| entry.id))
        );
        assert_eq!(policy.stats().failed_acquisitions, failed + 1, "{case}");
        assert!(got(&mut policy, first, now).is_none() && got(&mut policy, second, now).is_none(), "{case}");
    }
}

/// `acquire.shed`: a waiter that comes back and can be served at once is no reason to refuse anybody.
#[test]
fn a_waiter_that_is_served_again_displaces_nobody() {
    let (mut policy, first_home, now) = policy(PoolConfig { max_pending: Some(2), ..config(5) });
    let second_home = policy.home_opened();
    open(&mut policy, first_home, 3, now);
    let mut fx = Fx::default();
    let mut waits = Vec::new();
    let held: Vec<_> = (0..3).map(|_| take(&mut policy, now)).collect();
    for (waiter, held) in (0..).zip(held) {
        waits.push(served_to(&mut policy, held, waiter, now));
    }
    for number in [4, 5] {
        let key = attempt(&mut policy, second_home, now);
        policy.connected(key, number, (now, now), &mut fx);
    }
    assert_eq!(policy.idle.len(), 2, "nobody waits");
    policy.home_lost(first_home, now, &mut fx);
    let answers: Vec<_> = waits.iter().map(|wait| policy.waiting.answer(wait.ticket)).collect();
    assert_eq!(answers, [Some("granted"), Some("granted"), None], "two are there, and one waits");
}

/// `close.complete`: each acquire that waits when the pool closes is told so, also if it had been served, and
/// however many may wait.
#[test]
fn close_is_the_answer_to_everybody() {
    let (mut policy, home, now) = policy(PoolConfig { max_pending: Some(1), ..config(3) });
    open(&mut policy, home, 3, now);
    let mut fx = Fx::default();
    let held: Vec<_> = (0..3).map(|_| take(&mut policy, now)).collect();
    let mut waits = Vec::new();
    for (waiter, held) in (0..).zip(held) {
        waits.push(served_to(&mut policy, held, waiter, now));
    }
    waits.push(join(&mut policy, now, 3, &mut fx));
    assert!(policy.close(now, &mut fx));
    assert_eq!(fx.retired.len(), 3);
    for wait in waits {
        let answer = got(&mut policy, wait, now);
        assert!(
            matches!(answer, Some(Err(Refusal::Closed))),
            "{:?}",
            answer.map(|answer| answer.map(|_| ()))
        );
    }
}

/// `acquire.fifo`: what was served, and whose lifetime ends before it is picked up, goes, and the waiter is first in
/// the queue again.
#[test]
fn what_outlives_its_lifetime_before_it_is_picked_up() {
    let timing = PoolConfig { max_lifetime: SECOND * 60, connection_timeout: Duration::MAX, ..config(1) };
    let (mut policy, home, now) = policy(timing);
    open(&mut policy, home, 1, now);
    let held = take(&mut policy, now);
    let first = served_to(&mut policy, held, 0, now);
    let mut fx = Fx::default();
    let second = join(&mut policy, now, 1, &mut fx);
    let over = now + SECOND * 60;
    let mut fx = Fx::default();
    assert!(matches!(ask(&mut policy, first, over, &mut fx), Polled::Waiting(_)));
    assert_eq!(retired(&fx), [(1, RetireReason::Lifetime)]);
    assert_eq!(policy.waiting.tickets(), [first.ticket, second.ticket]);
    let stats = policy.stats();
    assert_eq!((stats.total_connections, stats.active_connections, stats.pending_requests), (0, 0, 2));
    carry_out(&mut policy, over, fx);
    assert_eq!(policy.plan(over, home, &mut Fx::default()).connects.len(), 1);
}

/// `health.off_path`: what was served, and has gone unproven for too long before it is picked up, is checked first.
/// Passing, it is for the one that it was served to.
#[test]
fn what_grows_stale_before_it_is_picked_up() {
    let timing = PoolConfig { check_after_idle: SECOND * 5, ..config(1) };
    let (mut policy, home, now) = policy(timing);
    open(&mut policy, home, 1, now);
    let held = take(&mut policy, now);
    let first = served_to(&mut policy, held, 0, now);
    let second = join(&mut policy, now, 1, &mut Fx::default());
    let late = now + SECOND * 5;
    let mut fx = Fx::default();
    assert!(matches!(ask(&mut policy, first, late, &mut fx), Polled::Waiting(_)));
    assert!(fx.plan && fx.retired.is_empty());
    assert_eq!((policy.idle.len(), policy.held()), (1, 0));
    assert_eq!(policy.idle.iter().next().expect("idle").idle_since, now, "it has idled since it came back");
    assert!(policy.try_take(late, here(), &mut fx).is_none(), "two are before");
    let entry = policy.plan(late, home, &mut fx).entries().pop().expect("a waiter's check");
    assert_eq!(policy.chores.wanted(), 1);
    let mut fx = Fx::default();
    policy.chore_ended(entry, ChoreOutcome::Passed, late, &mut fx);
    assert!(matches!(got(&mut policy, first, late), Some(Ok(_))));
    assert!(got(&mut policy, second, late).is_none());
}

/// `resize.exact`: what was served, has grown stale, and is one too many since a shrink, goes instead of being checked.
#[test]
fn what_grows_stale_and_is_one_too_many() {
    let timing = PoolConfig { check_after_idle: SECOND * 5, ..config(2) };
    let (mut policy, home, now) = policy(timing);
    open(&mut policy, home, 2, now);
    let [held, other] = [take(&mut policy, now), take(&mut policy, now)];
    let wait = served_to(&mut policy, held, 0, now);
    let mut fx = Fx::default();
    policy.resize(1, now, &mut fx);
    assert!(matches!(ask(&mut policy, wait, now + SECOND * 5, &mut fx), Polled::Waiting(_)));
    assert_eq!(retired(&fx), [(2, RetireReason::Shrunk)]);
    drop(other);
}
