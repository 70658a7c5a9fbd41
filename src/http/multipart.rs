//! Forms as `multipart/form-data`: strict, and only as much of MIME as browsers and curl send.

use bytes::Bytes;

use super::params::{Params, Rejection};

/// How many parts a form may have; one more is refused.
pub const PARTS_MAX: usize = 64;

/// How long the headers of one part may be, in bytes; longer ones are refused.
pub const PART_HEADERS_MAX: usize = 4096;

/// How long a boundary may be, in bytes (RFC 2046); a longer one is refused.
pub const BOUNDARY_MAX: usize = 70;

/// Add the fields of `body` to `params`, under the names in their `Content-Disposition`. The content of a
/// file is its field's value. `content_type` is the request's, with the boundary in it.
///
/// # Errors
///
/// [`Rejection::Form`] when the body is not what its type says, or beyond the bounds.
pub(super) fn read(params: &mut Params, content_type: &str, body: &Bytes) -> Result<(), Rejection> {
    let boundary = parameter(content_type, "boundary").ok_or_else(|| bad("no boundary"))?;
    if boundary.is_empty() || boundary.len() > BOUNDARY_MAX {
        return Err(bad("a boundary has 1 to 70 characters"));
    }
    // Every delimiter but the first takes the line end before it with it.
    let first = format!("--{boundary}");
    let later = format!("\r\n{first}");
    let mut rest = match body.strip_prefix(first.as_bytes()) {
        Some(rest) => rest,
        None => {
            split(body, later.as_bytes())
                .ok_or_else(|| bad("the boundary never comes"))?
                .1
        }
    };
    for _ in 0..PARTS_MAX {
        if rest.starts_with(b"--") {
            return Ok(());
        }
        let (padding, part) = split(rest, b"\r\n").ok_or_else(|| bad("a boundary ends no line"))?;
        if !padding.iter().all(|byte| matches!(byte, b' ' | b'\t')) {
            return Err(bad("a boundary ends no line"));
        }
        let (part, next) =
            split(part, later.as_bytes()).ok_or_else(|| bad("the last boundary is missing"))?;
        let (headers, content) =
            split(part, b"\r\n\r\n").ok_or_else(|| bad("a part without headers"))?;
        if let Some(name) = field_name(headers)? {
            params.add(name.as_bytes(), body.slice_ref(content));
        }
        rest = next;
    }
    if rest.starts_with(b"--") {
        return Ok(());
    }
    Err(bad("too many parts"))
}

/// The name in the headers of a part; none if it belongs to no form.
fn field_name(headers: &[u8]) -> Result<Option<String>, Rejection> {
    if headers.len() > PART_HEADERS_MAX {
        return Err(bad("the headers of a part are too long"));
    }
    let headers =
        std::str::from_utf8(headers).map_err(|_| bad("the headers of a part are no text"))?;
    for line in headers.split("\r\n") {
        let (header, value) = line
            .split_once(':')
            .ok_or_else(|| bad("a header without a colon"))?;
        if header.eq_ignore_ascii_case("Content-Disposition") {
            let kind = value.split(';').next().unwrap_or_default().trim();
            let named = kind
                .eq_ignore_ascii_case("form-data")
                .then(|| parameter(value, "name"));
            return Ok(named.flatten());
        }
    }
    Ok(None)
}

/// A parameter of a header's value, as in `type; name=value` or `type; name="va\"lue"`.
fn parameter(header: &str, wanted: &str) -> Option<String> {
    let mut rest = header.split_once(';')?.1;
    loop {
        let (name, after) = rest.split_once('=')?;
        let (value, after) = match after.trim_start().strip_prefix('"') {
            Some(quoted) => unquote(quoted)?,
            None => {
                let (value, after) = after.split_once(';').unwrap_or((after, ""));
                (value.trim().to_owned(), after)
            }
        };
        if name.trim().eq_ignore_ascii_case(wanted) {
            return Some(value);
        }
        rest = after.trim_start().trim_start_matches(';');
    }
}

/// A quoted value and what follows it; none if the last quote is missing. A backslash only escapes a
/// quote or another backslash: browsers send Windows paths as they are.
fn unquote(quoted: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = quoted.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, quoted.get(at + 1..).unwrap_or_default())),
            '\\' => {
                let escaped = characters.next_if(|(_, next)| matches!(next, '"' | '\\'));
                value.push(escaped.map_or('\\', |(_, escaped)| escaped));
            }
            other => value.push(other),
        }
    }
    None
}

