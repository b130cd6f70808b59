//! What nodes and pods use, told by `kubectl top`, and scaling by it.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use cluster_tests::{Cluster, Shell};

const DEPLOYMENT: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - name: web
        image: sysnet4admin/chk-hn
        resources: {requests: {cpu: 10m, memory: 1Mi}}
";

/// Asks for less memory than the pod uses. A measurement of memory counts at once, while that of a starting pod's
/// processor use does not: this keeps the test short.
const AUTOSCALER: &str = "
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  maxReplicas: 2
  metrics:
  - type: Resource
    resource: {name: memory, target: {type: AverageValue, averageValue: 10Ki}}
";

/// Two rounds of measurements.
const ROUNDS: Duration = Duration::from_secs(40);

#[test]
fn what_is_used_is_told_and_scaled_by() {
    let cluster = Cluster::start("usage", 1).unwrap();
    cluster.file("web.yaml", DEPLOYMENT).unwrap();
    cluster.file("scale.yaml", AUTOSCALER).unwrap();
    let shell = cluster.shell();
    shell.types("kubectl apply -f web.yaml").shows(&["deployment.apps/web created"]);
    shell.types("kubectl -n kube-system rollout status deployment metrics-server --timeout=60s").ok();
    the_metrics_api_is_a_part_of_the_cluster(&shell);
    top_tells_what_is_used(&shell);
    if let Some(upstream) = cluster.upstream_shell() {
        top_tells_what_is_used(&upstream);
    }

    shell.until_within(ROUNDS, "kubectl top pod -l app=web", |seen| seen.out.contains("web-"));
    shell.types("kubectl apply -f scale.yaml").shows(&["horizontalpodautoscaler.autoscaling/web created"]);
    let seen = "kubectl get hpa web -o jsonpath='{.status.conditions[?(@.type==\"ScalingActive\")].reason}'";
    shell.until(seen, |seen| seen.out == "ValidMetricFound");
    shell.until("kubectl get deployment web -o jsonpath='{.spec.replicas}'", |seen| seen.out == "2");
    shell
        .types("kubectl describe hpa web")
        .shows(&["SuccessfulRescale", "New size: 2; reason: memory resource above target"]);

    // A server that is gone is told of, and everything else goes on.
    shell.types("kubectl -n kube-system scale deployment metrics-server --replicas=0").ok();
    shell.until("kubectl get apiservices v1beta1.metrics.k8s.io", |seen| {
        seen.out.contains("False (MissingEndpoints)")
    });
    shell.types("kubectl top node").refused(&["Metrics API not available"]);
    shell.types("kubectl get pods").ok();
    cluster.end().unwrap();
}

fn the_metrics_api_is_a_part_of_the_cluster(shell: &Shell<'_>) {
    shell.types("kubectl -n kube-system get deploy metrics-server").shows(&["metrics-server", "1/1"]);
    shell.until("kubectl get apiservices v1beta1.metrics.k8s.io", |seen| {
        seen.out.contains("kube-system/metrics-server   True")
    });
    shell.types("kubectl get apiservices").shows(&["v1. ", "Local", "v1.apps", "v2.autoscaling"]);
    shell.types("kubectl api-resources --api-group=metrics.k8s.io").shows(&["NodeMetrics", "PodMetrics"]);
    shell
        .types("kubectl get nodes.metrics.k8s.io --as=jane")
        .refused(&["cannot list resource \"nodes\" in API group \"metrics.k8s.io\" at the cluster scope"]);
}

fn top_tells_what_is_used(shell: &Shell<'_>) {
    let nodes = shell.until("kubectl top node", |seen| {
        ["m-k8s", "w1-k8s", "w2-k8s"].iter().all(|node| seen.out.contains(node))
            && !seen.out.contains("unknown")
    });
    let header: Vec<&str> = nodes.out.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(header, ["NAME", "CPU(cores)", "CPU(%)", "MEMORY(bytes)", "MEMORY(%)"]);
    shell.types("kubectl top pod -n kube-system -l k8s-app=metrics-server").shows(&[
        "NAME",
        "CPU(cores)",
        "MEMORY(bytes)",
        "metrics-server-",
        "m ",
        "Mi",
    ]);
    shell.types("kubectl top pod -A --containers --sort-by=memory").shows(&[
        "NAMESPACE",
        "POD",
        "NAME",
        "CPU(cores)",
        "kube-system",
    ]);
    let bare = shell.types("kubectl top node --no-headers").ok().to_owned();
    assert_eq!(bare.lines().count(), 3, "{bare}");
}
