//! Standard base64 as Go's decoder reads it: line breaks are skipped, errors name the byte.

/// Checks the text and takes line breaks out, as re-encoding would.
pub(super) fn normalise(text: &mut String) -> Result<(), String> {
    if let Err(at) = check(text.as_bytes()) {
        return Err(format!("illegal base64 data at input byte {at}"));
    }
    if text.bytes().any(is_break) {
        text.retain(|char| char != '\n' && char != '\r');
    }
    Ok(())
}

fn is_break(byte: u8) -> bool {
    byte == b'\n' || byte == b'\r'
}

fn in_alphabet(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/'
}

/// Finds the first illegal byte by the rules of Go's `base64.StdEncoding`.
fn check(text: &[u8]) -> Result<(), usize> {
    let skip_breaks = |mut at: usize| {
        while text.get(at).copied().is_some_and(is_break) {
            at += 1;
        }
        at
    };
    let mut at = 0;
    loop {
        let mut digits = 0;
        while digits < 4 {
            at = skip_breaks(at);
            match text.get(at) {
                None if digits == 0 => return Ok(()),
                None => return Err(at - digits),
                Some(byte) if in_alphabet(*byte) => {
                    digits += 1;
                    at += 1;
                }
                Some(b'=') => return padding(text, at, digits, skip_breaks),
                Some(_) => return Err(at),
            }
        }
    }
}

/// Checks what follows from the first `=` at `at`, after `digits` digits of its group.
fn padding(text: &[u8], at: usize, digits: usize, skip_breaks: impl Fn(usize) -> usize) -> Result<(), usize> {
    let mut next = at + 1;
    match digits {
        0 | 1 => return Err(at),
        2 => {
            next = skip_breaks(next);
            match text.get(next) {
                None => return Err(text.len()),
                Some(b'=') => next += 1,
                Some(_) => return Err(next),
            }
        }
        _ => {}
    }
    next = skip_breaks(next);
    if next < text.len() { Err(next) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_byte_that_go_names() {
        for (text, expected) in [
            ("", Ok(())),
            ("aGVsbG8=", Ok(())),
            ("aGVs\nbG8=\n", Ok(())),
            ("not base64", Err(3)),
            ("aGVsbG8", Err(4)),
            ("a", Err(0)),
            ("aG=a", Err(3)),
            ("aG=", Err(3)),
            ("aGVsbG8=x", Err(8)),
            ("====", Err(0)),
            ("한글", Err(0)),
        ] {
            assert_eq!(check(text.as_bytes()), expected, "{text:?}");
        }
    }
}
