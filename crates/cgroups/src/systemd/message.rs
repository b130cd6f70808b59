//! D-Bus messages as far as systemd's manager needs them: calls of ours with text, flags, numbers and properties;
//! returns, errors and signals of its own with text and numbers (D-Bus Specification, "Message Protocol").

use std::fmt;

use super::SystemdError;

/// What a message is longest: far more than a manager's answers, far less than what would hurt.
pub const LONGEST: usize = 1 << 20;
/// Bytes in front of a message from which its length follows.
pub const FIXED: usize = 16;

const LITTLE_ENDIAN: u8 = b'l';
const CALL: u8 = 1;
const VERSION: u8 = 1;

const PATH: u8 = 1;
const INTERFACE: u8 = 2;
const MEMBER: u8 = 3;
const ERROR_NAME: u8 = 4;
const REPLY_SERIAL: u8 = 5;
const DESTINATION: u8 = 6;
const SIGNATURE: u8 = 8;

/// A property of a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Property {
    name: &'static str,
    value: Value,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Value {
    Text(String),
    Names(Vec<String>),
    Flag(bool),
    Number(u64),
}

impl Property {
    /// A property of type `s`.
    pub fn text(name: &'static str, value: String) -> Self {
        Self { name, value: Value::Text(value) }
    }

    /// A property of type `as`.
    pub fn names(name: &'static str, value: Vec<String>) -> Self {
        Self { name, value: Value::Names(value) }
    }

    /// A property of type `b`.
    pub fn flag(name: &'static str, value: bool) -> Self {
        Self { name, value: Value::Flag(value) }
    }

    /// A property of type `t`.
    pub fn number(name: &'static str, value: u64) -> Self {
        Self { name, value: Value::Number(value) }
    }
}

impl fmt::Display for Property {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, value } = self;
        match value {
            Value::Text(text) => write!(f, "{name}={text}"),
            Value::Names(names) => write!(f, "{name}={}", names.join(",")),
            Value::Flag(flag) => write!(f, "{name}={flag}"),
            Value::Number(number) => write!(f, "{name}={number}"),
        }
    }
}

/// Values one after another, each at a multiple of its own size.
#[derive(Debug, Default)]
pub struct Body {
    bytes: Vec<u8>,
}

impl Body {
    fn align(&mut self, to: usize) {
        self.bytes.resize(self.bytes.len().next_multiple_of(to), 0);
    }

    fn u32(&mut self, value: u32) {
        self.align(4);
        self.bytes.extend(value.to_le_bytes());
    }

    fn u64(&mut self, value: u64) {
        self.align(8);
        self.bytes.extend(value.to_le_bytes());
    }

    /// Appends a text.
    pub fn text(&mut self, text: &str) {
        self.u32(length(text.len()));
        self.bytes.extend(text.as_bytes());
        self.bytes.push(0);
    }

    /// Appends a flag.
    pub fn flag(&mut self, flag: bool) {
        self.u32(flag.into());
    }

    fn signature(&mut self, signature: &str) {
        self.bytes.push(signature.len() as u8);
        self.bytes.extend(signature.as_bytes());
        self.bytes.push(0);
    }

    /// Appends an array, whose length in bytes leaves out the padding in front of its first element.
    fn array(&mut self, alignment: usize, elements: impl FnOnce(&mut Self)) {
        self.u32(0);
        let at = self.bytes.len() - 4;
        self.align(alignment);
        let begin = self.bytes.len();
        elements(self);
        let length = length(self.bytes.len() - begin);
        self.bytes[at..at + 4].copy_from_slice(&length.to_le_bytes());
    }

    /// Appends properties, `a(sv)`.
    pub fn properties(&mut self, properties: &[Property]) {
        self.array(8, |body| {
            for Property { name, value } in properties {
                body.align(8);
                body.text(name);
                match value {
                    Value::Text(text) => {
                        body.signature("s");
                        body.text(text);
                    }
                    Value::Names(names) => {
                        body.signature("as");
                        body.array(4, |body| names.iter().for_each(|name| body.text(name)));
                    }
                    Value::Flag(flag) => {
                        body.signature("b");
                        body.flag(*flag);
                    }
                    Value::Number(number) => {
                        body.signature("t");
                        body.u64(*number);
                    }
                }
            }
        });
    }

    /// Appends an array of structures that has none.
    pub fn nothing(&mut self) {
        self.array(8, |_| {});
    }
}

