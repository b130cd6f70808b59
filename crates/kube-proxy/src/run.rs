//! The shell: watches feed the state, the sync loop brings the kernel to it.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use component::cause::whole;
use component::{Runtime, client, pages, serve};
use jiff::Timestamp;
use netrules::{Family, Iptables, Kernel};

use crate::config::{Config, DetectLocalMode, NodePorts};
use crate::health::{Health, NodePortChecks, node_port_checks};
use crate::node::LocalDetector;
use crate::rules::{NodePortAddresses, Options};
use crate::state::State;
use crate::sync::Syncer;
use crate::watch::{Shared, Watches};
use crate::{http, metrics, pace, sysctl};

/// How often everything is written again, whatever is remembered (upstream's value).
const FULL_SYNC: Duration = Duration::from_secs(3600);

/// Starts the proxy.
pub async fn start(runtime: Runtime, config: Config) -> anyhow::Result<()> {
    pages::show_configuration("kubeproxy.config.k8s.io", config.shown());
    component::features::tell(crate::features::GATES);
    let client = client::connect(&config.connection.connection("kube-proxy")).await?;
    let health = Health::default();
    if let Some(address) = config.metrics {
        serve::serve(&runtime, address, serve::Endpoints::open()).await?;
    }
    if let Some(address) = config.healthz {
        let listener =
            http::bind(address).await.map_err(|error| anyhow::anyhow!("listening on {address}: {error}"))?;
        let (health, shutdown) = (health.clone(), runtime.shutdown());
        runtime.spawn("health", async move {
            let answer = move |path: &str| {
                let answer = health.answer(path, Instant::now(), Timestamp::now());
                answer.inspect(|answer| metrics::probed(path, answer.healthy))
            };
            tokio::select! {
                () = http::serve(listener, answer) => {}
                () = shutdown.cancelled() => {}
            }
            anyhow::Ok(())
        });
    }
    sysctl::apply(config.localhost_node_ports, &config.conntrack);

    let kernel = Iptables::new(Family::V4);
    let synced = runtime.latch("rules");
    let shared = Shared::new(State::new(Family::V4, &config.node_name));
    let state = shared.state.clone();
    component::metrics::before_reading(move || metrics::changes(state.lock().counts()));
    let watches = Watches::start(&runtime, &client, &config.node_name, &shared);
    let shutdown = runtime.shutdown();
    runtime.spawn("rules", async move {
        let work = async {
            watches.ready().await;
            SyncLoop::new(kernel, config, shared, health).run(|| synced.open()).await;
        };
        tokio::select! {
            () = work => {}
            () = shutdown.cancelled() => {}
        }
        anyhow::Ok(())
    });
    Ok(())
}

/// Removes everything the proxy put into the kernel.
pub async fn cleanup() -> anyhow::Result<()> {
    let kernel = Iptables::new(Family::V4);
    Ok(crate::cleanup::cleanup(&kernel).await?)
}

struct SyncLoop<K> {
    syncer: Syncer<K>,
    config: Config,
    shared: Shared,
    health: Health,
    checks: NodePortChecks,
}

impl<K: Kernel> SyncLoop<K> {
    fn new(kernel: K, config: Config, shared: Shared, health: Health) -> Self {
        let options = options(&config, &shared.state.lock(), &local_addresses());
        let checks = NodePortChecks::default();
        SyncLoop { syncer: Syncer::new(kernel, options), config, shared, health, checks }
    }

    async fn run(mut self, synced: impl Fn()) {
        let mut canary = tokio::time::interval(self.config.sync_period);
        canary.reset();
        let mut full = tokio::time::interval(FULL_SYNC);
        full.reset();
        let mut failures = 0;
        loop {
            let began = Instant::now();
            match self.sync().await {
                Ok(()) => {
                    failures = 0;
                    synced();
                    let rest = pace::rest(began.elapsed(), self.config.min_sync_period);
                    tokio::time::sleep(rest).await;
                }
                Err(error) => {
                    failures += 1;
                    let retry = pace::retry(failures, self.config.sync_period);
                    tracing::error!(error = %whole(&error), ?retry, "cannot write rules");
                    tokio::time::sleep(retry).await;
                    continue;
                }
            }
            tokio::select! {
                () = self.shared.changed.notified() => {}
                _ = canary.tick() => match self.syncer.was_flushed().await {
                    Ok(false) => {}
                    Ok(true) => {
                        tracing::warn!("somebody removed the rules, writing them again");
                        self.syncer.distrust();
                    }
                    Err(error) => tracing::warn!(error = %whole(&error), "cannot look for the canary"),
                },
                _ = full.tick() => self.syncer.distrust(),
            }
        }
    }

