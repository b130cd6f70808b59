//! What can be said of certificates that are there.

use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use sha2::{Digest as _, Sha256};

use crate::Error;

/// Whether one certificate was signed with the key of another.
pub fn is_signed_by(leaf: &CertificateDer<'_>, signer: &CertificateDer<'_>) -> bool {
    let (Ok((_, leaf)), Ok((_, signer))) =
        (x509_parser::parse_x509_certificate(leaf), x509_parser::parse_x509_certificate(signer))
    else {
        return false;
    };
    leaf.issuer() == signer.subject() && leaf.verify_signature(Some(signer.public_key())).is_ok()
}

/// The hash of a certificate's public key as `kubeadm join --discovery-token-ca-cert-hash` takes it:
/// `sha256:` and the hash of the whole SubjectPublicKeyInfo (RFC 7469) in hexadecimal.
pub fn public_key_hash(certificate: &CertificateDer<'_>) -> Result<String, Error> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).map_err(Error::make)?;
    let hash = Sha256::digest(parsed.public_key().raw);
    let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("sha256:{hex}"))
}

/// The certificates of a PEM text; one without any gives none.
pub fn certificates_of(text: &str) -> Result<Vec<CertificateDer<'static>>, Error> {
    CertificateDer::pem_slice_iter(text.as_bytes()).collect::<Result<_, _>>().map_err(Error::make)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Its hash was taken with `openssl x509 -pubkey | openssl pkey -pubin -outform der | sha256sum`.
    const AUTHORITY: &str = "\
-----BEGIN CERTIFICATE-----
MIIBgDCCASegAwIBAgIUVGH+maZlvjvdaVHj2yeD7Rp4KLcwCgYIKoZIzj0EAwIw
FTETMBEGA1UEAwwKa3ViZXJuZXRlczAgFw0yNjExMjExMzAzNDVaGA8yMTI2MTAy
ODEzMDM0NVowFTETMBEGA1UEAwwKa3ViZXJuZXRlczBZMBMGByqGSM49AgEGCCqG
SM49AwEHA0IABBrhSNKlKiYnzIotUiOSjSgV3s1GWKBJbSqDXhyQK6XDLJvpAxmj
VZdSl/0W7KT4eVv771ORoSgC3CSnSvDucFmjUzBRMB0GA1UdDgQWBBSx6ydL4Hcc
5ReHks8e5J1K6DlkyDAfBgNVHSMEGDAWgBSx6ydL4Hcc5ReHks8e5J1K6DlkyDAP
BgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMCA0cAMEQCIAMOcVudUhI+OFsLzLBX
uE9DibxrIIHyzRD1OBEWzT/sAiBVQOaalXgjPnehccDxhDXWFs3dqF0bnw2KwqVn
c5CpTw==
-----END CERTIFICATE-----
";

    #[test]
    fn the_hash_is_openssls() {
        let certificates = certificates_of(AUTHORITY).unwrap();
        assert_eq!(
            public_key_hash(&certificates[0]).unwrap(),
            "sha256:9a056031c0a91290211ff505cd9255b8ef2aa33cd0f8affdb4e4a1eb90ecaa5a"
        );
        assert!(is_signed_by(&certificates[0], &certificates[0]));
    }
}
