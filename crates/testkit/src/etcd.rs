//! A real etcd on free ports, with its data in a temporary directory; it ends with the value.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::free_port;

/// How long etcd may take to answer after it was started.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running etcd without TLS, of one member or of several.
#[derive(Debug)]
pub struct Etcd {
    members: Vec<Member>,
    directory: tempfile::TempDir,
}

#[derive(Debug)]
struct Member {
    child: Option<Child>,
    client: u16,
    peer: u16,
}

impl Etcd {
    /// Starts one of a single member and waits until it answers.
    pub fn start() -> anyhow::Result<Self> {
        Self::start_members(1)
    }

    /// Starts one of several members and waits until each answers.
    pub fn start_members(count: usize) -> anyhow::Result<Self> {
        // Between the choice of a port and its use another process may take it: then others are tried.
        for _ in 0..5 {
            let directory = tempfile::tempdir().context("making a directory for etcd")?;
            let mut members = Vec::new();
            for _ in 0..count {
                members.push(Member { child: None, client: free_port()?, peer: free_port()? });
            }
            let mut etcd = Self { members, directory };
            for index in 0..count {
                etcd.spawn(index)?;
            }
            if (0..count).all(|index| etcd.wait(index).is_ok()) {
                return Ok(etcd);
            }
        }
        bail!("no etcd could be started")
    }

    /// Where it listens, as `--etcd-servers` takes it.
    pub fn url(&self) -> String {
        let urls: Vec<String> =
            self.members.iter().map(|member| format!("http://127.0.0.1:{}", member.client)).collect();
        urls.join(",")
    }

    /// Ends it at once, as a crash does; the data stays.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        (0..self.members.len()).try_for_each(|index| self.kill_member(index))
    }

    /// Ends one member at once, as a crash does; its data stays.
    pub fn kill_member(&mut self, index: usize) -> anyhow::Result<()> {
        if let Some(mut child) = self.members[index].child.take() {
            child.kill().context("killing etcd")?;
            child.wait().context("waiting for etcd's end")?;
        }
        Ok(())
    }

    /// Stops a member without ending it, as a machine that hangs does: its connections stay.
    pub fn pause_member(&self, index: usize) -> anyhow::Result<()> {
        self.signal(index, Signal::SIGSTOP)
    }

    /// Lets a paused member go on.
    pub fn resume_member(&self, index: usize) -> anyhow::Result<()> {
        self.signal(index, Signal::SIGCONT)
    }

    fn signal(&self, index: usize, signal: Signal) -> anyhow::Result<()> {
        let child = self.members[index].child.as_ref().context("this member does not run")?;
        kill(Pid::from_raw(child.id().try_into()?), signal).context("signalling etcd")
    }

    /// Starts it again on the same ports and data, and waits until it answers.
    pub fn start_again(&mut self) -> anyhow::Result<()> {
        for index in 0..self.members.len() {
            self.spawn(index)?;
        }
        (0..self.members.len()).try_for_each(|index| self.wait(index))
    }

    /// Starts a member again on the same ports and data, and waits until it answers.
    pub fn start_member_again(&mut self, index: usize) -> anyhow::Result<()> {
        self.spawn(index)?;
        self.wait(index)
    }

    /// Starts it again on the same ports with nothing in it, as after a loss of its disk.
    pub fn start_empty(&mut self) -> anyhow::Result<()> {
        for index in 0..self.members.len() {
            std::fs::remove_dir_all(self.data(index)).context("removing etcd's data")?;
        }
        self.start_again()
    }

    /// Which member leads, as those that answer have it.
    pub fn leader(&self) -> Option<usize> {
        let mut statuses = self.members.iter().enumerate().filter_map(|(index, member)| {
            let status = ask(member.client, "POST", "/v3/maintenance/status", "{}").ok()?;
            let status: serde_json::Value = serde_json::from_str(status.split("\r\n\r\n").nth(1)?).ok()?;
            let id = status["header"]["member_id"].as_str()?.to_owned();
            Some((index, id, status["leader"].as_str().unwrap_or_default().to_owned()))
        });
        statuses.find(|(_, own, leader)| own == leader).map(|(index, ..)| index)
    }

    fn data(&self, index: usize) -> std::path::PathBuf {
        self.directory.path().join(format!("data-{index}"))
    }

    fn spawn(&mut self, index: usize) -> anyhow::Result<()> {
        let url = |port: u16| format!("http://127.0.0.1:{port}");
        let name = |index: usize| format!("member-{index}");
        let cluster: Vec<String> = self
            .members
            .iter()
            .enumerate()
            .map(|(index, member)| format!("{}={}", name(index), url(member.peer)))
            .collect();
        // One member elects itself: there is nobody to wait for. Several on a loaded machine must not elect anew
        // whenever one is slow.
        let (beat, election) = if self.members.len() == 1 { ("10", "50") } else { ("50", "500") };
        let data = self.data(index);
        let member = &mut self.members[index];
        let (client, peer) = (url(member.client), url(member.peer));
        let child = Command::new("etcd")
            .args(["--name", &name(index)])
            .arg("--data-dir")
            .arg(data)
            .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
            .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
            .args(["--initial-cluster", &cluster.join(","), "--log-level", "error"])
            .args(["--heartbeat-interval", beat, "--election-timeout", election])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("starting etcd: is Debian's etcd-server installed?")?;
        member.child = Some(child);
        Ok(())
    }

    fn wait(&mut self, index: usize) -> anyhow::Result<()> {
        let start = Instant::now();
        let member = &mut self.members[index];
        while start.elapsed() < PATIENCE {
            if let Some(status) = member.child.as_mut().map(Child::try_wait).transpose()?.flatten() {
                bail!("etcd ended: {status}");
            }
            if healthy(member.client) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        bail!("etcd does not answer after {PATIENCE:?}")
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        for member in &mut self.members {
            if let Some(mut child) = member.child.take() {
                // It may have ended by itself.
                let _ = child.kill();
                let _ = child.wait();
            }
        }
    }
}

fn healthy(port: u16) -> bool {
    ask(port, "GET", "/health", "").is_ok_and(|answer| answer.contains("\"true\""))
}

/// What a member answers, headers and all.
fn ask(port: u16, method: &str, path: &str, body: &str) -> std::io::Result<String> {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_millis(200))?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    let length = body.len();
    stream.write_all(
        format!("{method} {path} HTTP/1.0\r\nContent-Length: {length}\r\n\r\n{body}").as_bytes(),
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_and_comes_back_with_its_data() {
        let mut etcd = Etcd::start().unwrap();
        assert!(healthy(etcd.members[0].client));
        etcd.kill().unwrap();
        assert!(!healthy(etcd.members[0].client));
        etcd.start_again().unwrap();
        assert!(healthy(etcd.members[0].client));
    }

    #[test]
    fn two_of_three_members_go_on_without_the_third() {
        let mut etcd = Etcd::start_members(3).unwrap();
        etcd.kill_member(0).unwrap();
        etcd.wait(1).unwrap();
        etcd.wait(2).unwrap();
        etcd.start_member_again(0).unwrap();
        let leader = etcd.leader().unwrap();
        etcd.kill_member(leader).unwrap();
        let start = Instant::now();
        let next = loop {
            match etcd.leader() {
                Some(next) => break next,
                None => assert!(start.elapsed() < PATIENCE, "nobody leads"),
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        assert_ne!(next, leader);
    }
}
