//! Texts. Positions are counted in characters.

use apimachinery::time;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::fmt::temporal::DateTimePrinter;
use regex::Regex;

use super::{Budget, Error, Outcome, no_overload, shown};
use crate::value::{List, Value};

/// A value as text; none where it has no text.
pub fn of(value: &Value<'_>) -> Option<String> {
    Some(match value {
        Value::Bool(flag) => flag.to_string(),
        Value::Int(number) => number.to_string(),
        Value::Uint(number) => number.to_string(),
        Value::Double(number) => number.to_string(),
        Value::String(text) => text.to_string(),
        Value::Bytes(bytes) => String::from_utf8(bytes.to_vec()).ok()?,
        Value::Timestamp(time) => {
            let mut text = String::new();
            DateTimePrinter::new().print_timestamp(time, &mut text).ok()?;
            text
        }
        Value::Duration(nanos) => time::format_go_duration(*nanos),
        Value::Ip(address) => address.to_string(),
        Value::Cidr(network) => network.to_string(),
        _ => return None,
    })
}

fn pattern(text: &str, budget: &Budget) -> Result<Regex, Error> {
    budget.spend(1 + text.len() as u64 / 4)?;
    Regex::new(text).map_err(|_| Error::fault(format!("error parsing regexp: {text}")))
}

fn int<'v>(number: usize) -> Value<'v> {
    Value::Int(i64::try_from(number).unwrap_or(i64::MAX))
}

/// A position that was given; outside of `0..=most` is an error.
fn position(value: &Value<'_>, most: usize) -> Result<usize, Error> {
    let Value::Int(number) = value else { return Err(no_overload()) };
    let position = usize::try_from(*number).ok().filter(|position| *position <= most);
    position.ok_or_else(|| Error::fault(format!("index out of range: {number}")))
}

/// Calls a function on a text.
pub fn method<'v>(text: &str, name: &str, arguments: &[Value<'v>], budget: &Budget) -> Outcome<'v> {
    budget.spend_on(text.len())?;
    match (name, arguments) {
        ("size", []) => Ok(int(text.chars().count())),
        ("contains", [Value::String(part)]) => {
            budget.spend_on(text.len() * part.len() / 10)?;
            Ok(Value::Bool(text.contains(&**part)))
        }
        ("startsWith", [Value::String(part)]) => Ok(Value::Bool(text.starts_with(&**part))),
        ("endsWith", [Value::String(part)]) => Ok(Value::Bool(text.ends_with(&**part))),
        ("matches", [Value::String(wanted)]) => {
            let pattern = pattern(wanted, budget)?;
            budget.spend_on(text.len() * wanted.len() / 4)?;
            Ok(Value::Bool(pattern.is_match(text)))
        }
        ("find", [Value::String(wanted)]) => {
            let found = pattern(wanted, budget)?.find(text).map_or("", |found| found.as_str());
            Ok(Value::text(found))
        }
        ("findAll", [Value::String(wanted)]) => find_all(text, wanted, usize::MAX, budget),
        ("findAll", [Value::String(wanted), Value::Int(most)]) => {
            find_all(text, wanted, usize::try_from(*most).unwrap_or(usize::MAX), budget)
        }
        ("charAt", [at]) => {
            let at = position(at, text.chars().count())?;
            Ok(Value::text(text.chars().nth(at).map(String::from).unwrap_or_default()))
        }
        ("indexOf" | "lastIndexOf", [Value::String(part), rest @ ..]) => index_of(text, part, rest, name),
        ("lowerAscii", []) => Ok(Value::text(text.to_ascii_lowercase())),
        ("upperAscii", []) => Ok(Value::text(text.to_ascii_uppercase())),
        ("trim", []) => Ok(Value::text(text.trim())),
        ("reverse", []) => Ok(Value::text(text.chars().rev().collect::<String>())),
        ("replace", [Value::String(old), Value::String(new), rest @ ..]) => {
            let most = match rest {
                [] => usize::MAX,
                [Value::Int(most)] => usize::try_from(*most).unwrap_or(usize::MAX),
                _ => return Err(no_overload()),
            };
            // What comes out may be far larger than what went in.
            let count = text.matches(&**old).take(most).count();
            budget.spend_on(text.len().saturating_add(count.saturating_mul(new.len())))?;
            Ok(Value::text(text.replacen(&**old, new, most)))
        }
        ("split", [Value::String(separator)]) => Ok(split(text, separator, usize::MAX)),
        ("split", [Value::String(separator), Value::Int(most)]) => {
            Ok(split(text, separator, usize::try_from(*most).unwrap_or(usize::MAX)))
        }
        ("substring", [from, rest @ ..]) => {
            let length = text.chars().count();
            let from = position(from, length)?;
            let to = match rest {
                [] => length,
                [to] => position(to, length)?,
                _ => return Err(no_overload()),
            };
            if to < from {
                return Err(Error::fault(format!("invalid substring range. start: {from}, end: {to}")));
            }
            Ok(Value::text(text.chars().skip(from).take(to - from).collect::<String>()))
        }
        ("format", [Value::List(values)]) => format(text, values, budget),
        _ => Err(no_overload()),
    }
}

fn find_all<'v>(text: &str, wanted: &str, most: usize, budget: &Budget) -> Outcome<'v> {
    let pattern = pattern(wanted, budget)?;
    budget.spend_on(text.len() * wanted.len() / 4)?;
    Ok(Value::list(pattern.find_iter(text).take(most).map(|found| Value::text(found.as_str())).collect()))
}

