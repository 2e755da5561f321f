//! Sequences that failed once, in their smallest form.

use crate::coverage::Coverage;
use crate::ops::{Case, End, Fate, How, Mood, Op, Step};
use crate::options::Config;
use crate::play::play;
use crate::run::listen_to_panics;

/// Nothing is limited, and nothing is kept.
const PLAIN: Config = Config {
    min: 0,
    max: 2,
    min_idle: 0,
    max_idle: None,
    max_uses: None,
    max_connecting: 2,
    max_pending: None,
    connection_timeout: None,
    idle_timeout: None,
    health_check_interval: None,
    max_lifetime: None,
    check_after_idle: None,
    leak_threshold: None,
    fail_fast_after: None,
    nested: false,
    connect_attempt_timeout: 60,
    health_check_timeout: 40,
    reset_timeout: 40,
    close_timeout: 40,
    backoff: 5,
    max_backoff: 20,
    jitter: 0.0,
    lifo: true,
};

#[track_caller]
fn plays(config: Config, steps: Vec<Step>) {
    let case = Case { seed: 0, outlive: false, hooked: false, config, steps };
    listen_to_panics();
    let mut story = String::new();
    let verdict = play(&case, &mut Coverage::default(), Some(&mut story));
    assert_eq!(verdict, Ok(()), "\n{story}");
}

/// `close.complete`: an acquire that has been served, recalled and not looked when the pool closes.
#[test]
fn a_recalled_acquire_does_not_wait_on_a_closed_pool() {
    plays(
        PLAIN,
        vec![
            Step { op: Op::Acquire(How::Lazy), settle: true },
            Step { op: Op::InvalidateAll, settle: true },
            Step { op: Op::Close, settle: false },
            Step { op: Op::Poll(0), settle: false },
        ],
    );
}

/// A health check that has to wait for room does not put off the end of the lifetime.
#[test]
fn a_check_without_room_hides_no_lifetime() {
    let config = Config { min: 2, health_check_interval: Some(10), max_lifetime: Some(40), ..PLAIN };
    plays(
        config,
        vec![
            Step { op: Op::Checks(Mood { delay: 0, end: End::Never }), settle: false },
            Step { op: Op::WarmUp, settle: true },
            Step { op: Op::Pass(40), settle: false },
        ],
    );
}

/// `lifetime.no_dip`: the time for the successors comes while the pool is full, and room comes later.
#[test]
fn successors_open_as_soon_as_there_is_room() {
    let config = Config { min: 2, max: 4, max_lifetime: Some(300), ..PLAIN };
    let step = |op| Step { op, settle: true };
    let mut steps = vec![step(Op::Acquire(How::Eager)); 2];
    steps.push(step(Op::Pass(26)));
    steps.extend([step(Op::Acquire(How::Eager)); 2]);
    // At 296 ms, when the younger two are to be replaced, there is no room. At 300 ms there is.
    steps.extend([step(Op::Pass(272)), step(Op::Return(2, Fate::Release)), step(Op::Pass(2))]);
    steps.extend([Step { op: Op::Return(0, Fate::Release), settle: false }; 3]);
    steps.push(step(Op::Pass(40)));
    plays(config, steps);
}

/// `lifetime.no_dip`: nobody had used it for long when the time for its successor came, and then somebody does.
#[test]
fn a_late_use_brings_a_successor() {
    let config = Config { max_lifetime: Some(300), ..PLAIN };
    let step = |op| Step { op, settle: true };
    let used = [step(Op::Acquire(How::Eager)), step(Op::Return(0, Fate::Release))];
    plays(config, [used.as_slice(), &[step(Op::Pass(280))], &used, &[step(Op::Pass(40))]].concat());
}

/// `size.min`: a connection that nobody has looked at becomes idle when its waiter leaves. That ends the pause after
/// failures, and what it held back begins at once, beside the probe that hangs.
#[test]
fn a_cancelled_acquire_that_ends_the_pause_lets_the_minimum_open() {
    let step = |op| Step { op, settle: true };
    let connects = |delay, end| step(Op::Connects(Mood { delay, end }));
    let steps = vec![
        connects(0, End::Fail),
        step(Op::Acquire(How::Lazy)),
        connects(10, End::Ok),
        step(Op::Pass(5)),
        connects(0, End::Never),
        step(Op::Pass(10)),
        step(Op::Cancel(0)),
    ];
    plays(Config { min: 3, max: 4, ..PLAIN }, steps);
}

