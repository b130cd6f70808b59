//! From JSON text to a message, in one pass: no tree is built, and a message's length is filled in behind it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::WireError;
use crate::json::{Json, Text};
use crate::table::{Member, Message, SchemaOr, Type};

/// As deep as serde_json reads.
const DEPTH: usize = 128;

/// Appends the message of an object's JSON.
pub(crate) fn message(message: &Message, json: &[u8], out: &mut Vec<u8>) -> Result<(), WireError> {
    let mut encoder = Encoder { json: Json::new(json), out };
    encoder.object(message, DEPTH)?;
    encoder.json.end()
}

/// Appends a number in groups of seven bits.
pub(crate) fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a field of bytes.
pub(crate) fn bytes(out: &mut Vec<u8>, number: u32, content: &[u8]) {
    tag(out, number, 2);
    varint(out, content.len() as u64);
    out.extend_from_slice(content);
}

/// How many bytes a number takes.
pub(crate) fn varint_length(value: u64) -> usize {
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}

fn tag(out: &mut Vec<u8>, number: u32, wire: u32) {
    varint(out, u64::from(number << 3 | wire));
}

struct Encoder<'a, 'o> {
    json: Json<'a>,
    out: &'o mut Vec<u8>,
}

const MISFIT: WireError = WireError::Json("a value does not fit its field");

impl<'a> Encoder<'a, '_> {
    fn object(&mut self, message: &Message, depth: usize) -> Result<(), WireError> {
        let depth = depth.checked_sub(1).ok_or(WireError::Json("objects lie too deep in each other"))?;
        let mut more = self.json.open(b'{', b'}')?;
        while more {
            let key = self.json.key()?;
            match message.member(key.raw) {
                // apiVersion and kind stand in the envelope.
                None => drop(self.json.skip()?),
                Some(member) => self.member(member, depth)?,
            }
            more = self.json.more(b'}')?;
        }
        Ok(())
    }

    fn member(&mut self, member: &Member, depth: usize) -> Result<(), WireError> {
        if self.json.null()? {
            return Ok(());
        }
        if member.outer.is_empty() {
            return self.field(member.number, &member.ty, depth);
        }
        // Each in a piece of the inline message of its own: readers put the pieces together.
        let starts: Vec<usize> = member.outer.iter().map(|number| self.open(*number)).collect();
        self.field(member.number, &member.ty, depth)?;
        starts.into_iter().rev().for_each(|start| self.close(start));
        Ok(())
    }

    fn field(&mut self, number: u32, ty: &Type, depth: usize) -> Result<(), WireError> {
        match ty {
            Type::List(inner) => {
                let mut more = self.json.open(b'[', b']')?;
                while more {
                    if self.json.null()? {
                        self.zero(number, inner);
                    } else {
                        self.value(number, inner, depth)?;
                    }
                    more = self.json.more(b']')?;
                }
                Ok(())
            }
            Type::Map(inner) => {
                let mut more = self.json.open(b'{', b'}')?;
                while more {
                    let key = self.json.key()?;
                    let entry = self.open(number);
                    self.text(1, key)?;
                    if self.json.null()? {
                        self.zero(2, inner);
                    } else {
                        self.value(2, inner, depth)?;
                    }
                    self.close(entry);
                    more = self.json.more(b'}')?;
                }
                Ok(())
            }
            ty => self.value(number, ty, depth),
        }
    }

    /// A value that is not a null.
    fn value(&mut self, number: u32, ty: &Type, depth: usize) -> Result<(), WireError> {
        match ty {
            Type::Text => {
                let text = self.json.string()?;
                self.text(number, text)
            }
            Type::Message(id) => {
                let start = self.open(number);
                self.object(id.message(), depth)?;
                self.close(start);
                Ok(())
            }
            Type::Int | Type::Uint => {
                let value = integer(self.json.scalar()?)?;
                self.number(number, value);
                Ok(())
            }
            Type::Bool => {
                let value = boolean(self.json.scalar()?)?;
                self.number(number, u64::from(value));
                Ok(())
            }
            Type::Double => {
                let text = std::str::from_utf8(self.json.scalar()?).map_err(|_| MISFIT)?;
                let value: f64 = text.parse().map_err(|_| MISFIT)?;
                tag(self.out, number, 1);
                self.out.extend_from_slice(&value.to_le_bytes());
                Ok(())
            }
            Type::Bytes => {
                let text = self.json.string()?.read()?;
                let start = self.open(number);
                STANDARD.decode_vec(&text, self.out).map_err(|_| MISFIT)?;
                self.close(start);
                Ok(())
            }
            Type::Time | Type::MicroTime => {
                let text = self.json.string()?;
                let (seconds, nanos) = time(text.raw).ok_or(MISFIT)?;
                let start = self.open(number);
                self.number(1, seconds as u64);
                self.number(2, nanos);
                self.close(start);
                Ok(())
            }
            Type::Duration => {
                let text = self.json.string()?.read()?;
                let text = std::str::from_utf8(&text).map_err(|_| MISFIT)?;
                let nanos = apimachinery::time::parse_go_duration(text).ok_or(MISFIT)?;
                let start = self.open(number);
                self.number(1, nanos as u64);
                self.close(start);
                Ok(())
            }
            Type::Quantity => {
                let start = self.open(number);
                if self.json.peek()? == b'"' {
                    let text = self.json.string()?;
                    self.text(1, text)?;
                } else {
                    let raw = self.json.scalar()?;
                    bytes(self.out, 1, raw);
                }
                self.close(start);
                Ok(())
            }
            Type::IntOrString => {
                let start = self.open(number);
                if self.json.peek()? == b'"' {
                    let text = self.json.string()?;
                    self.number(1, 1);
                    self.number(2, 0);
                    self.text(3, text)?;
                } else {
                    let value = integer(self.json.scalar()?)?;
                    self.number(1, 0);
                    self.number(2, value);
                    bytes(self.out, 3, b"");
                }
                self.close(start);
                Ok(())
            }
            Type::Raw | Type::Json => {
                let raw = self.json.skip()?;
                let start = self.open(number);
                bytes(self.out, 1, raw);
                self.close(start);
                Ok(())
            }
            Type::Texts => {
                let start = self.open(number);
                self.field(1, &Type::List(Box::new(Type::Text)), depth)?;
                self.close(start);
                Ok(())
            }
            Type::Schema(kind) => self.schema(number, *kind, depth),
            Type::Inline(_) | Type::List(_) | Type::Map(_) => Err(MISFIT),
        }
    }

    /// A JSON schema, or what may stand in its place.
    fn schema(&mut self, number: u32, kind: SchemaOr, depth: usize) -> Result<(), WireError> {
        let start = self.open(number);
        match (self.json.peek()?, kind) {
            (b'{', kind) => {
                let inner = match kind {
                    SchemaOr::Bool => {
                        self.number(1, 1);
                        2
                    }
                    SchemaOr::List | SchemaOr::Strings => 1,
                };
                self.one_schema(inner, depth)?;
            }
            (b'[', SchemaOr::List) => {
                let mut more = self.json.open(b'[', b']')?;
                while more {
                    self.one_schema(2, depth)?;
                    more = self.json.more(b']')?;
                }
            }
            (b'[', SchemaOr::Strings) => self.field(2, &Type::List(Box::new(Type::Text)), depth)?,
            (_, SchemaOr::Bool) => {
                let allows = boolean(self.json.scalar()?)?;
                self.number(1, u64::from(allows));
            }
            _ => return Err(MISFIT),
        }
        self.close(start);
        Ok(())
    }

    fn one_schema(&mut self, number: u32, depth: usize) -> Result<(), WireError> {
        let start = self.open(number);
        self.object(crate::schema_props()?, depth)?;
        self.close(start);
        Ok(())
    }

    /// What Go makes of a null inside a list or map.
    fn zero(&mut self, number: u32, ty: &Type) {
        match ty {
            Type::Int | Type::Uint | Type::Bool => self.number(number, 0),
            Type::Double => {
                tag(self.out, number, 1);
                self.out.extend_from_slice(&[0; 8]);
            }
            _ => bytes(self.out, number, b""),
        }
    }

    fn number(&mut self, number: u32, value: u64) {
        tag(self.out, number, 0);
        varint(self.out, value);
    }

    fn text(&mut self, number: u32, text: Text<'a>) -> Result<(), WireError> {
        bytes(self.out, number, &text.read()?);
        Ok(())
    }

    /// Begins a field of bytes whose length is not known yet. One byte is left for it: most are short.
    fn open(&mut self, number: u32) -> usize {
        tag(self.out, number, 2);
        self.out.push(0);
        self.out.len()
    }

    fn close(&mut self, start: usize) {
        let length = self.out.len() - start;
        if length < 0x80 {
            self.out[start - 1] = length as u8;
            return;
        }
        let more = varint_length(length as u64) - 1;
        self.out.resize(self.out.len() + more, 0);
        self.out.copy_within(start..start + length, start + more);
        let mut left = length as u64;
        for byte in &mut self.out[start - 1..start + more] {
            *byte = left as u8 | 0x80;
            left >>= 7;
        }
        self.out[start + more - 1] &= 0x7f;
    }
}

