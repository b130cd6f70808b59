//! Blocks of PEM in a text, as Go's `encoding/pem` finds them: what is no block is passed over.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";

/// What stands between two lines of dashes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Block<'a> {
    /// What the lines of dashes call it.
    pub kind: &'a str,
    /// Whether lines of the form `Key: value` come first.
    pub has_headers: bool,
    /// What it encodes.
    pub der: Vec<u8>,
}

impl Block<'_> {
    /// The certificate it encodes, and nothing behind it.
    pub fn certificate(&self) -> Option<X509Certificate<'_>> {
        let (rest, certificate) = X509Certificate::from_der(&self.der).ok()?;
        rest.is_empty().then_some(certificate)
    }
}

/// The blocks of a text, in time that grows with the text's length alone.
pub(crate) struct Blocks<'a>(&'a str);

impl<'a> Blocks<'a> {
    /// Looks through a text.
    pub fn of(text: &'a str) -> Self {
        Self(text)
    }

    /// Whether nothing stands behind the last line of the block that was found last.
    pub fn is_at_end(&self) -> bool {
        self.0.split_once('\n').is_none_or(|(_, rest)| rest.is_empty())
    }
}

impl<'a> Iterator for Blocks<'a> {
    type Item = Block<'a>;

    fn next(&mut self) -> Option<Block<'a>> {
        loop {
            let start = starts(self.0, BEGIN)?;
            let text = &self.0[start..];
            let end = starts(text, END)?;
            self.0 = &text[end + END.len()..];
            // A block that another begins in has no end.
            let inner = text[..end].rfind("\n-----BEGIN ").map_or(0, |newline| newline + 1);
            if let Some(block) = block(&text[inner..end], self.0) {
                return Some(block);
            }
        }
    }
}

/// Where a line starts with this.
fn starts(text: &str, with: &str) -> Option<usize> {
    if text.starts_with(with) {
        return Some(0);
    }
    text.find(&format!("\n{with}")).map(|newline| newline + 1)
}

/// Reads a block from its first line to before its last, and what follows the last line's first word.
fn block<'a>(text: &'a str, after: &str) -> Option<Block<'a>> {
    let (first, mut body) = text.split_once('\n')?;
    let kind = first.trim_end().strip_prefix(BEGIN)?.strip_suffix(DASHES)?;
    let last = after.split_once('\n').map_or(after, |(line, _)| line);
    if last.trim_end().strip_suffix(DASHES)? != kind {
        return None;
    }
    let mut has_headers = false;
    while let Some((_, rest)) = body.split_once('\n').filter(|(line, _)| line.contains(':')) {
        (has_headers, body) = (true, rest);
    }
    let compact: String = body.chars().filter(|character| !character.is_ascii_whitespace()).collect();
    Some(Block { kind, has_headers, der: BASE64_STANDARD.decode(compact).ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<(&str, bool, usize)> {
        Blocks::of(text).map(|block| (block.kind, block.has_headers, block.der.len())).collect()
    }

    #[test]
    fn blocks_are_found_and_the_rest_is_passed_over() {
        for (text, expected) in [
            ("", &[][..]),
            ("nothing", &[]),
            ("-----BEGIN A-----\nMAA=\n-----END A-----\n", &[("A", false, 2)]),
            ("# a comment\n-----BEGIN A-----\r\nMA\r\nA=\r\n-----END A-----", &[("A", false, 2)]),
            ("-----BEGIN A-----\nKey: value\n\nMAA=\n-----END A-----\n", &[("A", true, 2)]),
            ("-----BEGIN A-----\n-----END A-----\n", &[("A", false, 0)]),
            ("-----BEGIN A-----\nMAA=\n-----END B-----\n", &[]),
            ("-----BEGIN A-----\nM*A=\n-----END A-----\n", &[]),
            ("text -----BEGIN A-----\nMAA=\n-----END A-----\n", &[]),
            ("-----BEGIN A\nMAA=\n-----END A-----\n", &[]),
            (
                "-----BEGIN A-----\nMAA=\n-----BEGIN B-----\nMAA=\n-----END B-----\n-----BEGIN C-----\nMAAA\n-----END C-----\n",
                &[("B", false, 2), ("C", false, 3)],
            ),
        ] {
            assert_eq!(kinds(text), expected, "{text}");
        }
    }

    #[test]
    fn beginnings_without_end_take_no_time() {
        assert!(kinds(&"-----BEGIN A-----\n".repeat(100_000)).is_empty());
        assert!(kinds(&"-----BEGIN A-----\n-----END B-----\n".repeat(100_000)).is_empty());
    }
}
