//! Any order of any events: everything outside of the policy is played at random, from a seed.

use super::world::{Picture, Waiter, World, options};
use super::*;

impl World {
    fn step(&mut self) {
        let before = self.picture();
        let mut fx = Fx::default();
        let now = self.now;
        self.cut_in_step.clear();
        match self.rng.u8(0..26) {
            0 | 1 => self.acquire(&mut fx),
            2 | 3 => self.ask_awake(&mut fx),
            4 => self.give_up(&mut fx),
            5 | 6 => self.give_back(&mut fx),
            7 if self.rng.u8(0..4) == 0 => {
                if let Some((_, entry)) = Self::pick(&mut self.rng, &mut self.held) {
                    self.policy.detach(*entry, now, &mut fx);
                }
            }
            8 | 9 => self.end_connect(&mut fx),
            10 | 17 => self.end_check(&mut fx),
            11 | 18 => self.now = now + Duration::from_millis(self.rng.u64(0..3000)),
            12 if self.rng.u8(0..4) == 0 => self.resize(&before, &mut fx),
            13 if self.rng.u8(0..12) == 0 => self.lose_home(&mut fx),
            13 if self.homes.len() < 3 && self.rng.u8(0..6) == 0 => {
                self.homes.push(self.policy.home_opened());
            }
            14 if self.rng.u8(0..8) == 0 => {
                self.policy.invalidate_all(now, &mut fx);
                self.epoch += 1;
                assert_eq!(self.policy.connects.coming(), 0, "{}", self.context);
                assert_eq!(self.policy.chores.abandoned(), self.checking.len(), "{}", self.context);
            }
            15 if self.rng.u8(0..6) == 0 => {
                self.suspensions += u32::from(!self.policy.is_suspended());
                self.policy.suspend(now, &mut fx);
            }
            16 => self.policy.resume(now, &mut fx),
            19 => self.administer(&mut fx),
            _ => self.plan(&mut fx),
        }
        self.compare(&before, &mut fx);
        let woken = carry_out(&mut self.policy, self.now, fx);
        assert!(woken.is_empty(), "whoever is told that a connection is gone wakes nobody: {}", self.context);
    }

    /// What a pool's owner does now and then.
    fn administer(&mut self, fx: &mut Fx) {
        let now = self.now;
        match self.rng.u8(0..12) {
            0 => self.reconfigure(fx),
            1 => self.policy.check_now(now, fx),
            2 => self.policy.connect_now(now, fx),
            3 => self.policy.invalidate_all_over(SECOND * self.rng.u32(0..5), now, fx),
            4..=6 => {
                let inspected = self.policy.take_all_idle(now);
                self.began.extend(inspected.iter().map(|entry| (entry.id, now)));
                self.checking.extend(inspected.into_iter().map(|entry| (entry, Chore::Inspect)));
            }
            7 => {
                let home = self.homes[self.rng.usize(..self.homes.len())];
                let room = self.policy.room() > 0 && !self.policy.is_suspended();
                let reserved = self.policy.reserve(home, now);
                assert_eq!(reserved.is_some(), room, "{}", self.context);
                let Some(key) = reserved else { return };
                self.next_connection += 1;
                let era = self.era(home);
                let (id, _) = self.policy.connected(key, self.next_connection, (now, now), fx);
                self.opened(id, era);
            }
            _ => {}
        }
        // A check of all doubts all that have not proved to work since.
        if fx.plan {
            self.doubt = self.doubt.max(self.policy.checks.in_doubt_before());
        }
    }

    /// Every limit changes, the number of attempts at once aside: those that are under way go on.
    fn reconfigure(&mut self, fx: &mut Fx) {
        let max_connecting = self.policy.config.max_connecting;
        self.most_uses = self.most_uses.max(self.policy.config.max_uses.unwrap_or(u64::MAX));
        let config = PoolConfig { max_connecting, ..options(&mut self.rng) };
        self.context = format!("{}, then {config:?}", self.context);
        self.policy.reconfigure(config, self.now, fx);
    }

