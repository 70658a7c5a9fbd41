//! The keys that say who the members are and how the cluster is set.

use std::sync::Arc;

use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::super::counters::Counter;
use super::super::members::Entry;
use super::super::reserved::{CONFIG, MACHINES};
use super::super::{Action, Code, Content, Error, Event, Path, PathError, Store};
use super::create::Existing;
use crate::cluster::{Member, MemberId};

/// What a URL's bytes become in a member's key, as 0.4's clients decode it.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

impl Store {
    /// Write a member's key and remember who it is. Under a new name its old key goes, as a change of its
    /// own; a name another member had is this one's from now on.
    pub(super) fn put_member(
        &mut self,
        member: &Member,
        events: &mut Vec<Arc<Event>>,
    ) -> Result<Event, Error> {
        let path = self.machine(&member.name)?;
        let before = self.members.get(member.id).cloned();
        if let Some(before) = before
            && before.member.name != member.name
            && let Some(event) = self.drop_machine(&before)?
        {
            self.publish(event, events);
        }
        let event = self.write(&path, addresses(member))?;
        self.members.put(member.clone(), self.index);
        Ok(event)
    }

    /// Forget a member, and its key if that is still its own. Its id is none any more, for good: nothing
    /// that it sent and that is still on its way is applied.
    pub(super) fn remove_member(
        &mut self,
        id: MemberId,
        name: &str,
    ) -> Result<Option<Event>, Error> {
        self.applied.close(id);
        let Some(entry) = self.members.remove(id) else {
            return Err(self.error(Code::KeyNotFound, &self.machine(name)?));
        };
        self.drop_machine(&entry)
    }

    /// Write the cluster's settings.
    pub(super) fn put_settings(&mut self, settings: &Bytes) -> Result<Event, Error> {
        let path = Path::parse(CONFIG).map_err(|error| self.bad_name(error))?;
        self.write(&path, settings.clone())
    }

    /// Remove a member's key, if it is still its own.
    fn drop_machine(&mut self, entry: &Entry) -> Result<Option<Event>, Error> {
        let path = self.machine(&entry.member.name)?;
        let key = self
            .tree
            .get(&path)
            .filter(|key| key.modified == entry.written);
        let Some(node) = key.cloned() else {
            return Ok(None);
        };
        self.counters.count(Counter::DeleteSuccess);
        Ok(Some(self.take_away(Action::Delete, &path, &node)))
    }

    fn write(&mut self, path: &Path, value: Bytes) -> Result<Event, Error> {
        let content = Content::Value(value);
        let placed = self.place(Action::Set, path, &content, None, Existing::Replace);
        self.counters
            .count_result(&placed, Counter::SetsSuccess, Counter::SetsFail);
        placed
    }

    fn machine(&self, name: &str) -> Result<Path, Error> {
        let path = Path::parse(MACHINES).and_then(|machines| machines.child(name));
        path.map_err(|error| self.bad_name(error))
    }

    fn bad_name(&self, error: PathError) -> Error {
        Error {
            code: Code::InvalidForm,
            cause: error.to_string(),
            index: self.index,
        }
    }
}

/// A member's addresses as its key holds them.
fn addresses(member: &Member) -> Bytes {
    let client = utf8_percent_encode(&member.client_url, ESCAPED);
    let peer = utf8_percent_encode(&member.peer_url, ESCAPED);
    Bytes::from(format!("etcd={client}&raft={peer}"))
}
