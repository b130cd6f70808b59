//! Leader election by Lease: one of several copies of a component acts.

use std::{
    future::Future,
    sync::LazyLock,
    time::{Duration, Instant},
};

use clap::Args;
use jiff::Timestamp;
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};
use kube::{Api, Client, api::PostParams};
use serde_json::{Value, json};

use crate::{
    Runtime,
    cause::whole,
    flags,
    metrics::{IntGauge, IntGaugeVec, opts, register_int_gauge_vec},
};

/// The `--leader-elect*` flags.
#[derive(Debug, Clone, Args)]
pub struct LeaderElectionFlags {
    /// Start a leader election client and gain leadership before the main loop
    #[arg(long, default_value_t = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    pub leader_elect: bool,
    /// How long others wait after the last renewal before they take the lease
    #[arg(long, default_value = "15s", value_parser = flags::duration, value_name = "DURATION")]
    pub leader_elect_lease_duration: Duration,
    /// How long the leader tries to renew before it gives up
    #[arg(long, default_value = "10s", value_parser = flags::duration, value_name = "DURATION")]
    pub leader_elect_renew_deadline: Duration,
    /// How long to wait between tries
    #[arg(long, default_value = "2s", value_parser = flags::duration, value_name = "DURATION")]
    pub leader_elect_retry_period: Duration,
    /// Name of the lease
    #[arg(long, value_name = "NAME")]
    pub leader_elect_resource_name: Option<String>,
    /// Namespace of the lease
    #[arg(long, default_value = "kube-system", value_name = "NAMESPACE")]
    pub leader_elect_resource_namespace: String,
}

impl LeaderElectionFlags {
    /// The flags as configuration files have them; `name` is the lease's where none is given.
    pub fn shown(&self, name: &str) -> Value {
        json!({
            "leaderElect": self.leader_elect,
            "leaseDuration": flags::shown_duration(self.leader_elect_lease_duration),
            "renewDeadline": flags::shown_duration(self.leader_elect_renew_deadline),
            "retryPeriod": flags::shown_duration(self.leader_elect_retry_period),
            "resourceLock": "leases",
            "resourceName": self.leader_elect_resource_name.as_deref().unwrap_or(name),
            "resourceNamespace": self.leader_elect_resource_namespace,
        })
    }
}

/// What to do about a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Nobody holds it, or its holder has not renewed in time: take it.
    Acquire,
    /// It is ours: renew it.
    Renew,
    /// Somebody else holds it.
    Wait,
}

/// Decides about a lease seen unchanged since `unchanged`, which is measured on our own clock because clocks of
/// machines differ (upstream `LeaderElector`).
pub fn decide(lease: Option<&LeaseSpec>, me: &str, unchanged: Duration) -> Step {
    let Some(lease) = lease else { return Step::Acquire };
    match lease.holder_identity.as_deref() {
        None | Some("") => Step::Acquire,
        Some(holder) if holder == me => Step::Renew,
        Some(_) => {
            let duration = u64::try_from(lease.lease_duration_seconds.unwrap_or(0)).unwrap_or(0);
            if unchanged >= Duration::from_secs(duration) { Step::Acquire } else { Step::Wait }
        }
    }
}

/// The lease that `me` writes on acquiring or renewing.
pub fn held(before: Option<&LeaseSpec>, me: &str, duration: Duration, now: Timestamp) -> LeaseSpec {
    let mine = before.is_some_and(|lease| lease.holder_identity.as_deref() == Some(me));
    let transitions = before.map_or(0, |lease| lease.lease_transitions.unwrap_or(0) + i32::from(!mine));
    LeaseSpec {
        holder_identity: Some(me.into()),
        lease_duration_seconds: i32::try_from(duration.as_secs()).ok(),
        acquire_time: if mine {
            before.and_then(|lease| lease.acquire_time.clone())
        } else {
            Some(MicroTime(now))
        },
        renew_time: Some(MicroTime(now)),
        lease_transitions: Some(transitions),
        ..before.cloned().unwrap_or_default()
    }
}

