//! Times as the API writes them, and durations as Go and kubectl print them.

use jiff::civil::DateTime;
use jiff::fmt::temporal::{DateTimeParser, DateTimePrinter};
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};

const SECONDS: DateTimePrinter = DateTimePrinter::new().precision(Some(0));
const MICROSECONDS: DateTimePrinter = DateTimePrinter::new().precision(Some(6));

/// `2026-01-02T15:04:05Z`: `metav1.Time`, whole seconds.
pub fn rfc3339(time: Timestamp) -> String {
    truncated(time)
}

fn truncated(time: Timestamp) -> String {
    SECONDS.timestamp_to_string(&time)
}

/// `2026-01-02T15:04:05.000000Z`: `metav1.MicroTime`.
pub fn rfc3339_micro(time: Timestamp) -> String {
    MICROSECONDS.timestamp_to_string(&time)
}

/// Now, as `metav1.Time`. For shells only: decisions get the time as an argument.
pub fn now_rfc3339() -> String {
    truncated(Timestamp::now())
}

/// Reads an RFC 3339 time. The last 26 hours of the year 9999 are later than a [`Timestamp`] can be and are read as the
/// latest that there is: people write the last second of that year for never.
pub fn parse(text: &str) -> Option<Timestamp> {
    text.parse().ok().or_else(|| late(text).map(|_| Timestamp::MAX))
}

/// Brings an RFC 3339 time to UTC and to `metav1.Time`, up to the last second of the year 9999.
pub fn in_utc(text: &str) -> Option<String> {
    text.parse().ok().map(rfc3339).or_else(|| late(text).map(|time| written(&SECONDS, &time)))
}

/// Brings an RFC 3339 time to UTC and to `metav1.MicroTime`, up to the last second of the year 9999.
pub fn in_utc_micro(text: &str) -> Option<String> {
    text.parse().ok().map(rfc3339_micro).or_else(|| late(text).map(|time| written(&MICROSECONDS, &time)))
}

/// Writes seconds and nanoseconds since 1970 as `metav1.Time`, up to the last second of the year 9999.
pub fn of_seconds(seconds: i64, nanos: i32) -> Option<String> {
    let late = || Some(written(&SECONDS, &late_seconds(seconds, nanos)?));
    Timestamp::new(seconds, nanos).ok().map(rfc3339).or_else(late)
}

/// Writes seconds and nanoseconds since 1970 as `metav1.MicroTime`, up to the last second of the year 9999.
pub fn of_seconds_micro(seconds: i64, nanos: i32) -> Option<String> {
    let late = || Some(written(&MICROSECONDS, &late_seconds(seconds, nanos)?));
    Timestamp::new(seconds, nanos).ok().map(rfc3339_micro).or_else(late)
}

fn written(printer: &DateTimePrinter, utc: &DateTime) -> String {
    format!("{}Z", printer.datetime_to_string(utc))
}

/// The date and the time of day in UTC of what is later than a [`Timestamp`] can be.
fn late(text: &str) -> Option<DateTime> {
    let pieces = DateTimeParser::new().parse_pieces(text).ok()?;
    let there = pieces.date().to_datetime(pieces.time()?);
    let offset = SignedDuration::from_secs(pieces.to_numeric_offset()?.seconds().into());
    let utc = there.checked_sub(offset).ok()?;
    (utc > Offset::UTC.to_datetime(Timestamp::MAX)).then_some(utc)
}

fn late_seconds(seconds: i64, nanos: i32) -> Option<DateTime> {
    let beyond = seconds.checked_sub(Timestamp::MAX.as_second()).filter(|beyond| *beyond > 0)?;
    let nanos = u32::try_from(nanos).ok().filter(|nanos| *nanos < 1_000_000_000)?;
    let last = Timestamp::from_second(Timestamp::MAX.as_second()).ok()?;
    let span = SignedDuration::new(beyond, nanos.cast_signed());
    Offset::UTC.to_datetime(last).checked_add(span).ok()
}

/// An age as kubectl prints it: `5s`, `3m10s`, `2h5m`, `3d4h`, `400d`, `2y30d` (upstream `HumanDuration`).
pub fn human_duration(seconds: i64) -> String {
    let with = |big: i64, unit: &str, small: i64, small_unit: &str| {
        if small == 0 { format!("{big}{unit}") } else { format!("{big}{unit}{small}{small_unit}") }
    };
    match seconds {
        ..-1 => "<invalid>".into(),
        -1..0 => "0s".into(),
        0..120 => format!("{seconds}s"),
        120..600 => with(seconds / 60, "m", seconds % 60, "s"),
        600..10_800 => format!("{}m", seconds / 60),
        10_800..28_800 => with(seconds / 3600, "h", seconds / 60 % 60, "m"),
        28_800..172_800 => format!("{}h", seconds / 3600),
        172_800..691_200 => with(seconds / 86_400, "d", seconds / 3600 % 24, "h"),
        691_200..63_072_000 => format!("{}d", seconds / 86_400),
        63_072_000..252_288_000 => with(seconds / 31_536_000, "y", seconds / 86_400 % 365, "d"),
        _ => format!("{}y", seconds / 31_536_000),
    }
}

/// The age of something that happened at `then` (RFC 3339), or `<unknown>`.
pub fn age(then: &str, now: Timestamp) -> String {
    match parse(then) {
        Some(then) => human_duration(now.as_second() - then.as_second()),
        None => "<unknown>".into(),
    }
}

