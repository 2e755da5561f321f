//! The server's life: how it is built, what it tells, how it ends.
//!
//! The server owns its listening socket, and the task that accepts borrows it for one poll at a time. Dropping the
//! server therefore closes the port without waiting for any task to run. The connections are told to end and do so
//! when their runtime next runs them.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::Poll;
use std::time::Duration;

use tokio::io::DuplexStream;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;

use crate::connection::Connection;
use crate::shared::Shared;
use crate::{Connector, Counts, Faults};

/// The longest payload that a server takes unless you say otherwise: 16 MiB, in bytes.
pub const DEFAULT_MAX_FRAME_LENGTH: usize = 16 * 1024 * 1024;

/// What the large frames of all clients may hold together unless you say otherwise: 256 MiB, in bytes, or four of the
/// longest frames if that is more.
pub const DEFAULT_MAX_BUFFERED: usize = 256 * 1024 * 1024;

/// How long to leave off accepting after it failed. Out of file descriptors, accepting fails again at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A server that echoes frames, and does wrong what its [`Faults`] say.
///
/// It runs as tasks on the runtime on which it was made, and stops when it is dropped.
///
/// ```
/// use poolhouse_echo::{EchoServer, Faults, Reply};
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let server = EchoServer::in_memory();
/// let mut client = server.connect().await?;
///
/// server.set_faults(Faults { reply: Reply::HalfThenClose, ..Faults::default() });
/// client.write_all(b"\0\0\0\x04ping").await?;
/// let mut reply = Vec::new();
/// client.read_to_end(&mut reply).await?;
/// assert_eq!(reply, b"\0\0\0\x04");
/// # Ok(())
/// # }
/// ```
pub struct EchoServer {
    shared: Arc<Shared>,
    endpoint: Endpoint,
}

enum Endpoint {
    /// The listener goes when the server stops; the address stays, for later questions.
    Socket {
        addr: SocketAddr,
        listener: Mutex<Option<Arc<TcpListener>>>,
    },
    InMemory {
        runtime: Handle,
    },
}

impl EchoServer {
    /// Starts a server without faults on a free port of 127.0.0.1.
    ///
    /// # Errors
    ///
    /// The operating system would not give the port.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with its I/O driver enabled. The time driver is needed too, once a fault takes time.
    pub async fn start() -> io::Result<EchoServer> {
        EchoServer::builder().start().await
    }

