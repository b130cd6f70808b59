//! Public keys that certificates are asked for, and signatures that prove who holds them.

use num_bigint::BigUint;
use ring::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use ring::signature::{self, UnparsedPublicKey, VerificationAlgorithm};
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;

const RSA: &str = "1.2.840.113549.1.1.1";
const DSA: &str = "1.2.840.10040.4.1";
const EC: &str = "1.2.840.10045.2.1";
const X25519: &str = "1.3.101.110";
const ED25519: &str = "1.3.101.112";
const P224: &str = "1.3.132.0.33";
const P256: &str = "1.2.840.10045.3.1.7";
const P384: &str = "1.3.132.0.34";
const P521: &str = "1.3.132.0.35";

/// What a SubjectPublicKeyInfo holds.
#[derive(Debug, PartialEq, Eq)]
pub enum Key {
    /// A key of Ed25519.
    Ed25519(Vec<u8>),
    /// An uncompressed point of P-256.
    P256(Vec<u8>),
    /// An uncompressed point of P-384.
    P384(Vec<u8>),
    /// An uncompressed point of P-521.
    P521(Vec<u8>),
    /// A point of a curve whose signatures nothing here verifies, by the curve's name.
    Curve(&'static str),
    /// Modulus and exponent, most significant byte first.
    Rsa(Vec<u8>, Vec<u8>),
    /// A key that signs nothing that is taken as a proof.
    Other,
}

impl Key {
    /// Reads the DER of a SubjectPublicKeyInfo, and nothing behind it.
    pub fn read(der: &[u8]) -> Option<Self> {
        let (rest, info) = SubjectPublicKeyInfo::from_der(der).ok()?;
        if !rest.is_empty() {
            return None;
        }
        Self::of(&info)
    }

    /// The key of a SubjectPublicKeyInfo.
    pub fn of(info: &SubjectPublicKeyInfo<'_>) -> Option<Self> {
        let bits = info.subject_public_key.data.to_vec();
        let point = |size: usize| (bits.len() == 2 * size + 1 && bits[0] == 4).then(|| bits.clone());
        match info.algorithm.algorithm.to_id_string().as_str() {
            ED25519 => (bits.len() == 32).then_some(Self::Ed25519(bits)),
            EC => match info.algorithm.parameters.as_ref()?.as_oid().ok()?.to_id_string().as_str() {
                P224 => Some(Self::Curve("P-224")),
                P256 => point(32).map(Self::P256),
                P384 => point(48).map(Self::P384),
                P521 => point(ecdsa_p521::SIZE).map(Self::P521),
                _ => None,
            },
            RSA => match info.parsed().ok()? {
                PublicKey::RSA(key) => Some(Self::Rsa(key.modulus.to_vec(), key.exponent.to_vec())),
                _ => None,
            },
            DSA | X25519 => Some(Self::Other),
            _ => None,
        }
    }

    /// The length of the modulus of a key of RSA, in whole bytes' bits.
    pub fn modulus_bits(modulus: &[u8]) -> u64 {
        BigUint::from_bytes_be(modulus).bits().div_ceil(8) * 8
    }

    /// Whether a signature of a message is of this key: of Ed25519, of ECDSA over the SHA-256 of the message whatever the
    /// curve, or of RSASSA-PSS with SHA-256 and a salt of any length, as Go's `crypto/rsa` makes it unless told otherwise.
    pub fn has_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        let by = |algorithm: &'static dyn VerificationAlgorithm, key: &[u8]| {
            UnparsedPublicKey::new(algorithm, key).verify(message, signature).is_ok()
        };
        match self {
            Self::Ed25519(key) => by(&signature::ED25519, key),
            Self::P256(point) => by(&signature::ECDSA_P256_SHA256_ASN1, point),
            Self::P384(point) => by(&signature::ECDSA_P384_SHA256_ASN1, point),
            Self::Rsa(modulus, exponent) => has_signed_pss(modulus, exponent, message, signature),
            Self::P521(point) => ecdsa_p521::PublicKey::from_point(point)
                .is_some_and(|key| key.has_signed_der(&SHA256, message, signature)),
            Self::Curve(_) | Self::Other => false,
        }
    }
}

/// RSASSA-PSS-VERIFY of RFC 8017, section 8.1.2. The cryptography that everything else uses takes salts of the hash's
/// length alone.
fn has_signed_pss(modulus: &[u8], exponent: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let (modulus, exponent) = (BigUint::from_bytes_be(modulus), BigUint::from_bytes_be(exponent));
    // As Go: exponents are odd numbers that fit into 31 bits.
    let is_exponent = exponent.bit(0) && exponent > BigUint::from(1u8) && exponent.bits() <= 31;
    let signed = BigUint::from_bytes_be(signature);
    let size = usize::try_from(modulus.bits().div_ceil(8)).unwrap_or(usize::MAX);
    if !is_exponent || !modulus.bit(0) || signature.len() != size || signed >= modulus {
        return false;
    }
    let bits = modulus.bits() - 1;
    let encoded = signed.modpow(&exponent, &modulus).to_bytes_be();
    let size = usize::try_from(bits.div_ceil(8)).unwrap_or(usize::MAX);
    let Some(missing) = size.checked_sub(encoded.len()) else { return false };
    let mut whole = vec![0; missing];
    whole.extend(encoded);
    is_encoded(&mut whole, bits, message)
}

/// EMSA-PSS-VERIFY of RFC 8017, section 9.1.2, with the salt's length read from what is verified.
fn is_encoded(encoded: &mut [u8], bits: u64, message: &[u8]) -> bool {
    let Some(masked) = encoded.len().checked_sub(SHA256_OUTPUT_LEN + 1) else { return false };
    let (masked, rest) = encoded.split_at_mut(masked);
    let (hash, trailer) = rest.split_at(SHA256_OUTPUT_LEN);
    let unused = masked.len() + rest.len();
    let unused = unused as u64 * 8 - bits;
    let used = 0xff_u8.checked_shr(u32::try_from(unused).unwrap_or(8)).unwrap_or(0);
    if trailer != [0xbc] || masked.first().is_none_or(|first| first & !used != 0) {
        return false;
    }
    for (counter, block) in (0_u32..).zip(masked.chunks_mut(SHA256_OUTPUT_LEN)) {
        let mask = digest(&SHA256, &[hash, &counter.to_be_bytes()].concat());
        block.iter_mut().zip(mask.as_ref()).for_each(|(byte, mask)| *byte ^= mask);
    }
    masked[0] &= used;
    let Some(one) = masked.iter().position(|byte| *byte != 0) else { return false };
    let (separator, salt) = (masked[one], &masked[one + 1..]);
    let seen = [&[0; 8], digest(&SHA256, message).as_ref(), salt].concat();
    separator == 1 && digest(&SHA256, &seen).as_ref() == hash
}

#[cfg(test)]
pub(crate) mod tests;
