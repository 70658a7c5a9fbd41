//! Opening a connection, with TLS if the address says so.

use std::fmt;
use std::io;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use super::stream::Stream;
use super::tls::Connector;
use crate::cluster::Address;

/// The number of unanswered keepalive probes after which the kernel closes a connection.
const KEEPALIVE_PROBES: u32 = 3;

/// How a connection is opened.
#[derive(Clone, Copy, Debug)]
pub struct ConnectOptions {
    /// Timeout for name lookup and TCP handshake together; the TLS handshake has its own.
    pub timeout: Duration,
    /// Idle time before the first keepalive probe, and the time between probes; none for no keepalive.
    pub keepalive: Option<Duration>,
}

/// Why no connection was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConnectError {
    /// The host name has no address; the resolver's message.
    NameNotFound(String, String),
    /// The host refused the connection: no process listens on the port.
    Refused,
    /// No connection within this time.
    Timeout(Duration),
    /// Another error of the system, such as an unreachable network.
    System(io::ErrorKind, String),
    /// TCP is connected, and the TLS handshake failed.
    Tls(io::ErrorKind, String),
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NameNotFound(host, error) => write!(f, "cannot resolve host {host:?}: {error}"),
            Self::Refused => write!(f, "connection refused"),
            Self::Timeout(limit) => write!(f, "no connection within {} s", limit.as_secs_f64()),
            Self::System(_, error) => write!(f, "cannot connect: {error}"),
            Self::Tls(_, error) => write!(f, "connected, but the TLS handshake failed: {error}"),
        }
    }
}

impl std::error::Error for ConnectError {}

impl From<ConnectError> for io::Error {
    fn from(error: ConnectError) -> Self {
        let kind = match &error {
            ConnectError::NameNotFound(..) => io::ErrorKind::NotFound,
            ConnectError::Refused => io::ErrorKind::ConnectionRefused,
            ConnectError::Timeout(_) => io::ErrorKind::TimedOut,
            ConnectError::System(kind, _) | ConnectError::Tls(kind, _) => *kind,
        };
        Self::new(kind, error)
    }
}

/// Open a connection to `to`, with TLS by `tls` if its URL is `https`.
///
/// # Errors
///
/// Those of [`connect_tcp`], and [`ConnectError::Tls`] if the handshake failed or timed out.
pub async fn connect(
    to: &Address,
    tls: &Connector,
    options: ConnectOptions,
) -> Result<Stream, ConnectError> {
    let stream = connect_tcp(to, options).await?;
    if !to.tls {
        return Ok(Stream::Plain(stream));
    }
    let stream = tls
        .connect(&to.host, stream)
        .await
        .map_err(|error| ConnectError::Tls(error.kind(), error.to_string()))?;
    Ok(Stream::Tls(Box::new(stream)))
}

/// Open a TCP connection without delayed writes, trying each address of the host. The name is looked up each
/// time.
///
/// # Errors
///
/// [`ConnectError::NameNotFound`] if the name has no address; [`ConnectError::Refused`] and
/// [`ConnectError::System`] with the error of the last address; [`ConnectError::Timeout`].
pub async fn connect_tcp(to: &Address, options: ConnectOptions) -> Result<TcpStream, ConnectError> {
    let stream = timeout(options.timeout, try_addresses(to))
        .await
        .map_err(|_| ConnectError::Timeout(options.timeout))??;
    // Without these options a small request may wait for an acknowledgement, and a dead connection is
    // noticed later; the connection works all the same.
    let _ = stream.set_nodelay(true);
    if let Some(time) = options.keepalive {
        let keepalive = TcpKeepalive::new()
            .with_time(time)
            .with_interval(time)
            .with_retries(KEEPALIVE_PROBES);
        let _ = SockRef::from(&stream).set_tcp_keepalive(&keepalive);
    }
    Ok(stream)
}

async fn try_addresses(to: &Address) -> Result<TcpStream, ConnectError> {
    let no_name = |error: &str| ConnectError::NameNotFound(to.host.clone(), error.to_owned());
    let addresses = lookup_host((to.host.as_str(), to.port))
        .await
        .map_err(|error| no_name(&error.to_string()))?;
    let mut last = no_name("it has no address");
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                last = ConnectError::Refused;
            }
            Err(error) => last = ConnectError::System(error.kind(), error.to_string()),
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    const OPTIONS: ConnectOptions = ConnectOptions {
        timeout: Duration::from_secs(5),
        keepalive: Some(Duration::from_secs(3)),
    };

    #[tokio::test]
    async fn each_failure_has_its_cause() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound").to_string();
        let address = Address::parse(&address).expect("an address");
        connect_tcp(&address, OPTIONS).await.expect("connected");
        let none = ConnectOptions {
            timeout: Duration::ZERO,
            ..OPTIONS
        };
        if let Err(late) = connect_tcp(&address, none).await {
            assert_eq!(late, ConnectError::Timeout(Duration::ZERO));
        }
        drop(listener);
        let refused = connect_tcp(&address, OPTIONS).await.expect_err("closed");
        assert_eq!(refused, ConnectError::Refused);
        let kind = io::Error::from(refused).kind();
        assert_eq!(kind, io::ErrorKind::ConnectionRefused);
    }

    #[tokio::test]
    async fn a_failed_handshake_is_not_an_unreachable_host() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let address = Address::parse_with_port(&format!("https://{address}"), 443);
        let address = address.expect("an address");
        tokio::spawn(async move {
            // Closed at once: no TLS is spoken here.
            let _ = listener.accept().await;
        });
        let connected = connect(&address, &Connector::default(), OPTIONS).await;
        let error = connected.err().expect("no TLS");
        assert!(matches!(error, ConnectError::Tls(..)), "{error}");
    }
}
