//! What is done to directories that are there.

use super::Exit;
use super::session::Session;
use crate::client::{Answer, ApiError, Error, Get, Put, Request};

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
        Err(Error::Api(error)) if error.error_code == NOT_A_DIRECTORY => {
            if ttl.is_none() && is_of_0_4(session).await {
                return session.directory(&put.request(key)).await;
            }
            Err(error.into())
        }
        // What else is wrong the server says of the change itself.
        Ok(_) | Err(_) => session.directory(&put.request(key)).await,
    }
}

/// Whether the server is of 0.4, which refuses a change that changes nothing, be it of a file. A later one
/// empties the file.
async fn is_of_0_4(session: &Session) -> bool {
    let version = session.client.send(&Request::page("/version")).await;
    version.is_ok_and(|page| page.is_success() && page.body.starts_with(b"etcd 0."))
}
