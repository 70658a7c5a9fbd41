//! What a starting member does, decided from what it finds and what it was given. Pure.

use std::fmt;

use crate::cluster::Address;
use crate::host::Failure;
use crate::wal::Founding;

/// What the data directory holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Directory {
    /// Nothing yet.
    Empty,
    /// Where the cluster is in which the machine had no place.
    Standby,
    /// A member.
    Used {
        /// How its cluster was found.
        founding: Founding,
        /// How many members its cluster has, as far as its log tells; itself included.
        members: usize,
        /// How many keys clients have stored in it: those outside `/_etcd`, directories included.
        client_keys: usize,
    },
}

/// What a member was given, and where it is.
#[derive(Clone, Copy, Debug)]
pub struct Given<'a> {
    /// Where its peers reach it.
    pub own: &'a Address,
    /// Whether it has a discovery token.
    pub token: bool,
    /// Members of a cluster.
    pub peers: &'a [Address],
    /// Whether what is in the way may be thrown away.
    pub force: bool,
    /// Whether it has another name than what its directory holds.
    pub renamed: bool,
}

impl Directory {
    /// Whether it was founded alone, is alone still, and holds nothing of a client's.
    pub fn is_untouched(&self) -> bool {
        matches!(
            self,
            Self::Used {
                founding: Founding::Alone,
                members: 0 | 1,
                client_keys: 0,
            }
        )
    }
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// First, with the directory.
    pub treatment: DataDirAction,
    /// Then.
    pub start: Start,
}

/// What becomes of the directory before the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataDirAction {
    /// It is used as it is, or made.
    Keep,
    /// It is renamed, and a new one made: it holds nothing of a client's.
    SetAside,
    /// What oxetcd has in it is removed, as `-force` says.
    Discard {
        /// How many keys of clients are thrown away.
        client_keys: usize,
    },
}

/// How to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// As the first member of a new cluster.
    Found,
    /// By its discovery token: as the first with it, or by asking the others.
    Discover,
    /// By asking these for a place, in this order.
    Join(Vec<Address>),
    /// As the member that the directory holds.
    Restart,
    /// As a standby, as before.
    Standby,
}

/// Why a member does not start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// All peers given are the machine itself.
    OnlySelf(Address),
    /// The directory is a cluster of its own with keys in it, and a token or peers are given.
    WouldLose {
        /// How many keys of clients it holds.
        client_keys: usize,
    },
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OnlySelf(address) => write!(
                f,
                "-peers names only this machine itself ({address}): to found a cluster start one \
                 member without -peers; to join one name another member"
            ),
            Self::WouldLose { client_keys } => write!(
                f,
                "the data directory is a cluster of its own, founded with neither -discovery nor \
                 -peers, and holds {}: start with neither to keep using it, or with -force to throw \
                 all of that away and find the others with an empty directory",
                keys(*client_keys)
            ),
        }
    }
}

impl std::error::Error for Refusal {}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let why = refusal.to_string();
        match refusal {
            Refusal::OnlySelf(_) => Self::Options(why),
            Refusal::WouldLose { .. } => Self::Directory(why),
        }
    }
}

/// What a line of the log says about it; none for a directory that is kept.
impl DataDirAction {
    /// The sentence, if there is something to say.
    pub fn sentence(&self) -> Option<String> {
        match self {
            Self::Keep => None,
            Self::SetAside => Some(
                "the data directory is a cluster of its own without any client's key, from a \
                 start with neither -discovery nor -peers: it is set aside"
                    .to_owned(),
            ),
            Self::Discard { client_keys } => Some(format!(
                "-force: the data directory is thrown away, with {} in it",
                keys(*client_keys)
            )),
        }
    }
}

fn keys(count: usize) -> String {
    match count {
        0 => "no client's key".to_owned(),
        1 => "1 key of clients".to_owned(),
        _ => format!("{count} keys of clients"),
    }
}

