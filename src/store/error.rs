//! What can be wrong with a command or a read, in the API's own codes.

use std::fmt;

use super::Path;

/// An error of the v2 API that the store can give. HTTP status numbers are `http`'s business.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// Which error.
    pub code: Code,
    /// What it is about: mostly a key.
    pub cause: String,
    /// The store's index when it happened.
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

/// The error's sentence, its cause and its number.
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

/// The codes of the v2 API; the number is what clients see as `errorCode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Code {
    /// Nothing is there.
    KeyNotFound = 100,
    /// A compare did not match.
    TestFailed = 101,
    /// A directory where a file was needed.
    NotFile = 102,
    /// A file where a directory was needed.
    NotDirectory = 104,
    /// Something is there already.
    NodeExists = 105,
    /// The key belongs to the cluster itself.
    Reserved = 106,
    /// The root cannot be changed.
    RootReadOnly = 107,
    /// The directory still holds something.
    DirectoryNotEmpty = 108,
    /// A conditional request with an empty `prevValue`.
    PrevValueRequired = 201,
    /// A TTL that is no whole number of seconds from 0 to 9223372036.
    TtlNotANumber = 202,
    /// An index that is no number below 2^64.
    IndexNotANumber = 203,
    /// An update that changes nothing.
    ValueOrTtlRequired = 204,
    /// A parameter with a value it does not take.
    InvalidField = 209,
    /// A request that could not be read as a form or as a key.
    InvalidForm = 210,
    /// `refresh=true` with a value.
    ValueOnRefresh = 211,
    /// `refresh=true` without a TTL.
    TtlRequiredOnRefresh = 212,
    /// The cluster could not do it: no leader, or too much to do.
    RaftInternal = 300,
    /// Nobody leads.
    LeaderElection = 301,
    /// The history a watch asks for is gone.
    EventIndexCleared = 401,
}

impl Code {
    /// The number clients see.
    pub fn number(self) -> u16 {
        self as u16
    }

    /// The sentence clients see.
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
