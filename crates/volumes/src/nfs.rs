//! NFS exports, mounted by the system's own program where it is installed, and else by the kernel alone.

use std::{
    fs,
    net::{IpAddr, ToSocketAddrs},
    path::Path,
    process::{Command, Stdio},
};

use nix::{errno::Errno, mount::MsFlags};

use crate::{Error, mount};

/// Where distributions put the program that `mount` runs for NFS.
const HELPERS: [&str; 3] = ["/sbin/mount.nfs", "/usr/sbin/mount.nfs", "/usr/bin/mount.nfs"];

/// An export of an NFS server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nfs {
    /// The server's name or address.
    pub server: String,
    /// The path that it exports.
    pub export: String,
    /// Whether nothing may be written.
    pub read_only: bool,
    /// Mount options.
    pub options: Vec<String>,
}

impl Nfs {
    fn source(&self) -> String {
        let bare_ipv6 = self.server.contains(':') && !self.server.starts_with('[');
        let (open, close) = if bare_ipv6 { ("[", "]") } else { ("", "") };
        format!("{open}{}{close}:{}", self.server, self.export)
    }

    /// What `mount` is given, as upstream gives it.
    fn arguments(&self, target: &Path) -> Vec<String> {
        let mut arguments = vec!["-t".to_owned(), "nfs".to_owned()];
        let read_only = self.read_only.then(|| "ro".to_owned());
        let options: Vec<String> = read_only.into_iter().chain(self.options.iter().cloned()).collect();
        if !options.is_empty() {
            arguments.extend(["-o".to_owned(), options.join(",")]);
        }
        arguments.extend([self.source(), target.display().to_string()]);
        arguments
    }
}

/// Mounts an NFS export at a directory, which is made where it is missing.
pub fn nfs(nfs: &Nfs, target: &Path) -> Result<(), Error> {
    fs::create_dir_all(target).map_err(Error::io("create", target))?;
    if mount::is_mount_point(target)? {
        return Ok(());
    }
    if HELPERS.iter().any(|helper| Path::new(helper).exists()) {
        by_program(nfs, target)
    } else {
        by_kernel(nfs, target)
    }
}

fn by_program(nfs: &Nfs, target: &Path) -> Result<(), Error> {
    let arguments = nfs.arguments(target);
    let output = Command::new("mount")
        .args(&arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(Error::io("run mount for", target))?;
    if output.status.success() {
        return Ok(());
    }
    let why = match output.status.code() {
        Some(code) => format!("exit status {code}"),
        None => output.status.to_string(),
    };
    let mut said = String::from_utf8_lossy(&output.stderr).into_owned();
    said.push_str(&String::from_utf8_lossy(&output.stdout));
    Err(failed(&why, "mount", &arguments, &said))
}

/// Mounts without a helper: the kernel wants the server's address, and takes version 4 only.
fn by_kernel(nfs: &Nfs, target: &Path) -> Result<(), Error> {
    let fail = |why: &str, said: &str| failed(why, "mount(2)", &nfs.arguments(target), said);
    let address = address(&nfs.server).map_err(|why| fail("the server has no address", &why))?;
    let mut options = vec![format!("addr={address}"), "clientaddr=0.0.0.0".to_owned()];
    let is_version = |option: &&String| option.starts_with("vers=") || option.starts_with("nfsvers=");
    if !nfs.options.iter().any(|option| is_version(&option)) {
        options.push("vers=4.2".to_owned());
    }
    options.extend(nfs.options.iter().filter(|option| *option != "ro" && *option != "rw").cloned());
    let read_only = nfs.read_only || nfs.options.iter().any(|option| option == "ro");
    let flags = if read_only { MsFlags::MS_RDONLY } else { MsFlags::empty() };
    mount::filesystem(&nfs.source(), target, "nfs4", flags, &options.join(",")).map_err(|errno| match errno {
        Errno::ENODEV => {
            let why = format!("{} (the kernel of this node has no NFS client)", errno.desc());
            fail(&why, "unknown filesystem type 'nfs4'")
        }
        _ => fail(errno.desc(), "mount.nfs, which could say more, is not installed on this node"),
    })
}

fn address(server: &str) -> Result<IpAddr, String> {
    let bare = server.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = bare.parse() {
        return Ok(address);
    }
    let mut found = (bare, 2049).to_socket_addrs().map_err(|error| error.to_string())?;
    found.next().map(|found| found.ip()).ok_or_else(|| format!("{server}: no address"))
}

fn failed(why: &str, command: &'static str, arguments: &[String], said: &str) -> Error {
    let output = said.trim_end().to_owned();
    Error::Mount { why: why.to_owned(), command, arguments: arguments.join(" "), output }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn export(server: &str) -> Nfs {
        Nfs { server: server.into(), export: "/shared".into(), read_only: false, options: Vec::new() }
    }

    #[test]
    fn mount_is_told_as_upstream_tells_it() {
        let target = Path::new("/mnt");
        let told = |nfs: Nfs| nfs.arguments(target).join(" ");
        assert_eq!(told(export("192.168.1.10")), "-t nfs 192.168.1.10:/shared /mnt");
        assert_eq!(told(export("fd00::1")), "-t nfs [fd00::1]:/shared /mnt");
        let options = vec!["hard".to_owned(), "nfsvers=4.1".to_owned()];
        assert_eq!(
            told(Nfs { read_only: true, options, ..export("nfs.example") }),
            "-t nfs -o ro,hard,nfsvers=4.1 nfs.example:/shared /mnt"
        );
    }

    #[test]
    fn a_failure_reads_as_upstreams() {
        let failed = failed(
            "exit status 32",
            "mount",
            &export("a").arguments(Path::new("/mnt")),
            "mount.nfs: timed out\n",
        );
        assert_eq!(
            failed.to_string(),
            "mount failed: exit status 32\nMounting command: mount\nMounting arguments: -t nfs a:/shared /mnt\n\
             Output: mount.nfs: timed out\n"
        );
    }
}
