//! Watches: a response that waits for changes.
//!
//! An event becomes JSON when the connection has room for it, and waits in the watch's bounded queue until then.
//! A watch whose queue overflows is ended, and its client resumes at the next index.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures_util::stream;

use super::Pages;
use super::body::{Body, Chunks};
use super::reply::{self, Clock, Reply};
use crate::consensus::{StartedWatch, WatchRest};
use crate::store::{Event, Interest};

/// One watch.
struct Watch {
    pages: Arc<Pages>,
    interest: Interest,
    stream: bool,
    past: VecDeque<Arc<Event>>,
    next: WatchRest,
    _counted: Counted,
}

/// Counts a watch in the statistics while it lives.
struct Counted(Arc<AtomicU64>);

/// Start a watch. The response's head is sent at once, its body with the first event. A `silent` watch (HEAD) has
/// no body: its head shows whether the watch can start.
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
        // An event is there: send it with a length. This project's client takes a response without a length
        // as the statement that there are no changes up to the index in its head.
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
    reply::watching(position, Body::stream(watch.into_chunks()))
}

impl Watch {
    /// The events as JSON: one, or with `stream` all of them.
    fn into_chunks(self) -> Chunks {
        Box::pin(stream::unfold(
            Some(self),
            |watch: Option<Self>| async move {
                let mut watch = watch?;
                let chunk = watch.next_chunk().await?;
                Some((chunk, watch.stream.then_some(watch)))
            },
        ))
    }

    /// The JSON of the next event; none when the watch ends.
    async fn next_chunk(&mut self) -> Option<Bytes> {
        let mut stop = self.pages.policy.stop.clone();
        let event = tokio::select! {
            biased;
            event = self.next_event() => event?,
            // A regular end of the body: the client resumes at another member.
            _ = stop.wait_for(|&stop| stop) => return None,
        };
        let clock = Clock::new(&self.pages.handle.applied());
        Some(reply::event_json(&event, &clock))
    }

    /// The next event; none when there are no more, or they would have a gap.
    async fn next_event(&mut self) -> Option<Arc<Event>> {
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
                    // Nothing was sent yet, so the watch can be started again.
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
