//! One watch that runs its command for each change: carries out what `queue` and `ledger` decide.

use std::collections::VecDeque;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};

use super::PrintLine;
use super::command::{self, Outcome};
use super::environment;
use super::ledger::{KeyUpdate, Ledger};
use super::listing;
use super::notify::Notify;
use super::plan::{OnFailure, Plan};
use super::queue::{Completion, Item, Queue};
use super::relist::{Listing, Selection};
use super::saver::{Saved, Saver};
use super::shutdown::Stage;
use super::state::{self, Loaded, State, StateError};
use crate::client::watch::{Watch, WatchEvent, WatchSubject};
use crate::client::{Client, Error};

/// The delay before a watch or a read is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Why a watch ended before the shutdown.
#[derive(Debug)]
pub(crate) enum RunError {
    /// The cluster cannot be reached, or refused the watch.
    Cluster(Error),
    /// The state file cannot be used.
    State(StateError),
    /// The task of the watch panicked.
    Lost(JoinError),
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cluster(error) => error.fmt(f),
            Self::State(error) => error.fmt(f),
            Self::Lost(error) => write!(f, "watch failed: {error}"),
        }
    }
}

/// The source of changes.
enum Source {
    Watch(Watch),
    /// The tree is read once every change so far is handled.
    Relist,
    /// A watch is started at this time.
    Retry(Instant),
}

struct Run {
    plan: Plan,
    client: Arc<Client>,
    notify: Rc<Notify>,
    stage: watch::Receiver<Stage>,
    print: PrintLine,
    queue: Queue,
    ledger: Ledger,
    saver: Saver,
    source: Source,
    /// Changes that were listed and are not in the queue yet.
    backlog: VecDeque<Item>,
    running: JoinSet<(String, Outcome)>,
    /// The exit code, once no more commands are started.
    exit_code: Option<u8>,
    /// Whether the last line about the members reported them as lost.
    lost: bool,
}

/// Watch, and run the command for each change, until the shutdown or a failure that ends the watch. Returns the
/// exit code.
///
/// # Errors
///
/// [`RunError::State`] if the state file cannot be used or, at the end, written; [`RunError::Cluster`] if the
/// API refuses the watch, or if `exec-watch` cannot read the tree at its start.
pub(super) async fn run(
    plan: Plan,
    client: Arc<Client>,
    stage: watch::Receiver<Stage>,
    notify: Rc<Notify>,
    print: PrintLine,
) -> Result<u8, RunError> {
    let (state, ledger) = match &plan.state {
        Some(path) => {
            let (state, loaded) = State::open(path, &plan.subject).map_err(RunError::State)?;
            (Some(state), restore(&plan, loaded, print)?)
        }
        None => (None, None),
    };
    let mut run = Run {
        queue: Queue::new(plan.rules),
        saver: Saver::new(plan.subject.clone(), state),
        plan,
        client,
        notify,
        stage,
        print,
        ledger: Ledger::default(),
        source: Source::Relist,
        backlog: VecDeque::new(),
        running: JoinSet::new(),
        exit_code: None,
        lost: false,
    };
    if let Err(missing) = run.plan.spec.check() {
        run.print(&format!("warning: {missing}"));
    }
    let mut stage = run.stage.clone();
    tokio::select! {
        started = run.start(ledger) => started.map_err(RunError::Cluster)?,
        // No command was started, so there is nothing to save.
        _ = stage.wait_for(|stage| *stage >= Stage::Stopping) => return Ok(0),
    }
    run.notify.mark_started();
    run.run_until_stopped(stage).await
}

/// The ledger of a state file. If a hook's key was changed, its state starts from the beginning; for
/// `exec-watch` the wrong file may be a typing mistake.
fn restore(plan: &Plan, loaded: Loaded, print: PrintLine) -> Result<Option<Ledger>, RunError> {
    let found = match loaded {
        Loaded::Missing => return Ok(None),
        Loaded::Ledger(ledger) => return Ok(Some(ledger)),
        Loaded::OtherSubject(found) => found,
    };
    let path = plan.state.clone().unwrap_or_default();
    let subject = plan.subject.clone();
    match &plan.name {
        Some(name) => {
            let text = format!(
                "{} is the state of a watch of {found}, not of {subject}; starting from the current state",
                path.display()
            );
            print(Some(name), &text);
            Ok(None)
        }
        None => Err(RunError::State(StateError::OtherSubject(
            path, found, subject,
        ))),
    }
}

impl Run {
    /// Determine the index to watch from, and the changes to run for first.
    async fn start(&mut self, ledger: Option<Ledger>) -> Result<(), Error> {
        let resumes = ledger.is_some();
        if let Some(ledger) = ledger {
            self.ledger = ledger;
            if !self.plan.initial {
                self.watch_from(self.ledger.handled().saturating_add(1));
                return Ok(());
            }
        }
        let listing = self.list(self.ledger.taken()).await?;
        if self.plan.initial {
            self.enqueue_listing(&listing, Selection::All);
        } else if !resumes {
            let from = self.plan.after.unwrap_or(listing.index);
            self.ledger = Ledger::new(from, [], listing.known_at(from));
            self.watch_from(from.saturating_add(1));
        }
        Ok(())
    }

