//! One sequence, from the first step to the last account.
//!
//! At the end everybody lets go and the server is well again. Then a pool that is still open must hand out exactly its
//! maximum, whatever has happened to it, and one that is closed must have nothing left.

use std::fmt::Write;
use std::sync::PoisonError;

use tokio::task::unconstrained;
use tokio::time::Instant;

use crate::coverage::Coverage;
use crate::ensure;
use crate::ops::{Case, Fate, How, Op, Step, WELL, ms};
use crate::quiet::Quiet;
use crate::reference::Verdict;
use crate::run::unscripted_panics;
use crate::world::World;

/// Plays `case`. With `story`, writes there what each step led to.
pub(crate) fn play(case: &Case, seen: &mut Coverage, mut story: Option<&mut String>) -> Verdict {
    fastrand::seed(u64::from(case.seed));
    let quiet = Quiet::default();
    let runtime = quiet.runtime();
    // The pool takes its origin from the paused clock: from the real one it would differ from run to run.
    let mut world = {
        let _entered = runtime.enter();
        World::new(&case.config, case.hooked, quiet, seen)
    };
    // Without a budget: the test polls many futures by hand between two yields.
    let verdict = runtime.block_on(unconstrained(async {
        for (number, step) in case.steps.iter().enumerate() {
            world.seen.step(step.op.name());
            let verdict = world.step(*step).await;
            if let Some(story) = &mut story {
                let _ = writeln!(story, "{number:>4}: {:<44}{}", format!("{:?}", step.op), world.glance());
            }
            verdict.map_err(|violation| format!("step {number}, {:?}: {violation}", step.op))?;
            // Nothing is left that could happen.
            if world.model.closed && world.held.is_empty() && world.waiters.is_empty() {
                break;
            }
        }
        if case.outlive {
            Ok(())
        } else {
            world.finish().await.map_err(|violation| format!("at the end: {violation}"))
        }
    }));
    if case.outlive && verdict.is_ok() {
        world.server.ledger().runtime_gone = true;
        drop(runtime);
        return world.outlive().map_err(|violation| format!("after the runtime: {violation}"));
    }
    verdict
}

