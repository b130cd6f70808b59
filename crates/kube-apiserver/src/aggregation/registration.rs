//! Follows the APIServices: a keeper for each that another server serves, a condition for each of this server's own.
//!
//! Keeps true: every group that is served has an APIService; those with a Service have a backend and a keeper.
//! Woken by: changes of APIServices. Reads: them. Writes: APIServices of its own groups at start, `Local`
//! conditions. Gives up when: the server stops.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use apimachinery::{ObjectExt as _, Status, time};
use serde_json::Value;
use storage::{Change, EventType, Filter, Query, WatchStart};
use tokio::task::{AbortHandle, JoinSet};

use super::availability::Verdict;
use super::{Backend, GROUP, PLURAL, keeper, local};
use crate::bootstrap::change;
use crate::handlers::{create, write};
use crate::server::Server;

/// The keepers under way; all end with this.
#[derive(Default)]
struct Keepers {
    /// By their APIServices' names.
    of: HashMap<String, (Arc<Backend>, AbortHandle)>,
    tasks: JoinSet<()>,
}

/// Runs until the server stops.
pub async fn run(server: Arc<Server>) {
    register(&server).await;
    let Some(entry) = server.registry.stored(GROUP, PLURAL) else {
        // Turned off by --runtime-config: nothing is aggregated.
        return std::future::pending().await;
    };
    let mut keepers = Keepers::default();
    loop {
        let Ok((mut watch, _)) = entry.cache().watch(WatchStart::Objects, Filter::default()) else {
            tokio::time::sleep(Duration::from_secs(1)).await;
            continue;
        };
        let mut present = Vec::new();
        while let Some(event) = watch.next_first() {
            present.push(event.object.name().to_owned());
            if let Ok(object) = event.object.value() {
                apply(&server, &mut keepers, &object).await;
            }
        }
        let gone: Vec<String> = keepers.of.keys().filter(|name| !present.contains(name)).cloned().collect();
        for name in gone {
            forget(&server, &mut keepers, &name);
        }
        loop {
            let event = tokio::select! {
                event = watch.next() => event,
                Some(ended) = keepers.tasks.join_next() => {
                    // A keeper that was taken out is cancelled; one that panics ends the server as any task does.
                    if let Err(error) = ended && error.is_panic() {
                        std::panic::resume_unwind(error.into_panic());
                    }
                    continue;
                }
            };
            let Some(event) = event else { break };
            match (event.event, event.object.value()) {
                (EventType::Deleted, _) => forget(&server, &mut keepers, event.object.name()),
                (_, Ok(object)) => apply(&server, &mut keepers, &object).await,
                (_, Err(error)) => tracing::error!(%error, key = event.object.key(), "unreadable object"),
            }
        }
    }
}

async fn apply(server: &Arc<Server>, keepers: &mut Keepers, object: &Value) {
    let name = object.name();
    if object.at(&["spec", "service"]).is_none_or(Value::is_null) {
        forget(server, keepers, name);
        let now = time::now_rfc3339();
        if Verdict::local().apply(object, &now).is_some()
            && let Err(status) =
                change(server, GROUP, PLURAL, name, |old| Verdict::local().apply(old, &now)).await
            && status.code != 404
        {
            tracing::warn!(api_service = name, %status, "cannot write the condition Available");
        }
        return;
    }
    let spec = &object["spec"];
    if keepers.of.get(name).is_some_and(|(backend, _)| backend.spec == *spec) {
        return;
    }
    forget(server, keepers, name);
    let backend = Arc::new(server.aggregation.backend(name, spec));
    let handle = keepers.tasks.spawn(keeper::keep(server.clone(), backend.clone()));
    keepers.of.insert(name.to_owned(), (backend, handle));
    publish(server, keepers);
}

fn forget(server: &Server, keepers: &mut Keepers, name: &str) {
    if let Some((_, keeper)) = keepers.of.remove(name) {
        keeper.abort();
        publish(server, keepers);
    }
}

fn publish(server: &Server, keepers: &Keepers) {
    let backends = keepers.of.values().map(|(backend, _)| backend.clone()).collect();
    server.aggregation.backends.store(Arc::new(backends));
    server.documents.set_remote(server.aggregation.groups());
}

/// Makes the APIServices of what this server serves itself.
async fn register(server: &Server) {
    let entries = server.registry.all();
    let objects = local::objects(entries.iter().map(|entry| &entry.row), &time::now_rfc3339());
    let mut pause = Duration::from_millis(100);
    loop {
        let created = objects.iter().map(|object| create_missing(server, object.clone()));
        let created = futures::future::join_all(created).await.into_iter().find_map(Result::err);
        let failed = match created {
            Some(status) => Some(status),
            None => remove_unserved(server, "onstart", &objects).await.err(),
        };
        let Some(status) = failed else { return };
        tracing::warn!(%status, "cannot register the server's own APIServices, trying again in {pause:?}");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(5));
    }
}

/// Makes the APIServices of what definitions of custom resources declare, and removes those of what they do not.
pub async fn register_custom(server: &Server, served: &BTreeSet<(String, String)>) -> Result<(), Status> {
    let now = time::now_rfc3339();
    let of = |(group, version): &(String, String)| local::of_definitions(group, version, &now);
    let objects: Vec<Value> = served.iter().map(of).collect();
    for object in &objects {
        create_missing(server, object.clone()).await?;
    }
    remove_unserved(server, "true", &objects).await
}

/// Removes what was registered with a mark and is not served.
async fn remove_unserved(server: &Server, mark: &str, served: &[Value]) -> Result<(), Status> {
    let Some(entry) = server.registry.stored(GROUP, PLURAL) else { return Ok(()) };
    let mut unserved = Vec::new();
    entry.cache().visit(&Query::default(), |object| {
        let own = object.label(local::AUTOMANAGED) == Some(mark);
        if own && !served.iter().any(|served| served.name() == object.name()) {
            unserved.push(object.name().to_owned());
        }
        true
    });
    for name in unserved {
        let removed = server
            .store
            .update::<storage::Error, _>(entry.cache(), &name, None, |_| Ok(Change::Delete))
            .await;
        match removed {
            Ok(_) | Err(storage::Error::NotFound) => {}
            Err(error) => return Err(crate::refusal::of_object(error, &entry, &name)),
        }
    }
    Ok(())
}

/// Creates an APIService with its condition in one write.
async fn create_missing(server: &Server, mut object: Value) -> Result<(), Status> {
    let Some(entry) = server.registry.stored(GROUP, PLURAL) else { return Ok(()) };
    let name = object.name().to_owned();
    if entry.cache().get(&name).is_some() {
        return Ok(());
    }
    create::fill_system_fields(&mut object);
    let stored = write::stored_bytes(&mut object);
    match server.store.create(entry.cache(), &name, stored, None).await {
        Ok(_) | Err(storage::Error::Exists) => Ok(()),
        Err(error) => Err(crate::refusal::of_object(error, &entry, &name)),
    }
}
