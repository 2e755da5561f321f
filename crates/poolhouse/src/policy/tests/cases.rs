//! Known stories, one promise each.

use std::collections::HashSet;

use super::*;

/// acquire.fifo: grants follow arrival, over returns and new connections in turn.
#[test]
fn grants_follow_arrival() {
    let (mut policy, home, now) = policy(config(4));
    open(&mut policy, home, 2, now);
    let mut fx = Fx::default();
    let held: Vec<_> = (0..2).map(|_| policy.try_take(now, here(), &mut fx).expect("idle")).collect();
    let tickets: Vec<_> = (0..4).map(|id| join(&mut policy, now, id, &mut fx)).collect();
    assert_eq!(policy.plan(now, home, &mut fx).connects, [0, 1], "as many as there is room for");
    let mut held = held.into_iter();
    policy.give_back(held.next().expect("two"), Disposition::Reuse, now, &mut fx);
    policy.connected(0, 3, (now, now), &mut fx);
    policy.give_back(held.next().expect("two"), Disposition::Reuse, now, &mut fx);
    policy.connected(1, 4, (now, now), &mut fx);
    assert_eq!(fx.wake.into_iter().collect::<Vec<_>>(), [0, 1, 2, 3]);
    let numbers: Vec<_> = tickets
        .into_iter()
        .map(|ticket| got(&mut policy, ticket, now).expect("served").expect("a connection").connection)
        .collect();
    assert_eq!(numbers.len(), numbers.iter().collect::<HashSet<_>>().len());
    assert_eq!((numbers[1], numbers[3]), (3, 4));
}

/// size.max: a connection on its way out keeps its share until it is gone.
#[test]
fn a_closing_connection_keeps_its_share() {
    let (mut policy, home, now) = policy(config(1));
    open(&mut policy, home, 1, now);
    let mut fx = Fx::default();
    let held = policy.try_take(now, here(), &mut fx).expect("idle");
    join(&mut policy, now, 0, &mut fx);
    policy.give_back(held, Disposition::Retire(RetireReason::Invalidated), now, &mut fx);
    assert_eq!(policy.plan(now, home, &mut fx).connects.len(), 0, "the old socket is still open");
    policy.connections_gone(1, now, &mut fx);
    assert_eq!(policy.plan(now, home, &mut fx).connects.len(), 1);
}

/// The plan says when to come back: at the next check, idle limit or, a tenth ahead, end of life, whichever is first.
#[test]
fn the_plan_wakes_for_whatever_is_due_first() {
    let never = Duration::MAX;
    let cases = [
        (30, 300, 3600, Some(30)),
        (300, 30, 3600, Some(30)),
        (300, 3600, 30, Some(30)),
        (u64::MAX, u64::MAX, 30, Some(30)),
        (u64::MAX, u64::MAX, u64::MAX, None),
    ];
    for (check, idle, life, expected) in cases {
        let of = |secs| if secs == u64::MAX { never } else { Duration::from_secs(secs) };
        let config = PoolConfig {
            health_check_interval: of(check),
            idle_timeout: of(idle),
            max_lifetime: of(life),
            ..config(2)
        };
        let (mut policy, home, now) = policy(config);
        open(&mut policy, home, 1, now);
        let plan = policy.plan(now, home, &mut Fx::default());
        let lead = if life == 30 { SECOND * 3 } else { Duration::ZERO };
        assert_eq!(plan.wake_at, expected.map(|secs| now + SECOND * secs - lead), "{check} {idle} {life}");
    }
}

/// size.min: at the minimum, the idle limit is no reason to wake, let alone to close.
#[test]
fn the_idle_limit_sleeps_at_the_minimum() {
    let config = PoolConfig {
        min_connections: 1,
        idle_timeout: SECOND,
        health_check_interval: Duration::MAX,
        ..config(2)
    };
    let (mut policy, home, now) = policy(PoolConfig { max_lifetime: SECOND * 100, ..config });
    open(&mut policy, home, 2, now);
    assert_eq!(policy.plan(now, home, &mut Fx::default()).wake_at, Some(now + SECOND));
    let mut fx = Fx::default();
    let plan = policy.plan(now + SECOND, home, &mut fx);
    assert_eq!((fx.retired.len(), policy.idle.len()), (1, 1));
    assert_eq!(plan.wake_at, Some(now + SECOND * 90), "when its successor is due");
}

