//! Times and spans of time.

use jiff::civil::Weekday;
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp, Zoned};

use super::{Error, Outcome, no_overload};
use crate::value::Value;

/// `+` and `-` where a time or a span is on a side; none where neither is.
pub fn operator<'v>(sign: &str, values: &[Value<'v>]) -> Option<Outcome<'v>> {
    let overflow = || Error::fault("timestamp overflow");
    let moved = |time: &Timestamp, nanos: i64| {
        time.checked_add(SignedDuration::from_nanos(nanos)).map(Value::Timestamp).map_err(|_| overflow())
    };
    Some(match (sign, values) {
        (
            "+",
            [Value::Timestamp(time), Value::Duration(nanos)]
            | [Value::Duration(nanos), Value::Timestamp(time)],
        ) => moved(time, *nanos),
        ("-", [Value::Timestamp(time), Value::Duration(nanos)]) => match nanos.checked_neg() {
            Some(nanos) => moved(time, nanos),
            None => Err(overflow()),
        },
        ("-", [Value::Timestamp(left), Value::Timestamp(right)]) => {
            i64::try_from(left.duration_since(*right).as_nanos()).map(Value::Duration).map_err(|_| overflow())
        }
        ("+", [Value::Duration(left), Value::Duration(right)]) => {
            left.checked_add(*right).map(Value::Duration).ok_or_else(|| Error::fault("duration overflow"))
        }
        ("-", [Value::Duration(left), Value::Duration(right)]) => {
            left.checked_sub(*right).map(Value::Duration).ok_or_else(|| Error::fault("duration overflow"))
        }
        ("negate", [Value::Duration(nanos)]) => {
            nanos.checked_neg().map(Value::Duration).ok_or_else(|| Error::fault("duration overflow"))
        }
        _ => return None,
    })
}

fn zone(name: &str) -> Result<TimeZone, Error> {
    let unknown = || Error::fault(format!("unknown time zone {name}"));
    if matches!(name, "" | "UTC") {
        return Ok(TimeZone::UTC);
    }
    if let Some((hours, minutes)) = name.split_once(':') {
        let sign = if hours.starts_with('-') { -1 } else { 1 };
        let number = |text: &str| text.trim_start_matches(['+', '-']).parse::<i32>().map_err(|_| unknown());
        let seconds = sign * (number(hours)? * 3600 + number(minutes)? * 60);
        return Offset::from_seconds(seconds).map(TimeZone::fixed).map_err(|_| unknown());
    }
    TimeZone::get(name).map_err(|_| unknown())
}

/// Parts of a time.
pub fn of_time<'v>(time: Timestamp, name: &str, arguments: &[Value<'v>]) -> Outcome<'v> {
    let zone = match arguments {
        [] => TimeZone::UTC,
        [Value::String(name)] => zone(name)?,
        _ => return Err(no_overload()),
    };
    let time: Zoned = time.to_zoned(zone);
    Ok(Value::Int(match name {
        "getFullYear" => time.year().into(),
        "getMonth" => i64::from(time.month()) - 1,
        "getDate" => time.day().into(),
        "getDayOfMonth" => i64::from(time.day()) - 1,
        "getDayOfWeek" => time.weekday().since(Weekday::Sunday).into(),
        "getDayOfYear" => i64::from(time.day_of_year()) - 1,
        "getHours" => time.hour().into(),
        "getMinutes" => time.minute().into(),
        "getSeconds" => time.second().into(),
        "getMilliseconds" => time.millisecond().into(),
        _ => return Err(no_overload()),
    }))
}

/// A span in units.
pub fn of_duration<'v>(nanos: i64, name: &str) -> Outcome<'v> {
    const SECOND: i64 = 1_000_000_000;
    Ok(Value::Int(match name {
        "getHours" => nanos / (3600 * SECOND),
        "getMinutes" => nanos / (60 * SECOND),
        "getSeconds" => nanos / SECOND,
        "getMilliseconds" => nanos % SECOND / 1_000_000,
        _ => return Err(no_overload()),
    }))
}