/// `close.complete`: an acquire that has been served and not looked is back in the line when the pool closes. That is no
/// overload: everybody hears of the close.
#[test]
fn a_close_that_takes_back_overloads_nobody() {
    let steps = vec![
        Step { op: Op::Acquire(How::Lazy), settle: true },
        Step { op: Op::Acquire(How::Eager), settle: false },
        Step { op: Op::Close, settle: false },
    ];
    plays(Config { max: 1, max_pending: Some(1), ..PLAIN }, steps);
}

/// `acquire.deadline`: a wait with a limit of its own ends in a pool that is suspended and warms up.
#[test]
fn a_limit_of_its_own_ends_a_wait_in_a_suspended_pool() {
    let step = |op| Step { op, settle: true };
    let steps = vec![
        step(Op::Suspend),
        step(Op::Acquire(How::Eager)),
        step(Op::WarmUp),
        step(Op::Acquire(How::Eager)),
        step(Op::AcquireWithin(10)),
        step(Op::Jump(11)),
    ];
    let config = Config { max: 4, idle_timeout: Some(200), leak_threshold: Some(25), nested: true, ..PLAIN };
    plays(config, steps);
}

/// `health.known_dead`: a check fails while a waiter has been served and has not looked. What it was served is in doubt.
#[test]
fn what_was_served_may_come_into_doubt() {
    let step = |op| Step { op, settle: true };
    let steps = vec![
        step(Op::Acquire(How::Lazy)),
        step(Op::Checks(Mood { delay: 0, end: End::Never })),
        step(Op::Acquire(How::Lazy)),
        step(Op::Cancel(0)),
        step(Op::Pass(50)),
        step(Op::Poll(0)),
    ];
    plays(Config { health_check_interval: Some(10), ..PLAIN }, steps);
}

/// `health.off_path`: a check fails, and which of the connections that are in doubt came back from a waiter that left, the
/// ledger cannot tell.
#[test]
fn what_a_waiter_left_may_be_in_doubt() {
    let step = |op| Step { op, settle: false };
    let steps = vec![
        step(Op::Acquire(How::Lazy)),
        step(Op::Checks(Mood { delay: 11, end: End::Ok })),
        step(Op::Pass(15)),
        step(Op::Acquire(How::Eager)),
        step(Op::Cancel(0)),
        step(Op::Acquire(How::Eager)),
        step(Op::Pass(2)),
        step(Op::Return(0, Fate::Release)),
        step(Op::Pass(8)),
    ];
    let sizes = Config { min: 4, max: 4, max_connecting: 1, check_after_idle: Some(15), ..PLAIN };
    plays(Config { max_lifetime: Some(300), health_check_timeout: 10, lifo: false, ..sizes }, steps);
}

/// `acquire.shed`: an older one comes back to its turn at an instant at which the time of the youngest is up too.
#[test]
fn one_that_is_late_may_be_one_too_many() {
    let step = |op| Step { op, settle: false };
    let steps = vec![
        step(Op::Acquire(How::Eager)),
        step(Op::Acquire(How::Task)),
        Step { op: Op::Acquire(How::Eager), settle: true },
        step(Op::Acquire(How::Eager)),
        step(Op::Acquire(How::Task)),
        step(Op::Return(0, Fate::Release)),
        step(Op::Acquire(How::Eager)),
        step(Op::Jump(100)),
    ];
    let sizes = Config { max: 4, max_connecting: 1, max_pending: Some(1), ..PLAIN };
    plays(Config { connection_timeout: Some(20), check_after_idle: Some(15), lifo: false, ..sizes }, steps);
}

