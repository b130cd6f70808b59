//! Chapter "services": one address for many pods, of every kind, from inside and from outside.

#![allow(clippy::unwrap_used)]

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use cluster_tests::{Cluster, Shell, page};

const WORKERS: [&str; 2] = ["w1-k8s", "w2-k8s"];

#[test]
fn the_chapter_on_services_works_as_printed() {
    let cluster = Cluster::start("services", 1).unwrap();
    page::walk_with_both(&cluster, "docs/tutorials/services.md");

    let shell = cluster.shell();
    shell.types("kubectl create deployment web --image=sysnet4admin/chk-hn --replicas=4").ok();
    shell.types("kubectl create deployment seen --image=nginx").ok();
    shell.types("kubectl run ask --image=busybox -- sleep 3600").ok();
    shell.types("kubectl rollout status deployment web seen --timeout=60s").ok();
    shell.types("kubectl wait --for=condition=Ready pod/ask --timeout=60s").ok();

    an_address_stays_while_pods_change(&shell);
    load_is_spread_and_affinity_holds(&shell);
    node_ports_answer_at_every_node(&shell);
    an_address_is_there_within_a_second(&shell);
    only_the_ports_of_the_service_answer(&shell);
    source_ranges_are_held_to(&shell);
    addresses_outlive_the_controller(&cluster, &shell);
    local_traffic_keeps_the_clients_address(&shell);
    an_address_moves_when_its_node_dies(&shell);
    other_classes_are_left_alone(&shell);
    nothing_stays_of_what_is_deleted(&shell);
    cluster.end().unwrap();
}

fn field(shell: &Shell<'_>, service: &str, path: &str) -> String {
    shell.types(&format!("kubectl get service {service} -o jsonpath='{{{path}}}'")).ok().to_owned()
}

fn address_of(shell: &Shell<'_>, service: &str) -> String {
    let line = format!("kubectl get service {service} -o jsonpath='{{.status.loadBalancer.ingress[0].ip}}'");
    shell.until(&line, |seen| seen.out.starts_with("192.168.1.")).out
}

fn announcer_of(shell: &Shell<'_>, service: &str) -> String {
    field(shell, service, ".metadata.annotations.magnetite/announced-by")
}

/// What a client outside the nodes gets; nothing if it gets no answer.
fn asks(shell: &Shell<'_>, url: &str) -> String {
    shell.outside(&["curl", "-s", "--max-time", "1", url]).out.trim().to_owned()
}

#[track_caller]
fn answers(shell: &Shell<'_>, url: &str, within: Duration) -> String {
    let begun = Instant::now();
    loop {
        let answer = asks(shell, url);
        if !answer.is_empty() {
            return answer;
        }
        assert!(begun.elapsed() < within, "{url} does not answer within {within:?}");
    }
}

