//! The `kube` crate: objects, apply, watchers, a reflector, a controller, exec, attach, ports, logs.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use cluster_tests::{Cluster, PATIENCE};
use futures::{AsyncBufReadExt as _, StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod, ServiceAccount};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{
    AttachParams, DeleteParams, DynamicObject, EvictParams, ListParams, LogParams, Patch, PatchParams,
    PostParams, WatchEvent, WatchParams,
};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::{ApiResource, GroupVersionKind};
use kube::runtime::controller::Action;
use kube::runtime::reflector::{ObjectRef, store};
use kube::runtime::wait::{await_condition, conditions};
use kube::runtime::{Controller, WatchStreamExt as _, reflector, watcher};
use kube::{Api, Client, Config, Discovery, Resource as _, ResourceExt as _};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const PLACE: &str = "kube-crate";
const GROUP: &str = "crates.example.com";

/// Drives everything, in a namespace of its own.
pub fn drive(cluster: &Cluster) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let kubeconfig = cluster.lab().topology().kubeconfig();
    runtime.block_on(async {
        let kubeconfig = Kubeconfig::read_from(kubeconfig).unwrap();
        let options = KubeConfigOptions::default();
        let config = Config::from_custom_kubeconfig(kubeconfig, &options).await.unwrap();
        let client = Client::try_from(config).unwrap();
        within("the namespace", namespace(&client)).await;
        within("objects", objects(&client)).await;
        within("a watch and a reflector", watches(&client)).await;
        within("streams", streams(&client)).await;
        within("a controller", controller(&client)).await;
        let namespaces: Api<Namespace> = Api::all(client);
        namespaces.delete(PLACE, &DeleteParams::background()).await.unwrap();
    });
    println!("── the kube crate is content");
}

async fn within(what: &str, work: impl Future<Output = ()>) {
    tokio::time::timeout(PATIENCE, work)
        .await
        .unwrap_or_else(|_| panic!("the kube crate still waits for {what}"));
}

fn object<K: serde::de::DeserializeOwned>(value: Value) -> K {
    serde_json::from_value(value).unwrap()
}

async fn namespace(client: &Client) {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    namespaces.create(&PostParams::default(), &object(json!({"metadata": {"name": PLACE}}))).await.unwrap();
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), PLACE);
    await_condition(accounts, "default", conditions::is_created()).await.unwrap();
}

async fn objects(client: &Client) {
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), PLACE);
    let map: ConfigMap =
        object(json!({"metadata": {"name": "one", "labels": {"a": "b"}}, "data": {"k": "v"}}));
    let made = maps.create(&PostParams::default(), &map).await.unwrap();
    let refused = maps.create(&PostParams::default(), &map).await.unwrap_err();
    let kube::Error::Api(status) = refused else { panic!("{refused}") };
    assert!(status.is_already_exists(), "{status:?}");
    assert_eq!(maps.get_opt("none").await.unwrap(), None);

    let apply = |data: Value| {
        Patch::Apply(
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one"}, "data": data}),
        )
    };
    let refused =
        maps.patch("one", &PatchParams::apply("crate"), &apply(json!({"k": "w"}))).await.unwrap_err();
    assert!(matches!(&refused, kube::Error::Api(status) if status.is_conflict()), "{refused}");
    let forced = PatchParams::apply("crate").force();
    let applied = maps.patch("one", &forced, &apply(json!({"k": "w"}))).await.unwrap();
    assert_eq!(applied.data, Some(BTreeMap::from([("k".to_owned(), "w".to_owned())])));
    let patch = json_patch(json!([{"op": "replace", "path": "/data/k", "value": "x"}]));
    maps.patch("one", &PatchParams::default(), &patch).await.unwrap();
    let stale = maps.replace("one", &PostParams::default(), &made).await.unwrap_err();
    assert!(matches!(&stale, kube::Error::Api(status) if status.is_conflict()), "{stale}");

    let metadata = maps.get_metadata("one").await.unwrap();
    assert_eq!(metadata.labels().get("a").map(String::as_str), Some("b"));
    for number in 0..5 {
        let map = object(json!({"metadata": {"name": format!("page-{number}")}}));
        maps.create(&PostParams::default(), &map).await.unwrap();
    }
    let mut page = maps.list(&ListParams::default().limit(3)).await.unwrap();
    assert_eq!((page.items.len(), page.metadata.remaining_item_count), (3, Some(4)));
    let token = page.metadata.continue_.take().unwrap();
    let rest = maps.list(&ListParams::default().continue_token(&token)).await.unwrap();
    assert_eq!((rest.items.len(), rest.metadata.continue_), (4, None));

    let discovery = Discovery::new(client.clone()).run_aggregated().await.unwrap();
    let (resource, capabilities) =
        discovery.resolve_gvk(&GroupVersionKind::gvk("apps", "v1", "Deployment")).unwrap();
    assert_eq!(resource.plural, "deployments");
    assert!(capabilities.subresources.iter().any(|(resource, _)| resource.plural == "scale"));
}

