//! Cgroups that systemd owns: each is a slice, and systemd is told of its limits, so that it does not set them back.
//!
//! Upstream's driver `systemd` names slices the same way, so either kubelet finds what the other made.

mod call;
pub(crate) mod message;

use std::path::{Path, PathBuf};

use crate::{Error, Limits, Version, convert};
use call::Connection;
use message::Property;

/// Where systemd listens for root, with no bus in between.
const SOCKET: &str = "/run/systemd/private";
const SUFFIX: &str = ".slice";
/// What systemd takes for "no limit".
const NO_LIMIT: u64 = u64::MAX;
/// systemd rounds quotas to this many microseconds in a second and warns of others.
const QUOTA_STEP: u64 = 10_000;

/// Why systemd did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum SystemdError {
    /// Nobody listens, or the connection broke.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// It was understood and refused.
    #[error("{name}: {text}")]
    Refused {
        /// The D-Bus error's name.
        name: String,
        /// What it says.
        text: String,
    },
    /// The job ended otherwise than done.
    #[error("job {0}")]
    Job(String),
    /// What came is no D-Bus message that a manager sends.
    #[error("{0}")]
    Malformed(&'static str),
}

/// A systemd that can be asked for slices.
#[derive(Debug, Clone)]
pub(crate) struct Systemd {
    socket: PathBuf,
}

impl Systemd {
    /// The systemd of this machine.
    pub(crate) fn of_this_machine() -> Self {
        Self { socket: SOCKET.into() }
    }

    /// Starts a slice with its limits, or gives one that runs its new limits.
    pub(crate) fn start(&self, path: &str, limits: &Limits, version: Version) -> Result<(), Error> {
        let Some(unit) = unit(path) else { return Ok(()) };
        let mut properties = of_slice(&unit, version);
        properties.extend(of_limits(limits, version));
        let started = Connection::open(&self.socket).and_then(|mut connection| {
            match connection.start_transient_unit(&unit, &properties) {
                Err(SystemdError::Refused { name, .. }) if name == call::EXISTS => {
                    connection.set_unit_properties(&unit, &of_limits(limits, version))
                }
                other => other,
            }
        });
        started.map_err(Error::systemd("start", &unit))
    }

    /// Gives a slice that runs new limits.
    pub(crate) fn limit(&self, path: &str, limits: &Limits, version: Version) -> Result<(), Error> {
        let Some(unit) = unit(path) else { return Ok(()) };
        Connection::open(&self.socket)
            .and_then(|mut connection| connection.set_unit_properties(&unit, &of_limits(limits, version)))
            .map_err(Error::systemd("set the limits of", &unit))
    }

    /// Stops a slice and everything in it. One that is not known is no error.
    pub(crate) fn stop(&self, path: &str) -> Result<(), Error> {
        let Some(unit) = unit(path) else { return Ok(()) };
        match Connection::open(&self.socket).and_then(|mut connection| connection.stop_unit(&unit)) {
            Err(SystemdError::Refused { name, .. }) if name == call::UNKNOWN => Ok(()),
            other => other.map_err(Error::systemd("stop", &unit)),
        }
    }
}

/// The parts of a path. A part with a dot is a unit's own name already: a container's scope.
fn parts(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|part| !part.is_empty() && *part != "." && *part != "..")
}

/// A part as it may stand in a slice's name, where a dash says "below".
fn escaped(part: &str) -> String {
    part.replace('-', "_")
}

/// The slice of a cgroup's path, `kubepods-burstable.slice` for `/kubepods/burstable`; none for the root.
pub(crate) fn unit(path: &str) -> Option<String> {
    let names: Vec<String> = parts(path).filter(|part| !part.contains('.')).map(escaped).collect();
    (!names.is_empty()).then(|| names.join("-") + SUFFIX)
}

/// Where a cgroup lies: each slice in the folder of the one above it, scopes as they are named.
pub(crate) fn place(path: &str) -> String {
    let (mut place, mut name) = (String::new(), String::new());
    for part in parts(path) {
        place.push('/');
        if part.contains('.') {
            place.push_str(part);
            continue;
        }
        if !name.is_empty() {
            name.push('-');
        }
        name.push_str(&escaped(part));
        place.push_str(&name);
        place.push_str(SUFFIX);
    }
    place
}

/// The name that a folder below `path` has in paths: the reverse of [`place`], where underscores were dashes.
pub(crate) fn child(path: &str, folder: &str) -> String {
    let above = unit(path).map(|unit| unit.trim_end_matches(SUFFIX).to_owned() + "-").unwrap_or_default();
    match folder.strip_suffix(SUFFIX).and_then(|name| name.strip_prefix(above.as_str())) {
        Some(name) => name.replace('_', "-"),
        None => folder.to_owned(),
    }
}

/// The folder of a container that containerd runs for the CRI.
pub(crate) fn scope(container: &str) -> String {
    format!("cri-containerd-{container}.scope")
}

