//! What can happen to a pool, and how to draw it at random.
//!
//! Every operation makes sense in every state: a number picks among what there is (the remainder of a division), and an
//! operation that finds nothing to act on does nothing. So any part of a sequence is a sequence, and a failure shrinks
//! by leaving steps out.

use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::select;

use crate::options::{Config, config};

/// A sequence with all that decides how it goes: the same case runs the same way.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    /// Seeds the pool's own generator: jitter and backoff.
    pub(crate) seed: u32,
    /// The guards come back after the runtime has gone.
    pub(crate) outlive: bool,
    /// Resets are a hook's work, on every return, and each connection is greeted by a hook.
    pub(crate) hooked: bool,
    pub(crate) config: Config,
    pub(crate) steps: Vec<Step>,
}

impl Case {
    /// The expression that makes this case.
    pub(crate) fn as_rust(&self) -> String {
        let Self { seed, outlive, hooked, config, steps } = self;
        let step = |Step { op, settle }: &Step| {
            let op = match op {
                Op::Acquire(how) => format!("Acquire(How::{how:?})"),
                Op::Return(which, fate) => format!("Return({which}, Fate::{fate:?})"),
                op => format!("{op:?}").replace("end: ", "end: End::"),
            };
            format!("\n        Step {{ op: Op::{op}, settle: {settle} }},")
        };
        let steps: String = steps.iter().map(step).collect();
        let head = format!(
            "    seed: {seed},\n    outlive: {outlive},\n    hooked: {hooked},\n    config: {config:?},\n"
        );
        format!("Case {{\n{head}    steps: vec![{steps}\n    ],\n}}")
    }
}

pub(crate) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// An operation, and whether every task that is ready runs before the next one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step {
    pub(crate) op: Op,
    pub(crate) settle: bool,
}

#[allow(clippy::large_enum_variant, reason = "a sequence is short")]
#[derive(Debug, Clone, Copy)]
pub(crate) enum Op {
    Acquire(How),
    AcquireWithin(u64),
    Poll(u8),
    Cancel(u8),
    TryAcquire,
    Return(u8, Fate),
    /// Time passes, and everybody acts at his time.
    Pass(u64),
    /// Time leaps, as when a process is stopped: all that came due meanwhile comes due at once.
    Jump(u64),
    Connects(Mood),
    Checks(Mood),
    Resets(Mood),
    /// Connections are closed gracefully from here on, or dropped.
    Closes(Option<Mood>),
    /// The peer closes one connection, or all that nobody holds.
    PeerCloses(u8),
    PeersClose,
    /// The next look at one connection, before it is handed out, panics.
    LookPanics(u8),
    /// The drop of one connection panics, wherever it is dropped.
    DropPanics(u8),
    Resize(usize),
    InvalidateAll,
    InvalidateAllOver(u64),
    Suspend,
    Resume,
    /// Some idle connections are closed, as the number says; or the look at one panics.
    Retain(u8),
    CheckNow,
    ConnectNow,
    Add,
    Reconfigure(Config),
    WarmUp,
    /// It lives with failures that pass, up to this limit.
    WarmUpWithin(u64),
    Drained,
    DropErrand(u8),
    Look,
    CloneHandle,
    DropHandle,
    DropAllHandles,
    Close,
    CloseWithin(u64),
}

impl Op {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Acquire(How::Eager | How::Lazy) => "acquire",
            Self::Acquire(How::Task) => "acquire_async",
            Self::AcquireWithin(_) => "acquire_within",
            Self::Poll(_) => "poll",
            Self::Cancel(_) => "cancel",
            Self::TryAcquire => "try_acquire",
            Self::Return(..) => "return",
            Self::Pass(_) => "pass",
            Self::Jump(_) => "jump",
            Self::Connects(_) => "connects",
            Self::Checks(_) => "checks",
            Self::Resets(_) => "resets",
            Self::Closes(_) => "closes",
            Self::PeerCloses(_) => "the peer closes one",
            Self::PeersClose => "the peer closes all",
            Self::LookPanics(_) => "the next look panics",
            Self::DropPanics(_) => "a drop panics",
            Self::Resize(_) => "resize",
            Self::InvalidateAll => "invalidate_all",
            Self::InvalidateAllOver(_) => "invalidate_all_over",
            Self::Suspend => "suspend",
            Self::Resume => "resume",
            Self::Retain(_) => "retain",
            Self::CheckNow => "check_now",
            Self::ConnectNow => "connect_now",
            Self::Add => "add",
            Self::Reconfigure(_) => "reconfigure",
            Self::WarmUp => "warm_up",
            Self::WarmUpWithin(_) => "warm_up_within",
            Self::Drained => "drained",
            Self::DropErrand(_) => "drop an errand",
            Self::Look => "look",
            Self::CloneHandle => "clone a handle",
            Self::DropHandle => "drop a handle",
            Self::DropAllHandles => "drop all handles",
            Self::Close => "close",
            Self::CloseWithin(_) => "close_within",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum How {
    /// A future that is polled whenever it has been woken.
    Eager,
    /// A future that is polled once, and then only by [`Op::Poll`].
    Lazy,
    /// A task with a callback, by `acquire_async`.
    Task,
}

/// What becomes of a held connection.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Fate {
    Release,
    Drop,
    Invalidate,
    Detach,
    /// Its holder has left something behind: `needs_reset` says yes.
    Dirty,
    PanicInNeedsReset,
    /// It is in the middle of an exchange: `is_reusable` says no.
    Tainted,
    PanicInIsReusable,
    /// The holder panics.
    PanicWhileHeld,
    /// It is tainted, and its own drop panics.
    PanicInDrop,
}

