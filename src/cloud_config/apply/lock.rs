//! The lock that excludes other runs: two at once would plan from the same state and overwrite each other's
//! changes.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use nix::fcntl::OFlag;

/// The directory of the lock of the running host. Only root may open the lock, so that no user can block runs.
const DIRECTORY: &str = "run/etcd-cloudinit";

/// Takes the lock, waiting until no other run holds it. It is released when the file is dropped.
///
/// # Errors
///
/// The lock file cannot be created, opened or locked.
pub(super) fn take(root: &Path, is_host: bool) -> io::Result<File> {
    // Below another root no lock file is left over: the root directory is the lock.
    let file = match is_host {
        true => open(root)?,
        false => File::open(root)?,
    };
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            eprintln!("etcd-cloudinit: another run is in progress; waiting for it to end");
            file.lock()?;
        }
        Err(TryLockError::Error(error)) => return Err(error),
    }
    Ok(file)
}

fn open(root: &Path) -> io::Result<File> {
    let directory = root.join(DIRECTORY);
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o755).create(&directory)?;
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(OFlag::O_NOFOLLOW.bits())
        .open(directory.join("lock"))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn the_second_waits_for_the_first() {
        let root = tempfile::tempdir().expect("a directory");
        for is_host in [true, false] {
            let first = take(root.path(), is_host).expect("the lock");
            let (sender, receiver) = mpsc::channel();
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    let second = take(root.path(), is_host).expect("the lock");
                    sender.send("second").expect("a receiver");
                    drop(second);
                });
                let other = match is_host {
                    true => open(root.path()),
                    false => File::open(root.path()),
                };
                let taken = other.expect("it is there").try_lock();
                assert!(matches!(taken, Err(TryLockError::WouldBlock)));
                assert!(receiver.try_recv().is_err());
                drop(first);
                assert_eq!(receiver.recv(), Ok("second"));
            });
        }
    }
}
