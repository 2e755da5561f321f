//! Code of the user's that panics, against those who share the pool with it: `panic.no_loss`.

use std::cell::Cell;
use std::mem::ManuallyDrop;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Wake, Waker};

use model_check::{
    Acquired, Dial, Queued, World, block_on, bounded, catch_planned, config, panic_as_planned,
};
use tracing::span::{Attributes, Id, Record};
use tracing::{Metadata, Subscriber};

use crate::connect::release_serves_after;
use crate::{close, ok_or_closed};

/// A panic while another unwinds would end the process.
fn panics() {
    if !std::thread::panicking() {
        panic_as_planned();
    }
}

struct PanicsAsItWakes;

impl Wake for PanicsAsItWakes {
    fn wake(self: Arc<Self>) {
        panics();
    }
}

fn panics_as_it_wakes() -> Waker {
    Arc::new(PanicsAsItWakes).into()
}

/// A waker of which each clone panics as it is dropped, and which is not dropped itself. One that counts its references, as those made of an `Arc` do, runs no
/// code there while another is alive.
#[expect(
    unsafe_code,
    reason = "a waker of a table is the only one whose every clone runs code as it is dropped"
)]
fn panics_as_it_is_dropped() -> ManuallyDrop<Waker> {
    static CALLS: RawWakerVTable =
        RawWakerVTable::new(|_| RawWaker::new(std::ptr::null(), &CALLS), |_| panics(), |_| {}, |_| panics());
    // SAFETY: the functions of the table use neither the pointer nor any state.
    ManuallyDrop::new(unsafe { Waker::from_raw(RawWaker::new(std::ptr::null(), &CALLS)) })
}

/// Polls an acquire with `waker`. A panic would be the caller's own, so there must be none.
fn poll(acquire: &mut Queued, waker: &Waker) -> Poll<Acquired> {
    acquire.as_mut().poll(&mut Context::from_waker(waker))
}

/// The waiter is served and never hears of it. Once it goes away, the one behind gets the connection.
#[test]
fn waker_panics_vs_cancel() {
    bounded("waker_panics_vs_cancel", 3, &config(1), |world| {
        let held = world.held();
        let mut deaf = world.queued();
        assert!(poll(&mut deaf, &panics_as_it_wakes()).is_pending());
        let behind = world.queued();
        world.race();
        let release = world.thread(|_| drop(held));
        let cancel = world.thread(|_| drop(deaf));
        drop(block_on(behind).unwrap());
        release.join().unwrap();
        cancel.join().unwrap();
    });
}

/// The waiter never hears of the close either, and the one behind does.
#[test]
fn waker_panics_vs_close() {
    bounded("waker_panics_vs_close", 3, &config(1), |world| {
        let held = world.held();
        let mut deaf = world.queued();
        assert!(poll(&mut deaf, &panics_as_it_wakes()).is_pending());
        let behind = world.queued();
        world.race();
        let release = world.thread(|_| drop(held));
        let behind = world.thread(|_| ok_or_closed(block_on(behind)));
        drop(world.pool.close());
        drop(deaf);
        release.join().unwrap();
        behind.join().unwrap();
        close(world);
    });
}

/// The waiter moves to another task, whose waker it clones, and is served meanwhile. The clone panics as it is dropped, in the
/// caller's poll or in the release.
#[test]
fn dropped_waker_panics_vs_release() {
    bounded("dropped_waker_panics_vs_release", 3, &config(1), |world| {
        let held = world.held();
        let mut moves = world.queued();
        world.race();
        let release = world.thread(|_| drop(held));
        let polled = poll(&mut moves, &panics_as_it_is_dropped());
        if let Poll::Ready(acquired) = polled {
            drop(acquired.unwrap());
        } else {
            // Its own waker has an end without a panic.
            drop(block_on(moves).unwrap());
        }
        release.join().unwrap();
    });
}

/// The same, and the waiter gives up. The one behind is served.
#[test]
fn dropped_waker_panics_vs_release_vs_cancel() {
    bounded("dropped_waker_panics_vs_release_vs_cancel", 2, &config(1), |world| {
        let held = world.held();
        let mut moves = world.queued();
        let behind = world.queued();
        world.race();
        let release = world.thread(|_| drop(held));
        let moved = world.thread(|_| {
            drop(poll(&mut moves, &panics_as_it_is_dropped()));
            drop(moves);
        });
        drop(block_on(behind).unwrap());
        release.join().unwrap();
        moved.join().unwrap();
    });
}

/// `close.complete`: of those who wait for the end, the first never hears of it, and the others do.
#[test]
fn waker_panics_vs_closed() {
    bounded("waker_panics_vs_closed", 3, &config(1), |world| {
        let held = world.held();
        let pool = world.pool.clone();
        let mut deaf: Pin<Box<dyn Future<Output = ()>>> = Box::pin(async move { pool.closed().await });
        assert!(deaf.as_mut().poll(&mut Context::from_waker(&panics_as_it_wakes())).is_pending());
        world.race();
        let closed = world.thread(|pool| block_on(pool.closed()));
        let release = world.thread(|_| drop(held));
        close(world);
        closed.join().unwrap();
        release.join().unwrap();
    });
}

/// A connect that panics is a failed one. In the pause after it the waiter gets the connection that comes back.
#[test]
fn connect_panics_vs_release() {
    bounded("connect_panics_vs_release", 4, &config(2), |world| release_serves_after(world, Dial::Panics));
}

