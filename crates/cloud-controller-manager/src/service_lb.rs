//! Addresses of load balancers.
//!
//! Keeps true: each Service of type LoadBalancer has an address of the pool that no other has, and names one node that
//! can take its traffic; a Service that is none any more has neither.
//! Woken by: changes of Services, of nodes, of endpoints under policy Local, of the pool, of nodes' health.
//! Reads: those, and nodes' health checks. Writes: status, finaliser and one annotation of Services.
//! Gives up when: never; a Service for which there is no address waits until one is free or the pool changes.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::Arc;

use component::cause::whole;
use component::events::Kind;
use controller_runtime::Running;
use controller_runtime::api::{Error, Patch};
use informer::{Change, Key, Object as _, Outcome, Store, Watch, WorkQueue, run_workers};
use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::Notify;

use crate::controllers::Context;
use crate::pool::Pool;
use allocation::{Allocation, Refusal};
use election::{Candidate, elect};
use health::{Health, PERIOD, Target};
use objects::{Balancer, EndpointSlice, Node, PoolMap, Service};

mod allocation;
mod election;
mod health;
mod objects;
mod writes;

/// The index of slices by Service.
const BY_SERVICE: &str = "service";

/// Starts the controller.
pub fn start(context: Context) -> Running {
    let workers = context.concurrent_service_syncs;
    let of = |group, version, plural| Watch::resource(group, version, plural, "");
    let pool_map =
        Watch::resource("", "v1", "configmaps", "kube-system").fields("metadata.name=load-balancer");
    let shell = Arc::new(Shell {
        services: context.stores.watch(of("", "v1", "services")),
        nodes: context.stores.watch(of("", "v1", "nodes")),
        slices: context.stores.watch(of("discovery.k8s.io", "v1", "endpointslices")),
        pools: context.stores.watch(pool_map),
        health: Health::new(context.cloud.load_balancer.health_check.clone()),
        given: Mutex::default(),
        balancers_changed: Notify::new(),
        queue: WorkQueue::new("service_lb"),
        context,
    });
    shell
        .slices
        .index(BY_SERVICE, |slice: &EndpointSlice| slice.service.iter().map(Key::to_string).collect());
    shell.context.stores.close_at_shutdown(&shell.queue);
    shell.listen();
    let asking = Arc::clone(&shell);
    let shutdown = shell.context.stores.runtime().shutdown();
    shell.context.stores.runtime().spawn("health of nodes", async move {
        tokio::select! {
            () = asking.ask_nodes() => {}
            () = shutdown.cancelled() => {}
        }
        anyhow::Ok(())
    });
    Box::pin(async move {
        shell.services.ready().await;
        shell.nodes.ready().await;
        shell.slices.ready().await;
        shell.pools.ready().await;
        // Before anything new is given: all that was given before.
        shell.restore();
        run_workers("service-lb", &shell.queue, workers, |key| shell.reconcile(key)).await;
    })
}

struct Shell {
    context: Context,
    services: Store<Service>,
    nodes: Store<Node>,
    slices: Store<EndpointSlice>,
    pools: Store<PoolMap>,
    health: Health,
    given: Mutex<Given>,
    /// Rings when there may be nodes to ask.
    balancers_changed: Notify,
    queue: WorkQueue<Key>,
}

/// What was given, also what the stores do not show yet.
#[derive(Debug, Default)]
struct Given {
    addresses: Allocation,
    nodes: BTreeMap<Key, Box<str>>,
}

impl Given {
    /// Counts the addresses that each node answers for, those of one Service aside.
    fn announced(&self, but: &Key) -> BTreeMap<Box<str>, usize> {
        let mut count = BTreeMap::new();
        for (_, node) in self.nodes.iter().filter(|(key, _)| *key != but) {
            *count.entry(node.clone()).or_default() += 1;
        }
        count
    }
}