impl World<'_> {
    async fn step(&mut self, Step { op, settle }: Step) -> Verdict {
        let panics = unscripted_panics();
        self.server.ledger().next_round();
        match op {
            Op::Acquire(how) => self.acquire(how, None).await?,
            Op::AcquireWithin(millis) => self.acquire(How::Eager, Some(ms(millis))).await?,
            Op::Poll(which) => self.poll_lazy(which)?,
            Op::Cancel(which) => self.cancel(which).await?,
            Op::TryAcquire => self.try_acquire()?,
            Op::Return(which, fate) => self.give_back(which, fate)?,
            Op::Pass(millis) => self.pass(ms(millis)).await?,
            Op::Jump(millis) => self.jump(ms(millis)).await,
            Op::Connects(mood) => self.server.ledger().connects = mood,
            Op::Checks(mood) => self.server.ledger().checks = mood,
            Op::Resets(mood) => self.server.ledger().resets = mood,
            Op::Closes(mood) => self.server.ledger().closes = mood,
            Op::PeerCloses(which) => self.peer_closes(which),
            Op::PeersClose => self.peers_close(),
            Op::LookPanics(which) => self.look_panics(which),
            Op::DropPanics(which) => self.drop_panics(which),
            Op::InvalidateAll => self.invalidate_all().await?,
            Op::InvalidateAllOver(millis) => self.invalidate_all_over(millis).await?,
            Op::Suspend => self.suspend().await?,
            Op::Resume => self.resume().await?,
            Op::Drained => self.drained()?,
            Op::Resize(max) => self.resize(max).await?,
            Op::Retain(which) => self.retain(which)?,
            Op::CheckNow => self.check_now()?,
            Op::ConnectNow => self.connect_now().await?,
            Op::Add => self.add().await?,
            Op::Reconfigure(config) => self.reconfigure(config).await?,
            Op::WarmUp => self.warm_up()?,
            Op::WarmUpWithin(limit) => self.warm_up_within(ms(limit))?,
            Op::DropErrand(which) => self.drop_errand(which),
            Op::Look => self.look()?,
            Op::CloneHandle => {
                let pool = self.pool().filter(|_| self.handles.len() < 3);
                self.handles.extend(pool);
            }
            Op::DropHandle => {
                if self.handles.len() > 1 {
                    self.handles.remove(0);
                }
            }
            Op::DropAllHandles => self.drop_all_handles().await?,
            Op::Close => self.close(None).await?,
            Op::CloseWithin(millis) => self.close(Some(ms(millis))).await?,
        }
        if settle {
            self.settle().await?;
        } else {
            self.check(false)?;
        }
        ensure!(unscripted_panics() == panics, "panic.no_loss: a panic that nobody asked for");
        Ok(())
    }

    fn glance(&self) -> String {
        let Some(pool) = self.handles.last() else { return "no handle is left".into() };
        let stats = pool.stats();
        format!(
            "{} held, {} idle, {} connecting, {} checking, {} resetting, {} closing, {} waiting, of {}",
            stats.active_connections,
            stats.idle_connections,
            stats.connecting,
            stats.checking,
            stats.resetting,
            self.server.ledger().closing(),
            stats.pending_requests,
            stats.max_connections
        )
    }

    async fn finish(&mut self) -> Verdict {
        self.settle().await?;
        while !self.waiters.is_empty() {
            self.cancel(0).await?;
        }
        while !self.held.is_empty() {
            self.give_back(0, Fate::Release)?;
        }
        {
            let mut ledger = self.server.ledger();
            (ledger.connects, ledger.checks, ledger.resets) = (WELL, WELL, WELL);
            ledger.closes = ledger.closes.map(|_| WELL);
            ledger.records.iter_mut().for_each(|record| record.look_panics = false);
        }
        self.resume().await?;
        // Beyond every limit that the configurations set.
        self.pass(ms(400)).await?;
        if self.handles.is_empty() {
            self.seen.saw("end: closed by its last handle");
        } else {
            if self.model.closed {
                self.seen.saw("end: closed");
            } else {
                self.hand_out_the_maximum().await?;
            }
            self.close(None).await?;
            self.settle().await?;
        }
        ensure!(self.errands.is_empty(), "close.complete: a close does not end");
        let ledger = self.server.ledger();
        let left = ledger.live();
        let under_way = ledger.connecting + ledger.checking + ledger.resetting;
        ensure!(left + under_way == 0, "close.complete: {left} are left open");
        let counts = [
            ("server: connected", ledger.records.len() as u64),
            ("server: failed connects", ledger.failed_connects),
            ("server: abandoned connects", ledger.abandoned),
            ("server: failed checks", ledger.failed_checks),
            ("server: found dead", ledger.dead_looks),
            ("server: cut checks", ledger.cut_checks),
            ("server: failed resets", ledger.failed_resets),
            ("server: cut resets", ledger.cut_resets),
            ("server: resets", ledger.happened.resets),
            ("server: resets by a hook", ledger.happened.hooks),
            ("server: resets by the manager and a hook", ledger.happened.both),
            ("server: goodbyes", ledger.happened.goodbyes),
            ("server: goodbyes beyond their time", ledger.happened.cut_goodbyes),
            ("server: busy", ledger.happened.busy),
            ("server: found dead after a check", ledger.happened.closed_after_check),
            ("server: found dead after a reset", ledger.happened.closed_after_reset),
            ("server: panics in a drop", ledger.happened.drop_panics),
        ];
        drop(ledger);
        self.count_reasons();
        let leaks = self.leaks.lock().unwrap_or_else(PoisonError::into_inner).len() as u64;
        self.seen.saw_times("leak: reported", leaks);
        for (outcome, times) in counts {
            self.seen.saw_times(outcome, times);
        }
        Ok(())
    }

    /// No capacity was lost and none was gained.
    async fn hand_out_the_maximum(&mut self) -> Verdict {
        let before = Instant::now();
        for number in 1..=self.model.max {
            self.acquire(How::Eager, None).await?;
            self.settle().await?;
            let lost = self.model.max - self.held.len();
            ensure!(
                self.held.len() == number,
                "cancel.no_loss, panic.no_loss: {lost} of the maximum are lost"
            );
        }
        self.acquire(How::Eager, None).await?;
        self.settle().await?;
        ensure!(self.held.len() == self.model.max, "size.max: it hands out more than the maximum");
        ensure!(Instant::now() == before, "health.off_path: acquiring takes time");
        self.cancel(0).await?;
        while !self.held.is_empty() {
            self.give_back(0, Fate::Release)?;
        }
        self.seen.saw("end: handed out the maximum");
        Ok(())
    }

    /// `release.anywhere`: guards that outlive the runtime and the pool.
    fn outlive(mut self) -> Verdict {
        self.waiters.clear();
        self.errands.clear();
        self.drop_handles();
        let kept = self.server.ledger().live();
        ensure!(kept == self.held.len(), "release.anywhere: {kept} are open, {} held", self.held.len());
        while !self.held.is_empty() {
            self.give_back(0, Fate::Release)?;
        }
        let left = self.server.ledger().live();
        ensure!(left == 0, "release.anywhere: {left} are left open");
        self.seen.saw("end: outlived the runtime");
        Ok(())
    }
}
