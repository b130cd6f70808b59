//! Text into tokens.

use crate::issues::Issue;

/// A token and where it begins.
#[derive(Clone, Debug, PartialEq)]
pub struct Token {
    /// What it is.
    pub kind: Kind,
    /// The octet at which it begins.
    pub at: usize,
}

/// What a token is.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// A name or a word.
    Word(Box<str>),
    /// A whole number; the sign is an operator.
    Int(u64),
    /// A whole number behind which `u` stands.
    Uint(u64),
    /// A number with a fraction or an exponent.
    Double(f64),
    /// Text in quotes.
    String(Box<str>),
    /// Octets in quotes.
    Bytes(Box<[u8]>),
    /// A sign.
    Sign(&'static str),
    /// The end.
    End,
}

/// Signs, longer ones before those that they begin with.
const SIGNS: [&str; 24] = [
    "&&", "||", "==", "!=", "<=", ">=", "<", ">", "+", "-", "*", "/", "%", "!", "?", ":", ".", ",", "(", ")",
    "[", "]", "{", "}",
];

/// Reads all tokens.
pub fn tokens(text: &str) -> Result<Vec<Token>, Issue> {
    let mut lexer = Lexer { text, at: 0 };
    let mut tokens = Vec::new();
    loop {
        let token = lexer.next()?;
        let is_end = token.kind == Kind::End;
        tokens.push(token);
        if is_end {
            return Ok(tokens);
        }
    }
}

