//! A cursor over well-formed JSON that looks at each byte once and builds nothing.

use std::borrow::Cow;

use crate::WireError;

const BROKEN: WireError = WireError::Json("not well-formed JSON");

/// Where the reading is.
pub(crate) struct Json<'a> {
    text: &'a [u8],
    at: usize,
}

/// The inside of a string's quotes.
#[derive(Clone, Copy)]
pub(crate) struct Text<'a> {
    pub(crate) raw: &'a [u8],
    pub(crate) escaped: bool,
}

impl<'a> Text<'a> {
    /// What the string says.
    pub(crate) fn read(self) -> Result<Cow<'a, [u8]>, WireError> {
        if !self.escaped {
            return Ok(Cow::Borrowed(self.raw));
        }
        let quoted = [b"\"", self.raw, b"\""].concat();
        let text: String = serde_json::from_slice(&quoted).map_err(|_| BROKEN)?;
        Ok(Cow::Owned(text.into_bytes()))
    }
}

impl<'a> Json<'a> {
    pub(crate) fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0 }
    }

    /// The next byte that is not white space, which stays to be read.
    pub(crate) fn peek(&mut self) -> Result<u8, WireError> {
        loop {
            match self.text.get(self.at) {
                Some(b' ' | b'\n' | b'\t' | b'\r') => self.at += 1,
                Some(byte) => return Ok(*byte),
                None => return Err(WireError::Json("the text ends too early")),
            }
        }
    }

    fn expect(&mut self, byte: u8) -> Result<(), WireError> {
        if self.peek()? != byte {
            return Err(BROKEN);
        }
        self.at += 1;
        Ok(())
    }

    /// Passes `null`, if that is next.
    pub(crate) fn null(&mut self) -> Result<bool, WireError> {
        let is_null = self.peek()? == b'n';
        if is_null {
            self.scalar()?;
        }
        Ok(is_null)
    }

    /// Opens an object or array; says whether something is in it.
    pub(crate) fn open(&mut self, open: u8, close: u8) -> Result<bool, WireError> {
        self.expect(open)?;
        if self.peek()? == close {
            self.at += 1;
            return Ok(false);
        }
        Ok(true)
    }

    /// Passes what follows a member or element; says whether another comes.
    pub(crate) fn more(&mut self, close: u8) -> Result<bool, WireError> {
        let byte = self.peek()?;
        self.at += 1;
        match byte {
            b',' => Ok(true),
            byte if byte == close => Ok(false),
            _ => Err(BROKEN),
        }
    }

    /// Passes a member's name and the colon behind it.
    pub(crate) fn key(&mut self) -> Result<Text<'a>, WireError> {
        let key = self.string()?;
        self.expect(b':')?;
        Ok(key)
    }

    /// Passes a string.
    pub(crate) fn string(&mut self) -> Result<Text<'a>, WireError> {
        self.expect(b'"')?;
        let (start, mut escaped) = (self.at, false);
        loop {
            let rest = self.text.get(self.at..).ok_or(BROKEN)?;
            let found = end_of_run(rest).ok_or(BROKEN)?;
            self.at += found;
            if self.text[self.at] == b'"' {
                let raw = &self.text[start..self.at];
                self.at += 1;
                return Ok(Text { raw, escaped });
            }
            escaped = true;
            self.at += 2;
        }
    }

    /// Passes a number or a word.
    pub(crate) fn scalar(&mut self) -> Result<&'a [u8], WireError> {
        self.peek()?;
        let rest = &self.text[self.at..];
        let length = rest
            .iter()
            .position(|byte| matches!(byte, b',' | b'}' | b']' | b' ' | b'\n' | b'\t' | b'\r'))
            .unwrap_or(rest.len());
        if length == 0 || !matches!(rest[0], b'-' | b'0'..=b'9' | b't' | b'f' | b'n') {
            return Err(BROKEN);
        }
        self.at += length;
        Ok(&rest[..length])
    }

    /// Passes any value and returns its text.
    pub(crate) fn skip(&mut self) -> Result<&'a [u8], WireError> {
        let first = self.peek()?;
        let start = self.at;
        match first {
            b'"' => drop(self.string()?),
            b'{' | b'[' => {
                let mut depth = 0_usize;
                loop {
                    match self.text.get(self.at).ok_or(BROKEN)? {
                        b'"' => {
                            self.string()?;
                            continue;
                        }
                        b'{' | b'[' => depth += 1,
                        b'}' | b']' => depth -= 1,
                        _ => {}
                    }
                    self.at += 1;
                    if depth == 0 {
                        break;
                    }
                }
            }
            _ => drop(self.scalar()?),
        }
        Ok(&self.text[start..self.at])
    }

    /// Refuses anything but white space behind the value.
    pub(crate) fn end(mut self) -> Result<(), WireError> {
        match self.peek() {
            Err(_) => Ok(()),
            Ok(_) => Err(WireError::Json("text after the object")),
        }
    }
}

/// Where a string's quote or first backslash is. Most strings are shorter than a search's set-up is worth.
fn end_of_run(text: &[u8]) -> Option<usize> {
    const NEAR: usize = 24;
    let near = &text[..text.len().min(NEAR)];
    match near.iter().position(|byte| matches!(byte, b'"' | b'\\')) {
        Some(found) => Some(found),
        None => memchr::memchr2(b'"', b'\\', &text[near.len()..]).map(|found| found + near.len()),
    }
}
