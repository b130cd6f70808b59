//! Schedules: five fields of a cron line, and when they next match.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
/// The farthest a match may be: 29 February can be eight years away.
const HORIZON_DAYS: usize = 366 * 9;

/// A schedule: for each field the set of values that match, as bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// Whether day of month and day of week are both given: then one of them is enough.
    either_day: bool,
}

impl Schedule {
    /// Reads `minute hour day month weekday`, or a name such as `@hourly`.
    pub fn parse(text: &str) -> Option<Schedule> {
        let text = match text.trim() {
            "@yearly" | "@annually" => "0 0 1 1 *",
            "@monthly" => "0 0 1 * *",
            "@weekly" => "0 0 * * 0",
            "@daily" | "@midnight" => "0 0 * * *",
            "@hourly" => "0 * * * *",
            text => text,
        };
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [minute, hour, day, month, weekday] = fields[..] else { return None };
        let any = |field: &str| field.starts_with(['*', '?']);
        Some(Schedule {
            minutes: bits(minute, 0, 59, &[])?,
            hours: bits(hour, 0, 23, &[])?,
            days: bits(day, 1, 31, &[])?,
            months: bits(month, 1, 12, &MONTHS)?,
            weekdays: bits(weekday, 0, 6, &WEEKDAYS)?,
            either_day: !any(day) && !any(weekday),
        })
    }

    /// Returns the first match after a time; `None` if there is none, such as 30 February.
    pub fn next(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let local = zone.to_datetime(after);
        let mut day = local.date();
        let mut from = local;
        for _ in 0..HORIZON_DAYS {
            if self.matches(day) {
                for time in self.times(day).filter(|time| *time > from) {
                    // A time that the clock skips is taken at the moment it jumps to, once.
                    let instant = zone.to_ambiguous_timestamp(time).compatible().ok()?;
                    if instant > after {
                        return Some(instant);
                    }
                }
            }
            day = day.tomorrow().ok()?;
            from = DateTime::from_parts(day.yesterday().ok()?, jiff::civil::time(23, 59, 59, 999_999_999));
        }
        None
    }

    /// Returns the last match in `(after, until]` and how many there are; beyond `most` they are not counted on.
    pub fn last_between(
        &self,
        after: Timestamp,
        until: Timestamp,
        zone: &TimeZone,
        most: usize,
    ) -> Option<(Timestamp, usize)> {
        let mut last = self.next(after, zone).filter(|next| *next <= until)?;
        let mut count = 1;
        while let Some(next) = self.next(last, zone).filter(|next| *next <= until) {
            last = next;
            count += 1;
            if count > most {
                return self.last_before(until, last, zone).map(|last| (last, count));
            }
        }
        Some((last, count))
    }

    /// Finds the last match in `[known, until]` from the end, where one at `known` is certain.
    fn last_before(&self, until: Timestamp, known: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let mut hours = 1_i64;
        loop {
            let from = until.checked_sub(hours.hours()).ok()?.max(known);
            if let Some(mut found) = self.next(from, zone).filter(|next| *next <= until) {
                while let Some(next) = self.next(found, zone).filter(|next| *next <= until) {
                    found = next;
                }
                return Some(found);
            }
            if from == known {
                return Some(known);
            }
            hours = hours.checked_mul(2)?;
        }
    }

    fn matches(&self, day: Date) -> bool {
        let has = |bits: u64, value: i8| u32::try_from(value).is_ok_and(|value| bits & (1 << value) != 0);
        let by_date = has(self.days, day.day());
        let by_weekday = has(self.weekdays, day.weekday().to_sunday_zero_offset());
        let day_matches = if self.either_day { by_date || by_weekday } else { by_date && by_weekday };
        has(self.months, day.month()) && day_matches
    }

    fn times(&self, day: Date) -> impl Iterator<Item = DateTime> + use<'_> {
        let set = |bits: u64, count: i8| (0..count).filter(move |value| bits & (1 << value) != 0);
        set(self.hours, 24)
            .flat_map(move |hour| set(self.minutes, 60).map(move |minute| day.at(hour, minute, 0, 0)))
    }
}

