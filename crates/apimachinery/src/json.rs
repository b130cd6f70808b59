//! Objects as JSON text, the form in which they are stored, cached and sent.
//!
//! The text is [`serde_json`]'s to the byte. Strings are most of an object, and nearly all of them need no escape: they
//! are looked through in blocks and copied as a whole.

use serde_json::{Map, Number, Value};

/// The text of a value.
pub fn to_vec(value: &Value) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    write(value, &mut out);
    out
}

/// Appends the text of a value.
pub fn write(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Number(number) => write_number(number, out),
        Value::String(text) => write_string(text, out),
        Value::Array(items) => {
            out.push(b'[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                write(item, out);
            }
            out.push(b']');
        }
        Value::Object(members) => write_members(members, out, |out, _, member| write(member, out)),
    }
}

/// Appends an object whose members' values are written by `put`, which may append further members behind them.
pub fn write_members(
    members: &Map<String, Value>,
    out: &mut Vec<u8>,
    mut put: impl FnMut(&mut Vec<u8>, &str, &Value),
) {
    out.push(b'{');
    for (at, (key, member)) in members.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write_string(key, out);
        out.push(b':');
        put(out, key, member);
    }
    out.push(b'}');
}

fn write_number(number: &Number, out: &mut Vec<u8>) {
    // Neither a number nor memory refuses to be written to.
    let _ = serde_json::to_writer(out, number);
}

/// Appends a string with its quotes.
pub fn write_string(text: &str, out: &mut Vec<u8>) {
    let mut rest = text.as_bytes();
    out.reserve(rest.len() + 2);
    out.push(b'"');
    loop {
        let plain = plain_prefix(rest);
        out.extend_from_slice(&rest[..plain]);
        let Some((&byte, after)) = rest[plain..].split_first() else { break };
        escape(byte, out);
        rest = after;
    }
    out.push(b'"');
}

/// Appends what stands for a byte that may not stand for itself (RFC 8259, 7).
fn escape(byte: u8, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let short = match byte {
        b'"' | b'\\' => byte,
        0x08 => b'b',
        b'\t' => b't',
        b'\n' => b'n',
        0x0c => b'f',
        b'\r' => b'r',
        _ => {
            let (high, low) = (usize::from(byte >> 4), usize::from(byte & 15));
            out.extend_from_slice(&[b'\\', b'u', b'0', b'0', HEX[high], HEX[low]]);
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

/// How many bytes from the start on stand for themselves.
fn plain_prefix(bytes: &[u8]) -> usize {
    // Looked at without a way out in between, a block is a few instructions on many bytes each.
    let plain_block = |block: &[u8; 32]| !block.iter().fold(false, |any, byte| any | is_escaped(*byte));
    let (blocks, _) = bytes.as_chunks::<32>();
    let plain = blocks.iter().take_while(|block| plain_block(block)).count() * 32;
    plain + bytes[plain..].iter().position(|byte| is_escaped(*byte)).unwrap_or(bytes.len() - plain)
}

fn is_escaped(byte: u8) -> bool {
    (byte < 0x20) | (byte == b'"') | (byte == b'\\')
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use testkit::Dice;

    use super::*;

    #[test]
    fn each_byte_is_written_as_serde_json_writes_it_wherever_it_stands() {
        for char in (0..=0x2ff_u32).filter_map(char::from_u32) {
            for before in [0, 1, 30, 31, 32, 33, 65] {
                for after in [0, 1, 20] {
                    let text = format!("{}{char}{}{char}", "a".repeat(before), "é".repeat(after));
                    let mut out = Vec::new();
                    write_string(&text, &mut out);
                    assert_eq!(String::from_utf8(out).unwrap(), serde_json::to_string(&text).unwrap());
                }
            }
        }
    }

    #[test]
    fn values_are_written_as_serde_json_writes_them() {
        for value in [
            json!(null),
            json!([true, false, null]),
            json!([0, -1, 1.5, 1e300, -0.0, u64::MAX, i64::MIN]),
            json!([]),
            json!({}),
            json!({"a": {"b": [{}, [], "", {"c\"\u{1}": "line\nline\u{2028}"}]}, "": 1}),
        ] {
            assert_eq!(to_vec(&value), serde_json::to_vec(&value).unwrap(), "{value}");
        }
    }

    fn any(dice: &mut Dice, depth: usize) -> Value {
        let text = |dice: &mut Dice| -> String {
            let alphabet = ['a', '"', '\\', '\n', '\u{7f}', '\u{1f}', 'ß', '\u{10ffff}', ' '];
            // Mostly plain, as objects are.
            (0..dice.roll(40)).map(|_| if dice.roll(9) > 0 { 'x' } else { *dice.pick(&alphabet) }).collect()
        };
        match dice.roll(if depth == 0 { 4 } else { 6 }) {
            0 => Value::Null,
            1 => json!(dice.roll(2) == 0),
            2 => json!(dice.roll(usize::MAX) as f64 / 7.0),
            3 => json!(text(dice)),
            4 => (0..dice.roll(4)).map(|_| any(dice, depth - 1)).collect(),
            _ => (0..dice.roll(4)).map(|_| (text(dice), any(dice, depth - 1))).collect(),
        }
    }

    #[test]
    fn generated_values_are_written_as_serde_json_writes_them() {
        let mut dice = Dice::new(0x2545_F491_4F6C_DD1D);
        for _ in 0..2_000 {
            let value = any(&mut dice, 4);
            assert_eq!(to_vec(&value), serde_json::to_vec(&value).unwrap(), "{value}");
        }
    }
}
