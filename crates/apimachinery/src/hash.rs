//! Hashes that appear in names: FNV-1a and the alphabet that avoids words.

/// 32-bit FNV-1a, as Go's `hash/fnv.New32a`.
pub fn fnv32a(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

/// The characters of generated names: no vowels and none that look alike (upstream `rand.SafeEncodeString`).
pub const SAFE_ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";

/// Maps each byte of `text` into [`SAFE_ALPHABET`].
pub fn safe_encode(text: &str) -> String {
    text.bytes().map(|byte| char::from(SAFE_ALPHABET[usize::from(byte) % SAFE_ALPHABET.len()])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_as_go_does() {
        assert_eq!(fnv32a(b""), 0x811c_9dc5);
        assert_eq!(fnv32a(b"a"), 0xe40c_292c);
        assert_eq!(fnv32a(b"foobar"), 0xbf9c_f968);
    }

    #[test]
    fn encodes_digits_without_vowels() {
        assert_eq!(safe_encode("0123456789").len(), 10);
        assert!(safe_encode("1234567890").bytes().all(|byte| SAFE_ALPHABET.contains(&byte)));
    }
}
