//! One kubelet over a real containerd, in namespaces of its own, driven by manifests and asked over its own API.
//!
//! Needs root, containerd, runc, the CNI plugins and busybox; without them there is nothing to test against and the
//! tests pass with a word on standard error.

#![allow(clippy::unwrap_used, reason = "a test ends where what it needs is not there")]

mod ground;
mod image;

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use httpstream::{spdy, websocket};
use serde_json::Value;
use tokio_tungstenite::tungstenite::Message;

use ground::Ground;

const WEB: &str = r#"
apiVersion: v1
kind: Pod
metadata:
  name: web
  labels: {app: web}
spec:
  terminationGracePeriodSeconds: 1
  initContainers:
  - name: init
    image: busybox
    imagePullPolicy: IfNotPresent
    command: [sh, -c, "echo from init > /work/out"]
    volumeMounts: [{name: work, mountPath: /work}]
  containers:
  - name: web
    image: busybox
    imagePullPolicy: IfNotPresent
    command: [sh, -c]
    args:
    - |
      echo "$(GREETING) $(POD_IP)"; cat /work/out /info/labels /etc/hosts /etc/resolv.conf; echo
      mkdir /www; echo page > /www/index.html; httpd -p 80 -h /www
      while [ ! -e /tmp/end ]; do sleep 0.1; done; exit 4
    env:
    - {name: GREETING, value: hello}
    - {name: POD_IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
    resources: {limits: {cpu: 100m, memory: 32Mi}}
    readinessProbe: {httpGet: {path: /index.html, port: 80}, periodSeconds: 1}
    volumeMounts:
    - {name: work, mountPath: /work}
    - {name: info, mountPath: /info}
    - {name: work, mountPath: /part, subPath: part}
  volumes:
  - {name: work, emptyDir: {}}
  - {name: info, downwardAPI: {items: [{path: labels, fieldRef: {fieldPath: metadata.labels}}]}}
"#;

fn the_status<'a>(pods: &'a Value, name: &str) -> Option<&'a Value> {
    let all = pods["items"].as_array()?;
    all.iter().find(|pod| pod["metadata"]["name"] == name).map(|pod| &pod["status"])
}

