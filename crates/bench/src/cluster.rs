//! Pods, Services and memory in a lab of three nodes.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api,
    api::{DeleteParams, PostParams, WatchEvent, WatchParams},
};
use lab::{Lab, Options, progress::Progress};
use serde_json::json;

use crate::{
    process, proxy, runtime,
    table::{Row, median},
};

const NAME: &str = "bench";
/// What every measured pod runs.
pub const IMAGE: &str = "docker.io/library/busybox:latest";
/// Pods of a measurement, one after another.
pub const PODS: usize = 20;
/// Pods of a measurement, all at once.
pub const AT_ONCE: usize = 30;
/// How long the runtime takes to take thirty pods apart, which are gone from the API long before.
pub const REST: Duration = Duration::from_secs(8);

/// Starts a lab of this build, measures it and removes it.
pub async fn measure() -> anyhow::Result<Vec<Row>> {
    let binaries = std::env::current_exe()?.parent().context("a program has a directory")?.to_owned();
    let options = Options {
        name: NAME.into(),
        directory: lab::home(&binaries),
        binaries,
        api_port: 0,
        etcd_members: 1,
    };
    Lab::down(&options.directory, NAME)?;
    let begun = Instant::now();
    let lab = tokio::task::block_in_place(|| Lab::up(&options, &Progress::default()));
    let up = begun.elapsed();
    let rows = match &lab {
        Ok(lab) => rows(lab, up).await,
        Err(_) => Ok(Vec::new()),
    };
    Lab::down(&options.directory, NAME)?;
    lab?;
    rows
}

async fn rows(lab: &Lab, up: Duration) -> anyhow::Result<Vec<Row>> {
    let connection = component::client::Connection {
        kubeconfig: Some(&lab.topology().kubeconfig()),
        master: None,
        user_agent: "bench",
    };
    let client = component::client::connect(&connection).await?;
    let pods: Api<Pod> = Api::namespaced(client.clone(), "default");
    let mut rows = vec![Row::new("three nodes Ready, from nothing", up.as_secs_f64(), "s", "", "53–65")];
    // Idle: what the components hold once the start is over.
    tokio::time::sleep(Duration::from_secs(15)).await;
    rows.extend(memory(lab)?);

    let share = median(runtime::one_after_another(lab).await.context("the runtime by itself")?);
    let one = median(one_after_another(&pods).await.context("pods one after another")?);
    rows.push(Row::new("the runtime's share of a pod, p50", share, "ms", "", "200"));
    rows.push(Row::new("pod created to Running, p50 of 20", one, "ms", "", "540"));
    rows.push(Row::new("the same over the runtime's share", one - share, "ms", "≤ 60", "340"));
    let share = runtime::at_once(lab).await.context("the runtime by itself, at once")?;
    rows.push(Row::new("the runtime's share of thirty pods at once", share, "s", "", "–"));
    let all = at_once(&pods).await.context("pods at once")?;
    rows.push(Row::new("thirty pods at once on two workers", all, "s", "≤ 2", "5.0"));
    rows.push(proxy::measure(lab, client).await.context("Services")?);
    Ok(rows)
}

fn memory(lab: &Lab) -> anyhow::Result<Vec<Row>> {
    const AIMS: [(&str, &str, &str, &str); 5] = [
        ("m-k8s", "kube-apiserver", "≤ 28", "272"),
        ("m-k8s", "kube-controller-manager", "≤ 12", "124"),
        ("m-k8s", "kube-scheduler", "≤ 12", "67"),
        ("w1-k8s", "kubelet", "≤ 15", "85"),
        ("w1-k8s", "kube-proxy", "≤ 8", "58"),
    ];
    AIMS.iter()
        .map(|(node, unit, aim, upstream)| {
            let resident = process::resident(lab.host_pid(node, unit)?.as_raw().cast_unsigned())?;
            Ok(Row::new(format!("{unit}, resident, idle"), resident, "MiB", aim, upstream))
        })
        .collect()
}

fn pod(name: &str) -> anyhow::Result<Pod> {
    Ok(serde_json::from_value(json!({
        "metadata": {"name": name, "labels": {"app": "bench"}},
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "automountServiceAccountToken": false,
            "containers": [{
                "name": "main", "image": IMAGE, "imagePullPolicy": "Never", "command": ["sleep", "3600"],
            }],
        },
    }))?)
}

/// Creates pods one after another; milliseconds from sending each until a watch shows it Running.
async fn one_after_another(pods: &Api<Pod>) -> anyhow::Result<Vec<f64>> {
    let mut times = Vec::new();
    for number in 0..PODS {
        let name = format!("bench-{number}");
        let begun = Instant::now();
        run_all(pods, std::slice::from_ref(&name)).await?;
        times.push(begun.elapsed().as_secs_f64() * 1e3);
        remove(pods).await?;
    }
    Ok(times)
}

/// Creates all pods at once; seconds until every one is Running.
async fn at_once(pods: &Api<Pod>) -> anyhow::Result<f64> {
    let mut times = Vec::new();
    for _ in 0..5 {
        tokio::time::sleep(REST).await;
        let names: Vec<String> = (0..AT_ONCE).map(|number| format!("many-{number}")).collect();
        let begun = Instant::now();
        run_all(pods, &names).await?;
        times.push(begun.elapsed().as_secs_f64());
        remove(pods).await?;
    }
    Ok(median(times))
}

async fn run_all(pods: &Api<Pod>, names: &[String]) -> anyhow::Result<()> {
    let version =
        pods.list_metadata(&kube::api::ListParams::default().limit(1)).await?.metadata.resource_version;
    let params = WatchParams::default().labels("app=bench").timeout(120);
    let mut events = pods.watch(&params, &version.unwrap_or_default()).await?.boxed();
    let create = futures::stream::iter(names).map(anyhow::Ok).try_for_each_concurrent(8, |name| async move {
        pods.create(&PostParams::default(), &pod(name)?).await?;
        Ok(())
    });
    let wait = async {
        let mut running = std::collections::HashSet::new();
        while running.len() < names.len() {
            let event = events.try_next().await?.context("the watch ended")?;
            if let WatchEvent::Modified(pod) = event
                && pod.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Running")
            {
                running.insert(pod.metadata.name.unwrap_or_default());
            }
        }
        anyhow::Ok(())
    };
    tokio::try_join!(create, wait)?;
    Ok(())
}

async fn remove(pods: &Api<Pod>) -> anyhow::Result<()> {
    let selected = kube::api::ListParams::default().labels("app=bench");
    pods.delete_collection(&DeleteParams::default().grace_period(0), &selected).await?;
    while !pods.list_metadata(&selected).await?.items.is_empty() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}
