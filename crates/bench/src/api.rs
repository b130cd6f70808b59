//! The API server by itself: what an operation costs it, and how far it is from raw etcd.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use bytes::Bytes;
use http::Method;
use http_body_util::BodyExt as _;
use serde_json::json;

use crate::{
    etcd,
    load::{Client, spread},
    process,
    server::Server,
    table::{Row, median},
};

const COLLECTION: &str = "/api/v1/namespaces/default/configmaps";
const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";
const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";
const LISTS: usize = 100;
/// How often each object is read.
pub const GETS_PER_OBJECT: usize = 5;
const LATENCIES: usize = 200;

fn configmap(name: &str, fill: char) -> Bytes {
    let object = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": name, "labels": {"app": "bench"}},
        "data": {"payload": fill.to_string().repeat(1024)},
    });
    Bytes::from(object.to_string())
}

/// A Deployment as a person would write it, applied in two states.
fn deployment(name: &str, pass: usize) -> Bytes {
    let probe = json!({"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 10});
    let object = json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "replicas": 1 + pass,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {
                    "containers": [{
                        "name": "main", "image": format!("registry.example/bench:1.{pass}"),
                        "args": ["--verbose", "--listen=:8080"],
                        "env": [{"name": "ZONE", "value": "a"}, {"name": "PASS", "value": pass.to_string()}],
                        "ports": [{"name": "http", "containerPort": 8080}],
                        "readinessProbe": probe, "livenessProbe": probe,
                        "resources": {
                            "requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"memory": "128Mi"},
                        },
                        "volumeMounts": [{"name": "configuration", "mountPath": "/etc/bench"}],
                    }],
                    "volumes": [{"name": "configuration", "configMap": {"name": name}}],
                },
            },
        },
    });
    Bytes::from(object.to_string())
}

/// One round's figures.
#[derive(Default)]
struct Round {
    create_cpu: f64,
    create_rate: f64,
    etcd_rate: f64,
    etcd_put_cpu: f64,
    etcd_create_cpu: f64,
    get_cpu: f64,
    list_cpu: f64,
    list_bytes: usize,
    list_gzip_cpu: f64,
    list_protobuf_cpu: f64,
    get_protobuf_cpu: f64,
    update_cpu: f64,
    apply_cpu: f64,
    watch_over_put: f64,
    resident_idle: f64,
    resident_loaded: f64,
    resident_with_everything: f64,
    ready: f64,
}

/// Measures the API server in fresh processes each round; the medians are the rows.
pub async fn measure(objects: usize, clients: usize, rounds: usize) -> anyhow::Result<Vec<Row>> {
    let mut all = Vec::new();
    for number in 1..=rounds {
        eprintln!("API server, round {number} of {rounds}");
        all.push(round(objects, clients).await.with_context(|| format!("round {number}"))?);
    }
    let of = |figure: fn(&Round) -> f64| median(all.iter().map(figure).collect());
    let list_size = all.first().map_or(0, |round| round.list_bytes) as f64 / 1e6;
    Ok(vec![
        Row::new("create, processor time", of(|round| round.create_cpu), "ms", "≤ 0.10", "0.85–1.02"),
        Row::new("GET, processor time", of(|round| round.get_cpu), "ms", "≤ 0.035", "0.48–0.51"),
        Row::new(
            format!("LIST of {objects} ({list_size:.2} MB), processor time"),
            of(|round| round.list_cpu),
            "ms",
            "≤ 2.5",
            "29–30",
        ),
        Row::new("LIST with gzip", of(|round| round.list_gzip_cpu), "ms", "", ""),
        Row::new("GET in protobuf", of(|round| round.get_protobuf_cpu), "ms", "≤ GET", ""),
        Row::new("LIST in protobuf", of(|round| round.list_protobuf_cpu), "ms", "≤ LIST", ""),
        Row::new("update, processor time", of(|round| round.update_cpu), "ms", "≤ 0.12", "1.1–1.2"),
        Row::new("server-side apply of a Deployment", of(|round| round.apply_cpu), "ms", "≤ 0.5", ""),
        Row::new("creates a second", of(|round| round.create_rate), "", "", ""),
        Row::new("raw etcd puts a second", of(|round| round.etcd_rate), "", "", ""),
        Row::new(
            "creates / raw puts",
            of(|round| 100.0 * round.create_rate / round.etcd_rate),
            "%",
            "≥ 80",
            "",
        ),
        Row::new(
            "create to watch event, over the etcd put",
            of(|round| round.watch_over_put),
            "ms",
            "≤ 2",
            "",
        ),
        Row::new("etcd on a raw put, processor time", of(|round| round.etcd_put_cpu), "ms", "", ""),
        Row::new(
            "create over etcd on a raw put, processor time",
            of(|round| round.create_cpu / round.etcd_put_cpu),
            "times",
            "",
            "",
        ),
        Row::new("etcd on a create, processor time", of(|round| round.etcd_create_cpu), "ms", "", ""),
        Row::new("ready after", of(|round| round.ready), "ms", "≤ 300", "2200–3100"),
        Row::new("resident, idle", of(|round| round.resident_idle), "MiB", "≤ 28", "272–280"),
        Row::new(
            "resident, idle, with everything switched on",
            of(|round| round.resident_with_everything),
            "MiB",
            "≤ 28",
            "",
        ),
        Row::new("resident, after the load", of(|round| round.resident_loaded), "MiB", "", "400"),
    ])
}

