//! Why a request failed.

use std::fmt;
use std::io::ErrorKind;

/// Why a request failed. Displayed in a word or two: failures are counted by this text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// No response within the timeout.
    Timeout,
    /// No connection was opened.
    Connect(ErrorKind),
    /// The member closed the connection.
    Closed,
    /// The connection failed.
    Connection(ErrorKind),
    /// A status other than 2xx, and the API's error code.
    Status(u16, Option<u64>),
    /// A redirect without a valid location.
    BadRedirect,
    /// More redirects than are followed.
    TooManyRedirects,
    /// The writer of the watch workload failed.
    Write(Box<Failure>),
    /// The task of a client panicked.
    Panicked,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout => write!(f, "timeout"),
            Self::Connect(kind) => write!(f, "connecting: {kind}"),
            Self::Closed => write!(f, "connection: closed"),
            Self::Connection(kind) => write!(f, "connection: {kind}"),
            Self::Status(status, None) => write!(f, "HTTP {status}"),
            Self::Status(status, Some(code)) => write!(f, "HTTP {status}, error {code}"),
            Self::BadRedirect => write!(f, "HTTP 307 without a valid Location"),
            Self::TooManyRedirects => write!(f, "too many redirects"),
            Self::Write(failure) => write!(f, "writing: {failure}"),
            Self::Panicked => write!(f, "client panicked"),
        }
    }
}
