//! What a cluster has from the start: namespaces, roles, priority classes, the Service `kubernetes`.

mod authentication;
mod classes;
mod namespaces;
mod roles;
mod service;

use std::sync::Arc;

use apimachinery::{ObjectExt, Status};
use serde_json::Value;

pub use self::authentication::Authentication;
pub use self::namespaces::provide as provide_namespace;
use crate::handlers::{create, write};
use crate::refusal::Refusal;
use crate::server::Server;
use crate::{flow, legacy_tokens};

/// The steps, as `/readyz` names them.
pub const HOOKS: [&str; 7] = [
    "start-system-namespaces-controller",
    "rbac/bootstrap-roles",
    "scheduling/bootstrap-system-priority-classes",
    "start-cluster-authentication-info-controller",
    "bootstrap-controller",
    "priority-and-fairness-config-producer",
    "start-legacy-token-tracking-controller",
];

/// Makes everything that is missing. Runs again until all of it is there: etcd may be away.
pub async fn run(server: &Arc<Server>, authentication: &Authentication) {
    until_done(server, HOOKS[0], || namespaces::ensure(server)).await;
    tokio::join!(
        until_done(server, HOOKS[1], || roles::ensure(server)),
        until_done(server, HOOKS[2], || classes::ensure(server)),
        until_done(server, HOOKS[3], || authentication.ensure(server)),
        until_done(server, HOOKS[4], || service::ensure(server)),
        until_done(server, HOOKS[5], || flow::ensure(server)),
        until_done(server, HOOKS[6], || legacy_tokens::ensure(server)),
    );
}

async fn until_done<F>(server: &Server, hook: &'static str, step: impl Fn() -> F)
where
    F: Future<Output = Result<(), Status>>,
{
    let mut pause = std::time::Duration::from_millis(100);
    while let Err(status) = step().await {
        tracing::warn!(hook, %status, "cannot make what a cluster starts with, trying again in {pause:?}");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(std::time::Duration::from_secs(5));
    }
    server.health.done(hook);
}

/// Creates an object unless there is one of its name. Says whether it was created.
pub async fn create_missing(
    server: &Server,
    group: &str,
    plural: &str,
    mut object: Value,
) -> Result<bool, Status> {
    let entry = server.registry.stored(group, plural).ok_or_else(Status::no_such_resource)?;
    let key = entry.key(object.namespace(), object.name());
    if entry.cache().get(&key).is_some() {
        return Ok(false);
    }
    create::fill_system_fields(&mut object);
    entry.strategy.default(&mut object);
    let errors = kinds::create(&*entry.strategy, entry.row.namespaced, &mut object);
    if !errors.is_empty() {
        return Err(Status::invalid(group, &entry.row.kind, object.name(), errors));
    }
    let stored = write::stored_bytes(&mut object);
    match server.store.create(entry.cache(), &key, stored, None).await {
        Ok(_) => Ok(true),
        Err(storage::Error::Exists) => Ok(false),
        Err(error) => Err(crate::refusal::of_object(error, &entry, object.name())),
    }
}

/// Changes an object that is there by a function; gives `None` when it likes it as it is.
pub async fn change(
    server: &Server,
    group: &str,
    plural: &str,
    key: &str,
    mut wanted: impl FnMut(&Value) -> Option<Value>,
) -> Result<(), Status> {
    let entry = server.registry.stored(group, plural).ok_or_else(Status::no_such_resource)?;
    let result = server
        .store
        .update::<Refusal, _>(entry.cache(), key, None, |current| {
            let current = current.ok_or(storage::Error::NotFound)?;
            let old = current.value().map_err(Status::internal)?;
            let Some(mut new) = wanted(&old) else { return Ok(storage::Change::Keep) };
            Ok(storage::Change::Write(write::stored_bytes(&mut new)))
        })
        .await;
    result.map(drop).map_err(|refusal| refusal.into_status(&entry, key))
}
