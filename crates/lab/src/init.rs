//! The first process of a node: mounts what makes it look like a machine, runs its units, reaps its orphans.
//!
//! It takes orders on a socket, one line each: `start UNIT`, `stop UNIT`, `kill UNIT`, `status`. A unit that ends
//! without an order is started again, as `Restart=always` does.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{BufRead as _, BufReader, Write as _},
    os::unix::{
        net::{UnixListener, UnixStream},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::Context as _;
use nix::{
    errno::Errno,
    mount::{MsFlags, mount},
    sys::{
        signal::{Signal, kill, killpg},
        wait::{WaitStatus, waitpid},
    },
    unistd::{Pid, sethostname},
};
use serde::{Deserialize, Serialize};

/// How long after its end a unit is started again.
const RESTART_AFTER: Duration = Duration::from_millis(500);

/// A program that a node runs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Unit {
    /// Name, as its systemd unit would have.
    pub name: String,
    /// Program and arguments.
    pub command: Vec<String>,
}

/// What a node's init needs to know.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Plan {
    /// Host name.
    pub hostname: String,
    /// Directory of the node's files: overlays, logs.
    pub state: PathBuf,
    /// Socket on which orders come.
    pub socket: PathBuf,
    /// Units that run.
    pub units: Vec<Unit>,
}

#[derive(Default)]
struct Running {
    wanted: bool,
    pid: Option<Pid>,
    starts: u32,
}

struct Supervisor {
    plan: Plan,
    units: Mutex<BTreeMap<String, Running>>,
}

/// Runs as process 1 of a node's namespaces until it is told to end.
pub fn run(plan_file: &Path) -> anyhow::Result<()> {
    let plan: Plan = serde_json::from_slice(&fs::read(plan_file)?).context("the node's plan")?;
    if let Some(parent) = plan.socket.parent() {
        fs::create_dir_all(parent)?;
    }
    let _ = fs::remove_file(&plan.socket);
    let listener = UnixListener::bind(&plan.socket).context("control socket")?;
    furnish(&plan)?;
    let supervisor = Arc::new(Supervisor { plan, units: Mutex::default() });
    let orders = Arc::clone(&supervisor);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            if let Err(error) = orders.obey(stream) {
                eprintln!("order: {error:#}");
            }
        }
    });
    let ending = Arc::clone(&supervisor);
    // A signal without a handler does not reach process 1 of a namespace.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::spawn(move || {
        runtime.block_on(async {
            if let Ok(mut terminate) =
                tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
            {
                terminate.recv().await;
            }
        });
        ending.end();
        std::process::exit(0);
    });
    supervisor.reap()
}

/// Mounts over the host's files: `/etc`, `/opt` and `/var` as overlays that only this node changes, a `/run` and a
/// `/proc` of its own.
fn furnish(plan: &Plan) -> anyhow::Result<()> {
    sethostname(&plan.hostname).context("host name")?;
    let none: Option<&str> = None;
    // Shared within the node, so that mounts made here reach the containers that ask for them.
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).context("making mounts private")?;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_SHARED, none)
        .context("sharing mounts in the node")?;
    for directory in crate::OVERLAID.map(|path| &path[1..]) {
        let (upper, work) = (plan.state.join(directory), plan.state.join(format!("{directory}.work")));
        fs::create_dir_all(&upper)?;
        fs::create_dir_all(&work)?;
        let options =
            format!("lowerdir=/{directory},upperdir={},workdir={}", upper.display(), work.display());
        mount(Some("overlay"), &*format!("/{directory}"), Some("overlay"), MsFlags::empty(), Some(&*options))
            .with_context(|| format!("overlay on /{directory}"))?;
    }
    // Overlays cannot stand on overlays: what holds images and volumes is a plain directory.
    for directory in ["containerd", "kubelet"] {
        let (own, target) = (plan.state.join(directory), format!("/var/lib/{directory}"));
        fs::create_dir_all(&own)?;
        fs::create_dir_all(&target)?;
        mount(Some(&own), &*target, none, MsFlags::MS_BIND | MsFlags::MS_REC, none)
            .with_context(|| format!("binding {target}"))?;
    }
    mount(Some("tmpfs"), "/run", Some("tmpfs"), MsFlags::MS_NOSUID | MsFlags::MS_NODEV, Some("mode=755"))
        .context("/run")?;
    mount(Some("proc"), "/proc", Some("proc"), MsFlags::empty(), none).context("/proc")?;
    Ok(())
}

