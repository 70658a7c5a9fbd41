//! One watch that runs its command for each change: what is decided elsewhere is done here.

use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};

use super::command::{self, Outcome, Stage};
use super::environment;
use super::ledger::{Effect, Ledger};
use super::listing;
use super::notify::Notify;
use super::plan::{OnFailure, Plan};
use super::queue::{Item, Queue, Verdict};
use super::relist::{Listing, Told};
use super::saver::{Saved, Saver};
use super::state::{self, Found, State};
use crate::client::watch::{Heard, Watch, Watched};
use crate::client::{Client, Error};

/// How long to wait before watching again when the server would not.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Why a watch ended before it was told to.
pub(crate) enum Fault {
    /// The cluster cannot be reached, or says no.
    Cluster(Error),
    /// The state file will not do.
    State(String),
}

/// Where changes come from.
enum Source {
    Watch(Watch),
    /// The tree is read once all changes so far are handled.
    Drain,
    /// A watch, from then on.
    Later(Instant),
}

struct Run {
    plan: Plan,
    client: Arc<Client>,
    notify: Rc<Notify>,
    stage: watch::Receiver<Stage>,
    queue: Queue,
    ledger: Ledger,
    saver: Saver,
    source: Source,
    /// Changes that were found and are not in the queue yet.
    backlog: VecDeque<Item>,
    running: JoinSet<(String, Outcome)>,
    /// The exit code, once no more commands are begun.
    ending: Option<u8>,
    /// Whether the last thing said of the members is that they are lost.
    lost: bool,
}