/// A length as a message says it. What is sent is far shorter than 4 GiB.
fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

/// A call of a method of systemd's manager.
pub fn call(serial: u32, member: &str, signature: &str, body: &Body) -> Vec<u8> {
    let mut message = Body { bytes: vec![LITTLE_ENDIAN, CALL, 0, VERSION] };
    message.u32(length(body.bytes.len()));
    message.u32(serial);
    message.array(8, |fields| {
        for (code, kind, value) in [
            (PATH, "o", "/org/freedesktop/systemd1"),
            (DESTINATION, "s", "org.freedesktop.systemd1"),
            (INTERFACE, "s", "org.freedesktop.systemd1.Manager"),
            (MEMBER, "s", member),
        ] {
            fields.align(8);
            fields.bytes.push(code);
            fields.signature(kind);
            fields.text(value);
        }
        fields.align(8);
        fields.bytes.push(SIGNATURE);
        fields.signature("g");
        fields.signature(signature);
    });
    message.align(8);
    message.bytes.extend(&body.bytes);
    message.bytes
}

/// What kind of message came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The return of a call.
    Return,
    /// The error of a call.
    Error,
    /// A signal.
    Signal,
    /// A call by the other side, or a kind that is to be passed over.
    Other,
}

/// A message from systemd.
#[derive(Debug, PartialEq, Eq)]
pub struct Received<'a> {
    /// Its kind.
    pub kind: Kind,
    /// The call it answers.
    pub answers: Option<u32>,
    /// The signal's name, or the error's.
    pub name: &'a str,
    body: &'a [u8],
}

/// The length of the whole message whose first [`FIXED`] bytes these are.
pub fn whole(fixed: &[u8; FIXED]) -> Result<usize, SystemdError> {
    if fixed[0] != LITTLE_ENDIAN {
        return Err(SystemdError::Malformed("systemd speaks another byte order"));
    }
    let word =
        |at: usize| u32::from_le_bytes([fixed[at], fixed[at + 1], fixed[at + 2], fixed[at + 3]]) as usize;
    let (body, fields) = (word(4), word(12));
    if body > LONGEST || fields > LONGEST {
        return Err(SystemdError::Malformed("systemd's message is too long"));
    }
    Ok((FIXED + fields).next_multiple_of(8) + body)
}

impl<'a> Received<'a> {
    /// Reads a whole message.
    pub fn read(message: &'a [u8]) -> Result<Self, SystemdError> {
        let fixed = message.first_chunk().ok_or(SHORT)?;
        if message.len() != whole(fixed)? {
            return Err(SHORT);
        }
        let kind = match fixed[1] {
            2 => Kind::Return,
            3 => Kind::Error,
            4 => Kind::Signal,
            _ => Kind::Other,
        };
        let mut reader = Reader { bytes: message, at: FIXED - 4 };
        let end = reader.u32()? as usize + FIXED;
        let mut received = Received { kind, answers: None, name: "", body: &[] };
        while reader.at < end {
            reader.align(8);
            let code = reader.byte()?;
            let signature = reader.signature()?;
            match (code, signature) {
                (REPLY_SERIAL, "u") => received.answers = Some(reader.u32()?),
                (MEMBER | ERROR_NAME, "s") => received.name = reader.text()?,
                (_, "s" | "o") => drop(reader.text()?),
                (_, "g") => drop(reader.signature()?),
                (_, "u") => drop(reader.u32()?),
                _ => {
                    return Err(SystemdError::Malformed("systemd's message has a header of an unknown type"));
                }
            }
        }
        received.body = message.get(end.next_multiple_of(8)..).ok_or(SHORT)?;
        Ok(received)
    }

    /// Reads the body from its begin.
    pub fn body(&self) -> Reader<'a> {
        Reader { bytes: self.body, at: 0 }
    }
}

const SHORT: SystemdError = SystemdError::Malformed("systemd's message ends early");

