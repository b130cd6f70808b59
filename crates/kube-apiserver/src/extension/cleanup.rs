//! The end of a definition: first its objects, then itself.

use std::time::Duration;

use apimachinery::{ObjectExt as _, Status, time};
use kinds::custom_resource_definition::CLEANUP;
use serde_json::{Value, json};
use storage::{Change, Error, Filter, Query, WatchStart};

use super::{GROUP, PLURAL};
use crate::handlers::write;
use crate::refusal::Refusal;
use crate::registry::Entry;
use crate::server::Server;

/// How long to wait after a failure.
const RETRY: Duration = Duration::from_secs(1);

/// Deletes the objects of a definition, waits until their finalizers are done, and lets the definition go.
pub async fn clean(server: &Server, name: &str, entry: Option<&Entry>) {
    loop {
        let done = async {
            if let Some(entry) = entry {
                empty(server, entry).await?;
            }
            let_go(server, name).await
        };
        match done.await {
            Ok(()) => return,
            Err(status) => {
                tracing::warn!(definition = name, %status, "cannot delete the objects of a definition yet");
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

/// Deletes all objects and waits until none is left.
async fn empty(server: &Server, entry: &Entry) -> Result<(), Status> {
    let Ok((mut watch, _)) = entry.cache().watch(WatchStart::Objects, Filter::default()) else {
        return Err(Status::unavailable("the watch cache is not filled"));
    };
    loop {
        let mut present = Vec::new();
        entry.cache().visit(&Query::default(), |object| {
            present.push(object.key().to_owned());
            true
        });
        if present.is_empty() {
            return Ok(());
        }
        for key in &present {
            delete(server, entry, key).await?;
        }
        // Those that are held go when their finalizers are done.
        while watch.try_next().is_some() {}
        if !entry.cache().is_empty() && watch.next().await.is_none() {
            return Ok(());
        }
    }
}

async fn delete(server: &Server, entry: &Entry, key: &str) -> Result<(), Status> {
    let decide = |current: Option<&std::sync::Arc<storage::Object>>| -> Result<Change, Refusal> {
        let Some(current) = current else { return Ok(Change::Keep) };
        let mut object = current.value().map_err(Status::internal)?;
        if object.finalizers().next().is_none() {
            return Ok(Change::Delete);
        }
        if object.deletion_timestamp().is_some() {
            return Ok(Change::Keep);
        }
        object.set_at(&["metadata", "deletionTimestamp"], time::now_rfc3339().into());
        object.set_at(&["metadata", "deletionGracePeriodSeconds"], 0.into());
        Ok(Change::Write(write::stored_bytes(&mut object)))
    };
    match server.store.update::<Refusal, _>(entry.cache(), key, None, decide).await {
        Ok(_) => Ok(()),
        Err(refusal) => {
            let status = refusal.into_status(entry, key);
            if status.code == 404 { Ok(()) } else { Err(status) }
        }
    }
}

async fn let_go(server: &Server, name: &str) -> Result<(), Status> {
    let Some(entry) = server.registry.stored(GROUP, PLURAL) else { return Ok(()) };
    let result = server
        .store
        .update::<Refusal, _>(entry.cache(), name, None, |current| {
            let current = current.ok_or(Error::NotFound)?;
            let mut object = current.value().map_err(Status::internal)?;
            let left: Vec<Value> =
                object.finalizers().filter(|finalizer| *finalizer != CLEANUP).map(Value::from).collect();
            if left.is_empty() {
                return Ok(Change::Delete);
            }
            object.set_at(&["metadata", "finalizers"], json!(left));
            Ok(Change::Write(write::stored_bytes(&mut object)))
        })
        .await;
    match result.map_err(|refusal| refusal.into_status(&entry, name)) {
        Err(status) if status.code != 404 => Err(status),
        _ => Ok(()),
    }
}