impl Shell {
    fn listen(self: &Arc<Self>) {
        let shell = Arc::clone(self);
        self.services.on_change(move |change| {
            let matters = match change {
                Change::Applied { old, new } => {
                    new.balancer.is_some() || old.is_some_and(|old| old.balancer.is_some())
                }
                Change::Deleted(last) => last.balancer.is_some(),
            };
            if matters {
                shell.queue.add(change.object().key());
                shell.balancers_changed.notify_one();
            }
        });
        let shell = Arc::clone(self);
        self.nodes.on_change(move |change| match change {
            // Kubelets write every few seconds; hardly any of that is about load balancers.
            Change::Applied { old: Some(old), new }
                if (old.is_eligible, old.is_ready, &old.addresses)
                    == (new.is_eligible, new.is_ready, &new.addresses) => {}
            _ => shell.wake_all(),
        });
        let shell = Arc::clone(self);
        self.slices.on_change(move |change| {
            let before = match change {
                Change::Applied { old, .. } => old.and_then(|old| old.service.clone()),
                Change::Deleted(_) => None,
            };
            for key in before.into_iter().chain(change.object().service.clone()) {
                let service = shell.services.get(key.as_str());
                let is_local = |service: &Service| service.balancer.as_ref().is_some_and(|one| one.is_local);
                if service.is_some_and(|service| is_local(&service)) {
                    shell.queue.add(key);
                }
            }
        });
        let shell = Arc::clone(self);
        self.pools.on_change(move |change| {
            if let Change::Applied { new, .. } = change {
                match &new.pool {
                    Ok(pool) => tracing::info!(%pool, addresses = pool.len(), "pool of addresses"),
                    Err(why) => {
                        tracing::warn!(%why, "the ConfigMap kube-system/load-balancer cannot be used")
                    }
                }
            }
            shell.wake_all();
        });
    }

    /// Wakes every load balancer; there are few.
    fn wake_all(&self) {
        for service in self.services.list() {
            if service.balancer.is_some() {
                self.queue.add(service.key());
            }
        }
    }

    fn restore(&self) {
        let services = self.services.list();
        let balancers = services.iter().filter_map(|one| Some((one.key(), one.balancer.as_deref()?)));
        let given = &mut *self.given.lock();
        given.addresses.restore(balancers.clone());
        let nodes = balancers.filter_map(|(key, balancer)| Some((key, balancer.announced_by.clone()?)));
        given.nodes.extend(nodes);
    }

    async fn ask_nodes(&self) {
        let mut number = 0;
        loop {
            let targets = self.targets();
            if targets.is_empty() {
                // What was true when nodes were last asked is no longer to be relied on.
                self.health.round(0, targets).await;
                self.balancers_changed.notified().await;
                continue;
            }
            number += 1;
            let round = async {
                if self.health.round(number, targets).await {
                    self.wake_all();
                }
            };
            tokio::join!(round, tokio::time::sleep(PERIOD));
        }
    }

    /// The nodes to ask; none while there are no load balancers.
    fn targets(&self) -> Vec<Target> {
        let announcing: BTreeSet<Box<str>> = self.given.lock().nodes.values().cloned().collect();
        if announcing.is_empty() {
            return Vec::new();
        }
        let nodes = self.nodes.list();
        let target = |node: &Arc<Node>| {
            let name = node.name();
            Some(Target {
                announces: announcing.contains(name),
                name: name.into(),
                address: *node.addresses.first().filter(|_| node.is_eligible)?,
            })
        };
        nodes.iter().filter_map(target).collect()
    }

    async fn reconcile(&self, key: Key) -> Result<Outcome, Error> {
        let service = self.services.get(key.as_str());
        let Some((service, balancer)) =
            service.as_deref().and_then(|one| Some((one, one.balancer.as_deref()?)))
        else {
            self.release(&key);
            return Ok(Outcome::Done);
        };
        if !balancer.is_wanted {
            return self.take(&key, service, balancer).await;
        }
        let (claimed, address, node) = self.decide(&key, balancer);
        if let Err(refusal) = &claimed {
            let why = format!("Error syncing load balancer: failed to ensure load balancer: {refusal}");
            self.event(service, Kind::Warning, "SyncLoadBalancerFailed", why);
        }
        let Some(address) = address else { return Ok(Outcome::Done) };
        let Some(patch) = writes::give(service, balancer, address, node.as_deref()) else {
            return Ok(Outcome::Done);
        };
        let is_new = balancer.given != [address];
        if is_new {
            self.event(service, Kind::Normal, "EnsuringLoadBalancer", "Ensuring load balancer".into());
        }
        self.write(service, &patch).await?;
        if is_new {
            self.event(service, Kind::Normal, "EnsuredLoadBalancer", "Ensured load balancer".into());
        }
        self.tell_of_node(service, balancer, address, node.as_deref());
        Ok(Outcome::Done)
    }

