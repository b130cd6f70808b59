//! Puts the process together: client, health, leadership, controllers.

use std::sync::Arc;

use component::client;
use component::events::Recorder;
use component::serve::{self, Endpoints};
use component::{Runtime, leader, pages};
use controller_runtime::Controller;
use controller_runtime::api::identity::Identities;
use controller_runtime::context::{Context, Stores};
use kube::Client;

use crate::config::Config;
use crate::controllers;

const AGENT: &str = "kube-controller-manager";

/// Serves health, waits for leadership, then runs the chosen controllers until shutdown.
pub async fn run(config: Config, runtime: Runtime) -> anyhow::Result<()> {
    let chosen = controllers::choose(&config.options.choice.controllers)?;
    pages::show_configuration("kubecontrollermanager.config.k8s.io", config.shown());
    component::features::tell(crate::features::GATES);
    let kube_config = client::config(&config.connection.connection(AGENT)).await?;
    let client = client::from_config(kube_config.clone())?;
    if let Some(address) = config.serving.address() {
        let reviewer = config.review.client(&config.connection.connection(AGENT), &client).await?;
        let endpoints = Endpoints::secure(reviewer, config.serving.identity()?, &config.review)?;
        serve::serve(&runtime, address, endpoints).await?;
    }
    let with_accounts = config.options.choice.use_service_account_credentials;
    let identities = Identities::new(client.clone(), kube_config, with_accounts)?;
    let lease_flags = config.leader.clone();
    let (tasks, lease_client) = (runtime.clone(), client.clone());
    runtime.spawn("controllers", async move {
        let shutdown = tasks.shutdown();
        let running = leader::run(&tasks, lease_client, AGENT, &lease_flags, || async {
            start(config, tasks.clone(), client, &identities, chosen);
            shutdown.cancelled().await;
            Ok(())
        });
        running.await
    });
    Ok(())
}

fn start(
    config: Config,
    runtime: Runtime,
    client: Client,
    identities: &Identities,
    chosen: Vec<&'static Controller>,
) {
    let stores = Stores::new(client.clone(), runtime.clone());
    let options = Arc::new(config.options);
    for controller in chosen {
        let context = Context {
            stores: stores.clone(),
            api: identities.api(controller.account),
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
