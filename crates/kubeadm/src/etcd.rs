//! The etcd cluster: its members, and whether it is empty. The one place here that talks to it.

use std::{path::Path, time::Duration};

use anyhow::{Context as _, bail};
use etcd_client::{Certificate, Client, ConnectOptions, GetOptions, Identity, MemberAddOptions, TlsOptions};

use crate::arguments::Member;

/// How long one call may take: upstream waits for 2 minutes in all, and tries again within.
const CALL: Duration = Duration::from_secs(5);

/// A connection to some members.
pub struct Etcd {
    client: Client,
}

impl Etcd {
    /// Connects to members with a client certificate of the PKI's directory.
    pub async fn open(endpoints: &[String], pki: &Path) -> anyhow::Result<Self> {
        let [authority, certificate, key] =
            ["etcd/ca.crt", "apiserver-etcd-client.crt", "apiserver-etcd-client.key"]
                .map(|name| pki.join(name));
        Self::with(endpoints, &authority, &certificate, &key).await
    }

    /// Connects to members with a client certificate, whose authority is believed.
    pub async fn with(
        endpoints: &[String],
        authority: &Path,
        certificate: &Path,
        key: &Path,
    ) -> anyhow::Result<Self> {
        let read = |path: &Path| std::fs::read(path).with_context(|| format!("reading {}", path.display()));
        let tls = TlsOptions::new()
            .ca_certificate(Certificate::from_pem(read(authority)?))
            .identity(Identity::from_pem(read(certificate)?, read(key)?));
        Self::connect(endpoints, ConnectOptions::new().with_tls(tls)).await
    }

    /// Connects without TLS, as a distribution's own service listens on loopback.
    pub async fn plain(endpoint: &str) -> anyhow::Result<Self> {
        Self::connect(&[endpoint.to_owned()], ConnectOptions::new()).await
    }

    async fn connect(endpoints: &[String], options: ConnectOptions) -> anyhow::Result<Self> {
        let options = options.with_connect_timeout(CALL).with_timeout(CALL);
        let client = Client::connect(endpoints, Some(options))
            .await
            .with_context(|| format!("connecting to etcd at {}", endpoints.join(", ")))?;
        Ok(Self { client })
    }

    /// The connection itself, for snapshots.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// Whether it holds any key.
    pub async fn is_empty(&mut self) -> anyhow::Result<bool> {
        let all = GetOptions::new().with_all_keys().with_count_only();
        Ok(self.client.get("", Some(all)).await?.count() == 0)
    }

    /// The name of the member that answers.
    pub async fn own_name(&mut self) -> anyhow::Result<String> {
        let status = self.client.status().await.context("asking etcd who it is")?;
        let own = status.header().map_or(0, |header| header.member_id());
        let members = self.members().await?;
        let found = members.into_iter().find(|(id, ..)| *id == own);
        Ok(found.context("etcd does not know itself")?.1.name)
    }

    /// The version of the member that answers.
    pub async fn version(&mut self) -> anyhow::Result<String> {
        Ok(self.client.status().await?.version().to_owned())
    }

    /// Every member; one that has not started has no name.
    pub async fn members(&mut self) -> anyhow::Result<Vec<(u64, Member, bool)>> {
        let listed = self.client.member_list().await.context("listing etcd's members")?;
        Ok(listed
            .members()
            .iter()
            .map(|member| {
                let peer = member.peer_urls().first().cloned().unwrap_or_default();
                (member.id(), Member { name: member.name().to_owned(), peer }, member.is_learner())
            })
            .collect())
    }

    /// Adds a learner at a peer URL, or finds the one that an earlier try has added. A started member there has lost
    /// its data, as this machine has none: it is replaced. Gives the learner's id and the other members.
    pub async fn add_learner(&mut self, peer: &str) -> anyhow::Result<(u64, Vec<Member>)> {
        let members = self.members().await?;
        let others: Vec<Member> = members
            .iter()
            .filter(|(_, member, _)| member.peer != peer && !member.name.is_empty())
            .map(|(_, member, _)| member.clone())
            .collect();
        if let Some((id, member, _)) = members.iter().find(|(_, member, _)| member.peer == peer) {
            if member.name.is_empty() {
                return Ok((*id, others));
            }
            self.remove(*id).await?;
        }
        let end = tokio::time::Instant::now() + Duration::from_secs(60);
        loop {
            let options = MemberAddOptions::new().with_is_learner();
            match self.client.member_add([peer], Some(options)).await {
                Ok(added) => {
                    let id = added.member().map(|member| member.id()).context("etcd added no member")?;
                    return Ok((id, others));
                }
                // Another machine's learner is on its way in: there can be one at a time; or the cluster has just
                // changed and is not yet sure of itself.
                Err(error) if tokio::time::Instant::now() < end && is_passing(&error.to_string()) => {
                    tokio::time::sleep(Duration::from_millis(500)).await;
                }
                Err(error) => bail!("adding {peer} to etcd: {error}"),
            }
        }
    }

    /// Makes a learner a voter, as soon as it has caught up.
    pub async fn promote(&mut self, id: u64, within: Duration) -> anyhow::Result<()> {
        let end = tokio::time::Instant::now() + within;
        loop {
            let error = match self.client.member_promote(id).await {
                Ok(_) => return Ok(()),
                Err(error) => error.to_string(),
            };
            if error.contains("can only promote a learner member") && !error.contains("in sync") {
                // An earlier try's call went through although its answer was lost.
                return Ok(());
            }
            if tokio::time::Instant::now() >= end {
                bail!(
                    "waited {within:?} for this machine's etcd member to catch up: {error}; see journalctl -u kube-etcd"
                );
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Removes a member.
    pub async fn remove(&mut self, id: u64) -> anyhow::Result<()> {
        self.client.member_remove(id).await.context("removing a member of etcd")?;
        Ok(())
    }
}

fn is_passing(error: &str) -> bool {
    ["too many learner", "unhealthy cluster", "re-configuration failed", "no leader", "leader changed"]
        .iter()
        .any(|known| error.contains(known))
}