/// Waits for the lease, then runs `lead` while renewing it. Losing the lease stops the process, as upstream does:
/// a former leader must not act on.
pub async fn run<F, Fut>(
    runtime: &Runtime,
    client: Client,
    name: &str,
    flags: &LeaderElectionFlags,
    lead: F,
) -> anyhow::Result<()>
where
    F: FnOnce() -> Fut,
    Fut: Future<Output = anyhow::Result<()>>,
{
    if !flags.leader_elect {
        return lead().await;
    }
    // Not from /proc, of which a unit may see its processes alone.
    let host = nix::unistd::gethostname().unwrap_or_default();
    let elector = Elector {
        leases: Api::namespaced(client, &flags.leader_elect_resource_namespace),
        name: flags.leader_elect_resource_name.clone().unwrap_or_else(|| name.into()),
        me: format!("{}_{}", host.to_string_lossy(), Timestamp::now().as_nanosecond()),
        flags: flags.clone(),
    };
    let mut seen = Seen { spec: None, version: None, since: Instant::now() };
    tracing::info!(lease = elector.name, "attempting to acquire leader lease");
    let leads = leads(&elector.name);
    let shutdown = runtime.shutdown();
    // One that stands by is ready: it serves as soon as it is needed. One that cannot ask who leads is not.
    let asked = runtime.latch("leader lease");
    loop {
        match elector.step(&mut seen).await {
            Ok(true) => break,
            Ok(false) => asked.open(),
            Err(error) => {
                let error = whole(&error);
                tracing::warn!(error, lease = elector.name, "cannot read or write the leader lease");
            }
        }
        tokio::select! {
            () = tokio::time::sleep(elector.flags.leader_elect_retry_period) => {}
            () = shutdown.cancelled() => return Ok(()),
        }
    }
    tracing::info!(lease = elector.name, "successfully acquired lease");
    if let Some(leads) = &leads {
        leads.set(1);
    }
    runtime.spawn("leader lease", async move {
        let mut renewed = Instant::now();
        loop {
            tokio::select! {
                () = tokio::time::sleep(elector.flags.leader_elect_retry_period) => {}
                () = shutdown.cancelled() => {
                    if let Some(leads) = &leads {
                        leads.set(0);
                    }
                    elector.release(&seen).await;
                    return anyhow::Ok(());
                }
            }
            let left = elector.flags.leader_elect_renew_deadline.saturating_sub(renewed.elapsed());
            match tokio::time::timeout(left, elector.step(&mut seen)).await {
                Ok(Ok(true)) => renewed = Instant::now(),
                Ok(Ok(false)) => anyhow::bail!("leader election lost to {:?}", seen.holder()),
                Ok(Err(error)) => {
                    tracing::warn!(error = %whole(&error), lease = elector.name, "cannot renew the leader lease")
                }
                Err(_) => {}
            }
            if renewed.elapsed() >= elector.flags.leader_elect_renew_deadline {
                anyhow::bail!("leader election lost: the lease could not be renewed in time");
            }
        }
    });
    let mut leading = std::pin::pin!(lead());
    // Begun first, so that what it waits for counts before this no longer does.
    tokio::select! {
        biased;
        ended = &mut leading => return ended,
        () = std::future::ready(()) => asked.open(),
    }
    leading.await
}

/// The metric of who leads: 0 until a lease is held.
fn leads(lease: &str) -> Option<IntGauge> {
    static LEADS: LazyLock<Option<IntGaugeVec>> = LazyLock::new(|| {
        let options = opts!(
            "leader_election_master_status",
            "Gauge of if the reporting system is master of the relevant lease, 0 indicates backup, 1 indicates master. 'name' is the string used to identify the lease. Please make sure to group by name."
        );
        register_int_gauge_vec!(options, &["name"]).ok()
    });
    let leads = LEADS.as_ref()?.with_label_values(&[lease]);
    leads.set(0);
    Some(leads)
}

struct Elector {
    leases: Api<Lease>,
    name: String,
    me: String,
    flags: LeaderElectionFlags,
}

