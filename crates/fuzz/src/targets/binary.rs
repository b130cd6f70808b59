//! Decoders of bytes.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jiff::Timestamp;
use serde_json::json;

use super::text;

/// Objects of several kinds as clients send them.
pub fn bodies() -> Vec<Vec<u8>> {
    super::objects::texts().iter().filter_map(|json| wire::encode(json).ok()).collect()
}

pub fn protobuf(input: &[u8]) -> bool {
    let Ok(object) = wire::decode(input) else { return false };
    // What was read can be written, and is then read as it was.
    if let Ok(written) = wire::encode(object.to_string().as_bytes()) {
        let _ = wire::decode(&written).expect("what was written is read");
    }
    true
}

pub fn protobuf_writing(input: &[u8]) -> bool {
    let Ok(body) = wire::encode(input) else { return false };
    let _ = wire::decode(&body);
    true
}

/// A certificate, a request for one and keys, as DER.
pub fn certificates() -> Vec<Vec<u8>> {
    let mut seeds =
        vec![vec![0x30, 0x82, 0x01, 0x00, 0x02, 0x01, 0x05], vec![0x30, 0x80, 0x06, 0x03, 0x55, 0x04, 0x03]];
    let der = |pem: &str| {
        let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
        STANDARD.decode(body).ok()
    };
    let now = Timestamp::UNIX_EPOCH;
    if let Ok(authority) = pki::Authority::new("kubernetes", 1, now) {
        seeds.extend(der(authority.certificate()));
        if let Ok(issued) = authority.issue(&pki::Leaf::client("jane", &["dev"]), now) {
            seeds.extend(der(&issued.certificate));
            seeds.extend(der(&issued.key));
        }
    }
    if let Ok((private, public)) = pki::signing_key() {
        seeds.extend(der(&private));
        seeds.extend(der(&public));
    }
    seeds
}

pub fn der(input: &[u8]) -> bool {
    let armoured =
        |label: &str| format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(input));
    let mut understood = pki::Request::from_pem(&armoured("CERTIFICATE REQUEST")).is_ok();
    for label in
        ["CERTIFICATE", "PUBLIC KEY", "RSA PUBLIC KEY", "PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY"]
    {
        understood |= pem(armoured(label).as_bytes());
    }
    understood
}

/// The same as they stand in files.
pub fn pems() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    if let Ok(authority) = pki::Authority::new("kubernetes", 1, Timestamp::UNIX_EPOCH) {
        seeds.push(authority.certificate().as_bytes().to_vec());
    }
    if let Ok((private, public)) = pki::signing_key() {
        seeds.extend([private.into_bytes(), public.into_bytes()]);
    }
    seeds
}

pub fn pem(input: &[u8]) -> bool {
    let text = text(input);
    let certificates = pki::certificates_of(&text).is_ok();
    drop(pki::Described::of_pem(&text));
    let authority = authn::ClientAuthority::from_pem(input).is_ok();
    let public = authn::VerificationKey::from_pem(&text).is_ok();
    let private = authn::SigningKey::from_pem(&text).is_ok();
    certificates || authority || public || private
}

pub fn jwts() -> Vec<Vec<u8>> {
    let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let header = part(json!({"alg": "RS256", "kid": "k"}));
    let claims = part(json!({"iss": "i", "sub": "system:serviceaccount:a:b", "exp": 1, "aud": ["x"]}));
    vec![format!("{header}.{claims}.c2ln").into_bytes()]
}

/// A token of a service account: who it stands for is known only when it is checked.
pub fn jwt(input: &[u8]) -> bool {
    struct Nobody;
    impl authn::Lookup for Nobody {
        fn service_account(&self, _: &str, _: &str) -> Option<authn::Referent> {
            None
        }
        fn pod(&self, _: &str, _: &str) -> Option<authn::Referent> {
            None
        }
        fn node(&self, _: &str) -> Option<authn::Referent> {
            None
        }
        fn secret(&self, _: &str, _: &str) -> Option<std::sync::Arc<serde_json::Value>> {
            None
        }
    }
    let verifier = authn::TokenVerifier::new(Vec::new(), vec!["i".to_owned()], std::sync::Arc::new(Nobody));
    let text = text(input);
    let _ = authn::BootstrapToken::parse(&text);
    let verified = verifier.verify(&text, &["x".to_owned()], Timestamp::UNIX_EPOCH);
    // Of this issuer is only what was understood that far.
    matches!(verified, Ok(Some(_)) | Err(authn::TokenError::Signature))
}
