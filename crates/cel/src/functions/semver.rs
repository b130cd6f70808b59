//! Versions: Semantic Versioning 2.0.

use std::cmp::Ordering;
use std::fmt;
use std::rc::Rc;

use super::{Error, Outcome, no_overload};
use crate::value::Value;

/// A version in its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    numbers: [u64; 3],
    before: Vec<Part>,
    build: String,
}

/// A part of what stands behind the first `-`: numbers come before words.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Number(u64),
    Word(String),
}

impl Version {
    /// Reads a version. One that is lenient may begin with `v`, leave numbers out and write zeros before them.
    pub fn parse(text: &str, lenient: bool) -> Result<Self, String> {
        let refused = |why: &str| Err(why.to_owned());
        let text = if lenient { text.trim().trim_start_matches(['v', 'V']) } else { text };
        let (rest, build) = text.split_once('+').unwrap_or((text, ""));
        let (core, before) = match rest.split_once('-') {
            Some((core, before)) => (core, Some(before)),
            None => (rest, None),
        };
        let mut numbers = [0; 3];
        let parts: Vec<&str> = core.split('.').collect();
        if parts.len() > 3 || (parts.len() < 3 && !lenient) {
            return refused("No Major.Minor.Patch elements found");
        }
        for (number, part) in numbers.iter_mut().zip(&parts) {
            if part.is_empty() || !part.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(format!("Invalid character(s) found in version number {part:?}"));
            }
            if part.len() > 1 && part.starts_with('0') && !lenient {
                return Err(format!("Version number must not contain leading zeroes {part:?}"));
            }
            *number = part.parse().map_err(|_| format!("version number {part:?} out of range"))?;
        }
        let fits = |part: &&str| {
            !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        if text.contains('+') && !build.split('.').all(|part| fits(&part)) {
            return refused("Build meta data is empty or has invalid character(s)");
        }
        let mut read = Vec::new();
        for part in before.into_iter().flat_map(|before| before.split('.')) {
            if !fits(&part) {
                return Err(format!("Invalid character(s) found in prerelease {part:?}"));
            }
            let is_number = part.bytes().all(|byte| byte.is_ascii_digit());
            if is_number && part.len() > 1 && part.starts_with('0') {
                return Err(format!("Numeric PreRelease version must not contain leading zeroes {part:?}"));
            }
            read.push(match part.parse() {
                Ok(number) if is_number => Part::Number(number),
                _ => Part::Word(part.to_owned()),
            });
        }
        Ok(Self { numbers, before: read, build: build.to_owned() })
    }

    /// How versions are ordered; a release comes after what led to it, and builds do not count.
    pub fn order(&self, other: &Self) -> Ordering {
        self.numbers.cmp(&other.numbers).then_with(|| {
            match (self.before.is_empty(), other.before.is_empty()) {
                (true, false) => Ordering::Greater,
                (false, true) => Ordering::Less,
                _ => self.before.cmp(&other.before),
            }
        })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, patch] = self.numbers;
        write!(out, "{major}.{minor}.{patch}")?;
        for (index, part) in self.before.iter().enumerate() {
            out.write_str(if index == 0 { "-" } else { "." })?;
            match part {
                Part::Number(number) => write!(out, "{number}")?,
                Part::Word(word) => out.write_str(word)?,
            }
        }
        if self.build.is_empty() { Ok(()) } else { write!(out, "+{}", self.build) }
    }
}

/// `semver` and `isSemver`.
pub fn read<'v>(name: &str, text: &str, lenient: bool) -> Outcome<'v> {
    match (name, Version::parse(text, lenient)) {
        ("isSemver", version) => Ok(Value::Bool(version.is_ok())),
        (_, Ok(version)) => Ok(Value::Semver(Rc::new(version))),
        (_, Err(why)) => Err(Error::fault(why)),
    }
}

/// Calls a function on a version.
pub fn method<'v>(version: &Version, name: &str, arguments: &[Value<'v>]) -> Outcome<'v> {
    let number = |index: usize| i64::try_from(version.numbers[index]).unwrap_or(i64::MAX);
    Ok(match (name, arguments) {
        ("major", []) => Value::Int(number(0)),
        ("minor", []) => Value::Int(number(1)),
        ("patch", []) => Value::Int(number(2)),
        ("isLessThan", [Value::Semver(other)]) => Value::Bool(version.order(other).is_lt()),
        ("isGreaterThan", [Value::Semver(other)]) => Value::Bool(version.order(other).is_gt()),
        ("compareTo", [Value::Semver(other)]) => Value::Int(version.order(other) as i64),
        _ => return Err(no_overload()),
    })
}