    fn acquire(&mut self, fx: &mut Fx) {
        let now = self.now;
        let somebody_waits = self.policy.somebody_waits();
        let own_limit = self.rng.bool().then(|| Span::from(SECOND * self.rng.u32(0..20)));
        let taken = if self.rng.bool() {
            let taken = self.policy.try_take(now, here(), fx);
            taken.map(|entry| (self.arrive(), entry))
        } else {
            let id = self.arrive();
            match self.policy.take_or_join(now, here(), (&mut Some(id), own_limit), fx) {
                Polled::Granted(entry) => Some((id, entry)),
                Polled::Waiting(wait) => {
                    self.wait((id, wait));
                    self.asleep.insert(id);
                    None
                }
                Polled::TimedOut(_) => unreachable!("it has only begun"),
                Polled::Refused(refusal) => {
                    let outage = self.policy.outage_from().is_some_and(|from| from <= now);
                    let right = match refusal {
                        Refusal::Overloaded { .. } => !outage,
                        Refusal::Connect { retry, .. } => outage && retry.is_some(),
                        Refusal::Closed => false,
                    };
                    assert!(right, "{refusal:?}: {}", self.context);
                    self.tally.failed += 1;
                    None
                }
            }
        };
        let Some((id, entry)) = taken else { return };
        assert!(!somebody_waits, "a newcomer overtook: {}", self.context);
        self.hand_out((id, now, own_limit), entry);
        self.look(fx);
    }

    /// Somebody who is awake asks, or now and then somebody who is not.
    fn ask_awake(&mut self, fx: &mut Fx) {
        let any = self.rng.u8(0..4) == 0;
        let awake = self.waits.iter().filter(|(id, _)| any || !self.asleep.contains(id));
        let Some(waiter) = self.rng.choice(awake.copied().collect::<Vec<_>>()) else { return };
        self.ask(waiter, fx);
    }

    /// `acquire.deadline`: an acquire that is told to wait has time left, and one that is told that it has
    /// none has not.
    fn ask(&mut self, (id, wait): Waiter, fx: &mut Fx) {
        let now = self.now;
        let known = self.expected_position(id);
        let index = self.policy.waiting.tickets().iter().position(|ticket| *ticket == wait.ticket);
        let answer = self.policy.poll(wait, now, None, &mut Some(id), fx);
        let late = self.deadline(wait) <= now;
        if matches!(answer, Polled::Waiting(_)) {
            assert!(!late, "it waits for ever: {}", self.context);
            self.asleep.insert(id);
            return;
        }
        // A waiter that asks and is woken in one call is awake.
        self.asleep.remove(&id);
        fx.wake = without(std::mem::take(&mut fx.wake), id);
        self.leave(id);
        match answer {
            Polled::Granted(entry) => {
                self.hand_out((id, wait.since, wait.own_limit), entry);
                self.look(fx);
            }
            Polled::Refused(refusal) => {
                self.tally.failed += 1;
                if let Refusal::Overloaded { waiting, max_pending } = refusal {
                    self.tally.overloaded += 1;
                    let known = self.policy.config.max_pending == Some(max_pending);
                    assert!(known || self.most_uses > 0, "{}", self.context);
                    assert!(waiting >= max_pending, "{}", self.context);
                }
            }
            Polled::TimedOut(Diagnosis { timeout: diagnosis, .. }) => {
                assert!(late || self.most_uses > 0, "too early: {}", self.context);
                self.tally.failed += 1;
                self.tally.timed_out += 1;
                if let Some(position) = known.or(index.map(|index| index + 1)) {
                    assert_eq!(diagnosis.position, position, "{}", self.context);
                }
                assert!(diagnosis.position <= diagnosis.waiting, "{}", self.context);
            }
            Polled::Waiting(_) => unreachable!(),
        }
    }

