//! Where cgroups are mounted, and making, limiting, emptying and removing one in every hierarchy.

use std::{
    borrow::Cow,
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use nix::{sys::signal, unistd::Pid};

use crate::systemd::{self, Systemd};
use crate::{Error, Limits, tree};

/// How long removal waits for killed processes to be gone. A process stuck in the kernel would hold it for ever.
const REMOVAL: Duration = Duration::from_secs(5);

/// The version of the cgroup interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// One hierarchy for each controller.
    V1,
    /// One hierarchy for all.
    V2,
}

/// Who owns the cgroups that are made (upstream's `cgroupDriver`, whose names these are).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Driver {
    /// This process alone.
    #[default]
    Cgroupfs,
    /// systemd: each cgroup is one of its slices.
    Systemd,
}

impl Driver {
    /// The driver of that name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Cgroupfs, Self::Systemd].into_iter().find(|driver| driver.name() == name)
    }

    /// Its name in configuration files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cgroupfs => "cgroupfs",
            Self::Systemd => "systemd",
        }
    }
}

/// The host's cgroups. Paths given to its methods are relative to every hierarchy's root, and the same for either
/// driver: `/kubepods/burstable` is the slice `kubepods-burstable.slice` when systemd owns it.
#[derive(Debug, Clone)]
pub struct Cgroups {
    version: Version,
    hierarchies: Vec<Hierarchy>,
    systemd: Option<Systemd>,
}

#[derive(Debug, Clone)]
struct Hierarchy {
    root: PathBuf,
    controllers: Vec<String>,
}

impl Cgroups {
    /// Finds out what is mounted at `mount` (`/sys/fs/cgroup`).
    pub fn detect(mount: &Path) -> Result<Self, Error> {
        if mount.join("cgroup.controllers").exists() {
            let hierarchy = Hierarchy { root: mount.to_owned(), controllers: vec![] };
            return Ok(Self { version: Version::V2, hierarchies: vec![hierarchy], systemd: None });
        }
        let mut seen = BTreeSet::new();
        let mut hierarchies = Vec::new();
        let entries = fs::read_dir(mount).map_err(|_| Error::NotMounted(mount.to_owned()))?;
        for entry in entries.flatten() {
            // `cpu` and `cpuacct` are often links to `cpu,cpuacct`.
            let Ok(root) = entry.path().canonicalize() else { continue };
            if !root.join("cgroup.procs").exists() || !seen.insert(root.clone()) {
                continue;
            }
            let name = root.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let controllers = name.split(',').map(str::to_owned).collect();
            hierarchies.push(Hierarchy { root, controllers });
        }
        if hierarchies.is_empty() {
            return Err(Error::NotMounted(mount.to_owned()));
        }
        Ok(Self { version: Version::V1, hierarchies, systemd: None })
    }

    /// Has them owned by that driver. systemd must run here.
    pub fn owned_by(mut self, driver: Driver) -> Result<Self, Error> {
        self.systemd = match driver {
            Driver::Cgroupfs => None,
            Driver::Systemd if !systemd::runs() => return Err(Error::NoSystemd),
            Driver::Systemd => Some(Systemd::of_this_machine()),
        };
        Ok(self)
    }

    /// Who owns the cgroups.
    pub fn driver(&self) -> Driver {
        if self.systemd.is_some() { Driver::Systemd } else { Driver::Cgroupfs }
    }

    /// What a container runtime is told to put a pod's containers under: the cgroup's path, or the slice's name.
    pub fn parent_for_runtime(&self, path: &str) -> String {
        match self.systemd {
            Some(_) => systemd::unit(path).unwrap_or_default(),
            None => path.to_owned(),
        }
    }

    /// The cgroup that containerd gives a container of a pod.
    pub fn of_container(&self, pod: &str, id: &str) -> String {
        match self.systemd {
            Some(_) => format!("{pod}/{}", systemd::scope(id)),
            None => format!("{pod}/{id}"),
        }
    }

