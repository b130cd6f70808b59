//! Pods: the status column tells the story of the containers.

use apimachinery::ObjectExt;
use jiff::Timestamp;
use serde_json::Value;

use crate::Printer;
use crate::cell::{NONE, age, is_true, name, number, since, text, text_or};
use crate::column::{AGE, NAME, string, wide};

pub(super) const PRINTERS: &[Printer] = &[Printer {
    group: "",
    kind: "Pod",
    columns: &[
        NAME,
        string("Ready"),
        string("Status"),
        string("Restarts"),
        AGE,
        wide("IP"),
        wide("Node"),
        wide("Nominated Node"),
        wide("Readiness Gates"),
    ],
    cells,
}];

fn cells(pod: &Value, now: Timestamp) -> Vec<Value> {
    let story = Story::of(pod);
    let restarts = match story.last_restart {
        Some(then) if story.restarts != 0 => format!("{} ({} ago)", story.restarts, since(Some(then), now)),
        _ => story.restarts.to_string(),
    };
    let first_address =
        pod.list_at(&["status", "podIPs"]).first().map_or("", |address| text(address, &["ip"]));
    let address = if first_address.is_empty() { NONE } else { first_address };
    vec![
        name(pod),
        format!("{}/{}", story.ready, story.total).into(),
        story.reason.into(),
        restarts.into(),
        age(pod, now),
        address.into(),
        text_or(pod, &["spec", "nodeName"], NONE).into(),
        text_or(pod, &["status", "nominatedNodeName"], NONE).into(),
        readiness_gates(pod).into(),
    ]
}

fn readiness_gates(pod: &Value) -> String {
    let gates = pod.list_at(&["spec", "readinessGates"]);
    if gates.is_empty() {
        return NONE.to_owned();
    }
    let passed = gates.iter().filter(|gate| is_true(pod, text(gate, &["conditionType"]))).count();
    format!("{passed}/{}", gates.len())
}

/// What the containers have been through.
struct Story<'p> {
    reason: String,
    ready: usize,
    total: usize,
    restarts: i64,
    last_restart: Option<&'p str>,
}

fn later<'p>(known: Option<&'p str>, status: &'p Value) -> Option<&'p str> {
    let finished = status.str_at(&["lastState", "terminated", "finishedAt"]);
    // Times are stored in one form, so that text order is time order.
    known.max(finished)
}

/// Says how a container ended where its state gives no reason.
fn ended(terminated: &Value) -> String {
    match number(terminated, &["signal"]) {
        0 => format!("ExitCode:{}", number(terminated, &["exitCode"])),
        signal => format!("Signal:{signal}"),
    }
}

impl<'p> Story<'p> {
    fn of(pod: &'p Value) -> Story<'p> {
        let phase = text(pod, &["status", "phase"]);
        let mut reason = text_or(pod, &["status", "reason"], phase).to_owned();
        let gated = pod.list_at(&["status", "conditions"]).iter().any(|condition| {
            text(condition, &["type"]) == "PodScheduled" && text(condition, &["reason"]) == "SchedulingGated"
        });
        if gated {
            reason = "SchedulingGated".to_owned();
        }
        let init_containers = pod.list_at(&["spec", "initContainers"]);
        let is_sidecar = |name: &str| {
            init_containers.iter().any(|container| {
                text(container, &["name"]) == name && text(container, &["restartPolicy"]) == "Always"
            })
        };
        let sidecars =
            init_containers.iter().filter(|container| is_sidecar(text(container, &["name"]))).count();
        let mut story = Story {
            reason,
            ready: 0,
            total: pod.list_at(&["spec", "containers"]).len() + sidecars,
            restarts: 0,
            last_restart: None,
        };
        let sidecar_restarts = story.initialisation(pod, init_containers.len(), is_sidecar);
        match sidecar_restarts {
            Initialised::No if !is_true(pod, "Initialized") => {}
            Initialised::No => story.containers(pod, 0, None),
            Initialised::Yes { restarts, last_restart } => story.containers(pod, restarts, last_restart),
        }
        if pod.deletion_timestamp().is_some() {
            if text(pod, &["status", "reason"]) == "NodeLost" {
                story.reason = "Unknown".to_owned();
            } else if phase != "Succeeded" && phase != "Failed" {
                story.reason = "Terminating".to_owned();
            }
        }
        story
    }

    /// Reads the init containers; the first that is not done decides.
    fn initialisation(
        &mut self,
        pod: &'p Value,
        count: usize,
        is_sidecar: impl Fn(&str) -> bool,
    ) -> Initialised<'p> {
        let mut sidecars = (0, None);
        for (index, status) in pod.list_at(&["status", "initContainerStatuses"]).iter().enumerate() {
            self.restarts += number(status, &["restartCount"]);
            self.last_restart = later(self.last_restart, status);
            let sidecar = is_sidecar(text(status, &["name"]));
            if sidecar {
                sidecars = (sidecars.0 + number(status, &["restartCount"]), later(sidecars.1, status));
            }
            let terminated = status.at(&["state", "terminated"]);
            let waiting = text(status, &["state", "waiting", "reason"]);
            self.reason = match terminated {
                Some(terminated) if number(terminated, &["exitCode"]) == 0 => continue,
                _ if sidecar && status.bool_at(&["started"]) == Some(true) => {
                    self.ready += usize::from(status.bool_at(&["ready"]) == Some(true));
                    continue;
                }
                Some(terminated) => match text(terminated, &["reason"]) {
                    "" => format!("Init:{}", ended(terminated)),
                    reason => format!("Init:{reason}"),
                },
                None if !waiting.is_empty() && waiting != "PodInitializing" => format!("Init:{waiting}"),
                None => format!("Init:{index}/{count}"),
            };
            return Initialised::No;
        }
        Initialised::Yes { restarts: sidecars.0, last_restart: sidecars.1 }
    }

    /// Reads the containers; of several reasons the first container's stands.
    fn containers(&mut self, pod: &'p Value, sidecar_restarts: i64, last_sidecar_restart: Option<&'p str>) {
        self.restarts = sidecar_restarts;
        self.last_restart = last_sidecar_restart;
        let mut has_running = false;
        for status in pod.list_at(&["status", "containerStatuses"]).iter().rev() {
            self.restarts += number(status, &["restartCount"]);
            self.last_restart = later(self.last_restart, status);
            let waiting = text(status, &["state", "waiting", "reason"]);
            if !waiting.is_empty() {
                self.reason = waiting.to_owned();
            } else if let Some(terminated) = status.at(&["state", "terminated"]) {
                self.reason = match text(terminated, &["reason"]) {
                    "" => ended(terminated),
                    reason => reason.to_owned(),
                };
            } else if status.bool_at(&["ready"]) == Some(true) && status.at(&["state", "running"]).is_some() {
                has_running = true;
                self.ready += 1;
            }
        }
        if self.reason == "Completed" && has_running {
            self.reason = if is_true(pod, "Ready") { "Running" } else { "NotReady" }.to_owned();
        }
    }
}

enum Initialised<'p> {
    No,
    Yes { restarts: i64, last_restart: Option<&'p str> },
}
