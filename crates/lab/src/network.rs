//! The fabric: a namespace with a bridge, and a cable from it to each node.

use std::{path::Path, process::Command};

use nix::unistd::Pid;

use crate::{
    processes::run,
    topology::{GATEWAY, Node, Topology},
};

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

/// Plugs a node, whose init is `pid`, into the bridge.
pub fn plug_in(topology: &Topology, node: &Node, pid: Pid) -> anyhow::Result<()> {
    let (fabric, port) = (topology.fabric(), port_of(node));
    ip(&format!("-n {fabric} link add {port} type veth peer name eth0 netns {pid}"))?;
    ip(&format!("-n {fabric} link set {port} master br0 up"))?;
    let inside = |arguments: &str| {
        let net = format!("--net=/proc/{pid}/ns/net");
        let mut words = vec![net.as_str(), "ip"];
        words.extend(arguments.split_whitespace());
        run("nsenter", &words)
    };
    inside("link set lo up")?;
    inside(&format!("addr add {}/24 dev eth0", node.address))?;
    inside("link set eth0 up")?;
    inside(&format!("route add default via {GATEWAY}"))?;
    Ok(())
}

/// Unplugs a node; the cable is gone with either end.
pub fn unplug(topology: &Topology, node: &Node) {
    let _ = ip(&format!("-n {} link del {}", topology.fabric(), port_of(node)));
}

fn port_of(node: &Node) -> String {
    // An interface name has at most 15 bytes.
    format!("p-{}", node.name).chars().take(15).collect()
}

/// Removes the fabric with everything in it.
pub fn remove_fabric(topology: &Topology) -> anyhow::Result<()> {
    let fabric = topology.fabric();
    if Path::new("/run/netns").join(&fabric).exists() {
        ip(&format!("netns del {fabric}"))?;
    }
    Ok(())
}

/// A command that runs in the fabric's network: outside every node, one hop away from all.
pub fn in_fabric(topology: &Topology, program: &str) -> Command {
    let mut command = Command::new("nsenter");
    command.arg(format!("--net=/run/netns/{}", topology.fabric())).arg("--").arg(program);
    command
}
