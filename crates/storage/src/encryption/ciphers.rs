//! The ciphers, in the formats that upstream's server writes: nonce first, then what it encrypts.

use aes::cipher::{
    BlockCipherDecrypt, BlockCipherEncrypt, BlockModeDecrypt as _, BlockModeEncrypt as _, KeyInit,
    KeyIvInit as _, StreamCipher as _, block_padding::Pkcs7,
};
use poly1305::Poly1305;
use ring::aead;
use salsa20::XSalsa20;
use subtle::ConstantTimeEq as _;

const BLOCK: usize = 16;
const GCM_NONCE: usize = 12;
const BOX_NONCE: usize = 24;
const TAG: usize = 16;

/// What a key encrypts with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cipher {
    /// AES in CBC mode, padded as PKCS #7 says. It does not tell who wrote a value.
    AesCbc,
    /// AES in GCM mode; a value opens only under the key of etcd that it was written under.
    AesGcm,
    /// XSalsa20 and Poly1305, as NaCl's `secretbox`.
    Secretbox,
}

impl Cipher {
    /// Its name in configurations and at the beginning of values.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::AesCbc => "aescbc",
            Self::AesGcm => "aesgcm",
            Self::Secretbox => "secretbox",
        }
    }

    /// How many bytes its keys may have.
    pub(super) const fn key_lengths(self) -> &'static [usize] {
        match self {
            Self::AesCbc => &[16, 24, 32],
            // Of 24 bytes upstream would take too; ring has no such cipher.
            Self::AesGcm => &[16, 32],
            Self::Secretbox => &[32],
        }
    }

    const fn nonce_length(self) -> usize {
        match self {
            Self::AesCbc => BLOCK,
            Self::AesGcm => GCM_NONCE,
            Self::Secretbox => BOX_NONCE,
        }
    }

    /// Encrypts a value by a nonce that is never used again, behind what `out` has already.
    pub(super) fn seal(
        self,
        secret: &[u8],
        context: &str,
        value: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), &'static str> {
        let mut nonce = [0; BOX_NONCE];
        let nonce = &mut nonce[..self.nonce_length()];
        rand::fill(nonce);
        self.seal_by(nonce, secret, context, value, out)
    }

    /// Encrypts a value by a nonce of this cipher's length.
    pub(super) fn seal_by(
        self,
        nonce: &[u8],
        secret: &[u8],
        context: &str,
        value: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), &'static str> {
        out.reserve(nonce.len() + value.len() + BLOCK.max(TAG));
        out.extend_from_slice(nonce);
        match self {
            Self::AesCbc => {
                let sealed = match secret.len() {
                    16 => cbc_seal::<aes::Aes128>(secret, nonce, value),
                    24 => cbc_seal::<aes::Aes192>(secret, nonce, value),
                    _ => cbc_seal::<aes::Aes256>(secret, nonce, value),
                };
                out.extend_from_slice(&sealed.ok_or(BAD_KEY)?);
            }
            Self::AesGcm => {
                let start = out.len();
                out.extend_from_slice(value);
                let tag = gcm_key(secret)?
                    .seal_in_place_separate_tag(
                        gcm_nonce(nonce)?,
                        aead::Aad::from(context),
                        &mut out[start..],
                    )
                    .map_err(|_| BAD_KEY)?;
                out.extend_from_slice(tag.as_ref());
            }
            Self::Secretbox => {
                let (mut stream, authenticator) = secretbox(secret, nonce)?;
                let start = out.len() + TAG;
                out.extend_from_slice(&[0; TAG]);
                out.extend_from_slice(value);
                stream.apply_keystream(&mut out[start..]);
                let tag = authenticator.compute_unpadded(&out[start..]);
                out[start - TAG..start].copy_from_slice(&tag);
            }
        }
        Ok(())
    }

    /// Decrypts what [`Cipher::seal`] made.
    pub(super) fn open(self, secret: &[u8], context: &str, sealed: &[u8]) -> Result<Vec<u8>, &'static str> {
        let (nonce, sealed) = sealed
            .split_at_checked(self.nonce_length())
            .ok_or("the stored data was shorter than the nonce")?;
        match self {
            Self::AesCbc => match secret.len() {
                16 => cbc_open::<aes::Aes128>(secret, nonce, sealed),
                24 => cbc_open::<aes::Aes192>(secret, nonce, sealed),
                _ => cbc_open::<aes::Aes256>(secret, nonce, sealed),
            },
            Self::AesGcm => {
                let mut value = sealed.to_vec();
                let length = gcm_key(secret)?
                    .open_in_place(gcm_nonce(nonce)?, aead::Aad::from(context), &mut value)
                    .map_err(|_| REFUSED)?
                    .len();
                value.truncate(length);
                Ok(value)
            }
            Self::Secretbox => {
                let (tag, sealed) = sealed.split_at_checked(TAG).ok_or(REFUSED)?;
                let (mut stream, authenticator) = secretbox(secret, nonce)?;
                if !bool::from(authenticator.compute_unpadded(sealed).as_slice().ct_eq(tag)) {
                    return Err(REFUSED);
                }
                let mut value = sealed.to_vec();
                stream.apply_keystream(&mut value);
                Ok(value)
            }
        }
    }
}

const BAD_KEY: &str = "the key has a length that its cipher does not have";
const REFUSED: &str = "the stored data cannot be decrypted by this key";

fn cbc_seal<C: BlockCipherEncrypt + KeyInit>(secret: &[u8], nonce: &[u8], value: &[u8]) -> Option<Vec<u8>> {
    let mode = cbc::Encryptor::<C>::new_from_slices(secret, nonce).ok()?;
    Some(mode.encrypt_padded_vec::<Pkcs7>(value))
}

fn cbc_open<C: BlockCipherDecrypt + KeyInit>(
    secret: &[u8],
    nonce: &[u8],
    sealed: &[u8],
) -> Result<Vec<u8>, &'static str> {
    if sealed.is_empty() || !sealed.len().is_multiple_of(BLOCK) {
        return Err("the stored data is not a multiple of the block size");
    }
    let mode = cbc::Decryptor::<C>::new_from_slices(secret, nonce).map_err(|_| BAD_KEY)?;
    mode.decrypt_padded_vec::<Pkcs7>(sealed).map_err(|_| "invalid padding on input")
}

fn gcm_key(secret: &[u8]) -> Result<aead::LessSafeKey, &'static str> {
    let algorithm = if secret.len() == 16 { &aead::AES_128_GCM } else { &aead::AES_256_GCM };
    aead::UnboundKey::new(algorithm, secret).map(aead::LessSafeKey::new).map_err(|_| BAD_KEY)
}

fn gcm_nonce(nonce: &[u8]) -> Result<aead::Nonce, &'static str> {
    aead::Nonce::try_assume_unique_for_key(nonce).map_err(|_| BAD_KEY)
}

/// The stream behind its first 32 bytes, which are the key of the authenticator.
fn secretbox(secret: &[u8], nonce: &[u8]) -> Result<(XSalsa20, Poly1305), &'static str> {
    let mut stream = XSalsa20::new_from_slices(secret, nonce).map_err(|_| BAD_KEY)?;
    let mut key = poly1305::Key::default();
    stream.apply_keystream(&mut key);
    Ok((stream, Poly1305::new(&key)))
}
