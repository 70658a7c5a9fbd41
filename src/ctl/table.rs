//! Text tables.

/// A table with aligned columns, `head` first; the last column is not padded.
pub(crate) fn aligned<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> String {
    let mut widths = head.map(|title| title.chars().count());
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: [&str; N]| {
        let mut line = String::new();
        for (cell, width) in cells.iter().zip(widths) {
            line.push_str(&format!("{cell:width$}  "));
        }
        format!("{}\n", line.trim_end())
    };
    let rows = rows
        .iter()
        .map(|row| line(row.each_ref().map(String::as_str)));
    std::iter::once(line(head)).chain(rows).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let rows = [
            ["n1", "http://10.0.0.1:4001", "x"].map(String::from),
            ["größer", "u", ""].map(String::from),
        ];
        assert_eq!(
            aligned(["NAME", "URL", "MORE"], &rows),
            "NAME    URL                   MORE\n\
             n1      http://10.0.0.1:4001  x\n\
             größer  u\n"
        );
    }
}