    /// Sometimes what was handed out turns out to be dead, and its acquire goes back to its turn.
    fn look(&mut self, fx: &mut Fx) {
        if self.rng.u8(0..8) > 0 {
            return;
        }
        let ((id, since, own_limit), dead) = self.held.pop().expect("handed out just now");
        self.tally.granted -= 1;
        self.tally.dead += 1;
        let wait = self.policy.rejoin(dead, (since, own_limit), self.now, here(), fx);
        self.wait((id, wait.expect("the pool is open")));
    }

    fn give_up(&mut self, fx: &mut Fx) {
        let Some((id, wait)) = Self::pick(&mut self.rng, &mut self.waits.clone()) else { return };
        self.leave(id);
        self.expected_position(id);
        if self.rng.bool() {
            self.policy.cancel(wait, self.now, fx);
            self.tally.cancelled += 1;
        } else {
            self.policy.fail(wait, self.now, fx);
            self.tally.failed += 1;
        }
    }

    fn give_back(&mut self, fx: &mut Fx) {
        let Some((_, mut entry)) = Self::pick(&mut self.rng, &mut self.held) else { return };
        if self.rng.bool() {
            self.policy.proven(&mut entry, self.now, fx);
        }
        self.used.insert(entry.id);
        let disposition = match self.rng.u8(0..6) {
            0 => Disposition::Retire(RetireReason::Invalidated),
            1 | 2 => {
                self.dirty.insert(entry.id);
                Disposition::Reset
            }
            _ => Disposition::Reuse,
        };
        self.policy.give_back(entry, disposition, self.now, fx);
    }

    fn end_connect(&mut self, fx: &mut Fx) {
        let now = self.now;
        let Some((key, era)) = Self::pick(&mut self.rng, &mut self.connects) else { return };
        match self.rng.u8(0..10) {
            0 => self.policy.connect_lost(key, now, fx),
            1 | 2 => {
                let kinds = [FailureKind::Transient, FailureKind::Busy, FailureKind::Permanent];
                let kind = kinds[self.rng.usize(..3)];
                self.policy.connect_failed(key, refused(kind), now, fx);
            }
            _ => {
                self.next_connection += 1;
                let (id, _) = self.policy.connected(key, self.next_connection, (now, now), fx);
                self.opened(id, era);
            }
        }
    }

    fn end_check(&mut self, fx: &mut Fx) {
        let Some((entry, chore)) = Self::pick(&mut self.rng, &mut self.checking) else { return };
        let id = entry.id;
        let outcome = match self.rng.u8(0..8) {
            0 => {
                self.cut_in_step.insert(id);
                ChoreOutcome::Dropped
            }
            1 => ChoreOutcome::PeerClosed,
            2 if matches!(chore, Chore::Prepare { .. }) && self.rng.bool() => ChoreOutcome::Refused,
            2 => {
                if matches!(chore, Chore::Check | Chore::Prepare { .. }) {
                    self.tally.failed_checks += 1;
                    self.doubt = self.doubt.max(Some(self.began[&id]));
                }
                self.tally.failed_resets += u64::from(chore == Chore::Reset);
                if self.rng.bool() { ChoreOutcome::Failed } else { ChoreOutcome::Panicked }
            }
            _ => {
                match chore {
                    Chore::Reset => assert!(self.dirty.remove(&id), "{}", self.context),
                    Chore::Prepare { .. } => assert!(!self.dirty.contains(&id), "{}", self.context),
                    Chore::Check | Chore::Inspect => {}
                }
                if matches!(chore, Chore::Prepare { .. }) {
                    self.used.remove(&id);
                }
                ChoreOutcome::Passed
            }
        };
        self.tally.resets += u64::from(chore == Chore::Reset && outcome == ChoreOutcome::Passed);
        self.tally.prepared +=
            u64::from(matches!(chore, Chore::Prepare { .. }) && outcome == ChoreOutcome::Passed);
        self.policy.chore_ended(entry, outcome, self.now, fx);
    }

