//! What can go wrong between here and a cluster.

use std::fmt;

use super::ApiError;
use crate::cluster::Address;

/// The API's number for events that are no longer in the history.
const FORGOTTEN: u64 = 401;

/// Why a request has no good answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// No member could be asked; each with the reason. Nothing was done.
    NoMember(Vec<(Address, String)>),
    /// It was sent and no whole answer came: it may or may not have been done.
    Unanswered {
        /// To whom it was sent.
        member: Address,
        /// What went wrong.
        cause: String,
        /// The index the answer began with, if it began.
        index: Option<u64>,
    },
    /// The API says no.
    Api(ApiError),
    /// The answer is not one of this API's.
    Garbage {
        /// Who gave it.
        member: Address,
        /// Its status.
        status: u16,
        /// What is wrong with it.
        cause: String,
    },
}

impl Error {
    /// Whether the API says that the events asked for are no longer in its history (401).
    pub fn is_forgotten(&self) -> bool {
        match self {
            Self::Api(error) => error.error_code == FORGOTTEN,
            Self::NoMember(_) | Self::Unanswered { .. } | Self::Garbage { .. } => false,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoMember(tried) if tried.is_empty() => write!(f, "no member is known"),
            Self::NoMember(tried) => {
                for (place, (member, cause)) in tried.iter().enumerate() {
                    let comma = if place == 0 { "" } else { "; " };
                    write!(f, "{comma}{member}: {cause}")?;
                }
                Ok(())
            }
            Self::Unanswered { member, cause, .. } => {
                write!(f, "{member}: {cause}; it may have happened all the same")
            }
            Self::Api(error) => error.fmt(f),
            Self::Garbage {
                member,
                status,
                cause,
            } => write!(f, "{member}: answered {status}, {cause}"),
        }
    }
}

impl std::error::Error for Error {}
