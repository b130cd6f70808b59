//! Who decides what a request may do, and what they must know: the authorisers are fed from the watch cache, so that a check
//! asks memory alone.

mod modes;
mod remote;

use std::sync::Arc;

use apimachinery::Status;
use authz::{Attributes, Decision, Reason};
use serde_json::Value;
use storage::{Cache, EventType, Filter, Watch, WatchStart};
use tokio::sync::watch;

pub use self::modes::{AuthorizationFlags, follow, load};
use crate::registry::Registry;
use crate::server::Server;

/// The answer to a request that may not pass: it is forbidden, or nobody could say.
pub fn refusal(attributes: &Attributes<'_>, decision: &Decision) -> Status {
    match decision {
        Decision::NoOpinion(Reason::Failed(why)) => Status::internal(why),
        other => authz::forbidden(attributes, &other.reason().to_string()),
    }
}

/// What an authoriser is told.
enum Told<'a> {
    /// Everything there is of a resource.
    All(&'a [Value]),
    /// An object that is new or changed.
    Is(&'a Value),
    /// An object that is gone.
    Gone(&'a Value),
}

/// The resources that RBAC reads.
const ROLES: [(&str, authz::RbacKind); 4] = [
    ("roles", authz::RbacKind::Role),
    ("rolebindings", authz::RbacKind::RoleBinding),
    ("clusterroles", authz::RbacKind::ClusterRole),
    ("clusterrolebindings", authz::RbacKind::ClusterRoleBinding),
];

/// The resources that the Node authoriser reads, with their kinds.
const GRAPH: [(&str, &str, &str); 4] = [
    ("", "pods", "Pod"),
    ("", "persistentvolumes", "PersistentVolume"),
    ("storage.k8s.io", "volumeattachments", "VolumeAttachment"),
    ("resource.k8s.io", "resourceslices", "ResourceSlice"),
];

/// One task for each resource that an authoriser reads. What there is already, the authorisers know when this
/// returns: no request may be judged by an empty set of roles.
pub fn feeds(server: &Arc<Server>) -> Vec<(String, impl Future<Output = ()> + Send + use<>)> {
    let mut feeds = Vec::new();
    if server.authorizer.has(authz::Mode::Rbac) {
        for (plural, kind) in ROLES {
            if let Some(entry) = server.registry.stored("rbac.authorization.k8s.io", plural) {
                feeds.push((
                    plural.to_owned(),
                    feed(server.clone(), entry.cache().clone(), Authoriser::Rbac(kind)),
                ));
            }
        }
    }
    if server.authorizer.has(authz::Mode::Node) {
        for (group, plural, kind) in GRAPH {
            if let Some(entry) = server.registry.stored(group, plural) {
                feeds.push((
                    plural.to_owned(),
                    feed(server.clone(), entry.cache().clone(), Authoriser::Node(kind)),
                ));
            }
        }
    }
    feeds
}

/// How far RBAC was told of each of its resources: up to which revision.
#[derive(Default)]
pub struct RolesTold([watch::Sender<i64>; ROLES.len()]);

impl RolesTold {
    fn told(&self, authoriser: Authoriser, revision: i64) {
        if let Authoriser::Rbac(kind) = authoriser
            && let Some(place) = ROLES.iter().position(|(_, known)| *known == kind)
        {
            self.0[place].send_replace(revision);
        }
    }

    /// Waits until RBAC was told what the caches know by now.
    pub async fn caught_up(&self, registry: &Registry) {
        for ((plural, _), told) in ROLES.iter().zip(&self.0) {
            let Some(entry) = registry.stored("rbac.authorization.k8s.io", plural) else { continue };
            let changed = entry.cache().changed();
            // It cannot fail: the sender is here.
            let _ = told.subscribe().wait_for(|told| *told >= changed).await;
        }
    }
}

#[derive(Clone, Copy)]
enum Authoriser {
    Rbac(authz::RbacKind),
    Node(&'static str),
}

impl Authoriser {
    fn tell(self, server: &Server, told: Told<'_>) {
        let (rbac, nodes) = (&server.authorizer.rbac, &server.authorizer.nodes);
        match (self, told) {
            (Self::Rbac(kind), Told::All(objects)) => rbac.reset(kind, objects),
            (Self::Rbac(_), Told::Is(object)) => rbac.apply(object),
            (Self::Rbac(_), Told::Gone(object)) => rbac.delete(object),
            (Self::Node(kind), Told::All(objects)) => nodes.reset(kind, objects),
            (Self::Node(_), Told::Is(object)) => nodes.apply(object),
            (Self::Node(_), Told::Gone(object)) => nodes.delete(object),
        }
    }
}

/// Tells an authoriser everything there is, and gives the watch of what comes.
fn begin(server: &Server, cache: &Arc<Cache>, authoriser: Authoriser) -> Option<Watch> {
    let (mut watch, revision) = cache.watch(WatchStart::Objects, Filter::default()).ok()?;
    let mut objects = Vec::new();
    while let Some(event) = watch.next_first() {
        objects.extend(event.object.value());
    }
    authoriser.tell(server, Told::All(&objects));
    server.roles_told.told(authoriser, revision);
    Some(watch)
}

fn feed(
    server: Arc<Server>,
    cache: Arc<Cache>,
    authoriser: Authoriser,
) -> impl Future<Output = ()> + Send + use<> {
    let first = begin(&server, &cache, authoriser);
    go_on(server, cache, authoriser, first)
}

async fn go_on(server: Arc<Server>, cache: Arc<Cache>, authoriser: Authoriser, first: Option<Watch>) {
    let mut next = first;
    while let Some(mut watch) = next {
        loop {
            let event = tokio::select! {
                event = watch.next() => event,
                () = server.stop.cancelled() => return,
            };
            // An ended watch means that the cache was filled anew.
            let Some(event) = event else { break };
            match (event.object.value(), event.event) {
                (Ok(object), EventType::Deleted) => authoriser.tell(&server, Told::Gone(&object)),
                (Ok(object), EventType::Added | EventType::Modified) => {
                    authoriser.tell(&server, Told::Is(&object))
                }
                (Err(error), _) => tracing::error!(%error, key = event.object.key(), "unreadable object"),
            }
            server.roles_told.told(authoriser, event.object.revision());
        }
        next = begin(&server, &cache, authoriser);
    }
}
