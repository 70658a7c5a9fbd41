//! Clean keys.

use std::sync::Arc;

/// A key, cleaned: absolute, no empty, `.` or `..` parts, no trailing slash; `/` is the root.
///
/// Ordered by depth first and text second, so that the children of a directory lie side by side in a
/// map of the whole tree, in the order of their names.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Path {
    depth: u16,
    text: Arc<str>,
}
