//! The keys and certificates of a control plane on disk: made where they are missing, never made anew.

use std::path::Path;

use anyhow::{Context as _, bail};
use jiff::Timestamp;
use pki::{
    Authority, Issued,
    cluster::{CERTIFICATES, Certificate, ControlPlane, Signer},
};

/// What making a file came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Made {
    /// It was made.
    New,
    /// It was there and is used.
    Kept,
}

/// How long things last, in days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetimes {
    /// Of authorities.
    pub authority: i64,
    /// Of what they sign.
    pub leaf: i64,
}

/// Reads an authority with its key.
pub fn authority(pki: &Path, signer: Signer) -> anyhow::Result<Authority> {
    let file = |end: &str| pki.join(format!("{}.{end}", signer.file()));
    let read =
        |path: &Path| std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()));
    let (certificate, key) = (read(&file("crt"))?, read(&file("key"))?);
    Authority::from_pem(&certificate, &key).with_context(|| format!("{} with its key", file("crt").display()))
}

/// Whether an authority's certificate is here without its key: the operator signs elsewhere.
pub fn is_external(pki: &Path, signer: Signer) -> bool {
    let there = |end: &str| pki.join(format!("{}.{end}", signer.file())).exists();
    there("crt") && !there("key")
}

/// Makes an authority, or keeps the one that is there.
pub fn make_authority(
    pki: &Path,
    signer: Signer,
    lifetimes: Lifetimes,
    now: Timestamp,
) -> anyhow::Result<Made> {
    let there = |end: &str| pki.join(format!("{}.{end}", signer.file())).exists();
    match (there("crt"), there("key")) {
        (true, true) => authority(pki, signer).map(|_| Made::Kept),
        // The leaves must be there then; `make` says which is missing.
        (true, false) => Ok(Made::Kept),
        (false, true) => bail!(
            "{0}.key is there without {0}.crt; bring the certificate, or remove the key for a new authority",
            pki.join(signer.file()).display()
        ),
        (false, false) => {
            // Ten years of 365 days, as upstream counts; `Authority::new` counts in years.
            let years = (lifetimes.authority / 365).max(1);
            Authority::new(signer.common_name(), years, now)?.issued().write(pki, signer.file())?;
            Ok(Made::New)
        }
    }
}

/// Makes a certificate, or keeps the one that is there when its authority vouches for it.
pub fn make(
    pki: &Path,
    certificate: &Certificate,
    machine: &ControlPlane,
    lifetimes: Lifetimes,
    now: Timestamp,
) -> anyhow::Result<Made> {
    let there = |end: &str| pki.join(format!("{}.{end}", certificate.file)).exists();
    match (there("crt"), there("key")) {
        (true, true) => {
            check_signer(pki, certificate)?;
            return Ok(Made::Kept);
        }
        (false, false) => {}
        _ => bail!(
            "of {0}.crt and {0}.key only one is there; bring the other, or remove it for a new pair",
            pki.join(certificate.file).display()
        ),
    }
    if is_external(pki, certificate.signer) {
        bail!(
            "{0}.crt is missing and cannot be made: the key of its authority ({1}.key) is not here",
            pki.join(certificate.file).display(),
            certificate.signer.file()
        );
    }
    issue(pki, certificate, machine, lifetimes, now)?.write(pki, certificate.file)?;
    Ok(Made::New)
}

/// Issues a certificate without writing it.
pub fn issue(
    pki: &Path,
    certificate: &Certificate,
    machine: &ControlPlane,
    lifetimes: Lifetimes,
    now: Timestamp,
) -> anyhow::Result<Issued> {
    let mut leaf = (certificate.leaf)(machine);
    leaf.days = lifetimes.leaf;
    Ok(authority(pki, certificate.signer)?.issue(&leaf, now)?)
}

fn check_signer(pki: &Path, certificate: &Certificate) -> anyhow::Result<()> {
    let path = pki.join(format!("{}.crt", certificate.file));
    let root = pki.join(format!("{}.crt", certificate.signer.file()));
    let leaf = pki::read_certificates(&path)?;
    let signers = pki::read_certificates(&root)?;
    let signed =
        leaf.first().is_some_and(|leaf| signers.iter().any(|signer| pki::is_signed_by(leaf, signer)));
    if !signed {
        bail!(
            "{} was not signed by {}; remove it (and its key) to have a new one made",
            path.display(),
            root.display()
        );
    }
    Ok(())
}

/// Makes the keys that sign service-account tokens, or keeps those that are there.
pub fn make_service_account_keys(pki: &Path) -> anyhow::Result<Made> {
    let (private, public) = (pki.join("sa.key"), pki.join("sa.pub"));
    match (private.exists(), public.exists()) {
        (true, true) => Ok(Made::Kept),
        (false, false) => {
            let keys = pki::signing_key()?;
            pki::write_private(&private, &keys.0)?;
            pki::write_public(&public, &keys.1)?;
            Ok(Made::New)
        }
        _ => bail!(
            "of {} and {} only one is there; bring the other, or remove it for a new pair",
            private.display(),
            public.display()
        ),
    }
}

/// The certificate of the table that has this name.
pub fn named(name: &str) -> Option<&'static Certificate> {
    CERTIFICATES.iter().find(|certificate| certificate.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFETIMES: Lifetimes = Lifetimes { authority: 3650, leaf: 365 };

    fn machine() -> ControlPlane {
        ControlPlane {
            node: "m".into(),
            address: "192.0.2.1".parse().unwrap(),
            service: "10.96.0.1".parse().unwrap(),
            domain: "cluster.local".into(),
            api_names: Vec::new(),
            etcd_names: Vec::new(),
            etcd_peer_names: Vec::new(),
        }
    }

    #[test]
    fn what_is_there_is_kept_and_what_does_not_belong_refused() {
        let directory = tempfile::tempdir().unwrap();
        let pki = directory.path();
        let now = Timestamp::now();
        let apiserver = named("apiserver").unwrap();
        assert_eq!(make_authority(pki, Signer::Cluster, LIFETIMES, now).unwrap(), Made::New);
        assert_eq!(make(pki, apiserver, &machine(), LIFETIMES, now).unwrap(), Made::New);
        assert_eq!(make_authority(pki, Signer::Cluster, LIFETIMES, now).unwrap(), Made::Kept);
        assert_eq!(make(pki, apiserver, &machine(), LIFETIMES, now).unwrap(), Made::Kept);
        for end in ["crt", "key"] {
            std::fs::remove_file(pki.join(format!("ca.{end}"))).unwrap();
        }
        make_authority(pki, Signer::Cluster, LIFETIMES, now).unwrap();
        let error = make(pki, apiserver, &machine(), LIFETIMES, now).unwrap_err().to_string();
        assert!(error.contains("was not signed by"), "{error}");
        std::fs::remove_file(pki.join("apiserver.key")).unwrap();
        let error = make(pki, apiserver, &machine(), LIFETIMES, now).unwrap_err().to_string();
        assert!(error.contains("only one is there"), "{error}");
    }

    #[test]
    fn without_the_authoritys_key_nothing_is_made() {
        let directory = tempfile::tempdir().unwrap();
        let pki = directory.path();
        make_authority(pki, Signer::Etcd, LIFETIMES, Timestamp::now()).unwrap();
        std::fs::remove_file(pki.join("etcd/ca.key")).unwrap();
        let server = named("etcd-server").unwrap();
        let error = make(pki, server, &machine(), LIFETIMES, Timestamp::now()).unwrap_err().to_string();
        assert!(error.contains("the key of its authority"), "{error}");
    }
}
