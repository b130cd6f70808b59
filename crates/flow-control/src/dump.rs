//! The tables of `/debug/api_priority_and_fairness/`.

/// A table whose columns are as wide as what is in them, each cell followed by a comma, as upstream prints them.
pub fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = header.iter().map(|cell| cell.len() + 2).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.len() + 2);
        }
    }
    let mut out = String::new();
    let mut line = |cells: &mut dyn Iterator<Item = &str>| {
        for (place, cell) in cells.enumerate() {
            if place + 1 == header.len() {
                out.push_str(cell);
            } else {
                let width = widths.get(place).copied().unwrap_or_default();
                out.push_str(&format!("{:<width$}", format!("{cell},")));
            }
        }
        out.push('\n');
    };
    line(&mut header.iter().copied());
    for row in rows {
        line(&mut row.iter().map(String::as_str));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let rows = [vec!["catch-all".to_owned(), "0".to_owned(), "true".to_owned()]];
        assert_eq!(
            table(&["Name", "Active", "IsIdle"], &rows),
            "Name,      Active, IsIdle\ncatch-all, 0,      true\n"
        );
    }
}
