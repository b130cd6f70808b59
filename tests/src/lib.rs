//! What the whole-cluster tests share: a lab of their own, and a shell in which they type what a user types.

pub mod clients;
pub mod docs;
pub mod leftovers;
pub mod machines;
pub mod page;
pub mod release;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use lab::{Lab, Options, progress::Progress};

/// How long something that should happen may take before a test gives up on it.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A lab that a test made for itself; it is removed when the test ends, also when it fails.
pub struct Cluster {
    lab: Option<Lab>,
    directory: PathBuf,
    name: String,
    work: PathBuf,
    /// The host's packet rules before the lab was there.
    rules: Vec<String>,
}

impl Cluster {
    /// Starts a lab of this name on a free port. What an earlier, interrupted run left behind is removed first.
    pub fn start(name: &str, etcd_members: usize) -> anyhow::Result<Self> {
        let binaries = binaries()?;
        let directory = directory()?;
        Lab::down(&directory, name)?;
        let rules = leftovers::host_rules();
        let options = Options { name: name.into(), directory, binaries, api_port: 0, etcd_members };
        let mut cluster = Self {
            lab: None,
            work: options.binaries.join("labs-work").join(name),
            directory: options.directory.clone(),
            name: name.into(),
            rules,
        };
        fs::create_dir_all(&cluster.work)?;
        match Lab::up(&options, &Progress::default()) {
            Ok(lab) => cluster.lab = Some(lab),
            Err(error) => {
                cluster.show_logs();
                return Err(error);
            }
        }
        Ok(cluster)
    }

    /// The lab itself.
    pub fn lab(&self) -> &Lab {
        self.lab.as_ref().expect("taken only when the cluster is dropped")
    }

    /// A shell that uses the bundled kubectl.
    pub fn shell(&self) -> Shell<'_> {
        Shell { cluster: self, kubectl: None }
    }

    /// A shell that uses another kubectl, where this machine has one of 1.32 or newer.
    pub fn upstream_shell(&self) -> Option<Shell<'_>> {
        let path = ["/usr/bin/kubectl", "/usr/local/bin/kubectl"]
            .into_iter()
            .map(Path::new)
            .find(|path| path.exists())?;
        let output = Command::new(path).args(["version", "--client", "-o", "json"]).output().ok()?;
        let version: serde_json::Value = serde_json::from_slice(&output.stdout).ok()?;
        let minor: String =
            version["clientVersion"]["minor"].as_str()?.chars().take_while(char::is_ascii_digit).collect();
        (minor.parse::<u32>().ok()? >= 32).then(|| Shell { cluster: self, kubectl: Some(path.to_owned()) })
    }

    /// Writes a file into the test's directory, which is the shells' working directory.
    pub fn file(&self, name: &str, text: &str) -> anyhow::Result<()> {
        let path = self.work.join(name);
        let directory = path.parent().context("a file is in a directory")?;
        fs::create_dir_all(directory)
            .and_then(|()| fs::write(&path, text))
            .with_context(|| format!("writing {name}"))
    }

    /// Removes the lab and checks that nothing of it is left on this machine.
    pub fn end(mut self) -> anyhow::Result<()> {
        self.lab = None;
        Lab::down(&self.directory, &self.name)?;
        leftovers::none(&self.directory, &self.name, &self.rules)
    }

    /// The ends of all logs, for a test that fails.
    pub fn show_logs(&self) {
        let nodes = fs::read_dir(self.directory.join(&self.name)).into_iter().flatten().flatten();
        for log in
            nodes.flat_map(|node| fs::read_dir(node.path().join("logs")).into_iter().flatten().flatten())
        {
            let text = fs::read_to_string(log.path()).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            let last = lines[lines.len().saturating_sub(15)..].join("\n");
            eprintln!("── {}\n{last}", log.path().display());
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.show_logs();
        }
        if let Err(error) = Lab::down(&self.directory, &self.name) {
            eprintln!("removing lab {}: {error:#}", self.name);
        }
        let _ = fs::remove_dir_all(&self.work);
    }
}

/// Directory of the workspace's binaries: two above a test's own.
pub fn binaries() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe()?;
    let found =
        own.ancestors().find(|directory| directory.join("kube-apiserver").is_file()).map(Path::to_owned);
    found.context("the components are not built; run: cargo build --workspace --bins")
}

/// Directory of the tests' labs: the one that the `lab` program takes too.
pub fn directory() -> anyhow::Result<PathBuf> {
    Ok(lab::home(&binaries()?))
}

/// What a command printed and how it ended.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The command line.
    pub line: String,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
    /// Exit code.
    pub code: i32,
}

