//! An API server and its etcd on loopback, with certificates, in a directory that goes away.

use std::{
    net::{IpAddr, Ipv4Addr, TcpListener},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use bytes::Bytes;
use http::Method;
use pki::{Authority, Leaf, Usage};
use rustls::ClientConfig;

use crate::{etcd, load::Client};

/// Every request's metadata, and the bodies of those that write.
const AUDIT: &str = "apiVersion: audit.k8s.io/v1
kind: Policy
rules:
- level: Request
  verbs: [create, update, patch, delete]
- level: Metadata
";

const ENCRYPTION: &str = "apiVersion: apiserver.config.k8s.io/v1
kind: EncryptionConfiguration
resources:
- resources: [secrets]
  providers:
  - secretbox:
      keys: [{name: bench, secret: YmVuY2htYXJrc2JlbmNobWFya3NiZW5jaG1hcmtzISE=}]
  - identity: {}
";

const AUTHENTICATION: &str = "apiVersion: apiserver.config.k8s.io/v1
kind: AuthenticationConfiguration
anonymous:
  enabled: true
  conditions: [{path: /livez}, {path: /readyz}, {path: /healthz}]
";

/// The pair, ended when dropped.
pub struct Server {
    directory: tempfile::TempDir,
    etcd: Child,
    apiserver: Option<Child>,
    /// Where the API server listens.
    pub address: String,
    /// Where etcd listens.
    pub etcd_url: String,
    /// How clients reach the API server as an administrator.
    pub tls: Arc<ClientConfig>,
    /// From the start of the API server until it said it was ready.
    pub ready_after: Duration,
    /// More flags of the API server.
    more: Vec<String>,
    /// How the API server is counted.
    under: Option<Callgrind>,
}

/// When callgrind counts the instructions of an API server that runs under it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Callgrind {
    /// From the first one on.
    FromTheStart,
    /// Not before it is told to.
    UntilTold,
}

fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn binary(name: &str) -> anyhow::Result<PathBuf> {
    Ok(std::env::current_exe()?.with_file_name(name))
}

impl Server {
    /// Starts both and waits until the API server is ready.
    pub async fn start() -> anyhow::Result<Self> {
        Self::start_as(None).await
    }

    /// As [`Server::start`], with the API server under callgrind.
    pub async fn start_under(callgrind: Callgrind) -> anyhow::Result<Self> {
        Self::start_as(Some(callgrind)).await
    }

    /// The beginning of the files' names that callgrind writes.
    pub fn counts(&self) -> PathBuf {
        self.directory.path().join("callgrind.out")
    }

    async fn start_as(under: Option<Callgrind>) -> anyhow::Result<Self> {
        let directory = tempfile::tempdir()?;
        let now = jiff::Timestamp::now();
        let path = |name: &str| directory.path().join(name).to_string_lossy().into_owned();
        let authority = Authority::new("kubernetes", 1, now)?;
        authority.issued().write(directory.path(), "ca")?;
        let loopback = [IpAddr::V4(Ipv4Addr::LOCALHOST)];
        for name in ["etcd", "apiserver"] {
            authority
                .issue(&Leaf::server(name, &["localhost"], &loopback).usage(Usage::Both), now)?
                .write(directory.path(), name)?;
        }
        authority
            .issue(&Leaf::client("admin", &["system:masters"]), now)?
            .write(directory.path(), "admin")?;
        let (private, public) = pki::signing_key()?;
        pki::write_private(&directory.path().join("sa.key"), &private)?;
        pki::write_public(&directory.path().join("sa.pub"), &public)?;

        let tls = Arc::new(client_tls(&directory)?);
        let (client_port, peer_port, port) = (free_port()?, free_port()?, free_port()?);
        let etcd_url = format!("https://127.0.0.1:{client_port}");
        let etcd = Command::new("etcd")
            .args(["--name=bench", "--client-cert-auth=true", "--log-level=error", "--logger=zap"])
            // As kubeadm sets it.
            .arg("--backend-batch-interval=25ms")
            .arg(format!("--data-dir={}", path("etcd-data")))
            .arg(format!("--listen-client-urls={etcd_url}"))
            .arg(format!("--advertise-client-urls={etcd_url}"))
            .arg(format!("--listen-peer-urls=http://127.0.0.1:{peer_port}"))
            .arg(format!("--initial-advertise-peer-urls=http://127.0.0.1:{peer_port}"))
            .arg(format!("--initial-cluster=bench=http://127.0.0.1:{peer_port}"))
            .arg(format!("--cert-file={}", path("etcd.crt")))
            .arg(format!("--key-file={}", path("etcd.key")))
            .arg(format!("--trusted-ca-file={}", path("ca.crt")))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("starting etcd")?;

        // From here on the processes end with this value.
        let address = format!("127.0.0.1:{port}");
        let mut server = Self {
            directory,
            etcd,
            apiserver: None,
            address,
            etcd_url,
            tls,
            ready_after: Duration::ZERO,
            more: Vec::new(),
            under,
        };
        etcd::wait_until_it_serves(&server.etcd_url, &server.etcd_options()?).await?;
        server.start_apiserver().await?;
        Ok(server)
    }