/// What is before and after the first `delimiter`.
fn split<'a>(text: &'a [u8], delimiter: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let (first, others) = delimiter.split_first()?;
    let mut from = 0;
    loop {
        from += text.get(from..)?.iter().position(|byte| byte == first)?;
        let after = text.get(from + 1..)?;
        if let Some(after) = after.strip_prefix(others) {
            return Some((text.get(..from)?, after));
        }
        from += 1;
    }
}

fn bad(why: &str) -> Rejection {
    Rejection::Form(format!("multipart/form-data: {why}"))
}

#[cfg(test)]
mod tests {
    use super::super::params::Ask;
    use super::*;
    use crate::store::{Command, Content, Path};
    use hyper::Method;
    use proptest::prelude::*;

    fn value_of(content_type: &str, body: &str) -> Result<Bytes, Rejection> {
        let mut params = Params::default();
        read(
            &mut params,
            content_type,
            &Bytes::copy_from_slice(body.as_bytes()),
        )?;
        let asked = params.ask(&Method::PUT, Path::root())?;
        let Ask::Write(Command::Set {
            content: Content::Value(value),
            ..
        }) = asked
        else {
            panic!("{asked:?}")
        };
        Ok(value)
    }

    #[test]
    fn reads_what_curl_sends() {
        let body =
            "--b\r\nContent-Disposition: form-data; name=\"value\"\r\n\r\nmulti\r\n--b--\r\n";
        assert_eq!(
            value_of("multipart/form-data; boundary=b", body),
            Ok(Bytes::from("multi"))
        );
        let two = "preamble\r\n--b c\r\ncontent-disposition:form-data;filename=\"a\\\"b\";name=x\r\nContent-Type: text/plain\r\n\r\n1\r\n\
                   --b c  \r\nContent-Disposition: form-data; name=value\r\n\r\n\r\n--b\r\n--b c--epilogue";
        assert_eq!(
            value_of("multipart/form-data; boundary=\"b c\"", two),
            Ok(Bytes::from("\r\n--b"))
        );
    }

    #[test]
    fn refuses_what_is_not_whole() {
        let whole = "--b\r\nContent-Disposition: form-data; name=\"value\"\r\n\r\nmulti\r\n--b--";
        for length in 0..whole.len() {
            assert!(
                value_of("multipart/form-data; boundary=b", &whole[..length]).is_err(),
                "{length}"
            );
        }
        assert!(value_of("multipart/form-data", whole).is_err());
        assert!(value_of("multipart/form-data; boundary=", whole).is_err());
        assert!(
            value_of(
                &format!("multipart/form-data; boundary={}", "b".repeat(71)),
                whole
            )
            .is_err()
        );
    }

    #[test]
    fn parts_are_bounded() {
        let parts = |count| {
            "--b\r\nContent-Disposition: form-data; name=\"x\"\r\n\r\n\r\n".repeat(count) + "--b--"
        };
        assert!(value_of("m/f; boundary=b", &parts(PARTS_MAX)).is_ok());
        assert!(value_of("m/f; boundary=b", &parts(PARTS_MAX + 1)).is_err());
    }

    proptest! {
        #[test]
        fn nothing_panics(content_type: String, body: Vec<u8>, boundary in "[ab\"\\\\;=-]{0,4}") {
            let body = Bytes::from(body);
            let mut params = Params::default();
            let _ = read(&mut params, &content_type, &body);
            let _ = read(&mut params, &format!("a/b; boundary={boundary}"), &body);
        }

        #[test]
        fn any_value_comes_through(value: Vec<u8>) {
            prop_assume!(split(&value, b"\r\n--bound").is_none());
            let mut body = b"--bound\r\nContent-Disposition: form-data; name=\"value\"\r\n\r\n".to_vec();
            body.extend_from_slice(&value);
            body.extend_from_slice(b"\r\n--bound--\r\n");
            let mut params = Params::default();
            read(&mut params, "multipart/form-data; boundary=bound", &Bytes::from(body)).expect("a form");
            let asked = params.ask(&Method::PUT, Path::root()).expect("a write");
            let content = Content::Value(Bytes::from(value));
            prop_assert_eq!(asked, Ask::Write(Command::Set { path: Path::root(), content, ttl: None }));
        }
    }
}
