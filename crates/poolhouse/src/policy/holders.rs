//! A record for each open connection: where the connection is, and who holds it since when.

use std::panic::Location;
use std::thread::{self, ThreadId};

use slab::Slab;

use super::lifetime::Lifetime;
use super::wait_queue::Ticket;
use super::{Entry, Tick};
use crate::error::Holder;
use crate::events::RetireReason;

/// The current task, or a thread outside of any task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Caller {
    Task(tokio::task::Id),
    Thread(ThreadId),
}

impl Caller {
    pub(crate) fn current() -> Self {
        thread_local! {
            // Cached: the handle of the current thread is reference-counted.
            static ID: ThreadId = thread::current().id();
        }
        let thread = || ID.try_with(|id| *id).unwrap_or_else(|_| thread::current().id());
        tokio::task::try_id().map_or_else(|| Self::Thread(thread()), Self::Task)
    }
}

/// The source line that acquires, and the current task if nested-acquire detection is on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Site {
    pub(crate) at: &'static Location<'static>,
    pub(crate) caller: Option<Caller>,
}

#[derive(Debug, Clone, Copy)]
struct Hold {
    since: Tick,
    site: Site,
    /// The hold has been reported as a leak.
    reported: bool,
}

/// Where an open connection is.
enum Place<C> {
    /// Idle or in a chore.
    Unused { idle_since: Tick },
    /// With a holder, or decided for a waiter, which has not picked it up yet.
    Held { hold: Hold, granted: Option<(Box<Entry<C>>, Ticket)> },
}

pub(super) struct Record<C> {
    pub(super) connection: u64,
    pub(super) lifetime: Lifetime,
    /// Its successor is open, so it retires as soon as nobody holds it.
    pub(super) has_successor: bool,
    /// The connection whose successor it is, if that was still held or in a chore. It may have gone since.
    succeeds: Option<u64>,
    place: Place<C>,
}

impl<C> Record<C> {
    /// `None` while it is held.
    pub(super) fn idle_since(&self) -> Option<Tick> {
        match self.place {
            Place::Unused { idle_since } => Some(idle_since),
            Place::Held { .. } => None,
        }
    }

    fn hold(&self) -> Option<&Hold> {
        match &self.place {
            Place::Unused { .. } => None,
            Place::Held { hold, .. } => Some(hold),
        }
    }

    fn holder(&self, now: Tick) -> Option<Holder> {
        let hold = self.hold()?;
        let (connection, acquired_at) = (self.connection, hold.site.at);
        Some(Holder { connection, acquired_at, held_for: now.since(hold.since) })
    }
}

pub(super) struct Holders<C> {
    records: Slab<Record<C>>,
    /// How many of them have successors that are open, and are as good as gone.
    with_successor: usize,
    /// How many of these nobody holds.
    unused_with_successor: usize,
}

impl<C> Holders<C> {
    pub(super) fn new() -> Self {
        Self { records: Slab::new(), with_successor: 0, unused_with_successor: 0 }
    }

    /// How many connections are open.
    pub(super) fn open(&self) -> usize {
        self.records.len()
    }

    pub(super) fn on_opened(&mut self, connection: u64, lifetime: Lifetime, opened_at: Tick) -> u32 {
        let key = self.records.insert(Record {
            connection,
            lifetime,
            has_successor: false,
            succeeds: None,
            place: Place::Unused { idle_since: opened_at },
        });
        u32::try_from(key).expect("fewer than 2^32 connections are open")
    }

    /// The connection leaves the pool. Returns whether one that is still open needs another successor instead. If age or
    /// idleness has ended the successor, nobody has needed it, so there is no second.
    pub(super) fn on_gone(&mut self, record: u32, reason: RetireReason) -> bool {
        self.set_successor(record, false);
        let gone = self.records.remove(record as usize);
        let was_needed =
            !matches!(reason, RetireReason::Lifetime | RetireReason::Idle | RetireReason::MaxIdle);
        let predecessor = gone.succeeds.filter(|_| was_needed).and_then(|old| self.key_of(old));
        if let Some(old) = predecessor {
            self.set_successor(old, false);
        }
        predecessor.is_some()
    }

    fn key_of(&self, connection: u64) -> Option<u32> {
        let mut records = self.records.iter();
        records.find(|(_, record)| record.connection == connection).map(|(key, _)| key as u32)
    }

    fn set_successor(&mut self, key: u32, is_open: bool) {
        let record = &mut self.records[key as usize];
        if record.has_successor == is_open {
            return;
        }
        record.has_successor = is_open;
        let unused = usize::from(record.idle_since().is_some());
        if is_open {
            self.with_successor += 1;
            self.unused_with_successor += unused;
        } else {
            self.with_successor -= 1;
            self.unused_with_successor -= unused;
        }
    }

    fn set_place(&mut self, key: u32, place: Place<C>) {
        let record = &mut self.records[key as usize];
        let before = record.idle_since().is_some();
        record.place = place;
        if record.has_successor {
            self.unused_with_successor += usize::from(record.idle_since().is_some());
            self.unused_with_successor -= usize::from(before);
        }
    }

    pub(super) fn on_acquired(&mut self, record: u32, now: Tick, site: Site) {
        let hold = Hold { since: now, site, reported: false };
        self.set_place(record, Place::Held { hold, granted: None });
    }

