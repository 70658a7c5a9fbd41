//! The address of a peer port: how it is read, and how it is connected to.

use std::io;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::config::{Address, Problem};

/// The peer port where an address names none.
const PEER_PORT: u16 = 7001;

/// Reads `HOST`, `HOST:PORT`, or either as `http://…` or `https://…`, with or without a slash at the end.
///
/// # Errors
///
/// What keeps it from being an address that can be connected to.
pub fn peer_address(text: &str) -> Result<Address, Problem> {
    let address = Address::parse_with_port(text, PEER_PORT)?;
    if address.port == 0 {
        return Err(Problem {
            what: "has port 0".to_owned(),
            expected: "a port from 1 to 65535",
        });
    }
    Ok(address)
}

/// Open a connection, trying each address the name has, for at most `patience` in all. The name is looked
/// up anew each time.
///
/// # Errors
///
/// What the system says about the last address tried, or that it took too long.
pub async fn connect(to: &Address, patience: Duration) -> io::Result<TcpStream> {
    let connecting = TcpStream::connect((to.host.as_str(), to.port));
    let stream = timeout(patience, connecting)
        .await
        .map_err(|_| super::timed_out("connecting"))??;
    stream.set_nodelay(true)?;
    Ok(stream)
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
            let address = peer_address(text).expect(text);
            assert_eq!(address.to_string(), shown);
            assert_eq!(peer_address(&address.to_string()), Ok(address));
        }
        assert!(peer_address("https://a").is_ok_and(|address| address.tls));
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
            "http://a/b",
            "http://user@a",
            "http://",
        ] {
            assert!(peer_address(text).is_err(), "{text:?}");
        }
    }
}
