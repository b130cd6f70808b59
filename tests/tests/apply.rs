//! Chapter "create and apply": imperative and declarative, merged by kubectl and by the server.

#![allow(clippy::unwrap_used)]

use cluster_tests::{Cluster, Shell, page};

#[test]
fn the_chapter_on_apply_works_as_printed() {
    let cluster = Cluster::start("apply", 1).unwrap();
    page::walk_with_both(&cluster, "docs/tutorials/apply.md");
    for shell in [Some(cluster.shell()), cluster.upstream_shell()].into_iter().flatten() {
        println!("── with {}", shell.which());
        applying_again_writes_nothing(&cluster, &shell);
        what_kubectl_applied_itself_the_server_takes_over(&cluster, &shell);
        what_was_applied_last_can_be_shown_set_and_edited(&cluster, &shell);
        a_set_remembers_its_members(&cluster, &shell);
    }
    appliers_at_once_lose_nothing(&cluster, &cluster.shell());
    cluster.end().unwrap();
}

fn map(labels: &str, data: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: map\n  labels: {labels}\ndata: {data}\n")
}

fn field(shell: &Shell<'_>, path: &str) -> String {
    let seen =
        shell.types(&format!("kubectl get configmap map --show-managed-fields -o jsonpath='{{{path}}}'"));
    seen.ok().to_owned()
}

fn applying_again_writes_nothing(cluster: &Cluster, shell: &Shell<'_>) {
    cluster.file("map.yaml", &map("{a: b}", "{key: value}")).unwrap();
    for how in ["", "--server-side"] {
        shell.types(&format!("kubectl apply {how} -f map.yaml")).ok();
        let (version, owners) =
            (field(shell, ".metadata.resourceVersion"), field(shell, ".metadata.managedFields"));
        shell.types(&format!("kubectl apply {how} -f map.yaml")).ok();
        shell.types("kubectl label configmap map a=b").ok();
        assert_eq!(field(shell, ".metadata.resourceVersion"), version, "{how}");
        assert_eq!(field(shell, ".metadata.managedFields"), owners, "{how}");
        let hidden = shell.types("kubectl get configmap map -o yaml");
        assert!(!hidden.out.contains("managedFields"), "{}", hidden.out);
        shell.types("kubectl delete -f map.yaml").ok();
    }
}

/// A label that client-side apply gave goes with a server-side apply that no longer names it.
fn what_kubectl_applied_itself_the_server_takes_over(cluster: &Cluster, shell: &Shell<'_>) {
    cluster.file("map.yaml", &map("{a: b, old: label}", "{key: value}")).unwrap();
    shell.types("kubectl apply -f map.yaml").ok();
    assert_eq!(field(shell, ".metadata.managedFields[*].manager"), "kubectl-client-side-apply");
    cluster.file("map.yaml", &map("{a: b}", "{key: other}")).unwrap();
    shell.types("kubectl apply --server-side -f map.yaml").shows(&["configmap/map serverside-applied"]);
    assert_eq!(field(shell, ".metadata.labels"), r#"{"a":"b"}"#);
    let owners = field(shell, ".metadata.managedFields[*].manager");
    assert!(!owners.contains("client-side"), "{owners}");
    shell.types("kubectl apply view-last-applied configmap map").shows(&["key: other"]);
    shell.types("kubectl delete -f map.yaml").ok();
}

fn what_was_applied_last_can_be_shown_set_and_edited(cluster: &Cluster, shell: &Shell<'_>) {
    cluster.file("map.yaml", &map("{a: b}", "{key: value}")).unwrap();
    shell.types("kubectl create -f map.yaml --save-config").ok();
    shell.types("kubectl apply view-last-applied configmap map -o json").shows(&["\"key\": \"value\""]);
    cluster.file("map.yaml", &map("{a: b}", "{key: set}")).unwrap();
    shell.types("kubectl apply set-last-applied -f map.yaml").shows(&["configmap/map configured"]);
    shell.types("kubectl apply set-last-applied -f map.yaml").shows(&["no changes required"]);
    assert_eq!(field(shell, ".data.key"), "value");
    shell
        .types("EDITOR='sed -i s/set/edited/' kubectl apply edit-last-applied configmap/map")
        .shows(&["configmap/map edited"]);
    shell.types("kubectl apply view-last-applied configmap map").shows(&["key: edited"]);
    shell.types("kubectl delete -f map.yaml").ok();
}

/// A set's parent knows the kinds of its members, so that none is forgotten when its file is gone.
fn a_set_remembers_its_members(cluster: &Cluster, shell: &Shell<'_>) {
    cluster.file("set/map.yaml", &map("{a: b}", "{key: value}")).unwrap();
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: member}\n";
    cluster.file("set/secret.yaml", secret).unwrap();
    let apply = "KUBECTL_APPLYSET=true kubectl apply -n default --prune --applyset=parent -f set";
    shell.types(apply).shows(&["configmap/map created", "secret/member created"]);
    shell.types("rm set/secret.yaml").ok();
    shell.types(apply).shows(&["configmap/map unchanged", "secret/member pruned"]);
    let kinds = "kubectl get secret parent -o jsonpath='{.metadata.annotations.applyset\\.kubernetes\\.io/contains-group-kinds}'";
    assert_eq!(shell.types(kinds).out, "ConfigMap");
    shell.types("kubectl delete configmap/map secret/parent; rm -r set").ok();
}

/// Every applier owns its own key, however many apply at the same moment.
fn appliers_at_once_lose_nothing(cluster: &Cluster, shell: &Shell<'_>) {
    const APPLIERS: usize = 12;
    for applier in 0..APPLIERS {
        cluster
            .file(&format!("map-{applier}.yaml"), &map("{a: b}", &format!("{{key-{applier}: value}}")))
            .unwrap();
    }
    let line = format!(
        "for applier in $(seq 0 {}); do kubectl apply --server-side --field-manager=applier-$applier -f map-$applier.yaml & done; wait",
        APPLIERS - 1
    );
    let seen = shell.types(&line);
    assert_eq!(
        seen.out.matches("configmap/map serverside-applied").count(),
        APPLIERS,
        "{}{}",
        seen.out,
        seen.err
    );
    let keys: serde_json::Value = serde_json::from_str(&field(shell, ".data")).unwrap();
    assert_eq!(keys.as_object().unwrap().len(), APPLIERS);
    let owners = field(shell, ".metadata.managedFields[*].manager");
    assert_eq!(owners.split(' ').count(), APPLIERS, "{owners}");
    // One gives up its key, and its share of the label that all others still own.
    cluster.file("map-0.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: map}\n").unwrap();
    shell.types("kubectl apply --server-side --field-manager=applier-0 -f map-0.yaml").ok();
    assert_eq!(
        (field(shell, ".data.key-0"), field(shell, ".metadata.labels.a")),
        (String::new(), "b".to_owned())
    );
    shell.types("kubectl delete configmap map").ok();
}
