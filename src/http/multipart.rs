//! Forms in `multipart/form-data`: strict, and only the part of MIME that browsers and curl use.

use bytes::Bytes;

use super::params::{Params, Rejection};

/// Maximum number of parts of a form; one with more is rejected.
pub const PARTS_MAX: usize = 64;

/// Maximum length of the headers of a part, in bytes; longer ones are rejected.
pub const PART_HEADERS_MAX: usize = 4096;

/// Maximum length of a boundary, in bytes (RFC 2046); a longer one is rejected.
pub const BOUNDARY_MAX: usize = 70;

/// Add the fields of `body` to `params`, by the names in their `Content-Disposition`. The value of a file field is
/// the content of the file. `content_type` is the header of the request, with the boundary.
///
/// # Errors
///
/// [`Rejection::Form`]: the body is not valid `multipart/form-data`, or exceeds one of the limits.
pub(super) fn read(params: &mut Params, content_type: &str, body: &Bytes) -> Result<(), Rejection> {
    let boundary = find_parameter(content_type, "boundary")
        .ok_or_else(|| invalid("the content type has no boundary"))?;
    if boundary.is_empty() || boundary.len() > BOUNDARY_MAX {
        return Err(invalid("the boundary must have 1 to 70 characters"));
    }
    // Every delimiter except the first includes the line end before it.
    let first = format!("--{boundary}");
    let later = format!("\r\n{first}");
    let mut rest = match body.strip_prefix(first.as_bytes()) {
        Some(rest) => rest,
        None => {
            split(body, later.as_bytes())
                .ok_or_else(|| invalid("the boundary was not found"))?
                .1
        }
    };
    for _ in 0..PARTS_MAX {
        if rest.starts_with(b"--") {
            return Ok(());
        }
        let (padding, part) = split(rest, b"\r\n")
            .ok_or_else(|| invalid("a boundary is not at the end of a line"))?;
        if !padding.iter().all(|byte| matches!(byte, b' ' | b'\t')) {
            return Err(invalid("a boundary is not at the end of a line"));
        }
        let (part, next) =
            split(part, later.as_bytes()).ok_or_else(|| invalid("the last boundary is missing"))?;
        let (headers, content) =
            split(part, b"\r\n\r\n").ok_or_else(|| invalid("a part has no headers"))?;
        if let Some(name) = field_name(headers)? {
            params.add(name.as_bytes(), body.slice_ref(content));
        }
        rest = next;
    }
    if rest.starts_with(b"--") {
        return Ok(());
    }
    Err(invalid("too many parts"))
}

/// The name of a field, from the headers of its part; none if the part is not a field.
fn field_name(headers: &[u8]) -> Result<Option<String>, Rejection> {
    if headers.len() > PART_HEADERS_MAX {
        return Err(invalid("the headers of a part are too long"));
    }
    let headers =
        std::str::from_utf8(headers).map_err(|_| invalid("the headers of a part are not UTF-8"))?;
    for line in headers.split("\r\n") {
        let (header, value) = line
            .split_once(':')
            .ok_or_else(|| invalid("a header has no colon"))?;
        if header.eq_ignore_ascii_case("Content-Disposition") {
            let kind = value.split(';').next().unwrap_or_default().trim();
            let named = kind
                .eq_ignore_ascii_case("form-data")
                .then(|| find_parameter(value, "name"));
            return Ok(named.flatten());
        }
    }
    Ok(None)
}

/// The value of a parameter in a header, as in `type; name=value` or `type; name="va\"lue"`.
fn find_parameter(header: &str, wanted: &str) -> Option<String> {
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

/// A quoted value and the rest behind it; none if the closing quote is missing. A backslash only escapes a quote
/// or another backslash, since browsers do not escape Windows paths.
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

/// Split at the first `delimiter`.
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

fn invalid(why: &str) -> Rejection {
    Rejection::Form(format!("multipart/form-data: {why}"))
}

#[cfg(test)]
mod tests {
    use super::super::params::Operation;
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
        let asked = params.into_operation(&Method::PUT, Path::root())?;
        let Operation::Write(Command::Set {
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
            let asked = params.into_operation(&Method::PUT, Path::root()).expect("a write");
            let content = Content::Value(Bytes::from(value));
            prop_assert_eq!(asked, Operation::Write(Command::Set { path: Path::root(), content, ttl: None }));
        }
    }
}
