//! The driver is waited for, and what it can do decides what is started.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use component::cause::whole;
use component::events::{Kind, Recorder};
use component::{Runtime, client, leader};
use controller_runtime::api::path::collection_path;
use controller_runtime::api::{Api, Error as ApiError};
use controller_runtime::context::{Stores, reference};
use controller_runtime::objects::Resource;
use csi::Client;
use csi::v1::controller_service_capability::rpc::Type as Rpc;
use csi::v1::plugin_capability::{Type, service};
use csi::v1::{GetPluginCapabilitiesRequest, GetPluginInfoRequest, ProbeRequest};
use informer::{Failure, Store, Watch};
use k8s_openapi::api::core::v1::Secret;
use podrules::node_affinity::{NodeView, selector_matches};
use provisioning::objects::{SecretRef, Volume};

use crate::config::{Config, Role};
use crate::objects::Node;
use crate::{attacher, provisioner, registrar, resizer};

/// How long to wait before a driver that is not ready is asked again.
const AGAIN: Duration = Duration::from_millis(500);

/// Why something was not done; it is tried again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server refused.
    #[error("the API server")]
    Api(#[from] ApiError),
    /// The driver refused.
    #[error("{0}")]
    Driver(#[from] csi::Error),
    /// It cannot be as it is.
    #[error("{0}")]
    Refused(String),
}

impl Failure for Error {
    fn is_conflict(&self) -> bool {
        matches!(self, Error::Api(error) if error.is_conflict())
    }
}

/// The driver, and what all roles need.
#[derive(Clone)]
pub struct Context {
    /// The configuration.
    pub config: Config,
    /// The driver's name.
    pub driver: String,
    /// How to ask it.
    pub client: Client,
    /// What its controller does.
    pub abilities: Vec<Rpc>,
    /// Whether its volumes cannot be reached from everywhere.
    pub has_topology: bool,
    /// Requests to the API server.
    pub api: Api,
    /// What is watched.
    pub stores: Stores,
    /// Where the nodes are whose volumes are seen to.
    pub nodes: Store<Node>,
    /// Events.
    pub recorder: Recorder,
}

impl Context {
    /// Tells whether the driver's controller does something.
    pub fn can(&self, what: Rpc) -> bool {
        self.abilities.contains(&what)
    }

    /// Whether it tells one pod that writes from many.
    pub fn writers(&self) -> csi::Driver {
        match self.can(Rpc::SingleNodeMultiWriter) {
            true => csi::Driver::CountsWriters,
            false => csi::Driver::Plain,
        }
    }

    /// Tells whether a volume is seen to here: where every node has its own sidecar, only by that of the volume's node.
    pub fn is_here(&self, volume: &Volume) -> bool {
        let Some(own) = &self.config.node else { return true };
        let required = volume.spec.node_affinity.as_ref().and_then(|affinity| affinity.required.as_ref());
        let (Some(node), Some(required)) = (self.nodes.get(own), required) else { return false };
        selector_matches(required, &NodeView { name: own, labels: &node.metadata.labels })
    }

    /// Narrows a watch of nodes, or of what is named after them, to those that are seen to.
    pub fn of_own_node(&self, watch: Watch) -> Watch {
        of_own_node(&self.config, watch)
    }

    /// Records an event.
    pub fn tell<K: Resource>(&self, about: &K, kind: Kind, reason: &str, message: impl Into<String>) {
        self.recorder.record(reference(about), kind, reason, message);
    }

    /// Reads a secret's entries.
    pub async fn secret(&self, name: Option<&SecretRef>) -> Result<BTreeMap<String, String>, Error> {
        let Some(SecretRef { namespace, name }) = name else { return Ok(BTreeMap::new()) };
        let path = format!("{}/{name}", collection_path("", "v1", "secrets", namespace));
        let found = self.api.get(&path).await?;
        let secret: Secret = serde_json::from_value(found)
            .map_err(|error| Error::Refused(format!("the secret {namespace}/{name}: {error}")))?;
        let text = |bytes: k8s_openapi::ByteString| String::from_utf8_lossy(&bytes.0).into_owned();
        Ok(secret.data.unwrap_or_default().into_iter().map(|(key, value)| (key, text(value))).collect())
    }
}

/// Starts what the configuration asks for.
pub async fn start(runtime: Runtime, config: Config) -> anyhow::Result<()> {
    let driver = Client::new(&config.socket, config.timeout);
    let name = tokio::select! {
        name = await_driver(&driver) => name,
        () = runtime.shutdown().cancelled_owned() => return Ok(()),
    };
    tracing::info!(driver = name, roles = ?config.roles, "the driver is ready");
    if config.roles.contains(&Role::Registrar) {
        let (registry, socket) = (config.registry.clone(), config.kubelet_socket.clone());
        registrar::register(&runtime, registry, name.clone(), socket)?;
    }
    if config.roles == [Role::Registrar] {
        return Ok(());
    }
    let capabilities = driver.plugin_capabilities(GetPluginCapabilitiesRequest {}).await?.capabilities;
    let serves = |wanted: service::Type| {
        capabilities.iter().any(|capability| {
            matches!(&capability.r#type, Some(Type::Service(service)) if service.r#type == wanted as i32)
        })
    };
    let abilities = match serves(service::Type::ControllerService) {
        true => driver.controller_capabilities().await.context("ControllerGetCapabilities")?,
        false => Vec::new(),
    };
    let connection = client::Connection {
        kubeconfig: config.kubeconfig.as_deref(),
        master: None,
        user_agent: "csi-sidecar",
    };
    let connected = client::connect(&connection).await?;
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let source = format!("{name}_{}", config.node.as_deref().unwrap_or(host.trim()));
    let stores = Stores::new(connected.clone(), runtime.clone());
    let nodes = Watch::resource(Node::GROUP, Node::VERSION, Node::PLURAL, "").metadata_only();
    let context = Context {
        driver: name.clone(),
        client: driver,
        abilities,
        has_topology: serves(service::Type::VolumeAccessibilityConstraints),
        api: Api::new(connected.clone()),
        nodes: stores.watch(of_own_node(&config, nodes)),
        stores,
        recorder: Recorder::start(&runtime, connected.clone(), &source, None),
        config,
    };
    let lease = format!("csi-sidecar-{}", name.replace('.', "-"));
    let (elected, election) = (runtime.clone(), context.config.election.clone());
    leader::run(&elected, connected, &lease, &election, move || async move {
        for role in context.config.roles.clone() {
            match role {
                Role::Registrar => {}
                Role::Provisioner if !context.can(Rpc::CreateDeleteVolume) => {
                    tracing::info!("the driver makes no volumes");
                }
                Role::Provisioner => provisioner::start(&runtime, context.clone()),
                Role::Attacher => attacher::start(&runtime, context.clone()),
                Role::Resizer => resizer::start(&runtime, context.clone()),
            }
        }
        anyhow::Ok(())
    })
    .await
}

fn of_own_node(config: &Config, watch: Watch) -> Watch {
    match &config.node {
        Some(node) => watch.fields(&format!("metadata.name={node}")),
        None => watch,
    }
}

/// Waits until the driver is there and ready, and asks its name.
async fn await_driver(driver: &Client) -> String {
    let mut said = false;
    loop {
        let asked = async {
            let ready = driver.probe(ProbeRequest {}).await?.ready.unwrap_or(true);
            let name = driver.plugin_info(GetPluginInfoRequest {}).await?.name;
            Ok::<_, csi::Error>((ready && !name.is_empty()).then_some(name))
        };
        match asked.await {
            Ok(Some(name)) => return name,
            Ok(None) => {}
            Err(error) if !said => {
                said = true;
                tracing::info!(error = whole(&error), "waiting for the driver");
            }
            Err(_) => {}
        }
        tokio::time::sleep(AGAIN).await;
    }
}
