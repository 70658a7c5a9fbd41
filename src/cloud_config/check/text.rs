//! Checks of texts that several sections share.

/// Whether a text fits on one line of a file, or into one argument of a command.
pub(super) fn is_line(text: &str) -> bool {
    !text.chars().any(char::is_control)
}
