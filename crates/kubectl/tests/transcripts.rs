//! What a user types and sees, against a server that answers with canned JSON.
#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::{Arc, Mutex};

use expect_test::{Expect, expect};
use serde_json::{Value, json};

/// A server on loopback that knows two pods and a deployment, and writes down what it is asked.
struct Double {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
    home: tempfile::TempDir,
}

impl Double {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let log = asked.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let log = log.clone();
                std::thread::spawn(move || serve(stream, &log));
            }
        });
        Self { port, asked, home: tempfile::tempdir().unwrap() }
    }

    /// Runs the command and returns its output, its errors and its exit code as one text.
    fn kubectl(&self, words: &[&str]) -> String {
        let output = Command::new(env!("CARGO_BIN_EXE_kubectl"))
            .args(["-s", &format!("http://127.0.0.1:{}", self.port)])
            .args(words)
            .env("HOME", self.home.path())
            .env_remove("KUBECONFIG")
            .env_remove("KUBERNETES_SERVICE_HOST")
            .current_dir(self.home.path())
            .output()
            .unwrap();
        let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.push_str(&String::from_utf8_lossy(&output.stderr));
        match output.status.code() {
            Some(0) => text,
            code => format!("{text}exit {}\n", code.unwrap_or(-1)),
        }
    }

    fn check(&self, command: &str, expected: Expect) {
        let words: Vec<&str> = command.split_whitespace().collect();
        expected.assert_eq(&self.kubectl(&words));
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.home.path().join(name), text).unwrap();
    }

    fn take_asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

