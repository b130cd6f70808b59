//! Clients that nobody here wrote: programs that use them as their own users do, against a whole cluster.

#![allow(clippy::unwrap_used)]

#[path = "clients/kube.rs"]
mod kube;

use cluster_tests::{
    Cluster,
    clients::{self, Installed},
};

/// Each in a namespace of its own, so that all run at the same time.
const PYTHON: [&str; 7] = [
    "test_dynamic",
    "test_election",
    "test_helm",
    "test_objects",
    "test_operator",
    "test_streams",
    "test_watches",
];
const NODE: [&str; 3] = ["objects.test.mjs", "streams.test.mjs", "watches.test.mjs"];

#[test]
fn other_peoples_clients_find_a_kubernetes() {
    let (python, node) = (clients::python().unwrap(), clients::node().unwrap());
    let cluster = Cluster::start("clients", 1).unwrap();
    std::thread::scope(|scope| {
        let mut runs = vec![scope.spawn(|| kube::drive(&cluster))];
        for program in PYTHON {
            let (cluster, python) = (&cluster, &python);
            runs.push(scope.spawn(move || run(cluster, python, "-m unittest -v", program)));
        }
        let (cluster, node) = (&cluster, &node);
        runs.push(scope.spawn(move || run(cluster, node, "--test", &NODE.join(" "))));
        let failed = runs.into_iter().map(|run| run.join()).filter(Result::is_err).count();
        assert_eq!(failed, 0, "clients failed, see above");
    });
    cluster.end().unwrap();
}

/// Runs a program of other people's clients to its end.
fn run(cluster: &Cluster, installed: &Installed, how: &str, programs: &str) {
    let (home, interpreter) = (installed.programs.display(), installed.interpreter.display());
    let line = format!(
        "cd {home} && PYTHONDONTWRITEBYTECODE=1 timeout --kill-after=5 150 {interpreter} {how} {programs} 2>&1"
    );
    let seen = cluster.shell().types(&line);
    println!("── {programs}\n{}", seen.out);
    assert_eq!(seen.code, 0, "{programs} failed");
}
