//! etcd's data made anew from a snapshot, by etcd's own tool, as a cluster of this one member.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
    process::Stdio,
};

use anyhow::{Context as _, bail};
use tokio::process::Command;

use crate::paths::Paths;

/// The programs that can do it: the second of etcd 3.4 and older ones.
const TOOLS: [&str; 2] = ["etcdutl", "etcdctl"];

/// What a member is called and where others reach it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Own {
    pub(super) name: String,
    peer: String,
}

/// The program of this machine that restores snapshots.
pub(super) fn tool() -> anyhow::Result<&'static str> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let there = |tool: &str| std::env::split_paths(&path).any(|folder| folder.join(tool).is_file());
    let found = TOOLS.into_iter().find(|tool| there(tool));
    found.context("neither etcdutl nor etcdctl is installed: apt install etcd-client")
}

/// What this machine's etcd is told of itself.
pub(super) fn arguments(paths: &Paths) -> anyhow::Result<Own> {
    let path = paths.env("kube-etcd");
    let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    parse(&text).with_context(|| path.display().to_string())
}

fn parse(text: &str) -> anyhow::Result<Own> {
    let words = || text.lines().filter_map(|line| line.strip_prefix("ARGS=")).flat_map(str::split_whitespace);
    let value =
        |flag: &str| words().filter_map(|word| word.strip_prefix(flag)).next_back().map(str::to_owned);
    Ok(Own {
        name: value("--name=").context("etcd has no --name")?,
        peer: value("--initial-advertise-peer-urls=").context("etcd has no --initial-advertise-peer-urls")?,
    })
}

/// The environment file of a member that begins alone.
fn alone(text: &str, own: &Own) -> String {
    let lines = text.lines().map(|line| match line.strip_prefix("ARGS=") {
        Some(words) => {
            let words = words.split_whitespace().map(|word| match word.split_once('=') {
                Some(("--initial-cluster", _)) => format!("--initial-cluster={}={}", own.name, own.peer),
                Some(("--initial-cluster-state", _)) => "--initial-cluster-state=new".to_owned(),
                _ => word.to_owned(),
            });
            format!("ARGS={}\n", words.collect::<Vec<_>>().join(" "))
        }
        None => format!("{line}\n"),
    });
    lines.collect()
}

/// Puts a snapshot in the place of the data that is there, which is moved aside.
pub(super) async fn restore(paths: &Paths, tool: &str, snapshot: &Path, suffix: &str) -> anyhow::Result<()> {
    let own = arguments(paths)?;
    let data = paths.etcd();
    fs::create_dir_all(&data).with_context(|| format!("making {}", data.display()))?;
    fs::set_permissions(&data, fs::Permissions::from_mode(0o700))?;
    let made = data.join(format!(".restored-{suffix}"));
    run(tool, snapshot, &made, &own, suffix).await?;
    let member = data.join("member");
    if member.exists() {
        let aside = data.join(format!("member-before-{suffix}"));
        fs::rename(&member, &aside).with_context(|| format!("moving to {}", aside.display()))?;
        println!("[restore] Moved the data that was there to {:?}", aside.display().to_string());
    }
    fs::rename(made.join("member"), &member).with_context(|| format!("making {}", member.display()))?;
    fs::remove_dir(&made).with_context(|| format!("removing {}", made.display()))?;
    // systemd gives the whole directory to etcd's user only where its top is another's.
    let metadata = fs::metadata(&data)?;
    own_all(&member, metadata.uid(), metadata.gid())?;
    let env = paths.env("kube-etcd");
    let text = fs::read_to_string(&env).with_context(|| format!("reading {}", env.display()))?;
    Ok(pki::write_private(&env, &alone(&text, &own))?)
}

