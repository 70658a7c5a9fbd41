//! What a document is before it is YAML: compressed or not, text or not, and what its first line says.

use std::io::Read;

use flate2::read::MultiGzDecoder;

use super::report::{Place, Report};

/// How large a document may be, compressed or not, in bytes.
pub const DOCUMENT_BYTES_MAX: usize = 1 << 20;

/// The first line, white space behind it left aside.
const HEADER: &str = "#cloud-config";

/// What someone handed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Form {
    /// A cloud-config, with its first line.
    CloudConfig(String),
    /// Nothing at all, which is no error.
    Empty,
    /// A configuration for Ignition, which is another tool's.
    Ignition,
}

/// Look at what was handed over; none, with an error in the report, if it is nothing of ours.
pub fn look(bytes: &[u8], report: &mut Report) -> Option<Form> {
    let unpacked = match is_packed(bytes) {
        true => match gunzip(bytes, DOCUMENT_BYTES_MAX) {
            Ok(unpacked) => unpacked,
            Err(why) => return refuse(report, 0, format!("it is compressed, and {why}")),
        },
        false => bytes.to_vec(),
    };
    if unpacked.len() > DOCUMENT_BYTES_MAX {
        let message = format!("it is larger than {DOCUMENT_BYTES_MAX} bytes");
        return refuse(report, 0, message);
    }
    let text = match String::from_utf8(unpacked) {
        Ok(text) => text,
        Err(error) => {
            let good = error.utf8_error().valid_up_to();
            let above = error.as_bytes().get(..good).unwrap_or_default();
            let line = 1 + above.iter().filter(|byte| **byte == b'\n').count();
            return refuse(report, line, String::from("this is not UTF-8"));
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
            "this is a script; scripts are not run, only documents that begin with #cloud-config are read"
        }
        _ if text.starts_with("Content-Type:") || text.starts_with("MIME-Version:") => {
            "this is a MIME message; hand over the part that begins with #cloud-config"
        }
        _ if text.starts_with('\u{feff}') => {
            "a byte order mark is before the first line; save it as UTF-8 without one"
        }
        _ if first.starts_with("#cloud-config-archive") => {
            "this is an archive for cloud-init; hand over the part that begins with #cloud-config"
        }
        _ => "the first line is not #cloud-config",
    };
    refuse(report, 1, String::from(message))
}

/// Whether the first line says that it is a cloud-config, be it a good one or not.
pub(super) fn is_cloud_config(bytes: &[u8]) -> bool {
    let unpacked = match is_packed(bytes) {
        // What is wrong with it is said when it is looked at.
        true => match gunzip(bytes, DOCUMENT_BYTES_MAX) {
            Ok(unpacked) => unpacked,
            Err(_) => return true,
        },
        false => bytes.to_vec(),
    };
    let first = unpacked.split(|byte| *byte == b'\n').next();
    first.is_some_and(|line| line.trim_ascii_end() == HEADER.as_bytes())
}

fn is_packed(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x1f, 0x8b])
}

fn refuse(report: &mut Report, line: usize, message: String) -> Option<Form> {
    report.error(Place::line(line), message);
    None
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

/// Uncompress, up to so many bytes.
///
/// # Errors
///
/// What is wrong with it, as the end of a sentence.
pub(super) fn gunzip(bytes: &[u8], bytes_max: usize) -> Result<Vec<u8>, String> {
    let mut unpacked = Vec::new();
    let limit = u64::try_from(bytes_max)
        .unwrap_or(u64::MAX)
        .saturating_add(1);
    MultiGzDecoder::new(bytes)
        .take(limit)
        .read_to_end(&mut unpacked)
        .map_err(|error| format!("is no good gzip: {error}"))?;
    match unpacked.len() > bytes_max {
        true => Err(format!("unpacks to more than {bytes_max} bytes")),
        false => Ok(unpacked),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn form(bytes: &[u8]) -> Result<Form, String> {
        let mut report = Report::default();
        look(bytes, &mut report).ok_or_else(|| report.text("f"))
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(bytes).expect("memory");
        packer.finish().expect("memory")
    }

    #[test]
    fn the_first_line_decides() {
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
            ("#!/bin/sh\n", "a script"),
            ("\u{feff}#cloud-config\n", "f:1: error: a byte order mark"),
            ("#cloud-config-archive\n- x\n", "an archive"),
            ("Content-Type: multipart/mixed\n", "a MIME message"),
        ] {
            let error = form(bad.as_bytes()).expect_err(bad);
            assert!(error.contains(word), "{error}");
        }
        let error = form(b"#cloud-config\nx: caf\xe9\n").expect_err("no text");
        assert_eq!(error, "f:2: error: this is not UTF-8\n");
    }

    #[test]
    fn a_compressed_document_is_bounded_like_any_other() {
        let text = b"#cloud-config\n";
        assert_eq!(form(&gzip(text)), form(text));
        assert!(form(&gzip(text)[..20]).is_err());
        assert!(is_cloud_config(&gzip(text)) && is_cloud_config(&gzip(text)[..20]));
        assert!(!is_cloud_config(&gzip(b"MIME-Version: 1.0\n")));
        assert!(form(&gzip(&vec![b'#'; DOCUMENT_BYTES_MAX + 1])).is_err());
        assert!(form(&vec![b'#'; DOCUMENT_BYTES_MAX + 1]).is_err());
    }
}