fn is_ready(status: &Value) -> bool {
    let conditions = status["conditions"].as_array().cloned().unwrap_or_default();
    conditions.iter().any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pod_lives_on_a_real_runtime() {
    let Some(mut ground) = Ground::prepare("lives").await else { return };
    ground.start_kubelet();
    ground.manifest("web.yaml", WEB);
    let pods =
        ground.until("the pod is ready", |pods| the_status(pods, "web-n1").is_some_and(is_ready)).await;
    let status = the_status(&pods, "web-n1").unwrap();
    assert_eq!(status["phase"], "Running");
    let ip = status["podIP"].as_str().unwrap().to_owned();
    assert!(ip.starts_with("10.88."), "{status}");
    let id = status["containerStatuses"][0]["containerID"].as_str().unwrap().to_owned();
    assert!(id.starts_with("containerd://"), "{id}");
    assert_eq!(status["initContainerStatuses"][0]["state"]["terminated"]["reason"], "Completed");

    logs(&ground, &ip).await;
    exec(&ground).await;
    forward(&ground).await;
    limits(&ground);

    // The kubelet goes and comes back: the container is the same.
    ground.stop_kubelet();
    ground.start_kubelet();
    let pods =
        ground.until("the pod is adopted", |pods| the_status(pods, "web-n1").is_some_and(is_ready)).await;
    let status = the_status(&pods, "web-n1").unwrap();
    assert_eq!(status["containerStatuses"][0]["containerID"], id.as_str());
    assert_eq!(status["containerStatuses"][0]["restartCount"], 0);

    // The container ends by itself: it is started again at once, and what it wrote before can still be read.
    ground.exec("web-n1", "web", &["touch", "/tmp/end"]).await;
    let restarted = |status: &Value| status["containerStatuses"][0]["restartCount"] == 1 && is_ready(status);
    let pods = ground.until("a second run", |pods| the_status(pods, "web-n1").is_some_and(restarted)).await;
    let last = &the_status(&pods, "web-n1").unwrap()["containerStatuses"][0]["lastState"]["terminated"];
    assert_eq!(
        (last["containerID"].as_str(), last["exitCode"].as_i64()),
        (Some(id.as_str()), Some(4)),
        "{last}"
    );
    let (code, text) = ground.get("/containerLogs/default/web-n1/web?previous=true").await;
    assert_eq!(code, 200);
    assert!(text.starts_with("hello "), "{text}");

    // The manifest goes, and everything of the pod with it.
    ground.remove_manifest("web.yaml");
    ground.until("the pod is gone", |pods| the_status(pods, "web-n1").is_none()).await;
    assert_eq!(ground.runtime_list(), "", "containers are left");
    assert!(!ground.has_pod_cgroup(), "a cgroup is left");
    assert_eq!(ground.pod_folders(), Vec::<String>::new());
}

async fn logs(ground: &Ground, ip: &str) {
    let (code, text) = ground.get("/containerLogs/default/web-n1/web").await;
    assert_eq!(code, 200);
    assert!(text.starts_with(&format!("hello {ip}\nfrom init\napp=\"web\"")), "{text}");
    assert!(text.contains(&format!("{ip}\tweb-n1\n")), "{text}");
    assert!(text.contains("search default.svc.cluster.local svc.cluster.local cluster.local"), "{text}");
    assert!(text.contains("nameserver 10.96.0.10"), "{text}");
    let (_, tail) = ground.get("/containerLogs/default/web-n1/web?tailLines=1").await;
    assert_eq!(tail, "\n");
    let (code, why) = ground.get("/containerLogs/default/web-n1/web?previous=true").await;
    assert_eq!(
        (code, why.as_str()),
        (400, "previous terminated container \"web\" in pod \"web-n1\" not found")
    );
    let (code, _) = ground.get("/containerLogs/default/none/web").await;
    assert_eq!(code, 404);
}

async fn exec(ground: &Ground) {
    let (out, err, verdict) =
        ground.exec("web-n1", "web", &["sh", "-c", "echo out; echo err >&2; exit 3"]).await;
    assert_eq!((out.as_str(), err.as_str()), ("out\n", "err\n"));
    assert_eq!(verdict["status"], "Failure");
    assert_eq!(verdict["reason"], "NonZeroExitCode");
    assert_eq!(verdict["details"]["causes"][0]["message"], "3");

    // Input that ends: the command sees it end, and ends.
    let query = "command=cat&input=1&output=1";
    let mut socket =
        ground.websocket(&format!("/exec/default/web-n1/web?{query}"), "v5.channel.k8s.io").await;
    socket.send(Message::binary(b"\x00some input".to_vec())).await.unwrap();
    socket.send(Message::binary(vec![255, 0])).await.unwrap();
    let (mut out, mut verdict) = (Vec::new(), Vec::new());
    while let Some(Ok(message)) = socket.next().await {
        match message.into_data().as_ref() {
            [1, data @ ..] => out.extend_from_slice(data),
            [3, data @ ..] => verdict.extend_from_slice(data),
            _ => {}
        }
    }
    assert_eq!(out, b"some input");
    assert_eq!(serde_json::from_slice::<Value>(&verdict).unwrap()["status"], "Success");
}

async fn forward(ground: &Ground) {
    // As kubectl does it: SPDY inside a WebSocket.
    let socket = ground.websocket("/portForward/default/web-n1", "SPDY/3.1+portforward.k8s.io").await;
    let (inside, outside) = tokio::io::duplex(1 << 16);
    let (connection, _, driver) = spdy::Connection::new(inside, spdy::End::Client);
    tokio::spawn(async move { tokio::join!(driver, websocket::carry(socket, outside)) });
    let pair = async |id: &str, port: &str| {
        let headers = |kind: &str| {
            let pairs = [("streamtype", kind), ("port", port), ("requestid", id)];
            pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
        };
        (connection.open(headers("error")).await.unwrap(), connection.open(headers("data")).await.unwrap())
    };
    let (_error, mut data) = pair("0", "80").await;
    data.sender().write(Bytes::from_static(b"GET / HTTP/1.0\r\n\r\n")).await.unwrap();
    let mut page = Vec::new();
    while let Some(bytes) = data.read().await {
        page.extend_from_slice(&bytes);
    }
    let page = String::from_utf8(page).unwrap();
    assert!(page.starts_with("HTTP/1.") && page.ends_with("page\n"), "{page}");
    let (mut error, _data) = pair("1", "81").await;
    let why = error.read().await.unwrap();
    assert!(String::from_utf8_lossy(&why).contains("error forwarding port 81"), "{why:?}");
}

fn limits(ground: &Ground) {
    let memory = ground
        .cgroup_file("memory", "memory.limit_in_bytes")
        .or_else(|| ground.cgroup_file("", "memory.max"));
    assert_eq!(memory.as_deref(), Some("33554432"), "the memory limit has not reached the kernel");
}

/// How long the kubelet takes beyond the runtime; printed, and bounded far above what it should be.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pods_start_and_crash_in_time() {
    let Some(mut ground) = Ground::prepare("times").await else { return };
    ground.start_kubelet();
    let pod = |name: &str, command: &str| {
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec:\n  terminationGracePeriodSeconds: 1\n  \
             containers: [{{name: c, image: busybox, imagePullPolicy: Never, command: [sh, -c, {command:?}]}}]\n"
        )
    };
    let began = Instant::now();
    for index in 0..10 {
        ground.manifest(&format!("p{index}.yaml"), &pod(&format!("p{index}"), "sleep 1000"));
    }
    let running = |pods: &Value| {
        (0..10).all(|index| {
            the_status(pods, &format!("p{index}-n1")).is_some_and(|status| status["phase"] == "Running")
        })
    };
    ground.until("ten pods run", running).await;
    eprintln!("ten pods at once: {:?}; kubelet resident: {} KiB", began.elapsed(), ground.resident());
    assert!(began.elapsed() < Duration::from_secs(20));

    ground.manifest("crash.yaml", &pod("crash", "echo last words > /dev/termination-log; exit 7"));
    let waiting = |pods: &Value| {
        the_status(pods, "crash-n1").is_some_and(|status| {
            status["containerStatuses"][0]["state"]["waiting"]["reason"] == "CrashLoopBackOff"
        })
    };
    let pods = ground.until("the container waits", waiting).await;
    let status = &the_status(&pods, "crash-n1").unwrap()["containerStatuses"][0];
    let last = &status["lastState"]["terminated"];
    assert_eq!((last["exitCode"].as_i64(), last["reason"].as_str()), (Some(7), Some("Error")), "{status}");
    assert_eq!(last["message"], "last words\n");
    let message = status["state"]["waiting"]["message"].as_str().unwrap();
    assert!(
        message.starts_with("back-off 10s restarting failed container=c pod=crash-n1_default("),
        "{message}"
    );

    ground.manifest("missing.yaml", &pod("missing", "true").replace("image: busybox", "image: none"));
    let never = |pods: &Value| {
        the_status(pods, "missing-n1").is_some_and(|status| {
            status["containerStatuses"][0]["state"]["waiting"]["reason"] == "ErrImageNeverPull"
        })
    };
    ground.until("the missing image is named", never).await;
}
