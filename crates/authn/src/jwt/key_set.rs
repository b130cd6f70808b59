//! An issuer's public keys (RFC 7517), and whether one of them made a signature.

use std::fmt;

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use ring::digest;
use ring::signature::{
    self, RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm,
};
use serde::Deserialize;

use crate::jws::Unverified;

/// The algorithms that are known here, in upstream's order.
pub(super) const KNOWN: [&str; 9] =
    ["RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512"];
/// No issuer has more keys at a time.
const MOST_KEYS: usize = 256;

/// The keys of an issuer at one time.
pub struct KeySet {
    keys: Vec<Key>,
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.keys.iter().map(|key| &key.id)).finish()
    }
}

/// Why a document is no key set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("oidc: failed to decode keys: {0}")]
pub struct KeySetError(String);

struct Key {
    id: String,
    /// The only algorithm that it is for, where it says one.
    algorithm: String,
    public: Public,
}

enum Public {
    Rsa { modulus: Vec<u8>, exponent: Vec<u8> },
    P256(Vec<u8>),
    P384(Vec<u8>),
    P521(ecdsa_p521::PublicKey),
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    #[serde(default)]
    kid: String,
    #[serde(default)]
    alg: String,
    #[serde(default, rename = "use")]
    usage: String,
    #[serde(default)]
    crv: String,
    #[serde(default)]
    n: String,
    #[serde(default)]
    e: String,
    #[serde(default)]
    x: String,
    #[serde(default)]
    y: String,
}

/// What a look at a signature found.
pub(super) enum Checked {
    Good,
    /// No key has the token's key id, or none fits it: there may be newer ones.
    UnknownKey,
    Bad,
}

impl KeySet {
    /// Reads a key set document. Keys of kinds that are not known here are passed over.
    pub fn read(document: &[u8]) -> Result<Self, KeySetError> {
        let document: Document =
            serde_json::from_slice(document).map_err(|error| KeySetError(error.to_string()))?;
        let keys = document.keys.into_iter().take(MOST_KEYS);
        Ok(Self { keys: keys.filter_map(|key| read(serde_json::from_value(key).ok()?)).collect() })
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there are no keys.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    pub(super) fn verify(&self, token: &Unverified<'_>) -> Checked {
        if token.is_critical() {
            return Checked::Bad;
        }
        let mut named = false;
        for key in &self.keys {
            // A token without a key id may be of any.
            if !token.key_id().is_empty() && key.id != token.key_id() {
                continue;
            }
            named |= !token.key_id().is_empty();
            if key.verify(token) {
                return Checked::Good;
            }
        }
        if named { Checked::Bad } else { Checked::UnknownKey }
    }
}

fn read(jwk: Jwk) -> Option<Key> {
    let bytes = |text: &str| BASE64_URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok();
    if !matches!(jwk.usage.as_str(), "" | "sig") {
        return None;
    }
    let point = |length: usize| -> Option<Vec<u8>> {
        let (x, y) = (bytes(&jwk.x)?, bytes(&jwk.y)?);
        (x.len() == length && y.len() == length).then(|| [&[4], x.as_slice(), &y].concat())
    };
    let public = match (jwk.kty.as_str(), jwk.crv.as_str()) {
        ("RSA", _) => {
            let without_zeros = |bytes: Vec<u8>| bytes.into_iter().skip_while(|byte| *byte == 0).collect();
            Public::Rsa { modulus: without_zeros(bytes(&jwk.n)?), exponent: without_zeros(bytes(&jwk.e)?) }
        }
        ("EC", "P-256") => Public::P256(point(32)?),
        ("EC", "P-384") => Public::P384(point(48)?),
        ("EC", "P-521") => Public::P521(ecdsa_p521::PublicKey::from_point(&point(ecdsa_p521::SIZE)?)?),
        _ => return None,
    };
    Some(Key { id: jwk.kid, algorithm: jwk.alg, public })
}

impl Key {
    fn verify(&self, token: &Unverified<'_>) -> bool {
        let algorithm = token.algorithm();
        if !self.algorithm.is_empty() && self.algorithm != algorithm {
            return false;
        }
        let (message, mac) = (token.signed().as_bytes(), token.signature());
        match &self.public {
            Public::Rsa { modulus, exponent } => {
                let Some(parameters) = rsa(algorithm) else { return false };
                RsaPublicKeyComponents { n: modulus, e: exponent }.verify(parameters, message, mac).is_ok()
            }
            Public::P256(point) if algorithm == "ES256" => {
                ec(&signature::ECDSA_P256_SHA256_FIXED, point, message, mac)
            }
            Public::P384(point) if algorithm == "ES384" => {
                ec(&signature::ECDSA_P384_SHA384_FIXED, point, message, mac)
            }
            Public::P521(key) if algorithm == "ES512" => key.has_signed(&digest::SHA512, message, mac),
            Public::P256(_) | Public::P384(_) | Public::P521(_) => false,
        }
    }
}

fn ec(algorithm: &'static dyn VerificationAlgorithm, point: &[u8], message: &[u8], mac: &[u8]) -> bool {
    UnparsedPublicKey::new(algorithm, point).verify(message, mac).is_ok()
}

fn rsa(algorithm: &str) -> Option<&'static RsaParameters> {
    Some(match algorithm {
        "RS256" => &signature::RSA_PKCS1_2048_8192_SHA256,
        "RS384" => &signature::RSA_PKCS1_2048_8192_SHA384,
        "RS512" => &signature::RSA_PKCS1_2048_8192_SHA512,
        "PS256" => &signature::RSA_PSS_2048_8192_SHA256,
        "PS384" => &signature::RSA_PSS_2048_8192_SHA384,
        "PS512" => &signature::RSA_PSS_2048_8192_SHA512,
        _ => return None,
    })
}
