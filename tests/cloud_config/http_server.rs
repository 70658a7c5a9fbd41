//! A web server for documents.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::case::Blob;

/// Serves pages until the test ends.
pub struct Server {
    address: SocketAddr,
    /// Number of requests.
    pub requests: Arc<AtomicUsize>,
}

impl Server {
    /// Serve pages by path.
    pub fn start(pages: BTreeMap<String, Blob>) -> Self {
        Self::failing(pages, 0)
    }

    /// Serve pages, after `failures` answers of 503.
    pub fn failing(pages: BTreeMap<String, Blob>, failures: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let requests = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&requests);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let number = counter.fetch_add(1, Ordering::SeqCst);
                let _ = answer(stream, &pages, number < failures);
            }
        });
        Self { address, requests }
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

fn answer(
    mut stream: TcpStream,
    pages: &BTreeMap<String, Blob>,
    fail: bool,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let mut line = String::new();
    while reader.read_line(&mut line)? > 2 {
        line.clear();
    }
    let path = first.split(' ').nth(1).unwrap_or_default();
    let (status, body) = match pages.get(path) {
        _ if fail => ("503 Busy", Vec::new()),
        Some(blob) => ("200 OK", blob.bytes()),
        None => ("404 Not Found", Vec::new()),
    };
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    )?;
    stream.write_all(&body)
}
