//! The ground a test stands on: containerd in network, mount and process namespaces of its own, a kubelet beside it.

use std::{
    fs,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use cgroups::Cgroups;
use futures::StreamExt;
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;
use nix::{
    sched::{CloneFlags, setns},
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_tungstenite::{WebSocketStream, tungstenite::client::IntoClientRequest};

use crate::image;

const BUSYBOX: &str = "/bin/busybox";
const PLUGINS: &str = "/usr/lib/cni";
const PATIENCE: Duration = Duration::from_secs(60);

/// One node's worth of ground. Dropping it leaves nothing.
pub struct Ground {
    folder: tempfile::TempDir,
    holder: Child,
    /// The first process inside.
    inside: i32,
    kubelet: Option<Child>,
    cgroup: String,
    tls: Arc<rustls::ClientConfig>,
}

impl Ground {
    /// Starts containerd with two images; none where that cannot be done.
    pub async fn prepare(name: &str) -> Option<Self> {
        let needed = ["/usr/bin/containerd", "/usr/sbin/runc", BUSYBOX, PLUGINS];
        if !nix::unistd::geteuid().is_root() || needed.iter().any(|path| !Path::new(path).exists()) {
            eprintln!("not root, or one of {needed:?} is missing: nothing to test against");
            return None;
        }
        let folder = tempfile::Builder::new().prefix("kubelet-").tempdir().unwrap();
        let at = |part: &str| folder.path().join(part);
        for part in ["cni", "manifests", "logs", "pki", "kubelet"] {
            fs::create_dir(at(part)).unwrap();
        }
        image::write(&at("busybox.tar"), Path::new(BUSYBOX), "docker.io/library/busybox:latest", &["sh"]);
        image::write(
            &at("pause.tar"),
            Path::new(BUSYBOX),
            "registry.k8s.io/pause:3.10",
            &["sleep", "2147483647"],
        );
        let root = folder.path().display().to_string();
        let fill = |text: &str| text.replace("ROOT", &root).replace("PLUGINS", PLUGINS);
        fs::write(at("cni/10-bridge.conflist"), fill(include_str!("bridge.conflist"))).unwrap();
        fs::write(at("containerd.toml"), fill(include_str!("containerd.toml"))).unwrap();
        fs::write(at("inside.sh"), fill(include_str!("inside.sh"))).unwrap();
        let tls = certificates(&at("pki"));
        let mut holder = Command::new("unshare");
        holder.args(["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh"]);
        let log = fs::File::create(at("inside.log")).unwrap();
        holder.arg(at("inside.sh")).stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let holder = holder.process_group(0).spawn().unwrap();
        let outer = holder.id();
        let cgroup = format!("/kubelet-test-{name}-{}", std::process::id());
        let mut ground = Self { folder, holder, inside: 0, kubelet: None, cgroup, tls };
        let ready = ground.at("ready");
        wait("containerd starts", || ready.exists()).await;
        ground.inside = child_of(outer).unwrap();
        Some(ground)
    }

    fn at(&self, part: &str) -> PathBuf {
        self.folder.path().join(part)
    }

    /// Runs a command inside.
    fn enter(&self) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["-t", &self.inside.to_string(), "--net", "--mount", "--pid"]);
        command
    }

    /// Starts the kubelet.
    pub fn start_kubelet(&mut self) {
        let log = fs::File::options().create(true).append(true).open(self.at("kubelet.log")).unwrap();
        let root = self.folder.path().display();
        let child = self
            .enter()
            .arg(env!("CARGO_BIN_EXE_kubelet"))
            .arg(format!("--container-runtime-endpoint=unix://{root}/containerd.sock"))
            .arg(format!("--root-dir={root}/kubelet"))
            .arg(format!("--pod-logs-dir={root}/logs/pods"))
            .arg(format!("--cgroup-root={}", self.cgroup))
            .arg(format!("--pod-manifest-path={root}/manifests"))
            .arg(format!("--client-ca-file={root}/pki/ca.crt"))
            .arg(format!("--tls-cert-file={root}/pki/server.crt"))
            .arg(format!("--tls-private-key-file={root}/pki/server.key"))
            .args([
                "--hostname-override=n1",
                "--cluster-dns=10.96.0.10",
                "--cluster-domain=cluster.local",
                "--v=4",
            ])
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.kubelet = Some(child);
    }

    fn kubelet_pid(&self) -> Option<i32> {
        child_of(self.kubelet.as_ref()?.id())
    }

    /// Stops the kubelet.
    pub fn stop_kubelet(&mut self) {
        if let Some(pid) = self.kubelet_pid() {
            kill(Pid::from_raw(pid), Signal::SIGTERM).unwrap();
        }
        if let Some(mut kubelet) = self.kubelet.take() {
            kubelet.wait().unwrap();
        }
    }

    /// The kubelet's resident memory in KiB.
    pub fn resident(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.kubelet_pid().unwrap())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// Puts a manifest in place, whole at once.
    pub fn manifest(&self, name: &str, text: &str) {
        let written = self.at("manifest.new");
        fs::write(&written, text).unwrap();
        fs::rename(written, self.at("manifests").join(name)).unwrap();
    }

    /// Takes a manifest away.
    pub fn remove_manifest(&self, name: &str) {
        fs::remove_file(self.at("manifests").join(name)).unwrap();
    }

    async fn connect(&self) -> Option<TlsStream<TcpStream>> {
        let inside = self.inside;
        let (answer, answered) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || {
            let connect = || {
                setns(fs::File::open(format!("/proc/{inside}/ns/net")).ok()?, CloneFlags::CLONE_NEWNET)
                    .ok()?;
                std::net::TcpStream::connect("127.0.0.1:10250").ok()
            };
            let _ = answer.send(connect());
        });
        let stream = answered.await.ok()??;
        stream.set_nonblocking(true).ok()?;
        let name = ServerName::try_from("127.0.0.1").unwrap();
        TlsConnector::from(Arc::clone(&self.tls)).connect(name, TcpStream::from_std(stream).ok()?).await.ok()
    }

    async fn try_get(&self, path: &str) -> Option<(u16, String)> {
        let stream = self.connect().await?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.ok()?;
        tokio::spawn(connection);
        let request = Request::get(path).header("host", "127.0.0.1").body(Empty::<Bytes>::new()).unwrap();
        let answer = sender.send_request(request).await.ok()?;
        let code = answer.status().as_u16();
        let body = answer.into_body().collect().await.ok()?.to_bytes();
        Some((code, String::from_utf8_lossy(&body).into_owned()))
    }

    /// Asks the kubelet.
    pub async fn get(&self, path: &str) -> (u16, String) {
        self.try_get(path).await.unwrap()
    }

    /// Waits until the kubelet's pods are as wanted. It is a process of its own, and tells of no change unasked.
    pub async fn until(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let began = Instant::now();
        let mut last = Value::Null;
        while began.elapsed() < PATIENCE {
            if let Some((200, text)) = self.try_get("/pods").await {
                last = serde_json::from_str(&text).unwrap();
                if wanted(&last) {
                    return last;
                }
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let log = fs::read_to_string(self.at("kubelet.log")).unwrap_or_default();
        let inside = fs::read_to_string(self.at("inside.log")).unwrap_or_default();
        panic!("never came: {what}\n{last:#}\n--- kubelet\n{log}\n--- inside\n{inside}");
    }

    /// Opens a WebSocket.
    pub async fn websocket(&self, path: &str, protocol: &str) -> WebSocketStream<TlsStream<TcpStream>> {
        let mut request = format!("wss://127.0.0.1:10250{path}").into_client_request().unwrap();
        request.headers_mut().insert("sec-websocket-protocol", protocol.parse().unwrap());
        let stream = self.connect().await.unwrap();
        tokio_tungstenite::client_async(request, stream).await.unwrap().0
    }

    /// Runs a command in a container. Answers output, errors and verdict.
    pub async fn exec(&self, pod: &str, container: &str, command: &[&str]) -> (String, String, Value) {
        let words = command.iter().map(|word| {
            let encoded = percent_encoding::utf8_percent_encode(word, percent_encoding::NON_ALPHANUMERIC);
            format!("&command={encoded}")
        });
        let path = format!("/exec/default/{pod}/{container}?output=1&error=1{}", words.collect::<String>());
        let mut socket = self.websocket(&path, "v5.channel.k8s.io").await;
        let mut parts = [Vec::new(), Vec::new(), Vec::new()];
        while let Some(Ok(message)) = socket.next().await {
            if let [channel @ 1..=3, data @ ..] = message.into_data().as_ref() {
                parts[usize::from(*channel) - 1].extend_from_slice(data);
            }
        }
        let _ = socket.close(None).await;
        let [out, err, verdict] = parts;
        let verdict = serde_json::from_slice(&verdict).unwrap_or_default();
        (String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap(), verdict)
    }

    /// Lists the runtime's containers.
    pub fn runtime_list(&self) -> String {
        let socket = self.at("containerd.sock").display().to_string();
        let output = self
            .enter()
            .args(["ctr", "-a", &socket, "-n", "k8s.io", "containers", "ls", "-q"])
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    /// Tells whether a pod's cgroup is there.
    pub fn has_pod_cgroup(&self) -> bool {
        let cgroups = Cgroups::detect(Path::new("/sys/fs/cgroup")).unwrap();
        let parents =
            ["", "/burstable", "/besteffort"].map(|class| format!("{}/kubepods{class}", self.cgroup));
        parents.iter().any(|parent| cgroups.children(parent).iter().any(|child| child.starts_with("pod")))
    }

    /// Reads a file of the one container with a memory limit.
    pub fn cgroup_file(&self, controller: &str, file: &str) -> Option<String> {
        let burstable = format!("/sys/fs/cgroup/{controller}{}/kubepods", self.cgroup);
        let mut found = None;
        let mut folders = vec![PathBuf::from(burstable)];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                let path = entry.path();
                if path.is_dir() {
                    if let Ok(text) = fs::read_to_string(path.join(file))
                        && text.trim() == "33554432"
                    {
                        found = Some(text.trim().to_owned());
                    }
                    folders.push(path);
                }
            }
        }
        found
    }

    /// Lists the folders of pods.
    pub fn pod_folders(&self) -> Vec<String> {
        let entries = fs::read_dir(self.at("kubelet/pods")).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        // The end of the first process inside is the end of all of them, and of their mounts.
        if self.inside > 0 {
            let _ = kill(Pid::from_raw(self.inside), Signal::SIGKILL);
        }
        let _ = self.holder.kill();
        let _ = self.holder.wait();
        if let Some(mut kubelet) = self.kubelet.take() {
            let _ = kubelet.wait();
        }
        if let Ok(cgroups) = Cgroups::detect(Path::new("/sys/fs/cgroup")) {
            let _ = cgroups.remove(&self.cgroup);
        }
    }
}

