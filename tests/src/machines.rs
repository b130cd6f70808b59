//! Machines that a test boots for itself, and the pages that are typed on them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use images::IMAGES;
use machines::{Options, Site, Software};

use crate::{
    PATIENCE, Seen, binaries,
    docs::{Document, Step, Typed, agrees},
    leftovers,
    page::{BESIDE, Beside, is_error, only_looks},
};

/// Where machines see the archives of images.
pub const IMAGES_AT: &str = "/opt/images";

/// Machines of a test's own; they are removed when the test ends, also when it fails.
pub struct Machines {
    site: Option<Site>,
    home: PathBuf,
    name: String,
    /// The host's packet rules before the machines were there.
    rules: Vec<String>,
}

impl Machines {
    /// Boots machines. What an earlier, interrupted run left behind is removed first.
    pub fn start(name: &str, names: &[&str], software: Software) -> anyhow::Result<Self> {
        Self::start_with(name, names, software, Vec::new())
    }

    /// The same with directories of the host that machines see: from, to.
    pub fn start_with(
        name: &str,
        names: &[&str],
        software: Software,
        shared: Vec<(PathBuf, PathBuf)>,
    ) -> anyhow::Result<Self> {
        let binaries = binaries()?;
        let home = machines::home(&binaries);
        Site::down(&home, name)?;
        let mut machines =
            Self { site: None, home: home.clone(), name: name.into(), rules: leftovers::host_rules() };
        let archives = home.join(format!("{name}-images"));
        write_images(&binaries, &archives)?;
        let options = Options {
            name: name.into(),
            home,
            machines: names.iter().map(|name| (*name).into()).collect(),
            software,
            shared: [shared, vec![(archives, IMAGES_AT.into()), (binaries, "/opt/downloads".into())]]
                .concat(),
        };
        machines.site = Some(Site::up(&options)?);
        Ok(machines)
    }

    /// The site itself.
    pub fn site(&self) -> &Site {
        self.site.as_ref().expect("taken only when the machines are dropped")
    }

    /// Types a line into a root shell of a machine, in a directory.
    pub fn types_in(&self, machine: &str, directory: &str, line: &str) -> Seen {
        let output = self
            .site()
            .command(machine, "bash")
            .and_then(|mut bash| {
                bash.args(["-c", &format!("cd {directory} && {line}")]).stdin(Stdio::null());
                bash.output().context("running bash")
            })
            .unwrap_or_else(|error| panic!("{machine}: {line}: {error:#}"));
        Seen::new(&format!("[{machine}] {line}"), &output)
    }

    /// Types a line into a root shell of a machine.
    pub fn types(&self, machine: &str, line: &str) -> Seen {
        self.types_in(machine, "/root", line)
    }

    /// Types a line until what it shows is as wanted; fails with the last thing seen.
    #[track_caller]
    pub fn until(&self, machine: &str, line: &str, wanted: impl Fn(&Seen) -> bool) -> Seen {
        self.until_within(PATIENCE, machine, line, wanted)
    }

