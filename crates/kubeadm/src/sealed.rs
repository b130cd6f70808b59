//! The keys of a cluster, sealed for further control planes: the Secret `kubeadm-certs`, each file AES-256-GCM under a
//! key that only its maker and whom he tells have.

use std::path::Path;

use anyhow::{Context as _, bail};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    rand::{SecureRandom as _, SystemRandom},
};
use serde_json::{Map, Value, json};

use crate::cluster::objects::{JOINING, Subject, readable};

/// Where the secret is.
pub const PATH: &str = "/api/v1/namespaces/kube-system/secrets/kubeadm-certs";

/// What is shared: name below the PKI's directory, as the secret has it with a dash for the slash. What a local etcd
/// needs is left out with an external one, and the other way round.
const SHARED: &[(&str, Etcd)] = &[
    ("ca.crt", Etcd::Any),
    ("ca.key", Etcd::Any),
    ("front-proxy-ca.crt", Etcd::Any),
    ("front-proxy-ca.key", Etcd::Any),
    ("sa.key", Etcd::Any),
    ("sa.pub", Etcd::Any),
    ("etcd/ca.crt", Etcd::Any),
    ("etcd/ca.key", Etcd::Local),
    ("apiserver-etcd-client.crt", Etcd::External),
    ("apiserver-etcd-client.key", Etcd::External),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Etcd {
    Any,
    Local,
    External,
}

fn shared(external_etcd: bool) -> impl Iterator<Item = &'static str> {
    let other = if external_etcd { Etcd::Local } else { Etcd::External };
    SHARED.iter().filter(move |(_, etcd)| *etcd != other).map(|(name, _)| *name)
}

/// A key under which files are sealed.
#[derive(Clone)]
pub struct CertificateKey([u8; 32]);

impl CertificateKey {
    /// Makes a new one.
    pub fn generate() -> anyhow::Result<Self> {
        let mut key = [0; 32];
        SystemRandom::new()
            .fill(&mut key)
            .map_err(|_| anyhow::anyhow!("the system gives no random bytes"))?;
        Ok(Self(key))
    }

    /// Reads 64 hexadecimal digits.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let mut key = [0; 32];
        if text.len() != 64 || !text.is_ascii() {
            bail!(
                "a certificate key has 64 hexadecimal digits; make one with: kubeadm certs certificate-key"
            );
        }
        for (index, byte) in key.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * index..2 * index + 2], 16).context("certificate key")?;
        }
        Ok(Self(key))
    }

    /// As it is typed.
    pub fn text(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn cipher(&self) -> anyhow::Result<LessSafeKey> {
        let key = UnboundKey::new(&AES_256_GCM, &self.0).map_err(|_| anyhow::anyhow!("a key of 32 bytes"))?;
        Ok(LessSafeKey::new(key))
    }

    /// A nonce, then the sealed bytes with their tag.
    fn seal(&self, plain: &[u8]) -> anyhow::Result<Vec<u8>> {
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new()
            .fill(&mut nonce)
            .map_err(|_| anyhow::anyhow!("the system gives no random bytes"))?;
        let mut sealed = plain.to_vec();
        self.cipher()?
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut sealed)
            .map_err(|_| anyhow::anyhow!("sealing failed"))?;
        Ok([&nonce[..], &sealed].concat())
    }

    fn open(&self, sealed: &[u8]) -> anyhow::Result<Vec<u8>> {
        let (nonce, rest) = sealed.split_at_checked(NONCE_LEN).context("too short to be sealed")?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| anyhow::anyhow!("a nonce"))?;
        let mut bytes = rest.to_vec();
        let plain = self.cipher()?.open_in_place(nonce, Aad::empty(), &mut bytes).map_err(|_| {
            anyhow::anyhow!("the certificate key is not the one that the files were sealed with")
        })?;
        Ok(plain.to_vec())
    }
}

/// The secret with a machine's shared files, and who may read it. It belongs to a token's secret, and goes with it.
pub fn objects(
    pki: &Path,
    key: &CertificateKey,
    external_etcd: bool,
    token_secret: &Value,
) -> anyhow::Result<Vec<Value>> {
    let mut data = Map::new();
    for name in shared(external_etcd) {
        let path = pki.join(name);
        let plain = std::fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        data.insert(name.replace('/', "-"), BASE64_STANDARD.encode(key.seal(&plain)?).into());
    }
    let metadata = &token_secret["metadata"];
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {"namespace": "kube-system", "name": "kubeadm-certs", "ownerReferences": [{
            "apiVersion": "v1", "kind": "Secret", "name": metadata["name"], "uid": metadata["uid"],
            "blockOwnerDeletion": true, "controller": true,
        }]},
        "data": data,
    });
    let readers = [Subject::Group(JOINING)];
    let mut objects = vec![secret];
    objects.extend(readable("kube-system", "kubeadm:kubeadm-certs", "secrets", "kubeadm-certs", &readers));
    Ok(objects)
}

/// Opens the secret's files: name below the PKI's directory, content.
pub fn open(
    secret: &Value,
    key: &CertificateKey,
    external_etcd: bool,
) -> anyhow::Result<Vec<(&'static str, String)>> {
    shared(external_etcd)
        .map(|name| {
            let sealed = secret["data"][name.replace('/', "-")]
                .as_str()
                .with_context(|| format!("the Secret kubeadm-certs has no {name}"))?;
            let plain = key.open(&BASE64_STANDARD.decode(sealed)?).with_context(|| name.to_owned())?;
            Ok((name, String::from_utf8(plain)?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_key_opens() {
        let directory = tempfile::tempdir().unwrap();
        for name in shared(false) {
            pki::write_private(&directory.path().join(name), name).unwrap();
        }
        let key = CertificateKey::generate().unwrap();
        let token = json!({"metadata": {"name": "bootstrap-token-a", "uid": "1"}});
        let objects = objects(directory.path(), &key, false, &token).unwrap();
        let again = CertificateKey::parse(&key.text()).unwrap();
        let opened = open(&objects[0], &again, false).unwrap();
        assert_eq!(opened.len(), 8);
        assert!(opened.iter().all(|(name, text)| name == text));
        let other = CertificateKey::generate().unwrap();
        assert!(format!("{:#}", open(&objects[0], &other, false).unwrap_err()).contains("is not the one"));
        assert!(CertificateKey::parse("00").is_err() && CertificateKey::parse(&"zz".repeat(32)).is_err());
    }
}
