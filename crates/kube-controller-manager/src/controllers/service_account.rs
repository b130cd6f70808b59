//! The service account `default` of every namespace.
//!
//! Keeps true: every namespace that is not on its way out has a service account named `default`.
//! Woken by: changes of namespaces, the deletion of such an account.
//! Reads: namespaces, service accounts named `default`. Writes: creates service accounts.
//! Gives up when: the namespace goes.

use std::sync::Arc;

use controller_runtime::Running;
use controller_runtime::api::{Api, Error};
use controller_runtime::context::Context;
use controller_runtime::objects::Namespace;
use informer::{Change, Key, Object, Outcome, PartialObject, Store, Watch, WorkQueue, run_workers};
use serde_json::json;

const NAME: &str = "default";

/// Starts the controller.
pub fn start(context: Context) -> Option<Running> {
    let accounts =
        Watch::resource("", "v1", "serviceaccounts", "").fields("metadata.name=default").metadata_only();
    let shell = Arc::new(Shell {
        namespaces: context.stores.of(),
        accounts: context.stores.watch(accounts),
        queue: WorkQueue::new("serviceaccount"),
        api: context.api.clone(),
    });
    context.stores.close_at_shutdown(&shell.queue);
    let on_namespace = Arc::clone(&shell);
    shell.namespaces.on_change(move |change| on_namespace.queue.add(change.object().key()));
    let on_account = Arc::clone(&shell);
    shell.accounts.on_change(move |change| {
        if let Change::Deleted(account) = change {
            on_account.queue.add(Key::new("", account.namespace()));
        }
    });
    Some(Box::pin(async move {
        shell.namespaces.ready().await;
        shell.accounts.ready().await;
        run_workers("serviceaccount", &shell.queue, 1, |key| shell.reconcile(key)).await;
    }))
}

struct Shell {
    namespaces: Store<Namespace>,
    accounts: Store<PartialObject>,
    queue: WorkQueue<Key>,
    api: Api,
}

impl Shell {
    async fn reconcile(&self, key: Key) -> Result<Outcome, Error> {
        let is_active = self.namespaces.get(key.as_str()).is_some_and(|namespace| namespace.is_active());
        if !is_active || self.accounts.find(key.name(), NAME).is_some() {
            return Ok(Outcome::Done);
        }
        let account = json!({"apiVersion": "v1", "kind": "ServiceAccount",
            "metadata": {"name": NAME, "namespace": key.name()}});
        match self.api.create(&format!("/api/v1/namespaces/{key}/serviceaccounts"), &account).await {
            Err(error) if error.is_already_exists() || error.is_namespace_terminating() => Ok(Outcome::Done),
            Err(error) if error.is_not_found() => Ok(Outcome::Done),
            Err(error) => Err(error),
            Ok(_) => Ok(Outcome::Done),
        }
    }
}
