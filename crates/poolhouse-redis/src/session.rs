//! What a holder has made of a session, told from the names of the commands that it has sent.
//!
//! A command changes a session only if it is one of the few below: a test asks the server for all that scripts must not call,
//! and for those of the categories `connection`, `transaction`, `pubsub` and `blocking`, and wants each of them to be judged
//! here. So a holder of plain commands costs a look at their names, and no round trip. A server that gives commands other names
//! (`rename-command`) hides them.

use redis::{Arg, Cmd, Value};

/// What a command does to the session beside its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    Nothing,
    /// It may answer late, when it likes: not worth waiting for once its caller has gone.
    Blocks,
    Watches,
    Unwatches,
    Begins,
    /// `EXEC` and `DISCARD`.
    Ends,
    Selects,
    /// Only `RESET` undoes it.
    Changes,
    /// Nothing undoes it, or replies no longer match commands.
    Ruins,
}

impl Effect {
    /// The longest name in the table: `BRPOPLPUSH`, `UNSUBSCRIBE`, `PUNSUBSCRIBE`, `SUNSUBSCRIBE`.
    const LONGEST: usize = 12;

    /// A few comparisons: a name that is longer than all in the table, or not in it, does nothing.
    pub(crate) fn of(cmd: &Cmd) -> Self {
        let mut words = cmd.args_iter().map(|arg| match arg {
            Arg::Simple(word) => word,
            _ => &[],
        });
        let Some(name) = words.next() else { return Self::Nothing };
        let mut upper = [0; Self::LONGEST];
        let Some(upper) = upper.get_mut(..name.len()) else { return Self::Nothing };
        upper.copy_from_slice(name);
        upper.make_ascii_uppercase();
        match &*upper {
            b"WATCH" => Self::Watches,
            b"UNWATCH" => Self::Unwatches,
            b"MULTI" => Self::Begins,
            b"EXEC" | b"DISCARD" => Self::Ends,
            b"SELECT" => Self::Selects,
            b"BLPOP" | b"BRPOP" | b"BLMOVE" | b"BRPOPLPUSH" | b"BLMPOP" | b"BZPOPMIN" | b"BZPOPMAX"
            | b"BZMPOP" | b"WAIT" | b"WAITAOF" => Self::Blocks,
            b"XREAD" | b"XREADGROUP" if words.any(|word| word.eq_ignore_ascii_case(b"BLOCK")) => Self::Blocks,
            b"CLIENT" => Self::of_client(words.next().unwrap_or_default()),
            b"SCRIPT" => match words.next() {
                Some(word) if word.eq_ignore_ascii_case(b"DEBUG") => Self::Ruins,
                _ => Self::Nothing,
            },
            b"AUTH" | b"HELLO" | b"RESET" | b"READONLY" | b"READWRITE" | b"ASKING" | b"SUBSCRIBE"
            | b"PSUBSCRIBE" | b"SSUBSCRIBE" | b"UNSUBSCRIBE" | b"PUNSUBSCRIBE" | b"SUNSUBSCRIBE" => {
                Self::Changes
            }
            b"MONITOR" | b"SYNC" | b"PSYNC" | b"REPLCONF" | b"QUIT" => Self::Ruins,
            _ => Self::Nothing,
        }
    }

    fn of_client(word: &[u8]) -> Self {
        const HARMLESS: [&[u8]; 12] = [
            b"ID",
            b"INFO",
            b"LIST",
            b"KILL",
            b"GETNAME",
            b"GETREDIR",
            b"TRACKINGINFO",
            b"HELP",
            b"PAUSE",
            b"UNPAUSE",
            b"UNBLOCK",
            b"SETINFO",
        ];
        if word.eq_ignore_ascii_case(b"REPLY") {
            // From then on commands have no reply, and redis-rs waits for each.
            Self::Ruins
        } else if word.eq_ignore_ascii_case(b"NO-EVICT") || word.eq_ignore_ascii_case(b"NO-TOUCH") {
            // `RESET` undoes them, but not in every version.
            Self::Ruins
        } else if HARMLESS.iter().any(|harmless| word.eq_ignore_ascii_case(harmless)) {
            Self::Nothing
        } else {
            Self::Changes
        }
    }
}

/// What has to be undone.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Session {
    pub(crate) watches: bool,
    pub(crate) in_transaction: bool,
    pub(crate) selected: bool,
    pub(crate) changed: bool,
    pub(crate) ruined: bool,
    /// The command that is under way, or was when its caller went away, may block.
    pub(crate) blocks: bool,
}

impl Session {
    pub(crate) fn is_clean(&self) -> bool {
        !(self.watches || self.in_transaction || self.selected || self.changed)
    }

    pub(crate) fn on_sent(&mut self, effect: Effect) {
        match effect {
            Effect::Blocks => self.blocks = true,
            Effect::Watches => self.watches = true,
            Effect::Begins => self.in_transaction = true,
            Effect::Selects => self.selected = true,
            Effect::Changes => self.changed = true,
            Effect::Ruins => self.ruined = true,
            Effect::Nothing | Effect::Unwatches | Effect::Ends => {}
        }
    }

    /// `EXEC` that was refused has not ended anything, so only success counts. What counts too little is undone in vain.
    pub(crate) fn on_answered(&mut self, effect: Effect, answer: &Value) {
        if matches!(answer, Value::ServerError(_)) {
            return;
        }
        match effect {
            Effect::Ends => self.end_transaction(),
            Effect::Unwatches if *answer == Value::Okay => self.watches = false,
            _ => {}
        }
    }

    /// `EXEC` and `DISCARD` forget what is watched.
    pub(crate) fn end_transaction(&mut self) {
        self.in_transaction = false;
        self.watches = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> Effect {
        let mut words = line.split(' ');
        let mut cmd = redis::cmd(words.next().unwrap_or_default());
        for word in words {
            cmd.arg(word);
        }
        Effect::of(&cmd)
    }

    #[test]
    fn plain_commands_change_nothing() {
        for line in
            ["GET a", "SET a b", "XREAD STREAMS a 0", "CLIENT ID", "a_name_that_is_long", "SCRIPT LOAD a"]
        {
            assert_eq!(of(line), Effect::Nothing, "{line}");
        }
    }

    #[test]
    fn names_are_known_in_any_case() {
        assert_eq!(of("watch a"), Effect::Watches);
        assert_eq!(of("xReadGroup GROUP g c block 0 STREAMS a >"), Effect::Blocks);
        assert_eq!(of("client reply skip"), Effect::Ruins);
        assert_eq!(of("Client Tracking on"), Effect::Changes);
        assert_eq!(of("sunsubscribe"), Effect::Changes);
    }

    #[test]
    fn an_exec_that_is_refused_ends_nothing() {
        let mut session = Session::default();
        session.on_sent(Effect::Watches);
        session.on_sent(Effect::Begins);
        session.on_answered(Effect::Ends, &Value::Nil);
        assert!(session.is_clean(), "a transaction that a watched key has undone is over");
    }
}
