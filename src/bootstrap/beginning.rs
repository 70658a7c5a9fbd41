//! A member that can run, and its identity.

use tracing::info;

use super::local::Held;
use crate::cluster::{ClusterId, Member, MemberId, MemberSpec};
use crate::consensus::core::Recovered;
use crate::host::Failure;
use crate::store::Store;
use crate::wal::{DataDir, Founding, RealDisk, Wal};

/// A member that can run.
pub struct PreparedMember {
    /// Its directory; nobody else can have it while this lives.
    pub directory: DataDir,
    /// The log.
    pub wal: Wal<RealDisk>,
    /// What the log holds.
    pub recovered: Recovered,
    /// The store as of the recovered snapshot.
    pub store: Store,
    /// Who this is.
    pub member: Member,
    /// Of which cluster.
    pub cluster: ClusterId,
    /// How often the directory was opened.
    pub boot: u32,
    /// Members known from elsewhere than the store: those the cluster named when it gave this one its place.
    pub named: Vec<Member>,
}

impl PreparedMember {
    /// The member that the directory belongs to, which goes on with what is held there. Counts this start.
    ///
    /// # Errors
    ///
    /// The directory has no member, or that one no cluster; or the disk's.
    pub(super) fn new(
        mut directory: DataDir,
        held: Held,
        machine: MemberSpec,
    ) -> Result<Self, Failure> {
        let boot = boot(&mut directory)?;
        let known = directory
            .identity()
            .and_then(|identity| Some((identity.id, identity.cluster?)));
        let (id, cluster) = known.ok_or_else(|| {
            Failure::Directory(format!(
                "{} does not say which cluster it belongs to",
                directory.path().display()
            ))
        })?;
        let Held {
            wal,
            recovered,
            store,
        } = held;
        Ok(Self {
            directory,
            wal,
            recovered,
            store,
            member: machine.member(id),
            cluster,
            boot,
            named: Vec::new(),
        })
    }
}

/// Go on as the member that the directory holds.
pub(super) fn restart(
    directory: DataDir,
    held: Held,
    machine: MemberSpec,
) -> Result<PreparedMember, Failure> {
    let begun = PreparedMember::new(directory, held, machine)?;
    let (name, cluster) = (&begun.member.name, begun.cluster);
    info!("{name} goes on as a member of cluster {cluster}");
    Ok(begun)
}

/// The directory's member, made if there is none yet.
pub(super) fn identify(
    directory: &mut DataDir,
    name: &str,
    founding: Founding,
) -> Result<MemberId, Failure> {
    match directory.identity() {
        Some(identity) => Ok(identity.id),
        None => Ok(directory.found(name, founding)?),
    }
}

/// Count this start.
fn boot(directory: &mut DataDir) -> Result<u32, Failure> {
    let boot = directory.boot()?;
    // Its ids have room for 2^24 starts: one every second for half a year.
    u32::try_from(boot).map_err(|_| {
        Failure::Directory(format!(
            "{} was opened too often",
            directory.path().display()
        ))
    })
}
