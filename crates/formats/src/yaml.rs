//! YAML: read as Kubernetes reads it, and written in the style of upstream's encoder: sorted keys, unindented lists, its quoting and its folding at 80.

mod read;

use std::cmp::Ordering;

use serde_json::Value;

pub use read::{documents, one};

const WIDTH: usize = 80;

/// The value as a YAML document.
pub fn text(value: &Value) -> String {
    let mut writer = Writer { text: String::new(), column: 0 };
    match value {
        Value::Object(fields) if !fields.is_empty() => writer.mapping(value, 0, true),
        Value::Array(items) if !items.is_empty() => writer.sequence(items, 0, true),
        scalar => writer.scalar(scalar, 0),
    }
    if !writer.text.ends_with('\n') {
        writer.text.push('\n');
    }
    writer.text
}

struct Writer {
    text: String,
    column: usize,
}

impl Writer {
    fn put(&mut self, text: &str) {
        self.text.push_str(text);
        self.column += text.chars().count();
    }

    fn line(&mut self, indent: usize) {
        if !self.text.ends_with('\n') {
            self.text.push('\n');
        }
        self.text.extend(std::iter::repeat_n(' ', indent));
        self.column = indent;
    }

    /// Writes a mapping; `inline` when its first key goes on the current line.
    fn mapping(&mut self, value: &Value, indent: usize, mut inline: bool) {
        let Value::Object(fields) = value else { return };
        let mut keys: Vec<&String> = fields.keys().collect();
        keys.sort_by(|a, b| natural(a, b));
        for key in keys {
            if !inline {
                self.line(indent);
            }
            inline = false;
            self.string(key, indent, true);
            self.put(":");
            match &fields[key] {
                value @ Value::Object(inner) if !inner.is_empty() => self.mapping(value, indent + 2, false),
                Value::Array(items) if !items.is_empty() => self.sequence(items, indent, false),
                scalar => {
                    self.put(" ");
                    self.scalar(scalar, indent + 2);
                }
            }
        }
    }

    fn sequence(&mut self, items: &[Value], indent: usize, mut inline: bool) {
        for item in items {
            if !inline {
                self.line(indent);
            }
            inline = false;
            self.put("- ");
            match item {
                value @ Value::Object(inner) if !inner.is_empty() => self.mapping(value, indent + 2, true),
                Value::Array(inner) if !inner.is_empty() => self.sequence(inner, indent + 2, true),
                scalar => self.scalar(scalar, indent + 2),
            }
        }
    }

    fn scalar(&mut self, value: &Value, indent: usize) {
        match value {
            Value::String(text) => self.string(text, indent, false),
            Value::Object(_) => self.put("{}"),
            Value::Array(_) => self.put("[]"),
            other => self.put(&other.to_string()),
        }
    }

    fn string(&mut self, text: &str, indent: usize, key: bool) {
        let shape = Shape::of(text);
        if text.contains('\n') && !key && shape.block {
            self.literal(text, indent);
        } else if resolves(text) || text.contains('\n') || !shape.single {
            self.double(text, indent, key);
        } else if shape.plain {
            self.folded(text, indent, key, false);
        } else {
            self.put("'");
            self.folded(text, indent, key, true);
            self.put("'");
        }
    }

    /// Plain and single-quoted text: broken at a space once the line is too long.
    fn folded(&mut self, text: &str, indent: usize, key: bool, quoted: bool) {
        let chars: Vec<char> = text.chars().collect();
        let mut after_space = false;
        for (at, c) in chars.iter().enumerate() {
            if *c == ' ' {
                let inside = !quoted || (at > 0 && at + 1 < chars.len());
                if !key && !after_space && self.column > WIDTH && inside && chars.get(at + 1) != Some(&' ') {
                    self.line(indent);
                } else {
                    self.put(" ");
                }
                after_space = true;
            } else {
                if quoted && *c == '\'' {
                    self.put("'");
                }
                self.text.push(*c);
                self.column += 1;
                after_space = false;
            }
        }
    }

