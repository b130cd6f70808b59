//! Syntax errors of JSON text in Go's words.

use std::fmt;

/// Why a text is no JSON, as Go's scanner says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyntaxError(String);

impl fmt::Display for SyntaxError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl std::error::Error for SyntaxError {}

impl SyntaxError {
    /// Finds Go's words for a text that serde_json refused; its own where Go's scanner would not mind.
    pub(super) fn of(text: &[u8], error: &serde_json::Error) -> SyntaxError {
        let mut scanner = Scanner { text, at: 0 };
        let result = scanner.value("looking for beginning of value").and_then(|()| match scanner.peek() {
            None => Ok(()),
            Some(byte) => Err(unexpected(byte, "after top-level value")),
        });
        SyntaxError(result.err().unwrap_or_else(|| error.to_string()))
    }
}

struct Scanner<'t> {
    text: &'t [u8],
    at: usize,
}

const END: &str = "unexpected end of JSON input";

fn unexpected(byte: u8, context: &str) -> String {
    let shown = match byte {
        b'\'' => r"'\''".to_owned(),
        b'"' => "'\"'".to_owned(),
        b'\n' => r"'\n'".to_owned(),
        b'\r' => r"'\r'".to_owned(),
        b'\t' => r"'\t'".to_owned(),
        b'\\' => r"'\\'".to_owned(),
        0x20..0x7f => format!("'{}'", char::from(byte)),
        0xa1..=0xff if byte != 0xad => format!("'{}'", char::from(byte)),
        _ if byte < 0x80 => format!("'\\x{byte:02x}'"),
        _ => format!("'\\u{byte:04x}'"),
    };
    format!("invalid character {shown} {context}")
}

impl Scanner<'_> {
    fn next(&mut self) -> Result<u8, String> {
        let byte = *self.text.get(self.at).ok_or(END)?;
        self.at += 1;
        Ok(byte)
    }

    /// Skips white space and looks at what follows.
    fn peek(&mut self) -> Option<u8> {
        while self.text.get(self.at).is_some_and(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
        self.text.get(self.at).copied()
    }

    fn solid(&mut self) -> Result<u8, String> {
        self.peek().ok_or(END)?;
        self.next()
    }

    /// Scans one value. Depth is bounded by serde_json, which stopped at the same text.
    fn value(&mut self, context: &str) -> Result<(), String> {
        let mut closers: Vec<u8> = Vec::new();
        let mut context = context;
        loop {
            // A value begins here.
            match self.solid()? {
                b'{' => match self.solid()? {
                    b'}' => {}
                    byte => {
                        self.key(byte, "looking for beginning of object key string")?;
                        closers.push(b'}');
                        context = "looking for beginning of value";
                        continue;
                    }
                },
                b'[' => match self.peek() {
                    Some(b']') => self.at += 1,
                    _ => {
                        closers.push(b']');
                        context = "looking for beginning of value";
                        continue;
                    }
                },
                b'"' => self.string()?,
                b't' => self.literal("rue", "true")?,
                b'f' => self.literal("alse", "false")?,
                b'n' => self.literal("ull", "null")?,
                byte @ (b'-' | b'0'..=b'9') => self.number(byte)?,
                byte => return Err(unexpected(byte, context)),
            }
            // A value has ended; close what ends with it.
            loop {
                let Some(closer) = closers.last().copied() else { return Ok(()) };
                match self.solid()? {
                    b',' if closer == b'}' => {
                        let byte = self.solid()?;
                        self.key(byte, "looking for beginning of object key string")?;
                        break;
                    }
                    b',' => break,
                    byte if byte == closer => {
                        closers.pop();
                    }
                    byte if closer == b'}' => return Err(unexpected(byte, "after object key:value pair")),
                    byte => return Err(unexpected(byte, "after array element")),
                }
            }
        }
    }

    fn key(&mut self, first: u8, context: &str) -> Result<(), String> {
        if first != b'"' {
            return Err(unexpected(first, context));
        }
        self.string()?;
        match self.solid()? {
            b':' => Ok(()),
            byte => Err(unexpected(byte, "after object key")),
        }
    }

    fn string(&mut self) -> Result<(), String> {
        loop {
            match self.next()? {
                b'"' => return Ok(()),
                b'\\' => match self.next()? {
                    b'b' | b'f' | b'n' | b'r' | b't' | b'\\' | b'/' | b'"' => {}
                    b'u' => {
                        for _ in 0..4 {
                            let byte = self.next()?;
                            if !byte.is_ascii_hexdigit() {
                                return Err(unexpected(byte, "in \\u hexadecimal character escape"));
                            }
                        }
                    }
                    byte => return Err(unexpected(byte, "in string escape code")),
                },
                byte if byte < 0x20 => return Err(unexpected(byte, "in string literal")),
                _ => {}
            }
        }
    }

    fn literal(&mut self, rest: &str, word: &str) -> Result<(), String> {
        for expected in rest.chars() {
            let byte = self.next()?;
            if char::from(byte) != expected {
                return Err(unexpected(byte, &format!("in literal {word} (expecting '{expected}')")));
            }
        }
        Ok(())
    }

    fn number(&mut self, first: u8) -> Result<(), String> {
        let mut leading = first;
        if first == b'-' {
            leading = self.next()?;
            if !leading.is_ascii_digit() {
                return Err(unexpected(leading, "in numeric literal"));
            }
        }
        if leading != b'0' {
            self.digits();
        }
        if self.text.get(self.at) == Some(&b'.') {
            self.at += 1;
            match self.next()? {
                byte if byte.is_ascii_digit() => self.digits(),
                byte => return Err(unexpected(byte, "after decimal point in numeric literal")),
            }
        }
        if matches!(self.text.get(self.at), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.text.get(self.at), Some(b'+' | b'-')) {
                self.at += 1;
            }
            match self.next()? {
                byte if byte.is_ascii_digit() => self.digits(),
                byte => return Err(unexpected(byte, "in exponent of numeric literal")),
            }
        }
        Ok(())
    }

    fn digits(&mut self) {
        while self.text.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
    }
}
