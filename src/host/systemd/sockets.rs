//! Sockets that the service manager opened before it started this.

use std::net::TcpListener;

use listenfd::ListenFd;
use tracing::warn;

/// The sockets handed over, by their names in the socket unit; each is in non-blocking mode.
#[derive(Debug, Default)]
pub struct Sockets {
    /// `FileDescriptorName=client`: where clients connect.
    pub client: Option<TcpListener>,
    /// `FileDescriptorName=peer`: where peers connect.
    pub peer: Option<TcpListener>,
}

impl Sockets {
    /// What was handed over. To be called once, before there are other threads, since the variables that
    /// say so are removed.
    ///
    /// # Errors
    ///
    /// A sentence: a socket is no TCP socket that listens, or has a name nobody knows.
    pub fn inherited() -> Result<Self, String> {
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let names: Vec<&str> = names.split(':').collect();
        let mut handed = ListenFd::from_env();
        let mut sockets = Self::default();
        for place in 0..handed.len() {
            let name = names.get(place).copied().unwrap_or_default();
            let at = match name {
                "client" => &mut sockets.client,
                "peer" => &mut sockets.peer,
                _ => {
                    warn!("the socket {name:?} handed over is neither client nor peer: not used");
                    continue;
                }
            };
            let wrong = |error| format!("the socket {name} handed over is of no use: {error}");
            let Some(listener) = handed.take_tcp_listener(place).map_err(wrong)? else {
                continue;
            };
            listener.set_nonblocking(true).map_err(wrong)?;
            if at.replace(listener).is_some() {
                return Err(format!(
                    "two sockets named {name} were handed over; one is enough"
                ));
            }
        }
        Ok(sockets)
    }
}
