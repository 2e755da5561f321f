//! Runs a future on a thread of the model.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};

use loom::sync::mpsc::{Sender, channel};

struct Signal {
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

pub fn block_on<F: Future>(future: F) -> F::Output {
    let (sender, receiver) = channel();
    let signal = Arc::new(Signal { pending: AtomicBool::new(false), sender });
    let waker = Waker::from(Arc::clone(&signal));
    let mut cx = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut cx) {
            signal.pending.store(true, SeqCst);
            return value;
        }
        receiver.recv().expect("the sender is here");
        signal.pending.store(false, SeqCst);
    }
}
