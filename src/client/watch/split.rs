//! Splitting a stream of bytes into events.

use bytes::{Bytes, BytesMut};

use super::Change;
use crate::client::error::Cause;

/// The longest event that is accepted, in bytes; it contains its value and the previous one, escaped.
const EVENT_BYTES_MAX: usize = 64 << 20;

/// The bytes of an incomplete event.
#[derive(Default)]
pub(super) struct Split {
    pending: BytesMut,
}

impl Split {
    /// Append bytes of the stream.
    pub(super) fn add(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
    }

    /// The next complete event; none if more bytes are needed.
    ///
    /// # Errors
    ///
    /// [`Cause::NotAnEvent`] if the bytes are not an event or it is too long.
    pub(super) fn next(&mut self) -> Result<Option<Change>, Cause> {
        let mut events = serde_json::Deserializer::from_slice(&self.pending).into_iter();
        let found = events.next();
        let length = events.byte_offset();
        match found {
            None => Ok(None),
            Some(Ok(event)) => {
                let json = self.pending.split_to(length).freeze();
                Ok(Some(Change {
                    event,
                    json: trim(&json),
                }))
            }
            Some(Err(error)) if error.is_eof() && self.pending.len() < EVENT_BYTES_MAX => Ok(None),
            Some(Err(error)) => Err(Cause::NotAnEvent(error.to_string())),
        }
    }
}

/// The JSON without surrounding white space.
pub(super) fn trim(json: &Bytes) -> Bytes {
    json.slice_ref(json.trim_ascii())
}
