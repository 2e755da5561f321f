//! A network in memory, between a pool and an echo server, that can go silent, slow or away.
//!
//! Each connection is two pipes with a relay between them. The relay stands for the wire and the two kernels. While the
//! network is silent it moves nothing, neither a byte nor an end of the stream; what was sent meanwhile arrives
//! afterwards, as retransmission would have it. So a server that goes away during a silence leaves connections that
//! look well and are dead, and a client that hangs up during one leaves the server holding a connection.
//!
//! The time is tokio's paused clock, which jumps to the next timer as soon as nothing can run. turmoil 0.7.2 was tried
//! and left: its clock advances by ticks, so that 1.2 virtual hours of two idle hosts took 10.5 s in release at its tick
//! of 1 ms; bytes that it drops in a partition never arrive, so that a connection hangs for good after the repair, as
//! no TCP connection does; and the echo server's sockets and faults would have to be rebuilt on its types.

use std::io;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use poolhouse::Dial;
use poolhouse_echo::{Connector, Counts, EchoServer, EchoServerBuilder, Faults};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf, copy_bidirectional};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::common::{ms, secs};

/// Bytes that are on their way in each direction before a sender has to wait.
pub(crate) const IN_FLIGHT: usize = 64 * 1024;

/// When a connect that got no answer is tried again by the kernel, at first.
const RETRANSMISSION: Duration = secs(1);

/// How the wire is doing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Weather {
    /// Nothing gets through, and nobody is told.
    pub(crate) silent: bool,
    /// Nothing gets through on connections with a lower number, as when a firewall has forgotten them.
    pub(crate) forgotten: u64,
    /// How long a connect takes. Never zero: an end of stream that was sent before it arrives before it.
    pub(crate) dial_time: Duration,
}

const FAIR: Weather = Weather { silent: false, forgotten: 0, dial_time: ms(1) };

impl Weather {
    fn lets_through(&self, number: u64) -> bool {
        !self.silent && number >= self.forgotten
    }
}

/// One server and the wires to it. Clones share everything.
#[derive(Clone)]
pub(crate) struct Network(Arc<Inner>);

struct Inner {
    weather: watch::Sender<Weather>,
    server: Mutex<Option<EchoServer>>,
    /// What a faultless server of this network does: its latency, for one.
    base: Faults,
    ends: Ends,
    /// How many connections have been opened.
    opened: AtomicU64,
    /// The most connections that any server had open at once, those that have stopped included.
    servers_peak: AtomicUsize,
}

/// The clients' ends, counted from the beginning of the dial to the drop of the stream.
#[derive(Default)]
struct Ends {
    open: AtomicUsize,
    /// Of the open, those that somebody has taken out of the pool.
    detached: AtomicUsize,
    /// The most that were open at once, without the detached.
    peak: AtomicUsize,
}

impl Network {
    /// Fair weather, and a server that does `base` and nothing worse.
    pub(crate) fn new(base: Faults) -> Self {
        let server = EchoServer::builder().faults(base.clone()).in_memory();
        Self(Arc::new(Inner {
            weather: watch::Sender::new(FAIR),
            server: Mutex::new(Some(server)),
            base,
            ends: Ends::default(),
            opened: AtomicU64::new(0),
            servers_peak: AtomicUsize::new(0),
        }))
    }

    pub(crate) fn dialer(&self) -> Dialer {
        Dialer(self.clone())
    }

    fn server(&self) -> MutexGuard<'_, Option<EchoServer>> {
        self.0.server.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn connector(&self) -> Option<Connector> {
        self.server().as_ref().map(EchoServer::connector)
    }

    /// Changes the weather.
    pub(crate) fn set(&self, change: impl FnOnce(&mut Weather)) {
        self.0.weather.send_modify(change);
    }

    /// Every connection that is open goes silent, and new ones are fine.
    pub(crate) fn forget(&self) {
        let opened = self.0.opened.load(SeqCst);
        self.set(|weather| weather.forgotten = opened);
    }

    /// Changes what the server does wrong, starting from what it always does.
    pub(crate) fn set_faults(&self, change: impl FnOnce(&mut Faults)) {
        let mut faults = self.0.base.clone();
        change(&mut faults);
        if let Some(server) = &*self.server() {
            server.set_faults(faults);
        }
    }

    /// Closes every connection, from the server's side.
    pub(crate) fn disconnect_all(&self) {
        if let Some(server) = &*self.server() {
            server.disconnect_all();
        }
    }

    /// Stops the server. Connects are refused from here on.
    pub(crate) async fn stop(&self) {
        let server = self.server().take();
        if let Some(server) = server {
            server.stop().await;
            self.0.servers_peak.fetch_max(peak_of(&server), SeqCst);
        }
    }

