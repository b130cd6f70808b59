//! The shell: nodes are watched, and the kernel and the CNI directory are brought to the plan.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use component::{Runtime, client, serve};
use informer::{Store, Watch, reflect};
use k8s_openapi::api::core::v1::Node as ApiNode;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, Patch, PatchParams};
use netrules::nft::Nft;
use netrules::{Family, Iptables};
use tokio::sync::{Notify, watch};

use crate::config::Config;
use crate::netlink::{self, Netlink};
use crate::nodes::Node;
use crate::plan::{Plan, route_changes};
use crate::policy::{self, enforce, sandboxes};
use crate::{announce, cni, rules, sysctl};

/// How often everything is compared even when nothing is heard: packet rules have no events.
const RESYNC: Duration = Duration::from_secs(60);
/// A burst of link events (pods starting) is answered once.
const SETTLE: Duration = Duration::from_millis(20);
const RETRY: Duration = Duration::from_secs(2);

/// Starts the pod network of this node.
pub async fn start(runtime: Runtime, config: Config) -> anyhow::Result<()> {
    let connection =
        client::Connection { kubeconfig: config.kubeconfig.as_deref(), master: None, user_agent: "podnet" };
    let client = client::connect(&connection).await?;
    if let Some(address) = config.metrics_bind_address {
        serve::serve(&runtime, address, serve::Endpoints::open()).await?;
    }
    let (driver, netlink) = Netlink::open().context("opening a netlink socket")?;
    spawn(&runtime, "netlink", async move {
        driver.await;
        anyhow::bail!("the kernel closed the netlink socket")
    });

    let changed = Arc::new(Notify::new());
    let nodes: Store<Node> = Store::new();
    let bell = changed.clone();
    nodes.on_change(move |_| bell.notify_one());
    let (store, watching) = (nodes.clone(), client.clone());
    spawn(&runtime, "watch nodes", async move {
        reflect(watching, Watch::all::<ApiNode>(), store).await;
        Ok(())
    });
    let bell = changed.clone();
    spawn(&runtime, "watch links and routes", async move { Ok(netlink::watch(&bell).await?) });

    let mut enforced = enforce::start(&runtime, &client, &config.node_name, sandboxes::RESULTS.into());
    let (bell, first) = (changed.clone(), enforced.clone());
    spawn(&runtime, "await network policies", async move {
        // The sender lives as long as its task, which ends only with the process.
        let _ = enforced.wait_for(|enforced| *enforced).await;
        bell.notify_one();
        std::future::pending().await
    });

    announce::start(&runtime, &client, &config.node_name, nodes.clone())?;

    let latch = runtime.latch("pod network");
    spawn(&runtime, "pod network", async move {
        nodes.ready().await;
        let network = Network { config, netlink, kernel: Iptables::new(Family::V4), client, enforced: first };
        let mut said = None;
        loop {
            let pause = match network.bring_about(&nodes).await {
                Ok(None) => {
                    latch.open();
                    RESYNC
                }
                Ok(Some(awaited)) => {
                    if said.replace(awaited) != Some(awaited) {
                        tracing::info!(node = network.config.node_name, "waiting for {awaited}");
                    }
                    RESYNC
                }
                Err(error) => {
                    tracing::warn!("{}", component::cause::whole(error.as_ref()));
                    RETRY
                }
            };
            tokio::select! {
                () = changed.notified() => tokio::time::sleep(SETTLE).await,
                () = tokio::time::sleep(pause) => {}
            }
        }
    });
    Ok(())
}

/// Starts a task of the process that ends with it.
pub(crate) fn spawn(
    runtime: &Runtime,
    name: &str,
    task: impl Future<Output = anyhow::Result<()>> + Send + 'static,
) {
    let shutdown = runtime.shutdown();
    runtime.spawn(name, async move {
        tokio::select! {
            result = task => result,
            () = shutdown.cancelled() => Ok(()),
        }
    });
}

struct Network {
    config: Config,
    netlink: Netlink,
    kernel: Iptables,
    client: kube::Client,
    enforced: watch::Receiver<bool>,
}

impl Network {
    /// Brings everything to the plan; what has to come first is named.
    async fn bring_about(&self, nodes: &Store<Node>) -> anyhow::Result<Option<&'static str>> {
        let list = nodes.list();
        let Some(plan) = Plan::new(list.iter().map(Arc::as_ref), &self.config.node_name) else {
            return Ok(Some("this node's pod CIDR"));
        };
        sysctl::apply();
        self.netlink.ensure_bridge(&plan).await.context("making the bridge")?;
        let present = self.netlink.routes().await.context("reading routes")?;
        let changes = route_changes(&plan.routes, &present);
        for (destination, gateway) in changes.remove {
            self.netlink.remove_route(destination, gateway).await.context("removing a route")?;
            tracing::info!(%destination, %gateway, "removed a route");
        }
        let mut unreachable = Vec::new();
        for (destination, gateway) in changes.set {
            match self.netlink.set_route(destination, gateway).await {
                Ok(()) => tracing::info!(%destination, %gateway, "made a route"),
                // One node out of reach must not cut off the others.
                Err(error) => unreachable.push(format!("{destination} via {gateway}: {error}")),
            }
        }
        if !rules::are_present(&self.kernel).await? {
            let cluster = self.config.cluster_cidr.unwrap_or(plan.pod_cidr);
            rules::apply(&self.kernel, &rules::rules(plan.pod_cidr, cluster))
                .await
                .context("writing packet rules")?;
        }
        // Without it the runtime starts no pod; one that started before policies are in force would not be isolated.
        if !*self.enforced.borrow() {
            return Ok(Some("the network policies"));
        }
        // Last: from here on the runtime starts pods.
        if cni::write(&self.config.cni_conf_dir, &plan.conflist()).context("writing the CNI configuration")? {
            tracing::info!(pod_cidr = %plan.pod_cidr, "wrote the CNI configuration");
        }
        let me = list.iter().find(|node| *node.name == *self.config.node_name);
        if me.is_some_and(|node| !node.network_available) {
            self.say_available().await.context("setting the node's condition")?;
        }
        if unreachable.is_empty() {
            Ok(None)
        } else {
            anyhow::bail!("cannot make routes: {}", unreachable.join(", "))
        }
    }

    async fn say_available(&self) -> Result<(), kube::Error> {
        let now = k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(Timestamp::now());
        let patch = serde_json::json!({"status": {"conditions": [{
            "type": "NetworkUnavailable",
            "status": "False",
            "reason": "PodNetworkReady",
            "message": "podnet made the pod network of this node",
            "lastHeartbeatTime": now,
            "lastTransitionTime": now,
        }]}});
        let nodes: Api<ApiNode> = Api::all(self.client.clone());
        nodes
            .patch_status(&self.config.node_name, &PatchParams::default(), &Patch::Strategic(patch))
            .await
            .map(drop)
    }
}

/// Removes everything podnet made on this node.
pub async fn cleanup(cni_conf_dir: &Path) -> anyhow::Result<()> {
    cni::remove(cni_conf_dir).context("removing the CNI configuration")?;
    let (driver, netlink) = Netlink::open().context("opening a netlink socket")?;
    let work = async {
        for (destination, gateway) in netlink.routes().await? {
            netlink.remove_route(destination, gateway).await?;
        }
        announce::remove(&netlink).await?;
        netlink.remove_bridge().await?;
        rules::remove(&Iptables::new(Family::V4)).await?;
        policy::remove(Nft).await?;
        anyhow::Ok(())
    };
    tokio::select! {
        result = work => result,
        () = driver => anyhow::bail!("the kernel closed the netlink socket"),
    }
}
