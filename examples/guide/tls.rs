//! TLS under the packet protocol: a `Dial` over rustls, what its handshake costs,
//! and what is seen through it.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use poolhouse::{AcquireError, Dial, PacketManager, Pool, PoolConfig, TcpDialer};
use poolhouse_echo::EchoServer;
use rcgen::{CertificateParams, KeyPair};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf, copy, split};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{
    self, ClientConfig, HandshakeKind, RootCertStore, ServerConfig,
    SupportedProtocolVersion,
};
use tokio_rustls::{TlsAcceptor, TlsConnector};

// ANCHOR: dial
struct TlsDialer<D> {
    tcp: D,
    /// Made once: it remembers the sessions that can be resumed.
    connector: TlsConnector,
    /// Whom the certificate must name, whatever the address is.
    name: ServerName<'static>,
}

impl<D: Dial> Dial for TlsDialer<D> {
    type Stream = TlsStream<D::Stream>;

    async fn dial(&self) -> io::Result<Self::Stream> {
        let tcp = self.tcp.dial().await?;
        self.connector.connect(self.name.clone(), tcp).await.map_err(explain)
    }

    fn target(&self) -> std::borrow::Cow<'_, str> {
        self.tcp.target()
    }

    // No `is_quiet`: that of the socket would take a session ticket for the end.
    // The pool reads through TLS instead.
}

/// A certificate that is refused now is refused in a second, too:
/// `PermissionDenied` is permanent.
fn explain(error: io::Error) -> io::Error {
    let refused =
        error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match refused {
        Some(rustls::Error::InvalidCertificate(_)) => {
            io::Error::new(io::ErrorKind::PermissionDenied, error)
        }
        _ => error,
    }
}
// ANCHOR_END: dial

// ANCHOR: config
fn client_config(
    certificate: &CertificateDer<'static>,
    versions: &[&'static SupportedProtocolVersion],
) -> Result<Arc<ClientConfig>, rustls::Error> {
    let mut roots = RootCertStore::empty();
    // Of a server of your own. For others, take the roots of the platform or of
    // `webpki-roots`.
    roots.add(certificate.clone())?;
    let config = ClientConfig::builder_with_protocol_versions(versions)
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}
// ANCHOR_END: config

/// Counts how often the client has to wait for the server before it may go on.
struct Turns<S> {
    stream: S,
    has_sent: bool,
    turns: Arc<AtomicUsize>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Turns<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        if read.is_ready() && std::mem::take(&mut self.has_sent) {
            self.turns.fetch_add(1, Relaxed);
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Turns<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.has_sent = true;
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[derive(Debug, Default, Clone, Copy)]
struct Seen {
    full: usize,
    resumed: usize,
    /// Ends of connections that came without a `close_notify`.
    cut: usize,
    /// Connections that the server closed.
    closed: usize,
}

/// The echo server behind TLS.
struct TlsServer {
    addr: SocketAddr,
    certificate: CertificateDer<'static>,
    seen: watch::Sender<Seen>,
    echo: Arc<EchoServer>,
}

impl TlsServer {
    async fn start(params: CertificateParams) -> Result<TlsServer, Box<dyn Error>> {
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?.der().clone();
        let key = PrivateKeyDer::try_from(key.serialize_der())?;
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key)?;
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let addr = listener.local_addr()?;
        let echo = Arc::new(EchoServer::in_memory());
        let server =
            TlsServer { addr, certificate, seen: watch::Sender::default(), echo };
        let (seen, echo) = (server.seen.clone(), Arc::clone(&server.echo));
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let (acceptor, seen, echo) =
                    (acceptor.clone(), seen.clone(), Arc::clone(&echo));
                tokio::spawn(async move {
                    // A client that refuses the certificate is no connection.
                    let Ok(tls) = acceptor.accept(tcp).await else { return };
                    let resumed = tls.get_ref().1.handshake_kind()
                        == Some(HandshakeKind::Resumed);
                    seen.send_modify(|seen| {
                        *(if resumed {
                            &mut seen.resumed
                        } else {
                            &mut seen.full
                        }) += 1;
                    });
                    let Ok(behind) = echo.connect().await else { return };
                    let (mut from_client, mut to_client) = split(tls);
                    let (mut from_echo, mut to_echo) = split(behind);
                    tokio::select! {
                        ended = copy(&mut from_client, &mut to_echo) => {
                            seen.send_modify(|seen| seen.cut += usize::from(ended.is_err()));
                        }
                        _ = copy(&mut from_echo, &mut to_client) => {
                            // Says `close_notify`, then ends the stream. The
                            // client may be gone already.
                            let _ = to_client.shutdown().await;
                            seen.send_modify(|seen| seen.closed += 1);
                        }
                    }
                });
            }
        });
        Ok(server)
    }

    fn dialer(
        &self,
        connector: &TlsConnector,
    ) -> Result<TlsDialer<TcpDialer>, Box<dyn Error>> {
        let name = ServerName::try_from("pool.test")?;
        Ok(TlsDialer {
            tcp: TcpDialer::from(self.addr),
            connector: connector.clone(),
            name,
        })
    }

    async fn wait_for(
        &self,
        wanted: impl FnMut(&Seen) -> bool,
    ) -> Result<Seen, Box<dyn Error>> {
        Ok(*timeout(Duration::from_secs(5), self.seen.subscribe().wait_for(wanted))
            .await??)
    }
}