    /// The same with another limit.
    #[track_caller]
    pub fn until_within(
        &self,
        limit: Duration,
        machine: &str,
        line: &str,
        wanted: impl Fn(&Seen) -> bool,
    ) -> Seen {
        let begun = Instant::now();
        loop {
            let seen = self.types(machine, line);
            if wanted(&seen) {
                return seen;
            }
            assert!(
                begun.elapsed() < limit,
                "{}\n{}{}\nis not as wanted after {limit:?}",
                seen.line,
                seen.out,
                seen.err
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Types a line and says how long it took.
    #[track_caller]
    pub fn timed(&self, machine: &str, line: &str) -> (Seen, Duration) {
        let begun = Instant::now();
        let seen = self.types(machine, line);
        println!("   [{machine}] $ {line} ({:.1?})", begun.elapsed());
        (seen, begun.elapsed())
    }

    /// Gives machines a registry that stands for every other.
    pub fn serve_images(&self, machines: &[&str]) {
        let hosts = "/etc/containerd/certs.d/_default/hosts.toml";
        for machine in machines {
            self.site().put(machine, hosts, lab::containerd::HOSTS.as_bytes()).expect("the machine runs");
            let registry = format!("/opt/downloads/images {IMAGES_AT} {}", lab::containerd::REGISTRY);
            self.types(machine, &format!("systemd-run --quiet --unit=registry {registry}")).ok();
        }
    }

    /// Types every line of a page on a machine; returns those that printed something else.
    pub fn walk(&self, machine: &str, directory: &str, page: &Document) -> Vec<String> {
        self.walk_with(machine, directory, page, |_| {})
    }

    /// The same, with what happens to the machines, unseen by the reader, before a line is typed.
    pub fn walk_with(
        &self,
        machine: &str,
        directory: &str,
        page: &Document,
        mut before: impl FnMut(&str),
    ) -> Vec<String> {
        let mut breaches = Vec::new();
        let mut beside = Beside(Vec::new());
        let mut printed = Vec::new();
        for step in &page.steps {
            match step {
                Step::Save { name, text } => {
                    if let Err(error) =
                        self.site().put(machine, &format!("{directory}/{name}"), text.as_bytes())
                    {
                        breaches.push(format!("{name}: {error:#}"));
                    }
                }
                Step::Type(typed) | Step::TypeOn { typed, .. } => {
                    let place = match step {
                        Step::TypeOn { machine, .. } => machine,
                        _ => machine,
                    };
                    before(&typed.command);
                    let typed = Typed { command: completed(&typed.command, &printed), ..typed.clone() };
                    match self.follow(place, directory, &typed, &mut beside) {
                        Ok(seen) => printed.extend(seen.lines().map(str::to_owned)),
                        Err(seen) => {
                            let place = format!("{}:{}", page.path.display(), typed.line);
                            breaches.push(format!("{place}: $ {}\n{}{}", typed.command, seen.out, seen.err));
                            // What comes next stands on it.
                            break;
                        }
                    }
                }
            }
        }
        breaches
    }

    fn follow(
        &self,
        machine: &str,
        directory: &str,
        typed: &Typed,
        beside: &mut Beside,
    ) -> Result<String, Box<Seen>> {
        if let Some(command) = typed.command.strip_suffix(BESIDE) {
            let child = self.site().command(machine, "bash").and_then(|mut bash| {
                bash.args(["-c", &format!("cd {directory} && exec {command}")]);
                bash.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
                bash.spawn().context("running bash")
            });
            beside.0.push(child.unwrap_or_else(|error| panic!("{command}: {error:#}")));
            return Ok(String::new());
        }
        let refused = typed.shown.iter().any(|line| is_error(line));
        let begun = Instant::now();
        loop {
            let command = if typed.command.contains(" -it ") {
                // `script` gives the program a terminal.
                let quoted = typed.command.replace('\'', r"'\''");
                format!("printf '' | timeout 60 script -qefc '{quoted}' /dev/null")
            } else {
                typed.command.clone()
            };
            let seen = self.types_in(machine, directory, &format!("{{ {command}\n}} 2>&1"));
            let agreed = typed.shown.is_empty() || agrees(&typed.shown, &seen.out);
            if agreed && (seen.code != 0) == refused {
                println!("   $ {} ({:.1?})", typed.command, begun.elapsed());
                return Ok(seen.out);
            }
            if !looks(&typed.command) || begun.elapsed() > PATIENCE {
                return Err(Box::new(seen));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Removes the machines and checks that nothing of them is left.
    pub fn end(mut self) -> anyhow::Result<()> {
        self.site = None;
        self.remove()?;
        leftovers::of_machines(&self.home, &self.name, &self.rules)
    }

    fn remove(&self) -> anyhow::Result<()> {
        Site::down(&self.home, &self.name)?;
        let _ = fs::remove_dir_all(self.home.join(format!("{}-images", self.name)));
        Ok(())
    }

    /// The ends of the machines' journals, for a test that fails.
    pub fn show_logs(&self) {
        for machine in self.site.iter().flat_map(|site| &site.topology().machines) {
            let journal = "systemctl --failed --no-legend; journalctl --no-pager -q -o cat -p warning -n 25";
            if let Ok(output) = self.site().run(&machine.name, journal) {
                eprintln!("── {}\n{}", machine.name, String::from_utf8_lossy(&output.stdout));
            }
        }
    }
}

impl Drop for Machines {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.show_logs();
        }
        if let Err(error) = self.remove() {
            eprintln!("removing the machines of {}: {error:#}", self.name);
        }
    }
}

/// A command of which the page leaves something out is one that was printed before: the newest that it fits.
fn completed(command: &str, printed: &[String]) -> String {
    let shown = [command.to_owned()];
    let whole = printed.iter().rev().find(|line| command.contains('…') && agrees(&shown, line.trim()));
    whole.map_or(command, |line| line.trim()).to_owned()
}

/// A line that only looks is typed until it shows what the page shows.
fn looks(command: &str) -> bool {
    let asked = command.strip_prefix("ssh server ").unwrap_or(command);
    only_looks(asked) || asked.starts_with("kubectl cluster-info") || asked.starts_with("systemctl is-active")
}

fn write_images(binaries: &Path, directory: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(directory)?;
    for image in IMAGES.iter().filter(|image| image.comes == images::Comes::AtStart) {
        let path = directory.join(image.file_name());
        image.write(binaries, &path)?;
    }
    Ok(())
}
