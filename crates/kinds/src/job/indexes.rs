//! Lists of completion indexes in text, like `0,2-4`.

/// How many indexes a list names.
pub(super) fn count(text: &str, completions: i64) -> Result<i64, String> {
    if text.is_empty() {
        return Ok(0);
    }
    let mut total = 0;
    let mut last: Option<i64> = None;
    for text in text.split(',') {
        let (first, end) = interval(text, completions)?;
        if let Some(last) = last {
            in_order(last, first)?;
        }
        total += end - first + 1;
        last = Some(end);
    }
    Ok(total)
}

/// The first index that two lists share; what cannot be read of them is passed over.
pub(super) fn overlap(completed: &str, failed: &str, completions: i64) -> Option<i64> {
    let read = |text: &str| -> Vec<(i64, i64)> {
        text.split(',').filter_map(|text| interval(text, completions).ok()).collect()
    };
    let (completed, failed) = (read(completed), read(failed));
    let (mut done, mut broken) = (completed.iter().peekable(), failed.iter().peekable());
    while let (Some((first, end)), Some((from, to))) = (done.peek(), broken.peek()) {
        if first <= to && from <= end {
            return Some(*first.max(from));
        }
        if first <= from {
            done.next();
        } else {
            broken.next();
        }
    }
    None
}

fn interval(text: &str, completions: i64) -> Result<(i64, i64), String> {
    let ends: Vec<&str> = text.split('-').collect();
    match ends.as_slice() {
        [one] => index(one, completions).map(|index| (index, index)),
        [first, end] => {
            let (first, end) = (index(first, completions)?, index(end, completions)?);
            in_order(first, end)?;
            Ok((first, end))
        }
        _ => Err(format!(
            "the fragment {text:?} violates the requirement that an index interval can have at most two parts separated by '-'"
        )),
    }
}

fn in_order(before: i64, after: i64) -> Result<(), String> {
    match before < after {
        true => Ok(()),
        false => Err(format!("non-increasing order, previous: {before}, current: {after}")),
    }
}

fn index(text: &str, completions: i64) -> Result<i64, String> {
    match text.parse::<i64>() {
        Ok(index) if index >= completions => Err(format!("too large index: {text:?}")),
        Ok(index) => Ok(index),
        Err(_) => Err(format!("cannot convert string to integer for index: {text:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indexes_are_counted() {
        for (text, expected) in [
            ("", Ok(0)),
            ("0,2-4", Ok(4)),
            ("4-2", Err("non-increasing order, previous: 4, current: 2")),
            ("2-2", Err("non-increasing order, previous: 2, current: 2")),
            ("2,1", Err("non-increasing order, previous: 2, current: 1")),
            ("0-2,2", Err("non-increasing order, previous: 2, current: 2")),
            ("5", Err("too large index: \"5\"")),
            ("1-5", Err("too large index: \"5\"")),
            ("a", Err("cannot convert string to integer for index: \"a\"")),
            ("-1", Err("cannot convert string to integer for index: \"\"")),
            (
                "1-2-3",
                Err(
                    "the fragment \"1-2-3\" violates the requirement that an index interval can have at most two parts separated by '-'",
                ),
            ),
        ] {
            assert_eq!(count(text, 5), expected.map_err(str::to_owned), "{text}");
        }
    }

    #[test]
    fn lists_are_laid_over_each_other() {
        for (completed, failed, expected) in [
            ("", "1", None),
            ("1", "", None),
            ("0,2,4", "1,3", None),
            ("0,2,4", "1,3-4", Some(4)),
            ("0-3", "2", Some(2)),
            ("5,6", "0-6", Some(5)),
            ("x,1", "9,1", Some(1)),
        ] {
            assert_eq!(overlap(completed, failed, 8), expected, "{completed} {failed}");
        }
    }
}
