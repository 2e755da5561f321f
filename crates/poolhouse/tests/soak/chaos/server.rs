//! The server of the chaos: in memory, and now and then it fails, hangs, or is gone in the middle.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use poolhouse::{Manager, RetireReason};
use tokio::runtime::{Handle, Id};
use tokio::time::sleep;

use super::{MAX, World};
use crate::common::ms;

/// One of the connections that exist.
struct Place(Arc<World>);

impl Place {
    fn take(world: &Arc<World>) -> Self {
        let exist = world.exist.fetch_add(1, SeqCst) + 1;
        world.expect(exist <= MAX, || format!("size.max: {exist} are open or opening"));
        Self(Arc::clone(world))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.exist.fetch_sub(1, SeqCst);
    }
}

pub(super) struct Server(pub(super) Arc<World>);

pub(super) struct Conn {
    _place: Place,
    pub(super) home: Id,
    /// How often `invalidate_all` had been called when its connect began.
    pub(super) epoch: u64,
    pub(super) born: Duration,
    pub(super) in_use: AtomicBool,
    /// Its last holder has left something behind.
    pub(super) dirty: bool,
    /// The server has closed it.
    gone: bool,
}

#[derive(Debug, thiserror::Error)]
#[error("the server has a bad moment")]
pub(super) struct BadMoment;

impl Manager for Server {
    type Connection = Conn;
    type Error = BadMoment;

    async fn connect(&self) -> Result<Conn, BadMoment> {
        let (place, epoch) = (Place::take(&self.0), self.0.called.load(SeqCst));
        sleep(ms(fastrand::u64(0..3))).await;
        if self.0.fault(20) {
            return Err(BadMoment);
        }
        let (home, born) = (Handle::current().id(), self.0.own_time.now());
        Ok(Conn {
            _place: place,
            home,
            epoch,
            born,
            in_use: AtomicBool::new(false),
            dirty: false,
            gone: false,
        })
    }

    async fn check(&self, _connection: &mut Conn) -> Result<(), BadMoment> {
        sleep(ms(fastrand::u64(0..3))).await;
        if self.0.fault(30) { Err(BadMoment) } else { Ok(()) }
    }

    fn needs_reset(&self, connection: &mut Conn) -> bool {
        connection.dirty = fastrand::u32(..3) == 0;
        connection.dirty
    }

    async fn reset(&self, connection: &mut Conn) -> Result<(), BadMoment> {
        self.0.tally.count("resets");
        sleep(ms(fastrand::u64(0..3))).await;
        if self.0.fault(40) {
            self.0.tally.count("resets that hang");
            pending::<()>().await;
        }
        if self.0.fault(40) {
            // The server closes it in the middle. Not every client notices.
            self.0.tally.count("closed in the middle of a reset");
            connection.gone = true;
        }
        if self.0.fault(30) {
            return Err(BadMoment);
        }
        connection.dirty = false;
        Ok(())
    }

    fn needs_close(&self, connection: &mut Conn, _reason: RetireReason) -> bool {
        self.0.expect(!connection.in_use.load(SeqCst), || "lifetime.no_interrupt: closed in use".into());
        fastrand::bool()
    }

    async fn close(&self, connection: Conn) {
        self.0.tally.count("goodbyes");
        sleep(ms(fastrand::u64(0..3))).await;
        if self.0.fault(40) {
            self.0.tally.count("goodbyes that hang");
            pending::<()>().await;
        }
        drop(connection);
    }

    fn is_connected(&self, connection: &mut Conn) -> bool {
        connection.gone |= self.0.fault(50);
        !connection.gone
    }
}
