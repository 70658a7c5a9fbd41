//! A mock of a discovery service: it records requests and answers with a function.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// A recorded request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// Method and target.
    pub line: String,
    pub body: String,
}

/// Status and body; none never answers.
pub type Reply = Option<(u16, String)>;

/// A mock that runs until the test ends.
pub struct Mock {
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<Recorded>>>,
}

impl Mock {
    /// Start a mock that answers with `answer`.
    pub fn start(answer: impl Fn(&Recorded) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (noted, answer) = (asked.clone(), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (noted, answer) = (noted.clone(), answer.clone());
                std::thread::spawn(move || serve(stream, &noted, &*answer));
            }
        });
        Self { address, asked }
    }

    /// The recorded requests, in order.
    pub fn asked(&self) -> Vec<Recorded> {
        self.asked.lock().expect("no panic").clone()
    }
}

fn serve(mut stream: TcpStream, noted: &Mutex<Vec<Recorded>>, answer: &dyn Fn(&Recorded) -> Reply) {
    while let Some(asked) = read(&mut stream) {
        noted.lock().expect("no panic").push(asked.clone());
        match answer(&asked) {
            Some((status, body)) => {
                let length = body.len();
                let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\n\r\n");
                if write!(stream, "{head}{body}").is_err() {
                    return;
                }
            }
            None => std::thread::park(),
        }
    }
}

fn read(stream: &mut TcpStream) -> Option<Recorded> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                let length = name.eq_ignore_ascii_case("content-length");
                length.then(|| value.trim().parse::<usize>().ok()).flatten()
            });
            if body.len() >= length.unwrap_or(0) {
                let line = head.lines().next()?.trim_end_matches(" HTTP/1.1");
                return Some(Recorded {
                    line: line.to_owned(),
                    body: body.to_owned(),
                });
            }
        }
        let mut part = [0; 4096];
        match stream.read(&mut part) {
            Ok(0) | Err(_) => return None,
            Ok(read) => bytes.extend_from_slice(&part[..read]),
        }
    }
}
