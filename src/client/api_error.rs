//! The error that the v2 API responds with.

use std::fmt;

use serde::Deserialize;

/// An error of the API.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApiError {
    /// The error code.
    pub error_code: u64,
    /// The message for this code.
    pub message: String,
    /// The key or parameter it is about.
    #[serde(default)]
    pub cause: String,
    /// The store's index.
    #[serde(default)]
    pub index: u64,
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            error_code,
            message,
            cause,
            index,
        } = self;
        write!(f, "{error_code}: {message} ({cause}) [{index}]")
    }
}
