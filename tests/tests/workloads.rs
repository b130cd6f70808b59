//! Chapter "workloads": the controllers that keep pods, beyond what its page shows.

#![allow(clippy::unwrap_used)]

use std::process::Child;

use cluster_tests::{Cluster, Shell, page};

/// What a user calls without a failed request, and what changes under them.
const SHOP: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop}
spec:
  replicas: 3
  strategy: {rollingUpdate: {maxSurge: 1, maxUnavailable: 0}}
  selector: {matchLabels: {app: shop}}
  template:
    metadata: {labels: {app: shop}}
    spec:
      terminationGracePeriodSeconds: 5
      containers:
      - name: shop
        image: sysnet4admin/chk-hn
        readinessProbe: {httpGet: {path: /, port: 80}, periodSeconds: 1}
        lifecycle: {preStop: {sleep: {seconds: 1}}}
";

/// Runs at every minute, and never beside itself.
const CRON: &str = "
apiVersion: batch/v1
kind: CronJob
metadata: {name: minutely}
spec:
  schedule: \"* * * * *\"
  concurrencyPolicy: Replace
  jobTemplate:
    spec:
      template:
        spec:
          restartPolicy: Never
          terminationGracePeriodSeconds: 0
          containers:
          - {name: long, image: busybox, command: [sleep, \"600\"]}
";

const AGENT: &str = "
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent}
spec:
  selector: {matchLabels: {app: agent}}
  template:
    metadata: {labels: {app: agent}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - {name: agent, image: busybox, command: [sleep, infinity]}
";

#[test]
fn the_chapter_on_workloads_works_as_printed() {
    let cluster = Cluster::start("workloads", 1).unwrap();
    let shell = cluster.shell();
    page::walk_with_both(&cluster, "docs/tutorials/workloads.md");
    for (name, text) in [("shop.yaml", SHOP), ("cron.yaml", CRON), ("agent.yaml", AGENT)] {
        cluster.file(name, text).unwrap();
    }
    // Its minutes pass while the others are looked at.
    shell.types("kubectl create -f cron.yaml").ok();
    no_request_fails_while_a_version_is_rolled_out(&cluster, &shell);
    a_rollout_that_gets_nowhere_says_so(&shell);
    a_new_node_gets_its_daemon(&cluster, &shell);
    an_ordered_set_stops_in_the_opposite_order(&shell);
    a_cron_job_begins_at_its_minute(&shell);
    cluster.end().unwrap();
}

fn no_request_fails_while_a_version_is_rolled_out(cluster: &Cluster, shell: &Shell<'_>) {
    shell.types("kubectl apply -f shop.yaml && kubectl rollout status deployment shop --timeout=60s").ok();
    shell.types("kubectl expose deployment shop --type=NodePort --port=80").ok();
    let port = shell.types("kubectl get service shop -o jsonpath='{.spec.ports[0].nodePort}'").out;
    let url = format!("http://192.168.1.102:{port}");
    shell.outside_until_ok(&["curl", "-sf", "--max-time", "2", &url]);
    let client = Client::start(cluster, &url);
    shell.types("kubectl set env deployment/shop VERSION=2").ok();
    shell.types("kubectl rollout status deployment shop --timeout=60s").ok();
    shell.types("kubectl rollout undo deployment shop").ok();
    shell.types("kubectl rollout status deployment shop --timeout=60s").ok();
    let (answered, failed) = client.stop(shell);
    assert!(answered > 20, "the client asked {answered} times only");
    assert_eq!(failed, 0, "of {answered} requests");
    // Old versions are kept as far as the limit says.
    shell.types("kubectl patch deployment shop -p '{\"spec\":{\"revisionHistoryLimit\":0}}'").ok();
    shell.until("kubectl get rs -l app=shop -o name | wc -l", |seen| seen.out.trim() == "1");
}

/// Asks without a pause, and counts.
struct Client(Child);

impl Client {
    fn start(cluster: &Cluster, url: &str) -> Self {
        let script = format!(
            "trap 'echo $ok $failed > /tmp/counted; exit' TERM; ok=0; failed=0\n\
             while :; do if curl -sf --max-time 2 {url} > /dev/null; then ok=$((ok+1)); else failed=$((failed+1)); fi; done"
        );
        let mut command = cluster.lab().command_in("fabric", "sh").unwrap();
        Self(command.args(["-c", &script]).spawn().unwrap())
    }

    /// Stops it; how many requests were answered, and how many failed.
    fn stop(mut self, shell: &Shell<'_>) -> (u32, u32) {
        // The shell inside is the child of what entered the namespaces, and hears the signal itself.
        shell.types(&format!("kill -TERM {0} $(pgrep -P {0})", self.0.id()));
        self.0.wait().unwrap();
        let counted = shell.outside(&["cat", "/tmp/counted"]).out;
        let mut numbers = counted.split_whitespace().map(|number| number.parse().unwrap());
        (numbers.next().unwrap(), numbers.next().unwrap())
    }
}

fn a_rollout_that_gets_nowhere_says_so(shell: &Shell<'_>) {
    shell.types("kubectl patch deployment shop -p '{\"spec\":{\"progressDeadlineSeconds\":2}}'").ok();
    shell.types("kubectl set image deployment/shop shop=there/is-none:1").ok();
    shell
        .types("kubectl rollout status deployment shop --timeout=60s")
        .refused(&["error: deployment \"shop\" exceeded its progress deadline"]);
    // What served goes on serving.
    shell.types("kubectl get deployment shop").shows(&["3/3"]);
    shell.types("kubectl delete deployment,service shop").ok();
}

fn a_new_node_gets_its_daemon(cluster: &Cluster, shell: &Shell<'_>) {
    shell.types("kubectl create -f agent.yaml && kubectl rollout status daemonset agent --timeout=60s").ok();
    cluster.lab().order("w2-k8s", "stop kubelet").unwrap();
    shell.types("kubectl delete node w2-k8s").ok();
    shell.until("kubectl get daemonset agent", |seen| seen.out.contains("agent   1         1         1"));
    cluster.lab().order("w2-k8s", "start kubelet").unwrap();
    shell.until("kubectl get daemonset agent", |seen| seen.out.contains("agent   2         2         2"));
    shell.types("kubectl get pods -l app=agent -o wide").shows(&["w2-k8s"]);
    shell.types("kubectl delete daemonset agent").ok();
}

/// The page has shown the order of the start; what is stopped is stopped from the end.
fn an_ordered_set_stops_in_the_opposite_order(shell: &Shell<'_>) {
    // The page's own set; its claims come with it.
    shell.types("kubectl apply -f web.yaml && kubectl rollout status statefulset web --timeout=60s").ok();
    let mut watch =
        shell.starts("kubectl get pods -l app=nginx -w --output-watch-events --no-headers > ended");
    shell.until("cat ended", |seen| seen.out.matches("ADDED").count() == 2);
    shell.types("kubectl scale statefulset web --replicas=0").ok();
    shell.until("cat ended", |seen| seen.out.matches("DELETED").count() == 2);
    watch.kill().and_then(|()| watch.wait()).unwrap();
    let seen = shell.types("grep DELETED ended").out;
    let order: Vec<&str> = seen.lines().filter_map(|line| line.split_whitespace().nth(1)).collect();
    assert_eq!(order, ["web-1", "web-0"], "{seen}");
    shell.types("kubectl delete -f web.yaml && kubectl delete pvc www-web-0 www-web-1").ok();
}

fn a_cron_job_begins_at_its_minute(shell: &Shell<'_>) {
    let minute = std::time::Duration::from_secs(70);
    shell.until_within(
        minute,
        "kubectl get cronjob minutely -o jsonpath='{.status.active[0].name}'",
        |seen| seen.out.starts_with("minutely-"),
    );
    shell.until("kubectl get pods", |seen| seen.out.contains("Running"));
    shell.types("kubectl describe cronjob minutely").shows(&["SuccessfulCreate", "Created job minutely-"]);
    // The next one takes the place of the one that still runs.
    shell.until_within(minute, "kubectl describe cronjob minutely", |seen| {
        seen.out.contains("SuccessfulDelete") && seen.out.contains("Deleted job minutely-")
    });
    shell.types("kubectl delete cronjob minutely").ok();
    shell.until("kubectl get jobs,pods -o name", |seen| seen.out.is_empty());
}
