//! Where everything is on a machine. A root other than `/` is a rehearsal's (`--dry-run`) or a test's.

use std::path::{Path, PathBuf};

/// A machine's files, below a root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    root: PathBuf,
    pki: Option<PathBuf>,
}

impl Paths {
    /// Those of this machine.
    pub fn system() -> Self {
        Self::under(Path::new("/"))
    }

    /// Those below another root.
    pub fn under(root: &Path) -> Self {
        Self { root: root.into(), pki: None }
    }

    /// The same with keys and certificates elsewhere.
    #[must_use]
    pub fn with_pki(self, directory: PathBuf) -> Self {
        Self { pki: Some(directory), ..self }
    }

    /// The path that is `absolute` on the machine, below this root.
    pub fn at(&self, absolute: &str) -> PathBuf {
        self.root.join(absolute.trim_start_matches('/'))
    }

    /// `/etc/kubernetes`: kubeconfigs, and the directories below.
    pub fn kubernetes(&self) -> PathBuf {
        self.at("/etc/kubernetes")
    }

    /// `/etc/kubernetes/pki`: keys and certificates of the control plane.
    pub fn pki(&self) -> PathBuf {
        self.pki.clone().unwrap_or_else(|| self.at("/etc/kubernetes/pki"))
    }

    /// A kubeconfig by its name without `.conf`, such as `admin`.
    pub fn kubeconfig(&self, name: &str) -> PathBuf {
        self.kubernetes().join(format!("{name}.conf"))
    }

    /// The file with a unit's `ARGS`; the unit does not start without it.
    pub fn env(&self, unit: &str) -> PathBuf {
        self.kubernetes().join("env").join(format!("{unit}.env"))
    }

    /// The kubelet's own directory.
    pub fn kubelet(&self) -> PathBuf {
        self.at("/var/lib/kubelet")
    }

    /// The KubeletConfiguration.
    pub fn kubelet_config(&self) -> PathBuf {
        self.kubelet().join("config.yaml")
    }

    /// The kubelet's certificates.
    pub fn kubelet_pki(&self) -> PathBuf {
        self.kubelet().join("pki")
    }

    /// The KubeProxyConfiguration.
    pub fn kube_proxy_config(&self) -> PathBuf {
        self.kubernetes().join("kube-proxy.yaml")
    }

    /// etcd's data.
    pub fn etcd(&self) -> PathBuf {
        self.at("/var/lib/etcd")
    }

    /// The archives of the cluster's own images.
    pub fn images(&self) -> PathBuf {
        self.at("/usr/share/magnetite/images")
    }

    /// What release the packages are of.
    pub fn release(&self) -> PathBuf {
        self.at("/usr/share/magnetite/release.json")
    }
}