fn boolean(text: &[u8]) -> Result<bool, WireError> {
    match text {
        b"true" => Ok(true),
        b"false" => Ok(false),
        _ => Err(MISFIT),
    }
}

/// A number as 64 bits, negative ones in two's complement.
fn integer(text: &[u8]) -> Result<u64, WireError> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    let mut value = 0_u64;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return decimal(text);
        }
        let next = value.checked_mul(10).and_then(|value| value.checked_add(u64::from(digit - b'0')));
        value = next.ok_or(MISFIT)?;
    }
    Ok(if negative { value.wrapping_neg() } else { value })
}

/// A whole number that is written with a fraction or an exponent.
fn decimal(text: &[u8]) -> Result<u64, WireError> {
    let value: f64 = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).ok_or(MISFIT)?;
    let whole = value as i64;
    if whole as f64 == value { Ok(whole as u64) } else { Err(MISFIT) }
}

/// Seconds since 1970 and nanoseconds. The form that the server itself writes is read digit by digit.
fn time(text: &[u8]) -> Option<(i64, u64)> {
    let number = |range: std::ops::Range<usize>| {
        text.get(range)?.iter().try_fold(0_i64, |value, digit| {
            digit.is_ascii_digit().then(|| value * 10 + i64::from(digit - b'0'))
        })
    };
    let marks = |places: &[(usize, u8)]| places.iter().all(|(at, mark)| text.get(*at) == Some(mark));
    let ours = marks(&[(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')])
        && matches!((text.len(), text.last()), (20 | 27, Some(b'Z')));
    if !ours {
        let at = apimachinery::time::parse(std::str::from_utf8(text).ok()?)?;
        return Some((at.as_second(), u64::try_from(at.subsec_nanosecond()).ok()?));
    }
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let nanos = if text.len() == 27 { number(20..26)? * 1000 } else { 0 };
    // Days of the proleptic Gregorian calendar, years counted from March so that leap days come last.
    let (year, month) = if month <= 2 { (year - 1, month + 9) } else { (year, month - 3) };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * month + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    Some((days * 86_400 + hour * 3600 + minute * 60 + second, nanos as u64))
}
