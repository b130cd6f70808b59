//! Puts the process together: client, health, leadership, controllers.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use component::client::{self, Connection};
use component::events::Recorder;
use component::serve::{self, Endpoints};
use component::{Runtime, leader};
use kube::Client;

use crate::api::Api;
use crate::api::identity::Identity;
use crate::config::Config;
use crate::context::{Context, Stores};
use crate::controllers;

const AGENT: &str = "kube-controller-manager";

/// Serves health, waits for leadership, then runs the chosen controllers until shutdown.
pub async fn run(config: Config, runtime: Runtime) -> anyhow::Result<()> {
    let chosen = controllers::choose(&config.options.controllers)?;
    let connection = Connection {
        kubeconfig: config.kubeconfig.as_deref(),
        master: config.master.as_deref(),
        user_agent: AGENT,
    };
    let kube_config = client::config(&connection).await?;
    let client = client::from_config(kube_config.clone())?;
    if config.secure_port != 0 {
        let endpoints = endpoints(&config, &client).await?;
        let address = SocketAddr::new(config.bind_address, config.secure_port);
        serve::serve(&runtime, address, endpoints).await?;
    }
    // Without the manager's own credentials, which would outweigh a service account's token.
    let mut anonymous = kube_config;
    anonymous.auth_info = kube::config::AuthInfo::default();
    let writer = Writer { anonymous: client::from_config(anonymous)?, client: client.clone() };
    let lease_flags = config.leader.clone();
    let (tasks, lease_client) = (runtime.clone(), client.clone());
    runtime.spawn("controllers", async move {
        let shutdown = tasks.shutdown();
        let running = leader::run(&tasks, lease_client, AGENT, &lease_flags, || async {
            start(config, tasks.clone(), client, &writer, chosen);
            shutdown.cancelled().await;
            Ok(())
        });
        running.await
    });
    Ok(())
}

/// Makes the APIs of controllers: with service accounts of their own, or all with the manager's credentials.
struct Writer {
    client: Client,
    anonymous: Client,
}

fn start(
    config: Config,
    runtime: Runtime,
    client: Client,
    writer: &Writer,
    chosen: Vec<&'static controllers::Controller>,
) {
    let stores = Stores::new(client.clone(), runtime.clone());
    let options = Arc::new(config.options);
    for controller in chosen {
        let api = if options.use_service_account_credentials && !controller.account.is_empty() {
            let identity = Identity::new(writer.client.clone(), controller.account);
            Api::with_identity(writer.anonymous.clone(), identity)
        } else {
            Api::new(client.clone())
        };
        let context = Context {
            stores: stores.clone(),
            api,
            events: Recorder::start(&runtime, client.clone(), controller.event_source, None),
            options: Arc::clone(&options),
        };
        let Some(running) = (controller.start)(context) else {
            tracing::info!(controller = controller.name, "not configured, not started");
            continue;
        };
        tracing::debug!(controller = controller.name, "started");
        runtime.spawn(controller.name, async move {
            running.await;
            anyhow::Ok(())
        });
    }
}

async fn endpoints(config: &Config, client: &Client) -> anyhow::Result<Endpoints> {
    let identity = match (&config.tls_cert_file, &config.tls_private_key_file) {
        (Some(certificate), Some(key)) => {
            Some(pki::Identity::load(certificate, key).context("--tls-cert-file")?)
        }
        _ => None,
    };
    let reviewer = match config
        .authorization_kubeconfig
        .as_deref()
        .or(config.authentication_kubeconfig.as_deref())
    {
        Some(path) if Some(path) != config.kubeconfig.as_deref() => {
            let connection =
                Connection { kubeconfig: Some(path), master: config.master.as_deref(), user_agent: AGENT };
            client::connect(&connection).await?
        }
        _ => client.clone(),
    };
    Endpoints::secure(reviewer, identity)
}
