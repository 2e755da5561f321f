//! Any order of any events: everything outside of the core is played at random, from a seed.

use std::collections::{HashSet, VecDeque};

use super::*;

struct World {
    core: TestCore,
    home: Home,
    now: Tick,
    rng: fastrand::Rng,
    context: String,
    /// In arrival order, which is that of the numbers.
    waiting: VecDeque<Waiting>,
    /// Woken, and not yet asked what they got.
    served: Vec<Waiting>,
    held: Vec<Boxed>,
    checking: Vec<Boxed>,
    connects: Vec<usize>,
    next_waiter: u32,
    next_connection: u32,
    /// The first connection opened since `invalidate_all`, and those opened since that had begun before.
    first_valid: u64,
    stale: HashSet<u64>,
    served_total: u64,
    recalled: u64,
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
            check_after_idle: rng.bool().then(|| SECOND * rng.u32(1..10)),
            leak_threshold: rng.bool().then(|| SECOND * rng.u32(1..10)),
            connection_timeout: Duration::MAX,
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
            first_valid: 1,
            stale: HashSet::new(),
            served_total: 0,
            recalled: 0,
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

    /// epoch.invalidate_all: what is handed out was opened after it.
    fn hand_out(&mut self, entry: Boxed) {
        let valid = entry.id >= self.first_valid && !self.stale.contains(&entry.id);
        assert!(valid, "{} is from before: {}", entry.id, self.context);
        assert!(!self.core.suspended, "handed out while suspended: {}", self.context);
        self.served_total += 1;
        self.held.push(entry);
    }

    /// Somebody who was served and has to go on waiting: back to the place that the number says.
    fn wait_again(&mut self, ticket: Ticket, id: u32) {
        let place = self.waiting.partition_point(|other| other.1 < id);
        self.waiting.insert(place, (ticket, id));
        self.recalled += 1;
    }

