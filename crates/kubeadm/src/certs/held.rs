//! The certificates that a machine holds: where each is, who uses it, and how one that takes its place is put there.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, bail};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use jiff::Timestamp;
use pki::{
    Described, Identity, Issued,
    cluster::{CERTIFICATES, CONTROL_PLANE_USERS, NODE_USERS, Signer},
};
use serde_json::Value;

use crate::{kubeconfigs, paths::Paths};

/// A certificate with less than this share of its life left is due to be renewed.
const DUE: f64 = 1.0 / 3.0;

/// Where a certificate is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In two files below the PKI's directory, named without `.crt` and `.key`.
    Files(&'static str),
    /// Inside the kubeconfig of this name.
    Kubeconfig(&'static str),
    /// With its key in the kubelet's own file.
    Kubelet,
}

/// A certificate that a machine may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// What it is called: `apiserver`, `admin.conf`.
    pub name: &'static str,
    /// What it is for, as upstream says it.
    pub purpose: &'static str,
    /// Where it is.
    pub place: Place,
    /// Who signs it.
    pub signer: Signer,
    /// The unit that reads it when it starts, if any.
    pub unit: Option<&'static str>,
}

/// What each certificate is for and who reads it. The order is that of names, as upstream lists them.
const KNOWN: &[(&str, &str, Option<&str>)] = &[
    (
        "admin.conf",
        "certificate embedded in the kubeconfig file for the admin to use and for kubeadm itself",
        None,
    ),
    ("apiserver", "certificate for serving the Kubernetes API", Some("kube-apiserver")),
    ("apiserver-etcd-client", "certificate the apiserver uses to access etcd", Some("kube-apiserver")),
    (
        "apiserver-kubelet-client",
        "certificate for the API server to connect to kubelet",
        Some("kube-apiserver"),
    ),
    (
        "cloud-controller-manager.conf",
        "certificate embedded in the kubeconfig file for the cloud controller manager to use",
        Some("cloud-controller-manager"),
    ),
    (
        "controller-manager.conf",
        "certificate embedded in the kubeconfig file for the controller manager to use",
        Some("kube-controller-manager"),
    ),
    ("etcd-healthcheck-client", "certificate for liveness probes to healthcheck etcd", None),
    ("etcd-peer", "certificate for etcd nodes to communicate with each other", Some("kube-etcd")),
    ("etcd-server", "certificate for serving etcd", Some("kube-etcd")),
    ("front-proxy-client", "certificate for the front proxy client", Some("kube-apiserver")),
    (
        "kube-proxy.conf",
        "certificate embedded in the kubeconfig file for kube-proxy to use",
        Some("kube-proxy"),
    ),
    ("kubelet.conf", "certificate of this machine's kubelet, which renews it itself while it runs", None),
    ("podnet.conf", "certificate embedded in the kubeconfig file for podnet to use", Some("podnet")),
    (
        "scheduler.conf",
        "certificate embedded in the kubeconfig file for the scheduler manager to use",
        Some("kube-scheduler"),
    ),
    ("super-admin.conf", "certificate embedded in the kubeconfig file for the super-admin", None),
];

/// Every certificate that a machine may hold.
pub fn all() -> Vec<Held> {
    KNOWN
        .iter()
        .filter_map(|(name, purpose, unit)| {
            let (place, signer) = place(name)?;
            Some(Held { name, purpose, place, signer, unit: *unit })
        })
        .collect()
}

fn place(name: &str) -> Option<(Place, Signer)> {
    if name == "kubelet.conf" {
        return Some((Place::Kubelet, Signer::Cluster));
    }
    if let Some(file) = name.strip_suffix(".conf") {
        let user = CONTROL_PLANE_USERS.iter().chain(NODE_USERS).find(|user| user.file == file)?;
        return Some((Place::Kubeconfig(user.file), Signer::Cluster));
    }
    let certificate = CERTIFICATES.iter().find(|certificate| certificate.name == name)?;
    Some((Place::Files(certificate.file), certificate.signer))
}

impl Held {
    fn path(&self, paths: &Paths) -> PathBuf {
        match self.place {
            Place::Files(file) => paths.pki().join(format!("{file}.crt")),
            Place::Kubeconfig(name) => paths.kubeconfig(name),
            Place::Kubelet => kubeconfigs::kubelet_current(paths),
        }
    }

    /// Whether the machine holds it.
    pub fn is_here(&self, paths: &Paths) -> bool {
        self.path(paths).exists()
    }

    /// What it says.
    pub fn read(&self, paths: &Paths) -> anyhow::Result<Described> {
        let path = self.path(paths);
        let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        let pem = match self.place {
            Place::Files(_) | Place::Kubelet => text,
            Place::Kubeconfig(_) => {
                let config = formats::yaml::one(&text).with_context(|| path.display().to_string())?;
                let data = config["users"][0]["user"]["client-certificate-data"].as_str();
                let data = data.with_context(|| format!("{} holds no client certificate", path.display()))?;
                let pem = BASE64_STANDARD.decode(data).with_context(|| path.display().to_string())?;
                String::from_utf8(pem).with_context(|| path.display().to_string())?
            }
        };
        Described::of_pem(&pem).with_context(|| path.display().to_string())
    }

