//! Deployments, jobs, daemon sets and stateful sets from their creation to their end.

use serde_json::{Value, json};

use crate::cluster::{Cluster, lives};

const APPS: &str = "/apis/apps/v1/namespaces/default";
const PODS: &str = "/api/v1/namespaces/default/pods";

fn template(name: &str, image: &str) -> Value {
    json!({"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "main", "image": image}]}})
}

fn workload(kind: &str, name: &str, spec: Value) -> Value {
    let mut object = json!({"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name},
        "spec": {"selector": {"matchLabels": {"app": name}}, "template": template(name, "one")}});
    for (field, value) in spec.as_object().unwrap() {
        object["spec"][field] = value.clone();
    }
    object
}

fn image(pod: &Value) -> &str {
    pod["spec"]["containers"][0]["image"].as_str().unwrap_or_default()
}

#[tokio::test]
async fn a_deployment_rolls_out_rolls_on_and_goes_with_its_pods() {
    let cluster = Cluster::start(&[]).await;
    cluster
        .create(&format!("{APPS}/deployments"), workload("Deployment", "web", json!({"replicas": 3})))
        .await;
    let pods = cluster.count(PODS, 3, |_| true).await;
    let owner = &pods[0]["metadata"]["ownerReferences"][0];
    assert_eq!((&owner["kind"], &owner["controller"]), (&json!("ReplicaSet"), &json!(true)));
    cluster.run_pods().await;
    let web = format!("{APPS}/deployments/web");
    let done = cluster.eventually(&web, |web| web["status"]["availableReplicas"] == 3).await;
    assert_eq!(done["metadata"]["annotations"]["deployment.kubernetes.io/revision"], "1");

    cluster.patch(&web, json!({"spec": {"template": template("web", "two")}})).await;
    let arrived = |list: &Value| {
        let pods = list["items"].as_array().unwrap();
        let live = pods.iter().filter(|pod| lives(pod)).count();
        assert!(live <= 4, "never more than the surge");
        live == 3 && pods.iter().filter(|pod| lives(pod)).all(|pod| image(pod) == "two")
    };
    testkit::eventually(|| async {
        cluster.run_pods().await;
        let list = cluster.get(PODS).await.unwrap();
        if arrived(&list) { Ok(()) } else { Err(list.to_string()) }
    })
    .await;
    let reason = |web: &Value| web["status"]["conditions"][1]["reason"].clone();
    cluster
        .eventually(&web, |web| reason(web) == "NewReplicaSetAvailable" && web["status"]["replicas"] == 3)
        .await;
    let sets = cluster.count(&format!("{APPS}/replicasets"), 2, |_| true).await;
    let mut sizes: Vec<i64> = sets.iter().map(|set| set["spec"]["replicas"].as_i64().unwrap()).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [0, 3]);

    cluster.delete_with(&web, json!({"propagationPolicy": "Background"})).await;
    cluster.count(&format!("{APPS}/replicasets"), 0, |_| true).await;
    cluster.count(PODS, 0, lives).await;
}

#[tokio::test]
async fn a_replica_set_replaces_adopts_and_releases_pods() {
    let cluster = Cluster::start(&[]).await;
    let orphan = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "orphan", "labels": {"app": "rs"}},
        "spec": {"containers": [{"name": "main", "image": "one"}]}});
    cluster.create(PODS, orphan).await;
    cluster
        .create(&format!("{APPS}/replicasets"), workload("ReplicaSet", "rs", json!({"replicas": 2})))
        .await;
    cluster.count(PODS, 2, |_| true).await;
    let orphan = format!("{PODS}/orphan");
    cluster.eventually(&orphan, |pod| pod["metadata"]["ownerReferences"][0]["name"] == "rs").await;

    cluster.patch(&orphan, json!({"metadata": {"labels": {"app": "other"}}})).await;
    cluster.eventually(&orphan, |pod| pod["metadata"]["ownerReferences"].is_null()).await;
    let pods = cluster.count(PODS, 3, |_| true).await;
    let of_set = pods.iter().find(|pod| pod["metadata"]["name"] != "orphan").unwrap();
    cluster.delete_with(&crate::cluster::path_of(of_set), json!({"propagationPolicy": "Background"})).await;
    cluster.count(PODS, 3, lives).await;
}

#[tokio::test]
async fn a_job_counts_each_pod_once_and_completes() {
    let cluster = Cluster::start(&[]).await;
    let spec = json!({"completions": 3, "parallelism": 2, "completionMode": "Indexed",
        "template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "one"}]}}});
    let job = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "sum"}, "spec": spec});
    cluster.create("/apis/batch/v1/namespaces/default/jobs", job).await;
    let path = "/apis/batch/v1/namespaces/default/jobs/sum";
    let running = |pod: &Value| pod["status"]["phase"] == "Pending";
    for left in [2, 1] {
        for pod in cluster.count(PODS, left, running).await {
            assert_eq!(pod["metadata"]["finalizers"], json!(["batch.kubernetes.io/job-tracking"]));
            cluster.report(&pod, "Succeeded", "").await;
        }
    }
    let done = cluster.eventually(path, |job| job["status"]["completionTime"].is_string()).await;
    assert_eq!(
        (&done["status"]["succeeded"], &done["status"]["completedIndexes"]),
        (&json!(3), &json!("0-2"))
    );
    cluster.count(PODS, 3, |pod| pod["metadata"]["finalizers"].is_null()).await;
}