/// Reads a Go duration (`1h30m`, `1.5s`, `100ms`) into nanoseconds.
pub fn parse_go_duration(text: &str) -> Option<i64> {
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total = 0.0_f64;
    while !rest.is_empty() {
        let number_end = rest.find(|char: char| !char.is_ascii_digit() && char != '.')?;
        let (number, after) = rest.split_at(number_end);
        let number: f64 = number.parse().ok()?;
        let unit_end = after.find(|char: char| char.is_ascii_digit() || char == '.').unwrap_or(after.len());
        let (unit, next) = after.split_at(unit_end);
        let nanos = match unit {
            "ns" => 1.0,
            "us" | "µs" | "μs" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            "m" => 6e10,
            "h" => 3.6e12,
            _ => return None,
        };
        total += number * nanos;
        rest = next;
    }
    if total > i64::MAX as f64 {
        return None;
    }
    let total = total.round() as i64;
    Some(if negative { -total } else { total })
}

/// Prints nanoseconds as Go prints a duration: `1h30m0s`, `1.5s`, `100ms`, `0s`.
pub fn format_go_duration(nanos: i64) -> String {
    if nanos == 0 {
        return "0s".into();
    }
    let sign = if nanos < 0 { "-" } else { "" };
    let size = nanos.unsigned_abs();
    let decimal = |value: u64, unit: u64, name: &str| {
        let fraction = format!("{:0width$}", value % unit, width = unit.ilog10() as usize);
        match fraction.trim_end_matches('0') {
            "" => format!("{}{name}", value / unit),
            fraction => format!("{}.{fraction}{name}", value / unit),
        }
    };
    let text = match size {
        0..1_000 => format!("{size}ns"),
        1_000..1_000_000 => decimal(size, 1_000, "µs"),
        1_000_000..1_000_000_000 => decimal(size, 1_000_000, "ms"),
        _ => {
            let seconds = size / 1_000_000_000;
            let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
            let rest = decimal(size - (hours * 3600 + minutes * 60) * 1_000_000_000, 1_000_000_000, "s");
            match (hours, minutes) {
                (0, 0) => rest,
                (0, minutes) => format!("{minutes}m{rest}"),
                (hours, minutes) => format!("{hours}h{minutes}m{rest}"),
            }
        }
    };
    format!("{sign}{text}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_as_kubectl_prints_them() {
        for (seconds, text) in [
            (-5, "<invalid>"),
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (190, "3m10s"),
            (600, "10m"),
            (10_800, "3h"),
            (11_000, "3h3m"),
            (28_800, "8h"),
            (172_800, "2d"),
            (180_000, "2d2h"),
            (691_200, "8d"),
            (63_072_000, "2y"),
            (63_158_400, "2y1d"),
            (315_360_000, "10y"),
        ] {
            assert_eq!(human_duration(seconds), text);
        }
    }

    #[test]
    fn go_durations_round_trip() {
        for text in ["0s", "1h30m0s", "1.5s", "100ms", "5m0s", "1µs", "-2s", "999ns", "1m0.25s"] {
            assert_eq!(format_go_duration(parse_go_duration(text).unwrap()), text);
        }
        for bad in ["", "5", "1x", "s", "-"] {
            assert_eq!(parse_go_duration(bad), None, "{bad}");
        }
    }

    #[test]
    fn times_have_whole_seconds() {
        let time = Timestamp::from_millisecond(1_000_000_000_400).unwrap();
        assert_eq!(rfc3339(time), "2001-09-09T01:46:40Z");
        assert_eq!(rfc3339_micro(time), "2001-09-09T01:46:40.400000Z");
        assert_eq!(age("2001-09-09T01:46:00Z", time), "40s");
        assert_eq!(age("x", time), "<unknown>");
    }

    #[test]
    fn the_year_9999_has_a_last_second() {
        const LAST: &str = "9999-12-31T23:59:59Z";
        for (text, seconds) in [
            ("9999-12-30T22:00:00Z", "9999-12-30T22:00:00Z"),
            ("9999-12-30T22:00:01Z", "9999-12-30T22:00:01Z"),
            (LAST, LAST),
            ("9999-12-31T23:59:59.999999999Z", LAST),
            ("9999-12-31T22:59:59-01:00", LAST),
            ("9999-12-31T23:59:59+14:00", "9999-12-31T09:59:59Z"),
            ("2026-01-02T15:04:05+09:00", "2026-01-02T06:04:05Z"),
        ] {
            assert_eq!(in_utc(text).as_deref(), Some(seconds), "{text}");
            assert!(parse(text).is_some(), "{text}");
        }
        assert_eq!(in_utc_micro("9999-12-31T23:59:59.25Z").as_deref(), Some("9999-12-31T23:59:59.250000Z"));
        assert_eq!(parse(LAST), Some(Timestamp::MAX));
        // Of what follows no year has four digits.
        for text in
            ["9999-12-31T23:59:59-00:01", "9999-12-31T23:59:59", "9999-12-32T00:00:00Z", "9999-12-31Z", "x"]
        {
            assert_eq!((in_utc(text), in_utc_micro(text), parse(text)), (None, None, None), "{text}");
        }
        assert_eq!(of_seconds(253_402_300_799, 0).as_deref(), Some(LAST));
        assert_eq!(
            of_seconds_micro(253_402_300_799, 250_000_000).as_deref(),
            Some("9999-12-31T23:59:59.250000Z")
        );
        assert_eq!(of_seconds(253_402_207_201, 0).as_deref(), Some("9999-12-30T22:00:01Z"));
        for (seconds, nanos) in [(253_402_300_800, 0), (253_402_300_799, -1), (i64::MAX, 0), (i64::MIN, 0)] {
            assert_eq!(of_seconds(seconds, nanos), None, "{seconds}");
        }
    }
}
