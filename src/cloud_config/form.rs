//! The form of a document: gzip or text, and the kind that its first line names.

use std::fmt;
use std::io::Read;

use flate2::read::MultiGzDecoder;

use super::report::{Position, Report};

/// Maximum size of a document, before and after decompression, in bytes.
pub const DOCUMENT_BYTES_MAX: usize = 1 << 20;

/// The first line of a cloud-config; trailing white space is ignored.
const HEADER: &str = "#cloud-config";

/// The form of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Form {
    /// A cloud-config, with its first line.
    CloudConfig(String),
    /// An empty document, which is not an error.
    Empty,
    /// A configuration for Ignition, which this program does not apply.
    Ignition,
}

/// Why a gzip file cannot be decompressed.
#[derive(Debug)]
pub(super) enum GunzipError {
    /// It is damaged or cut short.
    Invalid(std::io::Error),
    /// Decompressed, it has more than this many bytes.
    TooLarge(usize),
}

impl fmt::Display for GunzipError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(error) => write!(f, "not valid gzip: {error}"),
            Self::TooLarge(bytes_max) => write!(f, "larger than {bytes_max} bytes decompressed"),
        }
    }
}

/// The form of a document; `None`, with an error in the report, if it is none of [`Form`].
pub fn detect(bytes: &[u8], report: &mut Report) -> Option<Form> {
    let content = match is_gzip(bytes) {
        true => match gunzip(bytes, DOCUMENT_BYTES_MAX) {
            Ok(content) => content,
            Err(error) => {
                let message = format!("cannot decompress the document: {error}");
                return report.reject(Position::default(), message);
            }
        },
        false => bytes.to_vec(),
    };
    if content.len() > DOCUMENT_BYTES_MAX {
        let message = format!("the document is larger than {DOCUMENT_BYTES_MAX} bytes");
        return report.reject(Position::default(), message);
    }
    let text = match String::from_utf8(content) {
        Ok(text) => text,
        Err(error) => {
            let good = error.utf8_error().valid_up_to();
            let above = error.as_bytes().get(..good).unwrap_or_default();
            let line = 1 + above.iter().filter(|byte| **byte == b'\n').count();
            return report.reject(Position::line(line), "not valid UTF-8");
        }
    };
    if text.is_empty() {
        return Some(Form::Empty);
    }
    let first = text.lines().next().unwrap_or_default();
    if first.trim_end() == HEADER {
        return Some(Form::CloudConfig(text));
    }
    if is_ignition(&text) {
        return Some(Form::Ignition);
    }
    let message = match first {
        _ if first.starts_with("#!") => {
            "scripts are not supported; expected a document whose first line is #cloud-config"
        }
        _ if text.starts_with("Content-Type:") || text.starts_with("MIME-Version:") => {
            "MIME messages are not supported; use the part whose first line is #cloud-config"
        }
        _ if text.starts_with('\u{feff}') => {
            "byte order mark before the first line; save the file as UTF-8 without one"
        }
        _ if first.starts_with("#cloud-config-archive") => {
            "cloud-config archives are not supported; use the part whose first line is #cloud-config"
        }
        _ => "the first line is not #cloud-config",
    };
    report.reject(Position::line(1), message)
}

/// Whether the first line is that of a cloud-config, valid or not.
pub(super) fn is_cloud_config(bytes: &[u8]) -> bool {
    let content = match is_gzip(bytes) {
        // `detect` reports the error.
        true => match gunzip(bytes, DOCUMENT_BYTES_MAX) {
            Ok(content) => content,
            Err(_) => return true,
        },
        false => bytes.to_vec(),
    };
    let first = content.split(|byte| *byte == b'\n').next();
    first.is_some_and(|line| line.trim_ascii_end() == HEADER.as_bytes())
}

fn is_gzip(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x1f, 0x8b])
}

fn is_ignition(text: &str) -> bool {
    let Ok(config) = serde_json::from_str::<serde_json::Value>(text) else {
        return false;
    };
    config
        .get("ignitionVersion")
        .is_some_and(|version| version.is_u64())
        || config
            .pointer("/ignition/version")
            .is_some_and(|version| version.is_string())
}

/// Decompresses gzip.
///
/// # Errors
///
/// - [`GunzipError::Invalid`]: the bytes are damaged or cut short.
/// - [`GunzipError::TooLarge`]: the result exceeds `bytes_max`.
pub(super) fn gunzip(bytes: &[u8], bytes_max: usize) -> Result<Vec<u8>, GunzipError> {
    let mut content = Vec::new();
    let limit = u64::try_from(bytes_max)
        .unwrap_or(u64::MAX)
        .saturating_add(1);
    MultiGzDecoder::new(bytes)
        .take(limit)
        .read_to_end(&mut content)
        .map_err(GunzipError::Invalid)?;
    match content.len() > bytes_max {
        true => Err(GunzipError::TooLarge(bytes_max)),
        false => Ok(content),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn form(bytes: &[u8]) -> Result<Form, String> {
        let mut report = Report::default();
        detect(bytes, &mut report).ok_or_else(|| report.to_text("f"))
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(bytes).expect("memory");
        packer.finish().expect("memory")
    }

    #[test]
    fn the_first_line_sets_the_form() {
        let good =
            |text: &str| assert_eq!(form(text.as_bytes()), Ok(Form::CloudConfig(text.into())));
        good("#cloud-config");
        good("#cloud-config \t\r\nhostname: x\r\n");
        assert_eq!(form(b""), Ok(Form::Empty));
        assert_eq!(form(b"{\"ignitionVersion\": 1}"), Ok(Form::Ignition));
        assert_eq!(
            form(b"{\"ignition\": {\"version\": \"2.0.0\"}}"),
            Ok(Form::Ignition)
        );
        for (bad, word) in [
            (" #cloud-config\n", "f:1: error: the first line"),
            ("#Cloud-Config\n", "the first line"),
            ("hostname: x\n", "the first line"),
            ("#!/bin/sh\n", "scripts"),
            ("\u{feff}#cloud-config\n", "f:1: error: byte order mark"),
            ("#cloud-config-archive\n- x\n", "archives"),
            ("Content-Type: multipart/mixed\n", "MIME messages"),
        ] {
            let error = form(bad.as_bytes()).expect_err(bad);
            assert!(error.contains(word), "{error}");
        }
        let error = form(b"#cloud-config\nx: caf\xe9\n").expect_err("not text");
        assert_eq!(error, "f:2: error: not valid UTF-8\n");
    }

    #[test]
    fn the_size_of_a_compressed_document_is_bounded() {
        let text = b"#cloud-config\n";
        assert_eq!(form(&gzip(text)), form(text));
        assert!(form(&gzip(text)[..20]).is_err());
        assert!(is_cloud_config(&gzip(text)) && is_cloud_config(&gzip(text)[..20]));
        assert!(!is_cloud_config(&gzip(b"MIME-Version: 1.0\n")));
        assert!(form(&gzip(&vec![b'#'; DOCUMENT_BYTES_MAX + 1])).is_err());
        assert!(form(&vec![b'#'; DOCUMENT_BYTES_MAX + 1]).is_err());
    }
}
