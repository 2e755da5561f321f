//! Clients that use a pool at random, for as long as a soak lasts, in all the ways that a caller has.
//!
//! Most take a connection, ask on it and give it back. Some lose patience while they wait, hang up in the middle of an
//! exchange, leave an answer unread, take a connection out of the pool, or close it. In trouble anything may fail, as
//! long as it fails in time and nobody gets another's answer. In calm weather nothing may fail at all.

use std::any::Any;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use poolhouse::{Dial, PooledConnection};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::common::{
    Answer, Held, Limits, PacketPoolOf, Tally, acquire, check_stats, exchange, kind_of_acquire,
    kind_of_exchange, ms, question, send,
};

/// Since when the weather has been calm, and when a question was last answered.
#[derive(Clone, Default)]
pub(crate) struct Calm(Arc<Mutex<(Option<Instant>, Option<Instant>)>>);

impl Calm {
    /// The weather is calm from `since` on, or not at all.
    pub(crate) fn set(&self, since: Option<Instant>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0 = since;
    }

    fn answered(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1 = Some(Instant::now());
    }

    /// Whether anybody has been answered since then.
    pub(crate) fn answered_since(&self, then: Instant) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1.is_some_and(|at| at > then)
    }

    /// Since when it has been calm, if it is.
    fn now(&self) -> Option<Instant> {
        let since = self.0.lock().unwrap_or_else(PoisonError::into_inner).0;
        since.filter(|since| *since <= Instant::now())
    }
}

/// What all clients of a soak share.
pub(crate) struct Shop<D: Dial> {
    pub(crate) pool: PacketPoolOf<D>,
    pub(crate) limits: Limits,
    pub(crate) tally: Tally,
    pub(crate) calm: Calm,
    /// Told of each connection that leaves the pool, until what it returns is dropped.
    pub(crate) detached: Box<dyn Fn() -> Box<dyn Any + Send> + Send + Sync>,
    /// The longest time between two uses of one client.
    pub(crate) think: Duration,
    /// The longest time that a connection is held between two questions.
    pub(crate) hold: Duration,
}

/// Lets `count` clients work until `end`, and fails if any of them does.
pub(crate) async fn work<D: Dial>(shop: &Arc<Shop<D>>, rng: &mut fastrand::Rng, count: usize, end: Instant) {
    let mut clients = JoinSet::new();
    for _ in 0..count {
        let client = Client { shop: Arc::clone(shop), rng: rng.fork() };
        clients.spawn(client.work_until(end));
    }
    while let Some(ended) = clients.join_next().await {
        ended.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
    }
}

struct Client<D: Dial> {
    shop: Arc<Shop<D>>,
    rng: fastrand::Rng,
}

impl<D: Dial> Client<D> {
    async fn work_until(mut self, end: Instant) {
        loop {
            let think = self.up_to(self.shop.think);
            sleep(think).await;
            if Instant::now() >= end {
                return;
            }
            match self.rng.u32(..100) {
                0..75 => self.use_one(drop).await,
                75..78 => self.lose_patience().await,
                78..80 => self.change_its_mind().await,
                80..86 => self.hang_up().await,
                86..90 => self.leave_unread().await,
                90..94 => self.try_one().await,
                94..97 => self.use_one(Held::invalidate).await,
                _ => self.take_away().await,
            }
            check_stats(&self.shop.pool.stats(), "in a soak");
        }
    }

    fn up_to(&mut self, longest: Duration) -> Duration {
        longest.mul_f64(self.rng.f64())
    }

    /// Mostly short. Now and then longer than what a wire holds, so that it is sent in parts.
    fn length(&mut self) -> usize {
        if self.rng.u32(..200) == 0 { self.rng.usize(..200_000) } else { self.rng.usize(..500) }
    }

    /// Counts a failure. In calm weather there must be none.
    fn failed(&self, what: &'static str, calm: Option<Instant>) {
        assert!(
            calm.is_none() || calm != self.shop.calm.now(),
            "{what}, and the weather is calm: {:?}",
            self.shop.pool
        );
        self.shop.tally.count(what);
    }

