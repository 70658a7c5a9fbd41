//! One run at a time: two would decide on what they found and then undo each other's work.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use nix::fcntl::OFlag;

/// Where this machine's lock is: no user may open it, or they could hold every run up.
const FOLDER: &str = "run/etcd-cloudinit";

/// Wait until no other run is under way; others wait until the answer is dropped, or the program ends.
///
/// # Errors
///
/// The lock cannot be made or taken.
pub(super) fn take(root: &Path, is_machine: bool) -> io::Result<File> {
    // Below another root nothing is left behind, so the root is its own lock.
    let file = match is_machine {
        true => open(root)?,
        false => File::open(root)?,
    };
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            eprintln!("etcd-cloudinit: another run is under way; waiting for it to end");
            file.lock()?;
        }
        Err(TryLockError::Error(error)) => return Err(error),
    }
    Ok(file)
}

fn open(root: &Path) -> io::Result<File> {
    let folder = root.join(FOLDER);
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o755).create(&folder)?;
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(OFlag::O_NOFOLLOW.bits())
        .open(folder.join("lock"))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn the_second_waits_for_the_first() {
        let root = tempfile::tempdir().expect("a folder");
        for is_machine in [true, false] {
            let first = take(root.path(), is_machine).expect("the lock");
            let (tell, told) = mpsc::channel();
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    let second = take(root.path(), is_machine).expect("the lock");
                    tell.send("second").expect("somebody hears");
                    drop(second);
                });
                let other = match is_machine {
                    true => open(root.path()),
                    false => File::open(root.path()),
                };
                let taken = other.expect("it is there").try_lock();
                assert!(matches!(taken, Err(TryLockError::WouldBlock)));
                assert!(told.try_recv().is_err());
                drop(first);
                assert_eq!(told.recv(), Ok("second"));
            });
        }
    }
}
