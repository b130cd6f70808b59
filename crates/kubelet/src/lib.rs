//! Runs pods through CRI; logs, exec, probes, volumes, status.
//!
//! [`plan`] decides what to do with one pod, [`status`] what the API shows of it; both are pure. A worker for each pod
//! gathers what they look at and carries out what they say.

mod admission;
pub mod backoff;
mod certificates;
mod config;
pub mod container;
pub mod csi;
mod event;
pub mod eviction;
mod features;
mod housekeeping;
pub mod image;
mod kubelet;
mod listen;
mod metrics;
mod node;
pub mod objects;
pub mod observed;
pub mod plan;
pub mod pod;
pub mod pods;
mod probe;
mod resize;
mod server;
pub mod settings;
mod source;
pub mod status;
pub mod volume;
mod worker;

use std::{
    path::Path,
    sync::{Arc, atomic::AtomicU16},
};

use anyhow::Context;
use cgroups::{Cgroups, Driver, Limits, convert};
use component::{
    Runtime as Process,
    client::{self, Connection, Connections},
    events::Recorder,
};
use cri::{Client as CriClient, Runtime, Timeouts};
use informer::Store;
use k8s_openapi::api::core::v1::{Pod, Service};
use parking_lot::RwLock;
use podrules::requests::QosClass;
use tokio::sync::watch;

pub use config::{Config, Flags, IGNORED, KubeletConfiguration};
pub use server::{LogFilter, log_entry, log_tail};
pub use source::manifest::parse as static_pod;

use crate::csi::Csi;
use container::resources::Machine;
use eviction::Pressure;
use image::Images;
use kubelet::{Kubelet, NodeFacts};
use node::machine;
use objects::Objects;
use pods::Pods;
use volume::Tokens;

/// Starts the kubelet's tasks. Returns once they run.
pub async fn run(config: Config, process: Process) -> anyhow::Result<()> {
    for field in &config.ignored {
        tracing::warn!("field {field} of the configuration file has no meaning in Magnetite and is ignored");
    }
    let timeouts = Timeouts { request: config.runtime_request_timeout };
    let runtime: Arc<dyn Runtime> =
        Arc::new(CriClient::new(&config.runtime_endpoint, timeouts).observed_by(metrics::runtime_observer()));
    run_with(config, process, runtime).await
}

/// Starts the kubelet over a given runtime.
pub async fn run_with(config: Config, process: Process, runtime: Arc<dyn Runtime>) -> anyhow::Result<()> {
    component::features::tell(features::GATES);
    let settings = config.settings.clone();
    for folder in [&settings.root_dir, &settings.cert_dir, &settings.pod_logs_dir] {
        std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    }
    let (client, renewal) = match &config.kubeconfig {
        Some(kubeconfig) => {
            let (client, renewal) = connect(kubeconfig, &config, &process).await?;
            (Some(client), renewal)
        }
        None => (None, None),
    };
    let version = await_runtime(&*runtime, &process).await?;
    tracing::info!(runtime = version.runtime_name, version = version.runtime_version, "runtime found");

    let driver = cgroup_driver(&*runtime, &settings).await?;
    let recorder = match &client {
        Some(client) => Recorder::start(&process, client.clone(), "kubelet", Some(&settings.node_name)),
        None => Recorder::silent(),
    };
    let pods = Arc::new(Pods::default());
    let wake = Arc::clone(&pods);
    let (memory, _) = machine::memory();
    let (_, allocatable) = machine::resources(&settings);
    let facts = NodeFacts { host_ips: machine::addresses(&settings), allocatable, node: None };
    let kubelet = Arc::new(Kubelet {
        objects: Objects::new(client.clone(), move |uid| wake.volumes_changed(uid)),
        tokens: Tokens::new(client.clone()),
        csi: Csi::new(&settings.node_name, &settings.root_dir, client.clone(), process.clone()),
        services: Store::<Service>::new(),
        images: Images::new(Arc::clone(&runtime), recorder.clone(), settings.max_parallel_image_pulls),
        recorder,
        cgroups: make_cgroups(&settings, driver)?,
        machine: Machine {
            memory: i64::try_from(memory).unwrap_or(i64::MAX),
            cpu_quota: settings.cpu_cfs_quota,
        },
        facts: RwLock::new(facts),
        pressure: watch::Sender::new(Pressure::default()),
        port: AtomicU16::new(config.address.port()),
        manifests_read: watch::Sender::new(settings.static_pods.is_none()),
        runtime_name: version.runtime_name,
        runtime,
        client: client.clone(),
        pods,
        process: process.clone(),
        settings,
    });
    kubelet.pods.attach(&kubelet);
    make_qos_cgroups(&kubelet)?;

    if let Some(address) = config.healthz {
        component::serve::serve(&process, address, component::serve::Endpoints::open()).await?;
    }
    let serving = server::start(&kubelet, &config).await?;
    process.spawn("runtime events", source::follow_runtime(Arc::clone(&kubelet)));
    let mut store = None;
    if let Some(client) = client {
        if let Some((source, connections)) = renewal {
            let keeping = certificates::keep_client(source, client.clone(), connections, process.clone());
            process.spawn("client certificate", keeping);
        }
        if config.server_tls_bootstrap && config.serving.is_none() {
            let owner = Arc::clone(&kubelet);
            let names = move || names(&owner.settings);
            let store = certificates::Store::server(&kubelet.settings.cert_dir);
            let keeping = certificates::keep_serving(store, serving, names, client.clone(), process.clone());
            process.spawn("server certificate", keeping);
        }
        let pods = Store::<Pod>::new();
        store = Some(pods.clone());
        process.spawn("pod watch", source::watch_pods(Arc::clone(&kubelet), client.clone(), pods));
        let registered = process.latch("node registered");
        process.spawn("node status", node::keep(Arc::clone(&kubelet), client.clone(), registered));
        process.spawn("node lease", node::renew(Arc::clone(&kubelet), client));
    }
    if let Some(folder) = kubelet.settings.static_pods.clone() {
        process.spawn("static pods", source::manifest::run(Arc::clone(&kubelet), folder));
    }
    process.spawn("plugin registration", crate::csi::follow(Arc::clone(&kubelet)));
    process.spawn("housekeeping", housekeeping::keep(Arc::clone(&kubelet)));
    process.spawn("leftovers", source::sweep(Arc::clone(&kubelet), store));
    Ok(())
}