    async fn acquire(&self) -> Option<Held<D>> {
        let calm = self.shop.calm.now();
        match acquire(&self.shop.pool, &self.shop.limits).await {
            Ok(connection) => {
                self.shop.tally.count("acquired");
                Some(connection)
            }
            Err(error) => {
                self.failed(kind_of_acquire(&error), calm);
                None
            }
        }
    }

    /// Whether the question was answered, by its own answer.
    async fn ask(&mut self, connection: &mut Held<D>) -> bool {
        let (calm, length) = (self.shop.calm.now(), self.length());
        let answer = exchange(connection, &self.shop.limits, length).await;
        // cancel.tainted
        assert!(!matches!(answer, Ok(Answer::Foreign)), "an answer to another question: {connection:?}");
        match &answer {
            Ok(_) => {
                self.shop.calm.answered();
                self.shop.tally.count(if calm.is_some() { "answered in calm" } else { "answered" });
            }
            Err(_) => self.failed(kind_of_exchange(&answer), calm),
        }
        answer.is_ok()
    }

    async fn use_one(&mut self, let_go: impl FnOnce(Held<D>)) {
        let Some(mut connection) = self.acquire().await else { return };
        for _ in 0..self.rng.u32(1..4) {
            if !self.ask(&mut connection).await {
                break;
            }
            let hold = self.up_to(self.shop.hold);
            sleep(hold).await;
        }
        let_go(connection);
    }

    /// Waits for a connection, but not for long.
    async fn lose_patience(&mut self) {
        let patience = self.up_to(ms(20));
        let pool = self.shop.pool.clone();
        match timeout(patience, pool.acquire()).await {
            Ok(Ok(_)) => self.shop.tally.count("acquired"),
            Ok(Err(error)) => self.failed(kind_of_acquire(&error), None),
            Err(_) => self.shop.tally.count("given up waiting"),
        }
    }

    /// Wants a second connection, gives the first back, which may serve the wish, and then does not want it any more.
    async fn change_its_mind(&mut self) {
        let Some(connection) = self.acquire().await else { return };
        let mut wish = pin!(self.shop.pool.acquire());
        let got = poll_fn(|cx| Poll::Ready(wish.as_mut().poll(cx))).await;
        drop(connection);
        self.shop.tally.count(match got {
            Poll::Pending => "changed its mind",
            Poll::Ready(_) => "acquired",
        });
    }

    /// Drops an exchange at a random point.
    async fn hang_up(&mut self) {
        let Some(mut connection) = self.acquire().await else { return };
        let (patience, length) = (self.up_to(ms(30)), self.length());
        if timeout(patience, exchange(&mut connection, &self.shop.limits, length)).await.is_err() {
            self.shop.tally.count("hung up");
        }
    }

    /// Lets go while the answer is on its way.
    async fn leave_unread(&mut self) {
        let Some(mut connection) = self.acquire().await else { return };
        let calm = self.shop.calm.now();
        if send(&mut connection, &self.shop.limits, question(0)).await.is_err() {
            self.failed("not sent", calm);
        }
        self.shop.tally.count("left unread");
        let pause = self.up_to(ms(20));
        sleep(pause).await;
    }

    async fn try_one(&mut self) {
        match self.shop.pool.try_acquire() {
            Some(mut connection) => {
                self.shop.tally.count("acquired");
                self.ask(&mut connection).await;
            }
            None => self.shop.tally.count("nothing to try"),
        }
    }

    /// Takes a connection out of the pool, and closes it a little later.
    async fn take_away(&mut self) {
        let Some(connection) = self.acquire().await else { return };
        let _detached = (self.shop.detached)();
        let _connection = PooledConnection::detach(connection);
        self.shop.tally.count("detached");
        let until = Instant::now() + self.up_to(self.shop.hold);
        sleep_until(until).await;
    }
}
