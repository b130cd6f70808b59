//! `/metrics/resources`: what each pod of the cluster requests, and what it is limited to.

use std::fmt::Write as _;
use std::sync::Arc;

use crate::amounts::Amounts;
use crate::pod::Pod;

/// Where it is served.
pub const PATH: &str = "/metrics/resources";

const LIMIT: (&str, &str) = (
    "kube_pod_resource_limit",
    "[STABLE] Resources limit for workloads on the cluster, broken down by pod. This shows the resource usage the scheduler and kubelet expect per pod for resources along with the unit for the resource if any.",
);
const REQUEST: (&str, &str) = (
    "kube_pod_resource_request",
    "[STABLE] Resources requested by workloads on the cluster, broken down by pod. This shows the resource usage the scheduler and kubelet expect per pod for resources along with the unit for the resource if any.",
);

/// The metrics of these pods in Prometheus' text format.
pub fn text(pods: &[Arc<Pod>]) -> Vec<u8> {
    let mut text = String::new();
    let of_limits: fn(&Pod) -> Option<&Amounts> = |pod| pod.limits.as_deref();
    for ((name, help), amounts) in [(LIMIT, of_limits), (REQUEST, |pod| Some(&pod.requests))] {
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge");
        for pod in pods.iter().filter(|pod| !pod.terminal) {
            if let Some(amounts) = amounts(pod) {
                series(&mut text, name, pod, amounts);
            }
        }
    }
    text.into_bytes()
}

fn series(text: &mut String, name: &str, pod: &Pod, amounts: &Amounts) {
    let Pod { namespace, name: pod_name, priority, .. } = pod;
    let node = pod.node_name.as_deref().unwrap_or_default();
    let scheduler = pod.scheduler_name.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let mut line = |resource: &str, unit: &str, value: f64| {
        if value != 0.0 {
            let _ = writeln!(
                text,
                "{name}{{namespace=\"{namespace}\",node=\"{node}\",pod=\"{pod_name}\",priority=\"{priority}\",resource=\"{resource}\",scheduler=\"{scheduler}\",unit=\"{unit}\"}} {value}"
            );
        }
    };
    line("cpu", "cores", amounts.milli_cpu as f64 / 1000.0);
    line("memory", "bytes", amounts.memory as f64);
    line("ephemeral-storage", "bytes", amounts.ephemeral_storage as f64);
    for (resource, amount) in &amounts.extended {
        let unit = match &**resource {
            resource if resource == "storage" || resource.starts_with("hugepages-") => "bytes",
            resource if resource.starts_with("attachable-volumes-") => "integer",
            _ => "",
        };
        line(resource, unit, *amount as f64);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn requests_and_limits_are_told_by_pod() {
        let pod = |name: &str, phase: &str| -> Arc<Pod> {
            let amounts =
                json!({"cpu": "250m", "memory": "1Ki", "hugepages-2Mi": "2Mi", "example.com/gpu": "0"});
            let object = json!({
                "metadata": {"namespace": "shop", "name": name, "uid": name},
                "spec": {"nodeName": "w1", "schedulerName": "own \"one\"", "priority": 7, "containers": [
                    {"name": "a", "resources": {"requests": amounts, "limits": {"cpu": "2"}}},
                    {"name": "b", "resources": {"requests": {"cpu": "1"}}},
                ]},
                "status": {"phase": phase},
            });
            Arc::new(serde_json::from_value(object).unwrap())
        };
        let text = String::from_utf8(text(&[pod("web", "Running"), pod("done", "Succeeded")])).unwrap();
        let series: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        let labels = |resource: &str, unit: &str| {
            format!(
                "{{namespace=\"shop\",node=\"w1\",pod=\"web\",priority=\"7\",resource=\"{resource}\",scheduler=\"own \\\"one\\\"\",unit=\"{unit}\"}}"
            )
        };
        assert_eq!(
            series,
            [
                format!("kube_pod_resource_limit{} 2", labels("cpu", "cores")),
                format!("kube_pod_resource_request{} 1.25", labels("cpu", "cores")),
                format!("kube_pod_resource_request{} 1024", labels("memory", "bytes")),
                format!("kube_pod_resource_request{} 2097152", labels("hugepages-2Mi", "bytes")),
            ]
        );
    }
}
