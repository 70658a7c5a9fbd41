//! Paths below a root: what leads out of it by links leads back in.

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

/// How many links are followed.
const LINKS_MAX: usize = 40;

/// Where `path` really is, if `root` is taken for `/`. Its last part is not followed: it may be a link,
/// or not be there.
///
/// # Errors
///
/// Links that lead nowhere but on, or cannot be read.
pub(super) fn within(root: &Path, path: &str) -> io::Result<PathBuf> {
    resolved(root, path, Last::Kept)
}

/// The same with its last part followed, too.
///
/// # Errors
///
/// Links that lead nowhere but on, or cannot be read.
pub(super) fn behind(root: &Path, path: &str) -> io::Result<PathBuf> {
    resolved(root, path, Last::Followed)
}

/// What is done with the last part of a path, if it is a link.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Last {
    Kept,
    Followed,
}

fn resolved(root: &Path, path: &str, last: Last) -> io::Result<PathBuf> {
    let mut todo: Vec<PathBuf> = parts(Path::new(path));
    let mut below = PathBuf::new();
    let mut links = 0;
    while let Some(part) = todo.pop() {
        if part.as_os_str() == ".." {
            below.pop();
            continue;
        }
        let place = root.join(&below).join(&part);
        let link = match todo.is_empty() && last == Last::Kept {
            true => None,
            false => link(&place)?,
        };
        let Some(target) = link else {
            below.push(part);
            continue;
        };
        links += 1;
        if links > LINKS_MAX {
            return Err(io::Error::other(format!(
                "{path} goes through too many links"
            )));
        }
        if target.is_absolute() {
            below.clear();
        }
        todo.extend(parts(&target));
    }
    Ok(root.join(below))
}

/// The parts of a path, the last one first.
fn parts(path: &Path) -> Vec<PathBuf> {
    let mut parts: Vec<PathBuf> = path
        .components()
        .filter(|part| matches!(part, Component::Normal(_) | Component::ParentDir))
        .map(|part| PathBuf::from(part.as_os_str()))
        .collect();
    parts.reverse();
    parts
}

fn link(place: &Path) -> io::Result<Option<PathBuf>> {
    match fs::symlink_metadata(place) {
        Ok(found) if found.is_symlink() => fs::read_link(place).map(Some),
        Ok(_) => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn no_link_leads_out() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        fs::create_dir_all(root.join("a/b")).expect("a folder");
        symlink("/run", root.join("a/absolute")).expect("a link");
        symlink("../../../..", root.join("a/b/up")).expect("a link");
        symlink("loop", root.join("loop")).expect("a link");
        let at = |path: &str| {
            within(root, path).map(|place| place.strip_prefix(root).map(PathBuf::from))
        };
        let good = |path: &str, expected: &str| {
            assert_eq!(
                at(path).expect("a path"),
                Ok(PathBuf::from(expected)),
                "{path}"
            );
        };
        good("/a/absolute/x", "run/x");
        good("/a/b/up/etc/x", "etc/x");
        good("/a/absolute", "a/absolute");
        good("/new/x/y", "new/x/y");
        symlink("up/../etc/x", root.join("a/b/relative")).expect("a link");
        symlink("/a/b/relative", root.join("twice")).expect("a link");
        let behind = |path: &str| behind(root, path).map(|place| place == root.join("etc/x"));
        assert!(behind("/twice").expect("a path"));
        assert!(behind("/etc/x").expect("a path"));
        assert!(at("/loop/x").is_err());
    }
}
