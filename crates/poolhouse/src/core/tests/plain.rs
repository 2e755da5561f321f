//! The plain case against the general one: two pools get the same calls, and only one of them may take the short way. What
//! they say and what they look like must stay the same, to the last count.

use super::*;

struct Twin {
    core: TestCore,
    short_cuts: bool,
    taken: u64,
    held: Vec<Boxed>,
    /// Who waits or has been served, and the waiter's number.
    tickets: Vec<Waiting>,
    checking: Vec<Boxed>,
    connects: Vec<usize>,
}

impl Twin {
    fn new(config: &PoolConfig, short_cuts: bool) -> (Self, Home) {
        let mut core = Core::new(config.clone(), fastrand::Rng::with_seed(7));
        let home = core.home_opened();
        let empty = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let (held, tickets, checking, connects) = empty;
        (Self { core, short_cuts, taken: 0, held, tickets, checking, connects }, home)
    }

    /// What a call comes to, effects included.
    fn call(&mut self, step: Step, now: Tick, home: Home) -> String {
        let mut fx = Fx::default();
        let taken = self.taken;
        let said = match step {
            Step::Take => {
                let plain = if self.short_cuts { self.core.take_plain(&here()) } else { None };
                self.taken += u64::from(plain.is_some());
                let entry = plain.or_else(|| self.core.try_take(now, here(), &mut fx));
                let said = format!("took {:?}", entry.as_ref().map(|entry| entry.id));
                self.held.extend(entry);
                said
            }
            Step::Join(id, own) => self.join(id, own, now, &mut fx),
            Step::GiveBack(index) if !self.held.is_empty() => {
                let entry = self.held.swap_remove(index % self.held.len());
                self.give_back(entry, now, &mut fx)
            }
            Step::PickUp(index) if !self.tickets.is_empty() => {
                let (ticket, id) = self.tickets.swap_remove(index % self.tickets.len());
                self.pick_up(ticket, id, now, &mut fx)
            }
            Step::Cancel(index) if !self.tickets.is_empty() => {
                let (ticket, id) = self.tickets.swap_remove(index % self.tickets.len());
                let plain = if self.short_cuts { self.core.cancel_plain(ticket) } else { None };
                self.taken += u64::from(plain.is_some());
                match plain {
                    Some(waker) => fx.spent = waker,
                    None => self.core.cancel(ticket, now, &mut fx),
                }
                format!("{id} gave up")
            }
            Step::Connected(number) if !self.connects.is_empty() => {
                let key = self.connects.remove(0);
                self.core.connected(key, number, now, &mut fx);
                "connected".into()
            }
            Step::Checked if !self.checking.is_empty() => {
                let entry = self.checking.remove(0);
                self.core.checked(entry, Checked::Passed, now, &mut fx);
                "checked".into()
            }
            Step::Plan => {
                let plan = self.core.plan(now, home, &mut fx);
                self.connects.extend(&plan.connects);
                self.checking.extend(plan.checks);
                for key in plan.abandoned {
                    self.connects.retain(|other| *other != key);
                    self.core.connect_lost(key, now, &mut fx);
                }
                format!("{:?}, {} leaks", plan.wake_at, plan.leaks.len())
            }
            Step::Resize(max) => {
                self.core.resize(max, now, &mut fx);
                "resized".into()
            }
            Step::Suspend => {
                self.core.suspend(&mut fx);
                "suspended".into()
            }
            Step::Resume => {
                self.core.resume(now, &mut fx);
                "resumed".into()
            }
            Step::InvalidateAll => {
                self.core.invalidate_all(now, &mut fx);
                "invalidated".into()
            }
            _ => "nothing".into(),
        };
        let asks = (fx.drive, fx.progress);
        let retired: Vec<_> = fx.retired.iter().map(|(entry, reason)| (entry.id, *reason)).collect();
        let woken = carry_out(&mut self.core, now, fx);
        // As the shell does, which unlocks after a short cut as it is.
        if self.taken == taken {
            self.core.settle();
        }
        format!("{said}; woke {woken:?}, retired {retired:?}, asks {asks:?}")
    }

