//! What to do at startup, decided from what the data directory holds and what the options say. Pure.

use std::fmt;

use crate::cluster::Address;
use crate::host::Failure;
use crate::wal::Founding;

/// What the data directory holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LocalState {
    /// Nothing yet.
    Empty,
    /// The member list of a standby.
    Standby,
    /// A member's data.
    Member {
        /// How the member came to its cluster.
        founding: Founding,
        /// The number of members of its cluster, itself included, as far as its log says.
        members: usize,
        /// The number of clients' keys: those outside `/_etcd`, directories included.
        client_keys: usize,
    },
}

/// What the options say.
#[derive(Clone, Copy, Debug)]
pub struct StartInputs<'a> {
    /// This member's own peer address.
    pub own: &'a Address,
    /// Whether there is a discovery token.
    pub has_token: bool,
    /// The peers.
    pub peers: &'a [Address],
    /// Whether existing data is discarded.
    pub force: bool,
    /// Whether the member has another name than the one in its data directory.
    pub is_renamed: bool,
}

impl LocalState {
    /// Whether it was started without peers and a token, is still the only member, and holds no client's key.
    pub fn is_untouched(&self) -> bool {
        matches!(
            self,
            Self::Member {
                founding: Founding::Alone,
                members: 0 | 1,
                client_keys: 0,
            }
        )
    }
}

/// What to do at startup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// What to do with the data directory first.
    pub data_dir: DataDirAction,
    /// How to start then.
    pub start: Start,
}

/// What to do with the data directory before the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataDirAction {
    /// Use it as it is, or make it.
    Keep,
    /// Move its data into a folder within it: it holds no client's key.
    SetAside,
    /// Remove the data in it, as `-force` says.
    Discard {
        /// The number of clients' keys that are lost.
        client_keys: usize,
    },
}

/// How to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// As the first member of a new cluster.
    Found,
    /// By the discovery token: as the first member with it, or by asking the others.
    Discover,
    /// By asking these peers for a seat, in this order.
    Join(Vec<Address>),
    /// As the member in the data directory.
    Restart,
    /// As the standby in the data directory.
    Standby,
}

/// Why there is no plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlanError {
    /// All peers are this member itself.
    OnlySelf(Address),
    /// The data directory holds a cluster of one member with clients' keys, and there are a token or peers.
    WouldLoseKeys {
        /// The number of these keys.
        client_keys: usize,
    },
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OnlySelf(address) => write!(
                f,
                "-peers names only this member itself ({address}): to found a cluster, start one member \
                 without -peers; to join a cluster, name another member"
            ),
            Self::WouldLoseKeys { client_keys } => write!(
                f,
                "the data directory holds a cluster of one member, started without -discovery and -peers, \
                 with {}: start without both to keep using it, or with -force to discard it and join \
                 with an empty directory",
                count_keys(*client_keys)
            ),
        }
    }
}

impl std::error::Error for PlanError {}

impl From<PlanError> for Failure {
    fn from(error: PlanError) -> Self {
        let why = error.to_string();
        match error {
            PlanError::OnlySelf(_) => Self::Options(why),
            PlanError::WouldLoseKeys { .. } => Self::Directory(why),
        }
    }
}

impl DataDirAction {
    /// The line to log about it; none for a directory that is kept.
    pub fn sentence(&self) -> Option<String> {
        match self {
            Self::Keep => None,
            Self::SetAside => Some(
                "the data directory holds a cluster of one member without client keys, started without \
                 -discovery and -peers: setting its data aside"
                    .to_owned(),
            ),
            Self::Discard { client_keys } => Some(format!(
                "-force: discarding the data directory, with {}",
                count_keys(*client_keys)
            )),
        }
    }
}

fn count_keys(count: usize) -> String {
    match count {
        0 => "no client keys".to_owned(),
        1 => "1 client key".to_owned(),
        _ => format!("{count} client keys"),
    }
}

