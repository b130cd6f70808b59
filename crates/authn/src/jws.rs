//! JSON Web Signatures in compact form (RFC 7515), for tokens of one payload and one signature.

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use serde::Deserialize;

use crate::keys::{SigningKey, VerificationKey};

/// Signs a payload.
pub(crate) fn sign(key: &SigningKey, payload: &[u8]) -> Option<String> {
    let public = key.verification_key();
    let header = format!(r#"{{"alg":"{}","kid":"{}"}}"#, public.algorithm().name(), public.id());
    let mut token = String::with_capacity((header.len() + payload.len()) * 4 / 3 + 360);
    BASE64_URL_SAFE_NO_PAD.encode_string(header, &mut token);
    token.push('.');
    BASE64_URL_SAFE_NO_PAD.encode_string(payload, &mut token);
    let signature = key.sign(token.as_bytes())?;
    token.push('.');
    BASE64_URL_SAFE_NO_PAD.encode_string(signature, &mut token);
    Some(token)
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    kid: String,
    /// Extensions that must be understood; none is, so a token that has any is refused (RFC 7515, 4.1.11).
    #[serde(default)]
    crit: Vec<String>,
}

/// A token taken apart, its signature not yet checked.
pub(crate) struct Unverified<'a> {
    header: Header,
    signed: &'a str,
    signature: Vec<u8>,
    /// The payload: not to be believed before [`Unverified::verify`], but the issuer must be read to choose a key.
    pub payload: Vec<u8>,
}

impl<'a> Unverified<'a> {
    /// Takes a token apart; `None` when it is no compact JWS.
    pub fn parse(token: &'a str) -> Option<Self> {
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, payload) = signed.split_once('.')?;
        let header: Header = serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(header).ok()?).ok()?;
        Some(Self {
            header,
            signed,
            signature: BASE64_URL_SAFE_NO_PAD.decode(signature).ok()?,
            payload: BASE64_URL_SAFE_NO_PAD.decode(payload).ok()?,
        })
    }

    /// The header's `alg`.
    pub fn algorithm(&self) -> &str {
        &self.header.alg
    }

    /// The header's `kid`, or empty.
    pub fn key_id(&self) -> &str {
        &self.header.kid
    }

    /// Whether the header has extensions that would have to be understood.
    pub fn is_critical(&self) -> bool {
        !self.header.crit.is_empty()
    }

    /// What is signed.
    pub fn signed(&self) -> &'a str {
        self.signed
    }

    /// The signature.
    pub fn signature(&self) -> &[u8] {
        &self.signature
    }

    /// Whether one of the keys made the signature: those of the token's key id, or all when none has it.
    pub fn verify(&self, keys: &[VerificationKey]) -> bool {
        let matches = |key: &&VerificationKey| {
            key.algorithm().name() == self.header.alg && key.verify(self.signed.as_bytes(), &self.signature)
        };
        if self.is_critical() {
            return false;
        }
        let named = keys.iter().any(|key| key.id() == self.header.kid);
        keys.iter().filter(|key| !named || key.id() == self.header.kid).any(|key| matches(&key))
    }
}
