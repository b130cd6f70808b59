//! Keys that sign and verify service-account tokens: RS256, ES256, ES384 and ES512, from PEM, with upstream's key ids.

use std::fmt;

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use ring::digest;
use ring::rand::SystemRandom;
use ring::signature::{
    self, EcdsaKeyPair, EcdsaSigningAlgorithm, KeyPair as _, RsaKeyPair, UnparsedPublicKey,
};
use rustls_pki_types::pem::{PemObject as _, SectionKind};

use crate::der;

/// Why a key file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The text is no PEM.
    #[error("not PEM: {0}")]
    Pem(String),
    /// There is no private key in the file.
    #[error("data does not contain a valid RSA or ECDSA private key")]
    NoPrivateKey,
    /// There is no key in the file.
    #[error("data does not contain any valid RSA or ECDSA public keys")]
    NoPublicKey,
    /// The key is of a kind that is not used for tokens (RSA of 2048 bits or more, ECDSA P-256, P-384 or P-521).
    #[error("unsupported key: {0}")]
    Unsupported(String),
}

/// The signature algorithms of tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
    /// ECDSA on P-521 with SHA-512.
    Es512,
}

impl Algorithm {
    /// The name in a token's header.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::Es512 => "ES512",
        }
    }
}

/// A public key that tokens are checked against.
#[derive(Clone, PartialEq, Eq)]
pub struct VerificationKey {
    algorithm: Algorithm,
    /// PKCS#1 RSAPublicKey, or the uncompressed point.
    key: Vec<u8>,
    id: String,
}

impl fmt::Debug for VerificationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} key {}", self.algorithm.name(), self.id)
    }
}

impl VerificationKey {
    fn new(algorithm: Algorithm, key: &[u8]) -> Self {
        let spki = match algorithm {
            Algorithm::Rs256 => der::rsa_spki(key),
            Algorithm::Es256 => der::p256_spki(key),
            Algorithm::Es384 => der::p384_spki(key),
            Algorithm::Es512 => der::p521_spki(key),
        };
        let id = BASE64_URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, &spki));
        Self { algorithm, key: key.to_vec(), id }
    }

    fn from_spki(spki: &[u8]) -> Option<Self> {
        Some(match der::read_spki(spki)? {
            der::PublicKey::Rsa(key) => Self::new(Algorithm::Rs256, key),
            der::PublicKey::P256(point) => Self::new(Algorithm::Es256, point),
            der::PublicKey::P384(point) => Self::new(Algorithm::Es384, point),
            der::PublicKey::P521(point) => Self::new(Algorithm::Es512, point),
        })
    }

    /// The key id: base64url of the SHA-256 of the DER SubjectPublicKeyInfo.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Which signatures it checks.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    pub(crate) fn verify(&self, message: &[u8], mac: &[u8]) -> bool {
        let algorithm: &dyn signature::VerificationAlgorithm = match self.algorithm {
            Algorithm::Rs256 => &signature::RSA_PKCS1_2048_8192_SHA256,
            Algorithm::Es256 => &signature::ECDSA_P256_SHA256_FIXED,
            Algorithm::Es384 => &signature::ECDSA_P384_SHA384_FIXED,
            Algorithm::Es512 => {
                return ecdsa_p521::PublicKey::from_point(&self.key)
                    .is_some_and(|key| key.has_signed(&digest::SHA512, message, mac));
            }
        };
        UnparsedPublicKey::new(algorithm, &self.key).verify(message, mac).is_ok()
    }

    /// RSA modulus and exponent, as magnitudes.
    pub(crate) fn rsa_parts(&self) -> Option<(&[u8], &[u8])> {
        let (body, _) = der::tagged(&self.key, der::SEQUENCE)?;
        let (modulus, rest) = der::unsigned(body)?;
        let (exponent, _) = der::unsigned(rest)?;
        Some((modulus, exponent))
    }

    /// Coordinates of the point.
    pub(crate) fn point(&self) -> Option<(&[u8], &[u8])> {
        match self.key.as_slice() {
            [4, coordinates @ ..] if matches!(coordinates.len(), 64 | 96 | 132) => {
                Some(coordinates.split_at(coordinates.len() / 2))
            }
            _ => None,
        }
    }

    /// Reads every key of a PEM file: public keys, certificates, or private keys (their public half).
    pub fn from_pem(pem: &str) -> Result<Vec<Self>, KeyError> {
        let mut keys = Vec::new();
        for (kind, der) in sections(pem)? {
            let key = match kind {
                SectionKind::PublicKey => Self::from_spki(&der),
                SectionKind::Certificate => {
                    x509_parser::parse_x509_certificate(&der).ok().and_then(|(_, certificate)| {
                        Self::from_spki(certificate.tbs_certificate.subject_pki.raw)
                    })
                }
                SectionKind::RsaPrivateKey | SectionKind::PrivateKey | SectionKind::EcPrivateKey => {
                    SigningKey::from_der(kind, &der).ok().map(|key| key.public)
                }
                _ => None,
            };
            keys.extend(key);
        }
        if keys.is_empty() { Err(KeyError::NoPublicKey) } else { Ok(keys) }
    }
}

