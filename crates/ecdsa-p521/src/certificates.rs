//! The curve as TLS asks for it: in handshakes and in the signatures of certificates.

use ring::digest;
use rustls_pki_types::{AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm, alg_id};

use crate::PublicKey;

/// Signatures over SHA-256.
pub static SHA256: &dyn SignatureVerificationAlgorithm =
    &OfCertificates { hash: &digest::SHA256, signature: alg_id::ECDSA_SHA256 };
/// Signatures over SHA-384.
pub static SHA384: &dyn SignatureVerificationAlgorithm =
    &OfCertificates { hash: &digest::SHA384, signature: alg_id::ECDSA_SHA384 };
/// Signatures over SHA-512, as TLS 1.3 has them.
pub static SHA512: &dyn SignatureVerificationAlgorithm =
    &OfCertificates { hash: &digest::SHA512, signature: alg_id::ECDSA_SHA512 };

#[derive(Debug)]
struct OfCertificates {
    hash: &'static digest::Algorithm,
    signature: AlgorithmIdentifier,
}

impl SignatureVerificationAlgorithm for OfCertificates {
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        let signed = PublicKey::from_point(public_key)
            .is_some_and(|key| key.has_signed_der(self.hash, message, signature));
        if signed { Ok(()) } else { Err(InvalidSignature) }
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::ECDSA_P521
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.signature
    }
}