    fn step(&mut self) {
        let mut fx = Fx::default();
        let now = self.now;
        match self.rng.u8(0..18) {
            0 | 1 => self.acquire(&mut fx),
            2 => {
                if let Some((ticket, id)) = Self::pick(&mut self.rng, &mut self.served) {
                    match self.core.poll(ticket, now, None, |waker| *waker = Some(id), &mut fx) {
                        Polled::Granted(entry) => self.pick_up(entry, id, &mut fx),
                        Polled::Refused(_) => {}
                        Polled::Waiting { .. } => self.wait_again(ticket, id),
                        Polled::Late => panic!("there is no deadline: {}", self.context),
                    }
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
                    let expired = self.core.expire(ticket, now, None, &mut fx);
                    let Err(Expired::TimedOut(diagnosis)) = expired else {
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
            8 | 9 => self.end_connect(&mut fx),
            10 => {
                if let Some(entry) = Self::pick(&mut self.rng, &mut self.checking) {
                    let outcome = [Checked::Passed, Checked::Passed, Checked::Failed, Checked::Cut]
                        [self.rng.usize(0..4)];
                    self.core.checked(entry, outcome, now, &mut fx);
                }
            }
            11 => self.now = now + Duration::from_millis(self.rng.u64(0..3000)),
            12 if self.rng.u8(0..4) == 0 => {
                let max = self.rng.usize(self.core.config.min_connections.max(1)..8);
                self.core.resize(max, now, &mut fx);
            }
            13 if self.rng.u8(0..20) == 0 => {
                self.core.home_lost(self.home, &mut fx);
                // It wakes everybody in line to look again; nobody is served by it.
                let woken = std::mem::take(&mut fx.wake).into_iter().count();
                assert_eq!(woken, self.waiting.len(), "{}", self.context);
                for &(ticket, id) in &self.waiting {
                    let reply = self.core.poll(ticket, now, None, |waker| *waker = Some(id), &mut fx);
                    assert!(matches!(reply, Polled::Waiting { homeless: true }), "{}", self.context);
                }
                self.home = self.core.home_opened();
            }
            14 if self.rng.u8(0..10) == 0 => {
                self.core.invalidate_all(now, &mut fx);
                self.first_valid = self.core.counts.created + 1;
                // Connects that began before it may still succeed: those are not valid either.
                assert_eq!(self.core.abandoned, self.connects.len(), "{}", self.context);
            }
            15 if self.rng.u8(0..6) == 0 => self.core.suspend(&mut fx),
            16 => self.core.resume(now, &mut fx),
            _ => {
                let plan = self.core.plan(now, self.home, &mut fx);
                assert!(plan.wake_at.is_none_or(|at| at > now), "it would spin: {}", self.context);
                self.connects.extend(plan.connects);
                self.checking.extend(plan.checks);
                for key in plan.abandoned {
                    self.connects.retain(|other| *other != key);
                    self.core.connect_lost(key, now, &mut fx);
                }
            }
        }
        self.settle(fx);
    }

    fn acquire(&mut self, fx: &mut Fx) {
        let now = self.now;
        let somebody_waits = !self.waiting.is_empty();
        let id = self.next_waiter;
        let taken = if self.rng.bool() {
            self.core.try_take(now, here(), fx)
        } else {
            match self.core.take_or_join(now, here(), (id, self.rng.bool()), fx) {
                Ok(Joined::Taken(entry, _)) => Some(entry),
                Ok(Joined::Waiting(ticket, _)) => {
                    self.waiting.push_back((ticket, id));
                    None
                }
                Err(_) => None,
            }
        };
        self.next_waiter += 1;
        assert!(taken.is_none() || !somebody_waits, "a newcomer overtook: {}", self.context);
        if let Some(entry) = taken {
            self.pick_up(entry, id, fx);
        }
    }

    /// Sometimes what was handed out turns out to be dead.
    fn pick_up(&mut self, entry: Boxed, id: u32, fx: &mut Fx) {
        if self.rng.u8(0..8) > 0 {
            return self.hand_out(entry);
        }
        let now = self.now;
        let Ok(ticket) = self.core.rejoin(entry, (now, now), (here(), false), fx) else { return };
        match self.core.poll(ticket, now, None, |waker| *waker = Some(id), fx) {
            Polled::Granted(entry) => self.hand_out(entry),
            Polled::Refused(refusal) => panic!("refused: {refusal:?}, {}", self.context),
            Polled::Waiting { .. } => self.wait_again(ticket, id),
            Polled::Late => panic!("there is no deadline: {}", self.context),
        }
    }

    fn end_connect(&mut self, fx: &mut Fx) {
        let now = self.now;
        let Some(key) = Self::pick(&mut self.rng, &mut self.connects) else { return };
        match self.rng.u8(0..10) {
            0 => self.core.connect_lost(key, now, fx),
            1 | 2 => {
                let kind = if self.rng.bool() { FailureKind::Transient } else { FailureKind::Permanent };
                self.core.connect_failed(key, refused(kind), now, fx);
            }
            _ => {
                self.next_connection += 1;
                let stale = self.core.attempts[key].epoch != self.core.epoch;
                let (id, _) = self.core.connected(key, self.next_connection, now, fx);
                if stale {
                    self.stale.insert(id);
                }
            }
        }
    }

    fn check(&self) {
        let (core, context) = (&self.core, &self.context);
        let stats = core.stats();
        let coming = core.attempts.len();
        // Held ones and checked ones may be above a maximum that shrank, and so may attempts on their way out.
        let most = core.config.max_connections.max(core.held() + core.checking);
        assert!(core.open() + coming - core.abandoned + core.closing <= most, "{context}");
        let now = self.now;
        let fit = core.idle.iter().filter(|entry| !core.wants_check(entry, now)).count();
        assert!(core.waiters.is_empty() || fit == 0, "fit and idle while somebody waits: {context}");
        assert!(!core.suspended || core.idle.is_empty(), "idle while suspended: {context}");
        assert_eq!(core.closing, 0, "{context}");
        assert_eq!((coming, core.checking), (self.connects.len(), self.checking.len()), "{context}");
        let abandoned =
            core.attempts.iter().filter(|(_, attempt)| attempt.state != AttemptState::Wanted).count();
        let replacing = core
            .attempts
            .iter()
            .filter(|(_, attempt)| attempt.state == AttemptState::Wanted && attempt.replaces.is_some());
        assert_eq!((core.abandoned, core.replacing), (abandoned, replacing.count()), "{context}");
        let wanted = self.checking.iter().filter(|entry| entry.wanted_since.is_some()).count();
        assert_eq!(core.wanted_checks.len(), wanted, "{context}");
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
        assert_eq!((core.records.len(), core.holding().count()), (core.open(), core.held()), "{context}");
        let picked_up = core.records.iter().filter(|(_, record)| record.served.is_none()).count();
        assert_eq!(picked_up, core.open() - (core.held() - self.held.len()), "{context}");
        assert!(core.idle.iter().is_sorted_by_key(|entry| entry.idle_since), "{context}");
        assert!(coming <= core.config.max_connecting, "{context}");
    }
}

/// `size.max`, `stats.consistent`, `acquire.fifo`, `try_acquire.immediate`, `resize.exact`, `epoch.invalidate_all`,
/// `suspend.nothing_moves`: any order of any events.
#[test]
fn any_order_of_events_keeps_the_promises() {
    let (mut served, mut recalled, mut leaks) = (0, 0, 0);
    for seed in 0..400 {
        let mut world = World::new(seed);
        for _ in 0..400 {
            world.step();
            world.check();
        }
        served += world.served_total;
        recalled += world.recalled;
        leaks += world.core.counts.reported_leaks;
    }
    assert!(served > 1000 && recalled > 100 && leaks > 100, "did too little: {served} {recalled} {leaks}");
}

/// `cancel.no_loss`: after any run, everybody lets go and the whole maximum can be held.
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
            world.core.checked(entry, Checked::Failed, world.now, &mut fx);
        }
        for key in world.connects.drain(..) {
            world.core.connect_lost(key, world.now, &mut fx);
        }
        carry_out(&mut world.core, world.now, fx);
        let idle = world.core.idle.len();
        let room = world.core.room();
        assert_eq!(idle + room, world.core.config.max_connections, "{}", world.context);
    }
}
