//! Resource quotas.
//!
//! Keeps true: a quota's status says what the objects of its namespace use of it.
//! Woken by: changes of quotas, and of objects that quotas count.
//! Reads: quotas; of what quotas count, the parts that count. Writes: the status of quotas.
//! Gives up when: never; what the server does not serve counts for nothing.

mod objects;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use admission::quota;
use controller_runtime::Running;
use controller_runtime::api::Error;
use controller_runtime::api::path::path_of;
use controller_runtime::context::Context;
use informer::{Change, Key, Object as _, Outcome, Store, Watch, WorkQueue, follow, run_workers};
use jiff::Timestamp;
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::discovery::{Discovered, discover};
use objects::{Counted, ResourceQuota};

/// How long changes of a namespace's objects gather before its quotas are counted: a rollout is counted a few times,
/// and not once for each pod.
const GATHER: Duration = Duration::from_millis(200);
/// For how long a quota that was just charged is not lowered. The server charges a quota before it writes the object:
/// until that is seen here, the count is short of it, and what was charged would be given away a second time.
const UNSEEN: Duration = Duration::from_secs(1);
/// After which time the server may serve what it did not serve before.
const ASK_AGAIN: Duration = Duration::from_secs(300);
/// How long a new watch may take to show everything.
const FIRST_LIST: Duration = Duration::from_secs(30);
/// What quotas count by names of their own; everything else by `count/<resource>.<group>`.
const NAMED: [&str; 7] = [
    "pods",
    "services",
    "persistentvolumeclaims",
    "configmaps",
    "secrets",
    "replicationcontrollers",
    "resourcequotas",
];
/// Of these the contents count, of all others only that they are there.
const WHOLE: [(&str, &str); 4] =
    [("", "pods"), ("", "services"), ("", "persistentvolumeclaims"), ("resource.k8s.io", "resourceclaims")];

/// A group and a resource of it.
type Kind = (String, String);

/// Starts the controller.
pub fn start(context: Context) -> Option<Running> {
    let workers = context.options.concurrency.resource_quotas;
    let shell = Arc::new(Shell {
        quotas: context.stores.of(),
        changed: Mutex::default(),
        counted: Mutex::default(),
        unserved: Mutex::default(),
        queue: WorkQueue::new("resourcequota_primary"),
        context,
    });
    shell.context.stores.close_at_shutdown(&shell.queue);
    let on_quota = Arc::clone(&shell);
    shell.quotas.on_change(move |change| {
        let key = change.object().key();
        let mut changed = on_quota.changed.lock();
        match change {
            Change::Applied { .. } => changed.insert(key.clone(), Instant::now()),
            Change::Deleted(_) => changed.remove(&key),
        };
        on_quota.queue.add(key);
    });
    Some(Box::pin(async move {
        shell.quotas.ready().await;
        run_workers("resourcequota", &shell.queue, workers, |key| reconcile(&shell, key)).await;
    }))
}

struct Shell {
    context: Context,
    quotas: Store<ResourceQuota>,
    /// When each quota last changed.
    changed: Mutex<HashMap<Key, Instant>>,
    /// What some quota counts, each watched from the first quota on that does: as many as the API has resources.
    counted: Mutex<HashMap<Kind, Store<Counted>>>,
    /// What the server did not serve, and when it was asked: not for each change anew.
    unserved: Mutex<HashMap<Kind, Instant>>,
    queue: WorkQueue<Key>,
}

async fn reconcile(shell: &Arc<Shell>, key: Key) -> Result<Outcome, Error> {
    let Some(quota) = shell.quotas.get(key.as_str()).filter(|quota| !quota.metadata.is_deleting()) else {
        return Ok(Outcome::Done);
    };
    let mut objects = Vec::new();
    for kind in kinds(&quota.whole) {
        let Some(store) = shell.store(kind.clone()).await? else { continue };
        if tokio::time::timeout(FIRST_LIST, store.ready()).await.is_err() {
            return Ok(Outcome::Again);
        }
        objects.push((kind, store.in_namespace(key.namespace())));
    }
    let parts = objects.iter().flat_map(|((group, resource), objects)| {
        objects.iter().map(move |object| (group.as_str(), resource.as_str(), &object.parts))
    });
    let now = Timestamp::now();
    let status = json!({"hard": quota.whole["spec"]["hard"], "used": quota::count(&quota.whole, parts, now)});
    if quota.whole["status"] == status {
        let pods = objects.iter().filter(|(kind, _)| kind.0.is_empty() && kind.1 == "pods");
        let pods = pods.flat_map(|(_, pods)| pods.iter().map(|pod| &pod.parts));
        let pause = quota::count_again(pods, now).and_then(|end| end.duration_since(now).try_into().ok());
        // A moment later, that pod takes no room.
        return Ok(pause.map_or(Outcome::Done, |pause: Duration| Outcome::After(pause + GATHER)));
    }
    let since_change = shell.changed.lock().get(&key).map(Instant::elapsed).unwrap_or_default();
    if since_change < UNSEEN && quota::is_lower(&status["used"], &quota.whole["status"]["used"]) {
        return Ok(Outcome::After(UNSEEN - since_change));
    }
    // The store holds quotas whole: the role of this controller has no right to read a single one.
    let mut changed = quota.whole.clone();
    changed["status"] = status;
    // The change of the status brings the quota here again.
    match shell.context.api.update(&format!("{}/status", path_of(&*quota)), &changed).await {
        Err(error) if !error.is_not_found() => Err(error),
        _ => Ok(Outcome::Done),
    }
}