/// connect.backoff: during the pause the plan connects nothing, and wakes at its end for one attempt.
#[test]
fn the_plan_wakes_at_the_end_of_the_pause() {
    let (mut policy, home, now) = policy(config(8));
    let mut fx = Fx::default();
    let tickets: Vec<_> = (0..5).map(|id| join(&mut policy, now, id, &mut fx)).collect();
    let begun = policy.plan(now, home, &mut fx).connects;
    assert_eq!(begun.len(), 5);
    for attempt in begun {
        policy.connect_failed(attempt, refused(FailureKind::Transient), now, &mut fx);
    }
    let plan = policy.plan(now, home, &mut fx);
    let end = plan.wake_at.expect("the end of the pause");
    assert!(plan.connects.is_empty());
    assert!(end > now && end <= now + Duration::from_millis(100));
    let probe = policy.plan(end, home, &mut fx).connects;
    assert_eq!(probe.len(), 1);
    assert_eq!(policy.plan(end, home, &mut fx).connects.len(), 0, "one at a time");
    policy.connected(probe[0], 1, (end, end), &mut fx);
    assert_eq!(
        policy.plan(end, home, &mut fx).connects.len(),
        1,
        "one at a time: nobody has looked at it yet"
    );
    let mut entry = got(&mut policy, tickets[0], end).expect("served").expect("a connection");
    policy.proven(&mut entry, end, &mut fx);
    assert_eq!(policy.plan(end, home, &mut fx).connects.len(), 3);
}

/// health.off_path: a tenth of the unused connections are checked at a time, one at least, and in the end all.
#[test]
fn checks_leave_connections_in_reach_and_reach_all() {
    for size in [1, 2, 9, 10, 19, 20, 35_u32] {
        let (mut policy, home, now) = policy(config(40));
        open(&mut policy, home, size, now);
        let due = now + SECOND * 30;
        let at_once = (size as usize / 10).max(1);
        let mut seen = HashSet::new();
        while seen.len() < size as usize {
            let mut fx = Fx::default();
            let checks = policy.plan(due, home, &mut fx).entries();
            assert_eq!(checks.len(), at_once.min(size as usize - seen.len()), "{size}: a tenth at a time");
            assert!(policy.plan(due, home, &mut fx).entries().is_empty(), "{size}: no more beside them");
            assert_eq!(policy.idle.len() + checks.len(), size as usize);
            for entry in checks {
                assert!(seen.insert(entry.connection), "{size}: checked twice");
                policy.chore_ended(entry, ChoreOutcome::Passed, due, &mut fx);
            }
            assert!(fx.plan && fx.retired.is_empty(), "{size}: the next comes at once");
        }
        assert!(policy.plan(due, home, &mut Fx::default()).entries().is_empty(), "{size}: all are proven");
    }
}

/// A check gives the connection its place back: it is neither younger in use nor next in line for it.
#[test]
fn a_check_changes_neither_place_nor_idle_time() {
    let (mut policy, home, now) = policy(config(3));
    open(&mut policy, home, 3, now);
    let mut fx = Fx::default();
    let held = policy.try_take(now, here(), &mut fx).expect("idle");
    let later = now + SECOND * 30;
    policy.give_back(held, Disposition::Reuse, later, &mut fx);
    for _ in 0..2 {
        let entry = policy.plan(later, home, &mut fx).entries().pop().expect("due");
        policy.chore_ended(entry, ChoreOutcome::Passed, later, &mut fx);
    }
    let order: Vec<_> = policy.idle.iter().map(|entry| (entry.connection, entry.idle_since)).collect();
    assert_eq!(order.last(), Some(&(3, later)));
    assert!(order[..2].iter().all(|(_, since)| *since == now));
}

/// close.complete: whatever comes back or opens after close goes, and the policy knows when all is gone.
#[test]
fn a_closed_policy_drains() {
    let (mut policy, home, now) = policy(PoolConfig { min_connections: 2, ..config(4) });
    open(&mut policy, home, 2, now);
    let mut fx = Fx::default();
    let held = policy.try_take(now, here(), &mut fx).expect("idle");
    let coming = attempt(&mut policy, home, now);
    assert!(policy.close(now, &mut fx));
    assert!(!policy.close(now, &mut fx), "it was closed already");
    assert!(
        matches!(policy.take_or_join(now, here(), (&mut Some(1), None), &mut fx), Polled::Refused(_))
            && policy.try_take(now, here(), &mut fx).is_none()
    );
    policy.connected(coming, 3, (now, now), &mut fx);
    policy.give_back(held, Disposition::Reuse, now, &mut fx);
    assert!(!policy.is_drained(), "three are still on their way out");
    assert_eq!(fx.retired.len(), 3);
    assert!(fx.retired.iter().all(|(_, reason)| *reason == RetireReason::PoolClosed));
    carry_out(&mut policy, now, fx);
    assert!(policy.is_drained());
    assert_eq!(policy.plan(now, home, &mut Fx::default()).connects.len(), 0);
}
