//! The keys of the members and of the cluster's settings.

use std::sync::Arc;

use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::super::counters::Counter;
use super::super::members::Entry;
use super::super::reserved::{CONFIG, MACHINES};
use super::super::{Action, Code, Content, Error, Event, Path, PathError, Store};
use super::create::Existing;
use crate::cluster::{Member, MemberId};

/// The bytes of a URL that are escaped in a member's key, as clients of etcd 0.4 expect.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

impl Store {
    /// Add or change a member, and write its key. If its name changed, the old key is removed as a separate
    /// change; if another member had the name, the key belongs to this one from now on.
    pub(super) fn put_member(
        &mut self,
        member: &Member,
        events: &mut Vec<Arc<Event>>,
    ) -> Result<Event, Error> {
        let path = self.member_key(&member.name)?;
        let before = self.members.get(member.id).cloned();
        if let Some(before) = before
            && before.member.name != member.name
            && let Some(event) = self.remove_member_key(&before)?
        {
            self.publish(event, events);
        }
        let event = self.write(&path, addresses(member))?;
        self.members.put(member.clone(), self.index);
        Ok(event)
    }

    /// Remove a member, and its key if the key still belongs to it. The id is closed: commands of the member
    /// that are still under way are not applied.
    pub(super) fn remove_member(
        &mut self,
        id: MemberId,
        name: &str,
    ) -> Result<Option<Event>, Error> {
        self.applied.close(id);
        let Some(entry) = self.members.remove(id) else {
            return Err(self.error(Code::KeyNotFound, &self.member_key(name)?));
        };
        self.remove_member_key(&entry)
    }

    /// Write the cluster's settings.
    pub(super) fn put_settings(&mut self, settings: &Bytes) -> Result<Event, Error> {
        let path = Path::parse(CONFIG).map_err(|error| self.bad_name(error))?;
        self.write(&path, settings.clone())
    }

    /// Remove a member's key, if it still belongs to the member.
    fn remove_member_key(&mut self, entry: &Entry) -> Result<Option<Event>, Error> {
        let path = self.member_key(&entry.member.name)?;
        let key = self
            .tree
            .get(&path)
            .filter(|key| key.modified == entry.written);
        let Some(node) = key.cloned() else {
            return Ok(None);
        };
        self.counters.count(Counter::DeleteSuccess);
        Ok(Some(self.remove_node(Action::Delete, &path, &node)))
    }

    fn write(&mut self, path: &Path, value: Bytes) -> Result<Event, Error> {
        let content = Content::Value(value);
        let result = self.put_new(Action::Set, path, &content, None, Existing::Replace);
        self.counters
            .count_result(&result, Counter::SetsSuccess, Counter::SetsFail);
        result
    }

    fn member_key(&self, name: &str) -> Result<Path, Error> {
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

/// The value of a member's key: its addresses.
fn addresses(member: &Member) -> Bytes {
    let client = utf8_percent_encode(&member.client_url, ESCAPED);
    let peer = utf8_percent_encode(&member.peer_url, ESCAPED);
    Bytes::from(format!("etcd={client}&raft={peer}"))
}
