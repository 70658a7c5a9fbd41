//! A loaded document with its metadata, and the reading of files.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::error::SourceError;
use crate::cloud_config::addresses::Addresses;
use crate::cloud_config::form::DOCUMENT_BYTES_MAX;
use crate::cloud_config::merge::Metadata;

/// A document with what came with it.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// The name of the source, for messages.
    pub name: String,
    /// The document; `None` if the source has none and that is not an error.
    pub bytes: Option<Vec<u8>>,
    /// The metadata from the source.
    pub metadata: Metadata,
    /// Addresses from the source, which override the variables of the host.
    pub addresses: Addresses,
    /// Whether another program handles what is not a cloud-config.
    pub shared: bool,
}

/// Reads a file or, for `-`, the standard input: at most one byte more than a document may have, so that a
/// larger one is rejected later.
///
/// # Errors
///
/// [`SourceError::Read`]: the file cannot be opened or read.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, SourceError> {
    let error = |error| SourceError::Read {
        path: path.to_path_buf(),
        error,
    };
    read_bounded(path).map_err(error)
}

/// Reads a file; `None` if it does not exist.
///
/// # Errors
///
/// [`SourceError::Read`]: the file exists and cannot be opened or read.
pub(super) fn read_if_exists(path: &Path) -> Result<Option<Vec<u8>>, SourceError> {
    match read_bounded(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(SourceError::Read {
            path: path.to_path_buf(),
            error,
        }),
    }
}

fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(DOCUMENT_BYTES_MAX)
        .unwrap_or(u64::MAX)
        .saturating_add(1);
    match path == Path::new("-") {
        true => io::stdin().lock().take(limit).read_to_end(&mut bytes)?,
        false => File::open(path)?.take(limit).read_to_end(&mut bytes)?,
    };
    Ok(bytes)
}
