//! What a request for a certificate holds (PKCS #10), and that who asks has the key: it has signed the request.

use ring::signature::{self, UnparsedPublicKey, VerificationAlgorithm};
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::FromDer;
use x509_parser::signature_algorithm::SignatureAlgorithm;
use x509_parser::x509::AlgorithmIdentifier;

use crate::pem::Blocks;
use crate::pod_certificate_request::key::Key;

const SHA1_RSA: &str = "1.2.840.113549.1.1.5";
const SHA256_RSA: &str = "1.2.840.113549.1.1.11";
const SHA384_RSA: &str = "1.2.840.113549.1.1.12";
const SHA512_RSA: &str = "1.2.840.113549.1.1.13";
const PSS: &str = "1.2.840.113549.1.1.10";
const ECDSA_SHA256: &str = "1.2.840.10045.4.3.2";
const ECDSA_SHA384: &str = "1.2.840.10045.4.3.3";
const ED25519: &str = "1.3.101.112";
const SHA256: &str = "2.16.840.1.101.3.4.2.1";
const SHA384: &str = "2.16.840.1.101.3.4.2.2";
const SHA512: &str = "2.16.840.1.101.3.4.2.3";

const UNIMPLEMENTED: &str = "x509: cannot verify signature: algorithm unimplemented";

/// Says what is wrong with a request in PEM, in the words of Go's `crypto/x509` where it has some.
pub fn check(pem: &str) -> Result<(), &'static str> {
    let block = Blocks::of(pem).next().filter(|block| block.kind == "CERTIFICATE REQUEST");
    let block = block.ok_or("PEM block type must be CERTIFICATE REQUEST")?;
    match X509CertificationRequest::from_der(&block.der) {
        Ok(([], request)) => check_signature(&request),
        Ok(_) => Err("asn1: syntax error: trailing data"),
        Err(_) => Err("x509: malformed certificate request"),
    }
}

/// The key that a request in DER is about, and what is wrong with its signature; nothing where it is no request.
pub(crate) fn key_of(der: &[u8]) -> Option<(Key, Result<(), &'static str>)> {
    let Ok(([], request)) = X509CertificationRequest::from_der(der) else { return None };
    let key = Key::of(&request.certification_request_info.subject_pki)?;
    Some((key, check_signature(&request)))
}

fn check_signature(request: &X509CertificationRequest<'_>) -> Result<(), &'static str> {
    let info = &request.certification_request_info;
    let message = info.raw;
    let signed = &request.signature_value.data;
    let key = Key::of(&info.subject_pki).ok_or("x509: malformed certificate request")?;
    let id = request.signature_algorithm.algorithm.to_id_string();
    let bits = &info.subject_pki.subject_public_key.data;
    let curve = curve(&info.subject_pki.algorithm);
    match ecdsa_p521::pairs::has_signed(&curve, &id, bits, message, signed) {
        Some(true) => return Ok(()),
        Some(false) => return Err("x509: ECDSA verification failure"),
        None => {}
    }
    let (algorithm, failure): (&'static dyn VerificationAlgorithm, _) = match (&key, id.as_str()) {
        (Key::Rsa(..), PSS) => (pss(&request.signature_algorithm)?, "crypto/rsa: verification error"),
        (Key::Rsa(..), id) => (rsa(id)?, "crypto/rsa: verification error"),
        (Key::P256(_) | Key::P384(_), id) => (ecdsa(&key, id)?, "x509: ECDSA verification failure"),
        (Key::Ed25519(_), ED25519) => (&signature::ED25519, "x509: Ed25519 verification failure"),
        _ => return Err(UNIMPLEMENTED),
    };
    UnparsedPublicKey::new(algorithm, bits).verify(message, signed).map_err(|_| failure)
}

/// The curve that a key names; empty where it names none.
fn curve(algorithm: &AlgorithmIdentifier<'_>) -> String {
    let named = algorithm.parameters.as_ref().and_then(|parameters| parameters.as_oid().ok());
    named.map(|oid| oid.to_id_string()).unwrap_or_default()
}

fn rsa(id: &str) -> Result<&'static dyn VerificationAlgorithm, &'static str> {
    Ok(match id {
        SHA1_RSA => &signature::RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY,
        SHA256_RSA => &signature::RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY,
        SHA384_RSA => &signature::RSA_PKCS1_2048_8192_SHA384,
        SHA512_RSA => &signature::RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY,
        _ => return Err(UNIMPLEMENTED),
    })
}

fn pss(algorithm: &AlgorithmIdentifier<'_>) -> Result<&'static dyn VerificationAlgorithm, &'static str> {
    let Ok(SignatureAlgorithm::RSASSA_PSS(parameters)) = SignatureAlgorithm::try_from(algorithm) else {
        return Err(UNIMPLEMENTED);
    };
    Ok(match parameters.hash_algorithm_oid().to_id_string().as_str() {
        SHA256 => &signature::RSA_PSS_2048_8192_SHA256,
        SHA384 => &signature::RSA_PSS_2048_8192_SHA384,
        SHA512 => &signature::RSA_PSS_2048_8192_SHA512,
        _ => return Err(UNIMPLEMENTED),
    })
}

fn ecdsa(key: &Key, id: &str) -> Result<&'static dyn VerificationAlgorithm, &'static str> {
    Ok(match (key, id) {
        (Key::P256(_), ECDSA_SHA256) => &signature::ECDSA_P256_SHA256_ASN1,
        (Key::P256(_), ECDSA_SHA384) => &signature::ECDSA_P256_SHA384_ASN1,
        (Key::P384(_), ECDSA_SHA256) => &signature::ECDSA_P384_SHA256_ASN1,
        (Key::P384(_), ECDSA_SHA384) => &signature::ECDSA_P384_SHA384_ASN1,
        _ => return Err(UNIMPLEMENTED),
    })
}

#[cfg(test)]
pub(crate) mod tests;
