//! A site from its start to its end.

use std::{
    fs,
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::Duration,
};

use anyhow::{Context as _, bail};
use lab::{
    cgroup,
    processes::{self, wait_for},
};
use nix::unistd::Pid;

use crate::{
    base, boot,
    layer::{self, Software},
    network, power,
    topology::{GATEWAY, Machine, Topology},
};

const BOOTED_WITHIN: Duration = Duration::from_secs(60);

/// The machines share a disk that is not theirs: how full it is must not stop a test.
const KUBELET: &str = "EXTRA_ARGS=--eviction-hard=memory.available<100Mi,nodefs.available<0%,nodefs.inodesFree<0%,imagefs.available<0% --image-gc-high-threshold=100\n";

/// What a site is to be like.
#[derive(Debug, Clone)]
pub struct Options {
    /// Name; sites with other names can run beside it.
    pub name: String,
    /// Directory under which each site has its own, and the roots that all share.
    pub home: PathBuf,
    /// Names of the machines.
    pub machines: Vec<String>,
    /// What is installed on them.
    pub software: Software,
    /// Directories of the host that every machine sees, read-only: from, to.
    pub shared: Vec<(PathBuf, PathBuf)>,
}

/// A site whose machines run.
pub struct Site {
    topology: Topology,
}

impl Site {
    /// Makes the machines and boots them. What an earlier site of this name left is removed first.
    pub fn up(options: &Options) -> anyhow::Result<Self> {
        let names: Vec<&str> = options.machines.iter().map(String::as_str).collect();
        let state = options.home.join(&options.name);
        let mut topology = Topology::new(&options.name, &state, &names)?;
        Self::down(&options.home, &options.name)?;
        let root = base::root(&options.home)?;
        fs::create_dir_all(&state)?;
        let layer = layer::make(&options.home, &state, &root, &options.software)?;
        topology.lower = layer.directory.into_iter().chain([root]).collect();
        topology.shared = [layer.shared, options.shared.clone()].concat();
        fs::write(Topology::file(&state), serde_json::to_vec_pretty(&topology)?)?;
        network::create_fabric(&topology)?;
        let site = Self { topology };
        for machine in &site.topology.machines {
            site.furnish(machine)?;
            site.power_on(&machine.name)?;
        }
        for machine in &site.topology.machines {
            site.wait_booted(&machine.name)?;
        }
        Ok(site)
    }

    /// Finds a site that was started before.
    pub fn attach(home: &Path, name: &str) -> anyhow::Result<Self> {
        let topology = Topology::read(&home.join(name))
            .with_context(|| format!("no site {name:?}; start one with: cargo xtask machines up"))?;
        Ok(Self { topology })
    }

