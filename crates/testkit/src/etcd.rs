//! A real etcd on free ports, with its data in a temporary directory; it ends with the value.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use crate::free_port;

/// How long etcd may take to answer after it was started.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running etcd of one member, without TLS.
#[derive(Debug)]
pub struct Etcd {
    child: Child,
    directory: tempfile::TempDir,
    client: u16,
    peer: u16,
}

impl Etcd {
    /// Starts one and waits until it answers.
    pub fn start() -> anyhow::Result<Self> {
        // Between the choice of a port and its use another process may take it: then others are tried.
        for _ in 0..5 {
            let directory = tempfile::tempdir().context("making a directory for etcd")?;
            let (client, peer) = (free_port()?, free_port()?);
            let mut etcd = Self { child: spawn(directory.path(), client, peer)?, directory, client, peer };
            if etcd.wait().is_ok() {
                return Ok(etcd);
            }
        }
        bail!("no etcd could be started")
    }

    /// Where it listens, as `--etcd-servers` takes it.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.client)
    }

    /// Ends it at once, as a crash does; the data stays.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.child.kill().context("killing etcd")?;
        self.child.wait().context("waiting for etcd's end")?;
        Ok(())
    }

    /// Starts it again on the same ports and data, and waits until it answers.
    pub fn start_again(&mut self) -> anyhow::Result<()> {
        self.child = spawn(self.directory.path(), self.client, self.peer)?;
        self.wait()
    }

    /// Starts it again on the same ports with nothing in it, as after a loss of its disk.
    pub fn start_empty(&mut self) -> anyhow::Result<()> {
        std::fs::remove_dir_all(self.directory.path().join("data")).context("removing etcd's data")?;
        self.start_again()
    }

    fn wait(&mut self) -> anyhow::Result<()> {
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait()? {
                bail!("etcd ended: {status}");
            }
            if healthy(self.client) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        bail!("etcd does not answer after {PATIENCE:?}")
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(data: &std::path::Path, client: u16, peer: u16) -> anyhow::Result<Child> {
    let (client, peer) = (format!("http://127.0.0.1:{client}"), format!("http://127.0.0.1:{peer}"));
    Command::new("etcd")
        .arg("--data-dir")
        .arg(data.join("data"))
        .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
        .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
        .args(["--initial-cluster", &format!("default={peer}"), "--log-level", "error"])
        // One member elects itself: there is nobody to wait for.
        .args(["--heartbeat-interval", "10", "--election-timeout", "50"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("starting etcd: is Debian's etcd-server installed?")
}

fn healthy(port: u16) -> bool {
    let ask = || -> std::io::Result<bool> {
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_millis(200))?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        stream.write_all(b"GET /health HTTP/1.0\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer.contains("\"true\""))
    };
    ask().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_and_comes_back_with_its_data() {
        let mut etcd = Etcd::start().unwrap();
        assert!(healthy(etcd.client));
        etcd.kill().unwrap();
        assert!(!healthy(etcd.client));
        etcd.start_again().unwrap();
        assert!(healthy(etcd.client));
    }
}
