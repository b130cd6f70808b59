//! Decoders of bytes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{outcome, said};

/// Objects of several kinds as clients send them.
pub fn bodies() -> Vec<Vec<u8>> {
    super::objects::texts().iter().filter_map(|json| wire::encode(json).ok()).collect()
}

pub fn protobuf(input: &[u8]) -> u64 {
    let read = wire::decode(input);
    if let Ok(object) = &read {
        // What was read can be written, and is then read as it was.
        let text = object.to_string();
        if let Ok(written) = wire::encode(text.as_bytes()) {
            let _ = wire::decode(&written).expect("what was written is read");
        }
        return said(object["kind"].as_str().unwrap_or_default());
    }
    outcome(read)
}

pub fn protobuf_writing(input: &[u8]) -> u64 {
    let written = wire::encode(input);
    if let Ok(body) = &written {
        let _ = wire::decode(body);
    }
    outcome(written)
}

/// A certificate, a request for one and keys, as DER.
pub fn certificates() -> Vec<Vec<u8>> {
    let mut seeds =
        vec![vec![0x30, 0x82, 0x01, 0x00, 0x02, 0x01, 0x05], vec![0x30, 0x80, 0x06, 0x03, 0x55, 0x04, 0x03]];
    let der = |pem: &str| {
        let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
        STANDARD.decode(body).ok()
    };
    let now = jiff::Timestamp::UNIX_EPOCH;
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

pub fn der(input: &[u8]) -> u64 {
    let pem =
        |label: &str| format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(input));
    let certificate = pem("CERTIFICATE");
    drop(pki::certificates_of(&certificate));
    drop(pki::Described::of_pem(&certificate));
    drop(authn::ClientAuthority::from_pem(certificate.as_bytes()));
    let mut results = outcome(pki::Request::from_pem(&pem("CERTIFICATE REQUEST")));
    for label in ["PUBLIC KEY", "RSA PUBLIC KEY", "CERTIFICATE"] {
        results = results.rotate_left(1) ^ outcome(authn::VerificationKey::from_pem(&pem(label)));
    }
    for label in ["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY"] {
        results = results.rotate_left(1) ^ outcome(authn::SigningKey::from_pem(&pem(label)));
    }
    results
}
