//! Starts a member's part in the cluster: the driver's thread, the WAL thread, and the handle on them.

use std::collections::{BTreeSet, VecDeque};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, RwLock};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::{oneshot, watch};

use super::applied_state::AppliedState;
use super::core::{Core, Recovered};
use super::driver::{Driver, End, SaveSnapshot};
use super::error::{DriverError, StartError};
use super::handle::Handle;
use super::input::{Input, Inputs};
use super::outbox::Outbox;
use super::settings::Settings;
use super::wal_thread;
use crate::cluster::MemberId;
use crate::store::Store;
use crate::wal::{Disk, Wal};

/// A member's part in the cluster before it runs: its queue of inputs exists, so that the transport and the
/// HTTP pages can be connected to it.
pub struct Start {
    inputs: Inputs,
    received: Receiver<Input>,
    applied: Arc<RwLock<AppliedState>>,
    origin: Instant,
    removed_ids: watch::Sender<BTreeSet<MemberId>>,
}

/// The running driver. Dropping this does not stop it.
pub struct Running {
    inputs: Inputs,
    ended: oneshot::Receiver<Result<End, DriverError>>,
}

impl Start {
    /// Prepare a member whose `store` was decoded from the recovered snapshot.
    pub fn new(store: Store, recovered: &Recovered) -> Self {
        let (inputs, received) = channel();
        let origin = Instant::now();
        let term = recovered.hard_state.term;
        let applied = AppliedState::new(store, &recovered.snapshot, term, origin, Duration::ZERO);
        Self {
            inputs,
            received,
            applied: Arc::new(RwLock::new(applied)),
            origin,
            removed_ids: watch::Sender::default(),
        }
    }

    /// The ids of removed members, as far as the removal is on this member's disk. The transport reports
    /// the removal to a peer that connects with such an id; there it arrives as [`Input::Removed`].
    pub fn removed_ids(&self) -> watch::Receiver<BTreeSet<MemberId>> {
        self.removed_ids.subscribe()
    }

    /// A handle for requests.
    pub fn handle(&self) -> Handle {
        Handle::new(self.inputs.clone(), self.applied.clone())
    }

    /// The driver's queue, for messages of other members and reports of the transport.
    pub fn inputs(&self) -> Inputs {
        self.inputs.clone()
    }

    /// Start the driver's thread and the WAL thread.
    ///
    /// # Errors
    ///
    /// - [`StartError::Raft`]: the raft crate refused the settings or the recovered state.
    /// - [`StartError::Thread`]: the operating system refused to start a thread.
    pub fn run<D: Disk, O: Outbox>(
        self,
        settings: Settings,
        recovered: Recovered,
        wal: Wal<D>,
        outbox: O,
        save: SaveSnapshot,
    ) -> Result<Running, StartError> {
        let tick = settings.tick;
        let inputs = self.inputs.clone();
        let core = Core::start(
            settings,
            recovered,
            self.applied,
            inputs.clone(),
            self.origin.elapsed(),
        )?;
        let wal = wal_thread::spawn(wal, inputs.clone()).map_err(StartError::Thread)?;
        let driver = Driver {
            core,
            inputs: self.received,
            reports: inputs.clone(),
            wal,
            outbox,
            removed_ids: self.removed_ids,
            save,
            tick,
            origin: self.origin,
            unsynced: VecDeque::new(),
        };
        let (end, ended) = oneshot::channel();
        thread::Builder::new()
            .name("driver".to_owned())
            .spawn(move || {
                // `Running` may have been dropped.
                let _ = end.send(driver.run());
            })
            .map_err(StartError::Thread)?;
        Ok(Running { inputs, ended })
    }
}

impl Running {
    /// Ask the driver to transfer leadership, if this member leads and another can take over.
    pub fn transfer_leadership(&self) {
        self.send(Input::TransferLeadership);
    }

    /// Stop the driver. Pending proposals may still be committed by the other members.
    ///
    /// # Errors
    ///
    /// As [`Running::ended`], if the driver failed before.
    pub async fn stop(mut self) -> Result<End, DriverError> {
        self.send(Input::Stop);
        self.ended().await
    }

    /// Wait until the driver ends: when the member was removed, or when it fails.
    ///
    /// # Errors
    ///
    /// - [`DriverError::Wal`]: a write or sync of the write-ahead log failed.
    /// - [`DriverError::Panicked`]: the driver's thread panicked.
    pub async fn ended(&mut self) -> Result<End, DriverError> {
        let ended = (&mut self.ended).await;
        ended.unwrap_or(Err(DriverError::Panicked))
    }

    fn send(&self, input: Input) {
        // Why a driver has ended is the result of `ended`.
        let _ = self.inputs.send(input);
    }
}
