//! The fabric: a namespace with a bridge, and a cable from it to each machine.

use std::{path::Path, process::Command};

use lab::processes::run;

use crate::topology::{GATEWAY, Machine, Topology};

fn ip(arguments: &str) -> anyhow::Result<String> {
    run("ip", &arguments.split_whitespace().collect::<Vec<_>>())
}

/// Makes the fabric with its bridge.
pub fn create_fabric(topology: &Topology) -> anyhow::Result<()> {
    let fabric = topology.fabric();
    if !Path::new("/run/netns").join(&fabric).exists() {
        ip(&format!("netns add {fabric}"))?;
        ip(&format!("-n {fabric} link set lo up"))?;
        ip(&format!("-n {fabric} link add br0 type bridge"))?;
        ip(&format!("-n {fabric} addr add {GATEWAY}/24 dev br0"))?;
        ip(&format!("-n {fabric} link set br0 up"))?;
    }
    Ok(())
}

/// Plugs this process's network namespace, a machine's, into the bridge. What an earlier boot left in the socket is
/// pulled out first: the kernel frees a dead machine's namespace a moment late.
pub fn plug_in(topology: &Topology, machine: &Machine) -> anyhow::Result<()> {
    let (fabric, port, pid) = (topology.fabric(), port_of(machine), std::process::id());
    let _ = ip(&format!("-n {fabric} link del {port}"));
    ip(&format!("-n {fabric} link add {port} type veth peer name eth0 netns {pid}"))?;
    ip(&format!("-n {fabric} link set {port} master br0 up"))?;
    ip("link set lo up")?;
    ip(&format!("addr add {}/24 dev eth0", machine.address))?;
    ip("link set eth0 up")?;
    ip(&format!("route add default via {GATEWAY}"))?;
    Ok(())
}

fn port_of(machine: &Machine) -> String {
    format!("p-{}", machine.name)
}

/// Removes the fabric with everything in it.
pub fn remove_fabric(topology: &Topology) -> anyhow::Result<()> {
    let fabric = topology.fabric();
    if Path::new("/run/netns").join(&fabric).exists() {
        ip(&format!("netns del {fabric}"))?;
    }
    Ok(())
}

/// A command that runs in the fabric's network: outside every machine, one hop away from all.
pub fn in_fabric(topology: &Topology, program: &str) -> Command {
    let mut command = Command::new("nsenter");
    command.arg(format!("--net=/run/netns/{}", topology.fabric())).arg("--").arg(program);
    command
}
