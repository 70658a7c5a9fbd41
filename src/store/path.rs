//! Keys, normalized.

use std::fmt;
use std::sync::Arc;

/// The longest key, in bytes after normalization; a longer one is [`PathError::TooLong`].
pub const PATH_BYTES_MAX: usize = 4096;

/// The largest number of levels of a key; a deeper one is [`PathError::TooDeep`].
pub const PATH_LEVELS_MAX: usize = 128;

/// A normalized key: absolute, without empty, `.` or `..` components and without a trailing slash; `/` is the
/// root.
///
/// Ordered by depth first and text second, so that the children of a directory are adjacent in a map of the
/// whole tree, in the order of their names.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Path {
    depth: u16,
    text: Arc<str>,
}

/// Why a text is not a valid key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathError {
    /// Longer than [`PATH_BYTES_MAX`].
    TooLong,
    /// Deeper than [`PATH_LEVELS_MAX`].
    TooDeep,
    /// It contains a NUL, which no tool can show or type.
    Nul,
    /// It is not a single name: it is empty, `.` or `..`, or contains a slash.
    NotAName,
}

impl Path {
    /// The root of the tree.
    pub fn root() -> Self {
        Self {
            depth: 0,
            text: Arc::from("/"),
        }
    }

    /// The key with this text, after [normalization](Path::clean).
    ///
    /// # Errors
    ///
    /// - [`PathError::TooLong`]: it is longer than [`PATH_BYTES_MAX`].
    /// - [`PathError::TooDeep`]: it has more than [`PATH_LEVELS_MAX`] levels.
    /// - [`PathError::Nul`]: it contains a NUL.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        if is_clean(text) {
            Self::checked(Arc::from(text))
        } else {
            Self::checked(Arc::from(Self::clean(text)))
        }
    }

    /// The normalized form of any text: absolute, without `//`, `.` and a trailing slash, and with `..` resolved
    /// (not above the root). It may be too long for a key.
    pub fn clean(text: &str) -> String {
        let mut parts: Vec<&str> = Vec::new();
        for part in text.split('/') {
            match part {
                "" | "." => {}
                ".." => {
                    parts.pop();
                }
                name => parts.push(name),
            }
        }
        let mut clean = String::with_capacity(text.len() + 1);
        for part in &parts {
            clean.push('/');
            clean.push_str(part);
        }
        if clean.is_empty() {
            clean.push('/');
        }
        clean
    }

    /// The key named `name` in this directory.
    ///
    /// # Errors
    ///
    /// As [`Path::parse`], and [`PathError::NotAName`]: the name is empty, `.` or `..`, or contains a slash.
    pub fn child(&self, name: &str) -> Result<Self, PathError> {
        if matches!(name, "" | "." | "..") || name.contains('/') {
            return Err(PathError::NotAName);
        }
        let mut text = String::with_capacity(self.text.len() + 1 + name.len());
        text.push_str(self.prefix());
        text.push('/');
        text.push_str(name);
        Self::checked(Arc::from(text))
    }

    /// The directory of this key; none for the root.
    pub fn parent(&self) -> Option<Self> {
        let depth = self.depth.checked_sub(1)?;
        let end = self.text.rfind('/')?;
        let text = if end == 0 { "/" } else { &self.text[..end] };
        Some(Self {
            depth,
            text: Arc::from(text),
        })
    }

    /// The key as text, such as `/a/b`.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The last component; empty for the root.
    pub fn name(&self) -> &str {
        self.text.rsplit('/').next().unwrap_or("")
    }

    /// The number of components; 0 for the root.
    pub fn depth(&self) -> usize {
        usize::from(self.depth)
    }

    /// Whether this is the root.
    pub fn is_root(&self) -> bool {
        self.depth == 0
    }

    /// Whether its name starts with `_`: listings of its directory do not show it.
    pub fn is_hidden(&self) -> bool {
        self.name().starts_with('_')
    }

    /// Whether this is `directory` or a key below it.
    pub fn starts_with(&self, directory: &Self) -> bool {
        self == directory || self.is_below(directory)
    }

    /// Whether this is a key below `directory`, at any depth.
    pub fn is_below(&self, directory: &Self) -> bool {
        self.depth > directory.depth && self.below(directory).is_some()
    }

    /// Whether this is below `directory`, and it or a directory between them is hidden.
    pub fn is_hidden_from(&self, directory: &Self) -> bool {
        self.below(directory)
            .is_some_and(|rest| rest.contains("/_"))
    }

    /// The directories above this key, from the top and without the root, and then this key.
    pub fn ancestors_and_self(&self) -> impl Iterator<Item = Self> {
        let ends = self.text.match_indices('/').map(|(at, _)| at).skip(1);
        let whole = (!self.is_root()).then_some(self.text.len());
        (1..).zip(ends.chain(whole)).map(|(depth, end)| Self {
            depth,
            text: Arc::from(&self.text[..end]),
        })
    }

    /// The text, shared.
    pub(super) fn shared_text(&self) -> Arc<str> {
        Arc::clone(&self.text)
    }

    /// The common prefix of all keys below this one, without the slash at its end.
    pub(super) fn prefix(&self) -> &str {
        if self.is_root() { "" } else { &self.text }
    }

    /// A lower bound of all keys exactly `levels` levels (at least 1) below this one.
    pub(super) fn lower_bound_below(&self, levels: u16) -> Self {
        Self {
            depth: self.depth.saturating_add(levels),
            text: Arc::from(format!("{}/", self.prefix())),
        }
    }

    /// The rest of this text after `directory`, from the slash, if this key is below it.
    fn below(&self, directory: &Self) -> Option<&str> {
        let rest = self.text.strip_prefix(directory.prefix())?;
        (rest.len() > 1 && rest.starts_with('/')).then_some(rest)
    }

    /// A key with a text that is already normalized.
    fn checked(text: Arc<str>) -> Result<Self, PathError> {
        if text.len() > PATH_BYTES_MAX {
            return Err(PathError::TooLong);
        }
        if text.contains('\0') {
            return Err(PathError::Nul);
        }
        let slashes = text.bytes().filter(|&byte| byte == b'/').count();
        let levels = if text.len() == 1 { 0 } else { slashes };
        if levels > PATH_LEVELS_MAX {
            return Err(PathError::TooDeep);
        }
        let depth = u16::try_from(levels).map_err(|_| PathError::TooDeep)?;
        Ok(Self { depth, text })
    }
}