    fn join(&mut self, id: u32, own: bool, now: Tick, fx: &mut Fx) -> String {
        // Not for those with a deadline of their own.
        if self.short_cuts
            && !own
            && let Ok((ticket, since)) = self.core.join_plain(here().at, id)
        {
            self.taken += 1;
            self.tickets.push((ticket, id));
            return format!("{id} waits since {since:?}");
        }
        match self.core.take_or_join(now, here(), (id, own), fx) {
            Ok(Joined::Taken(entry, since)) => {
                let said = format!("{id} took {} at {since:?}", entry.id);
                self.held.push(entry);
                said
            }
            Ok(Joined::Waiting(ticket, since)) => {
                self.tickets.push((ticket, id));
                format!("{id} waits since {since:?}")
            }
            Err(refusal) => format!("{refusal:?}"),
        }
    }

    fn give_back(&mut self, entry: Boxed, now: Tick, fx: &mut Fx) -> String {
        let said = format!("gave back {}", entry.id);
        let entry = if self.short_cuts {
            match self.core.give_back_plain(entry).or_else(|entry| {
                let waker = self.core.pass_on_plain(entry)?;
                waker.into_iter().for_each(|waker| fx.wake.push(waker));
                Ok(())
            }) {
                Ok(()) => {
                    self.taken += 1;
                    return said;
                }
                Err(entry) => entry,
            }
        } else {
            entry
        };
        self.core.give_back(entry, Fate::Reuse, now, fx);
        said
    }

    fn pick_up(&mut self, ticket: Ticket, id: u32, now: Tick, fx: &mut Fx) -> String {
        let plain = if self.short_cuts {
            self.core.pick_up(ticket, None, |waker| *waker == id)
        } else {
            PickedUp::Unclear
        };
        match plain {
            PickedUp::Entry(entry) => {
                let said = format!("{id} picked up {}", entry.id);
                self.held.push(entry);
                return said;
            }
            PickedUp::Nothing => {
                self.taken += 1;
                self.tickets.push((ticket, id));
                return format!("{id} waits on");
            }
            PickedUp::Unclear => {}
        }
        match self.core.poll(ticket, now, None, |waker| *waker = Some(id), fx) {
            Polled::Granted(entry) => {
                let said = format!("{id} picked up {}", entry.id);
                self.held.push(entry);
                said
            }
            Polled::Refused(refusal) => format!("{id}: {refusal:?}"),
            Polled::Waiting { .. } => {
                self.tickets.push((ticket, id));
                format!("{id} waits on")
            }
            Polled::Late => match self.core.expire(ticket, now, None, fx) {
                Err(Expired::TimedOut(diagnosis)) => format!("{id}: {diagnosis:?}"),
                _ => "served at the last moment".into(),
            },
        }
    }

    fn looks(&self) -> String {
        let core = &self.core;
        let idle: Vec<_> = core.idle.iter().map(|entry| (entry.id, entry.idle_since)).collect();
        let held: Vec<_> = core.holding().map(|(record, hold)| (record.connection, hold.since)).collect();
        format!("{:?} {idle:?} {held:?} wakes {:?}", core.stats(), core.next_wake)
    }
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Take,
    Join(u32, bool),
    GiveBack(usize),
    PickUp(usize),
    Cancel(usize),
    Connected(u32),
    Checked,
    Plan,
    Resize(usize),
    InvalidateAll,
    Suspend,
    Resume,
}