struct Seen {
    spec: Option<LeaseSpec>,
    version: Option<String>,
    since: Instant,
}

impl Seen {
    fn holder(&self) -> &str {
        self.spec.as_ref().and_then(|spec| spec.holder_identity.as_deref()).unwrap_or("")
    }
    fn take(&mut self, lease: Lease) {
        if lease.metadata.resource_version != self.version {
            self.since = Instant::now();
        }
        self.version = lease.metadata.resource_version;
        self.spec = lease.spec;
    }
}

impl Elector {
    /// One try to hold the lease; true when it is ours afterwards.
    async fn step(&self, seen: &mut Seen) -> Result<bool, kube::Error> {
        // A renewal writes on what was last seen; only a conflict or another holder needs a read.
        if seen.holder() != self.me {
            match self.leases.get_opt(&self.name).await? {
                Some(lease) => seen.take(lease),
                None => {
                    let lease = self.lease(seen);
                    seen.take(self.leases.create(&PostParams::default(), &lease).await?);
                    return Ok(true);
                }
            }
        }
        match decide(seen.spec.as_ref(), &self.me, seen.since.elapsed()) {
            Step::Wait => Ok(false),
            Step::Acquire | Step::Renew => {
                let lease = self.lease(seen);
                match self.leases.replace(&self.name, &PostParams::default(), &lease).await {
                    Ok(lease) => {
                        seen.take(lease);
                        Ok(true)
                    }
                    Err(kube::Error::Api(status)) if status.code == 409 || status.code == 404 => {
                        if let Some(lease) = self.leases.get_opt(&self.name).await? {
                            seen.take(lease);
                        } else {
                            *seen = Seen { spec: None, version: None, since: Instant::now() };
                        }
                        Ok(seen.holder() == self.me)
                    }
                    Err(error) => Err(error),
                }
            }
        }
    }

    fn lease(&self, seen: &Seen) -> Lease {
        let spec =
            held(seen.spec.as_ref(), &self.me, self.flags.leader_elect_lease_duration, Timestamp::now());
        Lease {
            metadata: ObjectMeta {
                name: Some(self.name.clone()),
                resource_version: seen.version.clone(),
                ..ObjectMeta::default()
            },
            spec: Some(spec),
        }
    }

    /// Gives the lease up at shutdown, so that another copy need not wait it out.
    async fn release(&self, seen: &Seen) {
        let mut lease = self.lease(seen);
        if let Some(spec) = &mut lease.spec {
            spec.holder_identity = Some(String::new());
            spec.lease_duration_seconds = Some(1);
        }
        let params = PostParams::default();
        let released = self.leases.replace(&self.name, &params, &lease);
        if let Ok(Err(error)) = tokio::time::timeout(Duration::from_secs(2), released).await {
            tracing::debug!(error = %whole(&error), "cannot release the leader lease");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(holder: &str) -> LeaseSpec {
        LeaseSpec {
            holder_identity: Some(holder.into()),
            lease_duration_seconds: Some(15),
            lease_transitions: Some(3),
            ..LeaseSpec::default()
        }
    }

    #[test]
    fn takes_only_a_lease_that_is_free_or_stale() {
        let fresh = Duration::from_secs(5);
        assert_eq!(decide(None, "a", fresh), Step::Acquire);
        assert_eq!(decide(Some(&lease("")), "a", fresh), Step::Acquire);
        assert_eq!(decide(Some(&lease("a")), "a", Duration::from_secs(99)), Step::Renew);
        assert_eq!(decide(Some(&lease("b")), "a", fresh), Step::Wait);
        assert_eq!(decide(Some(&lease("b")), "a", Duration::from_secs(15)), Step::Acquire);
    }

    #[test]
    fn transitions_count_changes_of_holder() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let duration = Duration::from_secs(15);
        assert_eq!(held(Some(&lease("b")), "a", duration, now).lease_transitions, Some(4));
        assert_eq!(held(Some(&lease("a")), "a", duration, now).lease_transitions, Some(3));
        assert_eq!(held(None, "a", duration, now).lease_transitions, Some(0));
    }
}