fn json_patch(patch: Value) -> Patch<ConfigMap> {
    Patch::Json(object(patch))
}

async fn watches(client: &Client) {
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), PLACE);
    let labelled =
        |name: &str| -> ConfigMap { object(json!({"metadata": {"name": name, "labels": {"w": "w"}}})) };
    let made = maps.create(&PostParams::default(), &labelled("watched")).await.unwrap();
    let version = made.resource_version().unwrap();
    maps.delete("watched", &DeleteParams::default()).await.unwrap();
    let mut events = maps.watch(&WatchParams::default().labels("w=w"), &version).await.unwrap().boxed();
    let first = events.try_next().await.unwrap();
    assert!(matches!(&first, Some(WatchEvent::Deleted(map)) if map.name_any() == "watched"), "{first:?}");

    for config in [watcher::Config::default(), watcher::Config::default().streaming_lists()] {
        maps.create(&PostParams::default(), &labelled("kept")).await.unwrap();
        let (reader, writer) = store();
        let stream = reflector(writer, watcher(maps.clone(), config.labels("w=w")));
        let mut touched = pin!(stream.default_backoff().touched_objects());
        assert_eq!(touched.try_next().await.unwrap().unwrap().name_any(), "kept");
        maps.create(&PostParams::default(), &labelled("late")).await.unwrap();
        assert_eq!(touched.try_next().await.unwrap().unwrap().name_any(), "late");
        reader.wait_until_ready().await.unwrap();
        maps.delete("kept", &DeleteParams::default()).await.unwrap();
        assert_eq!(touched.try_next().await.unwrap().unwrap().name_any(), "kept");
        let names: Vec<String> = reader.state().iter().map(|map| map.name_any()).collect();
        assert_eq!(names, ["late"]);
        assert!(reader.get(&ObjectRef::new("late").within(PLACE)).is_some());
        maps.delete("late", &DeleteParams::default()).await.unwrap();
    }
}