fn of_slice(unit: &str, version: Version) -> Vec<Property> {
    let above = unit.trim_end_matches(SUFFIX).rsplit_once('-').map(|(above, _)| above.to_owned() + SUFFIX);
    let io = match version {
        Version::V1 => "BlockIOAccounting",
        Version::V2 => "IOAccounting",
    };
    let mut properties = vec![Property::text("Description", format!("kubelet slice {unit}"))];
    properties.extend(above.map(|above| Property::names("Wants", vec![above])));
    for name in ["CPUAccounting", "MemoryAccounting", "TasksAccounting", io] {
        properties.push(Property::flag(name, true));
    }
    properties.push(Property::flag("DefaultDependencies", false));
    properties
}

fn of_limits(limits: &Limits, version: Version) -> Vec<Property> {
    let amount = |amount: i64| u64::try_from(amount).unwrap_or(NO_LIMIT);
    let mut properties = Vec::new();
    if let Some(shares) = limits.cpu_shares {
        properties.push(match version {
            Version::V1 => Property::number("CPUShares", shares),
            Version::V2 => Property::number("CPUWeight", convert::shares_to_weight(shares)),
        });
    }
    if let Some(quota) = limits.cpu_quota {
        let period = limits.cpu_period.unwrap_or(convert::QUOTA_PERIOD).max(1);
        let in_a_second = u64::try_from(quota).ok().map(|quota| {
            let exact = quota.saturating_mul(1_000_000) / period;
            exact.div_ceil(QUOTA_STEP).saturating_mul(QUOTA_STEP)
        });
        properties.push(Property::number("CPUQuotaPeriodUSec", period));
        properties.push(Property::number("CPUQuotaPerSecUSec", in_a_second.unwrap_or(NO_LIMIT)));
    }
    if let Some(memory) = limits.memory {
        let name = match version {
            Version::V1 => "MemoryLimit",
            Version::V2 => "MemoryMax",
        };
        properties.push(Property::number(name, amount(memory)));
    }
    if let Some(pids) = limits.pids {
        properties.push(Property::number("TasksMax", amount(pids)));
    }
    properties
}

/// Tells whether a systemd runs here that can be asked.
pub(crate) fn runs() -> bool {
    Path::new(SOCKET).exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_becomes_slices_within_slices() {
        for (path, name, folder) in [
            ("/", None, ""),
            ("/kubepods", Some("kubepods.slice"), "/kubepods.slice"),
            (
                "/kubepods/burstable/pod0a-1b",
                Some("kubepods-burstable-pod0a_1b.slice"),
                "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod0a_1b.slice",
            ),
            (
                "lab/w1-k8s/kubepods",
                Some("lab-w1_k8s-kubepods.slice"),
                "/lab.slice/lab-w1_k8s.slice/lab-w1_k8s-kubepods.slice",
            ),
            (
                "/kubepods/pod1/cri-containerd-ab.scope",
                Some("kubepods-pod1.slice"),
                "/kubepods.slice/kubepods-pod1.slice/cri-containerd-ab.scope",
            ),
            ("/../kubepods", Some("kubepods.slice"), "/kubepods.slice"),
        ] {
            assert_eq!((unit(path).as_deref(), place(path).as_str()), (name, folder), "{path}");
        }
    }

    #[test]
    fn a_folder_is_read_back() {
        for (path, folder, expected) in [
            ("/kubepods/burstable", "kubepods-burstable-pod0a_1b.slice", "pod0a-1b"),
            ("/", "system.slice", "system"),
            ("/kubepods", "kubepods-besteffort.slice", "besteffort"),
            ("/kubepods", "other-besteffort.slice", "other-besteffort.slice"),
            ("/kubepods/pod1", "cri-containerd-ab.scope", "cri-containerd-ab.scope"),
        ] {
            assert_eq!(child(path, folder), expected, "{folder} below {path}");
        }
    }

    #[test]
    fn limits_are_said_as_either_version_of_systemd_reads_them() {
        let limits = Limits {
            cpu_shares: Some(1024),
            cpu_quota: Some(25_001),
            cpu_period: None,
            memory: Some(1 << 20),
            pids: Some(-1),
        };
        let text = |version| {
            of_limits(&limits, version).iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
        };
        let tail = "CPUQuotaPeriodUSec=100000 CPUQuotaPerSecUSec=260000";
        assert_eq!(
            text(Version::V1),
            format!("CPUShares=1024 {tail} MemoryLimit=1048576 TasksMax=18446744073709551615")
        );
        assert_eq!(
            text(Version::V2),
            format!("CPUWeight=39 {tail} MemoryMax=1048576 TasksMax=18446744073709551615")
        );
        assert!(of_limits(&Limits::default(), Version::V2).is_empty());
    }

    #[test]
    fn a_slice_wants_the_one_above_it() {
        let text = |unit| of_slice(unit, Version::V1).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert!(text("kubepods-burstable.slice").contains(&"Wants=kubepods.slice".to_owned()));
        assert!(!text("kubepods.slice").iter().any(|line| line.starts_with("Wants")));
    }
}