/// `health.known_dead`: what was served is in doubt when the waiter looks, and another connection serves the waiter.
#[test]
fn what_is_taken_back_in_doubt_is_checked() {
    let step = |op| Step { op, settle: false };
    let steps = vec![
        step(Op::Acquire(How::Lazy)),
        step(Op::Pass(15)),
        step(Op::Acquire(How::Lazy)),
        step(Op::Resize(3)),
        step(Op::Pass(85)),
        step(Op::Acquire(How::Eager)),
        Step { op: Op::PeersClose, settle: true },
        step(Op::Return(0, Fate::Release)),
        step(Op::Poll(20)),
        Step { op: Op::Acquire(How::Eager), settle: true },
        step(Op::Return(0, Fate::Release)),
        step(Op::Poll(0)),
    ];
    plays(Config { min: 2, max_connecting: 1, check_after_idle: Some(15), lifo: false, ..PLAIN }, steps);
}

/// `connect.permanent`: a connect fails for good while the next one is on its way and has not begun.
#[test]
fn an_attempt_that_has_not_begun_serves_those_who_wait_too() {
    let step = |op, settle| Step { op, settle };
    let steps = vec![
        step(Op::Acquire(How::Eager), false),
        step(Op::Checks(Mood { delay: 1, end: End::Panic }), true),
        step(Op::Return(0, Fate::Release), false),
        step(Op::Pass(66), false),
        step(Op::Connects(Mood { delay: 1, end: End::Permanent }), false),
        step(Op::Acquire(How::Eager), true),
        step(Op::Acquire(How::Eager), false),
        step(Op::Pass(1), false),
    ];
    let limits = Config { health_check_interval: Some(50), check_after_idle: Some(15), ..PLAIN };
    plays(Config { min: 1, max: 3, connection_timeout: Some(100), lifo: false, ..limits }, steps);
}

/// `cancel.no_loss`: the successor of what a waiter was served opens before the waiter looks. What it was served is fit.
#[test]
fn what_was_served_stays_when_its_successor_opens() {
    let step = |op| Step { op, settle: true };
    let steps =
        vec![step(Op::Acquire(How::Lazy)), step(Op::Pass(50)), step(Op::Jump(230)), step(Op::Poll(0))];
    plays(Config { max_connecting: 1, max_lifetime: Some(300), ..PLAIN }, steps);
}

/// `epoch.invalidate_all`: what is opening at the instant of a spread invalidation goes with the others.
#[test]
fn what_is_opening_goes_with_a_spread_invalidation() {
    let step = |op| Step { op, settle: true };
    let connects = step(Op::Connects(Mood { delay: 1, end: End::Ok }));
    plays(PLAIN, vec![connects, step(Op::Acquire(How::Eager)), step(Op::InvalidateAllOver(0))]);
}

/// `epoch.invalidate_all`: a lifetime that is raised does not put off the end that a spread invalidation has set.
#[test]
fn a_longer_lifetime_outlives_no_spread_invalidation() {
    let steps = [
        Op::Acquire(How::Eager),
        Op::InvalidateAllOver(400),
        Op::Reconfigure(Config { max_lifetime: Some(2000), ..PLAIN }),
        Op::Return(0, Fate::Release),
        Op::Pass(400),
    ];
    let steps = steps.into_iter().map(|op| Step { op, settle: true }).collect();
    plays(Config { max_lifetime: Some(40), ..PLAIN }, steps);
}

const GRACEFULLY: Op = Op::Closes(Some(Mood { delay: 1, end: End::Ok }));

/// `close.complete`: the last handle goes, and what is idle is closed gracefully all the same.
#[test]
fn the_last_handle_leaves_time_for_a_goodbye() {
    let steps = [GRACEFULLY, Op::Acquire(How::Eager), Op::Return(0, Fate::Release), Op::DropAllHandles];
    plays(PLAIN, steps.into_iter().map(|op| Step { op, settle: true }).collect());
}

/// `size.min`: a warm-up ends when the minimum is lowered to what is open.
#[test]
fn a_lower_minimum_ends_a_warm_up() {
    let hangs = Op::Connects(Mood { delay: 0, end: End::Never });
    let steps = [hangs, Op::WarmUp, Op::Reconfigure(PLAIN)];
    let steps = steps.into_iter().map(|op| Step { op, settle: true }).collect();
    plays(Config { min: 1, ..PLAIN }, steps);
}