/// What a member does that finds `directory` and was given `given`.
///
/// The directory wins over a token, and that over peers, but for one that was founded alone, is alone
/// still, and now is given a token or peers: a package had started it before it was configured. A cluster
/// that grew from such a start is never touched. With peers alone, no cluster is ever founded.
///
/// # Errors
///
/// A [`Refusal`]; nothing has been touched.
pub fn decide(directory: &Directory, given: &Given<'_>) -> Result<Decision, Refusal> {
    let Given {
        own,
        token,
        peers,
        force,
        renamed,
    } = *given;
    let others: Vec<Address> = peers
        .iter()
        .filter(|peer| !peer.is_same_place(own))
        .cloned()
        .collect();
    let fresh = if token {
        Start::Discover
    } else if !others.is_empty() {
        Start::Join(others)
    } else if peers.is_empty() {
        Start::Found
    } else if *directory == Directory::Empty || force {
        return Err(Refusal::OnlySelf(own.clone()));
    } else {
        Start::Restart
    };
    let (treatment, start) = match directory {
        Directory::Empty => (DataDirAction::Keep, fresh),
        Directory::Standby if force => (DataDirAction::Discard { client_keys: 0 }, fresh),
        Directory::Standby => (DataDirAction::Keep, Start::Standby),
        Directory::Used { client_keys, .. } if force => {
            let client_keys = *client_keys;
            (DataDirAction::Discard { client_keys }, fresh)
        }
        Directory::Used {
            founding: Founding::Alone,
            members: 0 | 1,
            client_keys,
        } if matches!(fresh, Start::Join(_) | Start::Discover)
            || renamed && fresh == Start::Found =>
        {
            match *client_keys {
                0 => (DataDirAction::SetAside, fresh),
                client_keys => return Err(Refusal::WouldLose { client_keys }),
            }
        }
        Directory::Used { .. } => (DataDirAction::Keep, Start::Restart),
    };
    Ok(Decision { treatment, start })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        crate::cluster::peer_address(text).expect("an address")
    }

    fn used(founding: Founding, members: usize, client_keys: usize) -> Directory {
        Directory::Used {
            founding,
            members,
            client_keys,
        }
    }

    fn decided(
        directory: &Directory,
        peers: &[&str],
        force: bool,
    ) -> Result<(DataDirAction, Start), Refusal> {
        let peers: Vec<_> = peers.iter().map(|text| address(text)).collect();
        let given = Given {
            own: &address("me:7001"),
            token: false,
            peers: &peers,
            force,
            renamed: false,
        };
        let decision = decide(directory, &given)?;
        Ok((decision.treatment, decision.start))
    }

    #[test]
    fn what_was_started_before_it_had_its_name_begins_again() {
        let used = |client_keys, members| Directory::Used {
            founding: Founding::Alone,
            members,
            client_keys,
        };
        let renamed = |directory: &Directory| {
            let given = Given {
                own: &address("me:7001"),
                token: false,
                peers: &[],
                force: false,
                renamed: true,
            };
            decide(directory, &given)
        };
        let decision = renamed(&used(0, 1)).expect("decided");
        assert_eq!(
            (decision.treatment, decision.start),
            (DataDirAction::SetAside, Start::Found)
        );
        assert!(renamed(&used(1, 1)).is_err());
        let grown = renamed(&used(0, 2)).expect("decided");
        assert_eq!(grown.treatment, DataDirAction::Keep);
        assert!(used(0, 1).is_untouched() && !used(0, 2).is_untouched());
    }

    #[test]
    fn the_table() {
        use DataDirAction::{Discard, Keep, SetAside};
        use Founding::{Alone, Discovery, Peers};
        let join = || Start::Join(vec![address("a:7001"), address("b:7001")]);
        let given: &[&str] = &["a", "me", "b:7001"];
        let only_self = || Err(Refusal::OnlySelf(address("me")));
        let anew = || Ok((Discard { client_keys: 0 }, Start::Found));
        let empty = Directory::Empty;
        for (directory, peers, force, expected) in [
            (empty.clone(), &[][..], false, Ok((Keep, Start::Found))),
            (empty.clone(), given, false, Ok((Keep, join()))),
            (empty.clone(), given, true, Ok((Keep, join()))),
            (empty, &["me"][..], false, only_self()),
            // A standby stays one, whatever peers it is given.
            (Directory::Standby, &[], false, Ok((Keep, Start::Standby))),
            (Directory::Standby, given, false, Ok((Keep, Start::Standby))),
            (Directory::Standby, &[], true, anew()),
            // The directory wins.
            (used(Alone, 1, 5), &[], false, Ok((Keep, Start::Restart))),
            (used(Peers, 3, 0), given, false, Ok((Keep, Start::Restart))),
            (used(Peers, 1, 0), given, false, Ok((Keep, Start::Restart))),
            (
                used(Discovery, 1, 0),
                given,
                false,
                Ok((Keep, Start::Restart)),
            ),
            (
                used(Alone, 1, 0),
                &["me"],
                false,
                Ok((Keep, Start::Restart)),
            ),
            // Unless it was never meant to be.
            (used(Alone, 1, 0), given, false, Ok((SetAside, join()))),
            (used(Alone, 0, 0), given, false, Ok((SetAside, join()))),
            (
                used(Alone, 1, 7),
                given,
                false,
                Err(Refusal::WouldLose { client_keys: 7 }),
            ),
            // A cluster that others have joined is one.
            (used(Alone, 3, 0), given, false, Ok((Keep, Start::Restart))),
            (used(Alone, 3, 7), given, false, Ok((Keep, Start::Restart))),
            // Whoever says -force means it.
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
    fn a_token_goes_before_peers_and_behind_the_directory() {
        use DataDirAction::{Discard, Keep, SetAside};
        use Founding::{Alone, Discovery, Peers};
        let would_lose = Err(Refusal::WouldLose { client_keys: 7 });
        for (directory, force, expected) in [
            (Directory::Empty, false, Ok((Keep, Start::Discover))),
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
            (Directory::Standby, false, Ok((Keep, Start::Standby))),
        ] {
            for peers in [&[][..], &[address("a:7001")], &[address("me:7001")]] {
                let given = Given {
                    own: &address("me:7001"),
                    token: true,
                    peers,
                    force,
                    renamed: false,
                };
                let decided = decide(&directory, &given);
                let decided = decided.map(|decision| (decision.treatment, decision.start));
                assert_eq!(decided, expected, "{directory:?} {peers:?}");
            }
        }
    }

    #[test]
    fn sentences_name_what_is_lost() {
        let refusal = Refusal::WouldLose { client_keys: 1 }.to_string();
        assert!(refusal.contains("holds 1 key of clients:"), "{refusal}");
        let discard = DataDirAction::Discard { client_keys: 12 }.sentence();
        assert!(discard.expect("a sentence").contains("12 keys"));
    }
}
