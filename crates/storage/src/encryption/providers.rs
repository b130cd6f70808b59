//! The providers of one rule: the first writes, every one reads what it wrote.

use std::{borrow::Cow, fmt::Display, sync::Arc};

use super::{Opened, ciphers::Cipher, kms::Kms};

/// What every encrypted value begins with.
const ENCRYPTED: &[u8] = b"k8s:enc:";

/// A key, and what the values that it wrote begin with: `k8s:enc:aescbc:v1:key1:`.
#[derive(Clone)]
pub(super) struct Key {
    prefix: Box<[u8]>,
    cipher: Cipher,
    secret: Box<[u8]>,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key").field("prefix", &String::from_utf8_lossy(&self.prefix)).finish_non_exhaustive()
    }
}

impl Key {
    pub(super) fn new(cipher: Cipher, name: &str, secret: Vec<u8>) -> Self {
        let prefix = format!("k8s:enc:{}:v1:{name}:", cipher.name());
        Self { prefix: prefix.into_bytes().into(), cipher, secret: secret.into() }
    }
}

/// One who writes and reads values.
#[derive(Debug, Clone)]
pub(super) enum Writer {
    /// Values as they are.
    Identity,
    /// Values encrypted by a key.
    Key(Key),
    /// Values encrypted by keys that a service keeps.
    Kms(Arc<Kms>),
}

/// Those who read a resource's values, in order; the first writes. A provider with several keys is several of them.
#[derive(Debug, Clone)]
pub(super) struct Providers(pub(super) Vec<Writer>);

impl Providers {
    pub(super) fn seal<'a>(
        &self,
        context: &dyn Display,
        value: &'a [u8],
    ) -> Result<Cow<'a, [u8]>, &'static str> {
        match self.0.first() {
            None | Some(Writer::Identity) => Ok(Cow::Borrowed(value)),
            Some(Writer::Kms(kms)) => kms.seal(&context.to_string(), value).map(Cow::Owned),
            Some(Writer::Key(key)) => {
                let mut sealed = key.prefix.to_vec();
                key.cipher.seal(&key.secret, &context.to_string(), value, &mut sealed)?;
                Ok(Cow::Owned(sealed))
            }
        }
    }

    pub(super) fn open<'a>(
        &self,
        context: &dyn Display,
        stored: &'a [u8],
    ) -> Result<Opened<'a>, &'static str> {
        if !stored.starts_with(ENCRYPTED) {
            let identity = self.0.iter().position(|writer| matches!(writer, Writer::Identity));
            return match identity {
                Some(position) => Ok(Opened { value: Cow::Borrowed(stored), stale: position != 0 }),
                None => Err("no matching prefix found: no identity provider reads what is not encrypted"),
            };
        }
        let mut refused = match self.0.as_slice() {
            [Writer::Identity] | [] => "identity transformer tried to read encrypted data",
            _ => "no matching key was found for the provided encrypted data",
        };
        for (position, writer) in self.0.iter().enumerate() {
            let key = match writer {
                Writer::Identity => continue,
                Writer::Key(key) => key,
                Writer::Kms(kms) => {
                    let Some(sealed) = stored.strip_prefix(kms.prefix()) else { continue };
                    match kms.open(&context.to_string(), sealed) {
                        Ok(opened) => {
                            return Ok(Opened { stale: opened.stale || position != 0, ..opened });
                        }
                        Err(reason) => refused = reason,
                    }
                    continue;
                }
            };
            let Some(sealed) = stored.strip_prefix(&*key.prefix) else { continue };
            // Two keys of one name may stand beside each other while one replaces the other.
            match key.cipher.open(&key.secret, &context.to_string(), sealed) {
                Ok(value) => return Ok(Opened { value: Cow::Owned(value), stale: position != 0 }),
                Err(reason) => refused = reason,
            }
        }
        Err(refused)
    }
}
