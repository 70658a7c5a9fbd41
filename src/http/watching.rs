//! Watches: an answer that waits for changes.
//!
//! Nothing is sent ahead of its reader: an event is made into JSON when there is room for it, and until then
//! waits in the watch's own queue, which is bounded; a watch that lags behind it is ended, and its client
//! resumes at the next index.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use super::Pages;
use super::body::{Body, Events, Piece};
use super::reply::{self, Clock, Reply};
use crate::consensus::{StartedWatch, WatchRest};
use crate::store::{Event, Interest};

/// One watch on its way.
struct Watch {
    pages: Arc<Pages>,
    interest: Interest,
    stream: bool,
    past: VecDeque<Arc<Event>>,
    next: WatchRest,
    _counted: Counted,
}

/// Held by each watch that is alive, for the statistics.
struct Counted(Arc<AtomicU64>);

/// Begin to watch; the answer's head is ready at once, its body when something happens. A `silent` watch has
/// no body: it only tells whether it could begin.
pub(super) async fn answer(
    pages: &Arc<Pages>,
    interest: Interest,
    stream: bool,
    since: Option<u64>,
    silent: bool,
) -> Reply {
    let StartedWatch {
        position,
        past,
        rest: next,
    } = match pages.handle.watch(interest.clone(), stream, since).await {
        Ok(watching) => watching,
        Err(refused) => return reply::refused(refused, pages.index()),
    };
    let past = match past {
        Ok(past) => past,
        Err(error) => return reply::error(&error),
    };
    if silent {
        return reply::watching(position, Body::whole(Bytes::new()));
    }
    if !stream && let Some(event) = past.first() {
        // Nothing to wait for: an answer like any other, with a length. Our own client takes an answer
        // without one as the word that there is nothing up to the index in its head.
        let clock = Clock::new(&pages.handle.applied());
        return reply::watching(position, Body::whole(reply::event_json(event, &clock)));
    }
    let watch = Watch {
        pages: pages.clone(),
        interest,
        stream,
        past: past.into(),
        next,
        _counted: Counted::new(&pages.watchers),
    };
    reply::watching(position, Body::events(watch.events()))
}

impl Watch {
    fn events(self) -> Events {
        Box::pin(self.piece())
    }

    async fn piece(mut self) -> Option<Piece> {
        let mut stop = self.pages.policy.stop.clone();
        let event = tokio::select! {
            biased;
            event = self.event() => event?,
            // An end that says it is one: the client resumes elsewhere.
            _ = stop.wait_for(|&stop| stop) => return None,
        };
        let clock = Clock::new(&self.pages.handle.applied());
        let bytes = reply::event_json(&event, &clock);
        let rest = if self.stream {
            self.events()
        } else {
            Box::pin(std::future::ready(None))
        };
        Some(Piece { bytes, rest })
    }

    /// The next event. None when there are no more, or none can be promised to follow without a gap.
    async fn event(&mut self) -> Option<Arc<Event>> {
        loop {
            if let Some(event) = self.past.pop_front() {
                return Some(event);
            }
            let since = match &mut self.next {
                WatchRest::Done => return None,
                WatchRest::MoreHistory(since) => *since,
                WatchRest::Live(live) => match live.next().await {
                    Some(event) => return Some(event),
                    None if self.stream => return None,
                    // Nothing was sent yet, so it can go on as if nothing had happened.
                    None => live.resume_at(),
                },
            };
            let interest = self.interest.clone();
            let watching = self
                .pages
                .handle
                .watch(interest, self.stream, Some(since))
                .await
                .ok()?;
            self.past = watching.past.ok()?.into();
            self.next = watching.rest;
        }
    }
}

impl Counted {
    fn new(watchers: &Arc<AtomicU64>) -> Self {
        watchers.fetch_add(1, Ordering::Relaxed);
        Self(watchers.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