    /// Makes a server without faults that is reached through [`connect`](EchoServer::connect) only.
    ///
    /// It touches no socket, and no clock but tokio's: with the clock paused, its every run is the same.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn in_memory() -> EchoServer {
        EchoServer::builder().in_memory()
    }

    /// Starts to configure a server.
    pub fn builder() -> EchoServerBuilder {
        EchoServerBuilder::default()
    }

    /// The address on which the server listens. It stays the same after the server has stopped.
    ///
    /// # Panics
    ///
    /// If the server is in memory. [`try_addr`](EchoServer::try_addr) does not panic.
    #[track_caller]
    pub fn addr(&self) -> SocketAddr {
        self.try_addr().expect(
            "this echo server is in memory and has no address: use connect(), or start it on a socket",
        )
    }

    /// The address on which the server listens, or `None` if it is in memory.
    pub fn try_addr(&self) -> Option<SocketAddr> {
        match self.endpoint {
            Endpoint::Socket { addr, .. } => Some(addr),
            Endpoint::InMemory { .. } => None,
        }
    }

    /// The IP address on which the server listens, such as `127.0.0.1`.
    ///
    /// # Panics
    ///
    /// If the server is in memory.
    #[track_caller]
    pub fn host(&self) -> String {
        self.addr().ip().to_string()
    }

    /// The port on which the server listens.
    ///
    /// # Panics
    ///
    /// If the server is in memory.
    #[track_caller]
    pub fn port(&self) -> u16 {
        self.addr().port()
    }

    /// Opens a connection to a server in memory, and returns the client's end. See [`Connector::connect`].
    ///
    /// # Errors
    ///
    /// `ConnectionRefused` if the server has stopped or is full; `Unsupported` if it listens on a socket.
    pub async fn connect(&self) -> io::Result<DuplexStream> {
        self.connector().connect().await
    }

    /// A handle that opens connections to a server in memory, and does not keep the server alive.
    pub fn connector(&self) -> Connector {
        let runtime = match &self.endpoint {
            Endpoint::Socket { .. } => None,
            Endpoint::InMemory { runtime } => Some(runtime.clone()),
        };
        Connector::new(Arc::clone(&self.shared), runtime)
    }

    /// What the server has counted until now: one consistent snapshot.
    pub fn counts(&self) -> Counts {
        self.shared.counts()
    }

    /// Waits until the counts satisfy you, and returns those that did.
    ///
    /// The counts are looked at first, so it returns at once if they satisfy you already. Counts that change and
    /// change back between two looks may be missed: wait for totals such as `accepted`, or for states that last.
    ///
    /// There is no deadline. Wrap it in [`tokio::time::timeout`] if the counts may never get there. Cancel safe: it
    /// holds nothing.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// use poolhouse_echo::EchoServer;
    /// use tokio::io::AsyncWriteExt;
    ///
    /// let server = EchoServer::in_memory();
    /// let mut client = server.connect().await?;
    /// client.write_all(b"\0\0\0\x02hi").await?;
    ///
    /// let counts = server.wait_for(|counts| counts.frames_received == 1).await;
    /// assert_eq!(counts.bytes_received, 2);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn wait_for(&self, satisfied: impl FnMut(&Counts) -> bool) -> Counts {
        self.shared.wait_for(satisfied).await
    }

    /// The faults in force.
    pub fn faults(&self) -> Faults {
        self.shared.faults.borrow().clone()
    }

    /// Replaces the faults, for every new connection and for every frame that the server takes up from now on.
    ///
    /// A reply that is already being delayed or written keeps the faults under which its frame was taken up. Limits
    /// on idle time and on frames hold at once, for open connections too. The cap closes no open connection.
    pub fn set_faults(&self, faults: Faults) {
        self.shared.faults.send_replace(faults);
    }

    /// Closes every open connection, as a restart of the server would. New ones are welcome at once.
    ///
    /// This gives the order and does not wait. Each connection closes when its task next runs; to wait for that, use
    /// `server.wait_for(|counts| counts.open == 0)`.
    ///
    /// ```
    /// use tokio::io::AsyncReadExt;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let server = poolhouse_echo::EchoServer::in_memory();
    /// let mut client = server.connect().await?;
    /// server.disconnect_all();
    /// assert_eq!(client.read(&mut [0]).await?, 0);
    /// # Ok(())
    /// # }
    /// ```
    pub fn disconnect_all(&self) {
        self.shared.disconnect_all();
    }

    /// Stops the server, and waits until every connection is closed.
    ///
    /// The server stops even if you do not wait: dropping the future after its first poll loses only the waiting.
    /// Stopping twice is harmless, and the counts can be read afterwards.
    pub async fn stop(&self) {
        self.stop_now();
        self.shared.wait_for(|counts| counts.open == 0).await;
    }

    fn stop_now(&self) {
        self.shared.stop();
        if let Endpoint::Socket { listener, .. } = &self.endpoint {
            listener.lock().unwrap_or_else(PoisonError::into_inner).take();
        }
    }
}

/// Stops the server without waiting, on any thread, with or without a runtime.
impl Drop for EchoServer {
    fn drop(&mut self) {
        self.stop_now();
    }
}

impl fmt::Debug for EchoServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EchoServer")
            .field("addr", &self.try_addr())
            .field("counts", &self.counts())
            .field("faults", &self.faults())
            .finish_non_exhaustive()
    }
}

/// Configures an [`EchoServer`]. Made by [`EchoServer::builder`].
///
/// ```
/// use poolhouse_echo::{EchoServer, Faults};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let server = EchoServer::builder()
///     .listen("127.0.0.1:0")
///     .faults(Faults { max_connections: Some(2), ..Faults::default() })
///     .max_frame_length(1024)
///     .start()
///     .await?;
/// assert_ne!(server.port(), 0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until start() or in_memory()"]
pub struct EchoServerBuilder {
    listen: String,
    faults: Faults,
    max_frame_length: usize,
    max_buffered: Option<usize>,
}

impl Default for EchoServerBuilder {
    fn default() -> Self {
        EchoServerBuilder {
            listen: "127.0.0.1:0".to_owned(),
            faults: Faults::default(),
            max_frame_length: DEFAULT_MAX_FRAME_LENGTH,
            max_buffered: None,
        }
    }
}

impl EchoServerBuilder {
    /// Where to listen, as `host:port`; port 0 takes a free one. The default is `127.0.0.1:0`. In memory it means
    /// nothing.
    pub fn listen(mut self, addr: impl Into<String>) -> Self {
        self.listen = addr.into();
        self
    }

