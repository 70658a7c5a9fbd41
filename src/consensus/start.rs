//! Starting a member's part in the cluster: its two threads, and the handle on them.

use std::collections::{BTreeSet, VecDeque};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, RwLock};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::{oneshot, watch};

use super::core::{Core, Recovered};
use super::driver::{Driver, End, Input, Inputs, SaveSnapshot};
use super::handle::Handle;
use super::outbox::Outbox;
use super::settings::Settings;
use super::view::AppliedState;
use super::wal_thread;
use crate::cluster::MemberId;
use crate::store::Store;
use crate::wal::{Disk, Wal};

/// A member's part in the cluster before it starts: the way in exists, so that transport and pages can be
/// put together around it.
pub struct Start {
    inputs: Sender<Input>,
    received: Receiver<Input>,
    view: Arc<RwLock<AppliedState>>,
    origin: Instant,
    gone: watch::Sender<BTreeSet<MemberId>>,
}

/// A running part. Dropping it lets it run on.
pub struct Running {
    inputs: Inputs,
    ended: oneshot::Receiver<Result<End, String>>,
}

impl Start {
    /// Begins with `store`, as of the recovered snapshot.
    pub fn new(store: Store, recovered: &Recovered) -> Self {
        let (inputs, received) = channel();
        let origin = Instant::now();
        let term = recovered.hard_state.term;
        let view = AppliedState::new(store, &recovered.snapshot, term, origin, Duration::ZERO);
        Self {
            inputs,
            received,
            view: Arc::new(RwLock::new(view)),
            origin,
            gone: watch::Sender::default(),
        }
    }

    /// The ids of members that were removed, as far as this member's disk knows that for good. A caller
    /// with such an id is to be told, for its own member to hear of it by [`Input::Removed`].
    pub fn gone(&self) -> watch::Receiver<BTreeSet<MemberId>> {
        self.gone.subscribe()
    }

    /// A handle for requests.
    pub fn handle(&self) -> Handle {
        Handle::new(self.inputs.clone(), self.view.clone())
    }

    /// Where messages of other members go in.
    pub fn inputs(&self) -> Inputs {
        self.inputs.clone()
    }

    /// Start the driver's thread and the log's.
    ///
    /// # Errors
    ///
    /// A sentence: the raft crate refuses what was recovered, or the system has no thread to give.
    pub fn run<D: Disk, O: Outbox>(
        self,
        settings: Settings,
        recovered: Recovered,
        wal: Wal<D>,
        outbox: O,
        save: SaveSnapshot,
    ) -> Result<Running, String> {
        let no_thread = |error: std::io::Error| format!("cannot start a thread: {error}");
        let tick = settings.tick;
        let inputs = self.inputs.clone();
        let core = Core::start(
            settings,
            recovered,
            self.view,
            inputs.clone(),
            self.origin.elapsed(),
        )?;
        let writes = wal_thread::spawn(wal, inputs.clone()).map_err(no_thread)?;
        let driver = Driver {
            core,
            inputs: self.received,
            reports: inputs.clone(),
            writes,
            outbox,
            gone: self.gone,
            save,
            tick,
            origin: self.origin,
            unsynced: VecDeque::new(),
        };
        let (end, ended) = oneshot::channel();
        thread::Builder::new()
            .name("driver".to_owned())
            .spawn(move || {
                // Whoever stopped waiting for it does not want to know.
                let _ = end.send(driver.run());
            })
            .map_err(no_thread)?;
        Ok(Running { inputs, ended })
    }
}

impl Running {
    /// Give leadership away, if this member has it; soon, and only if another can take it.
    pub fn transfer_leadership(&self) {
        self.tell(Input::TransferLeadership);
    }

    /// End it; what is not committed yet may still be by others.
    ///
    /// # Errors
    ///
    /// What it failed with before.
    pub async fn stop(mut self) -> Result<End, String> {
        self.tell(Input::Stop);
        self.ended().await
    }

    /// Wait until it ends by itself, which it does when the member was removed, and when it fails.
    ///
    /// # Errors
    ///
    /// What it failed with.
    pub async fn ended(&mut self) -> Result<End, String> {
        let ended = (&mut self.ended).await;
        ended.unwrap_or_else(|_| Err("the driver panicked".to_owned()))
    }

    fn tell(&self, input: Input) {
        // A driver that has ended says why by `ended`.
        let _ = self.inputs.send(input);
    }
}
