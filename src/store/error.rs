//! The errors of commands and reads, with the codes of the v2 API.

use std::fmt;

use super::Path;

/// An error of the v2 API. `http` maps it to a status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// The code.
    pub code: Code,
    /// The cause; usually a key.
    pub cause: String,
    /// The store's index at that time.
    pub index: u64,
}

impl Error {
    /// An error about the key `path`, at the store's index `index`.
    pub(super) fn at(code: Code, path: &Path, index: u64) -> Self {
        Self {
            code,
            cause: path.text().to_owned(),
            index,
        }
    }
}

/// The message of the error, its cause and its number.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (message, number) = (self.code.message(), self.code.number());
        write!(
            f,
            "{message} ({}) [{number}, index {}]",
            self.cause, self.index
        )
    }
}

impl std::error::Error for Error {}

/// The codes of the v2 API; the number is the `errorCode` of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Code {
    /// The key does not exist.
    KeyNotFound = 100,
    /// The condition of a compare command did not match.
    TestFailed = 101,
    /// The node is a directory, and a file is required.
    NotFile = 102,
    /// The node is a file, and a directory is required.
    NotDirectory = 104,
    /// The key exists already.
    NodeExists = 105,
    /// The key is one of the cluster itself.
    Reserved = 106,
    /// The root cannot be changed.
    RootReadOnly = 107,
    /// The directory is not empty.
    DirectoryNotEmpty = 108,
    /// A conditional request with an empty `prevValue`.
    PrevValueRequired = 201,
    /// A TTL that is not a whole number of seconds from 0 to 9223372036.
    TtlNotANumber = 202,
    /// An index that is not a number below 2^64.
    IndexNotANumber = 203,
    /// An update without a value and a TTL.
    ValueOrTtlRequired = 204,
    /// A parameter with an invalid value.
    InvalidField = 209,
    /// A request whose form or key cannot be parsed.
    InvalidForm = 210,
    /// `refresh=true` with a value.
    ValueOnRefresh = 211,
    /// `refresh=true` without a TTL.
    TtlRequiredOnRefresh = 212,
    /// The cluster could not process the request: there is no leader, or too many requests are pending.
    RaftInternal = 300,
    /// There is no leader.
    LeaderElection = 301,
    /// The history does not reach back to the requested index.
    EventIndexCleared = 401,
}

impl Code {
    /// The number in answers.
    pub fn number(self) -> u16 {
        self as u16
    }

    /// The message in answers.
    pub fn message(self) -> &'static str {
        match self {
            Self::KeyNotFound => "Key not found",
            Self::TestFailed => "Compare failed",
            Self::NotFile => "Not a file",
            Self::NotDirectory => "Not a directory",
            Self::NodeExists => "Key already exists",
            Self::Reserved => "The prefix of given key is a keyword in etcd",
            Self::RootReadOnly => "Root is read only",
            Self::DirectoryNotEmpty => "Directory not empty",
            Self::PrevValueRequired => "PrevValue is Required in POST form",
            Self::TtlNotANumber => "The given TTL in POST form is not a number",
            Self::IndexNotANumber => "The given index in POST form is not a number",
            Self::ValueOrTtlRequired => "Value or TTL is required in POST form",
            Self::InvalidField => "Invalid field",
            Self::InvalidForm => "Invalid POST form",
            Self::ValueOnRefresh => "Value provided on refresh",
            Self::TtlRequiredOnRefresh => "A TTL must be provided on refresh",
            Self::RaftInternal => "Raft Internal Error",
            Self::LeaderElection => "During Leader Election",
            Self::EventIndexCleared => "The event in requested index is outdated and cleared",
        }
    }
}