struct Lexer<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Lexer<'t> {
    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn fault(&self, at: usize, why: impl AsRef<str>) -> Issue {
        Issue::new(at, format!("Syntax error: {}", why.as_ref()))
    }

    fn take(&mut self, while_so: impl Fn(char) -> bool) -> &'t str {
        let rest = self.rest();
        let end = rest.find(|letter| !while_so(letter)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn next(&mut self) -> Result<Token, Issue> {
        loop {
            self.take(char::is_whitespace);
            if !self.rest().starts_with("//") {
                break;
            }
            self.take(|letter| letter != '\n');
        }
        let at = self.at;
        let Some(first) = self.rest().chars().next() else { return Ok(Token { kind: Kind::End, at }) };
        let kind = if let Some(string) = self.quoted()? {
            string
        } else if first.is_ascii_digit() || (first == '.' && self.digit_at(1)) {
            self.number()?
        } else if first.is_ascii_alphabetic() || first == '_' {
            Kind::Word(self.take(|letter| letter.is_ascii_alphanumeric() || letter == '_').into())
        } else if first == '`' {
            self.at += 1;
            let word = self.take(|letter| letter != '`' && letter != '\n');
            if !self.rest().starts_with('`') {
                return Err(self.fault(at, "a quoted name does not end"));
            }
            self.at += 1;
            Kind::Word(word.into())
        } else {
            let Some(sign) = SIGNS.iter().find(|sign| self.rest().starts_with(**sign)) else {
                return Err(self.fault(at, format!("token recognition error at: '{first}'")));
            };
            self.at += sign.len();
            Kind::Sign(sign)
        };
        Ok(Token { kind, at })
    }

    fn digit_at(&self, offset: usize) -> bool {
        self.rest().as_bytes().get(offset).is_some_and(u8::is_ascii_digit)
    }

    fn number(&mut self) -> Result<Kind, Issue> {
        let at = self.at;
        let range = |lexer: &Self| lexer.fault(at, "number out of range");
        if self.rest().starts_with("0x") || self.rest().starts_with("0X") {
            self.at += 2;
            let digits = self.take(|letter| letter.is_ascii_hexdigit());
            let number = u64::from_str_radix(digits, 16).map_err(|_| range(self))?;
            return Ok(self.unsigned(number));
        }
        self.take(|letter| letter.is_ascii_digit());
        let mut is_double = false;
        if self.rest().starts_with('.') && self.digit_at(1) {
            is_double = true;
            self.at += 1;
            self.take(|letter| letter.is_ascii_digit());
        }
        if self.rest().starts_with(['e', 'E']) {
            let sign = usize::from(matches!(self.rest().as_bytes().get(1), Some(b'+' | b'-')));
            if self.digit_at(1 + sign) {
                is_double = true;
                self.at += 1 + sign;
                self.take(|letter| letter.is_ascii_digit());
            }
        }
        let text = &self.text[at..self.at];
        if is_double {
            return text.parse().map(Kind::Double).map_err(|_| range(self));
        }
        let number = text.parse().map_err(|_| range(self))?;
        Ok(self.unsigned(number))
    }

    fn unsigned(&mut self, number: u64) -> Kind {
        if self.rest().starts_with(['u', 'U']) {
            self.at += 1;
            return Kind::Uint(number);
        }
        Kind::Int(number)
    }

    /// Text or octets in quotes, with `r` (as it is) and `b` (octets) before them.
    fn quoted(&mut self) -> Result<Option<Kind>, Issue> {
        let at = self.at;
        let rest = self.rest();
        // A prefix has two letters at most: looking further for every token would take the square of the length.
        let end = rest.bytes().take(3).position(|byte| matches!(byte, b'"' | b'\''));
        let prefix = end.and_then(|end| rest.get(..end));
        let Some(prefix) =
            prefix.filter(|prefix| matches!(&*prefix.to_lowercase(), "" | "r" | "b" | "rb" | "br"))
        else {
            return Ok(None);
        };
        let prefix = prefix.to_lowercase();
        let (raw, octets) = (prefix.contains('r'), prefix.contains('b'));
        self.at += prefix.len();
        let quote = &self.rest()[..1];
        let triple = quote.repeat(3);
        let end = if self.rest().starts_with(&triple) { triple } else { quote.to_owned() };
        self.at += end.len();
        let mut bytes = Vec::new();
        loop {
            let rest = self.rest();
            if rest.starts_with(&end) {
                self.at += end.len();
                break;
            }
            let Some(letter) = rest.chars().next() else {
                return Err(self.fault(at, "a string does not end"));
            };
            if end.len() == 1 && (letter == '\n' || letter == '\r') {
                return Err(self.fault(at, "a string does not end on its line"));
            }
            self.at += letter.len_utf8();
            if letter == '\\' && !raw {
                self.escape(&mut bytes, octets)?;
            } else {
                bytes.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
            }
        }
        if octets {
            return Ok(Some(Kind::Bytes(bytes.into())));
        }
        let text = String::from_utf8(bytes).map_err(|_| self.fault(at, "a string is not UTF-8"))?;
        Ok(Some(Kind::String(text.into())))
    }

    fn escape(&mut self, bytes: &mut Vec<u8>, octets: bool) -> Result<(), Issue> {
        let at = self.at;
        let Some(letter) = self.rest().chars().next() else {
            return Err(self.fault(at, "a string does not end"));
        };
        self.at += letter.len_utf8();
        let plain = match letter {
            'a' => 7,
            'b' => 8,
            'f' => 12,
            'n' => b'\n',
            'r' => b'\r',
            't' => b'\t',
            'v' => 11,
            '\\' | '\'' | '"' | '`' | '?' => letter as u8,
            'x' | 'X' => return self.code(bytes, 2, 16, octets),
            'u' => return self.code(bytes, 4, 16, false),
            'U' => return self.code(bytes, 8, 16, false),
            '0'..='3' => {
                self.at -= 1;
                return self.code(bytes, 3, 8, octets);
            }
            _ => return Err(self.fault(at, format!("unknown escape: \\{letter}"))),
        };
        bytes.push(plain);
        Ok(())
    }

    fn code(&mut self, bytes: &mut Vec<u8>, digits: usize, radix: u32, octet: bool) -> Result<(), Issue> {
        let at = self.at;
        let fault = |lexer: &Self| lexer.fault(at, "an escape has too few digits or names no character");
        let digits = self.rest().get(..digits).ok_or_else(|| fault(self))?;
        let code = u32::from_str_radix(digits, radix).map_err(|_| fault(self))?;
        self.at += digits.len();
        if octet {
            bytes.push(u8::try_from(code).map_err(|_| fault(self))?);
            return Ok(());
        }
        let letter = char::from_u32(code).ok_or_else(|| fault(self))?;
        bytes.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<Kind> {
        tokens(text).unwrap().into_iter().map(|token| token.kind).collect()
    }

    #[test]
    fn numbers_strings_words_and_signs_are_told_apart() {
        use Kind::*;
        assert_eq!(
            kinds("1 2u 0x1F 1.5 .5 2e3"),
            [Int(1), Uint(2), Int(31), Double(1.5), Double(0.5), Double(2000.0), End]
        );
        assert_eq!(
            kinds(r#"'a' "b\n" r'\d' b'\xff' '''c'd'''"#),
            [
                String("a".into()),
                String("b\n".into()),
                String("\\d".into()),
                Bytes([255].into()),
                String("c'd".into()),
                End
            ]
        );
        assert_eq!(
            kinds("self.a>=b // words"),
            [Word("self".into()), Sign("."), Word("a".into()), Sign(">="), Word("b".into()), End]
        );
        assert!(tokens("'open").is_err());
        assert!(tokens("a # b").is_err());
    }
}
