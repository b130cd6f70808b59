//! The checks before anything is changed. Each failure has upstream's name and says how to mend it.

use std::collections::BTreeSet;

use crate::{
    container_runtime::RuntimeFile,
    failure::Preflight,
    systemd::{CONTROL_PLANE, NODE},
};

/// What the machine is to become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The first of a cluster's control planes.
    First,
    /// A further one.
    ControlPlane,
    /// A node that runs pods alone.
    Worker,
}

impl Role {
    /// The units it runs.
    pub fn units(self, external_etcd: bool) -> impl Iterator<Item = &'static str> {
        let control_plane = if self == Self::Worker { &[][..] } else { CONTROL_PLANE };
        control_plane.iter().chain(NODE).copied().filter(move |unit| !(external_etcd && *unit == "kube-etcd"))
    }

    fn command(self) -> &'static str {
        if self == Self::First { "kubeadm init" } else { "kubeadm join" }
    }

    fn ports(self, api: u16, external_etcd: bool) -> Vec<u16> {
        let mut ports = vec![10250, 10248, 10249, 10256];
        if self != Self::Worker {
            ports.extend([api, 10257, 10258, 10259]);
            if !external_etcd {
                ports.extend([2379, 2380]);
            }
        }
        ports.sort_unstable();
        ports
    }
}

/// The etcd service that a distribution's package has started by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DistributionEtcd {
    /// There is none, or it is off.
    Absent,
    /// It holds nothing: kubeadm turns it off.
    Idle,
    /// It holds keys, or does not say.
    InUse,
}

/// A machine as the checks see it.
#[derive(Debug, Clone)]
pub struct View {
    /// Whether kubeadm runs as root.
    pub root: bool,
    /// Whether systemd runs the machine.
    pub systemd: bool,
    /// Programs that are needed and not there.
    pub missing_programs: Vec<String>,
    /// Units that are needed and not there.
    pub missing_units: Vec<String>,
    /// Firewalls that run.
    pub firewalls: Vec<String>,
    /// Whether there is swap.
    pub swap: bool,
    /// Memory.
    pub memory_mib: u64,
    /// Cgroup controllers that are needed and not there.
    pub missing_controllers: Vec<String>,
    /// Ports that something listens on.
    pub busy_ports: BTreeSet<u16>,
    /// Files of an earlier init or join.
    pub leftovers: Vec<String>,
    /// Whether there is an authority's certificate.
    pub ca_is_there: bool,
    /// Whether there is data of an etcd member where ours keeps its.
    pub etcd_data: bool,
    /// The distribution's etcd service.
    pub distribution_etcd: DistributionEtcd,
    /// The runtime's configuration.
    pub runtime: RuntimeFile,
    /// Whether the runtime is installed.
    pub runtime_unit: bool,
}

/// A check that was not passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Its name, for `--ignore-preflight-errors`.
    pub name: String,
    /// What is wrong and how to mend it.
    pub message: String,
    /// Whether one can go on.
    pub fatal: bool,
}

