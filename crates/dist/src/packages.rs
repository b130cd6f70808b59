//! The packages: what is in each, and what it needs.

use images::Part;

use crate::{Release, manual, tree::Tree};

/// A Debian package.
pub struct Package {
    /// Its name.
    pub name: &'static str,
    /// One line of what it is.
    pub summary: &'static str,
    /// What it is in more lines.
    pub description: &'static str,
    /// Packages of other sources without which it does not work.
    pub depends: &'static [&'static str],
    /// Packages of this release, of the same version.
    pub needs: &'static [&'static str],
    /// Packages that most who install it want.
    pub recommends: &'static [&'static str],
    /// Its units: systemd reads their files anew, and they are stopped before their programs are removed.
    pub units: &'static [&'static str],
    /// Whether it makes users.
    pub users: bool,
    /// Puts its files in.
    pub(crate) fill: fn(&Release<'_>, &Tree) -> anyhow::Result<()>,
}

/// Every package.
pub const PACKAGES: &[Package] = &[
    Package {
        name: "magnetite-cli",
        summary: "command lines of Kubernetes: kubectl and kubeadm",
        description: "kubectl controls a cluster from any machine; kubeadm makes clusters, lets\nmachines join them, and renews, upgrades, saves and removes them.",
        depends: &[],
        needs: &[],
        recommends: &["bash-completion"],
        units: &["kubeadm-renew.timer", "kubeadm-renew.service", "kubeadm-renew-boot.service"],
        users: false,
        fill: command_lines,
    },
    Package {
        name: "magnetite-node",
        summary: "Kubernetes node: kubelet, kube-proxy and pod network",
        description: "What every machine of a cluster runs, and the images that every cluster\nneeds. Nothing is started: kubeadm does that once it has made or joined a\ncluster.",
        depends: &[
            "conntrack",
            "containerd | containerd.io",
            "containernetworking-plugins",
            "iproute2",
            "iptables",
            "kmod",
            "mount",
            "nftables",
            "systemd",
        ],
        needs: &["magnetite-cli"],
        recommends: &["nfs-common"],
        units: &["kubelet.service", "kube-proxy.service", "podnet.service"],
        users: false,
        fill: node,
    },
    Package {
        name: "magnetite-control-plane",
        summary: "Kubernetes control plane: API server, scheduler, controllers",
        description: "What a control plane runs besides a node's programs. Nothing is started:\nkubeadm does that once it has made or joined a cluster.",
        depends: &["etcd-client | etcd", "etcd-server | etcd", "systemd"],
        needs: &["magnetite-node"],
        recommends: &[],
        units: &[
            "kube-scheduler.service",
            "cloud-controller-manager.service",
            "kube-controller-manager.service",
            "kube-apiserver.service",
            "kube-etcd.service",
        ],
        users: true,
        fill: control_plane,
    },
    Package {
        name: "magnetite-course-images",
        summary: "images of Kubernetes courses, for machines without a registry",
        description: "Stand-ins of the images that courses use, and a registry that serves them to\nthe machine it runs on. Nothing is started: \"systemctl enable --now\nmagnetite-registry\" does that.",
        depends: &[],
        needs: &["magnetite-node"],
        recommends: &[],
        units: &["magnetite-registry.service"],
        users: false,
        fill: course_images,
    },
];

/// Where units of packages are.
const UNITS: &str = "lib/systemd/system";
/// Where what no other program reads is.
const SHARE: &str = "usr/share/magnetite";

fn programs(release: &Release<'_>, tree: &Tree, names: &[&str]) -> anyhow::Result<()> {
    names
        .iter()
        .try_for_each(|name| tree.copy(&release.programs.join(name), &format!("usr/bin/{name}"), 0o755))
}

fn units(release: &Release<'_>, tree: &Tree, names: &[&str]) -> anyhow::Result<()> {
    names.iter().try_for_each(|name| {
        tree.copy(&release.deploy("systemd").join(name), &format!("{UNITS}/{name}"), 0o644)
    })
}

fn archives(release: &Release<'_>, tree: &Tree, part: Part) -> anyhow::Result<()> {
    images::IMAGES.iter().filter(|image| image.part == part).try_for_each(|image| {
        let name = image.file_name();
        tree.copy(&release.images.join(&name), &format!("{SHARE}/images/{name}"), 0o644)
    })
}

fn command_lines(release: &Release<'_>, tree: &Tree) -> anyhow::Result<()> {
    programs(release, tree, &["kubeadm", "kubectl"])?;
    units(release, tree, &["kubeadm-renew.service", "kubeadm-renew.timer", "kubeadm-renew-boot.service"])?;
    tree.write(&format!("{SHARE}/release.json"), 0o644, release.description.as_bytes())?;
    tree.gzip("usr/share/doc/magnetite-cli/licenses.gz", &release.notices)?;
    for page in manual::pages()? {
        tree.gzip(&format!("usr/share/man/man1/{}.gz", page.name), &page.text)?;
    }
    for script in manual::completions()? {
        tree.write(&format!("usr/share/{}", script.name), 0o644, script.text.as_bytes())?;
    }
    Ok(())
}

fn node(release: &Release<'_>, tree: &Tree) -> anyhow::Result<()> {
    programs(release, tree, &["kube-proxy", "kubelet", "podnet"])?;
    units(release, tree, &["kube-proxy.service", "kubelet.service", "podnet.service"])?;
    let modules = "modules-load.d/magnetite.conf";
    tree.copy(&release.deploy(modules), &format!("usr/lib/{modules}"), 0o644)?;
    archives(release, tree, Part::Cluster)
}

fn control_plane(release: &Release<'_>, tree: &Tree) -> anyhow::Result<()> {
    let own = ["cloud-controller-manager", "kube-apiserver", "kube-controller-manager", "kube-scheduler"];
    programs(release, tree, &own)?;
    for name in own.iter().chain(&["kube-etcd"]) {
        units(release, tree, &[&format!("{name}.service")])?;
    }
    let users = "sysusers.d/magnetite.conf";
    tree.copy(&release.deploy(users), &format!("usr/lib/{users}"), 0o644)
}

fn course_images(release: &Release<'_>, tree: &Tree) -> anyhow::Result<()> {
    tree.copy(&release.programs.join("images"), "usr/lib/magnetite/image-registry", 0o755)?;
    units(release, tree, &["magnetite-registry.service"])?;
    tree.copy(&release.deploy("registry/hosts.toml"), "etc/containerd/certs.d/_default/hosts.toml", 0o644)?;
    // What Debian's packages brought into the images keeps the licences that they came with.
    for package in ["busybox-static", "curl", "nginx-light", "redis-tools"] {
        let told = std::fs::read_to_string(format!("/usr/share/doc/{package}/copyright"));
        if let Ok(text) = told {
            tree.gzip(&format!("usr/share/doc/magnetite-course-images/{package}.copyright.gz"), &text)?;
        }
    }
    archives(release, tree, Part::Course)
}
