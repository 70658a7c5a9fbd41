//! The part of HTTP/1.1 that a load generator needs to parse. It is written by hand because a general HTTP client
//! takes a large part of the time that is to be measured.

use std::io::{Error, ErrorKind};

/// The longest header section that is read; a longer one is an error.
pub(super) const HEAD_MAX: usize = 64 << 10;

/// The longest body that is read; a longer one is an error.
pub(super) const BODY_MAX: usize = 64 << 20;

/// The head of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// The status.
    pub(super) status: u16,
    /// The length of the head: the body starts here.
    pub(super) length: usize,
    /// How the body's length is determined.
    pub(super) body: Body,
    /// Whether another request may follow on this connection.
    pub(super) keep_alive: bool,
    /// The `Location` of a redirect.
    pub(super) location: Option<String>,
    /// `X-Etcd-Index`.
    pub(super) index: Option<u64>,
}

/// How the length of a body is determined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Body {
    /// This number of bytes.
    Fixed(usize),
    /// By its chunks.
    Chunked,
    /// All bytes until the connection is closed.
    UntilEnd,
}

/// Parse the head of a response; none while it is incomplete.
///
/// # Errors
///
/// `InvalidData` if it is too long, has no valid status line or no valid length.
pub(super) fn head(input: &[u8]) -> Result<Option<Head>, Error> {
    let Some(end) = find(input, b"\r\n\r\n") else {
        if input.len() > HEAD_MAX {
            return Err(invalid("header section too long"));
        }
        return Ok(None);
    };
    let (first, fields) = input.split_at(find(input, b"\r\n").unwrap_or(end));
    let mut head = Head {
        status: status(first)?,
        length: end + 4,
        body: Body::UntilEnd,
        keep_alive: first.starts_with(b"HTTP/1.1"),
        location: None,
        index: None,
    };
    let fields = fields
        .get(2..end.saturating_sub(first.len()))
        .unwrap_or_default();
    for line in fields.split(|byte| *byte == b'\n') {
        field(&mut head, line.trim_ascii_end())?;
    }
    if matches!(head.status, 100..200 | 204 | 304) {
        head.body = Body::Fixed(0);
    }
    if head.body == Body::UntilEnd {
        head.keep_alive = false;
    }
    Ok(Some(head))
}

/// Parse a chunked body: returns its length in the input and puts its content into `body`; none while it is
/// incomplete.
///
/// # Errors
///
/// `InvalidData` if a chunk's size is not valid or too large, or the end is not an empty line.
pub(super) fn chunked(input: &[u8], body: &mut Vec<u8>) -> Result<Option<usize>, Error> {
    body.clear();
    let mut at = 0;
    loop {
        let rest = input.get(at..).unwrap_or_default();
        let Some(line) = find(rest, b"\r\n") else {
            return Ok(None);
        };
        let size = rest.get(..line).unwrap_or_default();
        let size = size.split(|byte| *byte == b';').next().unwrap_or_default();
        let size = std::str::from_utf8(size)
            .ok()
            .and_then(|digits| usize::from_str_radix(digits.trim(), 16).ok())
            .filter(|size| body.len().saturating_add(*size) <= BODY_MAX)
            .ok_or_else(|| invalid("invalid chunk size"))?;
        at += line + 2;
        if size == 0 {
            // Trailers are not supported: an empty line ends the body.
            return match input.get(at..at + 2) {
                Some(b"\r\n") => Ok(Some(at + 2)),
                Some(_) => Err(invalid("invalid end of chunks")),
                None => Ok(None),
            };
        }
        let Some(chunk) = input.get(at..at + size) else {
            return Ok(None);
        };
        body.extend_from_slice(chunk);
        at += size + 2;
    }
}

/// The number after the first `"name":`.
pub(super) fn number_after(text: &[u8], name: &[u8]) -> Option<u64> {
    let at = find(text, name)? + name.len();
    let rest = text.get(at..)?.strip_prefix(b"\":")?;
    let rest = rest.strip_prefix(b"\"").unwrap_or(rest);
    decimal(rest)
}

fn status(line: &[u8]) -> Result<u16, Error> {
    line.strip_prefix(b"HTTP/1.")
        .and_then(|rest| rest.get(2..5))
        .and_then(decimal)
        .and_then(|status| u16::try_from(status).ok())
        .ok_or_else(|| invalid("not HTTP"))
}

