//! An HTTP client that shows partial responses and may continue in the background.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// A request.
pub struct Request {
    pub method: String,
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub body: Option<Vec<u8>>,
}

/// A response, possibly partial.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
    pub complete: bool,
}

/// A request on its own connection.
pub struct Exchange {
    shared: Arc<Shared>,
    stream: Option<TcpStream>,
    silent: bool,
}

#[derive(Default)]
struct Shared {
    received: Mutex<Received>,
    grown: Condvar,
}

#[derive(Default)]
struct Received {
    bytes: Vec<u8>,
    ended: bool,
}

impl Request {
    pub fn get(target: &str) -> Self {
        Self {
            method: "GET".to_owned(),
            target: target.to_owned(),
            headers: Vec::new(),
            body: None,
        }
    }

    fn bytes(&self, to: &str) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\nHost: {to}\r\n", self.method, self.target);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        let writes = matches!(self.method.as_str(), "PUT" | "POST" | "PATCH");
        let length = self.body.as_ref().map(Vec::len).or(writes.then_some(0));
        if let Some(length) = length {
            head.push_str(&format!("Content-Length: {length}\r\n"));
        }
        head.push_str("\r\n");
        let mut bytes = head.into_bytes();
        bytes.extend(self.body.iter().flatten());
        bytes
    }
}

impl Exchange {
    /// Send a request; a thread reads the response.
    pub fn start(to: &str, request: Request) -> Self {
        let shared = Arc::new(Shared::default());
        let silent = request.method == "HEAD";
        let stream = TcpStream::connect(to).ok();
        let reader = stream.as_ref().and_then(|stream| stream.try_clone().ok());
        if let (Some(mut stream), Some(reader)) = (stream.as_ref(), reader) {
            // The server may close early and still answer.
            let _ = stream.write_all(&request.bytes(to));
            let shared = shared.clone();
            std::thread::spawn(move || read_response(reader, &shared, silent));
        } else {
            shared.received.lock().expect("no poison").ended = true;
        }
        Self {
            shared,
            stream,
            silent,
        }
    }

    /// Wait until the response is complete or the connection is closed, at most this long.
    pub fn wait(&self, time: Duration) {
        self.wait_until(time, |received, silent| {
            parse(&received.bytes, silent).is_some_and(|a| a.complete)
        });
    }

    /// Wait for the head of the response, at most this long.
    pub fn wait_for_head(&self, time: Duration) {
        self.wait_until(time, |received, silent| {
            parse(&received.bytes, silent).is_some()
        });
    }

    /// The response so far.
    pub fn answer(&self) -> Option<Answer> {
        let received = self.shared.received.lock().expect("no poison");
        parse(&received.bytes, self.silent)
    }

    fn wait_until(&self, time: Duration, holds: impl Fn(&Received, bool) -> bool) {
        let until = Instant::now() + time;
        let mut received = self.shared.received.lock().expect("no poison");
        while !received.ended && !holds(&received, self.silent) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            received = self
                .shared
                .grown
                .wait_timeout(received, left)
                .expect("no poison")
                .0;
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if let Some(stream) = &self.stream {
            // It may be closed already.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut named = self
            .headers
            .iter()
            .filter(|(known, _)| known.eq_ignore_ascii_case(name));
        named.next().map(|(_, value)| value.as_str())
    }
}

fn read_response(mut stream: TcpStream, shared: &Shared, silent: bool) {
    let mut buffer = [0; 16 << 10];
    loop {
        let read = stream.read(&mut buffer).unwrap_or(0);
        let mut received = shared.received.lock().expect("no poison");
        received.bytes.extend_from_slice(&buffer[..read]);
        received.ended = read == 0;
        shared.grown.notify_all();
        if received.ended || parse(&received.bytes, silent).is_some_and(|answer| answer.complete) {
            return;
        }
    }
}

/// Parse the response so far; none before the end of its head.
fn parse(bytes: &[u8], silent: bool) -> Option<Answer> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers = lines.filter_map(|line| line.split_once(':'));
    let headers = headers
        .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
        .collect();
    let mut answer = Answer {
        status,
        headers,
        body: String::new(),
        complete: true,
    };
    let rest = &bytes[end + 4..];
    if silent {
        return Some(answer);
    }
    let (body, complete) = if answer.header("Transfer-Encoding").is_some() {
        chunks(rest)
    } else {
        let length = answer
            .header("Content-Length")
            .and_then(|length| length.parse().ok())
            .unwrap_or(0);
        (
            rest[..rest.len().min(length)].to_vec(),
            rest.len() >= length,
        )
    };
    answer.body = String::from_utf8_lossy(&body).into_owned();
    answer.complete = complete;
    Some(answer)
}

/// The content of the chunks, and whether the last one is complete.
fn chunks(mut rest: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    loop {
        let Some(line) = rest.windows(2).position(|two| two == b"\r\n") else {
            return (body, false);
        };
        let length = std::str::from_utf8(&rest[..line]).ok();
        let length = length
            .and_then(|length| usize::from_str_radix(length, 16).ok())
            .expect("a chunk");
        rest = &rest[line + 2..];
        if length == 0 {
            return (body, rest.starts_with(b"\r\n"));
        }
        body.extend_from_slice(&rest[..rest.len().min(length)]);
        let Some(next) = rest.get(length + 2..) else {
            return (body, false);
        };
        rest = next;
    }
}