    async fn sync(&mut self) -> Result<(), netrules::Error> {
        let began = Instant::now();
        let (plan, checks, leaving, triggered) = {
            let mut state = self.shared.state.lock();
            let changes = state.take_changes();
            if changes.is_empty() && !self.syncer.needs_full() {
                return Ok(());
            }
            if changes.base || self.syncer.needs_full() {
                let options = options(&self.config, &state, &local_addresses());
                if options != *self.syncer.options() {
                    self.syncer.set_options(options);
                }
            }
            self.health.queued(began);
            metrics::queued(Timestamp::now().as_second());
            let plan = self.syncer.plan(&state, &changes);
            (plan, node_port_checks(&state), state.node.leaving, changes.triggered)
        };
        let full = plan.is_full();
        let outcome = self.syncer.carry_out(plan).await.inspect_err(|_| metrics::failed(full))?;
        let took = began.elapsed();
        let now = Timestamp::now();
        self.health.updated(now, leaving);
        let (rules, without_local) = (self.syncer.rule_count(), self.syncer.without_local());
        metrics::synced(took, &outcome, rules, without_local, now.as_second());
        for at in triggered {
            metrics::programmed(Duration::try_from(now.duration_since(at)).unwrap_or_default());
        }
        if outcome.full {
            tracing::info!(rules = self.syncer.rule_count(), ?took, "wrote all rules");
        } else {
            tracing::debug!(wrote = outcome.wrote, ?took, "wrote changed rules");
        }
        outcome.stale.forget().await;
        self.checks.update(checks, &self.health).await;
        Ok(())
    }
}

/// What configuration, node and the range of cluster addresses together say about rules.
fn options(config: &Config, state: &State, local_addresses: &[IpAddr]) -> Options {
    let family = Family::V4;
    let node = &state.node;
    let local = match &config.detect_local {
        DetectLocalMode::ClusterCidr(network) => network.map_or(LocalDetector::None, LocalDetector::Cidr),
        DetectLocalMode::NodeCidr => node.pod_cidr(family).map_or(LocalDetector::None, LocalDetector::Cidr),
        DetectLocalMode::Bridge(name) => LocalDetector::Bridge(name.clone()),
        DetectLocalMode::InterfacePrefix(prefix) => LocalDetector::InterfacePrefix(prefix.clone()),
    };
    let node_port_addresses = match &config.node_ports {
        NodePorts::All => NodePortAddresses::All,
        NodePorts::Primary => NodePortAddresses::Only(
            node.primary_address(family).or(config.bind_address).into_iter().collect(),
        ),
        NodePorts::In(networks) => NodePortAddresses::Only(
            local_addresses
                .iter()
                .copied()
                .filter(|address| networks.iter().any(|network| network.contains(address)))
                .collect(),
        ),
    };
    Options {
        family,
        masquerade_mark: 1 << config.masquerade_bit,
        masquerade_all: config.masquerade_all,
        random_fully: true,
        local,
        node_port_addresses,
        localhost_node_ports: config.localhost_node_ports,
        conntrack_tcp_be_liberal: config.conntrack_tcp_be_liberal,
        service_networks: state.service_networks(),
    }
}

/// The addresses of this host.
fn local_addresses() -> Vec<IpAddr> {
    let interfaces = match nix::ifaddrs::getifaddrs() {
        Ok(interfaces) => interfaces,
        Err(error) => {
            tracing::warn!(%error, "cannot list the addresses of this host");
            return Vec::new();
        }
    };
    interfaces
        .filter_map(|interface| interface.address)
        .filter_map(|address| address.as_sockaddr_in().map(|address| IpAddr::V4(address.ip())))
        .collect()
}
