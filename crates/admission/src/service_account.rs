//! ServiceAccount: every pod has one, and gets its token mounted.

use apimachinery::status::Status;
use apimachinery::{ObjectExt, names};
use serde_json::{Value, json};
use strategy::read::Read;
use strategy::write;

use crate::{Attributes, Awaited, Context, Operation, Plugin, Steps, View};

pub(crate) struct ServiceAccount;

const VOLUME_PREFIX: &str = "kube-api-access-";
const MOUNT_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// An hour and seven seconds: by the odd value the token's issuer knows that it may extend it.
const EXPIRATION_SECONDS: i64 = 3607;
/// The account that the controller manager makes in each namespace.
const DEFAULT: &str = "default";
const MIRROR: &str = "kubernetes.io/config.mirror";

impl Plugin for ServiceAccount {
    fn name(&self) -> &'static str {
        "ServiceAccount"
    }

    fn steps(&self) -> Steps {
        Steps::Both
    }

    fn handles(&self, operation: Operation) -> bool {
        operation == Operation::Create
    }

    fn awaits(&self, attributes: &Attributes, object: &Value, view: &dyn View) -> Option<Awaited> {
        let name = object["spec"].text("serviceAccountName");
        let wants_default = name.is_empty() || name == DEFAULT;
        if !attributes.is("", "pods") || is_mirror(object) || !wants_default {
            return None;
        }
        let namespace = view.get("", "namespaces", "", attributes.namespace)?;
        let is_coming = namespace.deletion_timestamp().is_none()
            && view.get("", "serviceaccounts", attributes.namespace, DEFAULT).is_none();
        is_coming.then(|| Awaited {
            group: "",
            resource: "serviceaccounts",
            namespace: attributes.namespace.to_owned(),
            name: DEFAULT.to_owned(),
        })
    }

    fn admit(&self, context: &mut Context, object: &mut Value) -> Result<(), Status> {
        let attributes = context.attributes;
        if !attributes.is("", "pods") || is_mirror(object) {
            return Ok(());
        }
        if object["spec"].text("serviceAccountName").is_empty() {
            let spec = write::ensure(object, "spec");
            write::set(spec, "serviceAccountName", DEFAULT);
            write::set(spec, "serviceAccount", DEFAULT);
        }
        let name = object["spec"].text("serviceAccountName").to_owned();
        let Some(account) = context.view.get("", "serviceaccounts", attributes.namespace, &name) else {
            return Err(missing(context, object, &name));
        };
        let wanted = object["spec"]
            .flag("automountServiceAccountToken")
            .or_else(|| account.flag("automountServiceAccountToken"))
            .unwrap_or(true);
        let spec = write::ensure(object, "spec");
        if wanted {
            mount_token(spec, attributes.random);
        }
        if spec.items("imagePullSecrets").is_empty() && !account.items("imagePullSecrets").is_empty() {
            write::copy(spec, "imagePullSecrets", &account);
        }
        Ok(())
    }

    fn validate(&self, context: &mut Context, object: &Value) -> Result<(), Status> {
        let attributes = context.attributes;
        if !attributes.is("", "pods") {
            return Ok(());
        }
        let spec = &object["spec"];
        let name = spec.text("serviceAccountName");
        if is_mirror(object) {
            if !name.is_empty() {
                return Err(attributes.forbidden(object, "a mirror pod may not reference service accounts"));
            }
            let token = |volume: &Value| {
                volume["projected"].items("sources").iter().any(|source| source.has("serviceAccountToken"))
            };
            if spec.items("volumes").iter().any(token) {
                let why = "a mirror pod may not use ServiceAccountToken volume projections";
                return Err(attributes.forbidden(object, why));
            }
            return Ok(());
        }
        if context.view.get("", "serviceaccounts", attributes.namespace, name).is_none() {
            return Err(missing(context, object, name));
        }
        Ok(())
    }
}

fn is_mirror(pod: &Value) -> bool {
    pod["metadata"]["annotations"].has(MIRROR)
}

fn missing(context: &Context, object: &Value, name: &str) -> Status {
    let namespace = context.attributes.namespace;
    context.attributes.forbidden(
        object,
        format!("error looking up service account {namespace}/{name}: serviceaccount {name:?} not found"),
    )
}

