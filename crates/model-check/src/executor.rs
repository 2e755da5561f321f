//! Runs a future on a thread of the model.
//!
//! Like loom's own `block_on`, with two differences that leave out orders in which nothing new happens: to clone or drop
//! a waker is no step, and nobody wakes without a reason. A waiter that is polled without one is in the models all the
//! same, for it is first polled where it joins the line, and again on the thread that awaits it.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};

use loom::sync::mpsc::{Sender, channel};

struct Signal {
    /// A wake-up is on its way, or nobody waits for one any more.
    pending: AtomicBool,
    sender: Sender<()>,
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        if !self.pending.swap(true, SeqCst) {
            let _ = self.sender.send(());
        }
    }
}

/// Polls `future` until it is ready, and waits for a wake-up in between. Without one loom reports a deadlock.
pub fn block_on<F: Future>(future: F) -> F::Output {
    run_while(|_| true, future).expect("nothing stops it")
}

/// The same, and drops `future` if `goes_on` says no before a poll.
pub(crate) fn run_while<F: Future>(mut goes_on: impl FnMut(&Waker) -> bool, future: F) -> Option<F::Output> {
    let (sender, receiver) = channel();
    let signal = Arc::new(Signal { pending: AtomicBool::new(false), sender });
    let waker = Waker::from(Arc::clone(&signal));
    let mut cx = Context::from_waker(&waker);
    let mut future = pin!(future);
    let ended = loop {
        if !goes_on(&waker) {
            break None;
        }
        if let Poll::Ready(value) = future.as_mut().poll(&mut cx) {
            break Some(value);
        }
        receiver.recv().expect("the sender is here");
        signal.pending.store(false, SeqCst);
    };
    if signal.pending.swap(true, SeqCst) {
        // What is on its way has to arrive while somebody is here: to loom a message that nobody took is lost.
        receiver.recv().expect("the sender is here");
    }
    ended
}
