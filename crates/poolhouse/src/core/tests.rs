//! The core on its own: plain instants, connections that are numbers, and waiters that are numbers.

use std::collections::{HashSet, VecDeque};
use std::panic::Location;
use std::time::{Duration, Instant};

use super::*;
use crate::config::PoolConfig;
use crate::error::ConnectError;
use crate::manager::FailureKind;

type Fx = Effects<u32, u32>;
type TestCore = Core<u32, &'static str, u32>;
type Waiting = (Ticket, u32);
type Boxed = Box<Entry<u32>>;

const SECOND: Duration = Duration::from_secs(1);

fn config(max: usize) -> PoolConfig {
    PoolConfig { min_connections: 0, max_connections: max, lifetime_jitter: 0.0, ..PoolConfig::default() }
}

fn here() -> &'static Location<'static> {
    Location::caller()
}

fn core(config: PoolConfig) -> (TestCore, Home, Instant) {
    let mut core = Core::new(config, fastrand::Rng::with_seed(7));
    let home = core.home_opened();
    (core, home, Instant::now())
}

/// Opens `count` idle connections, numbered from 1.
fn open(core: &mut TestCore, home: Home, count: u32, now: Instant) {
    core.connecting += count as usize;
    for number in 1..=count {
        core.connected(number, home, now, &mut Fx::default());
    }
}

/// Joins the line: nothing is idle.
fn join(core: &mut TestCore, now: Instant, waiter: u32, fx: &mut Fx) -> Ticket {
    match core.take_or_join(now, here(), waiter, fx) {
        Ok(Joined::Waiting(ticket)) => ticket,
        _ => panic!("{waiter} does not wait"),
    }
}

/// Carries out what the shell would: closes what was retired, and gives back who is to be woken.
fn carry_out(core: &mut TestCore, now: Instant, fx: Fx) -> Vec<u32> {
    let mut woken: Vec<u32> = fx.wake.into_iter().collect();
    if !fx.retired.is_empty() {
        let mut after = Fx::default();
        core.closed(fx.retired.len(), now, &mut after);
        assert!(after.retired.is_empty());
        woken.extend(after.wake);
    }
    woken
}