async fn exchange<D: Dial>(
    pool: &Pool<PacketManager<D>>,
) -> Result<(), Box<dyn Error>> {
    let mut connection = pool.acquire().await?;
    connection.send_packet("hello").await?;
    Ok(connection.receive().await.map(drop)?)
}

async fn round_trips(server: &TlsServer) -> Result<(), Box<dyn Error>> {
    println!(
        "== round trips after that of TCP, before the first request may go out"
    );
    for (version, name) in [(&TLS13, "TLS 1.3"), (&TLS12, "TLS 1.2")] {
        let turns = Arc::new(AtomicUsize::new(0));
        let (tcp, counter) = (TcpDialer::from(server.addr), Arc::clone(&turns));
        let tcp = Arc::new(tcp);
        let counted = move || {
            let (tcp, turns) = (Arc::clone(&tcp), Arc::clone(&counter));
            async move {
                Ok(Turns { stream: tcp.dial().await?, has_sent: false, turns })
            }
        };
        let connector =
            TlsConnector::from(client_config(&server.certificate, &[version])?);
        let dialer = TlsDialer {
            tcp: counted,
            connector,
            name: ServerName::try_from("pool.test")?,
        };
        let pool = Pool::new(PacketManager::new(dialer), PoolConfig::default())?;
        for handshake in ["full", "resumed"] {
            let before = turns.load(Relaxed);
            pool.warm_up().await?;
            println!("{name}, {handshake}: {}", turns.load(Relaxed) - before);
            exchange(&pool).await?;
            pool.invalidate_all();
        }
    }
    Ok(())
}

async fn resumption(server: &TlsServer) -> Result<(), Box<dyn Error>> {
    println!("== ten connections, one after the other");
    for shared in [true, false] {
        let before = *server.seen.borrow();
        let config = client_config(&server.certificate, &[&TLS13])?;
        for _ in 0..10 {
            let config = if shared {
                Arc::clone(&config)
            } else {
                client_config(&server.certificate, &[&TLS13])?
            };
            let manager =
                PacketManager::new(server.dialer(&TlsConnector::from(config))?);
            exchange(&Pool::new(manager, PoolConfig::default())?).await?;
        }
        let seen = server
            .wait_for(|seen| {
                seen.full + seen.resumed == before.full + before.resumed + 10
            })
            .await?;
        let kind = if shared {
            "one ClientConfig for all"
        } else {
            "a ClientConfig for each"
        };
        println!(
            "{kind}: full {}, resumed {}",
            seen.full - before.full,
            seen.resumed - before.resumed
        );
    }
    Ok(())
}

/// What not to do: asks the socket, and knows nothing of TLS.
struct AsksTheSocket(TlsDialer<TcpDialer>);