/// Judges a machine.
pub fn check(view: &View, role: Role, api_port: u16, external_etcd: bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut fatal = |name: &str, message: String| {
        findings.push(Finding { name: name.into(), message, fatal: true });
    };
    if !view.root {
        fatal("IsPrivilegedUser", "user is not running as root; run the command with sudo".into());
    }
    if !view.systemd {
        fatal(
            "Systemd",
            "this machine is not run by systemd, which starts the components; boot it with systemd as process 1"
                .into(),
        );
    }
    for program in &view.missing_programs {
        let package = match program.as_str() {
            "ctr" => "containerd",
            "modprobe" => "kmod",
            "systemctl" => "systemd",
            other => other,
        };
        fatal(
            &format!("FileExisting-{program}"),
            format!("{program} not found in system path; install it: apt-get install {package}"),
        );
    }
    for unit in view.missing_units.iter().filter(|_| view.systemd) {
        let package =
            if NODE.contains(&unit.as_str()) { "magnetite-node" } else { "magnetite-control-plane" };
        fatal(
            &format!("Unit-{unit}"),
            format!("the unit {unit}.service is not installed; install the package {package}"),
        );
    }
    if !view.runtime_unit && view.systemd {
        fatal(
            "CRI",
            "container runtime is not running: containerd is not installed; install it: apt-get install containerd"
                .into(),
        );
    }
    if let RuntimeFile::Unfit(why) = &view.runtime {
        fatal("CRI", why.clone());
    }
    for controller in &view.missing_controllers {
        fatal(
            "SystemVerification",
            format!(
                "missing required cgroup controller {controller}; enable it on the kernel's command line \
                 (cgroup_enable={controller}) and reboot"
            ),
        );
    }
    if view.memory_mib < 450 {
        fatal(
            "Mem",
            format!(
                "the system RAM ({} MB) is less than the minimum 512 MB; give the machine more",
                view.memory_mib
            ),
        );
    }
    if view.leftovers.is_empty() {
        for port in
            role.ports(api_port, external_etcd).into_iter().filter(|port| view.busy_ports.contains(port))
        {
            if matches!(port, 2379 | 2380) && view.distribution_etcd == DistributionEtcd::Idle {
                continue;
            }
            fatal(
                &format!("Port-{port}"),
                format!(
                    "Port {port} is in use; see who listens with `ss -ltnp 'sport = :{port}'` and stop it"
                ),
            );
        }
    } else {
        // What runs of the earlier try holds its ports too; one word about all of it is enough.
        let name = format!("FileAvailable-{}", view.leftovers[0].replace('/', "-"));
        fatal(
            &name,
            format!(
                "{} already exists{}: this machine is part of a cluster, or an earlier kubeadm init or join did \
                 not finish. Run `kubeadm reset`, then `{}` again",
                view.leftovers[0],
                match view.leftovers.len() {
                    1 => String::new(),
                    more => format!(" (and {} more files)", more - 1),
                },
                role.command()
            ),
        );
    }
    if role == Role::Worker && view.ca_is_there && view.leftovers.is_empty() {
        fatal(
            "FileAvailable--etc-kubernetes-pki-ca.crt",
            "/etc/kubernetes/pki/ca.crt already exists: run `kubeadm reset`, then `kubeadm join` again"
                .into(),
        );
    }
    if role != Role::Worker && !external_etcd {
        if view.etcd_data && view.leftovers.is_empty() {
            fatal(
                "DirAvailable--var-lib-etcd",
                "/var/lib/etcd is not empty: it holds a member of an earlier cluster. To bring that cluster back use \
                 `kubeadm restore`; to lose it, `kubeadm reset`"
                    .into(),
            );
        }
        if view.distribution_etcd == DistributionEtcd::InUse {
            fatal(
                "Etcd",
                "the distribution's etcd.service runs here and holds keys (or does not answer), on the ports that the \
                 cluster's member needs. Save what it holds (etcdctl snapshot save), then: systemctl disable --now etcd"
                    .into(),
            );
        }
    }
    let mut warn = |name: &str, message: String| {
        findings.push(Finding { name: name.into(), message, fatal: false });
    };
    if view.swap {
        warn(
            "Swap",
            "swap is on: pods may be slowed down by it where they would have been ended; turn it off with `swapoff -a` \
             and in /etc/fstab"
                .into(),
        );
    }
    for firewall in &view.firewalls {
        let ports: Vec<String> = match role {
            Role::Worker => vec!["10250".into(), "30000-32767".into()],
            _ => vec![api_port.to_string(), "2379-2380".into(), "10250".into(), "30000-32767".into()],
        };
        warn(
            "Firewalld",
            format!(
                "{firewall} is active, please ensure ports [{}] are open or your cluster may not function correctly",
                ports.join(" ")
            ),
        );
    }
    findings
}

