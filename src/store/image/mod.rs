//! The whole store as bytes, and as a hash of them.
//!
//! An image is a magic, a version, and records, each with its length before it: one of what the store
//! knows besides its keys, one for each node, one that begins the history, one for each event. What
//! members must agree on comes before the history, so that the hash is made of what the image is.

mod decode;
mod encode;
mod hash;

pub use decode::{Decoder, ImageError, decode};
pub use encode::{CHUNK_BYTES, encode};
pub use hash::hash;

/// What an image begins with.
const MAGIC: &[u8; 8] = b"oxestore";

/// The version of the format, which follows the magic.
const VERSION: u32 = 1;
