//! This machine's member leaves etcd, so that those that stay do not wait for it.

use std::time::Duration;

use anyhow::Context as _;

use crate::{cluster::Api, etcd::Etcd, join::members_of, paths::Paths, systemd};

/// How long a cluster that may be broken is asked.
const PATIENCE: Duration = Duration::from_secs(20);

/// Removes the member when others are left. A cluster that does not answer is no reason to stop: what to do is said.
pub async fn remove(paths: &Paths) {
    if !paths.env("kube-etcd").exists() {
        return;
    }
    let tried = tokio::time::timeout(PATIENCE, try_remove(paths)).await;
    let why = match tried {
        Ok(Ok(Some(name))) => {
            println!("[reset] Removed the member {name:?} from etcd");
            return;
        }
        Ok(Ok(None)) => {
            println!("[reset] This machine's etcd member is the last one: the cluster's data goes with it");
            return;
        }
        Ok(Err(error)) => format!("{error:#}"),
        Err(_) => format!("no answer within {PATIENCE:?}"),
    };
    println!(
        "[reset] Failed to remove this machine's etcd member: {why}\n[reset] If the cluster has other members, remove it \
         there: `etcdctl member list`, then `etcdctl member remove ID`"
    );
}

async fn try_remove(paths: &Paths) -> anyhow::Result<Option<String>> {
    let own = own_peer(paths)?;
    let mut endpoints = Vec::new();
    if systemd::unit("kube-etcd").await?.is_active() {
        endpoints.push("https://127.0.0.1:2379".to_owned());
    }
    if let Ok(api) = Api::open(&paths.kubeconfig("admin")).await
        && let Ok(Ok(others)) = tokio::time::timeout(Duration::from_secs(5), members_of(&api, "")).await
    {
        endpoints.extend(others);
    }
    let mut failure = anyhow::anyhow!("no member answers");
    for endpoint in endpoints {
        match remove_through(&endpoint, paths, &own).await {
            Ok(done) => return Ok(done),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

async fn remove_through(endpoint: &str, paths: &Paths, own: &str) -> anyhow::Result<Option<String>> {
    let mut etcd = Etcd::open(&[endpoint.to_owned()], &paths.pki()).await?;
    let members = etcd.members().await?;
    let is_last = members.iter().filter(|(_, _, learner)| !learner).count() <= 1;
    match members.into_iter().find(|(_, member, _)| member.peer == own) {
        Some((_, _, false)) if is_last => Ok(None),
        Some((id, member, _)) => {
            etcd.remove(id).await?;
            Ok(Some(member.name))
        }
        None => Ok(Some("(it was no longer there)".into())),
    }
}

/// The peer URL that this machine's member was started with.
fn own_peer(paths: &Paths) -> anyhow::Result<String> {
    let path = paths.env("kube-etcd");
    let text = std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    let flag = text
        .split_whitespace()
        .find_map(|word| word.trim_start_matches("ARGS=").strip_prefix("--initial-advertise-peer-urls="));
    flag.map(str::to_owned).with_context(|| format!("{} names no peer URL", path.display()))
}
