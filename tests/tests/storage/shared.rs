//! One real file system mounted on all nodes, as an NFS export would be.

use cluster_tests::{Cluster, Shell};

/// Where it is mounted on every node.
pub const MOUNTED: &str = "/var/nfs_shared";
const NODES: [&str; 3] = ["m-k8s", "w1-k8s", "w2-k8s"];

/// The file system; unmounted when dropped.
pub struct Share<'a> {
    shell: &'a Shell<'a>,
    kind: Kind,
    /// The loop device, where there is one.
    device: Option<String>,
}

#[derive(Clone, Copy)]
enum Kind {
    /// An ext4 image behind a loop device. The nodes have one kernel: mounted three times, it is one file system.
    Loop,
    /// A directory of the machine, where there are no loop devices.
    Bind,
}

impl<'a> Share<'a> {
    /// Mounts what the machine can mount.
    pub fn mount(cluster: &Cluster, shell: &'a Shell<'a>) -> Self {
        cluster.file("make-share.sh", "set -e; truncate -s 16M share.img; mkfs.ext4 -q share.img; losetup --find --show share.img\n").unwrap();
        let made = shell.types("sh make-share.sh");
        let device = (made.code == 0).then(|| made.out.trim().to_owned());
        let share = Self { shell, kind: Kind::Loop, device };
        share.prepare();
        let Some(device) = share.device.clone() else { return share.bind() };
        for node in NODES {
            let mounted = shell.run_in(node, &["mount", "-t", "ext4", &device, MOUNTED]);
            if mounted.code != 0 {
                println!("{}", mounted.err);
                return share.bind();
            }
        }
        shell.run_in("m-k8s", &["chmod", "777", MOUNTED]).ok();
        share
    }

    fn prepare(&self) {
        for node in NODES {
            self.shell.run_in(node, &["mkdir", "-p", MOUNTED]).ok();
        }
    }

    fn bind(mut self) -> Self {
        self.unmount();
        self.kind = Kind::Bind;
        let directory = self.shell.types("mkdir -p share && chmod 777 share && realpath share");
        let directory = directory.ok().trim().to_owned();
        for node in NODES {
            self.shell.run_in(node, &["mount", "--bind", &directory, MOUNTED]).ok();
        }
        self
    }

    /// Says what it is.
    pub fn what(&self) -> &'static str {
        match self.kind {
            Kind::Loop => "an ext4 file system on a loop device, mounted by every node",
            Kind::Bind => "a directory of this machine, bound into every node",
        }
    }

    fn unmount(&mut self) {
        for node in NODES {
            self.shell.run_in(node, &["umount", MOUNTED]);
        }
        if let Some(device) = self.device.take() {
            self.shell.types(&format!("losetup --detach {device}"));
        }
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        self.unmount();
    }
}