/// Plan the start.
///
/// The data directory takes precedence over the token, and the token over peers. The exception is a member that was
/// started without both, is still the only member, and now has a token or peers: a package started it before it was
/// configured. A cluster that grew from such a start is kept. With peers alone, no cluster is founded.
///
/// # Errors
///
/// - [`PlanError::OnlySelf`]: a member without data has no other peer than itself.
/// - [`PlanError::WouldLoseKeys`]: the data directory of such a lone member holds clients' keys.
pub fn plan_start(state: &LocalState, inputs: &StartInputs<'_>) -> Result<Plan, PlanError> {
    let StartInputs {
        own,
        has_token,
        peers,
        force,
        is_renamed,
    } = *inputs;
    let others: Vec<Address> = peers
        .iter()
        .filter(|peer| !peer.is_same_endpoint(own))
        .cloned()
        .collect();
    let without_data = if has_token {
        Start::Discover
    } else if !others.is_empty() {
        Start::Join(others)
    } else if peers.is_empty() {
        Start::Found
    } else if *state == LocalState::Empty || force {
        return Err(PlanError::OnlySelf(own.clone()));
    } else {
        Start::Restart
    };
    let (data_dir, start) = match state {
        LocalState::Empty => (DataDirAction::Keep, without_data),
        LocalState::Standby if force => (DataDirAction::Discard { client_keys: 0 }, without_data),
        LocalState::Standby => (DataDirAction::Keep, Start::Standby),
        LocalState::Member { client_keys, .. } if force => {
            let client_keys = *client_keys;
            (DataDirAction::Discard { client_keys }, without_data)
        }
        LocalState::Member {
            founding: Founding::Alone,
            members: 0 | 1,
            client_keys,
        } if matches!(without_data, Start::Join(_) | Start::Discover)
            || is_renamed && without_data == Start::Found =>
        {
            match *client_keys {
                0 => (DataDirAction::SetAside, without_data),
                client_keys => return Err(PlanError::WouldLoseKeys { client_keys }),
            }
        }
        LocalState::Member { .. } => (DataDirAction::Keep, Start::Restart),
    };
    Ok(Plan { data_dir, start })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        crate::cluster::peer_address(text).expect("an address")
    }

    fn used(founding: Founding, members: usize, client_keys: usize) -> LocalState {
        LocalState::Member {
            founding,
            members,
            client_keys,
        }
    }

    fn decided(
        state: &LocalState,
        peers: &[&str],
        force: bool,
    ) -> Result<(DataDirAction, Start), PlanError> {
        let peers: Vec<_> = peers.iter().map(|text| address(text)).collect();
        let inputs = StartInputs {
            own: &address("me:7001"),
            has_token: false,
            peers: &peers,
            force,
            is_renamed: false,
        };
        let plan = plan_start(state, &inputs)?;
        Ok((plan.data_dir, plan.start))
    }

    #[test]
    fn a_member_that_was_started_before_it_had_its_name_starts_again() {
        let used = |client_keys, members| LocalState::Member {
            founding: Founding::Alone,
            members,
            client_keys,
        };
        let renamed = |state: &LocalState| {
            let inputs = StartInputs {
                own: &address("me:7001"),
                has_token: false,
                peers: &[],
                force: false,
                is_renamed: true,
            };
            plan_start(state, &inputs)
        };
        let plan = renamed(&used(0, 1)).expect("decided");
        assert_eq!(
            (plan.data_dir, plan.start),
            (DataDirAction::SetAside, Start::Found)
        );
        assert!(renamed(&used(1, 1)).is_err());
        let grown = renamed(&used(0, 2)).expect("decided");
        assert_eq!(grown.data_dir, DataDirAction::Keep);
        assert!(used(0, 1).is_untouched() && !used(0, 2).is_untouched());
    }

    #[test]
    fn the_start_depends_on_state_peers_and_force() {
        use DataDirAction::{Discard, Keep, SetAside};
        use Founding::{Alone, Discovery, Peers};
        let join = || Start::Join(vec![address("a:7001"), address("b:7001")]);
        let given: &[&str] = &["a", "me", "b:7001"];
        let only_self = || Err(PlanError::OnlySelf(address("me")));
        let discarded = || Ok((Discard { client_keys: 0 }, Start::Found));
        let restart = || Ok((Keep, Start::Restart));
        let empty = LocalState::Empty;
        for (directory, peers, force, expected) in [
            (empty.clone(), &[][..], false, Ok((Keep, Start::Found))),
            (empty.clone(), given, false, Ok((Keep, join()))),
            (empty.clone(), given, true, Ok((Keep, join()))),
            (empty, &["me"][..], false, only_self()),
            // A standby remains one, whatever its peers are.
            (LocalState::Standby, &[], false, Ok((Keep, Start::Standby))),
            (
                LocalState::Standby,
                given,
                false,
                Ok((Keep, Start::Standby)),
            ),
            (LocalState::Standby, &[], true, discarded()),
            // The data directory takes precedence.
            (used(Alone, 1, 5), &[], false, restart()),
            (used(Peers, 3, 0), given, false, restart()),
            (used(Peers, 1, 0), given, false, restart()),
            (used(Discovery, 1, 0), given, false, restart()),
            (used(Alone, 1, 0), &["me"], false, restart()),
            // Except for that of a member that was started before it was configured.
            (used(Alone, 1, 0), given, false, Ok((SetAside, join()))),
            (used(Alone, 0, 0), given, false, Ok((SetAside, join()))),
            (
                used(Alone, 1, 7),
                given,
                false,
                Err(PlanError::WouldLoseKeys { client_keys: 7 }),
            ),
            // A cluster that others have joined is kept.
            (used(Alone, 3, 0), given, false, restart()),
            (used(Alone, 3, 7), given, false, restart()),
            // With -force, data is discarded.
            (
                used(Alone, 1, 7),
                given,
                true,
                Ok((Discard { client_keys: 7 }, join())),
            ),
            (
                used(Peers, 3, 7),
                &[],
                true,
                Ok((Discard { client_keys: 7 }, Start::Found)),
            ),
            (used(Peers, 3, 7), &["me"], true, only_self()),
        ] {
            assert_eq!(
                decided(&directory, peers, force),
                expected,
                "{directory:?} {peers:?} {force}"
            );
        }
    }

    #[test]
    fn a_token_takes_precedence_over_peers_only() {
        use DataDirAction::{Discard, Keep, SetAside};
        use Founding::{Alone, Discovery, Peers};
        let would_lose = Err(PlanError::WouldLoseKeys { client_keys: 7 });
        for (directory, force, expected) in [
            (LocalState::Empty, false, Ok((Keep, Start::Discover))),
            (used(Alone, 1, 0), false, Ok((SetAside, Start::Discover))),
            (used(Alone, 1, 7), false, would_lose),
            (
                used(Alone, 1, 7),
                true,
                Ok((Discard { client_keys: 7 }, Start::Discover)),
            ),
            (used(Alone, 3, 0), false, Ok((Keep, Start::Restart))),
            (used(Discovery, 1, 0), false, Ok((Keep, Start::Restart))),
            (used(Peers, 3, 7), false, Ok((Keep, Start::Restart))),
            (LocalState::Standby, false, Ok((Keep, Start::Standby))),
        ] {
            for peers in [&[][..], &[address("a:7001")], &[address("me:7001")]] {
                let inputs = StartInputs {
                    own: &address("me:7001"),
                    has_token: true,
                    peers,
                    force,
                    is_renamed: false,
                };
                let decided = plan_start(&directory, &inputs);
                let decided = decided.map(|plan| (plan.data_dir, plan.start));
                assert_eq!(decided, expected, "{directory:?} {peers:?}");
            }
        }
    }

    #[test]
    fn sentences_name_the_keys_that_would_be_lost() {
        let error = PlanError::WouldLoseKeys { client_keys: 1 }.to_string();
        assert!(error.contains("with 1 client key:"), "{error}");
        let discard = DataDirAction::Discard { client_keys: 12 }.sentence();
        assert!(discard.expect("a sentence").contains("12 client keys"));
    }
}
