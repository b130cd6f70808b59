//! What goes through a connection to a container, by SPDY as old clients speak it and by WebSockets.

use cluster_tests::{Cluster, Shell};

/// Upstream's kubectl speaks either; ours speaks WebSockets.
const PROTOCOLS: [&str; 2] = ["false", "true"];

/// Sends, receives, ends and forwards, the same by each.
pub fn go_by_every_protocol(cluster: &Cluster) {
    let shell = cluster.shell();
    cluster.file("talker.yaml", include_str!("talker.yaml")).unwrap();
    shell.types("kubectl create -f talker.yaml").ok();
    shell.types("kubectl wait --for=condition=Ready pod/talker --timeout=60s").ok();
    talk(&shell, "");
    if let Some(shell) = cluster.upstream_shell() {
        for websockets in PROTOCOLS {
            let chosen = format!(
                "export KUBECTL_REMOTE_COMMAND_WEBSOCKETS={websockets} KUBECTL_PORT_FORWARD_WEBSOCKETS={websockets}; "
            );
            talk(&shell, &chosen);
        }
    }
    shell.types("kubectl delete pod talker").ok();
}

fn talk(shell: &Shell<'_>, chosen: &str) {
    println!("── streams by {}, {chosen}", shell.which());
    let types = |line: &str| shell.types(&format!("{chosen}{line}"));

    // More than any buffer on the way, there and back.
    let sums = types(
        "head -c 3000000 /dev/urandom > sent; kubectl exec -i talker -- cat < sent | cmp - sent && echo same",
    );
    assert_eq!(sums.out, "same\n", "{}", sums.err);
    let ended = types("kubectl exec talker -- sh -c 'echo out; echo err >&2; exit 7'");
    assert_eq!((ended.out.as_str(), ended.code), ("out\n", 7));
    assert!(ended.err.contains("err\n"), "{}", ended.err);
    let at_terminal = shell.types_at_terminal(
        &format!("{chosen}kubectl exec -it talker -- sh -c 'read line; stty size; echo told $line'"),
        "something\n",
    );
    assert!(at_terminal.out.contains("told something"), "{}", at_terminal.out);

    // The container repeats what it is told; nobody sends it more, so the connection is cut from this side.
    let attached =
        types("(echo hello; sleep 2) | timeout --preserve-status 10 kubectl attach -i talker 2>&1");
    assert!(attached.out.contains("heard hello"), "{}", attached.out);

    // What the one before was told is gone first: its port is nobody's any more.
    let forwarded = "rm -f forwarded; kubectl port-forward pod/talker :8080 > forwarded & program=$!
        until port=$(sed -n 's/Forwarding from 127.0.0.1:\\([0-9]*\\) .*/\\1/p' forwarded 2>/dev/null) && [ -n \"$port\" ]; do sleep 0.1; done
        for try in 1 2 3; do curl --silent --max-time 10 http://127.0.0.1:$port/ || break; done; kill $program";
    assert_eq!(types(forwarded).out, "served\n".repeat(3));
    types("rm -f copied; kubectl cp talker:/www/index.html copied 2>/dev/null && cat copied")
        .shows(&["served\n"]);
}