    /// The faults to begin with. The default is none.
    pub fn faults(mut self, faults: Faults) -> Self {
        self.faults = faults;
        self
    }

    /// The longest payload to accept, in bytes. The default is [`DEFAULT_MAX_FRAME_LENGTH`], and the most is
    /// [`u32::MAX`], which is what the header can say.
    ///
    /// A client that announces a longer frame is disconnected without a reply, before the frame is read.
    pub fn max_frame_length(mut self, bytes: usize) -> Self {
        self.max_frame_length = bytes;
        self
    }

    /// What frames of more than 64 KiB, of all clients together, may hold in memory, in bytes. The default is
    /// [`DEFAULT_MAX_BUFFERED`], or four of the longest frames if that is more.
    ///
    /// A client whose frame would take more is disconnected without a reply. A frame counts as its bytes arrive, and until
    /// its reply is written; the latest one of all counts until the next.
    pub fn max_buffered(mut self, bytes: usize) -> Self {
        self.max_buffered = Some(bytes);
        self
    }

    /// What the server's parts share, if the options are possible.
    fn shared(&self) -> io::Result<Arc<Shared>> {
        if u32::try_from(self.max_frame_length).is_err() {
            let why = format!(
                "max_frame_length is {}, above {}, the most that the four bytes before a payload can say: lower it",
                self.max_frame_length,
                u32::MAX
            );
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        let default = DEFAULT_MAX_BUFFERED.max(self.max_frame_length.saturating_mul(4));
        let max_buffered = self.max_buffered.unwrap_or(default);
        Ok(Shared::new(self.faults.clone(), self.max_frame_length, max_buffered))
    }

    /// Starts the server on a socket.
    ///
    /// Cancel safe: dropped before it resolves, it leaves nothing listening.
    ///
    /// # Errors
    ///
    /// The address is not `host:port`, the host is unknown, or the port is taken or not allowed. The message names the
    /// address; the kind is the operating system's. `InvalidInput` if `max_frame_length` is above [`u32::MAX`].
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with its I/O driver enabled. The time driver is needed too, once a fault takes time.
    pub async fn start(self) -> io::Result<EchoServer> {
        let shared = self.shared()?;
        let (listener, addr) = bind(&self.listen).await.map_err(|error| {
            let listen = &self.listen;
            let hint = "give a free address as host:port, such as 127.0.0.1:0";
            io::Error::new(error.kind(), format!("cannot listen on `{listen}`: {error}; {hint}"))
        })?;
        let listener = Arc::new(listener);
        spawn_accept(Arc::downgrade(&listener), Arc::clone(&shared));
        Ok(EchoServer { shared, endpoint: Endpoint::Socket { addr, listener: Mutex::new(Some(listener)) } })
    }

    /// Makes the server in memory. See [`EchoServer::in_memory`].
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime, and if `max_frame_length` is above [`u32::MAX`].
    #[track_caller]
    pub fn in_memory(self) -> EchoServer {
        let runtime = Handle::current();
        let shared = self.shared().unwrap_or_else(|error| panic!("{error}"));
        EchoServer { shared, endpoint: Endpoint::InMemory { runtime } }
    }
}

async fn bind(listen: &str) -> io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(listen).await?;
    let addr = listener.local_addr()?;
    Ok((listener, addr))
}

/// Not generic and no future, so it is compiled with this crate and not with each program that starts a server.
fn spawn_accept(listener: Weak<TcpListener>, shared: Arc<Shared>) {
    tokio::spawn(accept(listener, shared));
}

/// Accepts until the server stops.
async fn accept(listener: Weak<TcpListener>, shared: Arc<Shared>) {
    let serve = async {
        while let Some(accepted) = next_stream(&listener).await {
            let Ok(stream) = accepted else {
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            };
            // Not admitted, the stream is dropped here: that is how the client learns of it.
            if let Ok(admission) = shared.admit() {
                // Without this, a reply in two writes waits for the client's delayed acknowledgement.
                let _ = stream.set_nodelay(true);
                tokio::spawn(Connection::new(stream, admission).run());
            }
        }
    };
    tokio::select! {
        biased;
        () = shared.stopped() => {}
        () = serve => {}
    }
}

/// The next connection, or `None` once the server has let go of the listener.
async fn next_stream(listener: &Weak<TcpListener>) -> Option<io::Result<TcpStream>> {
    poll_fn(|cx| match listener.upgrade() {
        Some(listener) => listener.poll_accept(cx).map(|accepted| Some(accepted.map(|(stream, _)| stream))),
        None => Poll::Ready(None),
    })
    .await
}
