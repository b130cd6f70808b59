//! The default roles and bindings, brought up to date without taking away what an operator added.

use apimachinery::{ObjectExt, Status};
use authz::bootstrap::{self, Change};
use futures::StreamExt;
use serde_json::Value;

use super::{change, create_missing};
use crate::server::Server;

const GROUP: &str = "rbac.authorization.k8s.io";
/// How many are written at the same time: the first start writes some two hundred.
const AT_ONCE: usize = 32;

/// Makes and mends them.
pub(super) async fn ensure(server: &Server) -> Result<(), Status> {
    if !server.authorizer.has(authz::Mode::Rbac) {
        return Ok(());
    }
    let all = [
        ("clusterroles", bootstrap::cluster_roles()),
        ("clusterrolebindings", bootstrap::cluster_role_bindings()),
        ("roles", bootstrap::roles()),
        ("rolebindings", bootstrap::role_bindings()),
    ];
    for (plural, objects) in all {
        let mut writes = futures::stream::iter(objects)
            .map(|object| ensure_one(server, plural, object))
            .buffer_unordered(AT_ONCE);
        while let Some(result) = writes.next().await {
            result?;
        }
    }
    // Whoever is let in after this has its roles.
    tokio::select! {
        () = server.roles_told.caught_up(&server.registry) => {}
        // Nobody is told anything any more.
        () = server.stop.cancelled() => {}
    }
    Ok(())
}

async fn ensure_one(server: &Server, plural: &str, expected: Value) -> Result<(), Status> {
    let entry = server.registry.stored(GROUP, plural).ok_or_else(Status::no_such_resource)?;
    let key = entry.key(expected.namespace(), expected.name());
    let existing = match entry.cache().get(&key) {
        Some(object) => Some(object.value().map_err(Status::internal)?),
        None => None,
    };
    match bootstrap::reconcile(existing.as_ref(), &expected) {
        Change::None => Ok(()),
        Change::Create(object) => create_missing(server, GROUP, plural, object).await.map(|_| ()),
        Change::Update(_) => {
            change(server, GROUP, plural, &key, |current| {
                match bootstrap::reconcile(Some(current), &expected) {
                    Change::Update(updated) => Some(updated),
                    _ => None,
                }
            })
            .await
        }
        Change::Recreate(object) => {
            server
                .store
                .update::<storage::Error, _>(entry.cache(), &key, None, |_| Ok(storage::Change::Delete))
                .await
                .map_err(|error| crate::refusal::of_object(error, &entry, &key))?;
            create_missing(server, GROUP, plural, object).await.map(|_| ())
        }
    }
}
