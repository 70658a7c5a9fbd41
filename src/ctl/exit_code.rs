//! What `etcdctl` ends with.

/// The arguments will not do.
pub(super) const USAGE: u8 = 1;

/// No member could be reached.
pub(super) const UNREACHABLE: u8 = 2;

/// Why a command did not do what was asked: a sentence on stderr, and the exit code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exit {
    /// The code: 1 for bad usage, 2 when no member could be reached.
    pub code: u8,
    /// The sentence.
    pub message: String,
}

impl Exit {
    /// The arguments will not do.
    pub fn usage(message: impl Into<String>) -> Self {
        Self {
            code: USAGE,
            message: message.into(),
        }
    }

    /// No member could be reached.
    pub fn unreachable(message: impl Into<String>) -> Self {
        Self {
            code: UNREACHABLE,
            message: message.into(),
        }
    }
}
