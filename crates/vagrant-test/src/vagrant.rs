//! Vagrant and the libvirt that it drives.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use cluster_tests::page::workspace;

use crate::cli::Settings;

/// The box's name.
const BOX: &str = "magnetite-test";

/// A running libvirt; it ends with this.
pub struct Libvirt(Child);

impl Libvirt {
    /// Starts it and waits until it answers.
    pub fn start(work: &Path) -> anyhow::Result<Self> {
        let log = File::create(work.join("libvirtd.log"))?;
        let daemon = Command::new("libvirtd")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("running libvirtd; install the package libvirt-daemon-system")?;
        let libvirt = Self(daemon);
        let begun = Instant::now();
        while !Command::new("virsh").args(["--quiet", "version"]).output()?.status.success() {
            if begun.elapsed() > Duration::from_secs(30) {
                bail!("libvirtd does not answer; see {}", work.join("libvirtd.log").display());
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        Ok(libvirt)
    }
}

impl Drop for Libvirt {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The lab.
pub struct Vagrant {
    directory: PathBuf,
    home: PathBuf,
    release: PathBuf,
    ssh: PathBuf,
    log: PathBuf,
}

impl Vagrant {
    /// Prepares a lab from the box; no machine is made yet.
    pub fn new(settings: &Settings) -> anyhow::Result<Self> {
        let vagrant = Self {
            directory: workspace().join("vagrant"),
            home: settings.work.join("vagrant-home"),
            release: settings.release.clone(),
            ssh: settings.work.join("ssh-config"),
            log: settings.work.join("vagrant.log"),
        };
        for state in [&vagrant.home, &settings.work.join("dot-vagrant")] {
            let _ = fs::remove_dir_all(state);
            fs::create_dir_all(state)?;
        }
        File::create(&vagrant.log)?;
        let archive = settings.work.join("box/magnetite.box");
        vagrant.run(&["box", "add", "--name", BOX, &archive.to_string_lossy()])?;
        Ok(vagrant)
    }

    fn command(&self) -> Command {
        let mut command = Command::new("vagrant");
        command
            .current_dir(&self.directory)
            .env("VAGRANT_HOME", &self.home)
            .env("VAGRANT_DOTFILE_PATH", self.home.with_file_name("dot-vagrant"))
            .env("VAGRANT_DEFAULT_PROVIDER", "libvirt")
            .env("VAGRANT_NO_COLOR", "1")
            .env("VAGRANT_CHECKPOINT_DISABLE", "1")
            .env("MAGNETITE_BOX", BOX)
            .env("MAGNETITE_RELEASE", &self.release)
            .env("HOME", &self.home)
            .stdin(Stdio::null());
        command
    }

    /// Runs vagrant; what it says goes to the log.
    pub fn run(&self, arguments: &[&str]) -> anyhow::Result<()> {
        let log = File::options().append(true).open(&self.log)?;
        let status = self
            .command()
            .args(arguments)
            .stdout(log.try_clone()?)
            .stderr(log)
            .status()
            .context("running vagrant; install the packages vagrant and vagrant-libvirt")?;
        if !status.success() {
            let text = fs::read_to_string(&self.log).unwrap_or_default();
            // A line that shows progress is as long as that took.
            let lines: Vec<&str> = text.lines().filter_map(|line| line.rsplit('\r').next()).collect();
            let last = lines[lines.len().saturating_sub(40)..].join("\n");
            bail!("vagrant {}: {status}\n{last}", arguments.join(" "));
        }
        Ok(())
    }

    /// Asks vagrant how its machines are reached.
    pub fn find_machines(&self) -> anyhow::Result<()> {
        let output = self.command().arg("ssh-config").stderr(Stdio::null()).output()?;
        fs::write(&self.ssh, &output.stdout)?;
        Ok(())
    }

    /// A command line in a login shell of a machine, as `vagrant ssh` gives it.
    pub fn shell(&self, machine: &str, terminal: bool, line: &str) -> Command {
        let mut ssh = Command::new("ssh");
        ssh.arg("-F").arg(&self.ssh).args(["-o", "ConnectTimeout=20"]);
        if terminal {
            ssh.arg("-tt");
        }
        ssh.arg(machine).arg(format!("bash -lc '{}'", line.replace('\'', r"'\''")));
        ssh.stdin(Stdio::null());
        ssh
    }

    /// Types a line on a machine.
    pub fn types(&self, machine: &str, line: &str) -> anyhow::Result<Output> {
        self.shell(machine, false, line).output().context("running ssh")
    }

    /// Types a line until it succeeds and shows what is wanted.
    pub fn until(
        &self,
        limit: Duration,
        machine: &str,
        line: &str,
        wanted: impl Fn(&str) -> bool,
    ) -> anyhow::Result<String> {
        let begun = Instant::now();
        loop {
            let output = self.types(machine, line)?;
            let seen = String::from_utf8_lossy(&output.stdout).into_owned();
            if output.status.success() && wanted(&seen) {
                return Ok(seen);
            }
            if begun.elapsed() > limit {
                let error = String::from_utf8_lossy(&output.stderr).into_owned();
                bail!("[{machine}] {line}: not as wanted within {limit:.0?}:\n{seen}{error}");
            }
            std::thread::sleep(Duration::from_millis(500));
        }
    }
}