fn child_of(pid: u32) -> Option<i32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    children.split_whitespace().next()?.parse().ok()
}

async fn wait(what: &str, mut done: impl FnMut() -> bool) {
    testkit::eventually_within(PATIENCE, || std::future::ready(done().then_some(()).ok_or(what))).await;
}

/// Makes an authority, the kubelet's certificate and an administrator's; answers the latter as a client.
fn certificates(folder: &Path) -> Arc<rustls::ClientConfig> {
    let now = jiff::Timestamp::now();
    let authority = pki::Authority::new("test-ca", 1, now).unwrap();
    fs::write(folder.join("ca.crt"), authority.certificate()).unwrap();
    let server = pki::Leaf::server("n1", &["n1"], &["127.0.0.1".parse().unwrap()]);
    authority.issue(&server, now).unwrap().write(folder, "server").unwrap();
    let admin = authority.issue(&pki::Leaf::client("admin", &["system:masters"]), now).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.certificate().as_bytes()).unwrap()).unwrap();
    let config =
        rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_client_auth_cert(
                vec![CertificateDer::from_pem_slice(admin.certificate.as_bytes()).unwrap()],
                PrivateKeyDer::from_pem_slice(admin.key.as_bytes()).unwrap(),
            )
            .unwrap();
    Arc::new(config)
}
