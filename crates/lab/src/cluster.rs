//! A lab from its start to its end.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::SocketAddr,
    os::unix::{net::UnixStream, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, bail};
use nix::unistd::Pid;

use crate::{
    certificates, cgroup, images, network,
    processes::{self, wait_for},
    progress::Progress,
    topology::{Node, Topology},
    units,
};

const READY_WITHIN: Duration = Duration::from_secs(180);

/// What runs in the cluster from the start. A lab is up once names resolve; metrics take two rounds longer.
const ADD_ONS: &[(&str, &str)] = &[
    ("cluster-dns.yaml", include_str!("../../../deploy/manifests/cluster-dns.yaml")),
    ("metrics-server.yaml", include_str!("../../../deploy/manifests/metrics-server.yaml")),
    ("local-path-storage.yaml", include_str!("../../../deploy/manifests/local-path-storage.yaml")),
    ("load-balancer.yaml", include_str!("../../../deploy/manifests/load-balancer.yaml")),
];

/// What a lab is to be like.
#[derive(Debug, Clone)]
pub struct Options {
    /// Name; labs with other names can run beside it.
    pub name: String,
    /// Directory under which each lab has its own.
    pub directory: PathBuf,
    /// Directory of the components' binaries.
    pub binaries: PathBuf,
    /// Loopback port that leads to the API server; 0 takes a free one.
    pub api_port: u16,
    /// etcd members: 1 or 3.
    pub etcd_members: usize,
}

/// A running lab.
pub struct Lab {
    topology: Topology,
}

impl Lab {
    /// Starts a lab, or completes one that is partly there, and waits until every node is Ready.
    pub fn up(options: &Options, progress: &Progress) -> anyhow::Result<Self> {
        let lab = Self { topology: topology(options)? };
        let topology = &lab.topology;
        progress.step("certificates and kubeconfigs", || {
            certificates::create(topology, jiff::Timestamp::now())
        })?;
        progress.step("images", || images::build_all(topology))?;
        progress.step("fabric", || {
            network::create_fabric(topology)?;
            lab.start_forwarder()
        })?;
        for node in &topology.nodes {
            progress.step(&format!("node {} {}", node.name, node.address), || lab.start_node(node))?;
        }
        progress.step("images imported on every node", || images::import_all(&lab))?;
        progress.step("API server ready", || {
            wait_for("API server", READY_WITHIN, || {
                Ok(lab.kubectl(&["get", "--raw", "/readyz"])?.status.success().then_some(()))
            })
        })?;
        progress.step("add-ons", || lab.add_ons())?;
        progress.step("nodes Ready", || wait_for("nodes", READY_WITHIN, || lab.nodes_ready()))?;
        progress.step("cluster DNS", || {
            lab.must(&["-n", "kube-system", "rollout", "status", "deployment/cluster-dns", "--timeout=120s"])
                .map(drop)
        })?;
        Ok(lab)
    }

    /// Finds a lab that was started before.
    pub fn attach(directory: &Path, name: &str) -> anyhow::Result<Self> {
        let file = Topology::file(&directory.join(name));
        let text =
            fs::read(&file).with_context(|| format!("no lab {name:?}; start one with: cargo xtask up"))?;
        Ok(Self { topology: serde_json::from_slice(&text).with_context(|| file.display().to_string())? })
    }

