//! Opening the byte stream to one of the servers that a configuration names, plain or with TLS.
//!
//! tokio-postgres can do this, but then its stream cannot be watched (see `watch.rs`), and an address that does not answer
//! takes all of the pool's time for a connect: the next one is never tried.

use std::io;
use std::net::SocketAddr;
#[cfg(unix)]
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, LoadBalanceHosts, SslMode, SslNegotiation};

use crate::error::PostgresError;
use crate::socket::{Look, SharedStream};
use crate::stream::Io;
#[cfg(feature = "tls")]
use crate::tls::Tls;

/// What an address may take if there is another one, and the configuration sets no `connect_timeout`.
const SHARE: Duration = Duration::from_secs(3);

/// "Do you speak TLS?": a length of 8, and a number that no version of the protocol has.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// One server at one address.
#[derive(Debug, Clone)]
pub(crate) enum Route {
    Tcp {
        address: SocketAddr,
        /// For the certificate.
        host: String,
    },
    #[cfg(unix)]
    Unix(PathBuf),
}

impl Route {
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Tcp { address, host } if address.ip().to_string() == *host => address.to_string(),
            Self::Tcp { address, host } => format!("{host} ({address})"),
            #[cfg(unix)]
            Self::Unix(path) => path.display().to_string(),
        }
    }
}

/// How to reach the servers of a configuration.
#[derive(Clone)]
pub(crate) struct Dialer {
    pub(crate) config: Arc<Config>,
    #[cfg(feature = "tls")]
    pub(crate) tls: Option<Tls>,
}

impl Dialer {
    /// Every address of every host, in the order to try them, or why there is none.
    pub(crate) async fn routes(&self) -> Result<Vec<Route>, PostgresError> {
        let config = &self.config;
        let (hosts, addresses, ports) = (config.get_hosts(), config.get_hostaddrs(), config.get_ports());
        let count = hosts.len().max(addresses.len());
        if count == 0 {
            return Err(PostgresError::Config("neither host nor hostaddr is set"));
        }
        if !hosts.is_empty() && !addresses.is_empty() && hosts.len() != addresses.len() {
            return Err(PostgresError::Config("host and hostaddr name different numbers of servers"));
        }
        if ports.len() > 1 && ports.len() != count {
            return Err(PostgresError::Config("port names more or fewer servers than host"));
        }
        let mut order: Vec<usize> = (0..count).collect();
        let at_random = config.get_load_balance_hosts() == LoadBalanceHosts::Random;
        if at_random {
            fastrand::shuffle(&mut order);
        }
        let (mut routes, mut last) = (Vec::new(), None);
        for server in order {
            let port = ports.get(server).or_else(|| ports.first()).copied().unwrap_or(5432);
            let host = hosts.get(server);
            if let Some(ip) = addresses.get(server) {
                let host = match host {
                    Some(Host::Tcp(host)) => host.clone(),
                    _ => ip.to_string(),
                };
                routes.push(Route::Tcp { address: SocketAddr::new(*ip, port), host });
                continue;
            }
            match host {
                Some(Host::Tcp(host)) => match self.look_up(host, port, count).await {
                    Ok(mut found) => {
                        if at_random {
                            fastrand::shuffle(&mut found);
                        }
                        let route = |address| Route::Tcp { address, host: host.clone() };
                        routes.extend(found.into_iter().map(route));
                    }
                    Err(error) => last = Some(PostgresError::Connect { to: host.clone(), error }),
                },
                #[cfg(unix)]
                Some(Host::Unix(folder)) => routes.push(Route::Unix(folder.join(format!(".s.PGSQL.{port}")))),
                #[allow(unreachable_patterns)]
                _ => return Err(PostgresError::Config("a host is missing")),
            }
        }
        let nothing = || PostgresError::Config("the names of the servers have no address");
        if routes.is_empty() { Err(last.unwrap_or_else(nothing)) } else { Ok(routes) }
    }