/// Prints warnings; fails with what is fatal and not ignored (`all` ignores everything).
pub fn report(findings: &[Finding], ignored: &[String]) -> anyhow::Result<()> {
    let is_ignored =
        |finding: &Finding| ignored.iter().any(|one| one == "all" || *one == finding.name.to_lowercase());
    let (fatal, warnings): (Vec<&Finding>, Vec<&Finding>) =
        findings.iter().partition(|finding| finding.fatal && !is_ignored(finding));
    for warning in warnings {
        eprintln!("\t[WARNING {}]: {}", warning.name, warning.message);
    }
    if fatal.is_empty() {
        return Ok(());
    }
    let lines: String =
        fatal.iter().map(|finding| format!("\t[ERROR {}]: {}\n", finding.name, finding.message)).collect();
    Err(Preflight(format!(
        "[preflight] Some fatal errors occurred:\n{lines}[preflight] If you know what you are doing, you can make a \
         check non-fatal with `--ignore-preflight-errors=...`"
    ))
    .into())
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn good() -> View {
        View {
            root: true,
            systemd: true,
            missing_programs: Vec::new(),
            missing_units: Vec::new(),
            firewalls: Vec::new(),
            swap: false,
            memory_mib: 1024,
            missing_controllers: Vec::new(),
            busy_ports: BTreeSet::new(),
            leftovers: Vec::new(),
            ca_is_there: false,
            etcd_data: false,
            distribution_etcd: DistributionEtcd::Absent,
            runtime: RuntimeFile::Untouched,
            runtime_unit: true,
        }
    }

    fn found(view: View, role: Role, expected: Expect) {
        let lines: String = check(&view, role, 6443, false)
            .iter()
            .map(|finding| {
                format!("{} {}: {}\n", if finding.fatal { "E" } else { "W" }, finding.name, finding.message)
            })
            .collect();
        expected.assert_eq(&lines);
    }

    #[test]
    fn a_good_machine_passes() {
        for role in [Role::First, Role::ControlPlane, Role::Worker] {
            found(good(), role, expect![""]);
        }
    }

    #[test]
    fn an_earlier_try_is_one_finding_and_not_ten() {
        let view = View {
            leftovers: vec!["/etc/kubernetes/admin.conf".into(), "/etc/kubernetes/kubelet.conf".into()],
            busy_ports: [6443, 10250].into(),
            ca_is_there: true,
            ..good()
        };
        found(
            view,
            Role::First,
            expect![[r#"
                E FileAvailable--etc-kubernetes-admin.conf: /etc/kubernetes/admin.conf already exists (and 1 more files): this machine is part of a cluster, or an earlier kubeadm init or join did not finish. Run `kubeadm reset`, then `kubeadm init` again
            "#]],
        );
    }

    #[test]
    fn an_idle_etcd_of_the_distribution_is_no_obstacle() {
        let busy = View { busy_ports: [2379, 2380].into(), ..good() };
        found(View { distribution_etcd: DistributionEtcd::Idle, ..busy.clone() }, Role::First, expect![""]);
        found(
            View { distribution_etcd: DistributionEtcd::InUse, ..busy },
            Role::First,
            expect![[r#"
                E Port-2379: Port 2379 is in use; see who listens with `ss -ltnp 'sport = :2379'` and stop it
                E Port-2380: Port 2380 is in use; see who listens with `ss -ltnp 'sport = :2380'` and stop it
                E Etcd: the distribution's etcd.service runs here and holds keys (or does not answer), on the ports that the cluster's member needs. Save what it holds (etcdctl snapshot save), then: systemctl disable --now etcd
            "#]],
        );
    }

    #[test]
    fn what_is_missing_names_its_package() {
        let view = View {
            missing_units: vec!["kube-apiserver".into(), "kubelet".into()],
            missing_programs: vec!["ctr".into()],
            swap: true,
            ..good()
        };
        found(
            view,
            Role::First,
            expect![[r#"
                E FileExisting-ctr: ctr not found in system path; install it: apt-get install containerd
                E Unit-kube-apiserver: the unit kube-apiserver.service is not installed; install the package magnetite-control-plane
                E Unit-kubelet: the unit kubelet.service is not installed; install the package magnetite-node
                W Swap: swap is on: pods may be slowed down by it where they would have been ended; turn it off with `swapoff -a` and in /etc/fstab
            "#]],
        );
    }

    #[test]
    fn ignored_checks_warn() {
        let findings = check(&View { root: false, ..good() }, Role::Worker, 6443, false);
        let error = report(&findings, &[]).unwrap_err();
        assert_eq!(crate::failure::exit_code(&error), 2);
        assert!(error.to_string().contains("[ERROR IsPrivilegedUser]"));
        assert!(report(&findings, &["isprivilegeduser".into()]).is_ok());
        assert!(report(&findings, &["all".into()]).is_ok());
    }
}
