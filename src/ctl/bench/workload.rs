//! The bytes of the requests.

use std::io::Write;

use super::{Plan, Workload};
use crate::cluster::Address;

/// Formats one client's requests in one buffer.
pub(super) struct Requests {
    workload: Workload,
    directory: String,
    keys: u64,
    value: Vec<u8>,
    random: u64,
    buffer: Vec<u8>,
}

impl Requests {
    /// The requests of client number `number`.
    pub(super) fn new(plan: &Plan, number: usize) -> Self {
        Self {
            workload: plan.workload,
            directory: plan.directory.clone(),
            keys: plan.keys,
            value: value(plan.value_size),
            // A different number other than zero for each client.
            random: (number as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15),
            buffer: Vec::new(),
        }
    }

    /// The next request of the workload.
    pub(super) fn next(&mut self, member: &Address) -> &[u8] {
        let key = self.random() % self.keys;
        match self.workload {
            Workload::Put => self.put(member, key),
            Workload::Get => self.get(member, key, ""),
            Workload::QuorumGet => self.get(member, key, "?quorum=true"),
            Workload::Mixed => match self.random() % 5 {
                0 => self.put(member, key),
                _ => self.get(member, key, ""),
            },
            // The watchers' requests are made by `watch`; this is the writer's.
            Workload::Watch => self.put(member, 0),
        }
    }

    /// The request that writes key number `key`.
    pub(super) fn put(&mut self, member: &Address, key: u64) -> &[u8] {
        self.buffer.clear();
        let (directory, length) = (&self.directory, self.value.len() + 6);
        // Writing to memory cannot fail.
        let _ = write!(
            self.buffer,
            "PUT /v2/keys{directory}/{key:08} HTTP/1.1\r\nHost: {member}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {length}\r\n\r\nvalue="
        );
        self.buffer.extend_from_slice(&self.value);
        &self.buffer
    }

    /// The request that writes the watched key with a value that starts with this number.
    pub(super) fn put_stamp(&mut self, member: &Address, stamp: u64) -> &[u8] {
        let digits = format!("{stamp:020}.");
        if self.value.len() < digits.len() {
            self.value.resize(digits.len(), b'x');
        }
        for (byte, digit) in self.value.iter_mut().zip(digits.bytes()) {
            *byte = digit;
        }
        self.put(member, 0)
    }

    /// The request that watches the watched key.
    pub(super) fn watch(&mut self, member: &Address, since: u64) -> &[u8] {
        self.get(member, 0, &format!("?wait=true&waitIndex={since}"))
    }

    fn get(&mut self, member: &Address, key: u64, query: &str) -> &[u8] {
        self.buffer.clear();
        let directory = &self.directory;
        let _ = write!(
            self.buffer,
            "GET /v2/keys{directory}/{key:08}{query} HTTP/1.1\r\nHost: {member}\r\n\r\n"
        );
        &self.buffer
    }

    /// Xorshift, by hand: the choice of the next key needs no better randomness.
    fn random(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }
}

/// A value of letters, which need no escaping in a form.
fn value(size: usize) -> Vec<u8> {
    (b'a'..=b'z').cycle().take(size).collect()
}
