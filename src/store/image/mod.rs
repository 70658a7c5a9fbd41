//! The encoding of the whole store, and its hash.
//!
//! An image is a magic, a version, and records, each with its length in front: the head (everything except keys
//! and events), one record per node, the head of the history, one record per event. The replicated state comes
//! before the history, so the hash is computed from the same records as the image.

mod decode;
mod encode;
mod hash;

pub use decode::{Decoder, ImageError, decode};
pub use encode::{CHUNK_BYTES, encode};
pub use hash::hash;

/// The start of an image.
const MAGIC: &[u8; 8] = b"oxestore";

/// The version of the format, which follows the magic.
const VERSION: u32 = 1;
