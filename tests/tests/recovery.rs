//! What happens when components are killed, and who is refused: on a cluster with three etcd members.

#![allow(clippy::unwrap_used)]

use std::{fs, time::Duration};

use authn::{
    Claims, Issuer, SigningKey,
    claims::{Grant, Reference},
};
use cluster_tests::{Cluster, Shell};
use x509_parser::{
    pem::{Pem, parse_x509_pem},
    prelude::X509Certificate,
};

#[test]
fn every_component_recovers_and_strangers_are_refused() {
    let cluster = Cluster::start("recovery", 3).unwrap();
    let shell = cluster.shell();
    strangers_are_refused(&cluster, &shell);
    shell
        .types("kubectl create deployment web --image=sysnet4admin/chk-hn --replicas=2")
        .shows(&["deployment.apps/web created"]);
    shell.types("kubectl rollout status deployment web --timeout=90s").ok();
    shell.types("kubectl expose deployment web --port=80").ok();

    controllers_and_scheduler_come_back(&cluster, &shell);
    the_node_comes_back(&cluster, &shell);
    the_proxy_learns_what_it_missed(&cluster, &shell);
    the_api_and_its_store_come_back(&cluster, &shell);
    cluster.end().unwrap();
}

fn strangers_are_refused(cluster: &Cluster, shell: &Shell<'_>) {
    a_certificate_of_another_authority_is_refused(cluster, shell);
    shell.types(&with_token("nonsense")).refused(&["Unauthorized"]);
    shell.types("kubectl get pods --as=jane").refused(&[
        "Error from server (Forbidden): pods is forbidden: User \"jane\" cannot list resource \"pods\" in API group \"\" in the namespace \"default\"",
    ]);
    assert_eq!(shell.types("kubectl auth can-i list pods --as=jane").out, "no\n");
    shell
        .types("kubectl create role reads --verb=get,list --resource=pods")
        .shows(&["role.rbac.authorization.k8s.io/reads created"]);
    shell.types("kubectl create rolebinding jane-reads --role=reads --user=jane").ok();
    shell.until("kubectl auth can-i list pods --as=jane", |seen| seen.out == "yes\n");
    shell.types("kubectl get pods --as=jane").ok();

    tokens_are_good_until_they_expire_or_their_account_is_gone(cluster, shell);
}

/// Asks for pods with nothing but a token.
fn with_token(token: &str) -> String {
    format!(
        "kubectl --kubeconfig /dev/null --insecure-skip-tls-verify --server=$(kubectl config view -o jsonpath='{{.clusters[0].cluster.server}}') --token={token} get pods"
    )
}

