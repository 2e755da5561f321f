//! How often each operation and each outcome has happened. A run in which one never happened has proved less than it
//! says.

use std::collections::BTreeMap;
use std::fmt;

/// Everything that a long run has to see at least once.
const OUTCOMES: [&str; 98] = [
    "acquire: at once",
    "acquire: served after a wait",
    "acquire: timed out while connecting",
    "acquire: timed out while queueing",
    "acquire: timed out while checking",
    "acquire: timed out while resetting",
    "acquire: timed out while suspended",
    "acquire: went back to its turn",
    "acquire: overloaded by one that went back",
    "acquire: overloaded by a lower bound",
    "acquire: a permanent failure",
    "acquire: fails fast",
    "acquire: fails fast after a wait",
    "acquire: overloaded",
    "acquire: closed already",
    "acquire: closed while it waited",
    "acquire: the look at it panics",
    "acquire_async: cancelled",
    "acquire_async: got one",
    "acquire_async: timed out",
    "cancel: in the line",
    "cancel: already served",
    "poll: nothing yet",
    "try_acquire: got one",
    "try_acquire: somebody waits",
    "try_acquire: nothing at hand",
    "try_acquire: closed",
    "return: Release",
    "return: Drop",
    "return: Dirty",
    "return: PanicInNeedsReset",
    "return: Invalidate",
    "return: Detach",
    "return: Tainted",
    "return: PanicInIsReusable",
    "return: PanicWhileHeld",
    "return: PanicInDrop",
    "resize: up",
    "resize: down, below what is held",
    "resize: down",
    "resize: refused",
    "invalidate_all",
    "invalidate_all_over",
    "suspend",
    "resume",
    "retain: keeps all",
    "retain: closes",
    "retain: panics",
    "check_now",
    "connect_now: after a failure",
    "add: taken in",
    "add: no room",
    "reconfigure",
    "drained",
    "leak: reported",
    "server: closes a connection",
    "server: found dead",
    "warm_up: done",
    "warm_up: a failed connect",
    "warm_up: timed out",
    "warm_up: closed",
    "warm_up_within: done after a failure",
    "warm_up_within: a permanent failure",
    "warm_up_within: timed out",
    "close: complete",
    "close_within: complete",
    "close_within: still held",
    "errand: dropped",
    "server: connected",
    "server: failed connects",
    "server: abandoned connects",
    "server: failed checks",
    "server: cut checks",
    "server: resets",
    "server: failed resets",
    "server: resets by a hook",
    "server: resets by the manager and a hook",
    "server: cut resets",
    "server: goodbyes",
    "server: goodbyes beyond their time",
    "server: busy",
    "server: found dead after a check",
    "server: found dead after a reset",
    "server: panics in a drop",
    "retired: MaxIdle",
    "retired: Uses",
    "retired: ResetFailed",
    "retired: NotRetained",
    "retired: Shrunk",
    "retired: InvalidatedAll",
    "background: min_idle is met",
    "background: in the pause after a failure",
    "background: as many as the maximum",
    "background: replaced in time",
    "end: handed out the maximum",
    "end: closed",
    "end: closed by its last handle",
    "end: outlived the runtime",
];

#[derive(Default)]
pub(crate) struct Coverage {
    pub(crate) sequences: u64,
    pub(crate) steps: u64,
    operations: BTreeMap<&'static str, u64>,
    outcomes: BTreeMap<&'static str, u64>,
}

impl Coverage {
    pub(crate) fn step(&mut self, operation: &'static str) {
        self.steps += 1;
        *self.operations.entry(operation).or_default() += 1;
    }

    pub(crate) fn saw(&mut self, outcome: &'static str) {
        self.saw_times(outcome, 1);
    }

    pub(crate) fn saw_times(&mut self, outcome: &'static str, times: u64) {
        debug_assert!(OUTCOMES.contains(&outcome), "{outcome} is not in the list");
        *self.outcomes.entry(outcome).or_default() += times;
    }

    pub(crate) fn count(&self, outcome: &str) -> u64 {
        self.outcomes.get(outcome).copied().unwrap_or_default()
    }

    /// What never happened.
    pub(crate) fn missing(&self) -> Vec<&'static str> {
        OUTCOMES.into_iter().filter(|outcome| self.count(outcome) == 0).collect()
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (operation, times) in &self.operations {
            writeln!(f, "{times:>10}  {operation}")?;
        }
        writeln!(f)?;
        for outcome in OUTCOMES {
            writeln!(f, "{:>10}  {outcome}", self.count(outcome))?;
        }
        Ok(())
    }
}