    fn double(&mut self, text: &str, indent: usize, key: bool) {
        self.put("\"");
        let chars: Vec<char> = text.chars().collect();
        let mut after_space = false;
        for (at, c) in chars.iter().enumerate() {
            let escaped = match c {
                '\0' => "\\0".to_string(),
                '\u{7}' => "\\a".into(),
                '\u{8}' => "\\b".into(),
                '\t' => "\\t".into(),
                '\n' => "\\n".into(),
                '\u{b}' => "\\v".into(),
                '\u{c}' => "\\f".into(),
                '\r' => "\\r".into(),
                '\u{1b}' => "\\e".into(),
                '"' => "\\\"".into(),
                '\\' => "\\\\".into(),
                '\u{85}' => "\\N".into(),
                '\u{a0}' => "\\_".into(),
                '\u{2028}' => "\\L".into(),
                '\u{2029}' => "\\P".into(),
                ' ' => {
                    if !key && !after_space && self.column > WIDTH && at > 0 && at + 1 < chars.len() {
                        self.line(indent);
                        if chars[at + 1] == ' ' {
                            self.put("\\");
                        }
                    } else {
                        self.put(" ");
                    }
                    after_space = true;
                    continue;
                }
                c if printable(*c) => c.to_string(),
                c if (*c as u32) <= 0xff => format!("\\x{:02X}", *c as u32),
                c if (*c as u32) <= 0xffff => format!("\\u{:04X}", *c as u32),
                c => format!("\\U{:08X}", *c as u32),
            };
            self.put(&escaped);
            after_space = false;
        }
        self.put("\"");
    }

    fn literal(&mut self, text: &str, indent: usize) {
        self.put("|");
        if text.starts_with([' ', '\n']) {
            self.put("2");
        }
        if !text.ends_with('\n') {
            self.put("-");
        } else if text.ends_with("\n\n") || text == "\n" {
            self.put("+");
        }
        self.text.push('\n');
        let body = text.strip_suffix('\n').unwrap_or(text);
        for line in body.split('\n') {
            if !line.is_empty() {
                self.text.extend(std::iter::repeat_n(' ', indent));
                self.text.push_str(line);
            }
            self.text.push('\n');
        }
        self.column = 0;
    }
}

/// Which styles a text can be written in.
struct Shape {
    plain: bool,
    single: bool,
    block: bool,
}