fn a_certificate_of_another_authority_is_refused(cluster: &Cluster, shell: &Shell<'_>) {
    let topology = cluster.lab().topology();
    let stranger = topology.state.join("stranger.conf").display().to_string();
    let admin = topology.kubeconfig().display().to_string();
    let pem_of = |kubeconfig: &str| -> Pem {
        let shown = shell.types(&format!("kubectl --kubeconfig {kubeconfig} config view --raw -o jsonpath='{{.users[0].user.client-certificate-data}}' | base64 -d"));
        parse_x509_pem(shown.ok().as_bytes()).unwrap().1
    };
    // The same name and groups as the administrator's, but not of the cluster's authority.
    let authority = fs::read(pki_file(cluster, "ca.crt")).unwrap();
    let (authority, strange, good) =
        (parse_x509_pem(&authority).unwrap().1, pem_of(&stranger), pem_of(&admin));
    let (authority, strange, good): (X509Certificate<'_>, X509Certificate<'_>, X509Certificate<'_>) =
        (authority.parse_x509().unwrap(), strange.parse_x509().unwrap(), good.parse_x509().unwrap());
    assert_eq!(strange.issuer().to_string(), "CN=stranger");
    assert!(strange.verify_signature(Some(authority.public_key())).is_err());
    assert!(good.verify_signature(Some(authority.public_key())).is_ok());
    let name = |certificate: &X509Certificate<'_>| {
        certificate
            .subject()
            .iter_common_name()
            .map(|name| name.as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(name(&strange), name(&good));

    shell.types(&format!("kubectl --kubeconfig {stranger} get pods")).refused(&["Unauthorized"]);
    shell.types(&format!("kubectl --kubeconfig {admin} get pods")).ok();
}

fn pki_file(cluster: &Cluster, name: &str) -> std::path::PathBuf {
    let topology = cluster.lab().topology();
    topology.node_state(topology.control_plane()).join("etc/kubernetes/pki").join(name)
}

fn tokens_are_good_until_they_expire_or_their_account_is_gone(cluster: &Cluster, shell: &Shell<'_>) {
    shell.types("kubectl create serviceaccount robot").ok();
    let issued = with_token(shell.types("kubectl create token robot").ok().trim());
    shell
        .types(&issued)
        .refused(&["User \"system:serviceaccount:default:robot\" cannot list resource \"pods\""]);
    shell.types("kubectl create rolebinding robot-reads --role=reads --serviceaccount=default:robot").ok();
    shell.until(&issued, |seen| seen.code == 0);

    // Two tokens of the cluster's own key that differ in nothing but their end.
    let key = SigningKey::from_pem(&fs::read_to_string(pki_file(cluster, "sa.key")).unwrap()).unwrap();
    let audience = "https://kubernetes.default.svc.cluster.local";
    let issuer = Issuer::new(audience, key);
    let uid = shell.types("kubectl get serviceaccount robot -o jsonpath='{.metadata.uid}'").out;
    let now = jiff::Timestamp::now();
    let hour = jiff::SignedDuration::from_hours(1);
    let grant = Grant {
        namespace: "default".into(),
        service_account: Reference::new("robot", uid),
        bound: None,
        audiences: vec![audience.into()],
        expiration_seconds: hour.as_secs(),
        warn_after_seconds: None,
    };
    let expired = Claims::grant(grant, now - hour * 2, "made-by-a-test".into());
    let good = Claims { exp: Some((now + hour).as_second()), ..expired.clone() };
    shell.types(&with_token(&issuer.sign(good).unwrap())).ok();
    shell.types(&with_token(&issuer.sign(expired).unwrap())).refused(&["Unauthorized"]);

    shell.types("kubectl delete serviceaccount robot").ok();
    shell.until(&issued, |seen| seen.err.contains("Unauthorized"));
}

fn restarts(cluster: &Cluster, node: &str, unit: &str) {
    let before = cluster.lab().unit_pid(node, unit).unwrap();
    assert!(before.is_some(), "{unit} does not run on {node}");
    cluster.lab().order(node, &format!("kill {unit}")).unwrap();
    let begun = std::time::Instant::now();
    loop {
        let after = cluster.lab().unit_pid(node, unit).unwrap();
        if after.is_some() && after != before {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(10), "{unit} on {node} does not start again");
    }
}

fn controllers_and_scheduler_come_back(cluster: &Cluster, shell: &Shell<'_>) {
    for unit in ["kube-controller-manager", "kube-scheduler"] {
        restarts(cluster, "m-k8s", unit);
    }
    // Both were leaders: a successor waits for the lease, then everything goes on.
    shell.types("kubectl scale deployment web --replicas=4").ok();
    shell
        .until_within(Duration::from_secs(90), "kubectl get deployment web", |seen| seen.out.contains("4/4"));
}

fn the_node_comes_back(cluster: &Cluster, shell: &Shell<'_>) {
    let pods = "kubectl get pods -l app=web -o jsonpath='{range .items[*]}{.metadata.uid} {.status.containerStatuses[0].containerID} {.status.containerStatuses[0].restartCount}{\"\\n\"}{end}'";
    let before = shell.types(pods).ok().to_owned();
    for unit in ["kubelet", "kube-proxy", "podnet"] {
        restarts(cluster, "w1-k8s", unit);
    }
    shell.types("kubectl run after --image=nginx --overrides='{\"spec\":{\"nodeName\":\"w1-k8s\"}}'").ok();
    shell.types("kubectl wait --for=condition=Ready pod/after --timeout=60s").ok();
    // A kubelet that starts again leaves running containers alone.
    let sorted = |text: &str| {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(sorted(shell.types(pods).ok()), sorted(&before));
    let address = shell.types("kubectl get service web -o jsonpath='{.spec.clusterIP}'").out;
    let answers = shell.run_in("w1-k8s", &["curl", "-s", "-m", "5", &format!("http://{address}/")]);
    answers.shows(&["web-"]);
}

fn the_proxy_learns_what_it_missed(cluster: &Cluster, shell: &Shell<'_>) {
    // Killed as by a crash, and kept from starting again until the Service is there.
    cluster.lab().order("w1-k8s", "kill kube-proxy").unwrap();
    cluster.lab().order("w1-k8s", "stop kube-proxy").unwrap();
    assert_eq!(cluster.lab().unit_pid("w1-k8s", "kube-proxy").unwrap(), None);
    shell.types("kubectl expose deployment web --name=missed --port=80").ok();
    let address = shell.types("kubectl get service missed -o jsonpath='{.spec.clusterIP}'").out;
    let url = format!("http://{address}/");
    let ask = |node: &str| shell.run_in(node, &["curl", "-s", "-m", "2", &url]);
    eventually("the other node's proxy programs the Service", || ask("w2-k8s").out.contains("web-"));
    assert_ne!(ask("w1-k8s").code, 0, "who programmed the Service on w1-k8s?");
    cluster.lab().order("w1-k8s", "start kube-proxy").unwrap();
    eventually("the proxy programs what it missed", || ask("w1-k8s").out.contains("web-"));
}

#[track_caller]
fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = std::time::Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < cluster_tests::PATIENCE, "{what}: not within {:?}", begun.elapsed());
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn the_api_and_its_store_come_back(cluster: &Cluster, shell: &Shell<'_>) {
    let create = |name: &str| {
        shell.until(&format!("kubectl create configmap {name} --from-literal=a=b"), |seen| {
            seen.code == 0 || seen.err.contains("already exists")
        })
    };
    for number in 0..20 {
        create(&format!("before-{number}"));
    }
    restarts(cluster, "m-k8s", "kube-apiserver");
    create("after-apiserver");
    // One of three members may be gone.
    cluster.lab().order("w2-k8s", "stop etcd").unwrap();
    create("with-two-members");
    cluster.lab().order("w2-k8s", "start etcd").unwrap();
    restarts(cluster, "m-k8s", "etcd");
    create("after-etcd");
    let names = shell.until("kubectl get configmaps -o name", |seen| seen.code == 0).out;
    for number in 0..20 {
        assert!(names.contains(&format!("configmap/before-{number}\n")), "before-{number} is lost: {names}");
    }
    for name in ["after-apiserver", "with-two-members", "after-etcd"] {
        assert!(names.contains(&format!("configmap/{name}\n")), "{name} is lost: {names}");
    }
    // Controllers, scheduler and kubelets have found the API server again.
    shell.types("kubectl scale deployment web --replicas=2").ok();
    shell.until("kubectl get pods -l app=web --no-headers", |seen| {
        seen.out.lines().count() == 2 && seen.out.matches("Running").count() == 2
    });
}