impl Supervisor {
    fn units(&self) -> MutexGuard<'_, BTreeMap<String, Running>> {
        self.units.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn obey(&self, stream: UnixStream) -> anyhow::Result<()> {
        let mut line = String::new();
        BufReader::new(&stream).read_line(&mut line)?;
        let (order, unit) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
        let answer = match order {
            "status" => Ok(self.status()),
            "start" => self.start(unit).map(|()| "ok\n".to_owned()),
            "stop" => self.stop(unit, Signal::SIGTERM, false),
            "kill" => self.stop(unit, Signal::SIGKILL, true),
            _ => Err(anyhow::anyhow!("unknown order {order:?}: start, stop, kill or status")),
        };
        let text = answer.unwrap_or_else(|error| format!("error: {error:#}\n"));
        (&stream).write_all(text.as_bytes())?;
        Ok(())
    }

    /// One line a unit: name, process id (0: not running), times started.
    fn status(&self) -> String {
        self.units()
            .iter()
            .map(|(name, unit)| format!("{name} {} {}\n", unit.pid.map_or(0, Pid::as_raw), unit.starts))
            .collect()
    }

    fn start(&self, name: &str) -> anyhow::Result<()> {
        let unit = self
            .plan
            .units
            .iter()
            .find(|unit| unit.name == name)
            .with_context(|| format!("no unit {name:?} on this node"))?;
        let mut units = self.units();
        let running = units.entry(name.to_owned()).or_default();
        running.wanted = true;
        if running.pid.is_some() {
            return Ok(());
        }
        let log = self.log(name)?;
        let mut command = Command::new(&unit.command[0]);
        command
            .args(&unit.command[1..])
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0)
            .current_dir("/");
        // The lock is held over the spawn: the reaper must not see the end before the start is recorded.
        let child = command.spawn().with_context(|| format!("starting {}", unit.command[0]))?;
        running.pid = Some(Pid::from_raw(child.id() as i32));
        running.starts += 1;
        Ok(())
    }

    fn log(&self, name: &str) -> anyhow::Result<File> {
        let directory = self.plan.state.join("logs");
        fs::create_dir_all(&directory)?;
        let path = directory.join(format!("{name}.log"));
        OpenOptions::new().create(true).append(true).open(&path).with_context(|| path.display().to_string())
    }

    /// Ends a unit; with `again` it is started again as after a crash.
    fn stop(&self, name: &str, signal: Signal, again: bool) -> anyhow::Result<String> {
        let pid = {
            let mut units = self.units();
            let running = units.get_mut(name).with_context(|| format!("unit {name:?} was never started"))?;
            running.wanted = again;
            running.pid
        };
        let Some(pid) = pid else { return Ok("ok\n".into()) };
        let _ = kill(pid, signal);
        for tries in 0..1000 {
            if self.units().get(name).is_none_or(|running| running.pid != Some(pid)) {
                return Ok("ok\n".into());
            }
            if tries == 600 {
                let _ = kill(pid, Signal::SIGKILL);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        anyhow::bail!("{name} does not end")
    }

    fn reap(self: &Arc<Self>) -> anyhow::Result<()> {
        loop {
            match waitpid(None, None) {
                Ok(WaitStatus::Exited(pid, _) | WaitStatus::Signaled(pid, _, _)) => self.ended(pid),
                Ok(_) | Err(Errno::EINTR) => {}
                // No child yet, or none left: nothing to wait on until a unit is started.
                Err(Errno::ECHILD) => std::thread::sleep(Duration::from_millis(10)),
                Err(error) => return Err(error).context("waiting for children"),
            }
        }
    }

    fn ended(self: &Arc<Self>, pid: Pid) {
        let mut units = self.units();
        let Some((name, running)) = units.iter_mut().find(|(_, running)| running.pid == Some(pid)) else {
            return;
        };
        running.pid = None;
        if running.wanted {
            let (name, supervisor) = (name.clone(), Arc::clone(self));
            std::thread::spawn(move || {
                std::thread::sleep(RESTART_AFTER);
                let wanted = supervisor.units().get(&name).is_some_and(|running| running.wanted);
                if wanted && let Err(error) = supervisor.start(&name) {
                    eprintln!("{name}: {error:#}");
                }
            });
        }
    }

    /// Ends every unit, then lets the namespace's other processes die with process 1.
    fn end(&self) {
        let pids: Vec<Pid> = {
            let mut units = self.units();
            units.values_mut().for_each(|running| running.wanted = false);
            units.values().filter_map(|running| running.pid).collect()
        };
        for pid in &pids {
            let _ = killpg(*pid, Signal::SIGTERM);
        }
        for _ in 0..200 {
            if self.units().values().all(|running| running.pid.is_none()) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}
