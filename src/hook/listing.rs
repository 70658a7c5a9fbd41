//! Reading the keys that exist.

use std::sync::Arc;
use std::time::Duration;

use super::ledger::KnownKeys;
use super::relist::{Listing, Selection};
use super::state::Subject;
use crate::client::watch::Change;
use crate::client::{Client, Error, Get, Request};

/// The number of reads of a member whose store is behind; then the store counts as another one.
const READS_MAX: usize = 5;

/// The time between two of these reads.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The API's error code "Key not found".
const NOT_FOUND: u64 = 100;

/// The keys that exist, at an index of at least `at_least` if the store gets there in time.
///
/// # Errors
///
/// [`Error::NoMember`] if no member could be reached, [`Error::Api`] if the API refused the read,
/// [`Error::InvalidResponse`] if the response is not the API's.
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
        tokio::time::sleep(RETRY_AFTER).await;
        listing = read_once(client, subject).await?;
    }
    Ok(listing)
}

/// The keys that exist, oldest first, each as a change with the action `set`, and the index of the store they
/// were read at, which is at least `at_least` if the store gets there in time.
///
/// # Errors
///
/// As for [`read`].
pub(crate) async fn list_changes(
    client: &Client,
    subject: &Subject,
    at_least: u64,
) -> Result<(u64, Vec<Arc<Change>>), Error> {
    let listing = read(client, subject, at_least).await?;
    let items = listing.changes(&KnownKeys::default(), Selection::Changed);
    let changes = items.into_iter().map(|item| item.change);
    Ok((listing.index, changes.collect()))
}

async fn read_once(client: &Client, subject: &Subject) -> Result<Listing, Error> {
    // To a quorum read, etcd 0.4 responds with the key's index instead of the store's.
    let quorum = client.send(&Request::page("/version")).await?.is_oxetcd;
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