    /// A name server that is silent takes its share of the time too.
    async fn look_up(&self, host: &str, port: u16, names: usize) -> io::Result<Vec<SocketAddr>> {
        match timeout(self.share(names), lookup_host((host, port))).await {
            Ok(found) => found.map(Iterator::collect),
            Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "the name server does not answer")),
        }
    }

    /// How long one of so many routes may take, if that is bounded.
    pub(crate) fn share(&self, routes: usize) -> Duration {
        let bound = self.config.get_connect_timeout().copied();
        bound.unwrap_or(if routes > 1 { SHARE } else { Duration::MAX })
    }

    /// Opens a stream that is ready for the startup message.
    pub(crate) async fn open(&self, route: &Route) -> Result<(Look, Box<dyn Io>), PostgresError> {
        let refused = |error| PostgresError::Connect { to: route.name(), error };
        match route {
            #[cfg(unix)]
            Route::Unix(path) => {
                let stream = tokio::net::UnixStream::connect(path).await.map_err(refused)?;
                let (stream, look) = SharedStream::unix(stream);
                Ok((look, Box::new(stream)))
            }
            Route::Tcp { address, host } => {
                let stream = TcpStream::connect(address).await.map_err(refused)?;
                self.set_up(&stream).map_err(refused)?;
                let (stream, look) = SharedStream::tcp(stream);
                Ok((look, self.secure(stream, host, route).await?))
            }
        }
    }

    fn set_up(&self, stream: &TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let (config, socket) = (&self.config, SockRef::from(stream));
        #[cfg(target_os = "linux")]
        if let Some(timeout) = config.get_tcp_user_timeout() {
            socket.set_tcp_user_timeout(Some(*timeout))?;
        }
        if config.get_keepalives() {
            let mut keepalive = TcpKeepalive::new().with_time(config.get_keepalives_idle());
            if let Some(interval) = config.get_keepalives_interval() {
                keepalive = keepalive.with_interval(interval);
            }
            #[cfg(not(windows))]
            if let Some(retries) = config.get_keepalives_retries() {
                keepalive = keepalive.with_retries(retries);
            }
            socket.set_tcp_keepalive(&keepalive)?;
        }
        Ok(())
    }

    /// Plain or TLS, as `sslmode` and the server want it.
    async fn secure(
        &self,
        mut stream: SharedStream,
        host: &str,
        route: &Route,
    ) -> Result<Box<dyn Io>, PostgresError> {
        let mode = self.config.get_ssl_mode();
        if mode == SslMode::Disable || (mode == SslMode::Prefer && !self.has_tls()) {
            return Ok(Box::new(stream));
        }
        if !self.has_tls() {
            return Err(PostgresError::NoTls);
        }
        let failed = |error| PostgresError::Tls { to: route.name(), error };
        if self.config.get_ssl_negotiation() == SslNegotiation::Postgres {
            stream.write_all(&SSL_REQUEST).await.map_err(failed)?;
            let answer = stream.read_u8().await.map_err(failed)?;
            if answer != b'S' {
                if mode == SslMode::Prefer {
                    return Ok(Box::new(stream));
                }
                let error = io::Error::new(io::ErrorKind::Unsupported, "the server speaks no TLS");
                return Err(failed(error));
            }
        }
        self.handshake(stream, host).await.map_err(failed)
    }

    #[cfg(feature = "tls")]
    fn has_tls(&self) -> bool {
        self.tls.is_some()
    }

    #[cfg(not(feature = "tls"))]
    fn has_tls(&self) -> bool {
        false
    }

    #[cfg(feature = "tls")]
    async fn handshake(&self, stream: SharedStream, host: &str) -> io::Result<Box<dyn Io>> {
        match &self.tls {
            Some(tls) => tls.handshake(stream, host).await,
            None => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    #[cfg(not(feature = "tls"))]
    async fn handshake(&self, _: SharedStream, _: &str) -> io::Result<Box<dyn Io>> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dialer(config: &str) -> Dialer {
        Dialer {
            config: Arc::new(config.parse().expect("a configuration")),
            #[cfg(feature = "tls")]
            tls: None,
        }
    }

    #[tokio::test]
    async fn every_server_has_its_address_its_port_and_its_name() {
        let routes = async |config: &str| -> Vec<String> {
            dialer(config).routes().await.expect("routes").iter().map(Route::name).collect()
        };
        assert_eq!(routes("host=127.0.0.1").await, ["127.0.0.1:5432"]);
        assert_eq!(routes("host=127.0.0.1,127.0.0.2 port=1,2").await, ["127.0.0.1:1", "127.0.0.2:2"]);
        assert_eq!(routes("host=127.0.0.1,127.0.0.2 port=7").await, ["127.0.0.1:7", "127.0.0.2:7"]);
        assert_eq!(routes("host=db.example hostaddr=127.0.0.3").await, ["db.example (127.0.0.3:5432)"]);
        assert_eq!(routes("hostaddr=127.0.0.3 port=8").await, ["127.0.0.3:8"]);
        #[cfg(unix)]
        assert_eq!(routes("host=/run/postgresql").await, ["/run/postgresql/.s.PGSQL.5432"]);
        let mut at_random = routes("host=127.0.0.1,127.0.0.2 load_balance_hosts=random").await;
        at_random.sort();
        assert_eq!(at_random, ["127.0.0.1:5432", "127.0.0.2:5432"]);
    }

    #[tokio::test]
    async fn a_configuration_that_names_no_server_is_told() {
        for config in ["user=app", "host=a,b hostaddr=127.0.0.1", "host=a,b,c port=1,2"] {
            let error = dialer(config).routes().await.expect_err(config);
            assert_eq!(error.kind(), poolhouse::FailureKind::Permanent, "{config}");
            assert!(error.to_string().ends_with("change the connection string"), "{error}");
        }
    }

    #[test]
    fn an_address_has_a_share_of_the_time_if_there_is_another() {
        let (plain, bounded) = (dialer("host=a"), dialer("host=a connect_timeout=7"));
        assert_eq!((plain.share(1), plain.share(2)), (Duration::MAX, SHARE));
        assert_eq!((bounded.share(1), bounded.share(2)), (Duration::from_secs(7), Duration::from_secs(7)));
    }
}