type Section = (SectionKind, Vec<u8>);

fn sections(pem: &str) -> Result<Vec<Section>, KeyError> {
    Section::pem_slice_iter(pem.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|error| KeyError::Pem(error.to_string()))
}

enum Pair {
    Rsa(Box<RsaKeyPair>),
    Ec(Algorithm, Box<EcdsaKeyPair>),
    P521(Box<ecdsa_p521::SecretKey>),
}

/// The curves of keys that sign.
const CURVES: [(Algorithm, &EcdsaSigningAlgorithm); 2] = [
    (Algorithm::Es256, &signature::ECDSA_P256_SHA256_FIXED_SIGNING),
    (Algorithm::Es384, &signature::ECDSA_P384_SHA384_FIXED_SIGNING),
];

impl Pair {
    /// The pair on the first curve that the key fits.
    fn of_curve(read: impl Fn(&'static EcdsaSigningAlgorithm) -> Option<EcdsaKeyPair>) -> Option<Self> {
        CURVES.iter().find_map(|(algorithm, curve)| Some(Self::Ec(*algorithm, Box::new(read(curve)?))))
    }

    /// The pair on P-521 of a SEC1 ECPrivateKey.
    fn of_p521(sec1: &[u8]) -> Option<Self> {
        let key = ecdsa_p521::SecretKey::from_scalar(der::p521_scalar(sec1)?)?;
        Some(Self::P521(Box::new(key)))
    }
}

/// A private key that signs tokens.
pub struct SigningKey {
    pair: Pair,
    public: VerificationKey,
    random: SystemRandom,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "signing {:?}", self.public)
    }
}

impl SigningKey {
    /// Reads the first private key of a PEM file: PKCS#8, PKCS#1 or SEC1.
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        for (kind, der) in sections(pem)? {
            if matches!(
                kind,
                SectionKind::RsaPrivateKey | SectionKind::PrivateKey | SectionKind::EcPrivateKey
            ) {
                return Self::from_der(kind, &der);
            }
        }
        Err(KeyError::NoPrivateKey)
    }

    fn from_der(kind: SectionKind, der: &[u8]) -> Result<Self, KeyError> {
        let random = SystemRandom::new();
        let unsupported = |error: ring::error::KeyRejected| KeyError::Unsupported(error.to_string());
        let pair = match kind {
            SectionKind::RsaPrivateKey => {
                Pair::Rsa(Box::new(RsaKeyPair::from_der(der).map_err(unsupported)?))
            }
            SectionKind::EcPrivateKey => {
                if let Some(pair) = Pair::of_p521(der) {
                    pair
                } else {
                    let (scalar, point) = der::read_sec1(der).ok_or(KeyError::NoPrivateKey)?;
                    let pair = Pair::of_curve(|curve| {
                        EcdsaKeyPair::from_private_key_and_public_key(curve, scalar, point, &random).ok()
                    });
                    pair.ok_or_else(|| KeyError::Unsupported("not of P-256, P-384 or P-521".to_owned()))?
                }
            }
            SectionKind::PrivateKey => match RsaKeyPair::from_pkcs8(der) {
                Ok(pair) => Pair::Rsa(Box::new(pair)),
                Err(not_rsa) => Pair::of_curve(|curve| EcdsaKeyPair::from_pkcs8(curve, der, &random).ok())
                    .or_else(|| Pair::of_p521(der::read_pkcs8_p521(der)?))
                    .ok_or_else(|| unsupported(not_rsa))?,
            },
            _ => return Err(KeyError::NoPrivateKey),
        };
        let public = match &pair {
            Pair::Rsa(pair) => VerificationKey::new(Algorithm::Rs256, pair.public().as_ref()),
            Pair::Ec(algorithm, pair) => VerificationKey::new(*algorithm, pair.public_key().as_ref()),
            Pair::P521(key) => VerificationKey::new(Algorithm::Es512, &key.point()),
        };
        Ok(Self { pair, public, random })
    }

    /// The public half.
    pub fn verification_key(&self) -> &VerificationKey {
        &self.public
    }

    /// Signs; `None` only when the system has no randomness.
    pub(crate) fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        match &self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(&signature::RSA_PKCS1_SHA256, &self.random, message, &mut signature).ok()?;
                Some(signature)
            }
            Pair::Ec(_, pair) => Some(pair.sign(&self.random, message).ok()?.as_ref().to_vec()),
            Pair::P521(key) => key.sign(message),
        }
    }
}
