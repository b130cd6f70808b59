//! Mirror pods: the API's images of static pods.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use informer::Change;
use k8s_openapi::{
    api::core::v1::{Node, Pod},
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference},
};
use kube::{
    Api,
    api::{DeleteParams, PostParams, Preconditions},
};

use component::cause::whole;

use crate::{
    kubelet::Kubelet,
    pod::{self, HASH_ANNOTATION, MIRROR_ANNOTATION},
    pods::PodState,
};

/// For how long a mirror that someone else has deleted is gone at least.
const GONE_FOR: Duration = Duration::from_secs(2);

/// A mirror pod has appeared, changed or gone.
pub fn seen(kubelet: &Arc<Kubelet>, change: &Change<'_, Pod>) {
    match change {
        Change::Applied { new, .. } => settle(kubelet, new),
        Change::Deleted(mirror) => {
            let Some((own, state)) = kubelet.pods.static_pod(pod::namespace(mirror), pod::name(mirror))
            else {
                return;
            };
            *state.api_uid.lock() = None;
            match is_of(mirror, &own) {
                true => make_again(kubelet, Arc::clone(mirror), &state),
                // It made room for that of a changed manifest.
                false => ensure(kubelet, &own),
            }
        }
    }
}

/// Whether a mirror shows a static pod as its manifest is now.
fn is_of(mirror: &Pod, own: &Pod) -> bool {
    pod::annotation(own, HASH_ANNOTATION) == pod::annotation(mirror, MIRROR_ANNOTATION)
}

/// Makes the mirror anew that someone else has deleted, once they have had the time to see that it is gone: kubectl
/// asks for it by its name, and would wait for the end of the next one.
fn make_again(kubelet: &Arc<Kubelet>, mirror: Arc<Pod>, state: &PodState) {
    *state.mirror_due.lock() = Some(Instant::now() + GONE_FOR);
    let owner = Arc::clone(kubelet);
    kubelet.spawn(async move {
        tokio::time::sleep(GONE_FOR).await;
        if let Some((own, _)) = owner.pods.static_pod(pod::namespace(&mirror), pod::name(&mirror)) {
            ensure(&owner, &own);
        }
    });
}

/// Has a static pod show its status under its mirror's uid; a mirror of nothing, or of an older manifest, goes.
fn settle(kubelet: &Arc<Kubelet>, mirror: &Arc<Pod>) {
    let Some((own, state)) = kubelet.pods.static_pod(pod::namespace(mirror), pod::name(mirror)) else {
        // Before the manifests are read, nobody knows what it stands for.
        if *kubelet.manifests_read.borrow() {
            delete(kubelet, mirror);
        }
        return;
    };
    if !is_of(mirror, &own) || pod::is_deleting(mirror) {
        delete(kubelet, mirror);
        return;
    }
    let uid = Some(pod::uid(mirror).to_owned());
    let news = {
        let mut held = state.api_uid.lock();
        let news = *held != uid;
        *held = uid;
        news
    };
    if news {
        state.wake.notify_one();
        state.shown.notify_one();
    } else {
        state.compare(mirror);
    }
}

/// Makes a static pod's mirror where it has none.
pub fn ensure(kubelet: &Arc<Kubelet>, own: &Arc<Pod>) {
    let (Some(client), Some((_, state))) = (kubelet.client.clone(), kubelet.pods.by_uid(pod::uid(own)))
    else {
        return;
    };
    let too_early = state.mirror_due.lock().is_some_and(|due| due > Instant::now());
    if too_early || state.api_uid.lock().is_some() {
        return;
    }
    let (kubelet, own) = (Arc::clone(kubelet), Arc::clone(own));
    let spawner = Arc::clone(&kubelet);
    spawner.spawn(async move {
        let owner = match Api::<Node>::all(client.clone()).get_opt(&kubelet.settings.node_name).await {
            Ok(Some(node)) => node.metadata.uid,
            // The node registers soon; the mirror is tried again then.
            _ => return,
        };
        let mirror = mirror(&own, &kubelet.settings.node_name, owner);
        let pods: Api<Pod> = Api::namespaced(client, pod::namespace(&own));
        match pods.create(&PostParams::default(), &mirror).await {
            Ok(_) => {}
            // It was there before this kubelet was started.
            Err(kube::Error::Api(status)) if status.code == 409 => {
                if let Ok(Some(mirror)) = pods.get_opt(pod::name(&own)).await
                    && pod::is_mirror(&mirror)
                {
                    settle(&kubelet, &Arc::new(mirror));
                }
            }
            Err(error) => {
                tracing::warn!(pod = pod::name(&own), error = whole(&error), "cannot create a mirror pod")
            }
        }
    });
}

/// Removes the mirror of a static pod whose manifest is gone.
pub fn remove(kubelet: &Arc<Kubelet>, own: &Arc<Pod>) {
    if let Some(client) = kubelet.client.clone() {
        let own = Arc::clone(own);
        kubelet.spawn(async move {
            let pods: Api<Pod> = Api::namespaced(client, pod::namespace(&own));
            if let Ok(Some(mirror)) = pods.get_opt(pod::name(&own)).await
                && pod::is_mirror(&mirror)
            {
                let _ = pods.delete(pod::name(&own), &DeleteParams::default().grace_period(0)).await;
            }
        });
    }
}

fn delete(kubelet: &Arc<Kubelet>, mirror: &Arc<Pod>) {
    let Some(client) = kubelet.client.clone() else { return };
    let mirror = Arc::clone(mirror);
    kubelet.spawn(async move {
        let pods: Api<Pod> = Api::namespaced(client, pod::namespace(&mirror));
        let params = DeleteParams {
            grace_period_seconds: Some(0),
            preconditions: Some(Preconditions { uid: mirror.metadata.uid.clone(), resource_version: None }),
            ..DeleteParams::default()
        };
        if let Err(error) = pods.delete(pod::name(&mirror), &params).await {
            tracing::debug!(pod = pod::name(&mirror), %error, "cannot delete a mirror pod");
        }
    });
}

fn mirror(own: &Pod, node: &str, node_uid: Option<String>) -> Pod {
    let hash = pod::annotation(own, HASH_ANNOTATION).unwrap_or_default().to_owned();
    let mut annotations = own.metadata.annotations.clone().unwrap_or_default();
    annotations.insert(MIRROR_ANNOTATION.to_owned(), hash);
    Pod {
        metadata: ObjectMeta {
            name: own.metadata.name.clone(),
            namespace: own.metadata.namespace.clone(),
            labels: own.metadata.labels.clone(),
            annotations: Some(annotations),
            owner_references: node_uid.map(|uid| {
                vec![OwnerReference {
                    api_version: "v1".into(),
                    kind: "Node".into(),
                    name: node.to_owned(),
                    uid,
                    controller: Some(true),
                    ..OwnerReference::default()
                }]
            }),
            ..ObjectMeta::default()
        },
        spec: own.spec.clone(),
        status: None,
    }
}