impl Shape {
    fn of(text: &str) -> Self {
        let chars: Vec<char> = text.chars().collect();
        let mut indicator = text.starts_with("---") || text.starts_with("...");
        let (mut special, mut break_space, mut space_break, mut line_breaks) = (false, false, false, false);
        for (at, c) in chars.iter().enumerate() {
            let before = at.checked_sub(1).map(|before| chars[before]);
            let spaced_after = chars.get(at + 1).is_none_or(|next| matches!(next, ' ' | '\n' | '\t'));
            let first = at == 0;
            indicator |= match c {
                '#' => first || matches!(before, Some(' ' | '\n' | '\t')),
                ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@' | '`' => {
                    first
                }
                ':' => spaced_after,
                '?' | '-' => first && spaced_after,
                _ => false,
            };
            line_breaks |= *c == '\n';
            special |= *c != '\n' && !printable(*c);
            break_space |= *c == ' ' && before == Some('\n');
            space_break |= *c == '\n' && before == Some(' ');
        }
        let edge = |c: Option<&char>| matches!(c, Some(' ' | '\n'));
        let edges = edge(chars.first()) || edge(chars.last());
        let broken = space_break || special;
        Self {
            plain: !text.is_empty() && !indicator && !edges && !line_breaks && !broken,
            single: !broken && !break_space,
            block: !broken && chars.last() != Some(&' '),
        }
    }
}

fn printable(c: char) -> bool {
    matches!(c, ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..='\u{10ffff}')
        && c != '\u{feff}'
}

/// Whether YAML 1.1 would read the plain text as something else than a string.
fn resolves(text: &str) -> bool {
    match text {
        "" | "~" | "null" | "Null" | "NULL" | "y" | "Y" | "yes" | "Yes" | "YES" | "n" | "N" | "no" | "No"
        | "NO" | "true" | "True" | "TRUE" | "false" | "False" | "FALSE" | "on" | "On" | "ON" | "off"
        | "Off" | "OFF" => {
            return true;
        }
        _ => {}
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return true;
    }
    if !unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return false;
    }
    number(unsigned) || sexagesimal(unsigned) || timestamp(text)
}

fn number(text: &str) -> bool {
    let plain = text.replace('_', "");
    let radix = |prefix: &str, digits: fn(char) -> bool| {
        plain.strip_prefix(prefix).is_some_and(|rest| !rest.is_empty() && rest.chars().all(digits))
    };
    if radix("0x", |c| c.is_ascii_hexdigit())
        || radix("0b", |c| matches!(c, '0' | '1'))
        || radix("0o", |c| matches!(c, '0'..='7'))
        || (!plain.is_empty() && plain.chars().all(|c| c.is_ascii_digit()))
    {
        return true;
    }
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['-', '+']).unwrap_or(exponent))),
        None => (text, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
    let digits = |text: &str| text.chars().all(|c| c.is_ascii_digit());
    digits(whole)
        && digits(fraction)
        && !(whole.is_empty() && fraction.is_empty())
        && exponent.is_none_or(|exponent| !exponent.is_empty() && digits(exponent))
}

fn sexagesimal(text: &str) -> bool {
    let mut parts = text.split(':');
    let first = parts.next().unwrap_or("");
    let rest: Vec<&str> = parts.collect();
    first.starts_with(|c: char| c.is_ascii_digit())
        && first.chars().all(|c| c.is_ascii_digit() || c == '_')
        && !rest.is_empty()
        && rest.iter().enumerate().all(|(at, part)| {
            let whole = if at + 1 == rest.len() { part.split('.').next().unwrap_or("") } else { part };
            matches!(whole.len(), 1 | 2)
                && whole.chars().all(|c| c.is_ascii_digit())
                && (whole.len() == 1 || whole.as_bytes()[0] < b'6')
        })
}

fn timestamp(text: &str) -> bool {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    if digits != 4 || text.as_bytes().get(4) != Some(&b'-') {
        return false;
    }
    let date: Vec<&str> = text.split(['T', 't', ' ']).next().unwrap_or("").split('-').collect();
    let dated = date.len() == 3
        && date[1..]
            .iter()
            .all(|part| matches!(part.len(), 1 | 2) && part.bytes().all(|b| b.is_ascii_digit()));
    dated
        && (text.len() <= 10
            || text.parse::<jiff::Timestamp>().is_ok()
            || text.replace(' ', "T").parse::<jiff::civil::DateTime>().is_ok())
}

/// The order of keys: numbers within them by value, letters after everything else.
fn natural(a: &str, b: &str) -> Ordering {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    for at in 0..a.len().min(b.len()) {
        if a[at] == b[at] {
            continue;
        }
        match (a[at].is_alphabetic(), b[at].is_alphabetic()) {
            (true, true) => return a[at].cmp(&b[at]),
            (true, false) => return Ordering::Greater,
            (false, true) => return Ordering::Less,
            (false, false) => {}
        }
        // Behind a digit that is not zero, a zero counts as a digit of the same number.
        let started = (a[at] == '0' || b[at] == '0')
            && a[..at].iter().rev().take_while(|c| c.is_ascii_digit()).any(|c| *c != '0');
        let run = |text: &[char]| {
            let digits = text[at..].iter().take_while(|c| c.is_ascii_digit());
            let mut number = i64::from(started);
            let mut length = 0;
            for digit in digits {
                number = number.saturating_mul(10).saturating_add(i64::from(digit.to_digit(10).unwrap_or(0)));
                length += 1;
            }
            (number, length)
        };
        return run(&a).cmp(&run(&b)).then(a[at].cmp(&b[at]));
    }
    a.len().cmp(&b.len())
}