/// `fail_fast_after`: what failed while a connection was open that worked is no outage once that one has gone.
#[test]
fn a_failure_beside_an_open_connection_is_no_outage() {
    let steps = [
        Op::Acquire(How::Eager),
        Op::Connects(Mood { delay: 0, end: End::Fail }),
        Op::Acquire(How::Eager),
        Op::Cancel(0),
        Op::Connects(Mood { delay: 5, end: End::Ok }),
        Op::Return(0, Fate::Release),
        Op::Pass(100),
        Op::PeersClose,
        Op::Acquire(How::Eager),
    ];
    let steps = steps.into_iter().map(|op| Step { op, settle: true }).collect();
    plays(Config { fail_fast_after: Some(20), ..PLAIN }, steps);
}

/// `fail_fast_after`: an outage that lasts begins anew with the end of the last connection, and ends the waits in time.
#[test]
fn the_end_of_the_last_connection_may_begin_an_outage() {
    let step = |op, settle| Step { op, settle };
    let steps = vec![
        step(Op::Acquire(How::Eager), true),
        step(Op::Connects(Mood { delay: 0, end: End::Fail }), false),
        step(Op::Acquire(How::Eager), true),
        step(Op::Return(0, Fate::Release), false),
        step(Op::Pass(30), false),
    ];
    plays(Config { max_uses: Some(1), fail_fast_after: Some(1), ..PLAIN }, steps);
}

/// `lifetime.no_dip`: a successor takes over an idle time, and is not said to have idled for longer than it is old.
#[test]
fn a_successor_has_not_idled_for_longer_than_it_is_old() {
    let steps = [Op::WarmUp, Op::Pass(38), Op::Retain(0)];
    let steps = steps.into_iter().map(|op| Step { op, settle: true }).collect();
    plays(Config { min: 1, max_lifetime: Some(40), ..PLAIN }, steps);
}

/// `panic.no_loss`: a return that closes another connection, for `max_idle`, does not panic with that one's drop.
#[test]
fn a_return_panics_with_its_own_connection_alone() {
    let steps = [
        Op::Acquire(How::Eager),
        Op::Acquire(How::Eager),
        Op::DropPanics(0),
        Op::Return(0, Fate::Release),
        Op::Return(0, Fate::Release),
    ];
    let steps = steps.into_iter().map(|op| Step { op, settle: true }).collect();
    plays(Config { max_idle: Some(1), ..PLAIN }, steps);
}

/// `connect.backoff`: of two connects at a time one is for a waiter, who finds it dead, and one for the minimum. That the
/// second has become idle does not end the pause that the first has drawn.
#[test]
fn an_idle_connection_of_a_server_that_closes_at_once_ends_no_pause() {
    let step = |op| Step { op, settle: true };
    let limits = Config { health_check_interval: Some(50), max_lifetime: Some(40), ..PLAIN };
    let config = Config { min: 4, max: 4, check_after_idle: Some(15), jitter: 0.1, ..limits };
    let steps = vec![
        step(Op::Connects(Mood { delay: 16, end: End::Ok })),
        step(Op::Acquire(How::Eager)),
        step(Op::Cancel(0)),
        step(Op::Pass(36)),
        step(Op::Acquire(How::Eager)),
        step(Op::Connects(Mood { delay: 0, end: End::Stillborn })),
        step(Op::Pass(95)),
        step(Op::Return(0, Fate::Release)),
        step(Op::Acquire(How::Task)),
    ];
    plays(config, steps);
}

/// A connection whose reset is under way has not proved to work yet: `check_now` waits for it.
#[test]
fn to_check_now_waits_for_a_reset() {
    let step = |op| Step { op, settle: false };
    let steps = vec![
        step(Op::Resets(Mood { delay: 1, end: End::Ok })),
        Step { op: Op::Acquire(How::Eager), settle: true },
        Step { op: Op::Return(0, Fate::Dirty), settle: true },
        step(Op::Jump(1)),
        step(Op::CheckNow),
    ];
    plays(PLAIN, steps);
}

