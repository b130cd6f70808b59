//! The first hour with a cluster, typed as a user types it, with the bundled kubectl and with upstream's.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use cluster_tests::{Cluster, Seen, Shell};

const POD: &str = "apiVersion: v1
kind: Pod
metadata:
  name: from-file
  labels: {app: from-file}
spec:
  containers:
  - name: web
    image: nginx
    ports:
    - {name: http, containerPort: 80}
    readinessProbe:
      httpGet: {path: /, port: http}
      periodSeconds: 1
";

fn deployment(replicas: u32, version: &str) -> String {
    format!(
        "apiVersion: apps/v1
kind: Deployment
metadata:
  name: applied
spec:
  replicas: {replicas}
  selector:
    matchLabels: {{app: applied}}
  template:
    metadata:
      labels: {{app: applied}}
    spec:
      containers:
      - name: chk-hn
        image: sysnet4admin/chk-hn
        env:
        - {{name: VERSION, value: \"{version}\"}}
        ports:
        - containerPort: 80
"
    )
}

#[test]
fn the_first_transcript_works_as_printed() {
    let cluster = Cluster::start("transcript", 1).unwrap();
    let bundled = cluster.shell();
    the_cluster_is_there(&bundled);
    names_resolve_from_pods(&bundled);
    for (shell, name) in [(Some(bundled), "bundled"), (cluster.upstream_shell(), "upstream")] {
        match shell {
            Some(shell) => {
                println!("── with the {name} kubectl");
                transcript(&cluster, &shell);
            }
            None => println!("── no {name} kubectl of 1.32 or newer on this machine: left out"),
        }
    }
    bad_input_changes_nothing(&cluster.shell());
    cluster.end().unwrap();
}

fn the_cluster_is_there(shell: &Shell<'_>) {
    shell.types("kubectl cluster-info").shows(&[
        "Kubernetes control plane",
        "is running at",
        "https://127.0.0.1:",
    ]);
    let nodes = shell.types("kubectl get nodes -o wide");
    nodes.shows(&["m-k8s", "w1-k8s", "w2-k8s", "192.168.1.101", "containerd://", "v1.36.0", "control-plane"]);
    assert_eq!(nodes.out.matches(" Ready ").count(), 3, "{}", nodes.out);
    shell.types("kubectl get namespaces").shows(&[
        "default",
        "kube-system",
        "kube-public",
        "kube-node-lease",
    ]);
    shell.types("kubectl get --raw /version").shows(&["v1.36.0"]);
}

fn names_resolve_from_pods(shell: &Shell<'_>) {
    shell.types("kubectl run asks --image=busybox --restart=Never -- sleep 3600").ok();
    shell.types("kubectl wait --for=condition=Ready pod/asks --timeout=60s").ok();
    shell.types("kubectl exec asks -- nslookup kubernetes.default.svc.cluster.local").shows(&["10.96.0.1"]);
    shell.types("kubectl exec asks -- cat /etc/resolv.conf").shows(&[
        "nameserver 10.96.0.10",
        "search default.svc.cluster.local svc.cluster.local cluster.local",
    ]);
    shell.types("kubectl delete pod asks --grace-period=1").ok();
}

/// The lines of the course, and what a user sees after each.
fn transcript(cluster: &Cluster, shell: &Shell<'_>) {
    run_and_expose(shell);
    scale_heal_and_spread(shell);
    look_into_pods(shell);
    files_and_apply(cluster, shell);
    roll_out_and_back(shell);
    ask_in_every_form(shell);
    clean_up(shell);
}

fn run_and_expose(shell: &Shell<'_>) {
    shell.types("kubectl run nginx --image=nginx").shows(&["pod/nginx created"]);
    shell
        .types("kubectl wait --for=condition=Ready pod/nginx --timeout=60s")
        .shows(&["pod/nginx condition met"]);
    let pod = shell.types("kubectl get pods nginx -o wide");
    pod.shows(&["nginx", "1/1", "Running", "172.16."]);
    // The address is of the network of the node that runs it.
    let node = shell.types("kubectl get pod nginx -o jsonpath='{.spec.nodeName}'").out;
    let range = shell.types(&format!("kubectl get node {node} -o jsonpath='{{.spec.podCIDR}}'")).out;
    let address = shell.types("kubectl get pod nginx -o jsonpath='{.status.podIP}'").out;
    assert_eq!(range.rsplit_once('.').unwrap().0, address.rsplit_once('.').unwrap().0, "{range} {address}");

    shell.types("kubectl expose pod nginx --type=NodePort --port=80").shows(&["service/nginx exposed"]);
    shell.types("kubectl get services").shows(&["nginx", "NodePort", "80:3", "kubernetes", "10.96.0.1"]);
    let port = shell.types("kubectl get service nginx -o jsonpath='{.spec.ports[0].nodePort}'").out;
    for node in ["192.168.1.10", "192.168.1.101", "192.168.1.102"] {
        eventually_outside(shell, &format!("http://{node}:{port}"), "Welcome to nginx!");
    }
}

/// Asks for a page from outside the nodes until it shows what is wanted.
fn eventually_outside(shell: &Shell<'_>, url: &str, wanted: &str) {
    let begun = std::time::Instant::now();
    loop {
        let seen = shell.outside(&["curl", "-s", "-m", "5", url]);
        if seen.out.contains(wanted) {
            return;
        }
        assert!(begun.elapsed() < cluster_tests::PATIENCE, "{url} shows {:?}", seen);
    }
}

fn scale_heal_and_spread(shell: &Shell<'_>) {
    shell
        .types("kubectl create deployment deploy-nginx --image=sysnet4admin/chk-hn")
        .shows(&["deployment.apps/deploy-nginx created"]);
    shell
        .types("kubectl scale deployment deploy-nginx --replicas=3")
        .shows(&["deployment.apps/deploy-nginx scaled"]);
    shell
        .types("kubectl rollout status deployment deploy-nginx --timeout=90s")
        .shows(&["successfully rolled out"]);
    shell.types("kubectl get deploy,rs,po --show-labels").shows(&[
        "deployment.apps/deploy-nginx",
        "replicaset.apps/deploy-nginx-",
        "pod/deploy-nginx-",
        "pod-template-hash=",
        "3/3",
    ]);

    // A pod that is deleted is replaced.
    let names = || -> Vec<String> {
        shell.types("kubectl get pods -l app=deploy-nginx -o name").ok().lines().map(str::to_owned).collect()
    };
    let before = names();
    assert_eq!(before.len(), 3);
    shell.types(&format!("kubectl delete {} --grace-period=1", before[0])).shows(&["deleted"]);
    shell.until("kubectl get deployment deploy-nginx", |seen| seen.out.contains("3/3"));
    let after = names();
    assert!(!after.contains(&before[0]), "{after:?}");

    // Every endpoint gets its share: 300 requests on three pods, each within 60..140 (more than 4 deviations).
    shell.types("kubectl expose deployment deploy-nginx --port=80").shows(&["service/deploy-nginx exposed"]);
    let address = shell.types("kubectl get service deploy-nginx -o jsonpath='{.spec.clusterIP}'").out;
    shell.until("kubectl get endpointslices -l kubernetes.io/service-name=deploy-nginx -o jsonpath='{.items[*].endpoints[*].conditions.ready}'", |seen| {
        seen.out == "true true true"
    });
    let ask = format!("for i in $(seq 300); do curl -s -m 5 http://{address}/; done");
    let mut answers: BTreeMap<String, u32> = BTreeMap::new();
    for line in shell.run_in("w1-k8s", &["sh", "-c", &ask]).ok().lines() {
        *answers.entry(line.to_owned()).or_default() += 1;
    }
    let current: Vec<String> =
        names().iter().map(|name| name.trim_start_matches("pod/").to_owned()).collect();
    assert_eq!(answers.keys().cloned().collect::<Vec<_>>().len(), 3, "{answers:?}");
    assert!(answers.keys().all(|name| current.contains(name)), "{answers:?} {current:?}");
    assert!(answers.values().all(|count| (60..=140).contains(count)), "{answers:?}");

    // The same from a pod, by address and by name, wherever pod and endpoints run.
    let pod = names()[0].clone();
    for host in [address.as_str(), "deploy-nginx", "deploy-nginx.default.svc.cluster.local"] {
        let seen = shell.types(&format!("kubectl exec {pod} -- timeout 5 wget -qO- http://{host}/"));
        assert!(current.contains(&seen.ok().trim().to_owned()), "{seen:?}");
    }
}

fn look_into_pods(shell: &Shell<'_>) {
    shell.types("kubectl exec nginx -- sh -c 'echo inside; hostname'").shows(&["inside", "nginx"]);
    let failed = shell.types("kubectl exec nginx -- sh -c 'exit 7'");
    assert_eq!(failed.code, 7, "{failed:?}");
    failed.refused(&["command terminated with exit code 7"]);
    shell.types("kubectl logs nginx").shows(&["GET / HTTP"]);
    shell.types("kubectl logs nginx --tail=1 --timestamps").shows(&["T"]);
    shell
        .types_at_terminal("kubectl exec -it nginx -- sh", "tty; echo $((40+2))\nexit\n")
        .shows(&["/dev/pts/", "42"]);
    shell
        .types_at_terminal(
            "kubectl run busybox --image=busybox --restart=Never --rm -it -- sh",
            "echo sum $((20+3))\nexit\n",
        )
        .shows(&["sum 23", "pod \"busybox\" deleted"]);
    shell.until("kubectl get pod busybox", |seen| seen.err.contains("pods \"busybox\" not found"));
    for thing in ["node w1-k8s", "pod nginx", "deployment deploy-nginx", "service nginx"] {
        let name = thing.split(' ').nth(1).unwrap();
        shell.types(&format!("kubectl describe {thing}")).shows(&["Name:", name]);
    }
    shell.types("kubectl describe pod nginx").shows(&[
        "Scheduled",
        "Successfully assigned default/nginx to",
        "Started",
    ]);
    let forward = "kubectl port-forward pod/nginx 0:80 > forward.log & pid=$!
        for i in $(seq 100); do port=$(sed -n 's/.*127.0.0.1:\\([0-9]*\\) ->.*/\\1/p' forward.log | head -1); [ -n \"$port\" ] && break; sleep 0.1; done
        curl -s -m 5 http://127.0.0.1:$port/; kill $pid";
    shell.types(forward).shows(&["Welcome to nginx!"]);
}

fn files_and_apply(cluster: &Cluster, shell: &Shell<'_>) {
    cluster.file("pod.yaml", POD).unwrap();
    shell.types("kubectl create -f pod.yaml").shows(&["pod/from-file created"]);
    shell.types("kubectl create -f pod.yaml").refused(&[
        "Error from server (AlreadyExists): error when creating \"pod.yaml\": pods \"from-file\" already exists",
    ]);
    cluster.file("deployment.yaml", &deployment(2, "one")).unwrap();
    shell.types("kubectl apply -f deployment.yaml").shows(&["deployment.apps/applied created"]);
    shell.types("kubectl apply -f deployment.yaml").shows(&["deployment.apps/applied unchanged"]);
    // What somebody else set is left alone, what the file changes is changed.
    shell.types("kubectl annotate deployment applied owner=somebody").ok();
    cluster.file("deployment.yaml", &deployment(3, "one")).unwrap();
    let generation = |seen: Seen| seen.ok().trim().parse::<i64>().unwrap();
    let before =
        generation(shell.types("kubectl get deployment applied -o jsonpath='{.metadata.generation}'"));
    shell.types("kubectl apply -f deployment.yaml").shows(&["deployment.apps/applied configured"]);
    let after =
        generation(shell.types("kubectl get deployment applied -o jsonpath='{.metadata.generation}'"));
    assert_eq!(after, before + 1);
    shell
        .types("kubectl get deployment applied -o jsonpath='{.metadata.annotations.owner} {.spec.replicas}'")
        .shows(&["somebody 3"]);
    shell
        .types("kubectl rollout status deployment applied --timeout=90s")
        .shows(&["successfully rolled out"]);
}

fn roll_out_and_back(shell: &Shell<'_>) {
    shell
        .types("kubectl set image deployment/applied chk-hn=sysnet4admin/chk-hn:latest")
        .shows(&["deployment.apps/applied image updated"]);
    shell
        .types("kubectl rollout status deployment applied --timeout=90s")
        .shows(&["successfully rolled out"]);
    shell.types("kubectl set image deployment/applied chk-hn=nginx").shows(&["image updated"]);
    shell
        .types("kubectl rollout status deployment applied --timeout=90s")
        .shows(&["successfully rolled out"]);
    shell.types("kubectl rollout history deployment applied").shows(&["REVISION", "1", "2", "3"]);
    shell
        .types("kubectl rollout undo deployment applied --to-revision=1")
        .shows(&["deployment.apps/applied rolled back"]);
    shell
        .types("kubectl rollout status deployment applied --timeout=90s")
        .shows(&["successfully rolled out"]);
    let image = "kubectl get deployment applied -o jsonpath='{.spec.template.spec.containers[0].image}'";
    assert_eq!(shell.types(image).ok(), "sysnet4admin/chk-hn");
    // The roll-back is a new revision made of the first.
    let history = shell.types("kubectl rollout history deployment applied");
    history.shows(&["4"]);
    assert!(!history.out.lines().any(|line| line.starts_with("1 ")), "{}", history.out);
}

fn ask_in_every_form(shell: &Shell<'_>) {
    shell.types("kubectl get pod nginx -o yaml").shows(&[
        "apiVersion: v1",
        "kind: Pod",
        "name: nginx",
        "phase: Running",
    ]);
    shell.types("kubectl get pod nginx -o json").shows(&["\"kind\": \"Pod\"", "\"phase\": \"Running\""]);
    assert_eq!(shell.types("kubectl get pod nginx -o name").ok(), "pod/nginx\n");
    assert_eq!(shell.types("kubectl get pod nginx -o jsonpath='{.status.phase}'").ok(), "Running");
    let columns =
        shell.types("kubectl get pod nginx -o custom-columns=NAME:.metadata.name,PHASE:.status.phase");
    assert_eq!(columns.ok(), "NAME    PHASE\nnginx   Running\n");
    let selected =
        shell.types("kubectl get pods -l app=applied --field-selector=status.phase=Running --no-headers");
    assert!(selected.ok().lines().count() >= 3 && !selected.out.contains("deploy-nginx"), "{}", selected.out);
    shell.types("kubectl get pods -A").shows(&["NAMESPACE", "kube-system", "cluster-dns-", "default"]);
    // A watch shows what comes after it began.
    let watch = "timeout 40 kubectl get pods -w --no-headers > watch.log & pid=$!
        for i in $(seq 100); do grep -q nginx watch.log && break; sleep 0.1; done
        kubectl run watched --image=nginx > /dev/null
        for i in $(seq 150); do grep -q 'watched.*Running' watch.log && break; sleep 0.1; done
        kill $pid; cat watch.log";
    shell.types(watch).shows(&["watched", "Pending", "ContainerCreating", "1/1", "Running"]);
    shell.types("kubectl delete pod watched --grace-period=1").shows(&["pod \"watched\" deleted"]);
}

fn clean_up(shell: &Shell<'_>) {
    shell
        .types("kubectl delete service nginx deploy-nginx")
        .shows(&["service \"nginx\" deleted", "service \"deploy-nginx\" deleted"]);
    shell
        .types("kubectl delete deployment deploy-nginx applied")
        .shows(&["deployment.apps \"deploy-nginx\" deleted"]);
    shell.types("kubectl delete pod nginx from-file --grace-period=1").shows(&["pod \"nginx\" deleted"]);
    shell.until("kubectl get pods", |seen| seen.err.contains("No resources found in default namespace."));
    shell.types("kubectl get services --no-headers").shows(&["kubernetes"]);
}

fn bad_input_changes_nothing(shell: &Shell<'_>) {
    let before = shell.types("kubectl get all -A -o name").out;
    shell
        .types("kubectl get gadgets")
        .refused(&["error: the server doesn't have a resource type \"gadgets\""]);
    shell
        .types("kubectl get pod nobody")
        .refused(&["Error from server (NotFound): pods \"nobody\" not found"]);
    let create = |yaml: &str| shell.types(&format!("kubectl create -f - <<'END'\n{yaml}\nEND"));
    create(
        "apiVersion: v1\nkind: Pod\nmetadata: {name: Bad_Name}\nspec: {containers: [{name: a, image: b}]}",
    )
    .refused(&["is invalid: metadata.name: Invalid value: \"Bad_Name\"", "RFC 1123 subdomain"]);
    create("apiVersion: v1\nkind: Pod\nmetadata: {name: empty}\nspec: {}")
        .refused(&["spec.containers: Required value"]);
    create("apiVersion: v1\nkind: Pod\nmetadata: {name: typo}\nspec: {containers: [{name: a, imagee: b}]}")
        .refused(&["unknown field \"spec.containers[0].imagee\""]);
    create("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\nspec: {replicas: many, selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {containers: [{name: a, image: b}]}}}")
        .refused(&["cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32"]);
    create("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\nspec: {selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: c}}, spec: {containers: [{name: a, image: b}]}}}")
        .refused(&["`selector` does not match template `labels`"]);
    create("apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {type: NodePort, ports: [{port: 80, nodePort: 80}]}")
        .refused(&["provided port is not in the valid range. The range of valid ports is 30000-32767"]);
    assert_eq!(shell.types("kubectl get all -A -o name").out, before);
}
