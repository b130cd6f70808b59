//! Container images made from this machine's own programs, without a registry: those that every cluster needs, and those
//! of lessons and tests.

mod cli;
mod contents;
pub mod oci;
pub mod registry;

use std::{fs, path::Path};

use anyhow::Context as _;

pub use cli::main;

/// An image to be made.
pub struct Image {
    /// Full reference, as the runtime lists it.
    pub reference: &'static str,
    /// Who needs it.
    pub part: Part,
    /// When a node of the lab gets it.
    pub comes: Comes,
    /// Puts its files in.
    fill: fn(&Path, &mut oci::Layer) -> anyhow::Result<()>,
    /// What a container of it runs, where, and which ports it names.
    config: oci::Config,
}

/// Who needs an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Every cluster.
    Cluster,
    /// The lessons and the tests.
    Course,
}

/// When a node of the lab gets an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comes {
    /// It is imported while the lab starts.
    AtStart,
    /// A pod that needs it pulls it from the node's registry: a single lesson's image need not slow every start.
    WhenPulled,
}

/// Every image.
pub const IMAGES: &[Image] = &[
    Image {
        reference: "registry.k8s.io/pause:3.10",
        part: Part::Cluster,
        comes: Comes::AtStart,
        fill: contents::pause,
        config: oci::Config { entrypoint: &["/pause"], command: &[], user: "65535:65535", port: None },
    },
    Image {
        reference: "docker.io/library/busybox:latest",
        part: Part::Course,
        comes: Comes::AtStart,
        fill: contents::busybox,
        config: oci::Config { entrypoint: &[], command: &["sh"], user: "", port: None },
    },
    Image {
        reference: "docker.io/library/nginx:latest",
        part: Part::Course,
        comes: Comes::AtStart,
        fill: contents::nginx,
        config: oci::Config {
            entrypoint: &[],
            command: &["nginx", "-g", "daemon off;"],
            user: "",
            port: Some("80/tcp"),
        },
    },
    Image {
        reference: "docker.io/curlimages/curl:latest",
        part: Part::Course,
        comes: Comes::AtStart,
        fill: contents::curl,
        config: oci::Config {
            entrypoint: &["/entrypoint.sh"],
            command: &["curl"],
            user: "100:101",
            port: None,
        },
    },
    Image {
        reference: "docker.io/sysnet4admin/chk-hn:latest",
        part: Part::Course,
        comes: Comes::AtStart,
        fill: contents::chk_hn,
        config: oci::Config { entrypoint: &["/chk-hn"], command: &[], user: "", port: Some("80/tcp") },
    },
    Image {
        reference: "docker.io/sysnet4admin/chk-log:latest",
        part: Part::Course,
        comes: Comes::AtStart,
        fill: contents::chk_log,
        config: oci::Config {
            entrypoint: &["/chk-hn", "0.0.0.0:80", "/audit/audit.log"],
            command: &[],
            user: "",
            port: Some("80/tcp"),
        },
    },
    Image {
        reference: "docker.io/library/redis:latest",
        part: Part::Course,
        comes: Comes::WhenPulled,
        fill: contents::redis,
        config: oci::Config {
            entrypoint: &["docker-entrypoint.sh"],
            command: &["redis-server", "--dir", "/data"],
            user: "",
            port: Some("6379/tcp"),
        },
    },
    Image {
        reference: "ghcr.io/subicura/counter:latest",
        part: Part::Course,
        comes: Comes::WhenPulled,
        fill: contents::counter,
        config: oci::Config {
            entrypoint: &["/entrypoint.sh"],
            command: &[],
            user: "",
            port: Some("3000/tcp"),
        },
    },
    Image {
        reference: "docker.io/magnetite/local-path-provisioner:v1.36.0",
        part: Part::Cluster,
        comes: Comes::AtStart,
        fill: contents::local_path_provisioner,
        config: oci::Config { entrypoint: &["/local-path-provisioner"], command: &[], user: "", port: None },
    },
    Image {
        reference: "docker.io/magnetite/csi-hostpath-driver:v1.36.0",
        part: Part::Course,
        comes: Comes::WhenPulled,
        fill: contents::csi_hostpath_driver,
        config: oci::Config { entrypoint: &["/csi-hostpath-driver"], command: &[], user: "", port: None },
    },
    Image {
        reference: "docker.io/magnetite/csi-sidecar:v1.36.0",
        part: Part::Course,
        comes: Comes::WhenPulled,
        fill: contents::csi_sidecar,
        config: oci::Config { entrypoint: &["/csi-sidecar"], command: &[], user: "", port: None },
    },
    Image {
        reference: "docker.io/magnetite/cluster-dns:v1.36.0",
        part: Part::Cluster,
        comes: Comes::AtStart,
        fill: contents::cluster_dns,
        config: oci::Config { entrypoint: &["/cluster-dns"], command: &[], user: "", port: Some("53/udp") },
    },
    Image {
        reference: "docker.io/magnetite/metrics-server:v1.36.0",
        part: Part::Cluster,
        comes: Comes::AtStart,
        fill: contents::metrics_server,
        config: oci::Config {
            entrypoint: &["/metrics-server"],
            command: &[],
            user: "65532:65532",
            port: Some("10250/tcp"),
        },
    },
];

impl Image {
    /// Name of its archive: the reference, in letters that every file system and every tool takes.
    pub fn file_name(&self) -> String {
        let plain = |char: char| if char.is_ascii_alphanumeric() { char } else { '-' };
        format!("{}.tar", self.reference.chars().map(plain).collect::<String>())
    }

    /// Writes its OCI archive, made with the workspace's programs of a directory. A file that is there is whole.
    pub fn write(&self, binaries: &Path, path: &Path) -> anyhow::Result<()> {
        let mut layer = oci::Layer::new();
        (self.fill)(binaries, &mut layer).with_context(|| format!("image {}", self.reference))?;
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        let temporary = path.with_extension("part");
        oci::write_archive(&temporary, self.reference, &self.config, layer)?;
        fs::rename(&temporary, path).with_context(|| path.display().to_string())
    }
}