/// The nodes that have an address on a link.
fn holders(shell: &Shell<'_>, address: &str) -> Vec<&'static str> {
    let has = |node: &&str| {
        shell.run_in(node, &["ip", "-4", "-o", "address"]).out.contains(&format!(" {address}/32 "))
    };
    WORKERS.into_iter().filter(has).collect()
}

#[track_caller]
fn held_by(shell: &Shell<'_>, address: &str, nodes: &[&str]) {
    let begun = Instant::now();
    while holders(shell, address) != nodes {
        let so_far = holders(shell, address);
        assert!(begun.elapsed() < Duration::from_secs(20), "{address} is at {so_far:?}, not at {nodes:?}");
    }
}

fn an_address_stays_while_pods_change(shell: &Shell<'_>) {
    shell.types("kubectl expose deployment web --port=80").ok();
    let address = field(shell, "web", ".spec.clusterIP");
    shell.until("kubectl exec ask -- timeout 2 wget -qO- http://web", |seen| seen.out.starts_with("web-"));
    shell.types("kubectl rollout restart deployment web").ok();
    shell.types("kubectl rollout status deployment web --timeout=60s").ok();
    assert_eq!(field(shell, "web", ".spec.clusterIP"), address);
    let line = format!("kubectl exec ask -- wget -qO- http://{address}");
    let answer = shell.until(&line, |seen| seen.code == 0).out;
    shell.types(&format!("kubectl get pod {}", answer.trim())).ok();
}

/// Who answered how often.
fn counts(shell: &Shell<'_>) -> BTreeMap<String, usize> {
    let line = "kubectl exec ask -- sh -c 'for i in $(seq 80); do wget -qO- http://web; done'";
    let mut counts = BTreeMap::new();
    for name in shell.types(line).ok().lines() {
        *counts.entry(name.to_owned()).or_default() += 1;
    }
    counts
}

fn load_is_spread_and_affinity_holds(shell: &Shell<'_>) {
    // Pods that are on their way out still answer for a moment.
    shell.until("kubectl get pods -l app=web -o name | wc -l", |seen| seen.out.trim() == "4");
    let spread = counts(shell);
    // Each of four pods is due 20 of 80; one has fewer than 4 once in a hundred thousand times.
    assert!(spread.len() == 4 && spread.values().all(|count| *count >= 4), "{spread:?}");
    shell.types(r#"kubectl patch service web -p '{"spec":{"sessionAffinity":"ClientIP"}}'"#).ok();
    let chain = ["iptables", "-t", "nat", "-S"];
    for node in WORKERS {
        let begun = Instant::now();
        while !shell.run_in(node, &chain).out.contains("--rcheck --seconds 10800") {
            assert!(begun.elapsed() < Duration::from_secs(10), "{node} does not learn of the affinity");
        }
    }
    let stays = counts(shell);
    assert_eq!(stays.len(), 1, "{stays:?}");
    shell.types(r#"kubectl patch service web -p '{"spec":{"sessionAffinity":"None"}}'"#).ok();
}

fn node_ports_answer_at_every_node(shell: &Shell<'_>) {
    shell.types("kubectl expose deployment web --name=web-np --type=NodePort --port=80").ok();
    let port: u16 = field(shell, "web-np", ".spec.ports[0].nodePort").parse().unwrap();
    assert!((30_000..32_768).contains(&port), "{port}");
    for node in ["192.168.1.10", "192.168.1.101", "192.168.1.102"] {
        let answer = answers(shell, &format!("http://{node}:{port}"), Duration::from_secs(10));
        assert!(answer.starts_with("web-"), "{answer}");
    }
    let again = format!("kubectl create service nodeport again --tcp=80 --node-port={port}");
    shell.types(&again).refused(&["provided port is already allocated"]);
    // A port that is free again can be had.
    shell.types("kubectl delete service web-np").ok();
    shell.until(&again, |seen| seen.code == 0);
    shell.types("kubectl delete service again").ok();
}

fn an_address_is_there_within_a_second(shell: &Shell<'_>) {
    let begun = Instant::now();
    shell.types("kubectl expose deployment web --name=web-lb --type=LoadBalancer --port=80").ok();
    let address = address_of(shell, "web-lb");
    let (given, begun) = (begun.elapsed(), Instant::now());
    assert!(given < Duration::from_secs(1), "{given:?}");
    assert_eq!(address, "192.168.1.11");
    let answer = answers(shell, &format!("http://{address}"), Duration::from_secs(5));
    assert!(answer.starts_with("web-"), "{answer}");
    println!("   address after {given:.1?}, answer after {:.1?}", begun.elapsed());
    held_by(shell, &address, &[&announcer_of(shell, "web-lb")]);
    // Pods reach it too, from every node, without going there.
    let line = format!("kubectl exec ask -- wget -qO- http://{address}");
    shell.until(&line, |seen| seen.out.starts_with("web-"));
}

fn only_the_ports_of_the_service_answer(shell: &Shell<'_>) {
    let address = address_of(shell, "web-lb");
    let node = announcer_of(shell, "web-lb");
    let node = if node == "w1-k8s" { "192.168.1.101" } else { "192.168.1.102" };
    // 10256 is kube-proxy's health, which every address of the node would answer at.
    let health = |address: &str| asks(shell, &format!("http://{address}:10256/healthz"));
    assert!(health(node).contains("lastUpdated"));
    assert_eq!(health(&address), "");
}

fn source_ranges_are_held_to(shell: &Shell<'_>) {
    let url = format!("http://{}", address_of(shell, "web-lb"));
    let patch = |ranges: &str| {
        let spec = format!(r#"{{"spec":{{"loadBalancerSourceRanges":{ranges}}}}}"#);
        shell.types(&format!("kubectl patch service web-lb -p '{spec}'")).ok();
    };
    patch(r#"["198.51.100.0/24"]"#);
    let begun = Instant::now();
    while !asks(shell, &url).is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(10), "strangers are still let in");
    }
    patch(r#"["198.51.100.0/24","192.168.1.1/32"]"#);
    answers(shell, &url, Duration::from_secs(10));
    patch("null");
    answers(shell, &url, Duration::from_secs(10));
}

fn addresses_outlive_the_controller(cluster: &Cluster, shell: &Shell<'_>) {
    let address = address_of(shell, "web-lb");
    cluster.lab().order("m-k8s", "kill cloud-controller-manager").unwrap();
    // While it is away, whoever has an address keeps it, and it answers.
    answers(shell, &format!("http://{address}"), Duration::from_secs(5));
    shell.types("kubectl expose deployment seen --type=LoadBalancer --port=80").ok();
    let next = shell
        .until_within(
            Duration::from_secs(40),
            "kubectl get service seen -o jsonpath='{.status.loadBalancer.ingress[0].ip}'",
            |seen| seen.out.starts_with("192.168.1."),
        )
        .out;
    assert_eq!((address.as_str(), next.as_str()), ("192.168.1.11", "192.168.1.12"));
    assert_eq!(address_of(shell, "web-lb"), address);
}

fn local_traffic_keeps_the_clients_address(shell: &Shell<'_>) {
    let url = format!("http://{}", address_of(shell, "seen"));
    let last_client = || {
        answers(shell, &url, Duration::from_secs(10));
        let log = shell.types("kubectl logs deployment/seen --tail=1").out;
        log.split(' ').next().unwrap_or_default().to_owned()
    };
    assert_ne!(last_client(), "192.168.1.1", "under policy Cluster a node is the client");
    shell.types(r#"kubectl patch service seen -p '{"spec":{"externalTrafficPolicy":"Local"}}'"#).ok();
    let node =
        shell.types("kubectl get pods -l app=seen -o jsonpath='{.items[0].spec.nodeName}'").ok().to_owned();
    shell.until(
        "kubectl get service seen -o jsonpath='{.metadata.annotations.magnetite/announced-by}'",
        |seen| seen.out == node,
    );
    held_by(shell, &address_of(shell, "seen"), &[&node]);
    let begun = Instant::now();
    while last_client() != "192.168.1.1" {
        assert!(begun.elapsed() < Duration::from_secs(10), "the client's address is not kept");
    }
    // Every node tells whether it has endpoints.
    let port = field(shell, "seen", ".spec.healthCheckNodePort");
    for (name, address) in WORKERS.into_iter().zip(["192.168.1.101", "192.168.1.102"]) {
        let wanted = format!("\"localEndpoints\":{}", usize::from(name == node));
        let url = format!("http://{address}:{port}/");
        let begun = Instant::now();
        while !asks(shell, &url).contains(&wanted) {
            assert!(begun.elapsed() < Duration::from_secs(10), "{name} does not say {wanted}");
        }
    }
    // Without any endpoint nobody answers; with one on another node, that one does.
    shell.types("kubectl scale deployment seen --replicas=0").ok();
    let announced = "kubectl get service seen -o jsonpath='{.metadata.annotations.magnetite/announced-by}'";
    shell.until(announced, |seen| seen.out.is_empty());
    held_by(shell, &address_of(shell, "seen"), &[]);
    shell.types(&format!("kubectl cordon {node}")).ok();
    shell.types("kubectl scale deployment seen --replicas=1").ok();
    let other = WORKERS.into_iter().find(|name| *name != node).unwrap();
    shell.until(announced, |seen| seen.out == other);
    shell.types(&format!("kubectl uncordon {node}")).ok();
    answers(shell, &url, Duration::from_secs(10));
}

fn an_address_moves_when_its_node_dies(shell: &Shell<'_>) {
    let (address, dead) = (address_of(shell, "web-lb"), announcer_of(shell, "web-lb"));
    let alive = WORKERS.into_iter().find(|name| *name != dead).unwrap();
    let cable = |state: &str| {
        shell.outside(&["ip", "link", "set", &format!("p-{dead}"), state]).ok();
    };
    cable("down");
    let begun = Instant::now();
    // Half of the pods are behind the same cable, which the cluster does not know yet: a client tries again.
    let answer = answers(shell, &format!("http://{address}"), Duration::from_secs(15));
    let moved = begun.elapsed();
    assert!(answer.starts_with("web-"), "{answer}");
    println!("   {address} answers again after {moved:.1?}");
    assert_eq!(announcer_of(shell, "web-lb"), alive);
    cable("up");
    // Cut off, it could not know; it finds the other in its place, and yields.
    held_by(shell, &address, &[alive]);
    shell.types("kubectl wait --for=condition=Ready node --all --timeout=60s").ok();
}

fn other_classes_are_left_alone(shell: &Shell<'_>) {
    let spec = r#"{"spec":{"loadBalancerClass":"example.com/other","allocateLoadBalancerNodePorts":false}}"#;
    let line = format!(
        "kubectl expose deployment web --name=foreign --type=LoadBalancer --port=80 --overrides='{spec}'"
    );
    shell.types(&line).ok();
    assert_eq!(field(shell, "foreign", ".spec.ports[0].nodePort"), "", "no node port was wished for");
    // Whoever comes after it is served; it is not.
    shell.types("kubectl expose deployment web --name=after --type=LoadBalancer --port=80").ok();
    address_of(shell, "after");
    assert_eq!(field(shell, "foreign", ".status.loadBalancer.ingress"), "");
}

fn nothing_stays_of_what_is_deleted(shell: &Shell<'_>) {
    let address = address_of(shell, "web-lb");
    // No load balancer any more: the address goes, the Service stays.
    shell.types(r#"kubectl patch service web-lb -p '{"spec":{"type":"ClusterIP"}}'"#).ok();
    held_by(shell, &address, &[]);
    shell.until(
        "kubectl get service web-lb -o jsonpath='{.status.loadBalancer} {.metadata.finalizers}'",
        |seen| seen.out.trim() == "{}",
    );
    shell.types("kubectl delete service web web-lb seen foreign after").ok();
    shell.types("kubectl delete deployment web seen").ok();
    shell.types("kubectl delete pod ask --grace-period=1").ok();
    for node in WORKERS {
        let left = shell.run_in(node, &["ip", "-4", "address", "show", "label", "podnet:lb"]);
        assert_eq!(left.out.trim(), "", "{node}");
    }
}