    /// Where a cgroup lies below each hierarchy's root.
    fn place<'a>(&self, path: &'a str) -> Cow<'a, str> {
        match self.systemd {
            Some(_) => Cow::Owned(systemd::place(path)),
            None => Cow::Borrowed(path),
        }
    }

    /// Tells which version the host runs.
    pub fn version(&self) -> Version {
        self.version
    }

    /// Makes the cgroup in every hierarchy where it is missing and sets its limits.
    ///
    /// In v1 a limit whose controller is not mounted is passed over, as upstream does.
    pub fn ensure(&self, path: &str, limits: &Limits) -> Result<(), Error> {
        if let Some(systemd) = &self.systemd {
            systemd.start(path, limits, self.version)?;
        }
        let place = self.place(path);
        for hierarchy in &self.hierarchies {
            let cpuset = hierarchy.controllers.iter().any(|controller| controller == "cpuset");
            match self.version {
                // The unified tree beside v1 carries no limits; runtimes make their own folders there.
                Version::V1 if hierarchy.controllers == ["unified"] => {}
                // systemd knows some hierarchies only; a runtime expects the slice in all of them.
                Version::V1 => tree::create_v1(&hierarchy.root, &place, cpuset)?,
                Version::V2 => tree::create_v2(&hierarchy.root, &place)?,
            }
        }
        self.write(path, limits)
    }

    /// Sets the limits of a cgroup that is there.
    pub fn limit(&self, path: &str, limits: &Limits) -> Result<(), Error> {
        if let Some(systemd) = &self.systemd {
            systemd.limit(path, limits, self.version)?;
        }
        self.write(path, limits)
    }

    /// Writes limits where the kernel reads them, also when systemd does too: it writes later, and not all of them.
    fn write(&self, path: &str, limits: &Limits) -> Result<(), Error> {
        for (controller, file, value) in limits.settings(self.version) {
            let Some(directory) = self.directory(controller, path) else { continue };
            let file = directory.join(file);
            fs::write(&file, &value).map_err(Error::io("write", file))?;
        }
        Ok(())
    }

    /// Tells whether the cgroup is there in any hierarchy.
    pub fn exists(&self, path: &str) -> bool {
        let place = self.place(path);
        self.hierarchies.iter().any(|hierarchy| tree::join(&hierarchy.root, &place).is_dir())
    }

    /// Lists the cgroups directly below, by name.
    pub fn children(&self, path: &str) -> BTreeSet<String> {
        let place = self.place(path);
        let below = self
            .hierarchies
            .iter()
            .flat_map(|hierarchy| tree::children(&tree::join(&hierarchy.root, &place)));
        let name = |folder: &str| match self.systemd {
            Some(_) => systemd::child(path, folder),
            None => folder.to_owned(),
        };
        below.filter_map(|child| child.file_name()?.to_str().map(name)).collect()
    }

    /// Lists the processes in a cgroup and below it.
    pub fn processes(&self, path: &str) -> BTreeSet<i32> {
        let place = self.place(path);
        self.hierarchies
            .iter()
            .flat_map(|hierarchy| tree::processes(&tree::join(&hierarchy.root, &place)))
            .collect()
    }

    /// Finds any process in a cgroup or below it.
    pub fn any_process(&self, path: &str) -> Option<i32> {
        // Runtimes put every process of a container into each of its hierarchies: one tells them all.
        tree::processes(&self.directory("memory", path)?).first().copied()
    }

    /// Kills what still runs in a cgroup and removes it in every hierarchy.
    ///
    /// Blocks until the processes are gone, at most five seconds. A cgroup that is not there is no error.
    pub fn remove(&self, path: &str) -> Result<(), Error> {
        if let Some(systemd) = &self.systemd {
            systemd.stop(path)?;
        }
        let place = self.place(path);
        let deadline = Instant::now() + REMOVAL;
        loop {
            if self
                .hierarchies
                .iter()
                .all(|hierarchy| tree::remove(&tree::join(&hierarchy.root, &place)).is_ok())
            {
                return Ok(());
            }
            for process in self.processes(path) {
                // It may be gone by now, which is what is wanted.
                let _ = signal::kill(Pid::from_raw(process), signal::Signal::SIGKILL);
            }
            if Instant::now() > deadline {
                return Err(Error::Busy(path.to_owned()));
            }
            // The kernel lets go of a cgroup a moment after its last process died, and tells nobody.
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// The directory of a cgroup in the hierarchy that has this controller.
    pub(crate) fn directory(&self, controller: &str, path: &str) -> Option<PathBuf> {
        let hierarchy = match self.version {
            Version::V2 => self.hierarchies.first(),
            Version::V1 => self
                .hierarchies
                .iter()
                .find(|hierarchy| hierarchy.controllers.iter().any(|held| held == controller)),
        };
        hierarchy.map(|hierarchy| tree::join(&hierarchy.root, &self.place(path)))
    }

    pub(crate) fn read(&self, controller: &str, path: &str, file: &str) -> Result<String, Error> {
        let missing = || Error::NotMounted(PathBuf::from(controller));
        let file = self.directory(controller, path).ok_or_else(missing)?.join(file);
        fs::read_to_string(&file).map_err(Error::io("read", file))
    }

    /// Tells whether an error means that the cgroup is gone.
    pub fn is_gone(error: &Error) -> bool {
        matches!(error, Error::Io { source, .. } if matches!(source.kind(), io::ErrorKind::NotFound)
            || source.raw_os_error() == Some(libc::ENODEV))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v1_mount() -> tempfile::TempDir {
        let mount = tempfile::tempdir().unwrap();
        for hierarchy in ["cpu,cpuacct", "memory", "pids", "unified"] {
            let root = mount.path().join(hierarchy);
            fs::create_dir(&root).unwrap();
            fs::write(root.join("cgroup.procs"), "").unwrap();
        }
        std::os::unix::fs::symlink("cpu,cpuacct", mount.path().join("cpu")).unwrap();
        mount
    }

    #[test]
    fn joined_controllers_are_one_hierarchy() {
        let mount = v1_mount();
        let cgroups = Cgroups::detect(mount.path()).unwrap();
        assert_eq!(cgroups.version(), Version::V1);
        assert_eq!(cgroups.hierarchies.len(), 4);
        assert_eq!(
            cgroups.directory("cpuacct", "/a/b"),
            Some(mount.path().canonicalize().unwrap().join("cpu,cpuacct/a/b"))
        );
        assert_eq!(cgroups.directory("blkio", "/a"), None);
    }

    #[test]
    fn limits_land_where_their_controller_is() {
        let mount = v1_mount();
        let cgroups = Cgroups::detect(mount.path()).unwrap();
        let limits = Limits { cpu_shares: Some(2), memory: Some(5), ..Limits::default() };
        cgroups.ensure("kubepods/besteffort", &limits).unwrap();
        let read = |file: &str| fs::read_to_string(mount.path().join(file)).unwrap();
        assert_eq!(read("cpu/kubepods/besteffort/cpu.shares"), "2");
        assert_eq!(read("memory/kubepods/besteffort/memory.limit_in_bytes"), "5");
        assert!(cgroups.children("kubepods").contains("besteffort"));
        assert!(!mount.path().join("unified/kubepods").exists());
    }

    #[test]
    fn an_empty_directory_is_no_hierarchy() {
        let mount = tempfile::tempdir().unwrap();
        assert!(matches!(Cgroups::detect(mount.path()), Err(Error::NotMounted(_))));
    }

    /// The real kernel, where this process may make cgroups.
    #[test]
    fn a_real_cgroup_takes_its_limits_and_is_removed_with_its_processes() {
        let Ok(cgroups) = Cgroups::detect(Path::new("/sys/fs/cgroup")) else { return };
        let path = format!("magnetite-test-{}", std::process::id());
        let limits =
            Limits { cpu_shares: Some(102), memory: Some(64 << 20), pids: Some(50), ..Limits::default() };
        if cgroups.ensure(&format!("{path}/pod"), &limits).is_err() {
            // Not root, or nothing delegated: the tables above are what can be tested.
            let _ = cgroups.remove(&path);
            return;
        }
        let mut child = std::process::Command::new("sleep").arg("600").spawn().unwrap();
        let procs = cgroups.directory("memory", &format!("{path}/pod")).unwrap().join("cgroup.procs");
        fs::write(procs, child.id().to_string()).unwrap();
        assert!(cgroups.processes(&path).contains(&i32::try_from(child.id()).unwrap()));
        assert!(
            cgroups.usage(&format!("{path}/pod")).unwrap().memory > 0 || cgroups.version() == Version::V1
        );
        let reaper = thread::spawn(move || child.wait().unwrap());
        cgroups.remove(&path).unwrap();
        assert!(!reaper.join().unwrap().success());
        assert!(!cgroups.exists(&path));
    }
}
