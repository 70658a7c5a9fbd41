//! Opening a TCP connection.

use std::io;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::cluster::Address;

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
        .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "connecting took too long"))??;
    stream.set_nodelay(true)?;
    Ok(stream)
}
