//! What is done to directories that are there.

use super::Exit;
use super::session::Session;
use crate::client::{Answer, ApiError, Error, Get, Put};

/// The API's number for a file where there should be a directory.
const NOT_A_DIRECTORY: u64 = 104;

/// The directory at `key`.
///
/// # Errors
///
/// A file is there, or nothing.
pub(super) async fn look(session: &Session, key: &str) -> Result<Answer, Error> {
    let (answer, event) = session.ask(&Get::default().request(key)).await?;
    if event.node.dir {
        return Ok(answer);
    }
    Err(Error::Api(ApiError {
        error_code: NOT_A_DIRECTORY,
        message: String::from("Not a directory"),
        cause: event.node.key,
        index: answer.index.unwrap_or_default(),
    }))
}

/// Give the directory at `key` a time to live, and print what became of it.
///
/// # Errors
///
/// A file is there. It is looked for first, since older servers would empty it.
pub(super) async fn refresh(session: &Session, key: &str, ttl: Option<u64>) -> Result<(), Exit> {
    let put = Put {
        directory: true,
        prev_exist: Some(true),
        ttl,
        ..Put::default()
    };
    match look(session, key).await {
        Err(Error::Api(error)) if error.error_code == NOT_A_DIRECTORY => Err(error.into()),
        // What else is wrong the server says of the change itself.
        Ok(_) | Err(_) => session.directory(&put.request(key)).await,
    }
}
