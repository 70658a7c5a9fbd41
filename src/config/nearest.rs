//! What was perhaps meant.

/// The known name that is nearest to the one given, if one is near enough to be a slip of the hand: a
/// change of letters for every four, and one more.
pub fn nearest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let far = 1 + given.chars().count() / 4;
    known
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(given, name), name))
        .filter(|(distance, _)| *distance <= far)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_slip_is_understood_and_another_word_is_not() {
        let known = ["snapshot", "snapshot_count", "name", "data_dir"];
        assert_eq!(nearest("snapshot_cuont", known), Some("snapshot_count"));
        assert_eq!(nearest("data-dir", known), Some("data_dir"));
        assert_eq!(nearest("nmae", known), Some("name"));
        assert_eq!(nearest("initial_cluster", known), None);
        assert_eq!(nearest("", known), None);
    }
}