    /// The entry waits in the record until the waiter picks it up.
    pub(super) fn on_granted(
        &mut self,
        entry: Box<Entry<C>>,
        ticket: Ticket,
        now: Tick,
        at: &'static Location<'static>,
    ) {
        // The caller is known when the waiter picks it up.
        let hold = Hold { since: now, site: Site { at, caller: None }, reported: false };
        self.set_place(entry.record, Place::Held { hold, granted: Some((entry, ticket)) });
    }

    pub(super) fn on_unused(&mut self, record: u32, idle_since: Tick) {
        self.set_place(record, Place::Unused { idle_since });
    }

    /// What was decided for a waiter, for as long as it has not picked it up.
    pub(super) fn granted(&self, record: u32) -> Option<&Entry<C>> {
        match &self.records[record as usize].place {
            Place::Held { granted: Some((entry, _)), .. } => Some(entry),
            _ => None,
        }
    }

    /// The waiter picks up what was decided for it.
    pub(super) fn pick_up(&mut self, record: u32, caller: Option<Caller>) -> Option<Box<Entry<C>>> {
        let Place::Held { hold, granted } = &mut self.records[record as usize].place else { return None };
        let (entry, _) = granted.take()?;
        hold.site.caller = caller;
        Some(entry)
    }

    /// Takes back what was decided for waiters and `which` says is no longer for them. The records say that nobody
    /// uses the connections.
    pub(super) fn revoke(&mut self, which: impl Fn(&Entry<C>) -> bool) -> Vec<(Box<Entry<C>>, Ticket)> {
        let mut taken = Vec::new();
        for (_, record) in &mut self.records {
            if let Place::Held { granted, .. } = &mut record.place {
                taken.extend(granted.take_if(|(entry, _)| which(entry)));
            }
        }
        for (entry, _) in &taken {
            self.on_unused(entry.record, entry.idle_since);
        }
        taken
    }

    /// Why its life is over, if it is.
    #[inline]
    pub(super) fn end_of_life(&self, record: u32, now: Tick) -> Option<RetireReason> {
        let record = &self.records[record as usize];
        (record.lifetime.retire_at <= now || record.has_successor).then_some(record.lifetime.reason)
    }

    /// How many have successors that are open. They are held or in a chore, and go after that.
    pub(super) fn with_successor(&self) -> usize {
        self.with_successor
    }

    /// How many of these are in a chore.
    pub(super) fn unused_with_successor(&self) -> usize {
        self.unused_with_successor
    }

    /// Whether it is time to open its successor.
    pub(super) fn needs_successor(&self, record: u32, now: Tick) -> bool {
        let record = &self.records[record as usize];
        record.lifetime.replace_at <= now && !record.has_successor
    }

    pub(super) fn lifetime(&self, record: u32) -> &Lifetime {
        &self.records[record as usize].lifetime
    }

    /// Changes when lives end.
    pub(super) fn change_lifetimes(&mut self, mut change: impl FnMut(&mut Lifetime)) {
        self.records.iter_mut().for_each(|(_, record)| change(&mut record.lifetime));
    }

    /// The successor of a connection is open. The connection may have gone meanwhile.
    pub(super) fn on_successor(&mut self, old: u64, successor: u32) {
        if let Some(key) = self.key_of(old) {
            self.records[successor as usize].succeeds = Some(old);
            self.set_successor(key, true);
        }
    }

    pub(super) fn records(&self) -> impl Iterator<Item = &Record<C>> {
        self.records.iter().map(|(_, record)| record)
    }

    /// The holds that have just become too long, each once, and when the next one does.
    pub(super) fn leaks(&mut self, is_leak: impl Fn(Tick) -> bool, now: Tick) -> (Vec<Holder>, Option<Tick>) {
        let (mut leaks, mut oldest) = (Vec::new(), None);
        for (_, record) in &mut self.records {
            let hold = match &mut record.place {
                Place::Held { hold, .. } if !hold.reported => hold,
                _ => continue,
            };
            if is_leak(hold.since) {
                hold.reported = true;
                leaks.extend(record.holder(now));
            } else {
                oldest = oldest.into_iter().chain([hold.since]).min();
            }
        }
        (leaks, oldest)
    }

    /// Who holds a connection now, the longest first.
    pub(super) fn longest_first(&self, now: Tick) -> Vec<Holder> {
        let mut holders: Vec<_> = self.records().filter_map(|record| record.holder(now)).collect();
        holders.sort_by_key(|holder| std::cmp::Reverse(holder.held_for));
        holders
    }

    /// What a task or thread holds already.
    pub(super) fn held_by(&self, caller: Option<Caller>, now: Tick) -> Vec<Holder> {
        let Some(caller) = caller else { return Vec::new() };
        let own =
            self.records().filter(|record| record.hold().and_then(|hold| hold.site.caller) == Some(caller));
        own.filter_map(|record| record.holder(now)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_is_itself_and_no_other() {
        let here = Caller::current();
        assert_eq!(Caller::current(), here);
        assert_ne!(thread::spawn(Caller::current).join().unwrap(), here);
    }

    #[tokio::test]
    async fn so_is_a_task() {
        let thread = thread::spawn(Caller::current).join().unwrap();
        let task =
            || tokio::spawn(async { (Caller::current(), tokio::task::yield_now().await, Caller::current()) });
        let (first, second) = (task().await.unwrap(), task().await.unwrap());
        assert_eq!(first.0, first.2);
        assert!(first.0 != second.0 && first.0 != thread && second.0 != thread);
    }
}