impl Seen {
    pub(crate) fn new(line: &str, output: &Output) -> Self {
        Self {
            line: line.into(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
            code: output.status.code().unwrap_or(-1),
        }
    }

    /// The output, when the command succeeded; otherwise the test fails with all that was printed.
    #[track_caller]
    pub fn ok(&self) -> &str {
        assert_eq!(self.code, 0, "$ {}\n{}{}", self.line, self.out, self.err);
        &self.out
    }

    /// The command succeeded and printed each of these.
    #[track_caller]
    pub fn shows(&self, parts: &[&str]) -> &Self {
        self.ok();
        for part in parts {
            assert!(self.out.contains(part), "$ {}\n{}\nshould show {part:?}", self.line, self.out);
        }
        self
    }

    /// The command was refused with an error that has each of these.
    #[track_caller]
    pub fn refused(&self, parts: &[&str]) -> &Self {
        assert_ne!(self.code, 0, "$ {}\n{}\nshould be refused", self.line, self.out);
        for part in parts {
            assert!(self.err.contains(part), "$ {}\n{}\nshould say {part:?}", self.line, self.err);
        }
        self
    }
}

/// A shell in which `kubectl` is the one chosen and is the administrator's.
#[derive(Clone)]
pub struct Shell<'a> {
    cluster: &'a Cluster,
    kubectl: Option<PathBuf>,
}

impl Shell<'_> {
    /// Names the kubectl that is typed.
    pub fn which(&self) -> &'static str {
        if self.kubectl.is_some() { "upstream's kubectl" } else { "the bundled kubectl" }
    }

    /// What this shell's kubectl prints where the bundled one, of 1.36, prints the line.
    pub fn as_it_prints(&self, line: &str) -> String {
        // Since 1.34 a deletion names its namespace.
        match line.split_once(" deleted from ") {
            Some((what, rest)) if self.kubectl.is_some() && rest.ends_with(" namespace") => {
                format!("{what} deleted")
            }
            _ => line.to_owned(),
        }
    }

    /// Types a line.
    pub fn types(&self, line: &str) -> Seen {
        let output = self.bash(line).output().expect("bash is on every machine");
        Seen::new(line, &output)
    }

    /// Starts a program that runs beside what is typed next; its caller stops it.
    pub fn starts(&self, line: &str) -> Child {
        // The shell gives way to the program, so that stopping the one stops the other.
        self.bash(&format!("exec {line}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("bash is on every machine")
    }

    fn bash(&self, line: &str) -> Command {
        let topology = self.cluster.lab().topology();
        let path = std::env::var("PATH").unwrap_or_default();
        let first = match &self.kubectl {
            Some(kubectl) => kubectl.parent().unwrap_or(Path::new("/")).to_owned(),
            None => topology.binaries.clone(),
        };
        let mut bash = Command::new("bash");
        bash.args(["-c", line])
            .current_dir(&self.cluster.work)
            .env("KUBECONFIG", topology.kubeconfig())
            .env("HOME", &self.cluster.work)
            // The lab's own program is among the binaries, whichever kubectl comes first.
            .env("PATH", format!("{}:{}:{path}", first.display(), topology.binaries.display()))
            .stdin(Stdio::null());
        bash
    }

    /// Types a line at a terminal, with these lines as what is typed into the program.
    pub fn types_at_terminal(&self, line: &str, input: &str) -> Seen {
        // `script` gives the program a terminal; what is typed waits in a pipe.
        let quoted = |text: &str| format!("'{}'", text.replace('\'', r"'\''"));
        let (line, input) = (quoted(line), quoted(input));
        self.types(&format!("printf %s {input} | timeout 60 script -qefc {line} /dev/null"))
    }

    /// Types a line until what it shows is as wanted; fails with the last thing seen.
    #[track_caller]
    pub fn until(&self, line: &str, wanted: impl Fn(&Seen) -> bool) -> Seen {
        self.until_within(PATIENCE, line, wanted)
    }

    /// The same with another limit.
    #[track_caller]
    pub fn until_within(&self, limit: Duration, line: &str, wanted: impl Fn(&Seen) -> bool) -> Seen {
        let begun = Instant::now();
        loop {
            let seen = self.types(line);
            if wanted(&seen) {
                return seen;
            }
            assert!(
                begun.elapsed() < limit,
                "$ {line}\n{}{}\nis not as wanted after {limit:?}",
                seen.out,
                seen.err
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Runs a command outside all nodes, on their network, as a client of theirs would.
    pub fn outside(&self, command: &[&str]) -> Seen {
        self.run_in("fabric", command)
    }

    /// Runs a command outside all nodes until it succeeds; fails with the last thing seen.
    #[track_caller]
    pub fn outside_until_ok(&self, command: &[&str]) -> Seen {
        let begun = Instant::now();
        loop {
            let seen = self.outside(command);
            if seen.code == 0 {
                return seen;
            }
            assert!(begun.elapsed() < PATIENCE, "{}: {}{}", seen.line, seen.out, seen.err);
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Runs a command inside a node.
    pub fn run_in(&self, place: &str, command: &[&str]) -> Seen {
        let output = self
            .cluster
            .lab()
            .command_in(place, command[0])
            .and_then(|mut program| {
                program.args(&command[1..]).stdin(Stdio::null()).output().context("running nsenter")
            })
            .unwrap_or_else(|error| panic!("{place}: {error:#}"));
        Seen::new(&format!("[{place}] {}", command.join(" ")), &output)
    }
}
