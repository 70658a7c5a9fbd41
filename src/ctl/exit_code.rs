//! The exit codes of `etcdctl`, and the line on stderr.

use std::io;

use crate::client::{Answer, ApiError, Error};

/// Invalid arguments.
const USAGE: u8 = 1;

/// No member could be reached.
const UNREACHABLE: u8 = 2;

/// The cluster refused the request, or sent no response.
const REFUSED: u8 = 4;

/// Why a command failed: a line on stderr, and the exit code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exit {
    /// 1 for invalid arguments or a local error, 2 if no member could be reached, 4 if the cluster refused the
    /// request, 5 if it is unhealthy; 0 for success.
    pub code: u8,
    /// The line; empty for none.
    pub message: String,
}

impl Exit {
    /// Invalid arguments, or a local error.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::error(USAGE, message)
    }

    /// No member could be reached.
    pub fn unreachable(message: impl Into<String>) -> Self {
        Self::error(UNREACHABLE, message)
    }

    /// The cluster refused the request, or a required argument is missing.
    pub fn refused(message: impl Into<String>) -> Self {
        Self::error(REFUSED, message)
    }

    /// A line without the prefix `Error:`.
    pub fn plain(code: u8, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { code, message }
    }

    /// Success without output.
    pub fn success() -> Self {
        Self::plain(0, "")
    }

    /// For a response that is not a success: the API's error, or the status and body.
    pub(super) fn from_answer(answer: &Answer) -> Self {
        if let Ok(error) = serde_json::from_slice::<ApiError>(&answer.body) {
            return Self::from(error);
        }
        let text = String::from_utf8_lossy(&answer.body);
        Self::refused(format!(
            "{}: response with status {}: {}",
            answer.member,
            answer.status,
            text.trim()
        ))
    }

    fn error(code: u8, message: impl Into<String>) -> Self {
        // Two spaces, as in 0.4.
        Self::plain(code, format!("Error:  {}", message.into()))
    }
}

impl From<Error> for Exit {
    fn from(error: Error) -> Self {
        match error {
            // The line of 0.4; --debug shows the causes.
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

/// Printing failed. A closed pipe is not an error: its reader needs no more output.
impl From<io::Error> for Exit {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Self::success()
        } else {
            Self::usage(format!("cannot write to stdout: {error}"))
        }
    }
}
