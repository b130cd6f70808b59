//! Times as Go's `time.Parse` reads and `metav1.Time` writes them.

/// Checks an RFC 3339 time and brings it to UTC and whole seconds.
pub(super) fn seconds(text: &mut String) -> Result<(), String> {
    if is_utc(text.as_bytes(), 0) {
        return Ok(());
    }
    match apimachinery::time::in_utc(text).filter(|_| layout_error(text).is_none()) {
        Some(time) => *text = time,
        None => return Err(parse_error(text, "2006-01-02T15:04:05Z07:00")),
    }
    Ok(())
}

/// Checks an RFC 3339 time and brings it to UTC and microseconds.
pub(super) fn micros(text: &mut String) -> Result<(), String> {
    if is_utc(text.as_bytes(), 6) {
        return Ok(());
    }
    match apimachinery::time::in_utc_micro(text).filter(|_| layout_error(text).is_none()) {
        Some(time) => *text = time,
        None => return Err(parse_error(text, "2006-01-02T15:04:05.000000Z07:00")),
    }
    Ok(())
}

/// Recognises the canonical form with a number of fractional digits, for years, days and hours that every
/// calendar has.
fn is_utc(text: &[u8], fraction: usize) -> bool {
    let end = if fraction == 0 { 19 } else { 20 + fraction };
    if text.len() != end + 1 || text[end] != b'Z' {
        return false;
    }
    let digits = |range: std::ops::Range<usize>| text[range].iter().all(u8::is_ascii_digit);
    let number = |at: usize| (text[at] - b'0') * 10 + (text[at + 1] - b'0');
    digits(0..4)
        && text[4] == b'-'
        && digits(5..7)
        && text[7] == b'-'
        && digits(8..10)
        && text[10] == b'T'
        && digits(11..13)
        && text[13] == b':'
        && digits(14..16)
        && text[16] == b':'
        && digits(17..19)
        && (fraction == 0 || (text[19] == b'.' && digits(20..end)))
        && (1..=12).contains(&number(5))
        && (1..=28).contains(&number(8))
        && number(11) < 24
        && number(14) < 60
        && number(17) < 60
}

fn parse_error(text: &str, layout: &str) -> String {
    match layout_error(text) {
        Some((rest, "")) => format!("parsing time {text:?}: {rest}"),
        Some((rest, part)) => {
            format!("parsing time {text:?} as {layout:?}: cannot parse {rest:?} as {part:?}")
        }
        None => format!("parsing time {text:?}: day out of range"),
    }
}

/// Says where the layout stops fitting: the rest of the text, and the part of the layout that it does not fit
/// (empty where the number is out of range and the rest says so).
fn layout_error(text: &str) -> Option<(&str, &'static str)> {
    const PARTS: [(&str, usize, u32, u32, &str); 6] = [
        ("2006", 4, 0, 9999, "-"),
        ("01", 2, 1, 12, "-"),
        ("02", 2, 1, 31, "T"),
        ("15", 2, 0, 23, ":"),
        ("04", 2, 0, 59, ":"),
        ("05", 2, 0, 59, ""),
    ];
    const NAMES: [&str; 6] = [
        "year out of range",
        "month out of range",
        "day out of range",
        "hour out of range",
        "minute out of range",
        "second out of range",
    ];
    let mut rest = text;
    for (at, (part, width, least, most, after)) in PARTS.into_iter().enumerate() {
        let Some(digits) =
            rest.get(..width).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
        else {
            return Some((rest, part));
        };
        if !digits.parse().is_ok_and(|number: u32| (least..=most).contains(&number)) {
            return Some((NAMES[at], ""));
        }
        rest = &rest[width..];
        match rest.strip_prefix(after) {
            Some(next) => rest = next,
            None => return Some((rest, after)),
        }
    }
    if let Some(fraction) = rest.strip_prefix('.') {
        let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
        rest = if digits == 0 { rest } else { &fraction[digits..] };
    }
    let zone = rest.as_bytes();
    let offset = zone.len() == 6
        && matches!(zone[0], b'+' | b'-')
        && zone[3] == b':'
        && [1, 2, 4, 5].into_iter().all(|at| zone[at].is_ascii_digit());
    (rest != "Z" && !offset).then_some((rest, "Z07:00"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brings_times_to_utc_seconds() {
        for (given, expected) in [
            ("2026-01-02T15:04:05Z", "2026-01-02T15:04:05Z"),
            ("2024-02-29T15:04:05Z", "2024-02-29T15:04:05Z"),
            ("2026-01-02T15:04:05.999Z", "2026-01-02T15:04:05Z"),
            ("2026-01-02T15:04:05+09:00", "2026-01-02T06:04:05Z"),
            ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59Z"),
            ("9999-12-31T22:59:59.5-01:00", "9999-12-31T23:59:59Z"),
        ] {
            let mut text = given.to_owned();
            seconds(&mut text).unwrap();
            assert_eq!(text, expected);
        }
        let mut text = "2026-01-02T15:04:05.12Z".to_owned();
        micros(&mut text).unwrap();
        assert_eq!(text, "2026-01-02T15:04:05.120000Z");
    }

    #[test]
    fn words_errors_as_go_does() {
        let layout = "as \"2006-01-02T15:04:05Z07:00\"";
        for (given, expected) in [
            (
                "yesterday",
                format!("parsing time \"yesterday\" {layout}: cannot parse \"yesterday\" as \"2006\""),
            ),
            ("", format!("parsing time \"\" {layout}: cannot parse \"\" as \"2006\"")),
            ("2026-01-02", format!("parsing time \"2026-01-02\" {layout}: cannot parse \"\" as \"T\"")),
            ("2026-13-02T00:00:00Z", "parsing time \"2026-13-02T00:00:00Z\": month out of range".to_owned()),
            ("2026-02-30T00:00:00Z", "parsing time \"2026-02-30T00:00:00Z\": day out of range".to_owned()),
        ] {
            assert_eq!(seconds(&mut given.to_owned()).unwrap_err(), expected);
        }
    }
}