/// A connection that a task is served in the moment of `check_now` is in doubt, and the task goes back to its turn.
#[test]
fn what_a_task_is_served_in_the_moment_of_a_check_may_be_in_doubt() {
    let step = |op| Step { op, settle: false };
    let steps = vec![
        step(Op::Acquire(How::Lazy)),
        step(Op::Pass(1)),
        step(Op::Acquire(How::Task)),
        step(Op::Acquire(How::Eager)),
        step(Op::Acquire(How::Eager)),
        step(Op::Cancel(28)),
        step(Op::CheckNow),
    ];
    plays(Config { max: 1, max_connecting: 1, max_pending: Some(3), ..PLAIN }, steps);
}

/// `health.off_path`: tasks that were served, and come so late that they go back to their turn, wait while the checks begin.
#[test]
fn those_who_come_late_for_what_they_were_served_wait_for_checks() {
    plays(
        Config { max: 4, max_connecting: 1, max_lifetime: Some(300), check_after_idle: Some(15), ..PLAIN },
        vec![
            Step { op: Op::Acquire(How::Eager), settle: false },
            Step { op: Op::Acquire(How::Eager), settle: false },
            Step { op: Op::TryAcquire, settle: true },
            Step { op: Op::Checks(Mood { delay: 1, end: End::Ok }), settle: false },
            Step { op: Op::Acquire(How::Eager), settle: false },
            Step { op: Op::Acquire(How::Eager), settle: false },
            Step { op: Op::Acquire(How::Task), settle: false },
            Step { op: Op::Acquire(How::Task), settle: false },
            Step { op: Op::Return(0, Fate::Release), settle: false },
            Step { op: Op::Return(0, Fate::Release), settle: false },
            Step { op: Op::Jump(100), settle: false },
        ],
    );
}

/// `acquire.deadline`, `connect.permanent`: at one instant the time of one acquire is up, and a permanent failure refuses
/// nobody, for connections are coming back. Only the one has left the line.
#[test]
fn a_permanent_failure_beside_a_deadline_refuses_all_or_nobody() {
    plays(
        Config { min: 3, max: 3, connection_timeout: Some(100), max_lifetime: Some(40), ..PLAIN },
        vec![
            Step { op: Op::Acquire(How::Eager), settle: false },
            Step { op: Op::Acquire(How::Eager), settle: false },
            Step { op: Op::Acquire(How::Eager), settle: true },
            Step { op: Op::Connects(Mood { delay: 13, end: End::Permanent }), settle: false },
            Step { op: Op::Pass(40), settle: false },
            Step { op: Op::Return(0, Fate::Release), settle: false },
            Step { op: Op::Closes(Some(Mood { delay: 1, end: End::Ok })), settle: false },
            Step { op: Op::AcquireWithin(1), settle: false },
            Step { op: Op::Return(0, Fate::Release), settle: true },
            Step { op: Op::Return(0, Fate::Release), settle: true },
            Step { op: Op::Acquire(How::Eager), settle: false },
            Step { op: Op::Jump(13), settle: false },
        ],
    );
}

/// `size.min`: connects that are under way bring dead connections, which push a good one out above `max_idle` before they are
/// found out. That is no reaping.
#[test]
fn dead_connections_on_their_way_may_cost_a_good_one() {
    plays(
        Config { min: 2, max: 3, max_idle: Some(2), health_check_interval: Some(10), lifo: false, ..PLAIN },
        vec![
            Step { op: Op::Acquire(How::Eager), settle: true },
            Step { op: Op::Connects(Mood { delay: 1, end: End::Stillborn }), settle: false },
            Step { op: Op::InvalidateAll, settle: false },
            Step { op: Op::Return(0, Fate::Release), settle: true },
            Step { op: Op::Connects(Mood { delay: 0, end: End::Fail }), settle: false },
            Step { op: Op::Add, settle: false },
            Step { op: Op::Pass(13), settle: false },
        ],
    );
}