fn serve(stream: TcpStream, log: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut writer = stream;
    loop {
        let mut first = String::new();
        if reader.read_line(&mut first).unwrap_or(0) == 0 {
            return;
        }
        let (mut length, mut table) = (0, false);
        loop {
            let mut header = String::new();
            reader.read_line(&mut header).unwrap();
            let header = header.trim().to_lowercase();
            if header.is_empty() {
                break;
            }
            table |= header.starts_with("accept:") && header.contains("as=table");
            if let Some(value) = header.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        let mut words = first.split_whitespace();
        let (method, path) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        log.lock().unwrap().push(format!("{method} {}", path.split('?').next().unwrap_or("")));
        let (code, warning, answer) = answer(method, path, &body, table);
        let answer = answer.to_string();
        let warning = if warning { "Warning: 299 - \"old\"\r\n" } else { "" };
        let head = format!(
            "HTTP/1.1 {code} X\r\ncontent-type: application/json\r\n{warning}content-length: {}\r\n\r\n",
            answer.len()
        );
        if writer.write_all(head.as_bytes()).and_then(|()| writer.write_all(answer.as_bytes())).is_err() {
            return;
        }
    }
}

fn pod(name: &str) -> Value {
    json!({"kind": "Pod", "apiVersion": "v1",
        "metadata": {"name": name, "namespace": "default", "uid": name, "labels": {"app": "web"}, "managedFields": []},
        "spec": {"containers": [{"name": "nginx", "image": "nginx"}]}, "status": {"phase": "Running"}})
}

fn deployment() -> Value {
    let applied = json!({"kind": "Deployment", "apiVersion": "apps/v1", "metadata": {"name": "web", "namespace": "default", "annotations": {}},
        "spec": {"replicas": 1, "template": {"spec": {"containers": [{"name": "nginx", "image": "nginx:1"}]}}}});
    json!({"kind": "Deployment", "apiVersion": "apps/v1",
        "metadata": {"name": "web", "namespace": "default", "uid": "d", "annotations": {
            "kubectl.kubernetes.io/last-applied-configuration": format!("{applied}\n")}},
        "spec": {"replicas": 1, "template": {"spec": {"containers": [{"name": "nginx", "image": "nginx:1"}]}}}})
}

fn status(code: u16, reason: &str, message: &str) -> (u16, bool, Value) {
    (
        code,
        false,
        json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": message}),
    )
}

fn answer(method: &str, path: &str, body: &Value, table: bool) -> (u16, bool, Value) {
    let path = path.split('?').next().unwrap_or("");
    let resource = |group: &str, plural: &str, kind: &str, short: &str| {
        json!({"metadata": {"name": group}, "versions": [{"version": "v1", "resources": [{"resource": plural,
            "responseKind": {"group": group, "version": "v1", "kind": kind}, "scope": "Namespaced",
            "singularResource": kind.to_lowercase(), "verbs": ["list", "get"], "shortNames": [short], "categories": ["all"]}]}]})
    };
    let objects = if path.contains("/pods") { vec![pod("a"), pod("bb")] } else { vec![deployment()] };
    match (method, path) {
        ("GET", "/api") => (
            200,
            false,
            json!({"kind": "APIGroupDiscoveryList", "items": [resource("", "pods", "Pod", "po")]}),
        ),
        ("GET", "/apis") => (
            200,
            false,
            json!({"kind": "APIGroupDiscoveryList", "items": [resource("apps", "deployments", "Deployment", "deploy")]}),
        ),
        ("GET", "/api/v1/namespaces/default/pods" | "/apis/apps/v1/namespaces/default/deployments")
            if table =>
        {
            let rows: Vec<Value> =
                objects.iter().map(|o| json!({"cells": [o["metadata"]["name"], "1/1"], "object": {"metadata": o["metadata"]}})).collect();
            (
                200,
                false,
                json!({"kind": "Table", "metadata": {}, "rows": rows, "columnDefinitions": [{"name": "Name"}, {"name": "Ready"}]}),
            )
        }
        ("GET", "/api/v1/namespaces/default/pods") => {
            (200, false, json!({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": objects}))
        }
        ("GET", "/api/v1/namespaces/empty/pods") => {
            (200, false, json!({"kind": "Table", "metadata": {}, "rows": [], "columnDefinitions": []}))
        }
        ("POST", "/api/v1/namespaces/default/pods") if body["metadata"]["name"] == "a" => {
            status(409, "AlreadyExists", "pods \"a\" already exists")
        }
        ("POST", "/api/v1/namespaces/default/pods") if body["metadata"]["name"] == "bad" => (
            422,
            false,
            json!({"kind": "Status", "code": 422, "reason": "Invalid", "message": "Pod \"bad\" is invalid", "details": {"kind": "Pod", "name": "bad",
                "causes": [{"field": "spec.containers", "message": "Required value"}]}}),
        ),
        ("POST", _) => (201, true, body.clone()),
        ("GET" | "PATCH" | "DELETE", _) if path.ends_with("/pods/a") => (200, false, pod("a")),
        ("GET" | "PATCH", _) if path.ends_with("/deployments/web") => (200, false, deployment()),
        _ => {
            let name = path.rsplit('/').next().unwrap_or("");
            status(404, "NotFound", &format!("pods \"{name}\" not found"))
        }
    }
}

const POD: &str =
    "apiVersion: v1\nkind: Pod\nmetadata: {name: NAME}\nspec: {containers: [{name: c, image: i}]}\n";

#[test]
fn get_prints_the_servers_tables() {
    let double = Double::start();
    double.check(
        "get pods",
        expect![[r#"
        NAME   READY
        a      1/1
        bb     1/1
    "#]],
    );
    double.check(
        "get deploy,po",
        expect![[r#"
        NAME                  READY
        deployment.apps/web   1/1

        NAME     READY
        pod/a    1/1
        pod/bb   1/1
    "#]],
    );
    double.check(
        "get po --show-labels --no-headers",
        expect![[r#"
        a     1/1   app=web
        bb    1/1   app=web
    "#]],
    );
    double.check(
        "get pods -n empty",
        expect![[r#"
        No resources found in empty namespace.
    "#]],
    );
    double.check(
        "get pod zz",
        expect![[r#"
        Error from server (NotFound): pods "zz" not found
        exit 1
    "#]],
    );
    double.check(
        "get foo",
        expect![[r#"
        error: the server doesn't have a resource type "foo"
        exit 1
    "#]],
    );
    double.check(
        "get pods -o name",
        expect![[r#"
        pod/a
        pod/bb
    "#]],
    );
}

#[test]
fn discovery_is_asked_once() {
    let double = Double::start();
    double.kubectl(&["get", "pods"]);
    assert_eq!(double.take_asked(), ["GET /api", "GET /apis", "GET /api/v1/namespaces/default/pods"]);
    double.kubectl(&["get", "pods"]);
    assert_eq!(double.take_asked(), ["GET /api/v1/namespaces/default/pods"]);
}

#[test]
fn create_reports_what_the_server_says() {
    let double = Double::start();
    for name in ["new", "a", "bad"] {
        double.write(&format!("{name}.yaml"), &POD.replace("NAME", name));
    }
    double.check(
        "create -f new.yaml",
        expect![[r#"
        pod/new created
        Warning: old
    "#]],
    );
    double.check(
        "create -f a.yaml",
        expect![[r#"
        Error from server (AlreadyExists): error when creating "a.yaml": pods "a" already exists
        exit 1
    "#]],
    );
    double.check(
        "create -f bad.yaml",
        expect![[r#"
        The Pod "bad" is invalid: spec.containers: Required value
        exit 1
    "#]],
    );
    double.check(
        "create -f none.yaml",
        expect![[r#"
        error: the path "none.yaml" does not exist
        exit 1
    "#]],
    );
    double.check(
        "run web --image=nginx --port=80 --dry-run=client -o yaml",
        expect![[r#"
        apiVersion: v1
        kind: Pod
        metadata:
          labels:
            run: web
          name: web
        spec:
          containers:
          - image: nginx
            name: web
            ports:
            - containerPort: 80
            resources: {}
          dnsPolicy: ClusterFirst
          restartPolicy: Always
        status: {}
    "#]],
    );
}

#[test]
fn apply_patches_only_what_changed() {
    let double = Double::start();
    let manifest = |image: &str| {
        format!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: web}}\nspec:\n  replicas: 1\n  template:\n    spec:\n      containers: [{{name: nginx, image: {image}}}]\n"
        )
    };
    double.write("same.yaml", &manifest("'nginx:1'"));
    double.write("new.yaml", &manifest("'nginx:2'"));
    double.check(
        "apply -f same.yaml",
        expect![[r#"
        deployment.apps/web unchanged
    "#]],
    );
    assert!(!double.take_asked().iter().any(|line| line.starts_with("PATCH")));
    double.check(
        "apply -f new.yaml",
        expect![[r#"
        deployment.apps/web configured
    "#]],
    );
    assert!(double.take_asked().iter().any(|line| line.starts_with("PATCH")));
}

#[test]
fn delete_names_the_namespace() {
    let double = Double::start();
    double.check(
        "delete pod a --wait=false",
        expect![[r#"
        pod "a" deleted from default namespace
    "#]],
    );
    double.check(
        "delete pod zz",
        expect![[r#"
        Error from server (NotFound): pods "zz" not found
        exit 1
    "#]],
    );
}

#[test]
fn a_server_that_is_not_there_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let double = Double { port, asked: Arc::default(), home: tempfile::tempdir().unwrap() };
    assert_eq!(
        double.kubectl(&["get", "pods"]),
        format!(
            "The connection to the server 127.0.0.1:{port} was refused - did you specify the right host or port?\nexit 1\n"
        )
    );
}

#[test]
fn kubeconfig_commands_change_the_file() {
    let double = Double::start();
    double.check(
        "config set-cluster lab --server=https://10.0.0.1:6443",
        expect![[r#"
        Cluster "lab" set.
    "#]],
    );
    double.check(
        "config set-credentials me --token=t",
        expect![[r#"
        User "me" set.
    "#]],
    );
    double.check(
        "config set-context lab --cluster=lab --user=me --namespace=team",
        expect![[r#"
        Context "lab" created.
    "#]],
    );
    double.check(
        "config use-context lab",
        expect![[r#"
        Switched to context "lab".
    "#]],
    );
    double.check(
        "config get-contexts",
        expect![[r#"
        CURRENT   NAME   CLUSTER   AUTHINFO   NAMESPACE
        *         lab    lab       me         team
    "#]],
    );
    double.check("config view -o jsonpath={.users[0].user.token}", expect![["REDACTED"]]);
    double.check(
        "config use-context other",
        expect![[r#"
        error: no context exists with the name: "other"
        exit 1
    "#]],
    );
}

#[test]
fn files_may_be_addresses() {
    let server = Double::start();
    let address = format!("http://127.0.0.1:{}", server.port);
    server.check(
        &format!("create --dry-run=client -o name -f {address}/api/v1/namespaces/default/pods/a"),
        expect![[r#"
            pod/a
        "#]],
    );
    let missing = server.kubectl(&["create", "-f", &format!("{address}/nope.yaml")]);
    assert_eq!(
        missing,
        format!(
            "error: unable to read URL \"{address}/nope.yaml\", server reported 404 Not Found, status code=404\nexit 1\n"
        )
    );
}