fn index_of<'v>(text: &str, part: &str, rest: &[Value<'v>], name: &str) -> Outcome<'v> {
    let letters: Vec<char> = text.chars().collect();
    let wanted: Vec<char> = part.chars().collect();
    let is_first = name == "indexOf";
    let bound = match rest {
        [] => None,
        [at] => Some(position(at, letters.len())?),
        _ => return Err(no_overload()),
    };
    let Some(last) = letters.len().checked_sub(wanted.len()) else { return Ok(Value::Int(-1)) };
    let is_at = |at: &usize| letters[*at..].starts_with(&wanted);
    let found = match is_first {
        true => (bound.unwrap_or(0)..=last).find(is_at),
        false => (0..=bound.unwrap_or(last).min(last)).rev().find(is_at),
    };
    Ok(found.map_or(Value::Int(-1), int))
}

fn split<'v>(text: &str, separator: &str, most: usize) -> Value<'v> {
    let parts: Vec<String> = match (separator, most) {
        (_, 0) => Vec::new(),
        ("", most) => {
            let mut letters: Vec<String> = text.chars().map(String::from).collect();
            if letters.len() > most {
                let rest = letters.split_off(most - 1).concat();
                letters.push(rest);
            }
            letters
        }
        (separator, most) => text.splitn(most, separator).map(str::to_owned).collect(),
    };
    Value::list(parts.into_iter().map(Value::text).collect())
}

/// Puts values into a text: `%s`, `%d`, `%f`, `%e`, `%b`, `%o`, `%x`, `%X`, with a precision.
fn format<'v>(text: &str, values: &List<'v>, budget: &Budget) -> Outcome<'v> {
    let mut out = String::new();
    let mut values = values.iter();
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        if letter != '%' {
            out.push(letter);
            continue;
        }
        if letters.next_if_eq(&'%').is_some() {
            out.push('%');
            continue;
        }
        let mut precision = None;
        if letters.next_if_eq(&'.').is_some() {
            let mut digits = 0_usize;
            while let Some(digit) = letters.peek().and_then(|letter| letter.to_digit(10)) {
                digits = (digits * 10 + digit as usize).min(100);
                letters.next();
            }
            precision = Some(digits);
        }
        let verb = letters.next().ok_or_else(|| Error::fault("unexpected end of format string"))?;
        let value =
            values.next().ok_or_else(|| Error::fault("index out of range: too few arguments to format"))?;
        let part = one(verb, &value, precision)?;
        budget.spend_on(part.len())?;
        out.push_str(&part);
    }
    Ok(Value::text(out))
}

fn one(verb: char, value: &Value<'_>, precision: Option<usize>) -> Result<String, Error> {
    let refused = || Error::fault(format!("could not convert argument {} to {verb}", shown(value)));
    let number = match value {
        Value::Int(number) => Some(i128::from(*number)),
        Value::Uint(number) => Some(i128::from(*number)),
        Value::Bool(flag) => Some((*flag).into()),
        _ => None,
    };
    let double = match value {
        Value::Double(number) => Some(*number),
        _ => number.map(|number| number as f64),
    };
    let signed = |digits: String, number: i128| if number < 0 { format!("-{digits}") } else { digits };
    Ok(match (verb, number) {
        ('s', _) => listed(value),
        ('d', Some(number)) => number.to_string(),
        ('b', Some(number)) => signed(format!("{:b}", number.abs()), number),
        ('o', Some(number)) => signed(format!("{:o}", number.abs()), number),
        ('x', Some(number)) => signed(format!("{:x}", number.abs()), number),
        ('X', Some(number)) => signed(format!("{:X}", number.abs()), number),
        ('x' | 'X', None) => {
            let bytes = match value {
                Value::String(text) => text.as_bytes().to_vec(),
                Value::Bytes(bytes) => bytes.to_vec(),
                _ => return Err(refused()),
            };
            let hexadecimal: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            if verb == 'X' { hexadecimal.to_uppercase() } else { hexadecimal }
        }
        ('f', _) => format!("{:.*}", precision.unwrap_or(6), double.ok_or_else(refused)?),
        ('e', _) => format!("{:.*e}", precision.unwrap_or(6), double.ok_or_else(refused)?),
        ('d' | 'b' | 'o', None) => return Err(refused()),
        _ => return Err(Error::fault(format!("unrecognized formatting clause \"{verb}\""))),
    })
}

/// A value as `%s` shows it.
fn listed(value: &Value<'_>) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::List(list) => {
            let items: Vec<String> = list.iter().map(|item| listed(&item)).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Map(map) => {
            let mut entries: Vec<String> =
                map.iter().map(|(key, value)| format!("{}: {}", listed(&key), listed(&value))).collect();
            entries.sort();
            format!("{{{}}}", entries.join(", "))
        }
        Value::Type(name) => (*name).to_owned(),
        value => shown(value),
    }
}

/// A text in quotes, with escapes.
pub fn quote(text: &str) -> String {
    let mut out = String::from("\"");
    for letter in text.chars() {
        match letter {
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{b}' => out.push_str("\\v"),
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            letter => out.push(letter),
        }
    }
    out.push('"');
    out
}

/// `base64.encode` and `base64.decode`.
pub fn base64<'v>(name: &str, value: &Value<'v>) -> Outcome<'v> {
    match (name, value) {
        ("encode", Value::Bytes(bytes)) => Ok(Value::text(STANDARD.encode(bytes))),
        ("decode", Value::String(text)) => match STANDARD.decode(&**text) {
            Ok(bytes) => Ok(Value::Bytes(bytes.into())),
            Err(error) => Err(Error::fault(error.to_string())),
        },
        _ => Err(no_overload()),
    }
}