/// The key as text.
impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(f, "the key is longer than {PATH_BYTES_MAX} bytes"),
            Self::TooDeep => write!(f, "the key has more than {PATH_LEVELS_MAX} levels"),
            Self::Nul => f.write_str("the key contains a NUL"),
            Self::NotAName => {
                f.write_str("the name is empty, \".\" or \"..\", or contains a slash")
            }
        }
    }
}

impl std::error::Error for PathError {}

/// Whether a text is already normalized; most are, and need no copy.
fn is_clean(text: &str) -> bool {
    text == "/"
        || text
            .strip_prefix('/')
            .is_some_and(|rest| rest.split('/').all(|part| !matches!(part, "" | "." | "..")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> Path {
        Path::parse(text).expect(text)
    }

    #[test]
    fn texts_are_normalized() {
        for (given, clean) in [
            ("", "/"),
            ("/", "/"),
            ("a", "/a"),
            ("/a/", "/a"),
            ("//a///b", "/a/b"),
            ("/a/./b/.", "/a/b"),
            ("/a/../b", "/b"),
            ("/../../x", "/x"),
            ("/a/b/../..", "/"),
            ("/a/..b/...", "/a/..b/..."),
        ] {
            assert_eq!(path(given).text(), clean, "{given:?}");
            assert_eq!(Path::clean(given), clean, "{given:?}");
        }
    }

    #[test]
    fn keys_beyond_the_limits_are_refused() {
        let long = format!("/{}", "x".repeat(PATH_BYTES_MAX - 1));
        assert_eq!(path(&long).text().len(), PATH_BYTES_MAX);
        assert_eq!(Path::parse(&format!("{long}x")), Err(PathError::TooLong));
        let deep = "/d".repeat(PATH_LEVELS_MAX);
        assert_eq!(path(&deep).depth(), PATH_LEVELS_MAX);
        assert_eq!(Path::parse(&format!("{deep}/d")), Err(PathError::TooDeep));
        assert_eq!(path(&deep).child("e"), Err(PathError::TooDeep));
        assert_eq!(Path::parse("/a\0b"), Err(PathError::Nul));
    }

    #[test]
    fn parents_children_and_names() {
        assert_eq!(path("/a/b").parent(), Some(path("/a")));
        assert_eq!(path("/a").parent(), Some(Path::root()));
        assert_eq!(Path::root().parent(), None);
        assert_eq!(Path::root().child("a"), Ok(path("/a")));
        assert_eq!(path("/a").child("b"), Ok(path("/a/b")));
        for name in ["", ".", "..", "b/c"] {
            assert_eq!(path("/a").child(name), Err(PathError::NotAName));
        }
        assert_eq!((path("/a/b").name(), Path::root().name()), ("b", ""));
        assert!(path("/a/_b").is_hidden() && !path("/_a/b").is_hidden());
        let way: Vec<_> = path("/a/b/c").ancestors_and_self().collect();
        assert_eq!(way, [path("/a"), path("/a/b"), path("/a/b/c")]);
        assert_eq!(Path::root().ancestors_and_self().count(), 0);
    }

    #[test]
    fn below_compares_components() {
        assert!(path("/a/b").is_below(&path("/a")) && path("/a").is_below(&Path::root()));
        assert!(!path("/ab").is_below(&path("/a")) && !path("/a").is_below(&path("/a")));
        assert!(!Path::root().is_below(&Path::root()) && Path::root().starts_with(&Path::root()));
        assert!(path("/a/_h/x").is_hidden_from(&path("/a")));
        assert!(path("/_h").is_hidden_from(&Path::root()));
        assert!(
            !path("/_h/x").is_hidden_from(&path("/_h"))
                && !path("/a_b").is_hidden_from(&Path::root())
        );
    }

    #[test]
    fn children_are_adjacent() {
        let mut all: Vec<_> = ["/b", "/a/y", "/a0/x", "/a", "/", "/a/x", "/a-/x"]
            .map(path)
            .into();
        all.sort();
        let texts: Vec<_> = all.iter().map(Path::text).collect();
        assert_eq!(texts, ["/", "/a", "/b", "/a-/x", "/a/x", "/a/y", "/a0/x"]);
    }
}