/// Watch and run until told to stop, or until a failure that stops it. Gives the exit code.
///
/// # Errors
///
/// See [`Fault`].
pub(crate) async fn run(
    plan: Plan,
    client: Arc<Client>,
    stage: watch::Receiver<Stage>,
    notify: Rc<Notify>,
) -> Result<u8, Fault> {
    let (state, saved) = match &plan.state {
        Some(path) => {
            let (state, found) = State::open(path, &plan.subject).map_err(Fault::State)?;
            (Some(state), saved(&plan, found)?)
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
        ledger: Ledger::default(),
        source: Source::Drain,
        backlog: VecDeque::new(),
        running: JoinSet::new(),
        ending: None,
        lost: false,
    };
    if let Some(why) = run.plan.spec.missing() {
        run.say(&why);
    }
    let mut stage = run.stage.clone();
    tokio::select! {
        begun = run.begin(saved) => begun.map_err(Fault::Cluster)?,
        // Nothing was begun, so nothing needs to be saved.
        _ = stage.wait_for(|stage| *stage >= Stage::Drain) => return Ok(0),
    }
    run.notify.begun();
    run.go_on(stage).await
}

/// What a state file says. A hook whose key was changed begins anew; what was typed may be a mistake.
fn saved(plan: &Plan, found: Found) -> Result<Option<Ledger>, Fault> {
    match (found, &plan.name) {
        (Found::Nothing, _) => Ok(None),
        (Found::Ledger(ledger), _) => Ok(Some(ledger)),
        (Found::OfAnother(text), Some(name)) => {
            super::say(Some(name), &format!("{text}; beginning anew"));
            Ok(None)
        }
        (Found::OfAnother(text), None) => Err(Fault::State(format!(
            "{text}; remove it, or name another file"
        ))),
    }
}

impl Run {
    /// Find out from where on to watch, and what to run for first.
    async fn begin(&mut self, saved: Option<Ledger>) -> Result<(), Error> {
        let resumes = saved.is_some();
        if let Some(saved) = saved {
            self.ledger = saved;
            if !self.plan.initial {
                self.watch_from(self.ledger.handled().saturating_add(1));
                return Ok(());
            }
        }
        let listing = self.list(self.ledger.taken()).await?;
        if self.plan.initial {
            self.run_for(&listing, Told::All);
        } else if !resumes {
            let from = self.plan.after.unwrap_or(listing.index);
            self.ledger = Ledger::new(from, [], listing.known_at(from));
            self.watch_from(from.saturating_add(1));
        }
        Ok(())
    }

    async fn go_on(&mut self, mut stage: watch::Receiver<Stage>) -> Result<u8, Fault> {
        loop {
            self.start_due();
            self.saver.begin(&self.ledger);
            if let Some(code) = self.ending
                && self.running.is_empty()
                && self.saver.is_idle()
            {
                let finished = self.saver.finish(&self.ledger);
                return finished.map(|()| code).map_err(|error| {
                    Fault::State(format!("the state could not be saved: {error}"))
                });
            }
            let due = self.queue.due_at(Instant::now());
            let hears = self.hears();
            tokio::select! {
                Some(ended) = self.running.join_next() => self.ended(ended),
                saved = self.saver.saved() => self.saved(saved),
                heard = next(&mut self.source), if hears => self.hear(heard).map_err(Fault::Cluster)?,
                listing = reread(&self.client, &self.plan, self.ledger.taken()), if self.rereads() => {
                    self.reread(listing);
                }
                () = until(due), if self.ending.is_none() => {}
                _ = stage.wait_for(|stage| *stage >= Stage::Drain), if self.ending.is_none() => {
                    self.ending = Some(0);
                }
            }
        }
    }

    /// Begin what may begin now.
    fn start_due(&mut self) {
        if self.ending.is_some() {
            return;
        }
        while self.queue.has_room()
            && let Some(item) = self.backlog.pop_front()
        {
            self.queue.put(item, Instant::now());
        }
        while let Some(job) = self.queue.start(Instant::now()) {
            if job.failures == 0 {
                for (name, why) in environment::variables(&job.change).left_out {
                    self.say(&format!("{}: {name} is not set: {why}", job.key));
                }
            }
            let (spec, stage) = (Arc::clone(&self.plan.spec), self.stage.clone());
            self.running.spawn(async move {
                let outcome = command::run(spec, job.change, stage).await;
                (job.key, outcome)
            });
        }
    }

    /// Whether another change may be heard now.
    fn hears(&self) -> bool {
        self.ending.is_none() && self.backlog.is_empty() && self.queue.has_room()
    }

    /// Whether the tree is to be read now.
    fn rereads(&self) -> bool {
        matches!(self.source, Source::Drain)
            && self.ending.is_none()
            && self.backlog.is_empty()
            && self.queue.is_empty()
    }

    fn hear(&mut self, heard: Option<Result<Heard, Error>>) -> Result<(), Error> {
        match heard {
            None => self.watch_from(self.ledger.taken().saturating_add(1)),
            Some(Ok(Heard::Change(change))) => {
                let position = change.event.node.modified_index;
                if self.ledger.take(position) {
                    self.queue.put(Item { position, change }, Instant::now());
                }
            }
            Some(Ok(Heard::Quiet { index })) => {
                self.ledger.skip_to(index);
                self.saver.add(&state::position(&self.ledger), None);
            }
            Some(Ok(Heard::Established {
                member,
                index,
                since,
                ..
            })) => {
                if std::mem::take(&mut self.lost) {
                    self.say(&format!("watching again, at {member}"));
                }
                self.show();
                if index.saturating_add(1) < since {
                    self.say(&format!(
                        "{member} is at index {index}, before {since}: its store may be another one"
                    ));
                    self.source = Source::Drain;
                }
            }
            Some(Ok(Heard::Lost { cause })) => {
                if !std::mem::replace(&mut self.lost, true) {
                    self.say(&format!(
                        "the watch broke off ({cause}); trying all members"
                    ));
                }
            }
            Some(Err(error)) if error.is_forgotten() => {
                self.say(&format!("{error}; reading all there is"));
                self.source = Source::Drain;
            }
            Some(Err(error @ (Error::NoMember(_) | Error::Unanswered { .. }))) => {
                if !std::mem::replace(&mut self.lost, true) {
                    self.say(&format!("no member can be watched ({error}); trying again"));
                }
                self.source = Source::Later(Instant::now() + AGAIN_AFTER);
            }
            Some(Err(error)) => return Err(error),
        }
        Ok(())
    }

    fn reread(&mut self, listing: Listing) {
        if listing.index < self.ledger.taken() {
            self.say("the store is another one than before");
            // Whatever comes in between, nothing may be taken for handled until all of this is.
            self.ledger.restart_at(0);
        }
        self.run_for(&listing, Told::Changed);
        let found = self.backlog.len();
        self.say(&format!(
            "as of index {}: {found} changes to run for",
            listing.index
        ));
    }

    /// Take what a reading of the tree tells, and watch on from there.
    fn run_for(&mut self, listing: &Listing, told: Told) {
        let items = listing.changes(self.ledger.known(), told);
        if listing.index <= self.ledger.handled() {
            self.ledger.restart_at(listing.index.saturating_sub(1));
        }
        for item in &items {
            self.ledger.take(item.position);
        }
        self.ledger.skip_to(listing.index);
        self.saver.write_anew();
        self.backlog = items.into();
        self.watch_from(listing.index.saturating_add(1));
    }

    fn watch_from(&mut self, since: u64) {
        let watched = Watched {
            key: self.plan.subject.key.clone(),
            recursive: self.plan.subject.recursive,
            since: Some(since),
        };
        self.source = Source::Watch(Watch::start(Arc::clone(&self.client), watched));
    }

    /// What is there. A hook waits until it can be read; what was typed is answered.
    async fn list(&self, at_least: u64) -> Result<Listing, Error> {
        if self.plan.name.is_some() {
            return Ok(reread(&self.client, &self.plan, at_least).await);
        }
        listing::read(&self.client, &self.plan.subject, at_least).await
    }

    fn ended(&mut self, ended: Result<(String, Outcome), JoinError>) {
        let (key, outcome) = match ended {
            Ok(ended) => ended,
            Err(error) => {
                // A task that runs a command neither panics nor is aborted.
                self.say(&format!("a command was lost: {error}"));
                self.ending = Some(1);
                return;
            }
        };
        if outcome == Outcome::Stopped {
            self.say(&format!("{key}: {} {outcome}", self.plan.spec.name()));
            return;
        }
        match self.queue.ended(&key, outcome.is_success(), Instant::now()) {
            Verdict::Handled(items) => self.handled(key, &items),
            Verdict::Again(pause) => {
                let name = self.plan.spec.name();
                let seconds = pause.as_secs();
                self.say(&format!("{key}: {name} {outcome}; again in {seconds} s"));
            }
            Verdict::Failed(items) => self.failed(key, &items, &outcome),
        }
    }

    fn failed(&mut self, key: String, items: &[Item], outcome: &Outcome) {
        let by_itself = matches!(outcome, Outcome::Exited(_));
        if !by_itself || self.plan.says_codes {
            self.say(&format!("{key}: {} {outcome}", self.plan.spec.name()));
        }
        let never_began = matches!(outcome, Outcome::NotStarted { .. });
        match self.plan.on_failure {
            OnFailure::Stop => self.ending = Some(outcome.code()),
            OnFailure::Unset if never_began => self.ending = Some(1),
            OnFailure::Unset | OnFailure::Continue => self.handled(key, items),
        }
    }

    fn handled(&mut self, key: String, items: &[Item]) {
        let mut lines = String::new();
        for item in items {
            let effect = Effect::of(&item.change);
            self.ledger.done(item.position, &effect);
            lines.push_str(&state::line(item.position, &effect, &self.ledger));
        }
        if self.saver.is_off() {
            self.queue.settle(&key);
        } else {
            self.saver.add(&lines, Some(key));
        }
        self.show();
    }

    fn saved(&mut self, saved: Saved) {
        match saved {
            Saved::Keys(keys) => {
                for key in keys {
                    self.queue.settle(&key);
                }
            }
            // It is tried a last time at the very end.
            Saved::Failed(_) if self.ending.is_some() => self.saver.give_up(),
            Saved::Failed(error) => {
                self.say(&format!(
                    "the state could not be saved, trying again: {error}"
                ));
            }
        }
    }

    /// Tell systemd how far it is.
    fn show(&self) {
        let key = &self.plan.subject.key;
        let handled = self.ledger.handled();
        let status = format!("watching {key}, all handled up to index {handled}");
        self.notify
            .status(self.plan.name.as_deref().unwrap_or_default(), status);
    }

    fn say(&self, text: &str) {
        super::say(self.plan.name.as_deref(), text);
    }
}

/// What comes next; nothing when a watch is to be started.
async fn next(source: &mut Source) -> Option<Result<Heard, Error>> {
    match source {
        Source::Watch(watch) => Some(watch.next().await),
        Source::Drain => std::future::pending().await,
        Source::Later(at) => {
            tokio::time::sleep_until((*at).into()).await;
            None
        }
    }
}

/// The tree, whenever it can be read.
async fn reread(client: &Client, plan: &Plan, at_least: u64) -> Listing {
    let mut said = false;
    loop {
        match listing::read(client, &plan.subject, at_least).await {
            Ok(listing) => return listing,
            Err(error) => {
                if !std::mem::replace(&mut said, true) {
                    let text = format!("the tree cannot be read ({error}); trying again");
                    super::say(plan.name.as_deref(), &text);
                }
                tokio::time::sleep(AGAIN_AFTER).await;
            }
        }
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}
