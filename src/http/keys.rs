//! `/v2/keys`: reading, writing and watching.

use std::sync::Arc;

use hyper::body::Incoming;
use hyper::{Method, Request};

use super::params::{Operation, Rejection};
use super::reply::{self, Clock, Reply};
use super::{Pages, body, watching};
use crate::consensus::Written;
use crate::store::{Command, Path};

/// Answer a request for `key`.
pub(super) async fn answer(pages: &Arc<Pages>, key: &str, mut request: Request<Incoming>) -> Reply {
    let operation = match parse(pages, key, &mut request).await {
        Ok(operation) => operation,
        Err(rejection) => return reply::rejected(rejection, pages.index()),
    };
    match operation {
        Operation::Write(command) => write(pages, command).await,
        Operation::Read {
            path,
            recursive,
            hidden,
            linearizable,
        } => {
            if let Err(reply) = wait(pages, linearizable).await {
                return reply;
            }
            read(pages, &path, recursive, hidden)
        }
        Operation::Watch {
            interest,
            stream,
            since,
            linearizable,
        } => {
            if let Err(reply) = wait(pages, linearizable).await {
                return reply;
            }
            let head_only = *request.method() == Method::HEAD;
            watching::answer(pages, interest, stream, since, head_only).await
        }
    }
}

async fn parse(
    pages: &Pages,
    key: &str,
    request: &mut Request<Incoming>,
) -> Result<Operation, Rejection> {
    let path = Path::parse(key).map_err(|error| Rejection::Form(error.to_string()))?;
    let params = body::params(request, &pages.policy.limits).await?;
    params.into_operation(request.method(), path)
}

/// If `linearizable`, wait until everything committed before is applied here.
async fn wait(pages: &Pages, linearizable: bool) -> Result<(), Reply> {
    if !linearizable {
        return Ok(());
    }
    let waited = pages.handle.barrier().await;
    waited.map_err(|refused| reply::refused(refused, pages.index()))
}

fn read(pages: &Pages, path: &Path, recursive: bool, hidden: bool) -> Reply {
    let (found, position, clock) = {
        let view = pages.handle.applied();
        (view.store.get(path), view.position(), Clock::new(&view))
    };
    match found {
        Ok(found) => {
            let listing = found.with_hidden(hidden).listing(recursive, clock.now());
            reply::listing(&listing, position, &clock)
        }
        Err(error) => reply::error(&error),
    }
}

async fn write(pages: &Pages, command: Command) -> Reply {
    match pages.handle.write(command).await {
        Ok(Written {
            result: Ok(event),
            position,
        }) => {
            let clock = Clock::new(&pages.handle.applied());
            reply::changed(&event, position, &clock)
        }
        Ok(Written {
            result: Err(error),
            position: _,
        }) => reply::error(&error),
        Err(refused) => reply::refused(refused, pages.index()),
    }
}
