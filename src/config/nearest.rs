//! Suggestions for misspelled names.

/// The known name most similar to `given`, if it is similar enough to be a typing error: one edit, and one
/// more for every four characters.
pub fn nearest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let distance_max = 1 + given.chars().count() / 4;
    known
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(given, name), name))
        .filter(|(distance, _)| *distance <= distance_max)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_typing_error_is_matched_and_another_word_is_not() {
        let known = ["snapshot", "snapshot_count", "name", "data_dir"];
        assert_eq!(nearest("snapshot_cuont", known), Some("snapshot_count"));
        assert_eq!(nearest("data-dir", known), Some("data_dir"));
        assert_eq!(nearest("nmae", known), Some("name"));
        assert_eq!(nearest("initial_cluster", known), None);
        assert_eq!(nearest("", known), None);
    }
}