fn field(head: &mut Head, line: &[u8]) -> Result<(), Error> {
    let Some(colon) = line.iter().position(|byte| *byte == b':') else {
        return Ok(());
    };
    let (name, value) = line.split_at(colon);
    let value = value.get(1..).unwrap_or_default().trim_ascii();
    // Compare the length first: most fields are not among these.
    match name.len() {
        14 if name.eq_ignore_ascii_case(b"content-length") => {
            let length = decimal(value)
                .and_then(|length| usize::try_from(length).ok())
                .filter(|length| *length <= BODY_MAX)
                .ok_or_else(|| invalid("invalid Content-Length"))?;
            if head.body != Body::Chunked {
                head.body = Body::Fixed(length);
            }
        }
        17 if name.eq_ignore_ascii_case(b"transfer-encoding") => head.body = Body::Chunked,
        10 if name.eq_ignore_ascii_case(b"connection") => {
            head.keep_alive = !value.eq_ignore_ascii_case(b"close");
        }
        8 if name.eq_ignore_ascii_case(b"location") => {
            head.location = Some(String::from_utf8_lossy(value).into_owned());
        }
        12 if name.eq_ignore_ascii_case(b"x-etcd-index") => head.index = decimal(value),
        _ => {}
    }
    Ok(())
}

/// The number at the start of a text.
fn decimal(text: &[u8]) -> Option<u64> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(text.get(..digits)?).ok()?.parse().ok()
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

fn invalid(what: &str) -> Error {
    Error::new(ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_head_is_read_when_it_is_all_there() {
        let text = b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\n\
            X-Etcd-Index: 12\r\ncontent-length: 5\r\n\r\nhello";
        for end in 0..text.len() - 5 {
            assert_eq!(head(&text[..end]).expect("no error"), None, "{end}");
        }
        let head = head(text).expect("no error").expect("whole");
        assert_eq!((head.status, head.body), (201, Body::Fixed(5)));
        assert_eq!((head.index, head.keep_alive), (Some(12), true));
        assert_eq!(&text[head.length..], b"hello");
    }

    #[test]
    fn how_long_a_body_is() {
        let body = |text: &str| {
            head(text.as_bytes()).map(|head| head.map(|head| (head.body, head.keep_alive)))
        };
        let read = |text: &str| body(text).expect("no error").expect("whole");
        assert_eq!(read("HTTP/1.1 204 X\r\n\r\n"), (Body::Fixed(0), true));
        assert_eq!(
            read("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
            (Body::Chunked, true)
        );
        assert_eq!(
            read("HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\n"),
            (Body::Fixed(3), false)
        );
        assert_eq!(
            read("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"),
            (Body::UntilEnd, false)
        );
        assert!(body("SSH-2.0-X\r\n\r\n").is_err());
        assert!(body("HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n").is_err());
        assert!(head(&[b'x'; HEAD_MAX + 1]).is_err());
    }

    #[test]
    fn chunks_are_put_together() {
        let mut body = Vec::new();
        let text = b"5\r\nhello\r\n1;x\r\n!\r\n0\r\n\r\nHTTP";
        for end in 0..text.len() - 4 {
            assert_eq!(chunked(&text[..end], &mut body).expect("no error"), None);
        }
        assert_eq!(
            chunked(text, &mut body).expect("no error"),
            Some(text.len() - 4)
        );
        assert_eq!(body, b"hello!");
        assert!(chunked(b"zz\r\n", &mut body).is_err());
        assert!(chunked(b"ffffffffffffffff\r\n", &mut body).is_err());
    }

    #[test]
    fn numbers_are_found_in_events() {
        let event = br#"{"node":{"value":"0017:xx","modifiedIndex":9,"createdIndex":8}}"#;
        assert_eq!(number_after(event, b"\"modifiedIndex"), Some(9));
        assert_eq!(number_after(event, b"\"value"), Some(17));
        assert_eq!(number_after(event, b"\"absent"), None);
    }

    proptest! {
        #[test]
        fn nothing_a_server_sends_panics(text in "(HTTP/1.1 200 OK\r\n)?([a-zA-Z-]{0,20}:?[ -~]{0,9}\r?\n?){0,5}(\r\n\r\n)?", body in ".{0,40}") {
            let _ = head(text.as_bytes());
            let _ = chunked(body.as_bytes(), &mut Vec::new());
            let _ = number_after(body.as_bytes(), b"a");
        }
    }
}
