//! A TCP proxy that can drop all traffic, as a pulled cable does.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

/// A TCP proxy.
pub struct Proxy {
    pub address: SocketAddr,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    cut: AtomicBool,
    gone: AtomicBool,
    open: AtomicUsize,
}

impl Proxy {
    /// Forward to `target` until dropped.
    pub fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound");
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming() {
                if shared.gone.load(Ordering::Relaxed) {
                    return;
                }
                let Ok(stream) = stream else { return };
                let shared = Arc::clone(&shared);
                thread::spawn(move || forward(&stream, target, &shared));
            }
        });
        Self { address, state }
    }

    /// Drop or forward all traffic from now on. Connections stay open.
    pub fn cut(&self, cut: bool) {
        self.state.cut.store(cut, Ordering::Relaxed);
    }

    /// Number of open connections.
    pub fn open(&self) -> usize {
        self.state.open.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.state.gone.store(true, Ordering::Relaxed);
        // The listener exits at the next connection.
        let _ = TcpStream::connect(self.address);
    }
}

fn forward(client: &TcpStream, target: SocketAddr, state: &State) {
    while state.cut.load(Ordering::Relaxed) && !state.gone.load(Ordering::Relaxed) {
        thread::sleep(Duration::from_millis(10));
    }
    let Ok(server) = TcpStream::connect(target) else {
        return;
    };
    state.open.fetch_add(1, Ordering::Relaxed);
    thread::scope(|scope| {
        scope.spawn(|| pour(client, &server, state));
        pour(&server, client, state);
    });
    state.open.fetch_sub(1, Ordering::Relaxed);
}

fn pour(mut from: &TcpStream, mut to: &TcpStream, state: &State) {
    let mut bytes = [0; 16 << 10];
    let _ = from.set_read_timeout(Some(Duration::from_millis(20)));
    loop {
        if state.gone.load(Ordering::Relaxed) {
            break;
        }
        if state.cut.load(Ordering::Relaxed) {
            thread::sleep(Duration::from_millis(10));
            continue;
        }
        match from.read(&mut bytes) {
            Ok(0) => break,
            Ok(length) => {
                // Bytes that were read before the cut are delayed until the end of the cut.
                while state.cut.load(Ordering::Relaxed) && !state.gone.load(Ordering::Relaxed) {
                    thread::sleep(Duration::from_millis(10));
                }
                if to.write_all(&bytes[..length]).is_err() {
                    break;
                }
            }
            Err(error) if is_timeout(&error) => {}
            Err(_) => break,
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

fn is_timeout(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
    )
}