    async fn run_until_stopped(
        &mut self,
        mut stage: watch::Receiver<Stage>,
    ) -> Result<u8, RunError> {
        loop {
            self.start_due();
            self.saver.start(&self.ledger);
            if let Some(code) = self.exit_code
                && self.running.is_empty()
                && self.saver.is_idle()
            {
                let finished = self.saver.finish(&self.ledger);
                return finished
                    .map(|()| code)
                    .map_err(|error| RunError::State(StateError::Write(error)));
            }
            let due = self.queue.due_at(Instant::now());
            let accepts_events = self.accepts_events();
            tokio::select! {
                Some(ended) = self.running.join_next() => self.handle_exit(ended),
                saved = self.saver.saved() => self.handle_saved(saved),
                event = next(&mut self.source), if accepts_events => {
                    self.handle_event(event).map_err(RunError::Cluster)?;
                }
                listing = list_until_success(&self.client, &self.plan, self.ledger.taken(), self.print),
                    if self.may_relist() => self.handle_listing(listing),
                () = sleep_until(due), if self.exit_code.is_none() => {}
                _ = stage.wait_for(|stage| *stage >= Stage::Stopping), if self.exit_code.is_none() => {
                    self.exit_code = Some(0);
                }
            }
        }
    }

    /// Start every command that may start now.
    fn start_due(&mut self) {
        if self.exit_code.is_some() {
            return;
        }
        while self.queue.has_room()
            && let Some(item) = self.backlog.pop_front()
        {
            self.queue.push(item, Instant::now());
        }
        while let Some(job) = self.queue.start(Instant::now()) {
            if job.failures == 0 {
                for (name, reason) in environment::variables(&job.change).left_out {
                    self.print(&format!("{}: {name} not set: {reason}", job.key));
                }
            }
            let (spec, stage) = (Arc::clone(&self.plan.spec), self.stage.clone());
            self.running.spawn(async move {
                let outcome = command::run(spec, job.change, stage).await;
                (job.key, outcome)
            });
        }
    }

    /// Whether another event may be taken now.
    fn accepts_events(&self) -> bool {
        self.exit_code.is_none() && self.backlog.is_empty() && self.queue.has_room()
    }

    /// Whether the tree is to be read now.
    fn may_relist(&self) -> bool {
        matches!(self.source, Source::Relist)
            && self.exit_code.is_none()
            && self.backlog.is_empty()
            && self.queue.is_empty()
    }

    fn handle_event(&mut self, event: Option<Result<WatchEvent, Error>>) -> Result<(), Error> {
        match event {
            None => self.watch_from(self.ledger.taken().saturating_add(1)),
            Some(Ok(WatchEvent::Change(change))) => {
                let position = change.event.node.modified_index;
                if self.ledger.take(position) {
                    self.queue.push(Item { position, change }, Instant::now());
                }
            }
            Some(Ok(WatchEvent::Progress { index })) => {
                self.ledger.skip_to(index);
                self.saver.add(&state::format_handled(&self.ledger), None);
            }
            Some(Ok(WatchEvent::Established {
                member,
                index,
                since,
                ..
            })) => {
                if std::mem::take(&mut self.lost) {
                    self.print(&format!("watch re-established at {member}"));
                }
                self.update_status();
                if index.saturating_add(1) < since {
                    self.print(&format!(
                        "{member} is at index {index}, below {since}: its store may have been replaced"
                    ));
                    self.source = Source::Relist;
                }
            }
            Some(Ok(WatchEvent::Lost { cause })) => {
                if !std::mem::replace(&mut self.lost, true) {
                    self.print(&format!("watch interrupted ({cause}); trying all members"));
                }
            }
            Some(Err(error)) if error.is_history_cleared() => {
                self.print(&format!("{error}; reading all keys"));
                self.source = Source::Relist;
            }
            Some(Err(error @ (Error::NoMember(_) | Error::NoResponse { .. }))) => {
                if !std::mem::replace(&mut self.lost, true) {
                    self.print(&format!("no member can be watched ({error}); retrying"));
                }
                self.source = Source::Retry(Instant::now() + RETRY_AFTER);
            }
            Some(Err(error)) => return Err(error),
        }
        Ok(())
    }

    fn handle_listing(&mut self, listing: Listing) {
        if listing.index < self.ledger.taken() {
            self.print("the store was replaced: its index is lower than before");
            // Until all of the listing is handled, no position of the new store may count as handled.
            self.ledger.restart_at(0);
        }
        self.enqueue_listing(&listing, Selection::Changed);
        let count = self.backlog.len();
        self.print(&format!(
            "read all keys at index {}: {count} changes",
            listing.index
        ));
    }

