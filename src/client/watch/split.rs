//! Events out of a stream of bytes.

use bytes::{Bytes, BytesMut};

use super::Change;

/// The longest event that is taken, in bytes; its value and its previous one are escaped in it.
const EVENT_BYTES_MAX: usize = 64 << 20;

/// What has come and is no whole event yet.
#[derive(Default)]
pub(super) struct Split {
    pending: BytesMut,
}

impl Split {
    pub(super) fn add(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
    }

    /// The next whole event, none if it is not all here.
    ///
    /// # Errors
    ///
    /// Why this is no event.
    pub(super) fn next(&mut self) -> Result<Option<Change>, String> {
        let mut events = serde_json::Deserializer::from_slice(&self.pending).into_iter();
        let found = events.next();
        let length = events.byte_offset();
        match found {
            None => Ok(None),
            Some(Ok(event)) => {
                let json = self.pending.split_to(length).freeze();
                Ok(Some(Change {
                    event,
                    json: trimmed(&json),
                }))
            }
            Some(Err(error)) if error.is_eof() && self.pending.len() < EVENT_BYTES_MAX => Ok(None),
            Some(Err(error)) => Err(format!("it sent what is no event ({error})")),
        }
    }
}

/// Without the white space around it.
pub(super) fn trimmed(json: &Bytes) -> Bytes {
    json.slice_ref(json.trim_ascii())
}