    /// `resize.exact`: as many go as are too many, and no more. What is held cannot go now.
    fn resize(&mut self, before: &Picture, fx: &mut Fx) {
        let max = self.rng.usize(1..8);
        let held = self.policy.held();
        self.policy.resize(max, self.now, fx);
        assert_eq!(self.picture().staying, held.max(before.staying.min(max)), "{}", self.context);
    }

    /// `release.anywhere`: a runtime ends. Its connects and checks end a little later, however they like.
    fn lose_home(&mut self, fx: &mut Fx) {
        let Some(home) = Self::pick(&mut self.rng, &mut self.homes) else { return };
        self.policy.home_lost(home, self.now, fx);
        if self.homes.is_empty() {
            self.homes.push(self.policy.home_opened());
        }
    }

    fn plan(&mut self, fx: &mut Fx) {
        let (now, home) = (self.now, self.homes[self.rng.usize(..self.homes.len())]);
        let plan = self.policy.plan(now, home, fx);
        let context = &self.context;
        assert!(plan.wake_at.is_none_or(|at| at > now), "it would spin: {context}");
        let policy = &self.policy;
        assert!(policy.idle.iter().all(|entry| policy.retire_reason(entry, now).is_none()), "{context}");
        assert!(plan.connects.is_empty() || !policy.is_suspended(), "opened while suspended: {context}");
        // A waiter that is awake asks by itself.
        for (_, wait) in self.waits.iter().filter(|(id, _)| self.asleep.contains(id)) {
            let (deadline, ended) = (self.deadline(*wait), policy.waiting.answer(wait.ticket).is_some());
            assert!(ended || deadline > now, "it waits for ever: {context}");
            let in_time = plan.wake_at.is_some_and(|at| at <= deadline);
            assert!(ended || in_time || deadline == Tick::NEVER, "nobody wakes it in time: {context}");
        }
        let era = self.era(home);
        self.connects.extend(plan.connects.into_iter().map(|key| (key, era)));
        let most = policy.config.max_idle.unwrap_or(usize::MAX);
        let excused = policy.waiting.len() + policy.holders.with_successor();
        let staying = policy.unused() - policy.chores.abandoned();
        assert!(
            staying <= most.saturating_add(excused).max(policy.chores.under_way()),
            "too many: {context}"
        );
        assert!(policy.idle.iter().all(|entry| !entry.needs_reset), "a reset does not begin: {context}");
        let spare = policy.unused() + policy.connects.coming();
        let kept_back = policy.connects.pause(now).is_some() || !policy.eviction.is_in_service();
        let lacking = policy.waiting.len() + policy.config.min_idle > spare && policy.slots() > 0;
        assert!(!lacking || kept_back, "min_idle is not met: {context}");
        for (entry, chore) in plan.chores {
            self.began.insert(entry.id, now);
            self.checking.push((entry, chore));
        }
        for key in plan.abandoned_connects {
            self.connects.retain(|(other, _)| *other != key);
            self.policy.connect_lost(key, now, fx);
        }
        for id in plan.abandoned_chores {
            let index = self.checking.iter().position(|(entry, _)| entry.id == id);
            // The task may be slow to drop it. What the owner inspects is not in the hands of a task.
            let index = index.expect("under way");
            if self.rng.bool() && self.checking[index].1 != Chore::Inspect {
                let (entry, _) = self.checking.swap_remove(index);
                self.tally.cut_checks += 1;
                self.cut_in_step.insert(id);
                self.policy.chore_ended(entry, ChoreOutcome::Dropped, now, fx);
            }
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "a waker of the tests is a number")]
fn without<W: PartialEq>(wakes: impl IntoIterator<Item = W>, id: W) -> effects::Wakes<W> {
    let mut rest = effects::Wakes::default();
    rest.extend(wakes.into_iter().filter(|other| *other != id));
    rest
}

/// How many times as many seeds as usual.
fn times() -> u64 {
    std::env::var("POOLHOUSE_SEEDS").ok().and_then(|times| times.parse().ok()).unwrap_or(1)
}

/// `size.max`, `size.min`, `stats.consistent`, `acquire.fifo`, `acquire.shed`, `acquire.deadline`,
/// `try_acquire.immediate`, `resize.exact`, `epoch.invalidate_all`, `suspend.nothing_moves`, `health.off_path`, `reset.between`: any order
/// of any events.
#[test]
fn any_order_of_events_keeps_the_promises() {
    let mut seen_in_all = [0; 12];
    for seed in 0..400 * times() {
        let mut world = World::new(seed);
        for _ in 0..400 {
            world.step();
            world.check();
        }
        let tally = &world.tally;
        let leaks = world.policy.stats().reported_leaks;
        let seen = [
            tally.granted,
            tally.taken_back,
            tally.timed_out,
            tally.overloaded,
            tally.failed_checks,
            tally.cut_checks,
            tally.dead,
            tally.resets,
            tally.failed_resets,
            tally.prepared,
            if world.prepares { tally.granted } else { 0 },
            leaks,
        ];
        seen_in_all.iter_mut().zip(seen).for_each(|(sum, seen)| *sum += seen);
    }
    assert!(seen_in_all.iter().all(|seen| *seen > 10), "did too little: {seen_in_all:?}");
}

/// `cancel.no_loss`: after any run, everybody lets go and the whole maximum can be held.
#[test]
fn after_any_run_the_whole_maximum_is_there() {
    for seed in 0..100 * times() {
        let mut world = World::new(seed);
        for _ in 0..300 {
            world.step();
        }
        world.let_go(ChoreOutcome::Failed);
        let policy = &world.policy;
        assert_eq!(policy.idle.len() + policy.room(), policy.config.max_connections, "{}", world.context);
    }
}

/// `close.complete`: after any run, everybody who waits is told that the pool closes, unless it has been refused or its
/// time was up before, and when all have let go nothing is left.
#[test]
fn after_any_run_the_pool_closes() {
    for seed in 0..100 * times() {
        let mut world = World::new(seed);
        for _ in 0..300 {
            world.step();
        }
        let mut fx = Fx::default();
        let had = |world: &World, wait: Wait| world.policy.waiting.answer(wait.ticket);
        let before: Vec<_> = world.waits.iter().map(|(_, wait)| (*wait, had(&world, *wait))).collect();
        assert!(world.policy.close(world.now, &mut fx));
        carry_out(&mut world.policy, world.now, fx);
        for (wait, had) in before {
            let answer = ask(&mut world.policy, wait, world.now, &mut Fx::default());
            let closed = matches!(answer, Polled::Refused(Refusal::Closed));
            let ended = matches!(had, Some("refused" | "timed out"));
            assert!(closed != ended && !matches!(answer, Polled::Waiting(_)), "{}", world.context);
        }
        world.waits.clear();
        world.let_go(ChoreOutcome::Dropped);
        assert!(world.policy.is_drained(), "{}", world.context);
    }
}

impl World {
    /// Everything that is under way ends.
    fn let_go(&mut self, outcome: ChoreOutcome) {
        let (now, mut fx) = (self.now, Fx::default());
        for (_, wait) in std::mem::take(&mut self.waits) {
            self.policy.cancel(wait, now, &mut fx);
        }
        for (_, entry) in std::mem::take(&mut self.held) {
            self.policy.give_back(entry, Disposition::Retire(RetireReason::Invalidated), now, &mut fx);
        }
        for (entry, _) in std::mem::take(&mut self.checking) {
            self.policy.chore_ended(entry, outcome, now, &mut fx);
        }
        for (key, _) in std::mem::take(&mut self.connects) {
            self.policy.connect_lost(key, now, &mut fx);
        }
        carry_out(&mut self.policy, now, fx);
    }
}