async fn streams(client: &Client) {
    let pods: Api<Pod> = Api::namespaced(client.clone(), PLACE);
    let script = "mkdir -p /www; echo served > /www/index.html; echo started; exec httpd -f -p 8080 -h /www";
    let pod: Pod = object(json!({
        "metadata": {"name": "server"},
        "spec": {"terminationGracePeriodSeconds": 0, "containers": [{"name": "main", "command": ["sh", "-c", script],
            "image": "docker.io/library/busybox:latest", "imagePullPolicy": "IfNotPresent"}]},
    }));
    pods.create(&PostParams::default(), &pod).await.unwrap();
    await_condition(pods.clone(), "server", conditions::is_pod_running()).await.unwrap();

    let told = AttachParams::default().stdin(true).stderr(false);
    let mut cat = pods.exec("server", ["cat"], &told).await.unwrap();
    let sent: Vec<u8> = (0..200_000_u32).map(|number| number.to_be_bytes()[3]).collect();
    let (mut stdin, mut stdout) = (cat.stdin().unwrap(), cat.stdout().unwrap());
    let status = cat.take_status().unwrap();
    let (mut received, bytes) = (vec![0; sent.len()], sent.clone());
    let writing = tokio::spawn(async move {
        stdin.write_all(&bytes).await.unwrap();
        stdin.shutdown().await.unwrap();
    });
    stdout.read_exact(&mut received).await.unwrap();
    writing.await.unwrap();
    assert!(received == sent, "what cat was told and said differs");
    let ended = status.await.unwrap();
    assert_eq!(ended.status.as_deref(), Some("Success"), "{ended:?}");
    let mut failing = pods.exec("server", ["sh", "-c", "exit 4"], &AttachParams::default()).await.unwrap();
    let ended = failing.take_status().unwrap().await.unwrap();
    assert_eq!(ended.reason.as_deref(), Some("NonZeroExitCode"), "{ended:?}");
    failing.join().await.unwrap();

    let mut forwarded = pods.portforward("server", &[8080]).await.unwrap();
    let mut port = forwarded.take_stream(8080).unwrap();
    port.write_all(b"GET /index.html HTTP/1.0\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    port.read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with("served\n"), "{answer}");
    drop(port);

    let following = LogParams { follow: true, ..LogParams::default() };
    let mut lines = pods.log_stream("server", &following).await.unwrap().lines();
    assert_eq!(lines.try_next().await.unwrap().as_deref(), Some("started"));
    pods.evict("server", &EvictParams::default()).await.unwrap();
    let uid = pods.get_opt("server").await.unwrap().and_then(|pod| pod.uid()).unwrap_or_default();
    await_condition(pods, "server", conditions::is_deleted(&uid)).await.unwrap();
}

/// A controller keeps a ConfigMap for each object of its kind, which goes with it.
async fn controller(client: &Client) {
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let name = format!("boxes.{GROUP}");
    let definition = object(json!({
        "metadata": {"name": name},
        "spec": {
            "group": GROUP, "scope": "Namespaced", "names": {"plural": "boxes", "singular": "box", "kind": "Box"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {
                "type": "object", "x-kubernetes-preserve-unknown-fields": true}}}],
        },
    }));
    definitions.create(&PostParams::default(), &definition).await.unwrap();
    await_condition(definitions.clone(), &name, conditions::is_crd_established()).await.unwrap();
    let kind = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(GROUP, "v1", "Box"), "boxes");
    let boxes: Api<DynamicObject> = Api::namespaced_with(client.clone(), PLACE, &kind);
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), PLACE);
    let controller = Controller::new_with(boxes.clone(), watcher::Config::default(), kind.clone())
        .owns(maps.clone(), watcher::Config::default())
        .run(
            reconcile,
            |_, _, _| Action::requeue(Duration::from_secs(1)),
            Arc::new((maps.clone(), kind.clone())),
        )
        .for_each(async |_| {});
    let checks = async {
        let made = DynamicObject::new("b", &kind).data(json!({"spec": {"inside": "a cat"}}));
        boxes.create(&PostParams::default(), &made).await.unwrap();
        let inside = |wanted: &'static str| {
            move |map: Option<&ConfigMap>| {
                map.and_then(|map| map.data.as_ref()?.get("inside")).is_some_and(|inside| inside == wanted)
            }
        };
        await_condition(maps.clone(), "b", inside("a cat")).await.unwrap();
        let patch = Patch::Merge(json!({"spec": {"inside": "no cat"}}));
        boxes.patch("b", &PatchParams::default(), &patch).await.unwrap();
        let map = await_condition(maps.clone(), "b", inside("no cat")).await.unwrap().unwrap();
        maps.delete("b", &DeleteParams::default()).await.unwrap();
        await_condition(maps.clone(), "b", conditions::is_deleted(&map.uid().unwrap())).await.unwrap();
        let map = await_condition(maps.clone(), "b", inside("no cat")).await.unwrap().unwrap();
        boxes.delete("b", &DeleteParams::default()).await.unwrap();
        await_condition(maps.clone(), "b", conditions::is_deleted(&map.uid().unwrap())).await.unwrap();
    };
    tokio::select! {
        () = controller => panic!("the controller ended"),
        () = checks => {}
    }
    definitions.delete(&name, &DeleteParams::default()).await.unwrap();
}

async fn reconcile(
    found: Arc<DynamicObject>,
    context: Arc<(Api<ConfigMap>, ApiResource)>,
) -> Result<Action, kube::Error> {
    let (maps, kind) = &*context;
    if found.meta().deletion_timestamp.is_some() {
        return Ok(Action::await_change());
    }
    let map = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": found.name_any(), "ownerReferences": [found.controller_owner_ref(kind)]},
        "data": {"inside": found.data["spec"]["inside"]},
    });
    maps.patch(&found.name_any(), &PatchParams::apply("boxes").force(), &Patch::Apply(map)).await?;
    Ok(Action::await_change())
}
