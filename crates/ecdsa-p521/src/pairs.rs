//! Signatures of requests for certificates whose pair of curve and hash ring lacks: ring knows P-256 and P-384, each
//! over SHA-256 and SHA-384.

use ring::digest::{self, Algorithm, digest};

use crate::PublicKey;

const P256: &str = "1.2.840.10045.3.1.7";
const P384: &str = "1.3.132.0.34";
const P521: &str = "1.3.132.0.35";
const OVER_SHA1: &str = "1.2.840.10045.4.1";
const OVER_SHA256: &str = "1.2.840.10045.4.3.2";
const OVER_SHA384: &str = "1.2.840.10045.4.3.3";
const OVER_SHA512: &str = "1.2.840.10045.4.3.4";

/// Whether the DER of an `ECDSA-Sig-Value` is of the key of an uncompressed point, with curve and algorithm named by
/// their object identifiers. `None` for a pair that is ring's to check, or that nobody knows.
pub fn has_signed(
    curve: &str,
    algorithm: &str,
    point: &[u8],
    message: &[u8],
    signature: &[u8],
) -> Option<bool> {
    let hash: &'static Algorithm = match algorithm {
        OVER_SHA1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
        OVER_SHA256 => &digest::SHA256,
        OVER_SHA384 => &digest::SHA384,
        OVER_SHA512 => &digest::SHA512,
        _ => return None,
    };
    match (curve, algorithm) {
        (P256 | P384, OVER_SHA256 | OVER_SHA384) => None,
        (P256, _) => Some(is_of_p256(point, hash, message, signature)),
        (P384, _) => Some(is_of_p384(point, hash, message, signature)),
        (P521, _) => {
            let key = PublicKey::from_point(point);
            Some(key.is_some_and(|key| key.has_signed_der(hash, message, signature)))
        }
        _ => None,
    }
}

/// The hash as the number that is signed: with zeros before it where the curve's numbers are longer. The verifiers cut
/// what is too long.
pub(crate) fn number(hash: &'static Algorithm, message: &[u8], size: usize) -> Vec<u8> {
    let hashed = digest(hash, message);
    let missing = size.saturating_sub(hashed.as_ref().len());
    [&vec![0; missing], hashed.as_ref()].concat()
}

fn is_of_p256(point: &[u8], hash: &'static Algorithm, message: &[u8], signature: &[u8]) -> bool {
    use p256::ecdsa::signature::hazmat::PrehashVerifier as _;
    const SIZE: usize = 32;
    let key = Some(point)
        .filter(|point| point.len() == 2 * SIZE + 1)
        .and_then(|point| p256::ecdsa::VerifyingKey::from_sec1_bytes(point).ok());
    let signature = p256::ecdsa::Signature::from_der(signature).ok();
    let number = number(hash, message, SIZE);
    key.zip(signature).is_some_and(|(key, signature)| key.verify_prehash(&number, &signature).is_ok())
}

fn is_of_p384(point: &[u8], hash: &'static Algorithm, message: &[u8], signature: &[u8]) -> bool {
    use p384::ecdsa::signature::hazmat::PrehashVerifier as _;
    const SIZE: usize = 48;
    let key = Some(point)
        .filter(|point| point.len() == 2 * SIZE + 1)
        .and_then(|point| p384::ecdsa::VerifyingKey::from_sec1_bytes(point).ok());
    let signature = p384::ecdsa::Signature::from_der(signature).ok();
    let number = number(hash, message, SIZE);
    key.zip(signature).is_some_and(|(key, signature)| key.verify_prehash(&number, &signature).is_ok())
}
