//! Starting a member's part in the cluster: its two threads, and the handle on them.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, RwLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::core::{Core, Recovered};
use super::driver::{Driver, Input, Inputs, SaveSnapshot};
use super::handle::Handle;
use super::outbox::Outbox;
use super::settings::Settings;
use super::view::View;
use super::wal_thread;
use crate::store::Store;
use crate::wal::{Disk, Wal};

/// A member's part in the cluster before it starts: the way in exists, so that transport and pages can be
/// put together around it.
pub struct Start {
    inputs: Sender<Input>,
    received: Receiver<Input>,
    view: Arc<RwLock<View>>,
    origin: Instant,
}

/// A running part.
pub struct Running {
    inputs: Inputs,
    thread: JoinHandle<Result<(), String>>,
}

impl Start {
    /// Begins with `store`, as of the recovered snapshot.
    pub fn new(store: Store, recovered: &Recovered) -> Self {
        let (inputs, received) = channel();
        let origin = Instant::now();
        let term = recovered.hard_state.term;
        let view = View::new(store, &recovered.snapshot, term, origin, Duration::ZERO);
        Self { inputs, received, view: Arc::new(RwLock::new(view)), origin }
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
        let core = Core::start(settings, recovered, self.view, inputs.clone(), self.origin.elapsed())?;
        let writes = wal_thread::spawn(wal, inputs.clone()).map_err(no_thread)?;
        let driver = Driver {
            core,
            inputs: self.received,
            reports: inputs.clone(),
            writes,
            outbox,
            save,
            tick,
            origin: self.origin,
        };
        let thread = thread::Builder::new()
            .name("driver".to_owned())
            .spawn(move || driver.run())
            .map_err(no_thread)?;
        Ok(Running { inputs, thread })
    }
}

impl Running {
    /// Hand leadership over if this member has it, then end; waits for that, a second at the most.
    ///
    /// # Errors
    ///
    /// What the driver failed with.
    pub fn stop(self) -> Result<(), String> {
        // A driver that has ended already says below why.
        let _ = self.inputs.send(Input::Stop);
        self.join()
    }

    /// Whether the driver has ended: something failed, and [`Running::stop`] says what.
    pub fn has_ended(&self) -> bool {
        self.thread.is_finished()
    }

    fn join(self) -> Result<(), String> {
        self.thread.join().unwrap_or_else(|_| Err("the driver panicked".to_owned()))
    }
}