/// Connects to the API server, with a certificate that is asked for where there is none yet. Where it is renewed while
/// the kubelet runs, says how.
async fn connect(
    kubeconfig: &Path,
    config: &Config,
    process: &Process,
) -> anyhow::Result<(kube::Client, Option<(certificates::Source, Connections)>)> {
    let source = certificates::Source {
        node: config.settings.node_name.clone(),
        store: certificates::Store::client(&config.settings.cert_dir),
        kubeconfig: kubeconfig.to_owned(),
        bootstrap: config.bootstrap_kubeconfig.clone(),
    };
    certificates::ensure(&source, config.rotate_certificates, process).await?;
    let connection =
        Connection { kubeconfig: Some(kubeconfig), user_agent: "kubelet", ..Connection::default() };
    let mut connecting = client::config(&connection).await?;
    let renews = config.rotate_certificates && source.store.load().is_some();
    if renews {
        certificates::show(&source.store, &mut connecting.auth_info);
    }
    let (client, connections) = client::renewable(connecting)?;
    Ok((client, renews.then_some((source, connections))))
}

/// The names to serve under.
fn names(settings: &settings::Settings) -> certificates::Names {
    let addresses = machine::addresses(settings).iter().filter_map(|address| address.parse().ok()).collect();
    certificates::Names { node: settings.node_name.clone(), addresses }
}

/// Waits for the runtime to answer: the kubelet may be started first.
async fn await_runtime(runtime: &dyn Runtime, process: &Process) -> anyhow::Result<cri::v1::VersionResponse> {
    let shutdown = process.shutdown();
    let mut said = false;
    loop {
        match runtime.version().await {
            Ok(version) => return Ok(version),
            Err(cri::Error::Unimplemented(why)) => {
                anyhow::bail!("the container runtime does not serve CRI v1: {why}")
            }
            Err(error) => {
                if !std::mem::replace(&mut said, true) {
                    tracing::warn!(%error, "waiting for the container runtime");
                }
            }
        }
        tokio::select! {
            () = tokio::time::sleep(std::time::Duration::from_millis(200)) => {}
            () = shutdown.cancelled() => anyhow::bail!("stopped while waiting for the container runtime"),
        }
    }
}

/// Who owns cgroups: as the runtime says, for both must do the same (KEP-4033), otherwise as the configuration does.
async fn cgroup_driver(runtime: &dyn Runtime, settings: &settings::Settings) -> anyhow::Result<Driver> {
    let said = runtime.cgroup_driver().await.context("asking the container runtime for its cgroup driver")?;
    let driver = match said {
        Some(cri::v1::CgroupDriver::Systemd) => Driver::Systemd,
        Some(cri::v1::CgroupDriver::Cgroupfs) => Driver::Cgroupfs,
        None => settings.cgroup_driver,
    };
    if driver != settings.cgroup_driver {
        tracing::info!(driver = driver.name(), "the container runtime's cgroup driver is used");
    }
    Ok(driver)
}

/// Finds the host's cgroups. Without any, pods run unbounded, which is said once.
fn make_cgroups(settings: &settings::Settings, driver: Driver) -> anyhow::Result<Option<Cgroups>> {
    match Cgroups::detect(Path::new("/sys/fs/cgroup")) {
        Ok(cgroups) => {
            let root = &settings.cgroup_root;
            tracing::info!(version = ?cgroups.version(), driver = driver.name(), root, "cgroups");
            Ok(Some(cgroups.owned_by(driver)?))
        }
        Err(error) => {
            tracing::warn!(%error, "pods get no cgroups");
            Ok(None)
        }
    }
}

/// Makes the cgroups above those of pods.
fn make_qos_cgroups(kubelet: &Kubelet) -> anyhow::Result<()> {
    let Some(cgroups) = &kubelet.cgroups else { return Ok(()) };
    if !kubelet.settings.cgroups_per_qos {
        return Ok(());
    }
    let allocatable = kubelet.facts.read().allocatable.clone();
    let together = machine::for_pods(&kubelet.settings);
    let milli = allocatable.get("cpu").map_or(0, |cpu| cpu.milli_value());
    let shares = |shares| Limits { cpu_shares: Some(shares), ..Limits::default() };
    let all = Limits {
        // Pods together may not take what is kept for the system. What eviction keeps beside it is theirs to the last:
        // before they come to their end, one of them is evicted.
        memory: together.get("memory").map(|memory| memory.value()),
        ..shares(convert::milli_cpu_to_shares(milli))
    };
    for (class, limits) in [
        (QosClass::Guaranteed, all),
        (QosClass::Burstable, shares(convert::milli_cpu_to_shares(milli))),
        (QosClass::BestEffort, shares(convert::MIN_SHARES)),
    ] {
        cgroups.ensure(&kubelet.qos_cgroup(class), &limits).context("making the cgroups of pods")?;
    }
    Ok(())
}