    /// Starts a server, in place of the one that has stopped.
    pub(crate) fn start(&self, configure: impl FnOnce(EchoServerBuilder) -> EchoServerBuilder) {
        let server = configure(EchoServer::builder().faults(self.0.base.clone())).in_memory();
        assert!(self.server().replace(server).is_none(), "stop the server before you start another");
    }

    /// Fair weather and a faultless server.
    pub(crate) async fn lift_all(&self, restart: bool) {
        self.set(|weather| *weather = FAIR);
        self.set_faults(|_| ());
        if restart {
            self.stop().await;
            self.start(|builder| builder);
        }
    }

    /// What the server of the moment has counted.
    pub(crate) fn counts(&self) -> Counts {
        self.server().as_ref().map(EchoServer::counts).unwrap_or_default()
    }

    /// The most connections that a server of this network has had open at once.
    pub(crate) fn servers_peak(&self) -> usize {
        let now = self.server().as_ref().map_or(0, peak_of);
        self.0.servers_peak.load(SeqCst).max(now)
    }

    /// Clients' ends that are open or opening.
    pub(crate) fn ends(&self) -> usize {
        self.0.ends.open.load(SeqCst)
    }

    /// The most that `ends` has been, without those that were taken out of the pool.
    pub(crate) fn ends_peak(&self) -> usize {
        self.0.ends.peak.load(SeqCst)
    }

    /// One end leaves the pool until the guard is dropped. Drop the guard after the connection.
    pub(crate) fn detached(&self) -> Detached {
        self.0.ends.detached.fetch_add(1, SeqCst);
        Detached(self.clone())
    }
}

fn peak_of(server: &EchoServer) -> usize {
    usize::try_from(server.counts().peak_open).expect("a number of connections")
}

pub(crate) struct Detached(Network);

impl Drop for Detached {
    fn drop(&mut self) {
        self.0.0.ends.detached.fetch_sub(1, SeqCst);
    }
}

/// Connects through the network, as its weather allows.
#[derive(Clone)]
pub(crate) struct Dialer(Network);

impl Dial for Dialer {
    type Stream = ClientEnd;

    async fn dial(&self) -> io::Result<ClientEnd> {
        let network = &self.0;
        let counted = Counted::new(network);
        let mut weather = network.0.weather.subscribe();
        let mut again_after = RETRANSMISSION;
        loop {
            let dial_time = weather.borrow().dial_time;
            sleep(dial_time).await;
            if !weather.borrow_and_update().silent {
                break;
            }
            // Nobody says that the network is back: a kernel asks again, less and less often.
            sleep(again_after).await;
            again_after *= 2;
        }
        let Some(connector) = network.connector() else {
            return Err(io::Error::new(io::ErrorKind::ConnectionRefused, "no server listens"));
        };
        let far = connector.connect().await?;
        let (stream, near) = tokio::io::duplex(IN_FLIGHT);
        let number = network.0.opened.fetch_add(1, SeqCst);
        tokio::spawn(relay(number, near, far, weather));
        Ok(ClientEnd { stream, _counted: counted })
    }
}

async fn fair(weather: &mut watch::Receiver<Weather>, number: u64) {
    // An error means that the network is gone, and nobody will ever make it silent again.
    let _ = weather.wait_for(|weather| weather.lets_through(number)).await;
}

/// Moves bytes and ends of stream both ways while the weather is fair, until both ways have ended or one has broken.
async fn relay(
    number: u64,
    mut near: DuplexStream,
    mut far: DuplexStream,
    mut weather: watch::Receiver<Weather>,
) {
    let mut copy = pin!(copy_bidirectional(&mut near, &mut far));
    loop {
        fair(&mut weather, number).await;
        tokio::select! {
            biased;
            Ok(_) = weather.wait_for(|weather| !weather.lets_through(number)) => {}
            _ = &mut copy => break,
        }
    }
}

/// A place among the clients' ends.
struct Counted(Network);

impl Counted {
    fn new(network: &Network) -> Self {
        let ends = &network.0.ends;
        let open = ends.open.fetch_add(1, SeqCst) + 1;
        ends.peak.fetch_max(open - ends.detached.load(SeqCst), SeqCst);
        Self(network.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.0.ends.open.fetch_sub(1, SeqCst);
    }
}

/// The client's end of a connection. The fields drop in this order.
pub(crate) struct ClientEnd {
    stream: DuplexStream,
    _counted: Counted,
}

impl AsyncRead for ClientEnd {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for ClientEnd {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
