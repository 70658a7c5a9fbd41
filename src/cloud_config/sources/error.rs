//! The errors of loading a document.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::client;
use crate::cluster::InvalidAddress;

/// Why a document cannot be loaded.
#[derive(Debug)]
pub enum SourceError {
    /// A file cannot be opened or read.
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        error: io::Error,
    },
    /// The metadata of a config drive is not JSON.
    Json {
        /// The file.
        path: PathBuf,
        /// The cause.
        error: serde_json::Error,
    },
    /// cloud-init has stored no user-data in this directory.
    NoUserData(PathBuf),
    /// A URL does not begin with `http://` or `https://`.
    Scheme {
        /// The URL.
        url: String,
    },
    /// A URL has a user name or password, which cannot be sent.
    Credentials {
        /// The URL without them.
        url: String,
    },
    /// A URL has a character that is not allowed in one.
    Character {
        /// The URL.
        url: String,
    },
    /// The host or port of a URL is invalid.
    Address {
        /// The URL without its path.
        url: String,
        /// The cause.
        error: InvalidAddress,
    },
    /// The runtime for the HTTP client cannot be started.
    Runtime(io::Error),
    /// The server did not respond.
    Fetch {
        /// The URL.
        url: String,
        /// The cause.
        error: client::Error,
    },
    /// The server responded with an error.
    Status {
        /// The URL.
        url: String,
        /// The status of the response.
        status: u16,
    },
    /// The last of several attempts failed.
    GaveUp {
        /// The number of attempts.
        attempts: u32,
        /// The error of the last one.
        error: Box<SourceError>,
    },
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read { path, error } => write!(f, "cannot read {}: {error}", path.display()),
            Self::Json { path, error } => {
                write!(f, "{} is not valid JSON: {error}", path.display())
            }
            Self::NoUserData(directory) => {
                write!(f, "no user-data of cloud-init in {}", directory.display())
            }
            Self::Scheme { url } => write!(f, "{url}: expected http:// or https://"),
            Self::Credentials { url } => write!(
                f,
                "{url}: user name and password are not supported; remove them from the URL"
            ),
            Self::Character { url } => write!(
                f,
                "{url:?} contains a character that is not allowed in a URL; encode it, such as a space as %20"
            ),
            Self::Address { url, error } => write!(f, "{url} {error}"),
            Self::Runtime(error) => write!(f, "cannot start the HTTP client: {error}"),
            Self::Fetch { url, error } => write!(f, "cannot fetch {url}: {error}"),
            Self::Status { url, status } => {
                write!(f, "cannot fetch {url}: the response status is {status}")
            }
            Self::GaveUp { attempts, error } => {
                write!(f, "{error}; gave up after {attempts} attempts")
            }
        }
    }
}

impl std::error::Error for SourceError {}
