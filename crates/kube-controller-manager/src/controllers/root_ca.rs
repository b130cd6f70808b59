//! The authority's certificates in every namespace.
//!
//! Keeps true: every namespace that is not on its way out has the config map `kube-root-ca.crt`.
//! Woken by: changes of namespaces and of these config maps.
//! Reads: namespaces, config maps of that name, `--root-ca-file`. Writes: these config maps.
//! Gives up when: no `--root-ca-file` is given: then it does not start.

use std::sync::Arc;

use controller_runtime::Running;
use controller_runtime::api::path::{named_path, resource_path};
use controller_runtime::api::{Api, Error};
use controller_runtime::context::Context;
use controller_runtime::objects::{Namespace, resource};
use informer::{Key, Metadata, Object, Outcome, Store, Watch, WorkQueue, run_workers};
use serde::Deserialize;
use serde_json::{Value, json};

const NAME: &str = "kube-root-ca.crt";
/// The annotation, with upstream's words, which users read in `kubectl describe`.
const DESCRIPTION: (&str, &str) = (
    "kubernetes.io/description",
    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the \
     internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes \
     clusters.",
);

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct ConfigMap {
    metadata: Metadata,
    data: Value,
}

resource!(ConfigMap, "", "v1", "ConfigMap", "configmaps");

/// Starts the controller.
pub fn start(context: Context) -> Option<Running> {
    let path = context.options.root_ca_file.as_deref()?;
    let certificates = match std::fs::read_to_string(path) {
        Ok(certificates) => certificates,
        Err(error) => {
            tracing::error!(%error, path = %path.display(), "--root-ca-file cannot be read");
            return None;
        }
    };
    let watch = Watch::resource("", "v1", "configmaps", "").fields("metadata.name=kube-root-ca.crt");
    let shell = Arc::new(Shell {
        namespaces: context.stores.of(),
        config_maps: context.stores.watch(watch),
        queue: WorkQueue::new("root_ca_cert_publisher"),
        api: context.api.clone(),
        data: json!({"ca.crt": certificates}),
    });
    context.stores.close_at_shutdown(&shell.queue);
    let on_namespace = Arc::clone(&shell);
    shell.namespaces.on_change(move |change| on_namespace.queue.add(change.object().key()));
    let on_config_map = Arc::clone(&shell);
    shell
        .config_maps
        .on_change(move |change| on_config_map.queue.add(Key::new("", change.object().namespace())));
    Some(Box::pin(async move {
        shell.namespaces.ready().await;
        shell.config_maps.ready().await;
        run_workers("root-ca-certificate-publisher", &shell.queue, 1, |key| shell.reconcile(key)).await;
    }))
}

struct Shell {
    namespaces: Store<Namespace>,
    config_maps: Store<ConfigMap>,
    queue: WorkQueue<Key>,
    api: Api,
    data: Value,
}

impl Shell {
    async fn reconcile(&self, key: Key) -> Result<Outcome, Error> {
        let is_active = self.namespaces.get(key.as_str()).is_some_and(|namespace| namespace.is_active());
        if !is_active {
            return Ok(Outcome::Done);
        }
        let present = self.config_maps.find(key.name(), NAME);
        let mut metadata = json!({
            "name": NAME, "namespace": key.name(), "annotations": {DESCRIPTION.0: DESCRIPTION.1}});
        let written = match present {
            None => {
                let object = config_map(metadata, &self.data);
                self.api.create(&resource_path::<ConfigMap>(key.name()), &object).await
            }
            Some(present) => {
                let described = present.metadata.annotations.contains_key(DESCRIPTION.0);
                if present.data == self.data && described {
                    return Ok(Outcome::Done);
                }
                metadata["resourceVersion"] = present.metadata.resource_version.clone().into();
                metadata["labels"] = json!(present.metadata.labels);
                let object = config_map(metadata, &self.data);
                self.api.update(&named_path::<ConfigMap>(key.name(), NAME), &object).await
            }
        };
        match written {
            Err(error) if error.is_already_exists() || error.is_namespace_terminating() => Ok(Outcome::Done),
            Err(error) if error.is_not_found() => Ok(Outcome::Done),
            Err(error) => Err(error),
            Ok(_) => Ok(Outcome::Done),
        }
    }
}

fn config_map(metadata: Value, data: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})
}
