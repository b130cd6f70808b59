//! Where pods come from: the API server and a folder of manifests; and what the runtime still holds of others.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use cri::ContainerChange;
use futures::StreamExt;
use informer::{Change, Store, Watch, reflect};
use k8s_openapi::{
    api::core::v1::{Pod, PodSpec, Service},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::Client;

use crate::{kubelet::Kubelet, observed::label, pod, volume};

pub mod manifest;
pub mod mirror;

/// How often leftovers of unknown pods are looked for; also the safety net under missed events.
const SWEEP: Duration = Duration::from_secs(60);

/// Watches this node's pods and all services; runs until shutdown.
pub async fn watch_pods(kubelet: Arc<Kubelet>, client: Client, pods: Store<Pod>) -> anyhow::Result<()> {
    let shutdown = kubelet.process.shutdown();
    let set = Arc::clone(&kubelet);
    pods.on_change(move |change| {
        let pod = change.object();
        if pod::is_mirror(pod) {
            mirror::seen(&set, change);
            return;
        }
        match change {
            Change::Applied { new, .. } => set.pods.apply(Arc::clone(new)),
            Change::Deleted(last) => set.pods.remove(Arc::clone(last)),
        }
    });
    let selector = format!("spec.nodeName={}", kubelet.settings.node_name);
    let watch = reflect(client.clone(), Watch::all::<Pod>().fields(&selector), pods);
    let services = reflect(client, Watch::all::<Service>(), kubelet.services.clone());
    tokio::select! {
        () = async { tokio::join!(watch, services); } => Ok(()),
        () = shutdown.cancelled() => Ok(()),
    }
}

/// Follows the runtime's events; runs until shutdown.
pub async fn follow_runtime(kubelet: Arc<Kubelet>) -> anyhow::Result<()> {
    let shutdown = kubelet.process.shutdown();
    let follow = async {
        loop {
            match kubelet.runtime.events().await {
                Ok(mut events) => {
                    // What happened before this subscription is found by looking.
                    kubelet.pods.wake_all();
                    while let Some(Ok(event)) = events.next().await {
                        match event.change {
                            ContainerChange::Stopped | ContainerChange::Deleted => {
                                kubelet.pods.container_ended(&event.container_id);
                            }
                            // Who started it knows; and an out-of-memory kill ends the container as well.
                            ContainerChange::Created
                            | ContainerChange::Started
                            | ContainerChange::OutOfMemory => {}
                        }
                    }
                    tracing::warn!("the runtime's events have ended");
                }
                Err(error) => tracing::warn!(%error, "cannot follow the runtime's events"),
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    tokio::select! {
        () = follow => Ok(()),
        () = shutdown.cancelled() => Ok(()),
    }
}

/// Ends what the runtime holds of pods that no source knows, and removes their folders and cgroups; runs until
/// shutdown. Begins once every source has told all it has.
pub async fn sweep(kubelet: Arc<Kubelet>, pods: Option<Store<Pod>>) -> anyhow::Result<()> {
    let shutdown = kubelet.process.shutdown();
    let work = async {
        if let Some(pods) = &pods {
            pods.ready().await;
        }
        let mut manifests_read = kubelet.manifests_read.subscribe();
        if manifests_read.wait_for(|read| *read).await.is_err() {
            return;
        }
        loop {
            if let Err(error) = sweep_once(&kubelet, pods.as_ref()).await {
                tracing::warn!(%error, "cannot look for leftovers");
            }
            tokio::time::sleep(SWEEP).await;
        }
    };
    tokio::select! {
        () = work => Ok(()),
        () = shutdown.cancelled() => Ok(()),
    }
}

async fn sweep_once(kubelet: &Arc<Kubelet>, pods: Option<&Store<Pod>>) -> anyhow::Result<()> {
    let known = |uid: &str| {
        kubelet.pods.contains(uid)
            || pods.is_some_and(|pods| pods.list().iter().any(|pod| pod::uid(pod) == uid))
    };
    for sandbox in kubelet.runtime.list_pod_sandboxes(BTreeMap::new()).await? {
        let Some(metadata) = sandbox.metadata else { continue };
        // Sandboxes of somebody else carry no such label.
        if sandbox.labels.get(label::POD_UID) != Some(&metadata.uid) || known(&metadata.uid) {
            continue;
        }
        tracing::info!(pod = metadata.name, namespace = metadata.namespace, "ending a pod that is gone");
        kubelet.pods.end_orphan(Arc::new(Pod {
            metadata: ObjectMeta {
                name: Some(metadata.name),
                namespace: Some(metadata.namespace),
                uid: Some(metadata.uid),
                ..ObjectMeta::default()
            },
            spec: Some(PodSpec::default()),
            status: None,
        }));
    }
    let folder = kubelet.settings.root_dir.join("pods");
    let folders = volume::blocking(move || {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        Ok(entries.filter_map(|entry| entry.file_name().into_string().ok()).collect::<Vec<_>>())
    })
    .await?;
    for uid in folders.iter().filter(|uid| !known(uid)) {
        if let Err(error) = volume::tear_down(&kubelet.settings, &kubelet.csi, uid).await {
            tracing::warn!(uid, %error, "cannot remove a leftover pod folder");
        }
    }
    if let Err(error) = kubelet.csi.sweep().await {
        tracing::warn!(%error, "cannot take a leftover volume from the node");
    }
    if let Some(cgroups) = kubelet.cgroups.clone() {
        use podrules::requests::QosClass;
        for class in [QosClass::Guaranteed, QosClass::Burstable, QosClass::BestEffort] {
            let parent = kubelet.qos_cgroup(class);
            for child in cgroups.children(&parent) {
                let Some(uid) = child.strip_prefix("pod").filter(|uid| !known(uid)) else { continue };
                let (cgroups, path) = (cgroups.clone(), format!("{parent}/pod{uid}"));
                if let Err(error) = volume::blocking(move || Ok(cgroups.remove(&path)?)).await {
                    tracing::warn!(uid, %error, "cannot remove a leftover cgroup");
                }
            }
        }
    }
    Ok(())
}
