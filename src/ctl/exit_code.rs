//! What `etcdctl` ends with.

use std::io;

use crate::client::{ApiError, Error};

/// The arguments will not do.
const USAGE: u8 = 1;

/// No member could be reached.
const UNREACHABLE: u8 = 2;

/// The cluster said no, or could not be asked to the end.
const REFUSED: u8 = 4;

/// Why a command did not do what was asked: a line on stderr, and the exit code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exit {
    /// 1 for arguments that will not do, 2 when no member could be reached, 4 when the cluster said
    /// no, 5 when it is not healthy; 0 for an end that is none of these.
    pub code: u8,
    /// The line; empty for none.
    pub message: String,
}

impl Exit {
    /// The arguments will not do, or the command could not do its part on this machine.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::error(USAGE, message)
    }

    /// No member could be reached.
    pub fn unreachable(message: impl Into<String>) -> Self {
        Self::error(UNREACHABLE, message)
    }

    /// The cluster said no, or what it was to be told is missing.
    pub fn refused(message: impl Into<String>) -> Self {
        Self::error(REFUSED, message)
    }

    /// A line of its own.
    pub fn plain(code: u8, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { code, message }
    }

    /// Nothing more to do, nothing to say.
    pub fn quiet() -> Self {
        Self::plain(0, "")
    }

    fn error(code: u8, message: impl Into<String>) -> Self {
        // Two spaces, as scripts of the time know them.
        Self::plain(code, format!("Error:  {}", message.into()))
    }
}

impl From<Error> for Exit {
    fn from(error: Error) -> Self {
        match error {
            // What 0.4 printed when nobody answered; why nobody did is said with --debug.
            Error::NoMember(_) => Self::refused(
                "501: All the given peers are not reachable \
                 (Tried to connect to each peer twice and failed) [0]",
            ),
            Error::NoResponse { .. } | Error::Api(_) | Error::InvalidResponse { .. } => {
                Self::refused(error.to_string())
            }
        }
    }
}

impl From<ApiError> for Exit {
    fn from(error: ApiError) -> Self {
        Self::from(Error::Api(error))
    }
}

/// Printing failed. Whoever closed the pipe has read enough; all else is an error.
impl From<io::Error> for Exit {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Self::quiet()
        } else {
            Self::usage(format!("what was to be printed could not be: {error}"))
        }
    }
}
