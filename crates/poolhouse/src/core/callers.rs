//! Who holds the connections, in one place: to look whether somebody holds one already takes a glance at a line of the
//! cache, not at the record of every connection.

use std::hash::{Hash, Hasher};
use std::num::NonZeroU64;
use std::thread::{self, ThreadId};

/// What waits as one: a task, or a thread outside of any task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Caller(NonZeroU64);

impl Caller {
    #[inline]
    pub(crate) fn current() -> Self {
        match tokio::task::try_id() {
            Some(id) => Self::number(&id, 1),
            None => Self::thread(),
        }
    }

    fn thread() -> Self {
        thread_local! {
            // To ask the thread counts how many have a hold of it.
            static ID: ThreadId = thread::current().id();
        }
        Self::number(&ID.try_with(|id| *id).unwrap_or_else(|_| thread::current().id()), 0)
    }

    /// Both kinds have numbers of their own, which they show only to a hasher.
    #[inline]
    fn number(id: &impl Hash, kind: u64) -> Self {
        let mut number = Number(0);
        id.hash(&mut number);
        Self(NonZeroU64::new(number.0 << 1 | kind).unwrap_or(NonZeroU64::MAX))
    }
}

struct Number(u64);

impl Hasher for Number {
    fn finish(&self) -> u64 {
        self.0
    }

    #[inline]
    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
}

/// By the key of the record.
pub(super) struct Callers {
    on: bool,
    callers: Vec<Option<Caller>>,
}

impl Callers {
    /// `on` if the pool notes who asks; otherwise there are none.
    pub(super) fn new(on: bool) -> Self {
        Self { on, callers: Vec::new() }
    }

    pub(super) fn make_room(&mut self, records: usize) {
        if self.on && self.callers.len() < records {
            self.callers.resize(records, None);
        }
    }

    #[inline]
    pub(super) fn set(&mut self, record: u32, caller: Option<Caller>) {
        if let Some(noted) = self.callers.get_mut(record as usize) {
            *noted = caller;
        }
    }

    #[inline]
    pub(super) fn get(&self, record: usize) -> Option<Caller> {
        *self.callers.get(record)?
    }

    /// Whether this one holds a connection.
    #[inline]
    pub(super) fn contain(&self, caller: Caller) -> bool {
        // Without an early end several are compared at once.
        self.callers.iter().fold(false, |found, noted| found | (*noted == Some(caller)))
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
