//! The member file: the identity of a member, as readable text:
//!
//! ```text
//! oxetcd member 1
//! id 5e3f0c1a2b3c4d5e
//! cluster 0000000000000000
//! founded alone
//! boots 3
//! name infra0
//! check 8a51c2f0
//! ```
//!
//! The check is the CRC-32C of the lines before. The file is replaced as a whole, never changed in place.

use super::disk::{Disk, read_file, replace};
use super::error::StorageError;
use crate::cluster::{ClusterId, MemberId};

/// The member file's name.
pub(super) const MEMBER_FILE: &str = "member";

/// The name of a new member file while it is written.
pub(super) const MEMBER_FILE_NEXT: &str = "member.tmp";

/// The start of the file, in every version.
pub(super) const MEMBER_FILE_MAGIC: &str = "oxetcd member ";

/// The version of the member file this program writes, and the latest it reads.
pub const MEMBER_VERSION: u32 = 1;

/// The longest member file, in bytes; a longer one is damaged.
const MEMBER_FILE_BYTES_MAX: usize = 64 << 10;

/// How the member of a data directory was created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Founding {
    /// With neither a discovery token nor peers.
    Alone,
    /// By joining through peers.
    Peers,
    /// By a discovery token.
    Discovery,
    /// By `-force-new-cluster`, from the data of a member of a lost cluster.
    Forced,
}

/// The identity of a member, as stored in its data directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Drawn at random when the member was created.
    pub id: MemberId,
    /// Its cluster, once that is known.
    pub cluster: Option<ClusterId>,
    /// Its name when it was created.
    pub name: String,
    /// How it was created.
    pub founding: Founding,
    /// The number of starts, including this one; it differs for each start.
    pub boots: u64,
}

impl Identity {
    /// Read the member file. None when there is none.
    ///
    /// # Errors
    ///
    /// - [`StorageError::Damaged`]: the file cannot be read.
    /// - [`StorageError::Newer`]: it was written by a later version.
    /// - [`StorageError::Io`]: the disk failed.
    pub fn load<D: Disk>(disk: &D) -> Result<Option<Self>, StorageError> {
        let read = read_file(disk, MEMBER_FILE, MEMBER_FILE_BYTES_MAX);
        let Some(bytes) = read.map_err(StorageError::io(disk, "read", MEMBER_FILE))? else {
            return Ok(None);
        };
        let text = String::from_utf8_lossy(&bytes);
        let version = text
            .lines()
            .next()
            .and_then(|line| line.strip_prefix(MEMBER_FILE_MAGIC)?.parse::<u32>().ok());
        if let Some(version) = version.filter(|version| *version > MEMBER_VERSION) {
            return Err(StorageError::Newer {
                path: disk.path_of(MEMBER_FILE),
                version,
                known: MEMBER_VERSION,
            });
        }
        let what = "malformed member file";
        Self::parse(&text)
            .map(Some)
            .ok_or_else(|| StorageError::damaged(disk, MEMBER_FILE, 0, what))
    }

    /// Replace the member file durably.
    ///
    /// # Errors
    ///
    /// - [`StorageError::Impossible`]: the name contains control characters.
    /// - [`StorageError::Io`]: the disk failed.
    pub fn save<D: Disk>(&self, disk: &D) -> Result<(), StorageError> {
        if self.name.chars().any(char::is_control) {
            let what = format!("the member name {:?}", self.name);
            return Err(StorageError::Impossible { what });
        }
        replace(
            disk,
            MEMBER_FILE,
            MEMBER_FILE_NEXT,
            self.to_text().as_bytes(),
        )
        .map_err(StorageError::io(disk, "write", MEMBER_FILE))
    }

    fn to_text(&self) -> String {
        let founding = match self.founding {
            Founding::Alone => "alone",
            Founding::Peers => "peers",
            Founding::Discovery => "discovery",
            Founding::Forced => "forced",
        };
        let lines = format!(
            "{MEMBER_FILE_MAGIC}{MEMBER_VERSION}\nid {}\ncluster {:016x}\nfounded {founding}\nboots {}\nname {}\n",
            self.id,
            self.cluster.map_or(0, ClusterId::get),
            self.boots,
            self.name,
        );
        let check = crc32c::crc32c(lines.as_bytes());
        format!("{lines}check {check:08x}\n")
    }

    fn parse(text: &str) -> Option<Self> {
        let checked = text.rfind("check ")?;
        let (lines, check) = text.split_at_checked(checked)?;
        let sum = format!("check {:08x}\n", crc32c::crc32c(lines.as_bytes()));
        if check != sum {
            return None;
        }
        let mut lines = lines.lines().skip(1);
        let mut field = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix(' ');
        let identity = Self {
            id: MemberId::new(u64::from_str_radix(field("id")?, 16).ok()?)?,
            cluster: ClusterId::new(u64::from_str_radix(field("cluster")?, 16).ok()?),
            founding: match field("founded")? {
                "alone" => Founding::Alone,
                "peers" => Founding::Peers,
                "discovery" => Founding::Discovery,
                "forced" => Founding::Forced,
                _ => return None,
            },
            boots: field("boots")?.parse().ok()?,
            name: field("name")?.to_string(),
        };
        lines.next().is_none().then_some(identity)
    }
}
