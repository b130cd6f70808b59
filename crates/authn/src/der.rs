//! The little DER that key files need: reading tag-length-value items and writing SubjectPublicKeyInfo.

pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const BIT_STRING: u8 = 0x03;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const SEQUENCE: u8 = 0x30;

/// `AlgorithmIdentifier { rsaEncryption, NULL }`, RFC 3279.
const RSA_ALGORITHM: &[u8] =
    &[0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];
/// `AlgorithmIdentifier { id-ecPublicKey, prime256v1 }`, RFC 5480.
const P256_ALGORITHM: &[u8] = &[
    0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07,
];

/// `AlgorithmIdentifier { id-ecPublicKey, secp384r1 }`, RFC 5480.
const P384_ALGORITHM: &[u8] = &[
    0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b, 0x81, 0x04, 0x00,
    0x22,
];

/// `AlgorithmIdentifier { id-ecPublicKey, secp521r1 }`, RFC 5480.
const P521_ALGORITHM: &[u8] = &[
    0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b, 0x81, 0x04, 0x00,
    0x23,
];

/// Takes one item of any tag: (tag, content, rest).
pub(crate) fn item(input: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, input) = input.split_first()?;
    let (&first, mut input) = input.split_first()?;
    let length = match first {
        0..=0x7f => usize::from(first),
        0x81..=0x84 => {
            let count = usize::from(first & 0x7f);
            let bytes = input.get(..count)?;
            input = &input[count..];
            bytes.iter().fold(0usize, |length, byte| (length << 8) | usize::from(*byte))
        }
        _ => return None,
    };
    Some((tag, input.get(..length)?, &input[length..]))
}

/// Takes one item of the tag: (content, rest).
pub(crate) fn tagged(input: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    item(input).filter(|(found, ..)| *found == tag).map(|(_, content, rest)| (content, rest))
}

/// An unsigned INTEGER's magnitude, without the leading zero that marks it positive.
pub(crate) fn unsigned(input: &[u8]) -> Option<(&[u8], &[u8])> {
    let (content, rest) = tagged(input, INTEGER)?;
    let zeros = content.iter().take_while(|byte| **byte == 0).count();
    Some((&content[zeros..], rest))
}

fn write(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let mut out = vec![tag];
    if length < 0x80 {
        out.push(length as u8);
    } else {
        let bytes = length.to_be_bytes();
        let significant = &bytes[bytes.iter().take_while(|byte| **byte == 0).count()..];
        out.push(0x80 | significant.len() as u8);
        out.extend_from_slice(significant);
    }
    for part in parts {
        out.extend_from_slice(part);
    }
    out
}

/// Wraps an RSAPublicKey (PKCS#1) as SubjectPublicKeyInfo.
pub(crate) fn rsa_spki(public_key: &[u8]) -> Vec<u8> {
    write(SEQUENCE, &[RSA_ALGORITHM, &write(BIT_STRING, &[&[0], public_key])])
}

/// Wraps an uncompressed P-256 point as SubjectPublicKeyInfo.
pub(crate) fn p256_spki(point: &[u8]) -> Vec<u8> {
    write(SEQUENCE, &[P256_ALGORITHM, &write(BIT_STRING, &[&[0], point])])
}

/// Wraps an uncompressed P-384 point as SubjectPublicKeyInfo.
pub(crate) fn p384_spki(point: &[u8]) -> Vec<u8> {
    write(SEQUENCE, &[P384_ALGORITHM, &write(BIT_STRING, &[&[0], point])])
}

/// Wraps an uncompressed P-521 point as SubjectPublicKeyInfo.
pub(crate) fn p521_spki(point: &[u8]) -> Vec<u8> {
    write(SEQUENCE, &[P521_ALGORITHM, &write(BIT_STRING, &[&[0], point])])
}

/// What a SubjectPublicKeyInfo holds.
#[derive(Debug, PartialEq)]
pub(crate) enum PublicKey<'a> {
    /// RSAPublicKey (PKCS#1).
    Rsa(&'a [u8]),
    /// Uncompressed point.
    P256(&'a [u8]),
    /// Uncompressed point.
    P384(&'a [u8]),
    /// Uncompressed point.
    P521(&'a [u8]),
}

/// Reads a SubjectPublicKeyInfo.
pub(crate) fn read_spki(spki: &[u8]) -> Option<PublicKey<'_>> {
    let (body, _) = tagged(spki, SEQUENCE)?;
    let (_, rest) = tagged(body, SEQUENCE)?;
    let algorithm = &body[..body.len() - rest.len()];
    let (bits, _) = tagged(rest, BIT_STRING)?;
    let (&0, key) = bits.split_first()? else { return None };
    match algorithm {
        RSA_ALGORITHM => Some(PublicKey::Rsa(key)),
        P256_ALGORITHM => Some(PublicKey::P256(key)),
        P384_ALGORITHM => Some(PublicKey::P384(key)),
        P521_ALGORITHM => Some(PublicKey::P521(key)),
        _ => None,
    }
}

/// The scalar of a SEC1 ECPrivateKey, and what follows it.
fn scalar(key: &[u8]) -> Option<(&[u8], &[u8])> {
    let (body, _) = tagged(key, SEQUENCE)?;
    let (_version, rest) = tagged(body, INTEGER)?;
    tagged(rest, OCTET_STRING)
}

/// The scalar of a SEC1 ECPrivateKey on P-521, which its length tells.
pub(crate) fn p521_scalar(key: &[u8]) -> Option<&[u8]> {
    scalar(key).map(|(scalar, _)| scalar).filter(|scalar| scalar.len() == ecdsa_p521::SIZE)
}

/// The SEC1 ECPrivateKey inside of a PKCS#8 PrivateKeyInfo of a key on P-521.
pub(crate) fn read_pkcs8_p521(key: &[u8]) -> Option<&[u8]> {
    let (body, _) = tagged(key, SEQUENCE)?;
    let (_version, rest) = tagged(body, INTEGER)?;
    let rest = rest.strip_prefix(P521_ALGORITHM)?;
    tagged(rest, OCTET_STRING).map(|(key, _)| key)
}

/// Reads a SEC1 ECPrivateKey: the scalar, and the public point where the file has it.
pub(crate) fn read_sec1(key: &[u8]) -> Option<(&[u8], &[u8])> {
    let (scalar, mut rest) = scalar(key)?;
    while !rest.is_empty() {
        let (tag, content, next) = item(rest)?;
        if tag == 0xa1 {
            let (bits, _) = tagged(content, BIT_STRING)?;
            return Some((scalar, bits.split_first()?.1));
        }
        rest = next;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_keys_round_trip() {
        let long = vec![7u8; 300];
        assert_eq!(read_spki(&rsa_spki(&long)), Some(PublicKey::Rsa(&long)));
        assert_eq!(read_spki(&p256_spki(&[4; 65])), Some(PublicKey::P256(&[4; 65])));
        assert_eq!(read_spki(&p384_spki(&[4; 97])), Some(PublicKey::P384(&[4; 97])));
        assert_eq!(read_spki(&p521_spki(&[4; 133])), Some(PublicKey::P521(&[4; 133])));
    }

    #[test]
    fn truncated_input_is_refused() {
        let whole = rsa_spki(&[7; 300]);
        for end in 0..whole.len() {
            assert_eq!(read_spki(&whole[..end]), None);
        }
        assert_eq!(item(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff]), None);
        assert_eq!(item(&[0x30, 0x80]), None);
    }
}
