//! Whether a certificate and a key belong together, in the words of Go's TLS.

use x509_parser::certificate::X509Certificate;
use x509_parser::public_key::PublicKey;

use crate::pem::Blocks;

const UNMATCHED: &str = "tls: private key does not match public key";
const OTHER_TYPE: &str = "tls: private key type does not match public key type";
/// The object identifiers, as DER has them, of RSA, of elliptic curves and of Ed25519.
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const CURVES: [&[u8]; 4] = [
    &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01],
    &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07],
    &[0x2b, 0x81, 0x04, 0x00, 0x22],
    &[0x2b, 0x81, 0x04, 0x00, 0x23],
];
const ED25519: &[u8] = &[0x06, 0x03, 0x2b, 0x65, 0x70];

/// Why a server could not use these two texts of PEM; nothing where they fit, or where it cannot be seen.
pub(super) fn error(certificates: &str, keys: &str) -> Option<String> {
    let mut skipped = Vec::new();
    let mut first = None;
    for block in Blocks::of(certificates) {
        if block.kind != "CERTIFICATE" {
            skipped.push(block.kind);
        } else if first.is_none() {
            first = Some(block);
        }
    }
    let Some(first) = first else {
        return Some(match skipped.as_slice() {
            [] => "tls: failed to find any PEM data in certificate input".to_owned(),
            [kind] if kind.ends_with("PRIVATE KEY") => "tls: failed to find certificate PEM data in certificate input, but did find a private key; PEM inputs may have been switched".to_owned(),
            kinds => format!(
                "tls: failed to find \"CERTIFICATE\" PEM block in certificate input after skipping PEM blocks of the following types: [{}]",
                kinds.join(" ")
            ),
        });
    };
    let mut skipped = Vec::new();
    let key = Blocks::of(keys).find(|block| {
        let is_key = block.kind == "PRIVATE KEY" || block.kind.ends_with(" PRIVATE KEY");
        if !is_key {
            skipped.push(block.kind);
        }
        is_key
    });
    let Some(key) = key else {
        return Some(match skipped.as_slice() {
            [] => "tls: failed to find any PEM data in key input".to_owned(),
            ["CERTIFICATE"] => {
                "tls: found a certificate rather than a key in the PEM for the private key".to_owned()
            }
            kinds => format!(
                "tls: failed to find PEM block with type ending in \"PRIVATE KEY\" in key input after skipping PEM blocks of the following types: [{}]",
                kinds.join(" ")
            ),
        });
    };
    match first.certificate() {
        None => Some("x509: malformed certificate".to_owned()),
        Some(certificate) => unmatched(&certificate, &key.der).map(str::to_owned),
    }
}

