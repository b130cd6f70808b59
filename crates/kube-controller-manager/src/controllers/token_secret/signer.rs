//! Tokens of service accounts that never end, signed with the cluster's key.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use controller_runtime::context::Context;
use ring::error::Unspecified;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// SEQUENCE { rsaEncryption, NULL }
const RSA: &[u8] =
    &[0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];
/// SEQUENCE { id-ecPublicKey, prime256v1 }
const P256: &[u8] = &[
    0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07,
];

/// The cluster's key, and the authority's certificates that go into each secret with the token.
pub struct Signer {
    key: Key,
    /// The id of the public key: what the API server finds it by.
    key_id: String,
    /// The certificates of `--root-ca-file`.
    pub authority: Option<Vec<u8>>,
}

enum Key {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
}

impl Key {
    /// Reads PKCS#8 of either kind, or PKCS#1.
    fn read(der: &[u8]) -> Option<Key> {
        let rsa = RsaKeyPair::from_pkcs8(der).or_else(|_| RsaKeyPair::from_der(der));
        if let Ok(rsa) = rsa {
            return Some(Key::Rsa(rsa));
        }
        let p256 = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der, &SystemRandom::new());
        p256.ok().map(Key::P256)
    }

    fn algorithm(&self) -> &'static str {
        match self {
            Key::Rsa(_) => "RS256",
            Key::P256(_) => "ES256",
        }
    }

    /// The base64url of the SHA-256 of the public key in its SubjectPublicKeyInfo form, as upstream names keys.
    fn id(&self) -> String {
        let (algorithm, public) = match self {
            Key::Rsa(key) => (RSA, key.public().as_ref()),
            Key::P256(key) => (P256, key.public_key().as_ref()),
        };
        let mut bits = vec![0x03];
        bits.extend(der_length(public.len() + 1));
        bits.push(0);
        bits.extend(public);
        let mut info = vec![0x30];
        info.extend(der_length(algorithm.len() + bits.len()));
        info.extend(algorithm);
        info.extend(bits);
        URL_SAFE_NO_PAD.encode(Sha256::digest(&info))
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Unspecified> {
        let random = SystemRandom::new();
        match self {
            Key::Rsa(key) => {
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)?;
                Ok(signature)
            }
            Key::P256(key) => Ok(key.sign(&random, message)?.as_ref().to_vec()),
        }
    }
}

fn der_length(length: usize) -> Vec<u8> {
    if length < 128 {
        return vec![length as u8];
    }
    let bytes: Vec<u8> = length.to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect();
    let mut encoded = vec![0x80 | bytes.len() as u8];
    encoded.extend(bytes);
    encoded
}

impl Signer {
    /// Loads the key of `--service-account-private-key-file`; without one nothing is signed.
    pub fn load(context: &Context) -> Option<Signer> {
        let path = context.options.service_account_private_key_file.as_deref()?;
        let authority = context.options.root_ca_file.as_deref().and_then(|path| std::fs::read(path).ok());
        let key = pki::read_key(path).ok().and_then(|key| Key::read(key.secret_der()));
        let Some(key) = key else {
            tracing::error!(path = %path.display(), "no RSA or P-256 key: tokens are not written into secrets");
            return None;
        };
        Some(Signer { key_id: key.id(), key, authority })
    }

    /// Makes the token of an account that goes into a secret.
    pub fn sign(
        &self,
        namespace: &str,
        account: &str,
        uid: &str,
        secret: &str,
    ) -> Result<String, Unspecified> {
        let header = json!({"alg": self.key.algorithm(), "kid": self.key_id});
        let claims = json!({
            "iss": "kubernetes/serviceaccount",
            "kubernetes.io/serviceaccount/namespace": namespace,
            "kubernetes.io/serviceaccount/secret.name": secret,
            "kubernetes.io/serviceaccount/service-account.name": account,
            "kubernetes.io/serviceaccount/service-account.uid": uid,
            "sub": format!("system:serviceaccount:{namespace}:{account}"),
        });
        let encode = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
        let message = format!("{}.{}", encode(&header), encode(&claims));
        let signature = self.key.sign(message.as_bytes())?;
        Ok(format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}