fn step(rng: &mut fastrand::Rng, count: u32) -> Step {
    let index = rng.usize(..100);
    match rng.u8(0..100) {
        0..25 => Step::Take,
        25..40 => Step::Join(count, rng.u8(0..4) == 0),
        40..70 => Step::GiveBack(index),
        70..85 => Step::PickUp(index),
        85..87 => Step::Cancel(index),
        87..93 => Step::Connected(count),
        93..95 => Step::Checked,
        95..98 => Step::Plan,
        98 => Step::Resize(rng.usize(2..8)),
        _ if index < 20 => Step::InvalidateAll,
        _ if index < 30 => Step::Suspend,
        _ if index < 70 => Step::Resume,
        _ => Step::Plan,
    }
}

fn config_from(rng: &mut fastrand::Rng) -> PoolConfig {
    let max = rng.usize(2..8);
    let mut seconds = |most: u32| if rng.bool() { SECOND * rng.u32(1..most) } else { SECOND * 10_000 };
    PoolConfig {
        idle_timeout: seconds(5),
        max_lifetime: seconds(10),
        health_check_interval: seconds(4),
        connection_timeout: seconds(5),
        check_after_idle: rng.bool().then(|| SECOND * rng.u32(1..4)),
        leak_threshold: rng.bool().then(|| SECOND * rng.u32(1..4)),
        min_connections: rng.usize(..2),
        max_pending: rng.bool().then(|| rng.usize(1..6)),
        queue: if rng.bool() { IdleOrder::Lifo } else { IdleOrder::Fifo },
        ..config(max)
    }
}

/// Calls that come so fast that one reading of the clock serves many, from `now` on.
fn haste(core: &mut TestCore, now: Tick) -> Tick {
    let mut later = now;
    for _ in 0..200 {
        later = later + Duration::from_nanos(50);
        core.time(later, &mut Fx::default());
    }
    core.settle();
    later
}

/// A connection that is held for the second time: the first use of one is never plain.
fn held_again(core: &mut TestCore, home: Home, now: Tick) -> Boxed {
    let mut fx = Fx::default();
    open(core, home, 1, now);
    let entry = core.try_take(now, here(), &mut fx).expect("idle");
    core.give_back(entry, Fate::Reuse, now, &mut fx);
    core.try_take(now, here(), &mut fx).expect("idle")
}

/// `lifetime.no_dip`: one that is old when it becomes idle has the background wake at the end of its lifetime, before that
/// of the others.
#[test]
fn what_has_aged_takes_the_long_way() {
    let never = PoolConfig { idle_timeout: Duration::MAX, health_check_interval: Duration::MAX, ..config(2) };
    let (mut core, home, now) = core(PoolConfig { max_lifetime: SECOND * 100, ..never });
    let mut fx = Fx::default();
    let old = held_again(&mut core, home, now);
    let young = held_again(&mut core, home, now + SECOND * 50);
    core.plan(now + SECOND * 95, home, &mut fx);
    assert_eq!(core.next_wake, now + SECOND * 140, "when the successor of the young one is due");
    let later = haste(&mut core, now + SECOND * 95);
    assert!(core.give_back_plain(young).is_ok());
    let old = core.give_back_plain(old).expect_err("it is old");
    core.give_back(old, Fate::Reuse, later, &mut fx);
    assert_eq!(core.next_wake, now + SECOND * 100);
}

/// A waiter does not get one whose lifetime ended while it was held.
#[test]
fn what_is_overdue_is_not_passed_on() {
    let never = PoolConfig { idle_timeout: Duration::MAX, health_check_interval: Duration::MAX, ..config(1) };
    let (mut core, home, now) =
        core(PoolConfig { max_lifetime: SECOND * 100, connection_timeout: Duration::MAX, ..never });
    let mut fx = Fx::default();
    let held = held_again(&mut core, home, now);
    join(&mut core, now, 0, &mut fx);
    core.plan(now + SECOND * 101, home, &mut fx);
    let later = haste(&mut core, now + SECOND * 101);
    let held = core.pass_on_plain(held).expect_err("it is overdue");
    core.give_back(held, Fate::Reuse, later, &mut fx);
    assert!(fx.retired.iter().any(|(_, reason)| *reason == RetireReason::Lifetime));
}

