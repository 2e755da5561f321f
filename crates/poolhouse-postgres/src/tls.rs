//! TLS by rustls. The server's certificate is always verified.

use std::fmt;
use std::io;
use std::sync::Arc;

use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::socket::SharedStream;
use crate::stream::Io;

/// TLS for a [`PostgresManager`](crate::PostgresManager), and whose certificates it trusts.
///
/// The certificate and the name of the host are verified, as with `sslmode=verify-full` of libpq. With `sslmode=prefer` too,
/// which there verifies nothing: a server that speaks TLS has to prove who it is. To connect without, say `sslmode=disable`.
///
/// ```
/// use poolhouse_postgres::{PostgresManager, Tls};
///
/// let url = "postgres://app@db.example/shop?sslmode=require";
/// let manager = PostgresManager::from_url(url)?.tls(Tls::new());
/// # Ok::<(), tokio_postgres::Error>(())
/// ```
#[derive(Clone)]
pub struct Tls {
    config: Arc<ClientConfig>,
}

impl Tls {
    /// Trusts the public certificate authorities that Mozilla trusts.
    ///
    /// ```
    /// let tls = poolhouse_postgres::Tls::new();
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self::trusting(RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() })
    }

    /// Trusts these root certificates alone: those of your company, or of the provider of the database.
    ///
    /// # Errors
    ///
    /// The text holds no certificate, or one that cannot be read.
    ///
    /// ```no_run
    /// use poolhouse_postgres::Tls;
    ///
    /// let tls = Tls::with_roots(&std::fs::read("/etc/ssl/rds-global-bundle.pem")?)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn with_roots(pem: &[u8]) -> io::Result<Self> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            roots.add(certificate.map_err(io::Error::other)?).map_err(io::Error::other)?;
        }
        if roots.is_empty() {
            return Err(io::Error::other("no certificate between BEGIN CERTIFICATE and END CERTIFICATE"));
        }
        Ok(Self::trusting(roots))
    }

    /// Uses a configuration of your own: for client certificates, or another verifier.
    ///
    /// ```
    /// # use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::ring};
    /// # let config = ClientConfig::builder_with_provider(ring::default_provider().into())
    /// #     .with_safe_default_protocol_versions()?
    /// #     .with_root_certificates(RootCertStore::empty())
    /// #     .with_no_client_auth();
    /// let tls = poolhouse_postgres::Tls::with_config(config);
    /// # Ok::<(), tokio_rustls::rustls::Error>(())
    /// ```
    pub fn with_config(config: impl Into<Arc<ClientConfig>>) -> Self {
        Self { config: config.into() }
    }

    fn trusting(roots: RootCertStore) -> Self {
        // Named here, so that a program with two of them need not choose one for the process.
        let mut config = ClientConfig::builder_with_provider(ring::default_provider().into())
            .with_safe_default_protocol_versions()
            .expect("ring has the default versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        // `sslnegotiation=direct` of PostgreSQL 17 needs it, and no other server minds.
        config.alpn_protocols = vec![b"postgresql".to_vec()];
        Self { config: config.into() }
    }

    pub(crate) async fn handshake(&self, stream: SharedStream, host: &str) -> io::Result<Box<dyn Io>> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let stream = TlsConnector::from(Arc::clone(&self.config)).connect(name, stream).await?;
        Ok(Box::new(stream))
    }
}

impl Default for Tls {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}
