//! The lab's command line.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use clap::{Parser, Subcommand};

use crate::{Lab, Options, forward, home, init, progress::Progress};

#[derive(Parser)]
#[command(name = "lab", about = "A multi-node Kubernetes cluster on one machine", version)]
struct Cli {
    #[command(subcommand)]
    command: Cmd,
}

#[derive(clap::Args)]
struct Which {
    /// Name of the lab; labs with other names can run side by side
    #[arg(long, default_value = "magnetite")]
    name: String,
    /// Directory that holds the labs
    #[arg(long, env = "MAGNETITE_LABS")]
    directory: Option<PathBuf>,
}

impl Which {
    fn directory(&self) -> anyhow::Result<PathBuf> {
        match &self.directory {
            Some(directory) => Ok(std::path::absolute(directory)?),
            None => Ok(home(&binaries()?)),
        }
    }
    fn attach(&self) -> anyhow::Result<Lab> {
        Lab::attach(&self.directory()?, &self.name)
    }
}

#[derive(Subcommand)]
enum Cmd {
    /// Start a cluster, or complete one that is partly there
    Up {
        #[command(flatten)]
        which: Which,
        /// Loopback port that leads to the API server; 0 takes a free one
        #[arg(long, default_value_t = 6443)]
        api_port: u16,
        /// Number of etcd members: 1 or 3
        #[arg(long, default_value_t = 1)]
        etcd_members: usize,
    },
    /// Remove every trace of a cluster
    Down {
        #[command(flatten)]
        which: Which,
    },
    /// Show what runs on each node
    Status {
        #[command(flatten)]
        which: Which,
    },
    /// Run a command inside a node, or in `fabric`: outside all nodes, on their network
    Exec {
        #[command(flatten)]
        which: Which,
        /// Node name, or `fabric`
        place: String,
        /// The command and its arguments
        #[arg(last = true, required = true)]
        command: Vec<String>,
    },
    /// Order a node's init: start, stop or kill a unit (a killed unit starts again by itself)
    Unit {
        #[command(flatten)]
        which: Which,
        /// start, stop or kill
        #[arg(value_parser = ["start", "stop", "kill"])]
        order: String,
        /// Node name
        node: String,
        /// Unit name, such as kubelet
        unit: String,
    },
    /// The first process of a node
    #[command(hide = true)]
    Init { state: PathBuf, plan: PathBuf },
    /// The registry of a node's loopback
    #[command(hide = true)]
    Registry { images: PathBuf, address: String },
    /// The forwarder from the host's loopback to the API server
    #[command(hide = true)]
    Forward { state: PathBuf, port: u16, namespace: PathBuf, target: SocketAddr },
}

/// Directory of this program, where the other binaries are too.
fn binaries() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe()?;
    Ok(own.parent().context("a program has a directory")?.to_owned())
}

/// Parses the command line and does what it says.
pub fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Cmd) -> anyhow::Result<ExitCode> {
    match command {
        Cmd::Up { which, api_port, etcd_members } => {
            let options = Options {
                directory: which.directory()?,
                name: which.name,
                binaries: binaries()?,
                api_port,
                etcd_members,
            };
            let progress = Progress::default();
            let lab = Lab::up(&options, &progress)?;
            farewell(&lab, progress.elapsed());
        }
        Cmd::Down { which } => Lab::down(&which.directory()?, &which.name)?,
        Cmd::Status { which } => {
            let lab = which.attach()?;
            println!("{:<8} {:<16} {:<24} {:>7} {:>7}", "NODE", "ADDRESS", "UNIT", "PID", "STARTS");
            for node in &lab.topology().nodes {
                for line in lab.order(&node.name, "status")?.lines() {
                    let mut words = line.split(' ');
                    let mut word = || words.next().unwrap_or("");
                    let (unit, pid, starts) = (word(), word(), word());
                    println!(
                        "{:<8} {:<16} {unit:<24} {pid:>7} {starts:>7}",
                        node.name,
                        node.address.to_string()
                    );
                }
            }
        }
        Cmd::Exec { which, place, command } => {
            let (program, arguments) = command.split_first().context("a command")?;
            let status = which.attach()?.command_in(&place, program)?.args(arguments).status()?;
            return Ok(ExitCode::from(u8::try_from(status.code().unwrap_or(1)).unwrap_or(1)));
        }
        Cmd::Unit { which, order, node, unit } => {
            which.attach()?.order(&node, &format!("{order} {unit}"))?;
        }
        Cmd::Init { plan, .. } => init::run(&plan)?,
        Cmd::Registry { images, address } => images::registry::run(&images, &address)?,
        Cmd::Forward { port, namespace, target, .. } => forward::run(port, &namespace, target)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// What to type next.
fn farewell(lab: &Lab, seconds: f32) {
    let topology = lab.topology();
    println!("\nThree nodes are Ready after {seconds:.0}s. In your shell:\n");
    println!("    export KUBECONFIG={}", topology.kubeconfig().display());
    println!("    export PATH={}:$PATH\n", topology.binaries.display());
    println!("    kubectl get nodes -o wide");
    println!("    kubectl create deployment deploy-nginx --image=nginx --replicas=3");
    println!("    kubectl get deploy,rs,po -o wide\n");
    println!("Inside a node:  cargo xtask lab exec w1-k8s -- ip route");
    println!(
        "Outside them:   cargo xtask lab exec fabric -- curl -s http://{}:<node port>",
        topology.nodes[1].address
    );
    println!("To end it all:  cargo xtask down");
}
