//! Signatures that OpenSSL made, and those made here.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ring::digest;
use rustls_pki_types::alg_id;

use super::*;

const SCALAR: &str =
    "AfpU248uZdWRzJ59Jc2WmtLFdr1kB+HtZ98VpGuWb+aUZUvXgYBo3c/ulxyHjGf2+7fAlR8o7JUv4alg+QG1vNVh";
const POINT_OF_SCALAR: &str = "BAAdWh68bRmJtNmbx0Ywk/NbKiFfF4MkeTEEpyAUGjRcJ6Nkn8l/j9A1dtSInoYl24ObD4cL4/o82oeUBKHJF/lUugBrDxzG4GYWRIZZ\
     4IszE5y98Cyv7tsjYgqimnNO47kdpYqhfkMn27YPm4nivNfdSBcsO8mobevzROiolmAZ3ZpJ0w==";
const MESSAGE: &[u8] = b"a message";
const OVER_SHA256: &str = "MIGIAkIBZv8jPRQwUwIYYGtiI6cqYvFb8zCAYbtw1OsAJ5b+g7Ka77+MekahkFIxnXzkKvmoVJ0DaRpRT8xG1quJvz5HmDcCQgGg\
     hHp8bFMrcmO71+GocoqOKierBlvtNwhDZYxRRN7N+W+8iklZjNvqSNXdpsfBuTrHZTUPhXa9q0svGdgLS82H9Q==";
const OVER_SHA384: &str = "MIGHAkE2FDeGzJ3czZuvfgeuH7qMEs4FmzYDFOaqahRQGqhH2WDDnWNBo/EFZYY5IflS4Id4KAaeIFobbaIzRZOx/Cuj7AJCAMbb\
     ST8ZxUrAZBiJs0BG8b4zUescOqLdNhbOio86W5n+eMJi5TzMXWAX66Bgz0WtGAKNu+znOi9SuAdwenRXgKqD";
const OVER_SHA512: &str = "MIGIAkIBH0BLyOnM5HWrU869IQI2zW0qeEoNIc0MPkRJ/LBgIjj+rytCCPUddCZdFt7HlT4IZfaJhTEShjEXPqTPqzr9yukCQgCE\
     lLToLkRoCvYfp6BYO1fyCNPHFzrNqd+hsegtou4EFQ/l2E1YrjINFoHucVwhMLjqQ3ciN3yAxP7ICBabKxU0BA==";

fn decoded(text: &str) -> Vec<u8> {
    BASE64_STANDARD.decode(text).unwrap()
}

fn key() -> PublicKey {
    PublicKey::from_point(&decoded(POINT_OF_SCALAR)).unwrap()
}

#[test]
fn signatures_are_of_one_hash_and_one_message() {
    let signatures = [
        (&digest::SHA256, SHA256, OVER_SHA256),
        (&digest::SHA384, SHA384, OVER_SHA384),
        (&digest::SHA512, SHA512, OVER_SHA512),
    ];
    for (index, (hash, of_certificates, signature)) in signatures.into_iter().enumerate() {
        let signature = decoded(signature);
        assert!(key().has_signed_der(hash, MESSAGE, &signature));
        assert!(of_certificates.verify_signature(&decoded(POINT_OF_SCALAR), MESSAGE, &signature).is_ok());
        assert!(!key().has_signed_der(hash, b"another", &signature));
        let other = signatures[(index + 1) % 3];
        assert!(!key().has_signed_der(other.0, MESSAGE, &signature));
        assert!(other.1.verify_signature(&decoded(POINT_OF_SCALAR), MESSAGE, &signature).is_err());
        for place in [0, 5, signature.len() / 2, signature.len() - 1] {
            let mut broken = signature.clone();
            broken[place] ^= 1;
            assert!(!key().has_signed_der(hash, MESSAGE, &broken), "byte {place}");
        }
        for end in [0, 1, signature.len() - 1] {
            assert!(!key().has_signed_der(hash, MESSAGE, &signature[..end]));
        }
        // The two forms are not taken for each other.
        assert!(!key().has_signed(hash, MESSAGE, &signature));
    }
}

#[test]
fn what_is_signed_here_verifies() {
    let secret = SecretKey::from_scalar(&decoded(SCALAR)).unwrap();
    assert_eq!(secret.point(), decoded(POINT_OF_SCALAR));
    let signature = secret.sign(MESSAGE).unwrap();
    assert_eq!(signature.len(), 2 * SIZE);
    assert!(key().has_signed(&digest::SHA512, MESSAGE, &signature));
    assert!(!key().has_signed(&digest::SHA512, b"another", &signature));
    assert!(!key().has_signed(&digest::SHA256, MESSAGE, &signature));
    assert_eq!(secret.sign(MESSAGE), Some(signature));
}

#[test]
fn signatures_of_rfc_6979() {
    // Appendix A.2.7, SHA-512, the message "sample".
    let secret = SecretKey::from_scalar(&decoded(
        "APrQbapiujsl0vtAEz2nVyBd5n9bsAGP7oyG4baMfnXKqJbrMvH0fHCFWDam0W/MFGb22PvsZ9uJ7AwIsOmWuDU4",
    ))
    .unwrap();
    let expected = "AMMo+vy9ed13hQNwxGMl2YfLUlVp+2PF07xTlQ5tTF8XTiWh7pAXtdRQYGrdFStTSTHX1OhFXMkfmxW/Bew243f6AGF8znz1BkgGxGf2\
     eNO0CA1vHMUK8myiCUFzCCgbaK8oJiPqpj5bXAcj2LjDf/B3exog+Myx3MxDmX8e4ORNpKZ6";
    let signature = secret.sign(b"sample").unwrap();
    assert_eq!(signature, decoded(expected));
    let key = PublicKey::from_point(&secret.point()).unwrap();
    assert!(key.has_signed(&digest::SHA512, b"sample", &signature));
}

#[test]
fn points_and_numbers_that_are_none_are_refused() {
    let point = decoded(POINT_OF_SCALAR);
    assert!(PublicKey::from_point(&[]).is_none());
    assert!(PublicKey::from_point(&[4; POINT]).is_none());
    assert!(PublicKey::from_point(&point[..POINT - 1]).is_none());
    let mut off_the_curve = point.clone();
    off_the_curve[POINT - 1] ^= 1;
    assert!(PublicKey::from_point(&off_the_curve).is_none());
    // Compressed points have another length; ring takes none either.
    assert!(PublicKey::from_point(&[&[2], &point[1..=SIZE]].concat()).is_none());
    for scalar in [&[][..], &[0; SIZE], &[0xff; SIZE], &[1; SIZE - 1], &[1; SIZE + 1]] {
        assert!(SecretKey::from_scalar(scalar).is_none());
    }
    // Signatures of zeros verify under no key.
    assert!(!key().has_signed(&digest::SHA512, MESSAGE, &[0; 2 * SIZE]));
    assert!(!key().has_signed(&digest::SHA512, MESSAGE, &[]));
}

#[test]
fn algorithms_name_curve_and_hash() {
    let names = [SHA256, SHA384, SHA512].map(|algorithm| algorithm.signature_alg_id());
    assert_eq!(names, [alg_id::ECDSA_SHA256, alg_id::ECDSA_SHA384, alg_id::ECDSA_SHA512]);
    assert_eq!(SHA512.public_key_alg_id(), alg_id::ECDSA_P521);
}
