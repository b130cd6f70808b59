//! The webhooks of admission: followed as their configurations change, and called.

use std::sync::Arc;

use admission::hooks::Hook;
use admission::{Attributes, image_policy};
use apimachinery::ObjectExt as _;
use arc_swap::ArcSwap;
use serde_json::Value;
use storage::{Cache, Filter, WatchStart};
use webhooks::{Client, Services, Users};

use crate::image_policy::ImagePolicy;
use crate::server::Server;
use crate::view::View;

const GROUP: &str = "admissionregistration.k8s.io";

/// A webhook and the connections to it.
pub struct Callable {
    /// What its configuration says.
    pub hook: Hook,
    /// Who calls it, or why nobody can.
    pub client: Result<Arc<Client>, String>,
}

type Callables = ArcSwap<Vec<Callable>>;

/// All webhooks that are configured, in the order in which they are asked.
#[derive(Default)]
pub struct Webhooks {
    /// Those that may change objects.
    pub mutating: Callables,
    /// Those that judge them.
    pub validating: Callables,
    /// As whom the server calls those that change, and those that judge.
    pub users: [Option<Users>; 2],
    /// Who is asked about images.
    pub images: Option<ImagePolicy>,
}

impl Webhooks {
    /// Whether any webhook names the request in its rules, or its images are asked about.
    pub fn concern(&self, attributes: &Attributes<'_>, view: &View<'_>) -> bool {
        let any = |list: &Callables| {
            let list = list.load();
            list.iter().any(|callable| callable.hook.rule(attributes, view).is_some())
        };
        let images = self.images.is_some() && image_policy::concerns(attributes);
        images || any(&self.mutating) || any(&self.validating)
    }
}

/// One task for each of the two kinds of configurations. What is configured already holds when this returns.
pub fn feeds(server: &Arc<Server>) -> Vec<(&'static str, impl Future<Output = ()> + Send + use<>)> {
    let mut feeds = Vec::new();
    for (plural, plugin) in [
        ("mutatingwebhookconfigurations", "MutatingAdmissionWebhook"),
        ("validatingwebhookconfigurations", "ValidatingAdmissionWebhook"),
    ] {
        let Some(entry) = server.registry.stored(GROUP, plural) else { continue };
        if server.admission.names().contains(&plugin) {
            let cache = entry.cache().clone();
            renew(server, plural, &cache);
            feeds.push((plural, follow(server.clone(), plural, cache)));
        }
    }
    feeds
}

async fn follow(server: Arc<Server>, plural: &'static str, cache: Arc<Cache>) {
    loop {
        let Ok((mut watch, _)) = cache.watch(WatchStart::Objects, Filter::default()) else { return };
        while watch.next_first().is_some() {}
        renew(&server, plural, &cache);
        while watch.next().await.is_some() {
            // Changes come in bursts, and each makes all of the list anew.
            while watch.try_next().is_some() {}
            renew(&server, plural, &cache);
        }
    }
}

/// Reads all configurations; a webhook whose call did not change keeps its connections.
fn renew(server: &Server, plural: &str, cache: &Cache) {
    let Webhooks { mutating, validating, users: [of_mutating, of_validating], .. } = &server.webhooks;
    let (list, users) = match plural {
        "mutatingwebhookconfigurations" => (mutating, of_mutating),
        _ => (validating, of_validating),
    };
    let known = list.load_full();
    let mut configurations: Vec<Value> = Vec::new();
    cache.visit(&storage::Query::default(), |object| {
        configurations.extend(object.value().ok());
        true
    });
    configurations.sort_by(|a, b| a.name().cmp(b.name()));
    let services: Arc<dyn Services> =
        Arc::new(crate::service_places::ServicePlaces { store: server.store.clone() });
    let callables = configurations.iter().flat_map(Hook::of_configuration).map(|hook| {
        let same = |callable: &&Callable| callable.hook.client_config == hook.client_config;
        let client = match known.iter().find(same) {
            Some(callable) => callable.client.clone(),
            None => Client::of_client_config_as(&hook.client_config, services.clone(), users.as_ref())
                .map(Arc::new)
                .map_err(|error| error.to_string()),
        };
        Callable { hook, client }
    });
    list.store(Arc::new(callables.collect()));
}
