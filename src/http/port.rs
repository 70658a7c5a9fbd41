//! The two ports of a member.

use super::peer::PeerPages;

/// Which port a listener serves.
#[derive(Clone)]
pub enum Port {
    /// The client API.
    Client,
    /// Administration, and the pages for members.
    Peer(PeerPages),
}