    /// Removes every trace of a site: processes, namespaces, cgroups, files. Also of one that broke half-way.
    pub fn down(home: &Path, name: &str) -> anyhow::Result<()> {
        let state = home.join(name);
        let topology = match Topology::read(&state) {
            Ok(topology) => topology,
            Err(_) => Topology::new(name, &state, &[])?,
        };
        processes::end(&processes::find("machines", "hold", &state), Duration::from_secs(5))?;
        power::cut(&topology.cgroups())?;
        cgroup::remove(&topology.cgroups())?;
        cgroup::remove_if_empty("/magnetite-machines");
        network::remove_fabric(&topology)?;
        match fs::remove_dir_all(&state) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("removing {}", state.display()))
            }
            _ => Ok(()),
        }
    }

    /// Names, addresses and paths.
    pub fn topology(&self) -> &Topology {
        &self.topology
    }

    fn machine(&self, name: &str) -> anyhow::Result<&Machine> {
        let names: Vec<&str> = self.topology.machines.iter().map(|machine| machine.name.as_str()).collect();
        self.topology
            .machine(name)
            .with_context(|| format!("no machine {name:?}; the machines are {}", names.join(", ")))
    }

    /// Writes what an installer asks for: name, identity, addresses of the others.
    fn furnish(&self, machine: &Machine) -> anyhow::Result<()> {
        let state = self.topology.machine_state(machine);
        for directory in ["upper/etc/default", "work", "root", "containerd"] {
            fs::create_dir_all(state.join(directory))?;
        }
        // The overlay's root is the machine's: only its owner may write there, everyone may enter.
        fs::set_permissions(state.join("upper"), fs::Permissions::from_mode(0o755))?;
        let mut hosts = String::from("127.0.0.1 localhost\n::1 localhost\n");
        for other in &self.topology.machines {
            hosts += &format!("{} {}\n", other.address, other.name);
        }
        let id = boot::machine_id(&self.topology, machine);
        for (file, text) in [
            ("hostname", format!("{}\n", machine.name)),
            ("hosts", hosts),
            ("machine-id", format!("{id}\n")),
            // Nobody answers there, and says so at once.
            ("resolv.conf", format!("nameserver {GATEWAY}\n")),
            ("default/kubelet", KUBELET.into()),
        ] {
            fs::write(state.join("upper/etc").join(file), text)?;
        }
        Ok(())
    }

    /// Switches a machine on; it boots while the caller goes on.
    pub fn power_on(&self, name: &str) -> anyhow::Result<()> {
        let machine = self.machine(name)?;
        if self.supply(machine).is_some() {
            return Ok(());
        }
        let log = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.topology.machine_state(machine).join("console.log"))?;
        Command::new(own_program()?)
            .arg("hold")
            .arg(&self.topology.state)
            .arg(name)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0)
            .spawn()
            .context("starting a machine")?;
        Ok(())
    }

    /// Pulls a machine's plug: nothing in it gets a chance to say goodbye.
    pub fn power_off(&self, name: &str) -> anyhow::Result<()> {
        let machine = self.machine(name)?;
        processes::end(&self.supply(machine).into_iter().collect::<Vec<_>>(), Duration::from_secs(5))?;
        power::cut(&self.topology.cgroup(machine))
    }

    /// Asks a machine to reboot and waits until it has.
    pub fn reboot(&self, name: &str) -> anyhow::Result<()> {
        let before = self.leader(name)?.with_context(|| format!("{name} is off"))?;
        // The answer may be lost with the machine that gives it.
        let _ = self.command(name, "systemctl")?.arg("reboot").output()?;
        wait_for("the machine to go down", Duration::from_secs(100), || {
            Ok(self.leader(name)?.is_none_or(|leader| leader != before).then_some(()))
        })?;
        self.wait_booted(name)
    }

    /// Waits until a machine has booted.
    pub fn wait_booted(&self, name: &str) -> anyhow::Result<()> {
        wait_for(&format!("{name} to boot"), BOOTED_WITHIN, || {
            if self.leader(name)?.is_none() {
                bail!("{name} has no first process; its console shows: {}", self.end_of_console(name)?);
            }
            let output = self.command(name, "systemctl")?.arg("is-system-running").output()?;
            let state = String::from_utf8_lossy(&output.stdout).trim().to_owned();
            match state.as_str() {
                "running" | "degraded" => Ok(Some(())),
                _ => bail!("{name} is {state}; see console.log"),
            }
        })
    }

    /// The last lines that a machine wrote to its console.
    fn end_of_console(&self, name: &str) -> anyhow::Result<String> {
        let file = self.topology.machine_state(self.machine(name)?).join("console.log");
        let text = fs::read(&file).with_context(|| file.display().to_string())?;
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        Ok(lines[lines.len().saturating_sub(5)..].join("; "))
    }

    /// The process that keeps a machine powered.
    fn supply(&self, machine: &Machine) -> Option<Pid> {
        processes::find("machines", "hold", &self.topology.state).into_iter().find(|pid| {
            let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            line.split('\0').any(|word| word == machine.name)
        })
    }

    /// Process 1 of a machine, as the host sees it; `None` while it is off.
    pub fn leader(&self, name: &str) -> anyhow::Result<Option<Pid>> {
        let Some(supply) = self.supply(self.machine(name)?) else { return Ok(None) };
        let is_first = |pid: &Pid| {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            let ids = status.lines().find_map(|line| line.strip_prefix("NSpid:")).unwrap_or_default();
            ids.split_whitespace().count() > 1 && ids.split_whitespace().next_back() == Some("1")
        };
        Ok(processes::children(supply).into_iter().flat_map(processes::children).find(is_first))
    }

    /// A program that runs on a machine as root, or with `fabric` outside all machines but in their network.
    pub fn command(&self, place: &str, program: &str) -> anyhow::Result<Command> {
        if place == "fabric" {
            return Ok(network::in_fabric(&self.topology, program));
        }
        let leader = self.leader(place)?.with_context(|| format!("{place} is off"))?;
        let cgroup = self.topology.cgroup(self.machine(place)?);
        let files: Vec<String> = cgroup::hierarchies()
            .iter()
            .map(|hierarchy| hierarchy.join(cgroup.trim_start_matches('/')).join("cgroup.procs"))
            .map(|file| format!("echo $$ > {} 2>/dev/null;", file.display()))
            .collect();
        // A process belongs to the machine's cgroups too, so that it ends with the machine.
        let script = format!(
            "{} exec nsenter --target {leader} --mount --uts --net --pid --ipc --cgroup -- \"$@\"",
            files.join(" ")
        );
        let mut command = Command::new("sh");
        command
            .args(["-c", &script, "sh", program])
            .env_clear()
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .env("HOME", "/root")
            .env("LANG", "C.UTF-8")
            .env("TERM", std::env::var("TERM").unwrap_or_else(|_| "dumb".into()));
        Ok(command)
    }

    /// Types a line into a root shell of a machine.
    pub fn run(&self, machine: &str, line: &str) -> anyhow::Result<Output> {
        self.command(machine, "bash")?
            .args(["-c", line])
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("{machine}: {line}"))
    }

    /// Types a line and returns what it printed; a failure carries its error.
    pub fn must(&self, machine: &str, line: &str) -> anyhow::Result<String> {
        let output = self.run(machine, line)?;
        if !output.status.success() {
            bail!(
                "[{machine}] {line}: {}: {}{}",
                output.status,
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Puts a file on a machine that runs.
    pub fn put(&self, machine: &str, path: &str, content: &[u8]) -> anyhow::Result<()> {
        let mut tee = self
            .command(machine, "sh")?
            .args(["-euc", "mkdir -p \"$(dirname \"$1\")\"; cat > \"$1\"", "sh", path])
            .stdin(Stdio::piped())
            .spawn()?;
        std::io::Write::write_all(&mut tee.stdin.take().context("a pipe")?, content)?;
        let status = tee.wait()?;
        if !status.success() {
            bail!("{machine}: writing {path}: {status}");
        }
        Ok(())
    }
}

impl Topology {
    /// Reads the topology of a site that was started before.
    pub fn read(state: &Path) -> anyhow::Result<Self> {
        let file = Self::file(state);
        let text = fs::read(&file).with_context(|| file.display().to_string())?;
        serde_json::from_slice(&text).with_context(|| file.display().to_string())
    }
}

/// This crate's program itself, from which machines are held.
fn own_program() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe()?;
    if own.file_name().is_some_and(|name| name == "machines") {
        return Ok(own);
    }
    // A test that uses this library: the program stands among the other binaries.
    let near = own.ancestors().map(|directory| directory.join("machines")).find(|path| path.is_file());
    near.context("the program `machines` is not built; run: cargo build --workspace --bin machines")
}
