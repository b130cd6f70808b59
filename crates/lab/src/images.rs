//! The images that the lab and its tests use, made here from what this machine has.

mod contents;
pub(crate) mod oci;

use std::{
    fs,
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, bail};

use crate::{Lab, Topology, processes::wait_for};

/// An image to be made.
pub struct Image {
    /// Full reference, as the runtime lists it.
    pub reference: &'static str,
    /// When a node gets it.
    pub comes: Comes,
    /// Puts its files in.
    fill: fn(&Topology, &mut oci::Layer) -> anyhow::Result<()>,
    /// What a container of it runs, where, and which ports it names.
    config: oci::Config,
}

/// When a node gets an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comes {
    /// It is imported while the lab starts.
    AtStart,
    /// A pod that needs it pulls it from the node's registry: a single lesson's image need not slow every start.
    WhenPulled,
}

/// Every image of the lab.
pub const IMAGES: &[Image] = &[
    Image {
        reference: "registry.k8s.io/pause:3.10",
        comes: Comes::AtStart,
        fill: contents::pause,
        config: oci::Config { entrypoint: &["/pause"], command: &[], user: "65535:65535", port: None },
    },
    Image {
        reference: "docker.io/library/busybox:latest",
        comes: Comes::AtStart,
        fill: contents::busybox,
        config: oci::Config { entrypoint: &[], command: &["sh"], user: "", port: None },
    },
    Image {
        reference: "docker.io/library/nginx:latest",
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
        comes: Comes::AtStart,
        fill: contents::chk_hn,
        config: oci::Config { entrypoint: &["/chk-hn"], command: &[], user: "", port: Some("80/tcp") },
    },
    Image {
        reference: "docker.io/sysnet4admin/chk-log:latest",
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
        comes: Comes::AtStart,
        fill: contents::local_path_provisioner,
        config: oci::Config { entrypoint: &["/local-path-provisioner"], command: &[], user: "", port: None },
    },
    Image {
        reference: "docker.io/magnetite/csi-hostpath-driver:v1.36.0",
        comes: Comes::WhenPulled,
        fill: contents::csi_hostpath_driver,
        config: oci::Config { entrypoint: &["/csi-hostpath-driver"], command: &[], user: "", port: None },
    },
    Image {
        reference: "docker.io/magnetite/csi-sidecar:v1.36.0",
        comes: Comes::WhenPulled,
        fill: contents::csi_sidecar,
        config: oci::Config { entrypoint: &["/csi-sidecar"], command: &[], user: "", port: None },
    },
    Image {
        reference: "docker.io/magnetite/cluster-dns:v1.36.0",
        comes: Comes::AtStart,
        fill: contents::cluster_dns,
        config: oci::Config { entrypoint: &["/cluster-dns"], command: &[], user: "", port: Some("53/udp") },
    },
    Image {
        reference: "docker.io/magnetite/metrics-server:v1.36.0",
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

fn archive(topology: &Topology, image: &Image) -> PathBuf {
    let name: String =
        image.reference.chars().map(|char| if char.is_ascii_alphanumeric() { char } else { '-' }).collect();
    topology.state.join("images").join(format!("{name}.tar"))
}

/// Writes an OCI archive of each image into the lab's directory.
pub fn build_all(topology: &Topology) -> anyhow::Result<()> {
    for image in IMAGES {
        let path = archive(topology, image);
        if path.exists() {
            continue;
        }
        let mut layer = oci::Layer::new();
        (image.fill)(topology, &mut layer).with_context(|| format!("image {}", image.reference))?;
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        let temporary = path.with_extension("part");
        oci::write_archive(&temporary, image.reference, &image.config, layer)?;
        fs::rename(&temporary, &path)?;
    }
    Ok(())
}

/// Imports on every node, all nodes at once, what is to be there from the start.
pub fn import_all(lab: &Lab) -> anyhow::Result<()> {
    let topology = lab.topology();
    std::thread::scope(|scope| {
        let nodes: Vec<_> =
            topology.nodes.iter().map(|node| scope.spawn(|| import(lab, &node.name))).collect();
        nodes.into_iter().try_for_each(|node| node.join().unwrap_or_else(|_| bail!("import panicked")))
    })
}

fn import(lab: &Lab, node: &str) -> anyhow::Result<()> {
    let ctr = |arguments: &[&str]| -> anyhow::Result<Command> {
        let mut command = lab.command_in(node, "ctr")?;
        command.args(["--namespace", "k8s.io"]).args(arguments).stdin(Stdio::null());
        Ok(command)
    };
    let present = wait_for("containerd", Duration::from_secs(30), || {
        let output = ctr(&["images", "list", "--quiet"])?.output()?;
        if !output.status.success() {
            bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(Some(String::from_utf8_lossy(&output.stdout).into_owned()))
    })?;
    for image in IMAGES.iter().filter(|image| image.comes == Comes::AtStart) {
        if present.lines().any(|line| line == image.reference) {
            continue;
        }
        let path = archive(lab.topology(), image);
        let output = ctr(&["images", "import", &path.to_string_lossy()])?.output()?;
        if !output.status.success() {
            bail!(
                "{node}: importing {}: {}",
                image.reference,
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
    }
    Ok(())
}