/// Returns what a quota counts.
fn kinds(quota: &Value) -> Vec<Kind> {
    let named = NAMED.into_iter().filter(|resource| quota::concerns(quota, "", resource));
    let mut kinds: Vec<Kind> = named.map(|resource| (String::new(), resource.to_owned())).collect();
    for name in quota["spec"]["hard"].as_object().into_iter().flat_map(|hard| hard.keys()) {
        let kind = match name.strip_prefix("count/") {
            Some(counted) => {
                counted.split_once('.').map_or((counted, ""), |(resource, group)| (resource, group))
            }
            None if quota::concerns_claims(name) => ("resourceclaims", "resource.k8s.io"),
            None => continue,
        };
        let kind = (kind.1.to_owned(), kind.0.to_owned());
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    kinds
}

impl Shell {
    /// Returns the store of what a quota counts, watched from now on; none if the server does not serve it.
    async fn store(self: &Arc<Self>, kind: Kind) -> Result<Option<Store<Counted>>, Error> {
        if let Some(store) = self.counted.lock().get(&kind) {
            return Ok(Some(store.clone()));
        }
        let (group, resource) = &kind;
        if self.unserved.lock().get(&kind).is_some_and(|asked| asked.elapsed() < ASK_AGAIN) {
            return Ok(None);
        }
        let version = if group.is_empty() {
            "v1".to_owned()
        } else {
            match version(&discover(&self.context.api).await?, &kind) {
                Some(version) => version,
                None => {
                    let mut unserved = self.unserved.lock();
                    unserved.retain(|_, asked| asked.elapsed() < ASK_AGAIN);
                    unserved.insert(kind, Instant::now());
                    return Ok(None);
                }
            }
        };
        let mut watch = Watch::resource(group, &version, resource, "");
        if !WHOLE.contains(&(group.as_str(), resource.as_str())) {
            watch = watch.metadata_only();
        }
        let mut counted = self.counted.lock();
        if let Some(store) = counted.get(&kind) {
            return Ok(Some(store.clone()));
        }
        let store = Store::<Counted>::new();
        let shell = Arc::clone(self);
        store.on_change(move |change| {
            for quota in shell.quotas.in_namespace(change.object().namespace()) {
                shell.queue.add_after(quota.key(), GATHER);
            }
        });
        follow(self.context.stores.runtime(), self.context.stores.client(), watch, store.clone());
        counted.insert(kind, store.clone());
        Ok(Some(store))
    }
}

fn version(discovered: &Discovered, (group, resource): &Kind) -> Option<String> {
    let served = discovered.resources.iter();
    let mut served = served.filter(|one| one.namespaced && one.can(&["list", "watch"]));
    served.find(|one| one.group == *group && one.plural == *resource).map(|one| one.version.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_quota_names_is_watched() {
        let kinds = |hard: Value| -> Vec<String> {
            let kinds = kinds(&json!({"spec": {"hard": hard}}));
            kinds.into_iter().map(|(group, resource)| format!("{resource}.{group}")).collect()
        };
        assert_eq!(kinds(json!({"requests.cpu": "1", "limits.memory": "1Gi"})), ["pods."]);
        assert_eq!(kinds(json!({"services.nodeports": "1", "count/services": "2"})), ["services."]);
        assert_eq!(kinds(json!({"count/deployments.apps": "1"})), ["deployments.apps"]);
        assert_eq!(
            kinds(json!({"gold.storageclass.storage.k8s.io/requests.storage": "1Gi"})),
            ["persistentvolumeclaims."]
        );
        assert_eq!(
            kinds(json!({"gpu.deviceclass.resource.k8s.io/devices": "1"})),
            ["resourceclaims.resource.k8s.io"]
        );
        assert!(kinds(json!({})).is_empty());
    }
}