impl Dial for AsksTheSocket {
    type Stream = TlsStream<tokio::net::TcpStream>;

    async fn dial(&self) -> io::Result<Self::Stream> {
        self.0.dial().await
    }

    fn is_quiet(&self, stream: &Self::Stream) -> Option<bool> {
        self.0.tcp.is_quiet(stream.get_ref().0)
    }
}

async fn tickets<D: Dial>(
    server: &TlsServer,
    dial: D,
) -> Result<u64, Box<dyn Error>> {
    let before = server.seen.borrow().full;
    let config = PoolConfig { min_connections: 3, ..PoolConfig::default() };
    let pool = Pool::new(PacketManager::new(dial), config)?;
    pool.warm_up().await?;
    // The server has sent its tickets, and nobody has read them.
    server.wait_for(|seen| seen.full == before + 3).await?;
    exchange(&pool).await?;
    Ok(pool.stats().connections_destroyed)
}

async fn seen_through(server: &TlsServer) -> Result<(), Box<dyn Error>> {
    let connector = || {
        Ok::<_, Box<dyn Error>>(
            client_config(&server.certificate, &[&TLS13])?.into(),
        )
    };
    println!("== three new connections, and session tickets that nobody has read");
    let closed =
        tickets(server, AsksTheSocket(server.dialer(&connector()?)?)).await?;
    println!("asked of the socket: sound connections closed: {closed}");
    let closed = tickets(server, server.dialer(&connector()?)?).await?;
    println!("asked through TLS: sound connections closed: {closed}");

    println!("== the server closes, and says so");
    let pool = Pool::new(
        PacketManager::new(server.dialer(&connector()?)?),
        PoolConfig::default(),
    )?;
    exchange(&pool).await?;
    let before = server.seen.borrow().closed;
    server.echo.disconnect_all();
    server.wait_for(|seen| seen.closed > before).await?;
    // The pool sees through TLS what the runtime has seen: let it look.
    tokio::time::sleep(Duration::from_millis(10)).await;
    exchange(&pool).await?;
    println!(
        "the exchange after it works; connections opened: {}",
        pool.stats().connections_created
    );

    println!("== the pool closes");
    let before = server.seen.borrow().cut;
    pool.close().await;
    let seen = server.wait_for(|seen| seen.cut > before).await?;
    println!("the server misses a close_notify: {}", seen.cut > before);
    Ok(())
}

async fn refused(server: &TlsServer) -> Result<(), Box<dyn Error>> {
    println!("== a certificate that does not fit");
    let connector =
        TlsConnector::from(client_config(&server.certificate, &[&TLS13])?);
    let dialer = TlsDialer {
        name: ServerName::try_from("other.test")?,
        ..server.dialer(&connector)?
    };
    match Pool::new(PacketManager::new(dialer), PoolConfig::default())?
        .acquire()
        .await
    {
        Err(AcquireError::Connect(failed)) => println!("{failed}"),
        other => {
            return Err(format!("expected a failed connect, not {other:?}").into());
        }
    }
    let mut old = CertificateParams::new(["pool.test".to_owned()])?;
    old.not_after = rcgen::date_time_ymd(2020, 1, 1);
    let server = TlsServer::start(old).await?;
    let connector =
        TlsConnector::from(client_config(&server.certificate, &[&TLS13])?);
    let expired = match Pool::new(
        PacketManager::new(server.dialer(&connector)?),
        PoolConfig::default(),
    )?
    .acquire()
    .await
    {
        Err(AcquireError::Connect(failed)) => {
            failed.attempts == 1
                && failed.to_string().contains("certificate expired")
        }
        other => {
            return Err(format!("expected a failed connect, not {other:?}").into());
        }
    };
    println!("an expired one is refused at once: {expired}");
    Ok(())
}

async fn run() -> Result<(), Box<dyn Error>> {
    let server =
        TlsServer::start(CertificateParams::new(["pool.test".to_owned()])?).await?;
    round_trips(&server).await?;
    resumption(&server).await?;
    seen_through(&server).await?;
    refused(&server).await
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
