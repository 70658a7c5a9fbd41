//! Applying commands: a file for each verb.

mod compare;
mod create;
mod delete;
mod expire;
mod membership;
mod set;
mod update;

use std::sync::Arc;
use std::time::Duration;

pub use expire::EXPIRE_MAX;

use super::{ClusterTime, Code, Command, Error, Event, Path, Stamped, Store, reserved};

impl Store {
    /// Apply the next entry of the log: advance the clock to its stamp (never back), and execute its command.
    ///
    /// The events for watchers are appended to `events`, in order, and are in the history already. Returns the
    /// event that answers the command. There is none for [`Command::Expire`], for [`Command::Tick`], for a
    /// [`Command::RemoveMember`] whose key belongs to another member, and for a command whose id was applied
    /// before, which has no effect.
    ///
    /// # Errors
    ///
    /// The error of the v2 API, see [`Code`]. Only clock, counters and the set of command ids were changed.
    pub fn apply(
        &mut self,
        entry: &Stamped,
        events: &mut Vec<Arc<Event>>,
    ) -> Result<Option<Arc<Event>>, Error> {
        self.clock = self.clock.max(entry.stamp);
        if let Some(id) = entry.id
            && !self.applied.insert(id)
        {
            return Ok(None);
        }
        if let Some(path) = reserved::reserved_path(&entry.command) {
            return Err(self.error(Code::Reserved, path));
        }
        self.execute(&entry.command, events)
    }

    fn execute(
        &mut self,
        command: &Command,
        events: &mut Vec<Arc<Event>>,
    ) -> Result<Option<Arc<Event>>, Error> {
        let event = match command {
            Command::Set { path, content, ttl } => self.set(path, content, *ttl)?,
            Command::Create { path, content, ttl } => self.create(path, content, *ttl)?,
            Command::CreateInOrder {
                directory,
                content,
                ttl,
            } => self.create_in_order(directory, content, *ttl)?,
            Command::Update {
                path,
                value,
                directory,
                ttl,
            } => self.update(path, value.as_ref(), *directory, *ttl)?,
            Command::Refresh {
                path,
                condition,
                ttl,
            } => {
                return self
                    .refresh(path, condition, *ttl)
                    .map(|event| Some(Arc::new(event)));
            }
            Command::CompareAndSwap {
                path,
                condition,
                value,
                ttl,
            } => self.compare_and_swap(path, condition, value, *ttl)?,
            Command::Delete {
                path,
                directory,
                recursive,
            } => self.delete(path, *directory, *recursive)?,
            Command::CompareAndDelete { path, condition } => {
                self.compare_and_delete(path, condition)?
            }
            Command::Expire => {
                self.expire(events);
                return Ok(None);
            }
            Command::Tick => return Ok(None),
            Command::PutMember(member) => self.put_member(member, events)?,
            Command::RemoveMember { id, name } => match self.remove_member(*id, name)? {
                Some(event) => event,
                None => return Ok(None),
            },
            Command::PutSettings(settings) => self.put_settings(settings)?,
        };
        Ok(Some(self.publish(event, events)))
    }

    /// Add an event to the history, and to the events for watchers.
    fn publish(&mut self, event: Event, events: &mut Vec<Arc<Event>>) -> Arc<Event> {
        let event = Arc::new(event);
        debug_assert_eq!(event.index(), self.index, "a change is the newest");
        self.history.push(Arc::clone(&event));
        events.push(Arc::clone(&event));
        event
    }

    /// The deadline of a node that gets this time to live now.
    fn deadline(&self, ttl: Option<Duration>) -> Option<ClusterTime> {
        ttl.map(|ttl| self.clock.plus(ttl))
    }

    fn error(&self, code: Code, path: &Path) -> Error {
        Error::at(code, path, self.index)
    }
}