/// Reads one field: values, ranges, steps and lists of them.
fn bits(field: &str, lowest: u32, highest: u32, names: &[&str]) -> Option<u64> {
    let value = |text: &str| -> Option<u32> {
        if let Some(index) = names.iter().position(|name| name.eq_ignore_ascii_case(text)) {
            return Some(u32::try_from(index).ok()? + lowest);
        }
        text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
    };
    let mut bits = 0;
    for part in field.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, Some(value(step).filter(|step| *step > 0)?)),
            None => (part, None),
        };
        let (first, last) = match range {
            "*" | "?" => (lowest, highest),
            range => match range.split_once('-') {
                Some((first, last)) => (value(first)?, value(last)?),
                // `5/15` means from 5 on.
                None => (value(range)?, if step.is_some() { highest } else { value(range)? }),
            },
        };
        if first < lowest || last > highest || first > last {
            return None;
        }
        let step = usize::try_from(step.unwrap_or(1)).ok()?;
        bits |= (first..=last).step_by(step).fold(0, |bits, value| bits | 1_u64 << value);
    }
    Some(bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(schedule: &str, after: &str) -> Option<String> {
        let schedule = Schedule::parse(schedule)?;
        schedule.next(after.parse().unwrap(), &TimeZone::UTC).map(|time| time.to_string())
    }

    #[test]
    fn finds_the_next_match() {
        for (schedule, after, expected) in [
            ("* * * * *", "2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z"),
            ("* * * * *", "2026-01-01T00:00:59Z", "2026-01-01T00:01:00Z"),
            ("*/15 * * * *", "2026-01-01T00:50:00Z", "2026-01-01T01:00:00Z"),
            ("5/20 * * * *", "2026-01-01T00:26:00Z", "2026-01-01T00:45:00Z"),
            ("0 9-17/4 * * MON-FRI", "2026-01-02T18:00:00Z", "2026-01-05T09:00:00Z"),
            ("30 4 1,15 * *", "2026-01-01T05:00:00Z", "2026-01-15T04:30:00Z"),
            ("0 0 13 * 5", "2026-01-03T00:00:00Z", "2026-01-09T00:00:00Z"),
            ("0 0 29 feb *", "2026-01-01T00:00:00Z", "2028-02-29T00:00:00Z"),
            ("@hourly", "2026-12-31T23:00:00Z", "2027-01-01T00:00:00Z"),
            ("@weekly", "2026-01-01T00:00:00Z", "2026-01-04T00:00:00Z"),
        ] {
            assert_eq!(next(schedule, after).as_deref(), Some(expected), "{schedule} after {after}");
        }
        assert_eq!(next("0 0 30 2 *", "2026-01-01T00:00:00Z"), None);
    }

    #[test]
    fn refuses_what_is_no_schedule() {
        for schedule in
            ["", "* * * *", "60 * * * *", "* 24 * * *", "5-1 * * * *", "*/0 * * * *", "a * * * *", "@never"]
        {
            assert!(Schedule::parse(schedule).is_none(), "{schedule}");
        }
    }

    #[test]
    fn counts_what_was_missed() {
        let schedule = Schedule::parse("*/10 * * * *").unwrap();
        let between = |after: &str, until: &str| {
            let found =
                schedule.last_between(after.parse().unwrap(), until.parse().unwrap(), &TimeZone::UTC, 100);
            found.map(|(last, count)| (last.to_string(), count))
        };
        let found = |time: &str, count| Some((time.to_owned(), count));
        assert_eq!(between("2026-01-01T00:00:00Z", "2026-01-01T00:09:59Z"), None);
        assert_eq!(between("2026-01-01T00:00:00Z", "2026-01-01T00:10:00Z"), found("2026-01-01T00:10:00Z", 1));
        assert_eq!(between("2026-01-01T00:00:00Z", "2026-01-01T00:35:00Z"), found("2026-01-01T00:30:00Z", 3));
        let (last, count) = between("2025-01-01T00:00:00Z", "2026-01-01T00:05:00Z").unwrap();
        assert_eq!(last, "2026-01-01T00:00:00Z");
        assert!(count > 100);
    }
}
