//! What a node's runtime, kernel and programs say.

use std::cell::RefCell;
use std::io::{Read as _, Seek as _, Write as _};
use std::path::Path;

use base64::Engine as _;
use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use serde_json::json;

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

/// What is asked for of a log.
const QUERIES: [&str; 8] = [
    "",
    "timestamps=true",
    "limitBytes=5",
    "sinceTime=2026-11-21T16:20:48.5Z",
    "stream=Stderr",
    "stream=Stdout&timestamps=true&limitBytes=1000",
    "tailLines=1",
    "tailLines=0&limitBytes=9223372036854775807",
];

pub fn logs() -> Vec<Vec<u8>> {
    let lines = log_lines().concat();
    let long = [b"2026-11-21T16:20:49Z stdout F ".as_slice(), &[b'x'; 300], b"\n"].concat();
    (0..8)
        .map(|query| [[query].as_slice(), &lines, &long, b"2026-11-21T16:20:50Z stderr P half"].concat())
        .collect()
}

/// A container's whole log, as it is shown to who asks: a byte for what is asked for, then the log.
pub fn log(input: &[u8]) -> bool {
    let Some((query, log)) = input.split_first() else { return false };
    let query = QUERIES[usize::from(*query) % QUERIES.len()];
    let shown = |pieces: &[&[u8]]| -> Vec<u8> {
        let filter = kubelet::LogFilter::of_query(query, Timestamp::UNIX_EPOCH);
        let mut filter = filter.expect("the queries are right");
        pieces.iter().flat_map(|piece| filter.take(piece)).collect()
    };
    let whole = shown(&[log]);
    let small: Vec<&[u8]> = log.chunks(7).collect();
    assert_eq!(shown(&small), whole, "a log is shown alike however it is read");
    assert!(whole.len() <= log.len(), "nothing is shown that is not there");
    for lines in [0, 1, 3] {
        let start = LOG.with_borrow_mut(|file| {
            let written = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| file.write_all(log));
            written.expect("a temporary file can be written");
            kubelet::log_tail(file, lines).expect("a temporary file can be read")
        });
        let (before, tail) = log.split_at(usize::try_from(start).expect("it is a place in the log"));
        let ends = tail.iter().filter(|byte| **byte == b'\n').count();
        assert!(
            ends + usize::from(!tail.is_empty() && !tail.ends_with(b"\n")) <= lines,
            "no more than was asked for"
        );
        assert!(before.is_empty() || before.ends_with(b"\n") || tail.is_empty(), "a tail begins with a line");
    }
    !whole.is_empty()
}

thread_local! {
    /// The log that is read from its end.
    static LOG: RefCell<std::fs::File> = RefCell::new(tempfile::tempfile().expect("a temporary file can be made"));
}

pub fn manifests() -> Vec<Vec<u8>> {
    seeds(&[
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: web\n  annotations: {a: b}\nspec:\n  containers:\n  - name: c\n    image: i\n    \
         resources: {limits: {cpu: 100m}}\n  tolerations: []\n",
        "{\"kind\": \"Pod\", \"metadata\": {\"name\": \"a\", \"uid\": \"u\", \"namespace\": \"n\"}, \"spec\": {\"containers\": [{\"name\": \"c\"}]}}",
    ])
}

/// A manifest in the folder of static pods.
pub fn manifest(input: &[u8]) -> bool {
    let text = text(input);
    let read = || kubelet::static_pod(&text, "node-1", Path::new("/m/web.yaml"));
    let Ok(pod) = read() else { return false };
    assert_eq!(read().ok().as_ref(), Some(&pod), "a manifest makes one pod");
    let (name, uid) = (pod.metadata.name.unwrap_or_default(), pod.metadata.uid.unwrap_or_default());
    assert!(name.ends_with("-node-1") && !uid.is_empty() && pod.metadata.namespace.is_some());
    assert_eq!(pod.spec.and_then(|spec| spec.node_name).as_deref(), Some("node-1"));
    true
}

pub fn pull_secrets() -> Vec<Vec<u8>> {
    let auth = base64::engine::general_purpose::STANDARD.encode("user:word");
    [
        json!({"auths": {"https://registry.example.com:5000/a": {"auth": auth}, "*.example.com": {"username": "u", "password": "p"}}}),
        json!({"registry.example.com:5000": {"identitytoken": "t", "registrytoken": "r", "auth": "%"}}),
    ]
    .iter()
    .map(|secret| secret.to_string().into_bytes())
    .collect()
}

/// The credentials in a pull secret, in its two forms.
pub fn pull_secret(input: &[u8]) -> bool {
    const IMAGE: &str = "registry.example.com:5000/a/b:v1";
    let secret = |key: &str| {
        let data = [(key.to_owned(), ByteString(input.to_vec()))].into();
        std::sync::Arc::new(Secret { data: Some(data), ..Secret::default() })
    };
    let found =
        [".dockerconfigjson", ".dockercfg"].map(|key| kubelet::image::credentials(IMAGE, &[secret(key)]));
    let all = found.concat();
    for one in &all {
        let own = kubelet::image::reference::matches_registry(IMAGE, &one.server_address);
        assert!(own, "a registry is shown no other's credentials: {}", one.server_address);
    }
    !all.is_empty()
}