/// After the last waiter has been served, what comes back takes the short way again.
#[test]
fn the_short_cut_opens_again_when_nobody_waits() {
    let (mut core, home, now) = core(config(1));
    let mut fx = Fx::default();
    let held = held_again(&mut core, home, now);
    let ticket = join(&mut core, now, 0, &mut fx);
    core.plan(now, home, &mut fx);
    haste(&mut core, now);
    assert_eq!(core.pass_on_plain(held).ok(), Some(Some(0)));
    let PickedUp::Entry(held) = core.pick_up(ticket, None, |_| true) else { panic!("served") };
    assert!(core.give_back_plain(held).is_ok());
}

/// `acquire.deadline`: whoever asks again and has got nothing yet goes on waiting, but not beyond the deadline, not with an
/// old waker, and not where the background would not wake.
#[test]
fn who_asks_again_is_looked_after() {
    let waits = |spoil: &dyn Fn(&mut TestCore), later: Duration| {
        let (mut core, home, now) = core(PoolConfig { connection_timeout: SECOND, ..config(1) });
        let mut fx = Fx::default();
        let _held = held_again(&mut core, home, now);
        let ticket = join(&mut core, now, 0, &mut fx);
        core.plan(now, home, &mut fx);
        haste(&mut core, now + later);
        spoil(&mut core);
        let again = core.pick_up(ticket, None, |waker| *waker == 0);
        matches!(again, PickedUp::Nothing)
    };
    assert!(waits(&|_| (), Duration::ZERO));
    assert!(!waits(&|_| (), SECOND), "it is late");
    assert!(!waits(&|core| core.waiters.walk(|waiter, _| waiter.waker.replace(1).is_none()), Duration::ZERO));
    assert!(!waits(&|core| core.next_wake = Tick::NEVER, Duration::ZERO), "nobody wakes it");
    assert!(!waits(&|core| core.homes.clear(), Duration::ZERO));
}

/// `acquire.fifo`, `size.max`, `stats.consistent`, `leak.report`, `lifetime.no_dip`: a short cut leads where the long way
/// leads. Now and then time jumps, so that what is due, overdue and idle for long comes up in the midst of haste.
#[test]
fn a_short_cut_leads_where_the_long_way_leads() {
    let mut taken = 0;
    for seed in 0..200 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let config = config_from(&mut rng);
        let (mut short, home) = Twin::new(&config, true);
        let (mut long, _) = Twin::new(&config, false);
        let mut now = Tick::START;
        for count in 1..1500 {
            let jumps = rng.u16(..150) == 0;
            now = now
                + if jumps {
                    Duration::from_millis(rng.u64(1..2500))
                } else {
                    Duration::from_nanos(rng.u64(1..500))
                };
            if jumps {
                // The background is due before anybody else comes.
                let context = format!("seed {seed}, call {count}: {config:?}");
                assert_eq!(short.call(Step::Plan, now, home), long.call(Step::Plan, now, home), "{context}");
            }
            let step = step(&mut rng, count);
            let context = format!("seed {seed}, call {count}, {step:?}: {config:?}");
            assert_eq!(short.call(step, now, home), long.call(step, now, home), "{context}");
            if count % 8 == 0 {
                assert_eq!(short.looks(), long.looks(), "{context}");
            }
        }
        taken += short.taken;
    }
    assert!(taken > 10_000, "only {taken} short cuts were taken");
}

/// With the eight bytes of the lock: what each call changes is in one line of the cache, and what it changes when nobody waits
/// is in the next.
#[test]
fn what_every_call_changes_lies_together() {
    assert_eq!(std::mem::offset_of!(TestCore, idle), 64 - 8);
    assert_eq!(std::mem::offset_of!(TestCore, quiet), 128 - 8);
}
