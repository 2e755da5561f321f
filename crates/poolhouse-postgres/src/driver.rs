//! The task that does a connection's I/O. It ends with the connection.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use tokio::task::JoinHandle;

use crate::stream::WatchedStream;
use crate::watch::Watch;

type Connection = tokio_postgres::Connection<WatchedStream, tokio_postgres::tls::NoTlsStream>;

/// Dropped in the middle of an exchange, it ends the task at once, and with it the socket. Otherwise the task says goodbye to
/// the server by itself once the client is gone.
#[derive(Debug)]
pub(crate) struct Driver {
    task: JoinHandle<()>,
    watch: Arc<Watch>,
}

impl Driver {
    pub(crate) fn spawn(connection: Connection, watch: Arc<Watch>) -> Self {
        let task = Drive { connection, watch: Arc::clone(&watch), waker: None };
        Self { task: tokio::spawn(task), watch }
    }

    /// Waits for the end of the task, which comes once the client is gone and the server has answered everything and closed.
    pub(crate) async fn ended(mut self) {
        let _ = (&mut self.task).await;
    }

    /// Ends the task, whatever is under way. The socket stays open for as long as somebody else looks at it.
    pub(crate) async fn cut(mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        if !self.watch.is_quiet() {
            self.task.abort();
        }
    }
}

struct Drive {
    connection: Connection,
    watch: Arc<Watch>,
    /// The task's waker, and the one made of it that leaves a mark.
    waker: Option<(Waker, Waker)>,
}

struct Marking {
    waker: Waker,
    watch: Arc<Watch>,
}

impl Wake for Marking {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.watch.mark_woken();
        self.waker.wake_by_ref();
    }
}

impl Future for Drive {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let waker = this.waker.take_if(|(own, _)| own.will_wake(cx.waker())).unwrap_or_else(|| {
            let own = cx.waker().clone();
            let marking = Marking { waker: own.clone(), watch: Arc::clone(&this.watch) };
            (own, Waker::from(Arc::new(marking)))
        });
        let (_, marking) = this.waker.insert(waker);
        this.watch.begin_poll();
        // How the conversation ended, callers learn from their own requests.
        let polled = Pin::new(&mut this.connection).poll(&mut Context::from_waker(marking)).map(drop);
        this.watch.end_poll(polled.is_ready());
        polled
    }
}

impl Drop for Drive {
    fn drop(&mut self) {
        self.watch.end_poll(true);
    }
}