async fn run(tool: &str, snapshot: &Path, target: &Path, own: &Own, suffix: &str) -> anyhow::Result<()> {
    let output = Command::new(tool)
        .env("ETCDCTL_API", "3")
        .args(["snapshot", "restore"])
        .arg(snapshot)
        .arg(format!("--name={}", own.name))
        .arg(format!("--initial-cluster={}={}", own.name, own.peer))
        .arg(format!("--initial-advertise-peer-urls={}", own.peer))
        // Members of the cluster that was cannot be taken for members of this one.
        .arg(format!("--initial-cluster-token=restored-{suffix}"))
        .arg(format!("--data-dir={}", target.display()))
        .stdin(Stdio::null())
        .output()
        .await
        .with_context(|| format!("running {tool}"))?;
    if !output.status.success() {
        bail!("{tool} snapshot restore: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

fn own_all(path: &Path, user: u32, group: u32) -> anyhow::Result<()> {
    std::os::unix::fs::lchown(path, Some(user), Some(group))
        .with_context(|| format!("giving {} to etcd", path.display()))?;
    if path.is_dir() {
        for entry in fs::read_dir(path)? {
            own_all(&entry?.path(), user, group)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command as Blocking};

    use testkit::{Etcd as Running, eventually, free_port};

    use super::*;
    use crate::{backup::snapshot, etcd::Etcd};

    const ENV: &str = "# Written by kubeadm\nARGS=--initial-advertise-peer-urls=PEER \
        --initial-cluster=a=https://10.0.0.1:2380,m=PEER --initial-cluster-state=existing --name=m\n";

    #[test]
    fn a_restored_member_begins_alone() {
        let env = ENV.replace("PEER", "https://10.0.0.2:2380");
        let own = parse(&env).unwrap();
        assert_eq!(own, Own { name: "m".into(), peer: "https://10.0.0.2:2380".into() });
        assert_eq!(
            alone(&env, &own),
            "# Written by kubeadm\nARGS=--initial-advertise-peer-urls=https://10.0.0.2:2380 \
             --initial-cluster=m=https://10.0.0.2:2380 --initial-cluster-state=new --name=m\n"
        );
        assert!(parse("ARGS=--name=m\n").is_err());
    }

    struct Started(Child);

    impl Drop for Started {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    #[tokio::test]
    async fn a_snapshot_comes_back_as_it_was() {
        let running = Running::start().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let saved = folder.path().join("snapshot.db");
        let mut etcd = Etcd::plain(&running.url()).await.unwrap();
        etcd.client().put("/registry/a", "before", None).await.unwrap();
        let taken = snapshot::take(etcd.client(), &saved).await.unwrap();
        assert_eq!(taken.keys, 1);
        etcd.client().put("/registry/a", "after", None).await.unwrap();
        assert!(!etcd.is_empty().await.unwrap());

        let paths = Paths::under(&folder.path().join("root"));
        let (client, peer) = (free_port().unwrap(), free_port().unwrap());
        let peer = format!("http://127.0.0.1:{peer}");
        pki::write_private(&paths.env("kube-etcd"), &ENV.replace("PEER", &peer)).unwrap();
        fs::create_dir_all(paths.etcd().join("member")).unwrap();
        restore(&paths, tool().unwrap(), &saved, "t").await.unwrap();
        assert!(paths.etcd().join("member-before-t").exists());
        let url = format!("http://127.0.0.1:{client}");
        let started = Blocking::new("etcd")
            .arg(format!("--data-dir={}", paths.etcd().display()))
            .args(["--name=m", "--log-level=error"])
            .arg(format!("--listen-client-urls={url}"))
            .arg(format!("--advertise-client-urls={url}"))
            .arg(format!("--listen-peer-urls={peer}"))
            .arg(format!("--initial-advertise-peer-urls={peer}"))
            .arg(format!("--initial-cluster=m={peer}"))
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let _started = Started(started);
        let found = eventually(|| async {
            let etcd = Etcd::plain(&url).await.map_err(|error| error.to_string())?;
            let found = etcd.client().get("/registry/a", None).await.map_err(|error| error.to_string())?;
            found.kvs().first().map(|pair| pair.value().to_vec()).ok_or("it is not there".to_owned())
        })
        .await;
        assert_eq!(found, b"before");
    }
}
