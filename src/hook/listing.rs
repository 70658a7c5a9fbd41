//! Reading what is there.

use std::time::Duration;

use super::relist::Listing;
use super::state::Subject;
use crate::client::{Client, Error, Get, Request};

/// How often a member that lags is read again; then its store is taken for another one.
const READS_MAX: usize = 5;

/// How long to wait before that.
const READ_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// The API's number for a key that is not there.
const NOT_FOUND: u64 = 100;

/// What is there, as of an index that is not below `at_least`, unless the store never gets there.
///
/// # Errors
///
/// The client's, or the API's.
pub(super) async fn read(
    client: &Client,
    subject: &Subject,
    at_least: u64,
) -> Result<Listing, Error> {
    let mut listing = read_once(client, subject).await?;
    for _ in 1..READS_MAX {
        if listing.index >= at_least {
            break;
        }
        tokio::time::sleep(READ_AGAIN_AFTER).await;
        listing = read_once(client, subject).await?;
    }
    Ok(listing)
}

async fn read_once(client: &Client, subject: &Subject) -> Result<Listing, Error> {
    // With a quorum a server of etcd 0.4 gives the key's own index and not the store's.
    let quorum = client.send(&Request::page("/version")).await?.ours;
    let get = Get {
        recursive: subject.recursive,
        quorum,
        ..Get::default()
    };
    let answer = client.send(&get.request(&subject.key)).await?;
    match answer.event() {
        Ok(event) => {
            let index = answer.index.unwrap_or(event.node.modified_index);
            Ok(Listing::new(index, Some(event.node), subject.recursive))
        }
        Err(Error::Api(error)) if error.error_code == NOT_FOUND => {
            Ok(Listing::new(error.index, None, subject.recursive))
        }
        Err(error) => Err(error),
    }
}
