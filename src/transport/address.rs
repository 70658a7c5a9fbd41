//! Where a peer listens: a host name, IPv4 or `[IPv6]`, and a port.

use std::fmt;
use std::io;
use std::str::FromStr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

/// The peer port where an address names none.
pub const PEER_PORT: u16 = 7001;

/// The longest host name DNS knows.
const HOST_BYTES_MAX: usize = 253;

/// Where a peer listens. The name is looked up anew for each connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    /// A host name, or an IP address without brackets.
    host: String,
    port: u16,
}

/// What is wrong with an address, as a sentence's end: `"x:y" has no valid port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressError(String);

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for AddressError {}

impl Address {
    /// The host, without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Open a connection, trying each address the name has, for at most `patience` in all.
    ///
    /// # Errors
    ///
    /// What the system says about the last address tried, or that it took too long.
    pub async fn connect(&self, patience: Duration) -> io::Result<TcpStream> {
        let connecting = TcpStream::connect((self.host.as_str(), self.port));
        let stream = timeout(patience, connecting)
            .await
            .map_err(|_| super::timed_out("connecting"))??;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Reads `HOST`, `HOST:PORT`, or either as `http://…`, with or without a slash at the end.
impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let wrong = |what: &str| Err(AddressError(format!("{text:?} {what}")));
        let rest = match text.split_once("://") {
            None => text,
            Some(("http", rest)) => rest,
            Some(("https", _)) => return wrong("needs TLS, which the peer port does not speak"),
            Some(_) => return wrong("is no http:// address"),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = if let Some(rest) = rest.strip_prefix('[') {
            let Some((host, port)) = rest.split_once(']') else {
                return wrong("has no closing bracket");
            };
            if host.parse::<std::net::Ipv6Addr>().is_err() {
                return wrong("has no IPv6 address in its brackets");
            }
            match port.strip_prefix(':') {
                Some(port) => (host, Some(port)),
                None if port.is_empty() => (host, None),
                None => return wrong("has no valid port"),
            }
        } else {
            match rest.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (rest, None),
            }
        };
        let in_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:".contains(&byte);
        if host.is_empty() || host.len() > HOST_BYTES_MAX || !host.bytes().all(in_name) {
            return wrong("has no valid host");
        }
        let port = match port {
            None => PEER_PORT,
            // The standard parser would take a plus sign.
            Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => match port.parse() {
                Ok(port) if port != 0 => port,
                Ok(_) | Err(_) => return wrong("has no valid port"),
            },
            Some(_) => return wrong("has no valid port"),
        };
        Ok(Self {
            host: host.to_owned(),
            port,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        for (text, shown) in [
            ("10.0.0.1:7002", "10.0.0.1:7002"),
            ("10.0.0.1", "10.0.0.1:7001"),
            ("http://node-1.example:80", "node-1.example:80"),
            ("http://node_1/", "node_1:7001"),
            ("[::1]:9", "[::1]:9"),
            ("http://[fe80::1]/", "[fe80::1]:7001"),
        ] {
            let address: Address = text.parse().expect(text);
            assert_eq!(address.to_string(), shown);
            assert_eq!(address.to_string().parse(), Ok(address));
        }
    }

    #[test]
    fn refused() {
        for text in [
            "",
            ":7001",
            "a:",
            "a:0",
            "a:+1",
            "a:65536",
            "a:1:2",
            "::1",
            "[::1",
            "[::1]7001",
            "[a]:1",
            "a b:1",
            "a\r\nb",
            "ftp://a",
            "https://a",
            "http://a/b",
            "http://user@a",
            "http://",
        ] {
            assert!(text.parse::<Address>().is_err(), "{text:?}");
        }
    }
}
