//! What a node's runtime, kernel and programs say.

use std::cell::RefCell;

use super::{seeds, text};

pub fn log_lines() -> Vec<Vec<u8>> {
    seeds(&[
        "2026-11-21T16:20:48.123456789Z stdout F a line\n",
        "2026-11-21T16:20:48.123456789+09:00 stderr P part\n",
        "2026-11-21T16:20:48Z stdout F:tag \n",
        "2026-11-21T16:20:48Z stdout F\n",
    ])
}

/// A line of a container's log.
pub fn log_line(input: &[u8]) -> bool {
    let entry = kubelet::log_entry(input);
    if let Some(entry) = &entry {
        assert!(entry.content.len() <= input.len(), "what was written lies in its line");
    }
    entry.is_some()
}

pub fn resolver_files() -> Vec<Vec<u8>> {
    seeds(&[
        "nameserver 10.0.0.1\nsearch a.example b.example\noptions ndots:5 timeout:1\n",
        "# a comment\nnameserver fe80::1%eth0\nnameserver ::1\ndomain x\n",
    ])
}

pub fn resolver_file(input: &[u8]) -> bool {
    let text = text(input);
    let _ = kubelet::container::dns::parse(&text);
    !cluster_dns::resolv_conf::name_servers(&text).is_empty()
}

thread_local! {
    /// A directory that looks like a mount of cgroups.
    static MOUNT: RefCell<Option<tempfile::TempDir>> = RefCell::new(tempfile::tempdir().ok());
}

const CGROUP_FILES: [&str; 4] = ["memory.stat", "cpu.stat", "memory.current", "pids.current"];

pub fn cgroup_files() -> Vec<Vec<u8>> {
    seeds(&["anon 1\nfile 2\ninactive_file 3\npgfault 4\npgmajfault 5\n\0usage_usec 100\n\x004096\n\x0012\n"])
}

/// Files of a cgroup, with zeros between them.
pub fn cgroup(input: &[u8]) -> bool {
    MOUNT.with_borrow(|mount| {
        let mount = mount.as_ref().expect("a temporary directory can be made").path();
        let parts = input.split(|byte| *byte == 0).chain(std::iter::repeat(&[][..]));
        let written =
            CGROUP_FILES.iter().zip(parts).map(|(file, part)| std::fs::write(mount.join(file), part));
        let written = written.chain([std::fs::write(mount.join("cgroup.controllers"), "cpu memory pids")]);
        assert!(written.into_iter().all(|written| written.is_ok()), "files can be written");
        cgroups::Cgroups::detect(mount).is_ok_and(|cgroups| cgroups.usage("/").is_ok())
    })
}

pub fn systemd_messages() -> Vec<Vec<u8>> {
    // A return, to the call 7, whose body is a text.
    let mut message = vec![b'l', 2, 0, 1, 9, 0, 0, 0, 1, 0, 0, 0, 15, 0, 0, 0];
    message.extend([5, 1, b'u', 0, 7, 0, 0, 0, 8, 1, b'g', 0, 1, b's', 0, 0]);
    message.extend([4, 0, 0, 0, b't', b'e', b'x', b't', 0]);
    vec![message]
}

/// What systemd answers on its socket.
pub fn systemd(input: &[u8]) -> bool {
    let Ok(message) = cgroups::SystemdMessage::read(input) else { return false };
    let mut body = message.body();
    while body.text().is_ok() {}
    true
}

pub fn saved_rules() -> Vec<Vec<u8>> {
    seeds(&["*nat\n:PREROUTING ACCEPT [0:0]\n:KUBE-SVC-A - [0:0]\n-A PREROUTING -j KUBE-SVC-A\nCOMMIT\n"])
}

/// What `iptables-save` prints.
pub fn rules(input: &[u8]) -> bool {
    !netrules::chain_names(&text(input)).is_empty()
}