    /// Has the API server do all that it can be told to do, from its next start on.
    pub fn switch_everything_on(&mut self) -> anyhow::Result<()> {
        let write = |name: &str, text: &str| -> anyhow::Result<String> {
            let path = self.directory.path().join(name);
            std::fs::write(&path, text)?;
            Ok(path.to_string_lossy().into_owned())
        };
        let path = |name: &str| self.directory.path().join(name).to_string_lossy().into_owned();
        self.more = vec![
            format!("--audit-policy-file={}", write("audit.yaml", AUDIT)?),
            format!("--audit-log-path={}", path("audit.log")),
            format!("--encryption-provider-config={}", write("encryption.yaml", ENCRYPTION)?),
            format!("--authentication-config={}", write("authentication.yaml", AUTHENTICATION)?),
            format!("--requestheader-client-ca-file={}", path("ca.crt")),
            format!("--proxy-client-cert-file={}", path("admin.crt")),
            format!("--proxy-client-key-file={}", path("admin.key")),
            format!("--kubelet-client-certificate={}", path("admin.crt")),
            format!("--kubelet-client-key={}", path("admin.key")),
            "--runtime-config=api/all=true".to_owned(),
            "--enable-bootstrap-token-auth".to_owned(),
            "--enable-aggregator-routing".to_owned(),
        ];
        Ok(())
    }

    /// Ends the API server and starts another on the same etcd.
    pub async fn restart(&mut self) -> anyhow::Result<()> {
        if let Some(mut apiserver) = self.apiserver.take() {
            apiserver.kill()?;
            apiserver.wait()?;
        }
        self.start_apiserver().await
    }

    async fn start_apiserver(&mut self) -> anyhow::Result<()> {
        let path = |name: &str| self.directory.path().join(name).to_string_lossy().into_owned();
        let port = self.address.rsplit(':').next().unwrap_or_default();
        let begun = Instant::now();
        let log = std::fs::File::create(self.directory.path().join("apiserver.log"))?;
        let mut command = match self.under {
            None => Command::new(binary("kube-apiserver")?),
            Some(callgrind) => {
                let counts = if callgrind == Callgrind::FromTheStart { "yes" } else { "no" };
                let mut valgrind = Command::new("valgrind");
                valgrind.args(["--tool=callgrind", "--demangle=no"]);
                valgrind.arg(format!("--instr-atstart={counts}"));
                valgrind.arg(format!("--callgrind-out-file={}", self.counts().display()));
                valgrind.arg(binary("kube-apiserver")?);
                valgrind
            }
        };
        let apiserver = command
            .arg("--bind-address=127.0.0.1")
            .arg("--advertise-address=127.0.0.1")
            .arg(format!("--secure-port={port}"))
            .arg(format!("--etcd-servers={}", self.etcd_url))
            .arg(format!("--etcd-cafile={}", path("ca.crt")))
            .arg(format!("--etcd-certfile={}", path("apiserver.crt")))
            .arg(format!("--etcd-keyfile={}", path("apiserver.key")))
            .arg(format!("--client-ca-file={}", path("ca.crt")))
            .arg(format!("--tls-cert-file={}", path("apiserver.crt")))
            .arg(format!("--tls-private-key-file={}", path("apiserver.key")))
            .arg(format!("--service-account-key-file={}", path("sa.pub")))
            .arg(format!("--service-account-signing-key-file={}", path("sa.key")))
            .arg("--service-account-issuer=https://kubernetes.default.svc.cluster.local")
            .arg("--service-cluster-ip-range=10.96.0.0/12")
            .arg("--authorization-mode=Node,RBAC")
            .args(&self.more)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .context("starting kube-apiserver")?;
        self.apiserver = Some(apiserver);
        loop {
            if let Ok(mut client) = self.client().await
                && client.send(Method::GET, "/readyz", Bytes::new()).await.is_ok()
            {
                break;
            }
            anyhow::ensure!(
                begun.elapsed() < Duration::from_secs(30),
                "kube-apiserver is not ready: {}",
                self.log()
            );
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        self.ready_after = begun.elapsed();
        Ok(())
    }

    /// A new connection as the administrator.
    pub async fn client(&self) -> anyhow::Result<Client> {
        Client::connect(&self.address, Arc::clone(&self.tls)).await
    }

    /// Options for clients of etcd.
    pub fn etcd_options(&self) -> anyhow::Result<etcd_client::ConnectOptions> {
        etcd::options(self.directory.path())
    }

    /// Process id of the API server.
    pub fn pid(&self) -> u32 {
        // There is none only while another is being started.
        self.apiserver.as_ref().map_or(0, Child::id)
    }

    /// Process id of etcd.
    pub fn etcd_pid(&self) -> u32 {
        self.etcd.id()
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("apiserver.log")).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        for child in self.apiserver.iter_mut().chain([&mut self.etcd]) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn client_tls(directory: &tempfile::TempDir) -> anyhow::Result<ClientConfig> {
    let path = |name: &str| directory.path().join(name);
    let mut tls = ClientConfig::builder()
        .with_root_certificates(pki::read_roots(&path("ca.crt"))?)
        .with_client_auth_cert(
            pki::read_certificates(&path("admin.crt"))?,
            pki::read_key(&path("admin.key"))?,
        )?;
    tls.alpn_protocols = vec![b"h2".to_vec()];
    Ok(tls)
}