/// Reads values one after another.
#[derive(Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn align(&mut self, to: usize) {
        self.at = self.at.next_multiple_of(to);
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], SystemdError> {
        let end = self.at.checked_add(length).ok_or(SHORT)?;
        let taken = self.bytes.get(self.at..end).ok_or(SHORT)?;
        self.at = end;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, SystemdError> {
        Ok(self.take(1)?[0])
    }

    /// Reads a number of type `u`.
    pub fn u32(&mut self) -> Result<u32, SystemdError> {
        self.align(4);
        let bytes = self.take(4)?;
        Ok(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    /// Reads a text, `s` or `o`.
    pub fn text(&mut self) -> Result<&'a str, SystemdError> {
        let length = self.u32()? as usize;
        self.terminated(length)
    }

    fn signature(&mut self) -> Result<&'a str, SystemdError> {
        let length = self.byte()?.into();
        self.terminated(length)
    }

    fn terminated(&mut self, length: usize) -> Result<&'a str, SystemdError> {
        let text = self.take(length)?;
        self.take(1)?;
        std::str::from_utf8(text).map_err(|_| SystemdError::Malformed("systemd's message holds no text"))
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A message as systemd sends it.
    pub fn sent(kind: u8, answers: Option<u32>, name: &str, body: &Body) -> Vec<u8> {
        let mut message = Body { bytes: vec![LITTLE_ENDIAN, kind, 0, VERSION] };
        message.u32(length(body.bytes.len()));
        message.u32(7);
        message.array(8, |fields| {
            if let Some(serial) = answers {
                fields.align(8);
                fields.bytes.push(REPLY_SERIAL);
                fields.signature("u");
                fields.u32(serial);
            }
            fields.align(8);
            fields.bytes.push(if kind == 3 { ERROR_NAME } else { MEMBER });
            fields.signature("s");
            fields.text(name);
        });
        message.align(8);
        message.bytes.extend(&body.bytes);
        message.bytes
    }

    impl Body {
        /// Appends a number, as systemd does.
        pub fn number(&mut self, number: u32) {
            self.u32(number);
        }
    }

    /// What a call's bytes are, worked out by hand from the specification.
    #[test]
    fn a_call_is_laid_out_as_the_specification_says() {
        let mut body = Body::default();
        body.text("a.slice");
        body.properties(&[Property::flag("B", true), Property::number("N", 5)]);
        body.nothing();
        let expected: &[u8] = &[
            7, 0, 0, 0, b'a', b'.', b's', b'l', b'i', b'c', b'e', 0, // s
            40, 0, 0, 0, // the array's bytes
            1, 0, 0, 0, b'B', 0, 1, b'b', 0, 0, 0, 0, 1, 0, 0, 0, // a flag at a multiple of four
            1, 0, 0, 0, b'N', 0, 1, b't', 0, 0, 0, 0, 0, 0, 0, 0, // a number at a multiple of eight
            5, 0, 0, 0, 0, 0, 0, 0, //
            0, 0, 0, 0, 0, 0, 0, 0, // an empty array, padded as if it had a structure
        ];
        assert_eq!(body.bytes, expected);
        let message = call(3, "StopUnit", "ss", &body);
        assert_eq!(&message[..4], b"l\x01\x00\x01");
        assert_eq!(whole(message.first_chunk().unwrap()).unwrap(), message.len());
        let read = Received::read(&message).unwrap();
        assert_eq!((read.kind, read.name, read.answers), (Kind::Other, "StopUnit", None));
        assert_eq!(read.body().text().unwrap(), "a.slice");
    }

    #[test]
    fn what_systemd_sends_is_read() {
        let mut body = Body::default();
        body.text("/org/freedesktop/systemd1/job/12");
        let message = sent(2, Some(3), "", &body);
        let read = Received::read(&message).unwrap();
        assert_eq!((read.kind, read.answers), (Kind::Return, Some(3)));
        assert_eq!(read.body().text().unwrap(), "/org/freedesktop/systemd1/job/12");
    }

    #[test]
    fn nothing_that_comes_panics() {
        let mut body = Body::default();
        body.text("a");
        let good = sent(4, Some(3), "JobRemoved", &body);
        for at in 0..good.len() {
            let _ = Received::read(&good[..at]);
            for byte in [0, 1, 7, 0x7f, 0xff] {
                let mut bad = good.clone();
                bad[at] = byte;
                if let Ok(read) = Received::read(&bad) {
                    let _ = read.body().text();
                }
            }
        }
        assert!(whole(&[b'l', 2, 0, 1, 0xff, 0xff, 0xff, 0xff, 1, 0, 0, 0, 0, 0, 0, 0]).is_err());
        assert!(whole(b"B\x02\x00\x01000000000000").is_err());
    }
}