/// A key that is written with its public half is found by that: a modulus, or a point on a curve.
fn unmatched(certificate: &X509Certificate<'_>, key: &[u8]) -> Option<&'static str> {
    let has = |part: &[u8]| !part.is_empty() && key.windows(part.len()).any(|window| window == part);
    let is_curve = CURVES.iter().any(|curve| has(curve));
    let is_edwards = has(ED25519);
    // The old form of an RSA key begins with its version and its modulus, and names no algorithm.
    let is_rsa = has(RSA) || (!is_curve && !is_edwards && key.len() > 64 && key.first() == Some(&0x30));
    if !is_curve && !is_edwards && !is_rsa {
        return Some("tls: failed to parse private key");
    }
    match certificate.public_key().parsed() {
        Ok(PublicKey::RSA(public)) if is_rsa => {
            let modulus = public.modulus.iter().position(|byte| *byte != 0).unwrap_or(0);
            (!has(&public.modulus[modulus..])).then_some(UNMATCHED)
        }
        Ok(PublicKey::EC(public)) if is_curve => {
            let point = public.data();
            // A key may be written without its point.
            let shows_some = key.len() > point.len() + point.len() / 2;
            (shows_some && !has(point)).then_some(UNMATCHED)
        }
        Ok(PublicKey::RSA(_) | PublicKey::EC(_)) => Some(OTHER_TYPE),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P384_SHA384, PKCS_ED25519};

    /// A certificate of an RSA key of 1024 bits.
    const OF_RSA: &str = "\
-----BEGIN CERTIFICATE-----\n\
MIIB9DCCAV2gAwIBAgIUZx+mOdKkeUiEceQc9L26KjCkxgAwDQYJKoZIhvcNAQEL\n\
BQAwDDEKMAgGA1UEAwwBYTAeFw0yNjExMjIxNjA5MTRaFw0yNjExMjMxNjA5MTRa\n\
MAwxCjAIBgNVBAMMAWEwgZ8wDQYJKoZIhvcNAQEBBQADgY0AMIGJAoGBAJhCZFl+\n\
qpTg07I12QtDLdgrraK0zCO74+WW6FfBGuzD/dP2qwjmRv8nR5Q56ya2eHsjWmXd\n\
LTUlISHuBfAB7WL/JmhftMsc8ouYjhYBF/iuYdHVglbF5ivTdsVlnH5L015HmL+e\n\
UiLSFP8ZrNz0y2gk2eYSwklK5GsLQykT1+cpAgMBAAGjUzBRMB0GA1UdDgQWBBQQ\n\
tjj9/sBQ1tlG6UlYHgM6P4fkCDAfBgNVHSMEGDAWgBQQtjj9/sBQ1tlG6UlYHgM6\n\
P4fkCDAPBgNVHRMBAf8EBTADAQH/MA0GCSqGSIb3DQEBCwUAA4GBAGqRLULRkRjA\n\
cim6xRMZW7A22ffG+dGp/oxKDUUNlMoP5TF2NGJnD9JVtWORtNgohUTNrt1jfClQ\n\
o/5rrXEZx1P4j1GCHXK6CHvKngfVDn+7KvB8YvE2nTI0tMF08ogVA483JPrfEP1G\n\
Dve2px5CZXJ8I7Ugzga6VlLSAQB9sri3\n\
-----END CERTIFICATE-----\n\
";

    #[test]
    fn keys_of_rsa_are_known_by_their_modulus() {
        let block = Blocks::of(OF_RSA).next().unwrap();
        let certificate = block.certificate().unwrap();
        let Ok(PublicKey::RSA(public)) = certificate.public_key().parsed() else { panic!("no RSA") };
        let modulus = public.modulus;
        let mut other = modulus.to_vec();
        other[9] ^= 1;
        let (begin, old) = (&[0x30, 0x82, 0x02, 0x5d, 0x02, 0x01, 0x00][..], [0x02, 0x81, 0x81]);
        let named = [begin, &[0x30, 0x0d, 0x06, 0x09], RSA, &old].concat();
        let point = [begin, CURVES[0]].concat();
        for (key, told) in [
            ([begin, &old, modulus].concat(), None),
            ([&named, modulus].concat(), None),
            ([begin, &old, &other].concat(), Some(UNMATCHED)),
            ([&named[..], &other].concat(), Some(UNMATCHED)),
            (point, Some(OTHER_TYPE)),
        ] {
            assert_eq!(unmatched(&certificate, &key), told);
        }
    }

    fn certificate(key: &KeyPair) -> String {
        CertificateParams::new(vec!["a".to_owned()]).unwrap().self_signed(key).unwrap().pem()
    }

    #[test]
    fn what_does_not_fit_is_told() {
        let (own, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let longer = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
        let edwards = KeyPair::generate_for(&PKCS_ED25519).unwrap();
        let signed = certificate(&own);
        let key = own.serialize_pem();
        let broken = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
        for (certificates, keys, told) in [
            (signed.clone(), key.clone(), None),
            (certificate(&longer), longer.serialize_pem(), None),
            (certificate(&edwards), edwards.serialize_pem(), None),
            (format!("{signed}{broken}"), format!("{signed}{key}"), None),
            (signed.clone(), other.serialize_pem(), Some(UNMATCHED)),
            (signed.clone(), edwards.serialize_pem(), Some(OTHER_TYPE)),
            (String::new(), key.clone(), Some("tls: failed to find any PEM data in certificate input")),
            (signed.clone(), "x".to_owned(), Some("tls: failed to find any PEM data in key input")),
            (
                key.clone(),
                signed.clone(),
                Some(
                    "tls: failed to find certificate PEM data in certificate input, but did find a private key; PEM inputs may have been switched",
                ),
            ),
            (
                signed.clone(),
                signed.clone(),
                Some("tls: found a certificate rather than a key in the PEM for the private key"),
            ),
            (
                format!("{key}{key}"),
                key.clone(),
                Some(
                    "tls: failed to find \"CERTIFICATE\" PEM block in certificate input after skipping PEM blocks of the following types: [PRIVATE KEY PRIVATE KEY]",
                ),
            ),
            (broken.to_owned(), key.clone(), Some("x509: malformed certificate")),
            (
                signed.clone(),
                "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n".to_owned(),
                Some("tls: failed to parse private key"),
            ),
        ] {
            assert_eq!(error(&certificates, &keys).as_deref(), told, "{certificates}{keys}");
        }
    }
}
