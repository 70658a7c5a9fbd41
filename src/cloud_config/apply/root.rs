//! Resolves paths below another root, so that no symbolic link leads out of it.

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

/// Maximum number of symbolic links that are followed.
const LINKS_MAX: usize = 40;

/// Resolves `path` with `root` as `/`, except for its last component, which may be a symbolic link or not
/// exist.
///
/// # Errors
///
/// Too many symbolic links, as in a loop, or one that cannot be read.
pub(super) fn resolve_parent(root: &Path, path: &str) -> io::Result<PathBuf> {
    resolve_links(root, path, Last::Kept)
}

/// Resolves all components of `path` with `root` as `/`.
///
/// # Errors
///
/// Too many symbolic links, as in a loop, or one that cannot be read.
pub(super) fn resolve(root: &Path, path: &str) -> io::Result<PathBuf> {
    resolve_links(root, path, Last::Followed)
}

/// The treatment of a symbolic link in the last component.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Last {
    Kept,
    Followed,
}

fn resolve_links(root: &Path, path: &str, last: Last) -> io::Result<PathBuf> {
    let mut rest: Vec<PathBuf> = components(Path::new(path));
    let mut below = PathBuf::new();
    let mut links = 0;
    while let Some(part) = rest.pop() {
        if part.as_os_str() == ".." {
            below.pop();
            continue;
        }
        let full = root.join(&below).join(&part);
        let link = match rest.is_empty() && last == Last::Kept {
            true => None,
            false => read_link(&full)?,
        };
        let Some(target) = link else {
            below.push(part);
            continue;
        };
        links += 1;
        if links > LINKS_MAX {
            return Err(io::Error::other(format!(
                "{path} has more than {LINKS_MAX} symbolic links"
            )));
        }
        if target.is_absolute() {
            below.clear();
        }
        rest.extend(components(&target));
    }
    Ok(root.join(below))
}

/// The components of a path, the last one first.
fn components(path: &Path) -> Vec<PathBuf> {
    let mut components: Vec<PathBuf> = path
        .components()
        .filter(|part| matches!(part, Component::Normal(_) | Component::ParentDir))
        .map(|part| PathBuf::from(part.as_os_str()))
        .collect();
    components.reverse();
    components
}

fn read_link(full: &Path) -> io::Result<Option<PathBuf>> {
    match fs::symlink_metadata(full) {
        Ok(found) if found.is_symlink() => fs::read_link(full).map(Some),
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
        let directory = tempfile::tempdir().expect("a directory");
        let root = directory.path();
        fs::create_dir_all(root.join("a/b")).expect("a directory");
        symlink("/run", root.join("a/absolute")).expect("a link");
        symlink("../../../..", root.join("a/b/up")).expect("a link");
        symlink("loop", root.join("loop")).expect("a link");
        let at = |path: &str| {
            resolve_parent(root, path).map(|full| full.strip_prefix(root).map(PathBuf::from))
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
        let is_x = |path: &str| resolve(root, path).map(|full| full == root.join("etc/x"));
        assert!(is_x("/twice").expect("a path"));
        assert!(is_x("/etc/x").expect("a path"));
        assert!(at("/loop/x").is_err());
    }
}