/// Everything outside of the core, as the random test plays it.
struct World {
    core: TestCore,
    home: Home,
    now: Instant,
    rng: fastrand::Rng,
    context: String,
    /// In arrival order.
    waiting: VecDeque<Waiting>,
    /// Woken, and not yet asked what they got.
    served: Vec<Waiting>,
    held: Vec<Boxed>,
    checking: Vec<Boxed>,
    connects: Vec<Instant>,
    next_waiter: u32,
    next_connection: u32,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let max = rng.usize(1..6);
        let config = PoolConfig {
            min_connections: rng.usize(0..=max),
            max_connecting: rng.usize(1..4),
            max_pending: rng.bool().then(|| rng.usize(1..6)),
            idle_timeout: SECOND * rng.u32(1..20),
            max_lifetime: SECOND * rng.u32(5..60),
            health_check_interval: SECOND * rng.u32(1..10),
            queue: if rng.bool() { IdleOrder::Lifo } else { IdleOrder::Fifo },
            ..config(max)
        };
        let context = format!("seed {seed}, {config:?}");
        let (core, home, now) = core(config);
        Self {
            core,
            home,
            now,
            rng,
            context,
            waiting: VecDeque::new(),
            served: Vec::new(),
            held: Vec::new(),
            checking: Vec::new(),
            connects: Vec::new(),
            next_waiter: 0,
            next_connection: 0,
        }
    }

    fn pick<T>(rng: &mut fastrand::Rng, from: &mut Vec<T>) -> Option<T> {
        (!from.is_empty()).then(|| from.swap_remove(rng.usize(..from.len())))
    }

    /// acquire.fifo: whoever is woken is the head of the line, one after the other.
    fn settle(&mut self, fx: Fx) {
        for id in carry_out(&mut self.core, self.now, fx) {
            let head = self.waiting.pop_front().expect("nobody waits, yet somebody was woken");
            assert_eq!(head.1, id, "out of turn: {}", self.context);
            self.served.push(head);
        }
    }

    fn step(&mut self) {
        let mut fx = Fx::default();
        let now = self.now;
        match self.rng.u8(0..14) {
            0 | 1 => {
                let somebody_waits = !self.waiting.is_empty();
                let taken = if self.rng.bool() {
                    self.core.try_take(now, here(), &mut fx)
                } else {
                    match self.core.take_or_join(now, here(), self.next_waiter, &mut fx) {
                        Ok(Joined::Taken(entry)) => Some(entry),
                        Ok(Joined::Waiting(ticket)) => {
                            self.waiting.push_back((ticket, self.next_waiter));
                            self.next_waiter += 1;
                            None
                        }
                        Err(_) => None,
                    }
                };
                assert!(taken.is_none() || !somebody_waits, "a newcomer overtook: {}", self.context);
                self.held.extend(taken);
            }
            2 => {
                if let Some((ticket, _)) = Self::pick(&mut self.rng, &mut self.served)
                    && let Ok(entry) = self.core.poll(ticket, |_| ()).expect("served")
                {
                    self.held.push(entry);
                }
            }
            3 => {
                if let Some((ticket, _)) = Self::pick(&mut self.rng, &mut self.served) {
                    self.core.cancel(ticket, now, &mut fx);
                }
            }
            4 if !self.waiting.is_empty() => {
                let index = self.rng.usize(..self.waiting.len());
                let (ticket, _) = self.waiting.remove(index).expect("in bounds");
                if self.rng.bool() {
                    self.core.cancel(ticket, now, &mut fx);
                } else {
                    let Err(Expired::TimedOut(diagnosis)) = self.core.expire(ticket, now, &mut fx) else {
                        panic!("not served: {}", self.context)
                    };
                    assert_eq!(diagnosis.position, index + 1, "{}", self.context);
                }
            }
            5 | 6 => {
                if let Some(entry) = Self::pick(&mut self.rng, &mut self.held) {
                    let fate = if self.rng.u8(0..4) > 0 {
                        Fate::Reuse
                    } else {
                        Fate::Retire(RetireReason::Invalidated)
                    };
                    self.core.give_back(entry, fate, now, &mut fx);
                }
            }
            7 if self.rng.u8(0..4) == 0 => {
                if let Some(entry) = Self::pick(&mut self.rng, &mut self.held) {
                    self.core.detach(*entry, now, &mut fx);
                }
            }
            8 | 9 => {
                if let Some(started) = Self::pick(&mut self.rng, &mut self.connects) {
                    match self.rng.u8(0..10) {
                        0 => self.core.connect_lost(now, &mut fx),
                        1 | 2 => {
                            let kind =
                                if self.rng.bool() { FailureKind::Transient } else { FailureKind::Permanent };
                            self.core.connect_failed(
                                ConnectError::Failed("no"),
                                kind,
                                (started, now),
                                &mut fx,
                            );
                        }
                        _ => {
                            self.next_connection += 1;
                            self.core.connected(self.next_connection, self.home, now, &mut fx);
                        }
                    }
                }
            }
            10 => {
                if let Some(entry) = Self::pick(&mut self.rng, &mut self.checking) {
                    let passed = self.rng.u8(0..3) > 0;
                    self.core.checked(entry, passed, now, &mut fx);
                }
            }
            11 => self.now += Duration::from_millis(self.rng.u64(0..3000)),
            12 if self.rng.u8(0..4) == 0 => {
                // Growing only: what is on its way at a shrink may be above the new maximum for a while.
                let max = self.core.config.max_connections + 1;
                if max < 8 {
                    self.core.resize(max, now, &mut fx);
                }
            }
            13 if self.rng.u8(0..20) == 0 => {
                self.core.home_lost(self.home, &mut fx);
                // It wakes everybody in line to look again; nobody is served by it.
                let woken = std::mem::take(&mut fx.wake).into_iter().count();
                assert_eq!(woken, self.waiting.len(), "{}", self.context);
                for &(ticket, id) in &self.waiting {
                    assert!(self.core.poll(ticket, |waker| *waker = Some(id)).is_none(), "{}", self.context);
                }
                self.home = self.core.home_opened();
            }
            _ => {
                let plan = self.core.plan(now, &mut fx);
                assert!(plan.wake_at.is_none_or(|at| at > now), "it would spin: {}", self.context);
                self.connects.extend(std::iter::repeat_n(now, plan.connects));
                self.checking.extend(plan.checks);
            }
        }
        self.settle(fx);
    }

    fn check(&self) {
        let (core, context) = (&self.core, &self.context);
        let stats = core.stats();
        assert!(core.open() + core.connecting + core.closing <= core.config.max_connections, "{context}");
        assert!(core.waiters.is_empty() || core.idle.is_empty(), "idle while somebody waits: {context}");
        assert_eq!(core.closing, 0, "{context}");
        assert_eq!((core.connecting, core.checking), (self.connects.len(), self.checking.len()), "{context}");
        assert_eq!(core.waiters.len(), self.waiting.len(), "{context}");
        assert_eq!(stats.total_connections, stats.idle_connections + stats.active_connections, "{context}");
        assert_eq!(
            stats.connections_created,
            stats.connections_destroyed + stats.total_connections as u64,
            "{context}"
        );
        assert_eq!(
            stats.total_acquisitions,
            stats.total_releases + stats.active_connections as u64,
            "{context}"
        );
        assert!(core.idle.iter().is_sorted_by_key(|entry| entry.idle_since), "{context}");
        let at_once = core.config.max_connecting;
        assert!(core.connecting <= at_once, "{context}");
    }
}

