//! The errors of a client.

use std::fmt;
use std::time::Duration;

use super::api_error::ApiError;
use crate::cluster::Address;
use crate::net::ConnectError;

/// The API's error code for events that are no longer in the event history.
const HISTORY_CLEARED: u64 = 401;

/// Why a request has no successful response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// No member received the request; the cause for each. Nothing was done.
    NoMember(Vec<(Address, Cause)>),
    /// The request was sent and no complete response came: it may or may not have been done.
    NoResponse {
        /// The member.
        member: Address,
        /// What went wrong.
        cause: Box<Cause>,
        /// The store's index in the headers of the response, if they came.
        index: Option<u64>,
    },
    /// The API refused the request.
    Api(ApiError),
    /// The response is not one of the v2 API.
    InvalidResponse {
        /// The member.
        member: Address,
        /// The response's status.
        status: u16,
        /// What is wrong with it.
        cause: String,
    },
}

/// Why one member gave no usable response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// No connection was opened.
    Connect(ConnectError),
    /// No response within this time.
    Timeout(Duration),
    /// The connection failed before a response; the HTTP library's message.
    Connection(String),
    /// The response ended early; the HTTP library's message.
    Interrupted(String),
    /// The request's target is not a valid URI.
    Target(String),
    /// A redirect to this location, which is not valid.
    BadRedirect(String),
    /// More redirects than are followed.
    TooManyRedirects,
    /// The response to `/v2/machines` has this status.
    NoMembers(u16),
    /// The response to `/v2/machines` has this entry, and what is wrong with it.
    BadMember(String, String),
    /// The response is not one of the v2 API.
    NotTheApi,
    /// The response has this status and no error of the API.
    Status(u16),
    /// The API refused the request for now.
    Api(ApiError),
    /// The response to a watch is not an event; the parser's message.
    NotAnEvent(String),
    /// The member sent an event that it had sent before.
    RepeatedEvent,
}

/// Why a request to one member failed, and how far it got.
pub(super) struct Failure {
    /// Whether the member may have received the request.
    pub(super) sent: bool,
    /// What went wrong.
    pub(super) cause: Cause,
    /// The store's index, if the response's headers came.
    pub(super) index: Option<u64>,
}

impl Failure {
    /// The member did not receive the request.
    pub(super) fn unsent(cause: Cause) -> Self {
        Self {
            sent: false,
            cause,
            index: None,
        }
    }

    /// The member may have received the request.
    pub(super) fn sent(cause: Cause) -> Self {
        Self {
            sent: true,
            ..Self::unsent(cause)
        }
    }
}

impl Error {
    /// Whether the API reports that the requested events are no longer in its history (401).
    pub fn is_history_cleared(&self) -> bool {
        match self {
            Self::Api(error) => error.error_code == HISTORY_CLEARED,
            Self::NoMember(_) | Self::NoResponse { .. } | Self::InvalidResponse { .. } => false,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoMember(tried) if tried.is_empty() => write!(f, "no member is known"),
            Self::NoMember(tried) => {
                for (index, (member, cause)) in tried.iter().enumerate() {
                    let separator = if index == 0 { "" } else { "; " };
                    write!(f, "{separator}{member}: {cause}")?;
                }
                Ok(())
            }
            Self::NoResponse { member, cause, .. } => {
                write!(f, "{member}: {cause}; the request may have been executed")
            }
            Self::Api(error) => error.fmt(f),
            Self::InvalidResponse {
                member,
                status,
                cause,
            } => write!(
                f,
                "{member}: invalid response with status {status}: {cause}"
            ),
        }
    }
}

impl std::error::Error for Error {}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(error) => error.fmt(f),
            Self::Timeout(limit) => write!(f, "no response within {} s", limit.as_secs_f64()),
            Self::Connection(error) => write!(f, "connection failed: {error}"),
            Self::Interrupted(error) => write!(f, "response interrupted: {error}"),
            Self::Target(target) => write!(f, "{target:?} is not a valid request target"),
            Self::BadRedirect(location) => write!(f, "redirected to {location:?}, not a valid URL"),
            Self::TooManyRedirects => write!(f, "too many redirects"),
            Self::NoMembers(status) => {
                write!(
                    f,
                    "status {status} in response to a request for the members"
                )
            }
            Self::BadMember(url, problem) => write!(f, "listed a member {url:?}, which {problem}"),
            Self::NotTheApi => write!(f, "not a server of the v2 API"),
            Self::Status(status) => write!(f, "response with status {status}"),
            Self::Api(error) => error.fmt(f),
            Self::NotAnEvent(error) => write!(f, "response to a watch is not an event: {error}"),
            Self::RepeatedEvent => write!(f, "an event was sent twice"),
        }
    }
}