/// `close.complete`.
#[test]
fn connect_panics_vs_close() {
    bounded("connect_panics_vs_close", 3, &config(1), |world| {
        world.dialer.script([Dial::Panics]);
        world.race();
        let waiter = world.thread(|pool| ok_or_closed(block_on(pool.acquire())));
        close(world);
        waiter.join().unwrap();
    });
}

/// A connection that panics as it is dropped has left the pool before: the waiter gets its room.
#[test]
fn dropped_connection_panics_vs_waiter() {
    bounded("dropped_connection_panics_vs_waiter", 3, &config(1), |world| {
        let held = world.held();
        let waiter = world.queued();
        world.race();
        world.dialer.panics_at_each_drop(true);
        let invalidate = world.thread(|_| catch_planned(|| held.invalidate()));
        drop(block_on(waiter).unwrap());
        invalidate.join().unwrap();
        world.dialer.panics_at_each_drop(false);
    });
}

/// `close.complete`: one connection comes back and one is idle, and both panic as they are dropped.
#[test]
fn dropped_connections_panic_vs_close() {
    bounded("dropped_connections_panic_vs_close", 3, &config(2), |world| {
        let held = world.held();
        world.idle();
        world.race();
        world.dialer.panics_at_each_drop(true);
        let release = world.thread(|_| catch_planned(|| drop(held)));
        catch_planned(|| close(world));
        release.join().unwrap();
        world.dialer.panics_at_each_drop(false);
    });
}

/// The same for a connection that is closed gracefully: it panics in the manager's hands, or where its runtime drops it.
#[test]
fn goodbye_panics_vs_waiter() {
    bounded("goodbye_panics_vs_waiter", 3, &config(1), |world| {
        world.dialer.wants_goodbyes();
        let held = world.held();
        let waiter = world.queued();
        world.race();
        world.dialer.panics_at_each_drop(true);
        let waiter = world.thread(|_| block_on(waiter).unwrap());
        held.invalidate();
        let held = waiter.join().unwrap();
        world.dialer.panics_at_each_drop(false);
        drop(held);
    });
}

#[test]
fn goodbye_panics_vs_home_loss() {
    bounded("goodbye_panics_vs_home_loss", 2, &config(1), |world| {
        world.dialer.wants_goodbyes();
        let runtime = world.runtime();
        let held = runtime.enter(|| world.held());
        let waiter = world.queued();
        world.race();
        world.dialer.panics_at_each_drop(true);
        let end = world.thread(move |_| runtime.end());
        let invalidate = world.thread(|_| catch_planned(|| held.invalidate()));
        let held = block_on(waiter).unwrap();
        end.join().unwrap();
        invalidate.join().unwrap();
        world.dialer.panics_at_each_drop(false);
        drop(held);
    });
}

/// Where the last background task ends, nobody is left to close it gracefully, and it is dropped by that task or in place.
#[test]
fn goodbye_panics_vs_loss_of_the_last_home() {
    bounded("goodbye_panics_vs_loss_of_the_last_home", 3, &config(2), |world| {
        world.dialer.wants_goodbyes();
        let runtime = world.runtime();
        let (held, other) = runtime.enter(|| (world.held(), world.held()));
        world.race();
        world.dialer.panics_at_each_drop(true);
        let end = world.thread(move |_| runtime.end());
        let other = world.thread(|_| catch_planned(|| other.invalidate()));
        catch_planned(|| held.invalidate());
        end.join().unwrap();
        other.join().unwrap();
        world.dialer.panics_at_each_drop(false);
    });
}

/// Which call of a log subscriber panics.
#[derive(Clone, Copy, PartialEq)]
enum Visit {
    Enter,
    Exit,
    Close,
}

struct PanicsAbout(Visit);

thread_local! {
    /// The threads of a model share this cell.
    static QUIET: Cell<bool> = const { Cell::new(true) };
}

impl PanicsAbout {
    fn visited(&self, visit: Visit) {
        if self.0 == visit && !QUIET.get() {
            panics();
        }
    }
}

impl Subscriber for PanicsAbout {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // loom has spans too.
        metadata.is_span() && metadata.target().starts_with("poolhouse")
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &tracing::Event<'_>) {}

    fn enter(&self, _: &Id) {
        self.visited(Visit::Enter);
    }

    fn exit(&self, _: &Id) {
        self.visited(Visit::Exit);
    }

    fn try_close(&self, _: Id) -> bool {
        self.visited(Visit::Close);
        true
    }
}

/// A waiter gives up or is served, under a log subscriber that panics about its span. The one behind it is served.
fn subscriber_panics(name: &'static str, visit: Visit) {
    bounded(name, 2, &config(1), move |world: &World| {
        let _subscriber = tracing::subscriber::set_default(PanicsAbout(visit));
        let held = world.held();
        let first = world.queued();
        let behind = world.queued();
        QUIET.set(false);
        world.race();
        let release = world.thread(|_| drop(held));
        let mut first = first;
        let looks = world.thread(move |_| {
            let polled = catch_planned(|| poll(&mut first, Waker::noop()));
            catch_planned(|| drop(polled));
            catch_planned(|| drop(first));
        });
        drop(block_on(behind).unwrap());
        release.join().unwrap();
        looks.join().unwrap();
        QUIET.set(true);
    });
}

#[test]
fn subscriber_panics_as_a_span_is_entered() {
    subscriber_panics("subscriber_panics_as_a_span_is_entered", Visit::Enter);
}

#[test]
fn subscriber_panics_as_a_span_is_left() {
    subscriber_panics("subscriber_panics_as_a_span_is_left", Visit::Exit);
}

#[test]
fn subscriber_panics_as_a_span_is_closed() {
    subscriber_panics("subscriber_panics_as_a_span_is_closed", Visit::Close);
}