/// size.max, stats.consistent, acquire.fifo, try_acquire.immediate: any order of any events.
#[test]
fn any_order_of_events_keeps_the_promises() {
    let mut served = 0;
    for seed in 0..200 {
        let mut world = World::new(seed);
        for _ in 0..400 {
            world.step();
            world.check();
        }
        served += world.core.stats().total_acquisitions;
    }
    assert!(served > 1000, "the test did nothing: {served}");
}

/// cancel.no_loss: after any run, everybody lets go and the whole maximum can be held.
#[test]
fn after_any_run_the_whole_maximum_is_there() {
    for seed in 0..100 {
        let mut world = World::new(seed);
        for _ in 0..300 {
            world.step();
        }
        let mut fx = Fx::default();
        for (ticket, _) in world.served.drain(..).chain(world.waiting.drain(..)) {
            world.core.cancel(ticket, world.now, &mut fx);
        }
        for entry in world.held.drain(..) {
            world.core.give_back(entry, Fate::Retire(RetireReason::Invalidated), world.now, &mut fx);
        }
        for entry in world.checking.drain(..) {
            world.core.checked(entry, false, world.now, &mut fx);
        }
        for _ in world.connects.drain(..) {
            world.core.connect_lost(world.now, &mut fx);
        }
        carry_out(&mut world.core, world.now, fx);
        let idle = world.core.idle.len();
        let room = world.core.room();
        assert_eq!(idle + room, world.core.config.max_connections, "{}", world.context);
    }
}

/// acquire.fifo: grants follow arrival, over returns and new connections in turn.
#[test]
fn grants_follow_arrival() {
    let (mut core, home, now) = core(config(4));
    open(&mut core, home, 2, now);
    let mut fx = Fx::default();
    let held: Vec<_> = (0..2).map(|_| core.try_take(now, here(), &mut fx).expect("idle")).collect();
    let tickets: Vec<_> = (0..4).map(|id| join(&mut core, now, id, &mut fx)).collect();
    assert_eq!(core.plan(now, &mut fx).connects, 2, "as many as there is room for");
    let mut held = held.into_iter();
    core.give_back(held.next().expect("two"), Fate::Reuse, now, &mut fx);
    core.connected(3, home, now, &mut fx);
    core.give_back(held.next().expect("two"), Fate::Reuse, now, &mut fx);
    core.connected(4, home, now, &mut fx);
    assert_eq!(fx.wake.into_iter().collect::<Vec<_>>(), [0, 1, 2, 3]);
    let got: Vec<_> = tickets
        .into_iter()
        .map(|ticket| core.poll(ticket, |_| ()).expect("served").expect("a connection").connection)
        .collect();
    assert_eq!(got.len(), got.iter().collect::<HashSet<_>>().len());
    assert_eq!((got[1], got[3]), (3, 4));
}

/// size.max: a connection on its way out keeps its share until it is gone.
#[test]
fn a_closing_connection_keeps_its_share() {
    let (mut core, home, now) = core(config(1));
    open(&mut core, home, 1, now);
    let mut fx = Fx::default();
    let held = core.try_take(now, here(), &mut fx).expect("idle");
    join(&mut core, now, 0, &mut fx);
    core.give_back(held, Fate::Retire(RetireReason::Invalidated), now, &mut fx);
    assert_eq!(core.plan(now, &mut fx).connects, 0, "the old socket is still open");
    core.closed(1, now, &mut fx);
    assert_eq!(core.plan(now, &mut fx).connects, 1);
}