fn mount_token(spec: &mut Value, random: u64) {
    let existing = spec
        .items("volumes")
        .iter()
        .map(|volume| volume.text("name"))
        .find(|name| name.starts_with(VOLUME_PREFIX))
        .map(str::to_owned);
    let name = existing.clone().unwrap_or_else(|| names::generate_name(VOLUME_PREFIX, random));
    let mut mounted = false;
    for list in ["initContainers", "containers"] {
        for container in write::items(spec, list) {
            let taken =
                container.items("volumeMounts").iter().any(|mount| mount.text("mountPath") == MOUNT_PATH);
            if !taken {
                push(
                    container,
                    "volumeMounts",
                    json!({"name": name, "readOnly": true, "mountPath": MOUNT_PATH}),
                );
                mounted = true;
            }
        }
    }
    if mounted && existing.is_none() {
        push(spec, "volumes", token_volume(&name));
    }
}

fn push(object: &mut Value, list: &str, item: Value) {
    write::missing(object, list, json!([]));
    if let Some(Value::Array(items)) = object.get_mut(list) {
        items.push(item);
    }
}

fn token_volume(name: &str) -> Value {
    json!({
        "name": name,
        "projected": {
            "defaultMode": 0o644,
            "sources": [
                {"serviceAccountToken": {"expirationSeconds": EXPIRATION_SECONDS, "path": "token"}},
                {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
                {"downwardAPI": {"items": [{
                    "path": "namespace",
                    "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"},
                }]}},
            ],
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Cluster, Request};

    fn create(account: Value, pod: Value) -> Result<Value, Status> {
        let cluster = Cluster::new().with("", "serviceaccounts", account);
        Request::create("", "pods").named("web").inside("x").admit(&ServiceAccount, &cluster, pod)
    }

    fn account() -> Value {
        json!({"metadata": {"name": "default", "namespace": "x"}, "imagePullSecrets": [{"name": "s"}]})
    }

    #[test]
    fn the_token_is_mounted_into_every_container() {
        let pod = create(
            account(),
            json!({"spec": {"containers": [{"name": "c"}], "initContainers": [{"name": "i"}]}}),
        )
        .unwrap();
        let spec = &pod["spec"];
        assert_eq!(spec["serviceAccountName"], "default");
        assert_eq!(spec["imagePullSecrets"], json!([{"name": "s"}]));
        let name = spec["volumes"][0].text("name");
        assert_eq!(name.len(), VOLUME_PREFIX.len() + 5);
        assert_eq!(spec["volumes"].as_array().unwrap().len(), 1);
        for list in ["containers", "initContainers"] {
            assert_eq!(
                spec[list][0]["volumeMounts"],
                json!([{"name": name, "readOnly": true, "mountPath": MOUNT_PATH}])
            );
        }
        let again = create(account(), pod.clone()).unwrap();
        assert_eq!(again, pod);
    }

    #[test]
    fn pod_and_account_may_decline() {
        let spec = json!({"spec": {"containers": [{"name": "c"}], "automountServiceAccountToken": false}});
        assert!(create(account(), spec).unwrap()["spec"].get("volumes").is_none());
        let mut declining = account();
        declining["automountServiceAccountToken"] = json!(false);
        let pod = json!({"spec": {"containers": [{"name": "c"}]}});
        assert!(create(declining.clone(), pod).unwrap()["spec"].get("volumes").is_none());
        let insisting =
            json!({"spec": {"containers": [{"name": "c"}], "automountServiceAccountToken": true}});
        assert!(create(declining, insisting).unwrap()["spec"].get("volumes").is_some());
    }

    #[test]
    fn only_the_account_of_a_namespace_that_is_there_is_waited_for() {
        let namespace =
            |metadata: Value| Cluster::new().with("", "namespaces", json!({"metadata": metadata}));
        let waits = |cluster: Cluster, account: &str| {
            let pod = json!({"spec": {"serviceAccountName": account}});
            let (awaited, _) = Request::create("", "pods")
                .inside("x")
                .run(&cluster, |context| ServiceAccount.awaits(context.attributes, &pod, context.view));
            awaited.is_some()
        };
        let there = || namespace(json!({"name": "x"}));
        assert!(waits(there(), "") && waits(there(), "default"));
        assert!(!waits(there(), "robot"));
        assert!(!waits(there().with("", "serviceaccounts", account()), ""));
        assert!(!waits(Cluster::new(), ""));
        let going = json!({"name": "x", "deletionTimestamp": "2026-01-01T00:00:00Z"});
        assert!(!waits(namespace(going), ""));
    }

    #[test]
    fn the_account_must_exist() {
        let pod = json!({"spec": {"containers": [], "serviceAccountName": "robot"}});
        assert_eq!(
            create(account(), pod).unwrap_err().message,
            "pods \"web\" is forbidden: error looking up service account x/robot: serviceaccount \"robot\" not found"
        );
    }
}