/// What the server does with a connect, a check, a reset or a goodbye from here on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Mood {
    pub(crate) delay: u64,
    pub(crate) end: End,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum End {
    Ok,
    Fail,
    Permanent,
    /// The server is at its own limit.
    Busy,
    /// A connect succeeds, and the peer closes it at once.
    Stillborn,
    /// A check or a reset passes whatever the peer has done: it asks nobody.
    Blind,
    Never,
    Panic,
}

pub(crate) const WELL: Mood = Mood { delay: 0, end: End::Ok };

pub(crate) fn case(longest: usize) -> impl Strategy<Value = Case> {
    let steps = prop::collection::vec(step(), 1..=longest);
    let seldom = || prop::bool::weighted(0.1);
    (any::<u32>(), seldom(), seldom(), config(), steps)
        .prop_map(|(seed, outlive, hooked, config, steps)| Case { seed, outlive, hooked, config, steps })
}

fn step() -> impl Strategy<Value = Step> {
    (op(), prop::bool::weighted(0.75)).prop_map(|(op, settle)| Step { op, settle })
}

fn op() -> impl Strategy<Value = Op> {
    let common = prop_oneof![
        24 => select(vec![How::Eager, How::Eager, How::Lazy, How::Task]).prop_map(Op::Acquire),
        2 => time().prop_map(|limit| Op::AcquireWithin(limit + 1)),
        6 => any::<u8>().prop_map(Op::Poll),
        6 => any::<u8>().prop_map(Op::Cancel),
        5 => Just(Op::TryAcquire),
        22 => (any::<u8>(), fate()).prop_map(|(which, fate)| Op::Return(which, fate)),
        10 => time().prop_map(Op::Pass),
        6 => time().prop_map(Op::Jump),
    ];
    let rare = prop_oneof![
        10 => mood(true).prop_map(Op::Connects),
        6 => mood(false).prop_map(Op::Checks),
        6 => mood(false).prop_map(Op::Resets),
        4 => prop::option::weighted(0.7, goodbye()).prop_map(Op::Closes),
        4 => any::<u8>().prop_map(Op::PeerCloses),
        2 => Just(Op::PeersClose),
        2 => any::<u8>().prop_map(Op::LookPanics),
        2 => any::<u8>().prop_map(Op::DropPanics),
        6 => (0..=5_usize).prop_map(Op::Resize),
        2 => Just(Op::InvalidateAll),
        2 => time().prop_map(Op::InvalidateAllOver),
        3 => any::<u8>().prop_map(Op::Retain),
        2 => Just(Op::CheckNow),
        3 => Just(Op::ConnectNow),
        3 => Just(Op::Add),
        2 => config().prop_map(Op::Reconfigure),
        2 => Just(Op::Suspend),
        8 => Just(Op::Resume),
        1 => Just(Op::Drained),
        4 => Just(Op::WarmUp),
        3 => time().prop_map(Op::WarmUpWithin),
        3 => any::<u8>().prop_map(Op::DropErrand),
        2 => Just(Op::Look),
        2 => Just(Op::CloneHandle),
        2 => Just(Op::DropHandle),
    ];
    let last = prop_oneof![Just(Op::DropAllHandles), Just(Op::Close), time().prop_map(Op::CloseWithin),];
    prop_oneof![160 => common, 50 => rare, 1 => last]
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        10 => Just(Fate::Release),
        6 => Just(Fate::Drop),
        6 => Just(Fate::Dirty),
        1 => Just(Fate::PanicInNeedsReset),
        1 => Just(Fate::Invalidate),
        1 => Just(Fate::Detach),
        1 => Just(Fate::Tainted),
        1 => Just(Fate::PanicInIsReusable),
        1 => Just(Fate::PanicWhileHeld),
        1 => Just(Fate::PanicInDrop),
    ]
}

fn time() -> impl Strategy<Value = u64> {
    prop_oneof![1 => Just(0_u64), 6 => 1..=12_u64, 5 => 13..=120_u64, 1 => 121..=400_u64]
}

fn goodbye() -> impl Strategy<Value = Mood> {
    let end = prop_oneof![8 => Just(End::Ok), 2 => Just(End::Never), 1 => Just(End::Panic)];
    (delay(), end).prop_map(|(delay, end)| Mood { delay, end })
}

fn delay() -> impl Strategy<Value = u64> {
    prop_oneof![3 => Just(0_u64), 3 => 1..=12_u64, 1 => 13..=80_u64]
}

/// Of a connect, or of a check or a reset.
fn mood(connect: bool) -> impl Strategy<Value = Mood> {
    let end = prop_oneof![
        8 => Just(End::Ok),
        2 => Just(End::Fail),
        u32::from(connect) => Just(End::Permanent),
        u32::from(connect) => Just(End::Busy),
        u32::from(connect) => Just(End::Stillborn),
        u32::from(!connect) => Just(End::Blind),
        1 => Just(End::Never),
        1 => Just(End::Panic),
    ];
    (delay(), end).prop_map(|(delay, end)| Mood { delay, end })
}