    /// Removes every trace of a lab: processes, namespaces, cgroups, files. Also of one that crashed half-way.
    pub fn down(directory: &Path, name: &str) -> anyhow::Result<()> {
        let state = directory.join(name);
        // A lab that never wrote its topology still has the names that every lab has.
        let topology = Self::attach(directory, name)
            .map_or_else(|_| Topology::three_nodes(name, &state, Path::new(""), 0, 1), |lab| lab.topology);
        processes::end(&processes::find("lab", "init", &state), Duration::from_secs(8))?;
        processes::end(&processes::find("unshare", "init", &state), Duration::from_secs(2))?;
        processes::end(&processes::find("lab", "forward", &state), Duration::from_secs(2))?;
        for node in &topology.nodes {
            network::unplug(&topology, node);
            cgroup::remove(&topology.cgroup(node))?;
        }
        cgroup::remove(&format!("/magnetite/{name}"))?;
        cgroup::remove_if_empty("/magnetite");
        network::remove_fabric(&topology)?;
        for path in [&topology.run_directory(), &state] {
            match fs::remove_dir_all(path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(error).with_context(|| format!("removing {}", path.display()));
                }
                _ => {}
            }
        }
        // Shared with other labs: removed by the last.
        let _ = fs::remove_dir("/run/magnetite");
        let _ = fs::remove_dir(directory);
        Ok(())
    }

    /// Names, addresses and paths.
    pub fn topology(&self) -> &Topology {
        &self.topology
    }

    /// Runs the bundled kubectl as the administrator.
    pub fn kubectl(&self, arguments: &[&str]) -> anyhow::Result<std::process::Output> {
        Command::new(self.topology.binaries.join("kubectl"))
            .env("KUBECONFIG", self.topology.kubeconfig())
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .context("running kubectl")
    }

    /// Runs kubectl and returns what it printed; a failure carries its error.
    pub fn must(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let output = self.kubectl(arguments)?;
        if !output.status.success() {
            bail!("kubectl {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// A command inside a node's namespaces, or with `fabric` outside all nodes but in their network.
    pub fn command_in(&self, place: &str, program: &str) -> anyhow::Result<Command> {
        if place == "fabric" {
            return Ok(network::in_fabric(&self.topology, program));
        }
        let node = self.node(place)?;
        let pid = self.init_of(node)?.with_context(|| format!("node {place} is not running"))?;
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--target={pid}"))
            .args(["--mount", "--uts", "--net", "--pid", "--ipc", "--"])
            .arg(program);
        Ok(command)
    }

    /// Gives an order to a node's init: `start`, `stop`, `kill` (it starts again by itself) or `status`.
    pub fn order(&self, node: &str, order: &str) -> anyhow::Result<String> {
        let node = self.node(node)?;
        let socket = self.topology.control_socket(node);
        let mut stream =
            UnixStream::connect(&socket).with_context(|| format!("node {} is not running", node.name))?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        writeln!(stream, "{order}")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        match answer.strip_prefix("error: ") {
            Some(why) => bail!("{}: {order}: {}", node.name, why.trim()),
            None => Ok(answer),
        }
    }

    /// The process id of a unit, as its node sees it; `None` while it does not run.
    pub fn unit_pid(&self, node: &str, unit: &str) -> anyhow::Result<Option<i32>> {
        let status = self.order(node, "status")?;
        Ok(status
            .lines()
            .filter_map(|line| line.split_once(' '))
            .find(|(name, _)| *name == unit)
            .and_then(|(_, rest)| rest.split(' ').next()?.parse().ok())
            .filter(|pid| *pid != 0))
    }

    /// The process id of a running unit, as the host sees it.
    pub fn host_pid(&self, node: &str, unit: &str) -> anyhow::Result<Pid> {
        let not_running = || format!("{unit} does not run on {node}");
        let inner = self.unit_pid(node, unit)?.with_context(not_running)?;
        let init = self.init_of(self.node(node)?)?.with_context(not_running)?;
        // Units are children of their node's init; the last of `NSpid` is the id in the innermost namespace.
        let is_unit = |pid: &Pid| {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            let ids = status.lines().find_map(|line| line.strip_prefix("NSpid:")).unwrap_or_default();
            ids.split_whitespace().next_back() == Some(inner.to_string().as_str())
        };
        processes::children(init).into_iter().find(is_unit).with_context(not_running)
    }

    fn node(&self, name: &str) -> anyhow::Result<&Node> {
        let names: Vec<&str> = self.topology.nodes.iter().map(|node| node.name.as_str()).collect();
        self.topology
            .node(name)
            .with_context(|| format!("no node {name:?}; the nodes are {}", names.join(", ")))
    }

    /// Process 1 of a node, as the host sees it.
    fn init_of(&self, node: &Node) -> anyhow::Result<Option<Pid>> {
        let plan = self.plan_file(node);
        let parents = processes::find("unshare", "init", &self.topology.state);
        for parent in parents {
            let line = fs::read_to_string(format!("/proc/{parent}/cmdline")).unwrap_or_default();
            if line.split('\0').any(|word| Path::new(word) == plan) {
                return Ok(processes::children(parent).first().copied());
            }
        }
        Ok(None)
    }

    fn plan_file(&self, node: &Node) -> PathBuf {
        self.topology.node_state(node).join("plan.json")
    }

    fn start_forwarder(&self) -> anyhow::Result<()> {
        let topology = &self.topology;
        if !processes::find("lab", "forward", &topology.state).is_empty() {
            return Ok(());
        }
        let target = SocketAddr::from((topology.control_plane().address, 6443));
        self.background(
            Command::new(own_program()?)
                .arg("forward")
                .arg(&topology.state)
                .arg(topology.api_port.to_string())
                .arg(format!("/run/netns/{}", topology.fabric()))
                .arg(target.to_string()),
            "forward",
        )
    }

    /// Starts a process that outlives this one, with its output in a log.
    fn background(&self, command: &mut Command, log: &str) -> anyhow::Result<()> {
        let path = self.topology.state.join(format!("{log}.log"));
        let file = fs::OpenOptions::new().create(true).append(true).open(&path)?;
        let mut child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .process_group(0)
            .spawn()
            .with_context(|| format!("starting {log}"))?;
        // Something that cannot start says so at once.
        std::thread::sleep(Duration::from_millis(30));
        if let Some(status) = child.try_wait()? {
            bail!("{log}: {status}: {}", fs::read_to_string(&path).unwrap_or_default().trim());
        }
        Ok(())
    }

    fn start_node(&self, node: &Node) -> anyhow::Result<()> {
        let topology = &self.topology;
        let plan = units::plan(topology, node)?;
        let plan_file = self.plan_file(node);
        fs::write(&plan_file, serde_json::to_vec_pretty(&plan)?)?;
        if self.init_of(node)?.is_none() {
            network::unplug(topology, node);
            cgroup::create(&topology.cgroup(node))?;
            self.background(
                Command::new("unshare")
                    .args(["--net", "--mount", "--uts", "--pid", "--ipc", "--fork", "--kill-child"])
                    .arg(own_program()?)
                    .arg("init")
                    .arg(&topology.state)
                    .arg(&plan_file),
                &node.name,
            )?;
            let init = wait_for("the node's init", Duration::from_secs(10), || self.init_of(node))?;
            network::plug_in(topology, node, init)?;
        }
        wait_for("the node's control socket", Duration::from_secs(10), || {
            Ok(topology.control_socket(node).exists().then_some(()))
        })?;
        for unit in &plan.units {
            self.order(&node.name, &format!("start {}", unit.name))?;
        }
        Ok(())
    }

    fn add_ons(&self) -> anyhow::Result<()> {
        for (name, manifest) in ADD_ONS {
            let path = self.topology.state.join(name);
            fs::write(&path, manifest)?;
            self.must(&["apply", "-f", &path.to_string_lossy()])?;
        }
        Ok(())
    }

    fn nodes_ready(&self) -> anyhow::Result<Option<()>> {
        let ready = r#"jsonpath={range .items[*]}{.metadata.name}={.status.conditions[?(@.type=="Ready")].status}{"\n"}{end}"#;
        let listed = self.must(&["get", "nodes", "-o", ready])?;
        let all = self
            .topology
            .nodes
            .iter()
            .all(|node| listed.lines().any(|line| line == format!("{}=True", node.name)));
        if !all {
            return Ok(None);
        }
        let control_plane = &self.topology.control_plane().name;
        self.must(&[
            "label",
            "node",
            control_plane,
            "node-role.kubernetes.io/control-plane=",
            // As kubeadm does: addresses of load balancers are the workers'.
            "node.kubernetes.io/exclude-from-external-load-balancers=",
            "--overwrite",
        ])?;
        Ok(Some(()))
    }
}

/// This lab program itself, as the processes it leaves behind are run from it.
fn own_program() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe()?;
    if own.file_name().is_some_and(|name| name == "lab") {
        return Ok(own);
    }
    // A test that uses this library: the program stands among the other binaries.
    let near = own.ancestors().map(|directory| directory.join("lab")).find(|path| path.is_file());
    near.context("the program `lab` is not built; run: cargo build --package lab")
}

fn topology(options: &Options) -> anyhow::Result<Topology> {
    let state = options.directory.join(&options.name);
    if let Ok(lab) = Lab::attach(&options.directory, &options.name) {
        return Ok(lab.topology);
    }
    if !matches!(options.etcd_members, 1 | 3) {
        bail!("--etcd-members must be 1 or 3, not {}", options.etcd_members);
    }
    let api_port = match options.api_port {
        0 => std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port(),
        port => port,
    };
    fs::create_dir_all(&state).with_context(|| format!("making {}", state.display()))?;
    let topology =
        Topology::three_nodes(&options.name, &state, &options.binaries, api_port, options.etcd_members);
    fs::write(Topology::file(&state), serde_json::to_vec_pretty(&topology)?)?;
    Ok(topology)
}
