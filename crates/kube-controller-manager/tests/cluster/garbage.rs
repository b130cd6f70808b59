//! What goes with its owner, what stays, and how namespaces end.

use serde_json::{Value, json};

use crate::cluster::{Cluster, lives};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

async fn map(cluster: &Cluster, name: &str, owners: &[(&Value, bool)]) -> Value {
    let owners: Vec<Value> = owners
        .iter()
        .map(|(owner, blocks)| {
            json!({"apiVersion": "v1", "kind": "ConfigMap", "name": owner["metadata"]["name"],
                "uid": owner["metadata"]["uid"], "blockOwnerDeletion": blocks})
        })
        .collect();
    let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "ownerReferences": owners}});
    cluster.create(MAPS, object).await
}

fn at(name: &str) -> String {
    format!("{MAPS}/{name}")
}

#[tokio::test]
async fn dependents_go_with_the_last_of_their_owners() {
    let cluster = Cluster::start(&[]).await;
    let (first, second) = (map(&cluster, "first", &[]).await, map(&cluster, "second", &[]).await);
    map(&cluster, "child", &[(&first, true), (&second, true)]).await;
    cluster.delete_with(&at("first"), json!({"propagationPolicy": "Background"})).await;
    let references = |child: &Value| child["metadata"]["ownerReferences"].as_array().map(Vec::len);
    cluster.eventually(&at("child"), |child| references(child) == Some(1)).await;
    cluster.delete_with(&at("second"), json!({"propagationPolicy": "Background"})).await;
    cluster.gone(&at("child")).await;
}

#[tokio::test]
async fn foreground_waits_and_orphan_lets_go() {
    let cluster = Cluster::start(&[]).await;
    let owner = map(&cluster, "owner", &[]).await;
    let child = map(&cluster, "child", &[(&owner, true)]).await;
    map(&cluster, "grandchild", &[(&child, true)]).await;
    cluster.delete_with(&at("owner"), json!({"propagationPolicy": "Foreground"})).await;
    cluster.gone(&at("owner")).await;
    cluster.gone(&at("grandchild")).await;
    cluster.gone(&at("child")).await;

    let owner = map(&cluster, "owner", &[]).await;
    map(&cluster, "child", &[(&owner, true)]).await;
    cluster.delete_with(&at("owner"), json!({"propagationPolicy": "Orphan"})).await;
    cluster.gone(&at("owner")).await;
    cluster.eventually(&at("child"), |child| child["metadata"]["ownerReferences"].is_null()).await;
}

#[tokio::test]
async fn an_object_of_an_owner_that_never_was_goes() {
    let cluster = Cluster::start(&[]).await;
    let nobody = json!({"metadata": {"name": "nobody", "uid": "0f8fad5b-d9cb-469f-a165-70867728950e"}});
    map(&cluster, "child", &[(&nobody, false)]).await;
    cluster.gone(&at("child")).await;
}

#[tokio::test]
async fn a_namespace_is_equipped_emptied_and_removed() {
    let cluster = Cluster::start(&[]).await;
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team"}});
    cluster.create("/api/v1/namespaces", namespace).await;
    cluster.eventually("/api/v1/namespaces/team/serviceaccounts/default", |_| true).await;
    let maps = "/api/v1/namespaces/team/configmaps";
    let published = cluster.eventually(&format!("{maps}/kube-root-ca.crt"), |_| true).await;
    assert!(published["data"]["ca.crt"].as_str().unwrap().contains("BEGIN CERTIFICATE"));

    let held = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "held", "finalizers": ["x.io/hold"]}});
    cluster.create(maps, held).await;
    cluster.delete_with("/api/v1/namespaces/team", json!({"propagationPolicy": "Background"})).await;
    let told = |namespace: &Value| {
        let conditions = namespace["status"]["conditions"].as_array().cloned().unwrap_or_default();
        conditions.iter().any(|one| one["type"] == "NamespaceFinalizersRemaining" && one["status"] == "True")
    };
    cluster.eventually("/api/v1/namespaces/team", told).await;
    cluster.count(maps, 0, lives).await;
    cluster.patch(&format!("{maps}/held"), json!({"metadata": {"finalizers": null}})).await;
    cluster.gone("/api/v1/namespaces/team").await;
}

#[tokio::test]
async fn a_quota_counts_what_comes_and_goes() {
    let cluster = Cluster::start(&[]).await;
    let core = "/api/v1/namespaces/default";
    let hard = json!({"pods": "1", "requests.cpu": "1", "count/configmaps": "9"});
    let quota = json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"}, "spec": {"hard": hard}});
    cluster.create(&format!("{core}/resourcequotas"), quota).await;
    let quota = format!("{core}/resourcequotas/q");
    let used = |pods: &'static str, cpu: &'static str| {
        move |quota: &Value| {
            quota["status"]["used"]["pods"] == pods && quota["status"]["used"]["requests.cpu"] == cpu
        }
    };
    // The authority's certificate is published to every namespace.
    let empty = cluster.eventually(&quota, |quota| quota["status"]["used"]["count/configmaps"] == "1").await;
    assert_eq!(empty["status"]["hard"], empty["spec"]["hard"]);
    assert!(used("0", "0")(&empty), "{empty}");
    let pod = |name: &str| {
        let container = json!({"name": "main", "image": "one", "resources": {"requests": {"cpu": "300m"}}});
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {"containers": [container]}})
    };
    cluster.create(&format!("{core}/pods"), pod("one")).await;
    cluster.eventually(&quota, used("1", "300m")).await;
    let refused = cluster.try_create(&format!("{core}/pods"), pod("two")).await.unwrap_err();
    assert!(refused.contains("exceeded quota: q"), "{refused}");
    cluster.remove(&format!("{core}/pods/one")).await;
    cluster.eventually(&quota, used("0", "0")).await;
    cluster.create(&format!("{core}/pods"), pod("two")).await;
}
