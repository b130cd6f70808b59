//! A value with the encrypted seed that its key is made of, and how a seed encrypts.

use std::fmt;
use std::sync::Arc;

use prost::Message as _;
use ring::{aead, hkdf};

use crate::kms::EncryptedObject;

const SEED: usize = 32;
/// What a key is made of, beside the seed: new for each value.
const INFO: usize = 32;
const NONCE: usize = 12;

const REFUSED: &str = "the stored data cannot be decrypted by its key";

/// What keys are made of. It is shown to nobody.
#[derive(Clone)]
pub(super) struct Seed(Arc<[u8]>);

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed")
    }
}

struct KeyLength;

impl hkdf::KeyType for KeyLength {
    fn len(&self) -> usize {
        32
    }
}

impl Seed {
    pub(super) fn random() -> Self {
        let bytes: [u8; SEED] = rand::random();
        Self(bytes.as_slice().into())
    }

    pub(super) fn of(bytes: Vec<u8>) -> Option<Self> {
        (bytes.len() >= SEED).then(|| Self(bytes.into()))
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    fn key(&self, info: &[u8]) -> Result<aead::LessSafeKey, &'static str> {
        let mut key = [0; 32];
        hkdf::Prk::new_less_safe(hkdf::HKDF_SHA256, &self.0)
            .expand(&[info], KeyLength)
            .and_then(|okm| okm.fill(&mut key))
            .map_err(|_| REFUSED)?;
        gcm(&key)
    }

    /// Encrypts by a key of its own: what the key is made of, the nonce, the value.
    pub(super) fn seal(&self, context: &str, value: &[u8]) -> Result<Vec<u8>, &'static str> {
        let info: [u8; INFO] = rand::random();
        let nonce: [u8; NONCE] = rand::random();
        let key = self.key(&info)?;
        let mut sealed = Vec::with_capacity(INFO + NONCE + value.len() + 16);
        sealed.extend_from_slice(&info);
        sealed.extend_from_slice(&nonce);
        let start = sealed.len();
        sealed.extend_from_slice(value);
        let nonce = aead::Nonce::assume_unique_for_key(nonce);
        let tag = key
            .seal_in_place_separate_tag(nonce, aead::Aad::from(context), &mut sealed[start..])
            .map_err(|_| REFUSED)?;
        sealed.extend_from_slice(tag.as_ref());
        Ok(sealed)
    }

    pub(super) fn open(&self, context: &str, sealed: &[u8]) -> Result<Vec<u8>, &'static str> {
        let (info, sealed) =
            sealed.split_at_checked(INFO).ok_or("the stored data was shorter than the required size")?;
        open(&self.key(info)?, context, sealed)
    }

    /// Decrypts a value of a server from before there were seeds.
    pub(super) fn open_as_key(&self, context: &str, sealed: &[u8]) -> Result<Vec<u8>, &'static str> {
        open(&gcm(&self.0)?, context, sealed)
    }
}

fn gcm(key: &[u8]) -> Result<aead::LessSafeKey, &'static str> {
    aead::UnboundKey::new(&aead::AES_256_GCM, key).map(aead::LessSafeKey::new).map_err(|_| REFUSED)
}

fn open(key: &aead::LessSafeKey, context: &str, sealed: &[u8]) -> Result<Vec<u8>, &'static str> {
    let (nonce, sealed) =
        sealed.split_at_checked(NONCE).ok_or("the stored data was shorter than the nonce")?;
    let nonce = aead::Nonce::try_assume_unique_for_key(nonce).map_err(|_| REFUSED)?;
    let mut value = sealed.to_vec();
    let length = key.open_in_place(nonce, aead::Aad::from(context), &mut value).map_err(|_| REFUSED)?.len();
    value.truncate(length);
    Ok(value)
}

/// Reads what stands behind the prefix.
pub(super) fn read(sealed: &[u8]) -> Result<EncryptedObject, &'static str> {
    let object = EncryptedObject::decode(sealed).map_err(|_| "the stored data is no encrypted object")?;
    if object.encrypted_data.is_empty() || object.key_id.is_empty() || object.encrypted_dek_source.is_empty()
    {
        return Err("the stored data is no whole encrypted object");
    }
    Ok(object)
}

/// Writes an object behind the prefix.
pub(super) fn write(prefix: &[u8], object: &EncryptedObject) -> Vec<u8> {
    let mut out = Vec::with_capacity(prefix.len() + object.encoded_len());
    out.extend_from_slice(prefix);
    out.extend_from_slice(&object.encode_to_vec());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_open_by_the_seed_under_their_own_key_of_etcd() {
        let seed = Seed::random();
        for length in [0, 1, 1000] {
            let value = vec![b'v'; length];
            let sealed = seed.seal("/registry/secrets/a/b", &value).unwrap();
            assert_eq!(sealed.len(), 32 + 12 + length + 16);
            assert_eq!(seed.open("/registry/secrets/a/b", &sealed).unwrap(), value);
            assert!(seed.open("/registry/secrets/a/c", &sealed).is_err());
            assert!(Seed::random().open("/registry/secrets/a/b", &sealed).is_err());
            for cut in [0, 31, 43, sealed.len() - 1] {
                assert!(seed.open("/registry/secrets/a/b", &sealed[..cut]).is_err());
            }
        }
        assert!(Seed::of(vec![0; 16]).is_none());
    }

    #[test]
    fn keys_are_made_as_rfc_5869_says() {
        // Test case 1 of its appendix: the expansion by which keys are made, from a given pseudorandom key.
        let hex = |text: &str| -> Vec<u8> {
            (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
        };
        let prk = hex("077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5");
        let info = hex("f0f1f2f3f4f5f6f7f8f9");
        let mut key = [0; 32];
        hkdf::Prk::new_less_safe(hkdf::HKDF_SHA256, &prk)
            .expand(&[info.as_slice()], KeyLength)
            .and_then(|okm| okm.fill(&mut key))
            .unwrap();
        assert_eq!(key.as_slice(), hex("3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf"));
    }

    #[test]
    fn objects_have_upstreams_numbers() {
        let object = EncryptedObject {
            encrypted_data: b"d".to_vec(),
            key_id: "k".into(),
            encrypted_dek_source: b"s".to_vec(),
            annotations: [("a.b".to_owned(), b"v".to_vec())].into(),
            encrypted_dek_source_type: 1,
        };
        let bytes = write(b"p:", &object);
        assert_eq!(bytes, b"p:\x0a\x01d\x12\x01k\x1a\x01s\x22\x08\x0a\x03a.b\x12\x01v\x28\x01");
        assert_eq!(read(&bytes[2..]).unwrap(), object);
        assert!(read(b"junk").is_err() && read(b"").is_err());
    }
}