    /// Claims an address and elects a node: what the claim says, and what the Service has in the end.
    fn decide(
        &self,
        key: &Key,
        balancer: &Balancer,
    ) -> (Result<Ipv4Addr, Refusal>, Option<Ipv4Addr>, Option<Box<str>>) {
        let nodes = self.nodes.list();
        let of_nodes = nodes.iter().flat_map(|node| node.addresses.iter().copied()).collect();
        let candidates: Vec<Candidate<'_>> = nodes
            .iter()
            .map(|node| Candidate {
                name: node.name(),
                is_eligible: node.is_eligible,
                is_ready: node.is_ready,
                is_down: self.health.is_down(node.name()),
            })
            .collect();
        let local = balancer.is_local.then(|| {
            let slices = self.slices.by_index(BY_SERVICE, key.as_str());
            slices.iter().flat_map(|slice| slice.nodes.iter().cloned()).collect::<BTreeSet<_>>()
        });
        let pool = self.pool();
        let given = &mut *self.given.lock();
        let before = given.addresses.of(key);
        let claimed = given.addresses.claim(key, balancer, &pool, &of_nodes);
        let address = claimed.clone().ok().or_else(|| given.addresses.of(key));
        if before.is_some() && before != address {
            // The address before may be what another waits for.
            self.wake_all();
        }
        let current = given.nodes.get(key).cloned();
        let elected = elect(current.as_deref(), &candidates, local.as_ref(), &given.announced(key));
        let node = elected.filter(|_| address.is_some()).map(Box::<str>::from);
        match &node {
            Some(node) => given.nodes.insert(key.clone(), node.clone()),
            None => given.nodes.remove(key),
        };
        (claimed, address, node)
    }

    /// The pool: the ConfigMap's where there is one, else that of the configuration.
    fn pool(&self) -> Result<Pool, Refusal> {
        match self.pools.list().first() {
            Some(map) => map.pool.clone().map_err(Refusal::Malformed),
            None => Ok(self.context.cloud.load_balancer.addresses.clone()),
        }
    }

    async fn take(&self, key: &Key, service: &Service, balancer: &Balancer) -> Result<Outcome, Error> {
        if balancer.has_finalizer {
            self.event(service, Kind::Normal, "DeletingLoadBalancer", "Deleting load balancer".into());
            match self.write(service, &writes::take(service)).await {
                Err(error) if error.is_not_found() => {}
                other => other?,
            }
            self.event(service, Kind::Normal, "DeletedLoadBalancer", "Deleted load balancer".into());
        }
        self.release(key);
        Ok(Outcome::Done)
    }

    fn release(&self, key: &Key) {
        let had_one = {
            let given = &mut *self.given.lock();
            given.nodes.remove(key);
            given.addresses.release(key)
        };
        if had_one {
            self.wake_all();
        }
    }

    async fn write(&self, service: &Service, patch: &Value) -> Result<(), Error> {
        let path = format!("/api/v1/namespaces/{}/services/{}/status", service.namespace(), service.name());
        let written = self.context.api.patch(&path, Patch::Strategic, patch).await;
        if let Err(error) = &written {
            tracing::debug!(%path, error = %whole(error), "not written");
        }
        written.map(drop)
    }

    fn tell_of_node(&self, service: &Service, balancer: &Balancer, address: Ipv4Addr, node: Option<&str>) {
        let before = balancer.announced_by.as_deref();
        if before == node {
            return;
        }
        let why = match before {
            Some(before) if self.health.is_down(before) => format!("; {before} cannot take traffic"),
            Some(before) => format!(" in place of {before}"),
            None => String::new(),
        };
        match node {
            Some(node) => {
                let message = format!("Node {node} answers for {address}{why}");
                self.event(service, Kind::Normal, "AddressAnnounced", message);
            }
            None => {
                let message = format!("No node can answer for {address}: none has endpoints of the service");
                self.event(service, Kind::Warning, "AddressNotAnnounced", message);
            }
        }
    }

    fn event(&self, about: &Service, kind: Kind, reason: &str, message: String) {
        self.context.events.record(about.reference(), kind, reason, message);
    }
}
