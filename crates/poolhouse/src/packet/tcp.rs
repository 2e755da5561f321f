//! Dials TCP: every address of the name in turn, `TCP_NODELAY`, and keepalive if asked for.

use std::borrow::Cow;
use std::io;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpStream, lookup_host};

use super::PacketManager;
use super::manager::Dial;
use crate::manager::IntoManager;

/// Opens TCP streams to one host and port.
///
/// Each dial resolves the name anew and tries every address in the order that the resolver gives. `TCP_NODELAY` is on.
///
/// ```
/// use std::time::Duration;
/// use poolhouse::TcpDialer;
///
/// let dialer = TcpDialer::new("db.example", 5555).keepalive(Duration::from_secs(60));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TcpDialer {
    host: String,
    port: u16,
    nodelay: bool,
    keepalive: Option<Duration>,
}

impl TcpDialer {
    /// A name or an IP address, and a port.
    ///
    /// ```
    /// let dialer = poolhouse::TcpDialer::new("::1", 5555);
    /// ```
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self { host: host.into(), port, nodelay: true, keepalive: None }
    }

    /// Probes a connection that has been silent for `after`, so that the operating system notices a peer that vanished
    /// and firewalls keep the connection in mind. Off by default, and with [`Duration::MAX`].
    ///
    /// Linux counts in whole seconds, and takes 32767 of them at most, about 9 hours. So on every system
    /// `after` is rounded up to a whole second, at least one and at most that many.
    ///
    /// ```
    /// # use std::time::Duration;
    /// let dialer = poolhouse::TcpDialer::new("localhost", 5555).keepalive(Duration::from_secs(60));
    /// ```
    #[must_use]
    pub fn keepalive(self, after: Duration) -> Self {
        let keepalive = (after < Duration::MAX).then(|| whole_seconds(after));
        Self { keepalive, ..self }
    }

    /// Sets `TCP_NODELAY`. On by default: without it a small packet can wait for the acknowledgement of the one before.
    ///
    /// ```
    /// let dialer = poolhouse::TcpDialer::new("localhost", 5555).nodelay(false);
    /// ```
    #[must_use]
    pub fn nodelay(self, nodelay: bool) -> Self {
        Self { nodelay, ..self }
    }
}

/// What every operating system takes: with less or more, each connect would fail on Linux.
fn whole_seconds(duration: Duration) -> Duration {
    let seconds = duration.as_secs().saturating_add(u64::from(duration.subsec_nanos() > 0));
    Duration::from_secs(seconds.clamp(1, 32767))
}

impl TcpDialer {
    /// The first address that accepts.
    async fn dial_any(&self, addresses: impl Iterator<Item = SocketAddr>) -> io::Result<TcpStream> {
        let mut last = None;
        for address in addresses {
            match TcpStream::connect(address).await {
                Ok(stream) => {
                    self.set_up(&stream)?;
                    return Ok(stream);
                }
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the name has no address")))
    }

    fn set_up(&self, stream: &TcpStream) -> io::Result<()> {
        stream.set_nodelay(self.nodelay)?;
        if let Some(after) = self.keepalive {
            let keepalive = TcpKeepalive::new().with_time(after).with_interval(after);
            SockRef::from(stream).set_tcp_keepalive(&keepalive)?;
        }
        Ok(())
    }
}

impl Dial for TcpDialer {
    type Stream = TcpStream;

    async fn dial(&self) -> io::Result<TcpStream> {
        self.dial_any(lookup_host((self.host.as_str(), self.port)).await?).await
    }

    fn is_quiet(&self, stream: &TcpStream) -> Option<bool> {
        // Not the runtime's readiness, which is as old as its last look at the operating system.
        let mut byte = [MaybeUninit::uninit()];
        let peeked = SockRef::from(stream).peek(&mut byte);
        Some(peeked.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock))
    }

    fn target(&self) -> Cow<'_, str> {
        let Self { host, port, .. } = self;
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }.into()
    }
}

impl From<SocketAddr> for TcpDialer {
    fn from(address: SocketAddr) -> Self {
        Self::new(address.ip().to_string(), address.port())
    }
}

impl IntoManager for SocketAddr {
    type Manager = PacketManager;

    fn into_manager(self) -> PacketManager {
        PacketManager::new(TcpDialer::from(self))
    }
}

impl<H: Into<String>> IntoManager for (H, u16) {
    type Manager = PacketManager;

    fn into_manager(self) -> PacketManager {
        PacketManager::new(TcpDialer::new(self.0, self.1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    /// An address that listens, and one at which nobody does.
    async fn addresses() -> (TcpListener, SocketAddr, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let nobody = SocketAddr::from(([127, 0, 0, 1], 1));
        let somebody = listener.local_addr().unwrap();
        (listener, somebody, nobody)
    }

    #[tokio::test]
    async fn every_address_is_tried_in_turn() {
        let (_listener, somebody, nobody) = addresses().await;
        let dialer = TcpDialer::new("a.name", 1);
        let stream = dialer.dial_any([nobody, somebody].into_iter()).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), somebody);
        let refused = dialer.dial_any([nobody, nobody].into_iter()).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        let none = dialer.dial_any([].into_iter()).await.unwrap_err();
        assert_eq!(none.to_string(), "the name has no address");
    }

    #[tokio::test]
    async fn sockets_are_set_up_as_asked() {
        let (_listener, somebody, _) = addresses().await;
        let plain = TcpDialer::from(somebody).dial().await.unwrap();
        assert!(plain.nodelay().unwrap() && !SockRef::from(&plain).keepalive().unwrap());
        let dialer = TcpDialer::from(somebody).nodelay(false).keepalive(Duration::from_secs(60));
        let probed = dialer.dial().await.unwrap();
        assert!(!probed.nodelay().unwrap() && SockRef::from(&probed).keepalive().unwrap());
    }

    /// Zero, too short and too long made each connect fail with "Invalid argument".
    #[tokio::test]
    async fn keepalive_is_what_the_operating_system_takes() {
        let (_listener, somebody, _) = addresses().await;
        for (after, expected) in [
            (Duration::ZERO, 1),
            (Duration::from_nanos(1), 1),
            (Duration::from_millis(999), 1),
            (Duration::from_millis(1500), 2),
            (Duration::from_secs(60), 60),
            (Duration::from_secs(32767), 32767),
            (Duration::from_millis(32_766_001), 32767),
            (Duration::from_secs(10 * 60 * 60), 32767),
            (Duration::MAX - Duration::from_nanos(1), 32767),
        ] {
            let stream = TcpDialer::from(somebody).keepalive(after).dial().await.unwrap();
            let socket = SockRef::from(&stream);
            assert!(socket.keepalive().unwrap(), "{after:?}");
            #[cfg(target_os = "linux")]
            {
                let set = (socket.tcp_keepalive_time().unwrap(), socket.tcp_keepalive_interval().unwrap());
                assert_eq!(set, (Duration::from_secs(expected), Duration::from_secs(expected)), "{after:?}");
            }
        }
        let off = TcpDialer::from(somebody).keepalive(Duration::MAX).dial().await.unwrap();
        assert!(!SockRef::from(&off).keepalive().unwrap());
    }

    #[test]
    fn targets_are_written_as_in_an_address_bar() {
        assert_eq!(TcpDialer::new("db", 1).target(), "db:1");
        assert_eq!(TcpDialer::new("::1", 1).target(), "[::1]:1");
    }
}
