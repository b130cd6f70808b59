//! Prometheus text about resources: `/metrics/resource`, `/metrics/cadvisor`, `/metrics/probes`.

use std::{fmt::Write, sync::Arc};

use super::{claims, stats};
use crate::{kubelet::Kubelet, observed::State, probe::tally};

pub(super) fn head(text: &mut String, name: &str, help: &str, kind: &str) {
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn seconds(nanos: u64) -> f64 {
    // Nanoseconds of processor time stay far below what a double holds exactly to the millisecond.
    #[expect(clippy::cast_precision_loss, reason = "a metric")]
    let seconds = nanos as f64 / 1e9;
    seconds
}

/// `/metrics`: the process's own, and what it runs.
pub(super) async fn own(kubelet: &Kubelet) -> Vec<u8> {
    let mut text = String::from_utf8(component::metrics::text()).unwrap_or_default();
    let mut states =
        std::collections::BTreeMap::from([("created", 0), ("exited", 0), ("running", 0), ("unknown", 0)]);
    let mut running = 0;
    for (_, state) in kubelet.pods.list() {
        let observed = state.observed.lock();
        running += usize::from(observed.sandboxes.iter().any(|sandbox| sandbox.ready));
        for container in &observed.containers {
            let word = match container.state {
                State::Created => "created",
                State::Exited => "exited",
                State::Running => "running",
                State::Unknown => "unknown",
            };
            *states.entry(word).or_insert(0) += 1;
        }
    }
    head(&mut text, "kubelet_node_name", "[ALPHA] The node's name. The count is always 1.", "gauge");
    let _ = writeln!(text, "kubelet_node_name{{node=\"{}\"}} 1", kubelet.settings.node_name);
    head(&mut text, "kubelet_running_pods", "[BETA] Number of pods that have a running pod sandbox", "gauge");
    let _ = writeln!(text, "kubelet_running_pods {running}");
    head(&mut text, "kubelet_running_containers", "[BETA] Number of containers currently running", "gauge");
    for (word, count) in states {
        let _ = writeln!(text, "kubelet_running_containers{{container_state=\"{word}\"}} {count}");
    }
    head(
        &mut text,
        "kubelet_desired_pods",
        "[ALPHA] The number of pods the kubelet is being instructed to run.",
        "gauge",
    );
    let _ = writeln!(text, "kubelet_desired_pods {}", kubelet.pods.len());
    claims::write(&mut text, kubelet).await;
    text.into_bytes()
}

/// `/metrics/resource`: what metrics-server reads.
pub(super) async fn resource(kubelet: &Arc<Kubelet>) -> Vec<u8> {
    let sample = stats::sample(kubelet).await;
    let at = sample.time.as_millisecond();
    let mut text = String::new();
    head(
        &mut text,
        "container_cpu_usage_seconds_total",
        "[STABLE] Cumulative cpu time consumed by the container in core-seconds",
        "counter",
    );
    for container in &sample.containers {
        let (name, namespace, pod) = (&container.container, &container.namespace, &container.pod);
        let value = seconds(container.usage.cpu_nanos);
        let _ = writeln!(
            text,
            "container_cpu_usage_seconds_total{{container=\"{name}\",namespace=\"{namespace}\",pod=\"{pod}\"}} {value} {at}"
        );
    }
    head(
        &mut text,
        "container_memory_working_set_bytes",
        "[STABLE] Current working set of the container in bytes",
        "gauge",
    );
    for container in &sample.containers {
        let (name, namespace, pod) = (&container.container, &container.namespace, &container.pod);
        let value = container.usage.working_set;
        let _ = writeln!(
            text,
            "container_memory_working_set_bytes{{container=\"{name}\",namespace=\"{namespace}\",pod=\"{pod}\"}} {value} {at}"
        );
    }
    head(
        &mut text,
        "container_start_time_seconds",
        "[STABLE] Start time of the container since unix epoch in seconds",
        "gauge",
    );
    for container in &sample.containers {
        let (name, namespace, pod) = (&container.container, &container.namespace, &container.pod);
        if let Some(started) = container.started {
            let value = started.as_second();
            let _ = writeln!(
                text,
                "container_start_time_seconds{{container=\"{name}\",namespace=\"{namespace}\",pod=\"{pod}\"}} {value} {at}"
            );
        }
    }
    head(
        &mut text,
        "node_cpu_usage_seconds_total",
        "[STABLE] Cumulative cpu time consumed by the node in core-seconds",
        "counter",
    );
    let _ = writeln!(text, "node_cpu_usage_seconds_total {} {at}", seconds(sample.node.cpu_nanos));
    head(
        &mut text,
        "node_memory_working_set_bytes",
        "[STABLE] Current working set of the node in bytes",
        "gauge",
    );
    let _ = writeln!(text, "node_memory_working_set_bytes {} {at}", sample.node.working_set);
    head(
        &mut text,
        "pod_cpu_usage_seconds_total",
        "[STABLE] Cumulative cpu time consumed by the pod in core-seconds",
        "counter",
    );
    for pod in &sample.pods {
        let value = seconds(pod.usage.cpu_nanos);
        let _ = writeln!(
            text,
            "pod_cpu_usage_seconds_total{{namespace=\"{}\",pod=\"{}\"}} {value} {at}",
            pod.namespace, pod.pod
        );
    }
    head(
        &mut text,
        "pod_memory_working_set_bytes",
        "[STABLE] Current working set of the pod in bytes",
        "gauge",
    );
    for pod in &sample.pods {
        let value = pod.usage.working_set;
        let _ = writeln!(
            text,
            "pod_memory_working_set_bytes{{namespace=\"{}\",pod=\"{}\"}} {value} {at}",
            pod.namespace, pod.pod
        );
    }
    head(
        &mut text,
        "resource_scrape_error",
        "[STABLE] 1 if there was an error while getting container metrics, 0 otherwise",
        "gauge",
    );
    let _ = writeln!(text, "resource_scrape_error 0");
    text.into_bytes()
}

/// `/metrics/cadvisor`: the few series of it that dashboards are built on.
pub(super) async fn cadvisor(kubelet: &Arc<Kubelet>) -> Vec<u8> {
    let sample = stats::sample(kubelet).await;
    let at = sample.time.as_millisecond();
    let mut text = String::new();
    let series = [
        ("container_cpu_usage_seconds_total", "Cumulative cpu time consumed in seconds.", "counter"),
        ("container_memory_working_set_bytes", "Current working set in bytes.", "gauge"),
        (
            "container_memory_usage_bytes",
            "Current memory usage in bytes, including all memory regardless of when it was accessed",
            "gauge",
        ),
        ("container_memory_rss", "Size of RSS in bytes.", "gauge"),
        ("container_processes", "Number of processes running inside the container.", "gauge"),
    ];
    for (index, (name, help, kind)) in series.into_iter().enumerate() {
        head(&mut text, name, help, kind);
        for container in &sample.containers {
            let usage = &container.usage;
            let value = match index {
                0 => seconds(usage.cpu_nanos).to_string(),
                1 => usage.working_set.to_string(),
                2 => usage.memory.to_string(),
                3 => usage.rss.to_string(),
                _ => usage.pids.to_string(),
            };
            let (own, namespace, pod) = (&container.container, &container.namespace, &container.pod);
            let _ = writeln!(
                text,
                "{name}{{container=\"{own}\",namespace=\"{namespace}\",pod=\"{pod}\"}} {value} {at}"
            );
        }
    }
    text.into_bytes()
}

/// `/metrics/probes`: what the probes of running containers say.
pub(super) fn probes(kubelet: &Kubelet) -> Vec<u8> {
    let mut text = String::new();
    head(&mut text, "prober_container_ready", "Whether a container passes its readiness probe.", "gauge");
    for (_, state) in kubelet.pods.list() {
        let (observed, health) = (state.observed.lock(), state.health.lock());
        for container in observed.running() {
            if let Some(found) = health.get(&container.id) {
                let (namespace, pod) = (&state.names.namespace, &state.names.name);
                let _ = writeln!(
                    text,
                    "prober_container_ready{{container=\"{}\",namespace=\"{namespace}\",pod=\"{pod}\"}} {}",
                    container.name,
                    u8::from(found.ready)
                );
            }
        }
    }
    let pods = kubelet.pods.list();
    let [counts, times] = tally::HEADS;
    head(&mut text, counts.0, counts.1, counts.2);
    for (_, state) in &pods {
        tally::write_counts(&mut text, &state.names, &state.probed.lock());
    }
    head(&mut text, times.0, times.1, times.2);
    for (_, state) in &pods {
        tally::write_times(&mut text, &state.names, &state.probed.lock());
    }
    text.into_bytes()
}