    /// Whether it is to be renewed without anybody asking: it has little life left, or its key is another's, as a
    /// renewal leaves it that was interrupted.
    pub fn is_due(&self, paths: &Paths, now: Timestamp) -> anyhow::Result<bool> {
        if let Place::Files(file) = self.place {
            let file = |end: &str| paths.pki().join(format!("{file}.{end}"));
            if Identity::load(&file("crt"), &file("key")).is_err() {
                return Ok(true);
            }
        }
        Ok(self.read(paths)?.left(now) < DUE)
    }

    /// Puts another one in its place.
    pub fn replace(&self, paths: &Paths, issued: &Issued, now: Timestamp) -> anyhow::Result<()> {
        match self.place {
            Place::Files(file) => Ok(issued.write(&paths.pki(), file)?),
            Place::Kubeconfig(name) => {
                let path = paths.kubeconfig(name);
                let text =
                    fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
                let mut config: Value =
                    formats::yaml::one(&text).with_context(|| path.display().to_string())?;
                let user = &mut config["users"][0]["user"];
                if !user.is_object() {
                    bail!("{} has no user", path.display());
                }
                user["client-certificate-data"] = BASE64_STANDARD.encode(&issued.certificate).into();
                user["client-key-data"] = BASE64_STANDARD.encode(&issued.key).into();
                Ok(pki::write_private(&path, &formats::yaml::text(&config))?)
            }
            Place::Kubelet => kubeconfigs::replace_kubelet(paths, issued, now),
        }
    }
}

#[cfg(test)]
mod tests {
    use pki::{Authority, Leaf};

    use super::*;
    use crate::kubeconfigs::Target;

    #[test]
    fn every_certificate_of_the_tables_is_known() {
        let names: Vec<&str> = all().iter().map(|held| held.name).collect();
        assert_eq!(names.len(), KNOWN.len(), "{names:?}");
        assert!(names.is_sorted());
        for certificate in CERTIFICATES {
            assert!(names.contains(&certificate.name), "{}", certificate.name);
        }
        for user in CONTROL_PLANE_USERS.iter().chain(NODE_USERS) {
            assert!(names.contains(&format!("{}.conf", user.file).as_str()), "{}", user.file);
        }
    }

    fn named(name: &str) -> Held {
        all().into_iter().find(|held| held.name == name).unwrap()
    }

    #[test]
    fn a_certificate_is_due_when_two_thirds_of_its_life_are_over_or_its_key_is_anothers() {
        let folder = tempfile::tempdir().unwrap();
        let paths = Paths::under(folder.path());
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let authority = Authority::new("kubernetes", 10, now).unwrap();
        let held = named("apiserver");
        assert!(!held.is_here(&paths));
        authority
            .issue(&Leaf::server("a", &["a"], &[]), now)
            .unwrap()
            .write(&paths.pki(), "apiserver")
            .unwrap();
        assert!(held.is_here(&paths));
        let due = |day: &str| held.is_due(&paths, format!("{day}T00:00:00Z").parse().unwrap()).unwrap();
        assert!(!due("2026-08-30"));
        assert!(due("2026-09-03"));
        assert!(due("2030-01-01"));
        let other = authority.issue(&Leaf::server("a", &["a"], &[]), now).unwrap();
        pki::write_private(&paths.pki().join("apiserver.key"), &other.key).unwrap();
        assert!(due("2026-01-02"));
    }

    #[test]
    fn a_kubeconfig_keeps_all_but_its_certificate() {
        let folder = tempfile::tempdir().unwrap();
        let paths = Paths::under(folder.path());
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let authority = Authority::new("kubernetes", 10, now).unwrap();
        let target = Target {
            cluster: "kubernetes".into(),
            server: "https://192.168.1.10:6443".into(),
            authority: authority.certificate().to_owned(),
        };
        let user = &CONTROL_PLANE_USERS[0];
        let text = kubeconfigs::issue(&authority, &target, user, 1, now).unwrap();
        pki::write_private(&paths.kubeconfig("admin"), &text).unwrap();
        let held = named("admin.conf");
        let before = held.read(&paths).unwrap();
        held.replace(&paths, &authority.issue(&before.leaf(365), now).unwrap(), now).unwrap();
        let after = held.read(&paths).unwrap();
        assert!(after.not_after > before.not_after);
        assert_eq!((after.common_name, after.organizations), (before.common_name, before.organizations));
        assert_eq!(crate::rejoin::target(&paths.kubeconfig("admin")).unwrap(), target);
    }
}