pub fn mount_tables() -> Vec<Vec<u8>> {
    seeds(&[
        "36 35 98:0 / /mnt/a\\040b rw - ext4 /dev/sda rw\n37 35 0:5 / /mnt rw - tmpfs tmpfs rw\n38 1 0:6 / /\\777\\1 rw\n",
    ])
}

/// The kernel's table of mounts.
pub fn mount_table(input: &[u8]) -> bool {
    let text = text(input);
    let points: Vec<_> = volumes::mount::points(&text).collect();
    assert!(points.len() <= text.lines().count(), "a line is a mount");
    // What is no letter of any language is three bytes long.
    assert!(points.iter().map(|point| point.as_os_str().len()).sum::<usize>() <= 3 * text.len());
    !points.is_empty()
}

pub fn task_events() -> Vec<Vec<u8>> {
    // Field 1 is the container of each event; field 2 of an exit is what ended.
    vec![
        b"\0\x0a\x01c".to_vec(),
        b"\x01\x0a\x01c\x12\x01c\x18\x05\x20\x01".to_vec(),
        b"\x02\x0a\x01c".to_vec(),
        b"\x03\x0a\x01c".to_vec(),
    ]
}

/// An event of containerd's: a byte for its topic, then its body.
pub fn task_event(input: &[u8]) -> bool {
    const TOPICS: [&str; 5] = ["/tasks/start", "/tasks/exit", "/tasks/delete", "/tasks/oom", "/tasks/create"];
    let Some((topic, body)) = input.split_first() else { return false };
    let Some(event) = cri::Event::of_task(TOPICS[usize::from(*topic) % TOPICS.len()], body) else {
        return false;
    };
    assert!(event.container_id.len() <= body.len(), "the container is named in the event");
    true
}

pub fn network_notes() -> Vec<Vec<u8>> {
    seeds(&[
        r#"{"kind":"cniCacheV1","containerId":"f1","ifName":"eth0","networkName":"podnet","cniArgs":[["IgnoreUnknown","1"],["K8S_POD_NAMESPACE","default"],["K8S_POD_NAME","web"]],"result":{"cniVersion":"0.4.0","ips":[{"address":"172.16.1.7/24","gateway":"172.16.1.1","version":"4"},{"address":"fd00::7/64"}]}}"#,
    ])
}

/// A note of the CNI library about what a plugin gave.
pub fn network_note(input: &[u8]) -> bool {
    let Some((key, addresses)) = podnet::policy::sandboxes::read_note(input) else { return false };
    assert!(key.contains('/') && addresses.len() <= input.len(), "a note is of a pod");
    true
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

/// What a backup has in it, before it is packed.
pub fn backups() -> Vec<Vec<u8>> {
    let made = tempfile::tempdir().ok().and_then(|folder| {
        let description: kubeadm::backup::archive::Description =
            serde_json::from_value(json!({"version": "v1.36.0", "node": "n",
            "created": "2026-01-01T00:00:00Z", "etcd": {"revision": 7, "keys": 3, "size": 4128}}))
            .ok()?;
        let (file, path) = (folder.path().join("ca.crt"), folder.path().join("backup"));
        std::fs::write(&file, "public").ok()?;
        let mut writer = kubeadm::backup::archive::Writer::new(folder.path(), &description).ok()?;
        writer.file("etc/kubernetes/pki/ca.crt", &file).ok()?;
        writer.finish(&path).ok()?;
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(std::fs::File::open(path).ok()?).read_to_end(&mut plain).ok()?;
        Some(plain)
    });
    made.into_iter().collect()
}

/// A backup that somebody has had in hand: nothing of it is written outside of where it is unpacked.
pub fn backup(input: &[u8]) -> bool {
    let folder = tempfile::tempdir().expect("a temporary directory can be made");
    let (path, target) = (folder.path().join("backup"), folder.path().join("target"));
    let file = std::fs::File::create(&path).expect("a file can be made");
    let mut packed = flate2::write::GzEncoder::new(file, flate2::Compression::none());
    packed.write_all(input).and_then(|()| packed.try_finish()).expect("a file can be written");
    let described = kubeadm::backup::archive::describe(&path).is_ok();
    let unpacked = kubeadm::backup::archive::unpack(&path, &target).is_ok();
    let names = std::fs::read_dir(folder.path()).expect("the directory is there").flatten();
    let foreign = names.map(|entry| entry.file_name()).find(|name| name != "backup" && name != "target");
    assert_eq!(foreign, None, "something was written outside");
    described && unpacked
}
