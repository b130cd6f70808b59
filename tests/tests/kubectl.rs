//! Chapter "kubectl": what a course types in its first lessons.

#![allow(clippy::unwrap_used)]

use cluster_tests::{Cluster, Shell, page};

#[test]
fn the_chapter_on_kubectl_works_as_printed() {
    let cluster = Cluster::start("kubectl", 1).unwrap();
    page::walk_with_both(&cluster, "docs/tutorials/kubectl.md");
    for shell in [Some(cluster.shell()), cluster.upstream_shell()].into_iter().flatten() {
        println!("── with {}", shell.which());
        a_shell_in_a_pod_of_its_own(&shell);
        a_refused_edit_opens_again(&cluster, &shell);
        a_watch_tells_what_happens(&shell);
    }
    cluster.end().unwrap();
}

fn a_shell_in_a_pod_of_its_own(shell: &Shell<'_>) {
    let line = "kubectl run busybox --image=busybox --restart=Never --rm -it -- sh";
    let seen = shell.types_at_terminal(line, "echo I am $(hostname)\nexit\n");
    seen.shows(&["I am busybox", "pod \"busybox\" deleted"]);
    shell.types("kubectl get pod busybox").refused(&["NotFound"]);
}

/// The second time the editor opens, the reason of the refusal is on top; what it then says is applied.
fn a_refused_edit_opens_again(cluster: &Cluster, shell: &Shell<'_>) {
    let editor = "#!/bin/sh\n\
        if grep -q 'must be greater than or equal to 0' \"$1\"; then\n\
          head -n 12 \"$1\" > reason; sed -i 's/replicas: -1/replicas: 2/' \"$1\"\n\
        else\n\
          sed -i 's/replicas: 1/replicas: -1/' \"$1\"\n\
        fi\n";
    cluster.file("editor.sh", editor).unwrap();
    shell.types("rm -f reason; kubectl create deployment edited --image=nginx").ok();
    shell
        .types("EDITOR='sh editor.sh' kubectl edit deployment edited")
        .shows(&["deployment.apps/edited edited"]);
    let reason = shell.types("cat reason");
    reason.shows(&[
        "# Please edit the object below.",
        "# deployments.apps \"edited\" was not valid:",
        "# * spec.replicas: Invalid value: -1",
    ]);
    shell.types("kubectl get deployment edited -o jsonpath='{.spec.replicas}'").shows(&["2"]);
    shell.types("kubectl delete deployment edited").ok();
}

fn a_watch_tells_what_happens(shell: &Shell<'_>) {
    let mut watch = shell.starts("kubectl get configmaps -w --output-watch-events > watched");
    shell.until("cat watched", |seen| seen.out.contains("kube-root-ca.crt"));
    shell.types("kubectl create configmap seen --from-literal=a=b").ok();
    shell.types("kubectl delete configmap seen").ok();
    shell.until("cat watched", |seen| seen.out.contains("DELETED"));
    watch.kill().and_then(|()| watch.wait()).unwrap();
    let seen = shell.types("grep seen watched; rm watched");
    let told: Vec<&str> =
        seen.out.lines().map(|line| line.split_whitespace().next().unwrap_or(line)).collect();
    assert_eq!(told, ["ADDED", "DELETED"], "{}", seen.out);
}
