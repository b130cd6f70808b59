//! Signatures on the curve P-521, which ring lacks: of tokens (ES512), of what pods prove their keys by, and of
//! certificates. And, of requests for certificates, those on other curves over hashes that ring does not pair with them.

mod certificates;
pub mod pairs;

use p521::ecdsa::signature::Signer as _;
use p521::ecdsa::signature::hazmat::PrehashVerifier as _;
use p521::ecdsa::{Signature, SigningKey, VerifyingKey};
use ring::digest::Algorithm;

pub use self::certificates::{SHA256, SHA384, SHA512};

/// Bytes of a coordinate, of a secret number, and of each half of a signature.
pub const SIZE: usize = 66;
/// Bytes of an uncompressed point.
pub const POINT: usize = 2 * SIZE + 1;

/// A point that signatures are checked against.
#[derive(Debug, Clone)]
pub struct PublicKey(VerifyingKey);

impl PublicKey {
    /// Reads an uncompressed point; `None` when it is not on the curve.
    pub fn from_point(point: &[u8]) -> Option<Self> {
        if point.len() != POINT || point.first() != Some(&4) {
            return None;
        }
        Some(Self(VerifyingKey::from_sec1_bytes(point).ok()?))
    }

    /// Whether the two numbers, one after the other (RFC 7518, 3.4), are this key's signature of the message.
    pub fn has_signed(&self, hash: &'static Algorithm, message: &[u8], signature: &[u8]) -> bool {
        Signature::from_slice(signature).is_ok_and(|signature| self.is_of(hash, message, &signature))
    }

    /// Whether the DER of an `ECDSA-Sig-Value` (RFC 3279, 2.2.3) is this key's signature of the message.
    pub fn has_signed_der(&self, hash: &'static Algorithm, message: &[u8], signature: &[u8]) -> bool {
        Signature::from_der(signature).is_ok_and(|signature| self.is_of(hash, message, &signature))
    }

    fn is_of(&self, hash: &'static Algorithm, message: &[u8], signature: &Signature) -> bool {
        self.0.verify_prehash(&pairs::number(hash, message, SIZE), signature).is_ok()
    }
}

/// A number that signs.
pub struct SecretKey(SigningKey);

impl SecretKey {
    /// Reads the number; `None` when the curve has no key of it.
    pub fn from_scalar(scalar: &[u8]) -> Option<Self> {
        (scalar.len() == SIZE).then(|| SigningKey::from_slice(scalar).ok()).flatten().map(Self)
    }

    /// The uncompressed point of the public half.
    pub fn point(&self) -> Vec<u8> {
        self.0.verifying_key().to_sec1_point(false).as_bytes().to_vec()
    }

    /// Signs over SHA-512 with a nonce of RFC 6979: the two numbers, one after the other. `None` never comes in practice:
    /// no message is known that has no signature.
    pub fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        let signature: Signature = self.0.try_sign(message).ok()?;
        Some(signature.to_bytes().to_vec())
    }
}

#[cfg(test)]
mod tests;
