//! Existing directories: read one, or set its TTL.

use super::Exit;
use super::session::Session;
use crate::client::{Answer, ApiError, Error, Get, Put, Request};

/// The API's error code "Not a directory".
const NOT_A_DIRECTORY: u64 = 104;

/// Read the directory at `key`.
///
/// # Errors
///
/// [`Error::Api`] with "Not a directory" if it is a file, or with "Key not found"; the other errors of the client.
pub(super) async fn get(session: &Session, key: &str) -> Result<Answer, Error> {
    let (answer, event) = session.send(&Get::default().request(key)).await?;
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

/// Set the TTL of the directory at `key`, and print the response.
///
/// # Errors
///
/// It is a file, which is checked first, since older servers would clear its value; the errors of the client.
pub(super) async fn refresh(session: &Session, key: &str, ttl: Option<u64>) -> Result<(), Exit> {
    let put = Put {
        directory: true,
        prev_exist: Some(true),
        ttl,
        ..Put::default()
    };
    match get(session, key).await {
        Err(Error::Api(error)) if error.error_code == NOT_A_DIRECTORY => {
            if ttl.is_none() && is_of_0_4(session).await {
                return session.print_directory(&put.request(key)).await;
            }
            Err(error.into())
        }
        // Any other error is the server's response to the change itself.
        Ok(_) | Err(_) => session.print_directory(&put.request(key)).await,
    }
}

/// Whether the server is etcd 0.4, which refuses a write without value and TTL, for files too. A later server
/// clears the file.
async fn is_of_0_4(session: &Session) -> bool {
    let version = session.client.send(&Request::page("/version")).await;
    version.is_ok_and(|page| page.is_success() && page.body.starts_with(b"etcd 0."))
}