    /// Queue the changes of a listing, and watch from its index on.
    fn enqueue_listing(&mut self, listing: &Listing, selection: Selection) {
        let items = listing.changes(self.ledger.known(), selection);
        if listing.index <= self.ledger.handled() {
            self.ledger.restart_at(listing.index.saturating_sub(1));
        }
        for item in &items {
            self.ledger.take(item.position);
        }
        self.ledger.skip_to(listing.index);
        self.saver.request_rewrite();
        self.backlog = items.into();
        self.watch_from(listing.index.saturating_add(1));
    }

    fn watch_from(&mut self, since: u64) {
        let subject = WatchSubject {
            key: self.plan.subject.key.clone(),
            recursive: self.plan.subject.recursive,
            since: Some(since),
        };
        self.source = Source::Watch(Watch::start(Arc::clone(&self.client), subject));
    }

    /// The keys that exist. A hook retries until they can be read; `exec-watch` reports the error.
    async fn list(&self, at_least: u64) -> Result<Listing, Error> {
        if self.plan.name.is_some() {
            return Ok(list_until_success(&self.client, &self.plan, at_least, self.print).await);
        }
        listing::read(&self.client, &self.plan.subject, at_least).await
    }

    fn handle_exit(&mut self, ended: Result<(String, Outcome), JoinError>) {
        let (key, outcome) = match ended {
            Ok(ended) => ended,
            Err(error) => {
                // A task that runs a command neither panics nor is aborted.
                self.print(&format!("task of a command failed: {error}"));
                self.exit_code = Some(1);
                return;
            }
        };
        let name = self.plan.spec.name();
        if outcome == Outcome::Stopped {
            self.print(&format!("{key}: {name} {outcome}"));
            return;
        }
        match self
            .queue
            .complete(&key, outcome.is_success(), Instant::now())
        {
            Completion::Handled(items) => self.mark_handled(key, &items),
            Completion::Retry(delay) => {
                let seconds = delay.as_secs();
                self.print(&format!("{key}: {name} {outcome}; retrying in {seconds} s"));
            }
            Completion::Failed(items) => self.handle_failure(key, &items, &outcome),
        }
    }

    fn handle_failure(&mut self, key: String, items: &[Item], outcome: &Outcome) {
        let has_exited = matches!(outcome, Outcome::Exited(_));
        if !has_exited || self.plan.prints_codes {
            self.print(&format!("{key}: {} {outcome}", self.plan.spec.name()));
        }
        let was_started = !matches!(outcome, Outcome::NotStarted { .. });
        match self.plan.on_failure {
            OnFailure::Stop => self.exit_code = Some(outcome.code()),
            OnFailure::Unset if !was_started => self.exit_code = Some(1),
            OnFailure::Unset | OnFailure::Continue => self.mark_handled(key, items),
        }
    }

    fn mark_handled(&mut self, key: String, items: &[Item]) {
        let mut lines = String::new();
        for item in items {
            let update = KeyUpdate::from_change(&item.change);
            self.ledger.complete(item.position, &update);
            lines.push_str(&state::format_change(item.position, &update, &self.ledger));
        }
        if self.saver.is_off() {
            self.queue.settle(&key);
        } else {
            self.saver.add(&lines, Some(key));
        }
        self.update_status();
    }

    fn handle_saved(&mut self, saved: Saved) {
        match saved {
            Saved::Keys(keys) => {
                for key in keys {
                    self.queue.settle(&key);
                }
            }
            // The last attempt is made at the very end.
            Saved::Failed(_) if self.exit_code.is_some() => self.saver.cancel(),
            Saved::Failed(error) => {
                self.print(&format!("cannot save the state, retrying: {error}"));
            }
        }
    }

    /// Update the status line in systemd.
    fn update_status(&self) {
        let key = &self.plan.subject.key;
        let handled = self.ledger.handled();
        let status = format!("watching {key}, handled up to index {handled}");
        self.notify
            .set_status(self.plan.name.as_deref().unwrap_or_default(), status);
    }

    fn print(&self, text: &str) {
        (self.print)(self.plan.name.as_deref(), text);
    }
}

/// The next event; none when a watch is to be started.
async fn next(source: &mut Source) -> Option<Result<WatchEvent, Error>> {
    match source {
        Source::Watch(watch) => Some(watch.next().await),
        Source::Relist => std::future::pending().await,
        Source::Retry(at) => {
            tokio::time::sleep_until((*at).into()).await;
            None
        }
    }
}

/// The keys that exist, as soon as they can be read.
async fn list_until_success(
    client: &Client,
    plan: &Plan,
    at_least: u64,
    print: PrintLine,
) -> Listing {
    let mut printed = false;
    loop {
        match listing::read(client, &plan.subject, at_least).await {
            Ok(listing) => return listing,
            Err(error) => {
                if !std::mem::replace(&mut printed, true) {
                    let text = format!("cannot read the keys ({error}); retrying");
                    print(plan.name.as_deref(), &text);
                }
                tokio::time::sleep(RETRY_AFTER).await;
            }
        }
    }
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}