/// The plan says when to come back: at the next check, idle limit or end of life, whichever is first.
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
        let (mut core, home, now) = core(config);
        open(&mut core, home, 1, now);
        let plan = core.plan(now, &mut Fx::default());
        assert_eq!(plan.wake_at, expected.map(|secs| now + SECOND * secs), "{check} {idle} {life}");
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
    let (mut core, home, now) = core(PoolConfig { max_lifetime: SECOND * 100, ..config });
    open(&mut core, home, 2, now);
    assert_eq!(core.plan(now, &mut Fx::default()).wake_at, Some(now + SECOND));
    let mut fx = Fx::default();
    let plan = core.plan(now + SECOND, &mut fx);
    assert_eq!((fx.retired.len(), core.idle.len()), (1, 1));
    assert_eq!(plan.wake_at, Some(now + SECOND * 100));
}

/// connect.backoff: during the pause the plan connects nothing, and wakes at its end for one attempt.
#[test]
fn the_plan_wakes_at_the_end_of_the_pause() {
    let (mut core, home, now) = core(config(8));
    let mut fx = Fx::default();
    for id in 0..5 {
        join(&mut core, now, id, &mut fx);
    }
    assert_eq!(core.plan(now, &mut fx).connects, 5);
    for _ in 0..5 {
        core.connect_failed(ConnectError::Failed("no"), FailureKind::Transient, (now, now), &mut fx);
    }
    let plan = core.plan(now, &mut fx);
    let end = plan.wake_at.expect("the end of the pause");
    assert_eq!(plan.connects, 0);
    assert!(end > now && end <= now + Duration::from_millis(100));
    assert_eq!(core.plan(end, &mut fx).connects, 1);
    assert_eq!(core.plan(end, &mut fx).connects, 0, "one at a time");
    core.connected(1, home, end, &mut fx);
    assert_eq!(core.plan(end, &mut fx).connects, 4);
}

/// health.off_path: of several idle connections checks leave at least half in reach, and come back for the rest.
#[test]
fn checks_leave_connections_in_reach_and_reach_all() {
    for size in 1..8_u32 {
        let (mut core, home, now) = core(config(8));
        open(&mut core, home, size, now);
        let due = now + SECOND * 30;
        let mut seen = HashSet::new();
        for _ in 0..size {
            let mut fx = Fx::default();
            let checks = core.plan(due, &mut fx).checks;
            assert!(
                size == 1 || core.idle.len() >= size as usize / 2,
                "{size}: {} in reach",
                core.idle.len()
            );
            for entry in checks {
                seen.insert(entry.connection);
                core.checked(entry, true, due, &mut fx);
            }
            assert!(fx.drive && fx.retired.is_empty() || seen.len() == size as usize);
        }
        assert_eq!(seen.len(), size as usize, "some were never checked");
    }
}

/// A check gives the connection its place back: it is neither younger in use nor next in line for it.
#[test]
fn a_check_changes_neither_place_nor_idle_time() {
    let (mut core, home, now) = core(config(3));
    open(&mut core, home, 3, now);
    let mut fx = Fx::default();
    let held = core.try_take(now, here(), &mut fx).expect("idle");
    let later = now + SECOND * 30;
    core.give_back(held, Fate::Reuse, later, &mut fx);
    for entry in core.plan(later, &mut fx).checks {
        core.checked(entry, true, later, &mut fx);
    }
    let order: Vec<_> = core.idle.iter().map(|entry| (entry.connection, entry.idle_since)).collect();
    assert_eq!(order.last(), Some(&(3, later)));
    assert!(order[..2].iter().all(|(_, since)| *since == now));
}

/// close.complete: whatever comes back or opens after close goes, and the core knows when all is gone.
#[test]
fn a_closed_core_drains() {
    let (mut core, home, now) = core(PoolConfig { min_connections: 2, ..config(4) });
    open(&mut core, home, 2, now);
    let mut fx = Fx::default();
    let held = core.try_take(now, here(), &mut fx).expect("idle");
    core.connecting += 1;
    core.close(&mut fx);
    assert!(
        core.take_or_join(now, here(), 1, &mut fx).is_err() && core.try_take(now, here(), &mut fx).is_none()
    );
    core.connected(3, home, now, &mut fx);
    core.give_back(held, Fate::Reuse, now, &mut fx);
    assert!(!core.is_drained(), "three are still on their way out");
    assert_eq!(fx.retired.len(), 3);
    assert!(fx.retired.iter().all(|(_, reason)| *reason == RetireReason::PoolClosed));
    carry_out(&mut core, now, fx);
    assert!(core.is_drained());
    assert_eq!(core.plan(now, &mut Fx::default()).connects, 0);
}
