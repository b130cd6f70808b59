//! The images of the lab's nodes: their archives, and what is imported at the start.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::bail;
use images::{Comes, IMAGES, Image};

use crate::{Lab, Topology, processes::wait_for};

fn archive(topology: &Topology, image: &Image) -> PathBuf {
    topology.state.join("images").join(image.file_name())
}

/// Writes an OCI archive of each image into the lab's directory.
pub fn build_all(topology: &Topology) -> anyhow::Result<()> {
    for image in IMAGES {
        let path = archive(topology, image);
        if !path.exists() {
            image.write(&topology.binaries, &path)?;
        }
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
