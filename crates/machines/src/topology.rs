//! Names, addresses and paths of a site.

use std::{
    net::Ipv4Addr,
    path::{Path, PathBuf},
};

use anyhow::bail;
use serde::{Deserialize, Serialize};

/// Address of the fabric's bridge, the machines' default gateway.
pub const GATEWAY: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 1);

/// The machines of a course: one for the control plane, two workers.
pub const COURSE: [&str; 3] = ["m-k8s", "w1-k8s", "w2-k8s"];

/// One machine of a site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Host name.
    pub name: String,
    /// Address on the bridge.
    pub address: Ipv4Addr,
}

/// A site: what it is called, where its files are, and its machines.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Topology {
    /// Name of the site; several can run side by side.
    pub name: String,
    /// Directory that holds everything of this site on disk.
    pub state: PathBuf,
    /// Directories below a machine's own files, the uppermost first: the software, then Debian.
    pub lower: Vec<PathBuf>,
    /// Directories of the host that every machine sees, read-only: from, to.
    pub shared: Vec<(PathBuf, PathBuf)>,
    /// The machines.
    pub machines: Vec<Machine>,
}

impl Topology {
    /// A site of machines with these names. The course's machines have the course's addresses.
    pub fn new(name: &str, state: &Path, machines: &[&str]) -> anyhow::Result<Self> {
        let mut found: Vec<Machine> = Vec::new();
        for (index, machine) in machines.iter().enumerate() {
            if !is_host_name(machine) || found.iter().any(|other| other.name == *machine) {
                bail!("machine {machine:?}: a name of small letters, digits and dashes, each one once");
            }
            found.push(Machine { name: (*machine).into(), address: address_of(machine, index)? });
        }
        Ok(Self {
            name: name.into(),
            state: state.into(),
            lower: Vec::new(),
            shared: Vec::new(),
            machines: found,
        })
    }

    /// The machine with this name.
    pub fn machine(&self, name: &str) -> Option<&Machine> {
        self.machines.iter().find(|machine| machine.name == name)
    }

    /// Directory of a machine's own files.
    pub fn machine_state(&self, machine: &Machine) -> PathBuf {
        self.state.join(&machine.name)
    }

    /// Name of the fabric's network namespace.
    pub fn fabric(&self) -> String {
        format!("{}-machines", self.name)
    }

    /// Cgroup in which a machine lives, from the root of each hierarchy.
    pub fn cgroup(&self, machine: &Machine) -> String {
        format!("{}/{}", self.cgroups(), machine.name)
    }

    /// Cgroup of the whole site.
    pub fn cgroups(&self) -> String {
        format!("/magnetite-machines/{}", self.name)
    }

    /// File in which the topology itself is kept.
    pub fn file(state: &Path) -> PathBuf {
        state.join("topology.json")
    }
}

fn is_host_name(name: &str) -> bool {
    // An interface on the fabric is called after the machine: `p-` and 13 bytes.
    (1..=13).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && !name.starts_with('-')
}

/// `m…` are .10, .11, …; a name that begins with `w` and a digit is .100 and that digit; others count from .20.
fn address_of(name: &str, index: usize) -> anyhow::Result<Ipv4Addr> {
    let digit = |prefix: &str| name.strip_prefix(prefix)?.chars().next()?.to_digit(10);
    let last = match (digit("w"), digit("m")) {
        (Some(worker), _) => 100 + worker as usize,
        (None, Some(master)) => 9 + master as usize,
        (None, None) if name == COURSE[0] => 10,
        (None, None) => 20 + index,
    };
    match u8::try_from(last) {
        Ok(last) if last < 255 => Ok(Ipv4Addr::new(192, 168, 1, last)),
        _ => bail!("too many machines for one network"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_courses_machines_have_the_courses_addresses() {
        let site = Topology::new("x", Path::new("/x"), &COURSE).unwrap();
        let addresses: Vec<String> =
            site.machines.iter().map(|machine| machine.address.to_string()).collect();
        assert_eq!(addresses, ["192.168.1.10", "192.168.1.101", "192.168.1.102"]);
        let site = Topology::new("x", Path::new("/x"), &["m1", "m2", "server", "node-0"]).unwrap();
        let addresses: Vec<String> =
            site.machines.iter().map(|machine| machine.address.to_string()).collect();
        assert_eq!(addresses, ["192.168.1.10", "192.168.1.11", "192.168.1.22", "192.168.1.23"]);
    }

    #[test]
    fn names_that_are_no_host_names_are_refused() {
        for name in ["", "Node", "a/b", "..", "-a", "a-name-too-long-for-a-port"] {
            assert!(Topology::new("x", Path::new("/x"), &[name]).is_err(), "{name}");
        }
        assert!(Topology::new("x", Path::new("/x"), &["a", "a"]).is_err());
    }
}