/// Processor time of a process over an operation, in milliseconds for each of `count`.
async fn cpu_of<T>(
    pid: u32,
    count: usize,
    operation: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<(f64, T)> {
    let before = process::cpu_time(pid)?;
    let result = operation.await?;
    let spent = process::cpu_time(pid)?.saturating_sub(before);
    Ok((spent.as_secs_f64() * 1e3 / count as f64, result))
}

async fn round(objects: usize, clients: usize) -> anyhow::Result<Round> {
    let mut server = Server::start().await?;
    server.switch_everything_on()?;
    server.restart().await?;
    settle(&server).await?;
    let resident_with_everything = process::resident(server.pid())?;
    drop(server);

    let server = Server::start().await?;
    let mut round =
        Round { resident_with_everything, ready: server.ready_after.as_secs_f64() * 1e3, ..Round::default() };
    // What starting left to do is no part of any operation.
    settle(&server).await?;
    round.resident_idle = process::resident(server.pid())?;
    let mut connections = Vec::new();
    for _ in 0..clients {
        connections.push(server.client().await?);
    }

    let value = configmap("object-0", 'x');
    let puts = etcd::puts(&server, clients, objects, &value);
    let (cpu, puts) = cpu_of(server.etcd_pid(), objects, puts).await?;
    round.etcd_put_cpu = cpu;
    round.etcd_rate = objects as f64 / puts.as_secs_f64();

    let both =
        cpu_of(server.etcd_pid(), objects, cpu_of(server.pid(), objects, create(&connections, objects)));
    let (etcd_cpu, (cpu, took)) = both.await?;
    round.etcd_create_cpu = etcd_cpu;
    round.create_cpu = cpu;
    round.create_rate = objects as f64 / took.as_secs_f64();

    let gets = objects * GETS_PER_OBJECT;
    round.get_cpu = cpu_of(server.pid(), gets, get(&connections, objects, gets)).await?.0;
    let mut lister = server.client().await?;
    let mut list_with =
        async |headers: &[(&str, &str)]| cpu_of(server.pid(), LISTS, list(&mut lister, headers, LISTS)).await;
    (round.list_cpu, round.list_bytes) = list_with(&[]).await?;
    round.list_gzip_cpu = list_with(&[("accept-encoding", "gzip")]).await?.0;
    round.get_protobuf_cpu = cpu_of(server.pid(), gets, get_protobuf(&connections, objects, gets)).await?.0;
    round.list_protobuf_cpu = list_with(&[("accept", PROTOBUF)]).await?.0;
    round.update_cpu = cpu_of(server.pid(), objects, update(&connections, objects)).await?.0;
    round.apply_cpu = cpu_of(server.pid(), objects, apply(&connections, objects)).await?.0;

    let event = median(create_to_event(&server).await?);
    round.watch_over_put = event - median(etcd::sequential_puts(&server, LATENCIES, &value).await?);
    round.resident_loaded = process::resident(server.pid())?;
    Ok(round)
}

/// Makes the objects.
pub async fn create(connections: &[Client], objects: usize) -> anyhow::Result<Duration> {
    spread(connections, objects, |mut client: Client, number| async move {
        let body = configmap(&format!("object-{number}"), 'x');
        client.send(Method::POST, COLLECTION, body).await.map(drop)
    })
    .await
}

/// Reads the objects, again and again.
pub async fn get(connections: &[Client], objects: usize, gets: usize) -> anyhow::Result<Duration> {
    spread(connections, gets, move |mut client: Client, number| async move {
        let path = format!("{COLLECTION}/object-{}", number % objects);
        client.send(Method::GET, &path, Bytes::new()).await.map(drop)
    })
    .await
}

/// As [`get`], in protobuf.
pub async fn get_protobuf(connections: &[Client], objects: usize, gets: usize) -> anyhow::Result<Duration> {
    spread(connections, gets, move |mut client: Client, number| async move {
        let path = format!("{COLLECTION}/object-{}", number % objects);
        client.get_as(&path, PROTOBUF).await.map(drop)
    })
    .await
}

/// Lists the objects so many times; gives the size of a list.
pub async fn list(client: &mut Client, headers: &[(&str, &str)], times: usize) -> anyhow::Result<usize> {
    let mut size = 0;
    for _ in 0..times {
        size = client.get_with(COLLECTION, headers).await?.len();
    }
    Ok(size)
}

/// Changes the objects.
pub async fn update(connections: &[Client], objects: usize) -> anyhow::Result<Duration> {
    spread(connections, objects, |mut client: Client, number| async move {
        let path = format!("{COLLECTION}/object-{number}");
        client.send(Method::PUT, &path, configmap(&format!("object-{number}"), 'y')).await.map(drop)
    })
    .await
}

/// Applies Deployments: each is made, then changed.
pub async fn apply(connections: &[Client], objects: usize) -> anyhow::Result<Duration> {
    spread(connections, objects, move |mut client: Client, number| async move {
        let (name, pass) = (format!("deployment-{}", number % (objects / 2)), number / (objects / 2));
        client.apply(&format!("{DEPLOYMENTS}/{name}"), deployment(&name, pass)).await
    })
    .await
}

/// Waits until the API server spends no time by itself: two looks with less than 10 ms between them.
pub async fn settle(server: &Server) -> anyhow::Result<()> {
    for _ in 0..50 {
        let before = process::cpu_time(server.pid())?;
        tokio::time::sleep(Duration::from_millis(200)).await;
        if process::cpu_time(server.pid())? == before {
            return Ok(());
        }
    }
    anyhow::bail!("the API server does not come to rest")
}

/// Milliseconds from sending a create until its event has arrived on a watch, one after another.
async fn create_to_event(server: &Server) -> anyhow::Result<Vec<f64>> {
    let (mut writer, mut watcher) = (server.client().await?, server.client().await?);
    let path =
        format!("{COLLECTION}?watch=true&fieldSelector=metadata.name%21%3Dnone&labelSelector=app%3Dlatency");
    let mut events = watcher.start(Method::GET, &path, Bytes::new()).await?.into_body();
    let mut milliseconds = Vec::with_capacity(LATENCIES);
    let mut received = Vec::new();
    for number in 0..LATENCIES {
        let name = format!("latency-{number}");
        let body = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": name, "labels": {"app": "latency"}},
            "data": {"payload": "x".repeat(1024)},
        });
        let begun = Instant::now();
        let wait = async {
            loop {
                let frame = events.frame().await.context("the watch ended")??;
                received.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data));
                if received.windows(name.len()).any(|window| window == name.as_bytes())
                    && received.ends_with(b"\n")
                {
                    received.clear();
                    return anyhow::Ok(begun.elapsed());
                }
            }
        };
        let (sent, arrived) =
            tokio::join!(writer.send(Method::POST, COLLECTION, Bytes::from(body.to_string())), wait);
        sent?;
        milliseconds.push(arrived?.as_secs_f64() * 1e3);
    }
    Ok(milliseconds)
}