#[tokio::test]
async fn a_daemon_set_follows_the_nodes() {
    let cluster = Cluster::start(&[]).await;
    for name in ["a", "b"] {
        let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}});
        cluster.create("/api/v1/nodes", node).await;
        let ready = json!({"type": "Ready", "status": "True", "lastHeartbeatTime": "2026-01-01T00:00:00Z"});
        cluster
            .patch(&format!("/api/v1/nodes/{name}/status"), json!({"status": {"conditions": [ready]}}))
            .await;
    }
    cluster.create(&format!("{APPS}/daemonsets"), workload("DaemonSet", "agent", json!({}))).await;
    cluster.count(PODS, 2, lives).await;
    cluster.count(&format!("{APPS}/controllerrevisions"), 1, |_| true).await;
    let desired = |count: i64| move |set: &Value| set["status"]["desiredNumberScheduled"] == count;
    cluster.eventually(&format!("{APPS}/daemonsets/agent"), desired(2)).await;
    cluster
        .patch("/api/v1/nodes/b", json!({"spec": {"taints": [{"key": "mine", "effect": "NoExecute"}]}}))
        .await;
    cluster.eventually(&format!("{APPS}/daemonsets/agent"), desired(1)).await;
    cluster.count(PODS, 1, lives).await;
}

#[tokio::test]
async fn a_stateful_set_starts_one_pod_after_the_other() {
    let cluster = Cluster::start(&[]).await;
    let claim = json!({"metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}});
    let spec = json!({"replicas": 2, "serviceName": "db", "volumeClaimTemplates": [claim]});
    cluster.create(&format!("{APPS}/statefulsets"), workload("StatefulSet", "db", spec)).await;
    let first = cluster.eventually(&format!("{PODS}/db-0"), |_| true).await;
    assert_eq!(first["spec"]["hostname"], "db-0");
    cluster.eventually(&format!("{APPS}/statefulsets/db"), |set| set["status"]["replicas"] == 1).await;
    assert!(cluster.get(&format!("{PODS}/db-1")).await.is_err(), "not before the first is ready");
    cluster.report(&first, "Running", "").await;
    let second = cluster.eventually(&format!("{PODS}/db-1"), |_| true).await;
    cluster.report(&second, "Running", "").await;
    cluster.eventually(&format!("{APPS}/statefulsets/db"), |set| set["status"]["readyReplicas"] == 2).await;
    cluster.count("/api/v1/namespaces/default/persistentvolumeclaims", 2, |_| true).await;
}

#[tokio::test]
async fn a_budget_grants_evictions_while_enough_pods_are_healthy() {
    let cluster = Cluster::start(&[]).await;
    let three = workload("Deployment", "web", json!({"replicas": 3}));
    cluster.create(&format!("{APPS}/deployments"), three).await;
    cluster.count(PODS, 3, |_| true).await;
    let budget = json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "web"},
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": {"app": "web"}}}});
    let budgets = "/apis/policy/v1/namespaces/default/poddisruptionbudgets";
    cluster.create(budgets, budget).await;
    let web = format!("{budgets}/web");
    let allows = |count: i64| move |budget: &Value| budget["status"]["disruptionsAllowed"] == count;
    let early = cluster.eventually(&web, allows(0)).await;
    assert_eq!(early["status"]["desiredHealthy"], 2);
    cluster.run_pods().await;
    cluster.eventually(&web, allows(1)).await;

    let pods = cluster.count(PODS, 3, |_| true).await;
    let evict = |pod: &Value| {
        let name = pod["metadata"]["name"].as_str().unwrap().to_owned();
        let eviction = json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}});
        (format!("{PODS}/{name}/eviction"), eviction)
    };
    let (path, eviction) = evict(&pods[0]);
    cluster.create(&path, eviction).await;
    let one_less = |budget: &Value| allows(0)(budget) && budget["status"]["currentHealthy"] == 2;
    cluster.eventually(&web, one_less).await;
    let (path, eviction) = evict(&pods[1]);
    let refused = cluster.try_create(&path, eviction).await.unwrap_err();
    assert!(
        refused.contains("Cannot evict pod as it would violate the pod's disruption budget."),
        "{refused}"
    );
    cluster.count(PODS, 3, lives).await;
    cluster.run_pods().await;
    cluster.eventually(&web, allows(1)).await;
}
