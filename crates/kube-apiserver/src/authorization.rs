//! Who decides what a request may do, and what they must know: the authorisers are fed from the watch cache, so that a check
//! asks memory alone.

mod modes;
mod remote;

use std::sync::Arc;

use apimachinery::Status;
use authz::{Attributes, Decision, Reason};
use storage::{Cache, EventType, Filter, Object, Resource, Watch, WatchStart};
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
    /// Whether it makes a difference: a pod does only when it is placed, and then it stays so until it is gone.
    fn cares_for(self, resource: &Resource, object: &Object) -> bool {
        match self {
            Self::Node("Pod") => {
                let node = resource.field("spec.nodeName").map(|field| object.field(resource, field));
                node.is_none_or(|node| !node.is_empty())
            }
            Self::Node(_) | Self::Rbac(_) => true,
        }
    }

    /// Tells everything there is of the resource, one object after another: the trees of all pods at once would be ten
    /// times their bytes.
    fn begin(self, server: &Server, resource: &Resource, watch: &mut Watch) {
        let objects = std::iter::from_fn(|| watch.next_first()).map(|event| event.object);
        match self {
            Self::Rbac(kind) => {
                server.authorizer.rbac.reset(kind, objects.filter_map(|object| of(&object, object.value())));
            }
            Self::Node(kind) => {
                server.authorizer.nodes.clear(kind);
                for object in objects {
                    self.tell(server, resource, &object, EventType::Added);
                }
            }
        }
    }

    /// Tells of an object that is new, has changed, or is gone.
    fn tell(self, server: &Server, resource: &Resource, object: &Object, event: EventType) {
        let (rbac, nodes) = (&server.authorizer.rbac, &server.authorizer.nodes);
        match (self, event) {
            (Self::Rbac(_), EventType::Deleted) => {
                if let Some(tree) = of(object, object.value()) {
                    rbac.delete(&tree);
                }
            }
            (Self::Rbac(_), EventType::Added | EventType::Modified) => {
                if let Some(tree) = of(object, object.value()) {
                    rbac.apply(&tree);
                }
            }
            (Self::Node(kind), EventType::Deleted) => nodes.delete(kind, object.namespace(), object.name()),
            (Self::Node(kind), EventType::Added | EventType::Modified) => {
                if self.cares_for(resource, object) {
                    of(object, nodes.apply(kind, object.as_bytes()));
                }
            }
        }
    }
}

/// What was read of an object, if it could be.
fn of<T>(object: &Object, read: serde_json::Result<T>) -> Option<T> {
    read.inspect_err(|error| tracing::error!(%error, key = object.key(), "unreadable object")).ok()
}

/// Tells an authoriser everything there is, and gives the watch of what comes.
fn begin(server: &Server, cache: &Arc<Cache>, authoriser: Authoriser) -> Option<Watch> {
    let (mut watch, revision) = cache.watch(WatchStart::Objects, Filter::default()).ok()?;
    authoriser.begin(server, &cache.resource, &mut watch);
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
            authoriser.tell(&server, &cache.resource, &event.object, event.event);
            server.roles_told.told(authoriser, event.object.revision());
        }
        next = begin(&server, &cache, authoriser);
    }
}
