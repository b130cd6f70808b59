//! Puts the process together: client, health, leadership, controllers.

use component::client;
use component::events::Recorder;
use component::serve::{self, Endpoints};
use component::{Runtime, leader, pages};
use controller_runtime::api::identity::Identities;
use controller_runtime::context::Stores;
use kube::Client;

use crate::cloud::{self, CloudConfiguration};
use crate::config::Config;
use crate::controllers::{self, Context, Controller};

const AGENT: &str = "cloud-controller-manager";

/// Serves health, waits for leadership, then runs the chosen controllers until shutdown.
pub async fn run(config: Config, runtime: Runtime) -> anyhow::Result<()> {
    let chosen = controllers::choose(&config.choice.controllers)?;
    pages::show_configuration("cloudcontrollermanager.config.k8s.io", config.shown());
    let cloud = cloud::read(config.cloud_config.as_deref())?;
    let kube_config = client::config(&config.connection.connection(AGENT)).await?;
    let client = client::from_config(kube_config.clone())?;
    if let Some(address) = config.serving.address() {
        let reviewer = config.review.client(&config.connection.connection(AGENT), &client).await?;
        let endpoints = Endpoints::secure(reviewer, config.serving.identity()?, &config.review)?;
        serve::serve(&runtime, address, endpoints).await?;
    }
    let identities =
        Identities::new(client.clone(), kube_config, config.choice.use_service_account_credentials)?;
    let (tasks, lease_flags) = (runtime.clone(), config.leader.clone());
    runtime.spawn("controllers", async move {
        let shutdown = tasks.shutdown();
        let running = leader::run(&tasks, client.clone(), AGENT, &lease_flags, || async {
            start(&config, &cloud, &tasks, &client, &identities, chosen);
            shutdown.cancelled().await;
            Ok(())
        });
        running.await
    });
    Ok(())
}

fn start(
    config: &Config,
    cloud: &CloudConfiguration,
    runtime: &Runtime,
    client: &Client,
    identities: &Identities,
    chosen: Vec<&'static Controller>,
) {
    let stores = Stores::new(client.clone(), runtime.clone());
    for controller in chosen {
        let running = (controller.start)(Context {
            stores: stores.clone(),
            api: identities.api(controller.account),
            events: Recorder::start(runtime, client.clone(), controller.account, None),
            cloud: cloud.clone(),
            concurrent_service_syncs: config.concurrent_service_syncs,
        });
        runtime.spawn(controller.name, async move {
            running.await;
            anyhow::Ok(())
        });
    }
}
