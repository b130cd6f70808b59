//! Makes an input from another.

use crate::Dice;

/// Inputs grow no longer: what takes too long for its length shows before.
const LONGEST: usize = 64 * 1024;

/// What decoders look for, whatever they decode.
const WORDS: &[&[u8]] = &[
    b"{",
    b"}",
    b"[",
    b"]",
    b"\"",
    b"\\",
    b":",
    b",",
    b".",
    b"..",
    b"/",
    b"-",
    b"+",
    b"=",
    b"!",
    b"~1",
    b"~0",
    b"*",
    b"\0",
    b"null",
    b"true",
    b"9223372036854775808",
    b"-9223372036854775808",
    b"1e309",
    b"0.1",
    b"NaN",
    b"\xff\xff\xff\xff\x0f",
    b"\\u0000",
    b"\\ud800",
    "\u{1F980}".as_bytes(),
    b"\xc3\x28",
    b"\r\n",
    b" ",
    b"\t",
    b"metadata",
    b"name",
    b"kind",
    b"apiVersion",
    b"spec",
    b"$patch",
    b"$setElementOrder/",
    b"$deleteFromPrimitiveList/",
    b"$retainKeys",
    b"k8s\0",
    b"notin (",
    b" in (",
    b"&a ",
    b"*a",
    b"<<: *a",
    b"- ",
    b"|\n",
    b"%",
    b"%2F",
    b"{{",
    b"}}",
    b"k:{\"",
    b"f:",
];

/// Changes an input; `other` is another one, of which parts may be taken.
pub fn mutate(input: &mut Vec<u8>, other: &[u8], dice: &mut Dice<'_>) {
    for _ in 0..1 + dice.roll(4) {
        once(input, other, dice);
    }
    input.truncate(LONGEST);
}

fn once(input: &mut Vec<u8>, other: &[u8], dice: &mut Dice<'_>) {
    let at = dice.roll(input.len() + 1);
    let length = 1 + dice.roll(16);
    match dice.roll(9) {
        0 if at < input.len() => input[at] ^= 1 << dice.roll(8),
        1 if at < input.len() => input[at] = dice.number() as u8,
        2 => drop(input.drain(at..(at + length).min(input.len()))),
        3 => drop(input.splice(at..at, dice.one(WORDS).iter().copied())),
        4 => input.truncate(at),
        // A piece twice, or very often: what nests, nests deep.
        5 => {
            let piece = input[at..(at + length).min(input.len())].to_vec();
            let times = if dice.roll(8) == 0 { 1 + dice.roll(2000) } else { 1 };
            drop(input.splice(at..at, piece.repeat(times)));
        }
        6 if !other.is_empty() => {
            let from = dice.roll(other.len());
            let piece = &other[from..(from + length * 4).min(other.len())];
            drop(input.splice(at..at, piece.iter().copied()));
        }
        7 if !other.is_empty() => {
            input.truncate(at);
            input.extend_from_slice(&other[dice.roll(other.len())..]);
        }
        _ => {
            // A number becomes another.
            let digits = input.iter().skip(at).position(u8::is_ascii_digit).map(|found| at + found);
            if let Some(start) = digits {
                let end = input[start..].iter().position(|byte| !byte.is_ascii_digit());
                let end = end.map_or(input.len(), |end| start + end);
                let numbers: [&[u8]; 6] =
                    [b"0", b"4294967296", b"18446744073709551616", b"99999", b"007", b"1"];
                drop(input.splice(start..end, dice.one(&numbers).iter().copied()));
            }
        }
    }
}
