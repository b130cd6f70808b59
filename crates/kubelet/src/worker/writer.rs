//! Writes one pod's status to the API, and lets the pod go in the end.
//!
//! Guarantees: only the newest status is written, and again only where someone else has written over it; a pod is
//! deleted only after its last status was written.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use k8s_openapi::api::core::v1::{Pod, PodStatus};
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams, Preconditions},
};
use serde_json::{Value, json};
use tokio::sync::watch;

use component::cause::whole;

use crate::{kubelet::Kubelet, pod, pods::PodState, status::OF_RESIZE};

/// What the API is to show.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Wanted {
    /// The status, once there is one.
    pub status: Option<PodStatus>,
    /// Whether the pod is to be let go.
    pub delete: bool,
}

/// What the API has taken.
struct Written {
    /// The uid of the pod there.
    uid: String,
    status: PodStatus,
    /// Its resourceVersion from then on.
    version: u64,
}

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LAST_PAUSE: Duration = Duration::from_secs(10);
/// The pace at which two who contradict each other do so.
const CONTRADICTION: Duration = Duration::from_millis(250);

/// Writes until the worker is gone and what it last wanted is done.
pub(super) async fn run(kubelet: Arc<Kubelet>, state: Arc<PodState>, mut wanted: watch::Receiver<Wanted>) {
    let shutdown = kubelet.process.shutdown();
    let Some(client) = kubelet.client.clone() else { return };
    let pods: Api<Pod> = Api::namespaced(client, &state.names.namespace);
    let mut written: Option<Written> = None;
    let mut pause = FIRST_PAUSE;
    loop {
        let now = wanted.borrow_and_update().clone();
        let uid = state.api_uid.lock().clone();
        let outcome = match uid {
            // A static pod without its image in the API has nowhere to show.
            None => Ok(Outcome::Hidden),
            Some(uid) => write(&pods, &state, &uid, &now, &mut written).await,
        };
        match outcome {
            Ok(Outcome::Gone) => return,
            Ok(Outcome::Written | Outcome::Hidden) => {
                pause = FIRST_PAUSE;
                tokio::select! {
                    changed = wanted.changed() => if changed.is_err() { return },
                    () = state.shown.notified() => {}
                    () = state.contradicted.notified() => if restores(&state, &now, written.as_ref()) {
                        tokio::select! {
                            () = tokio::time::sleep(CONTRADICTION) => {}
                            changed = wanted.changed() => if changed.is_err() { return },
                        }
                    },
                    () = shutdown.cancelled() => return,
                }
            }
            Err(error) => {
                tracing::warn!(pod = %state.names.full(), error = whole(&error), "cannot write a pod's status");
                // A newer status need not wait out the pause of an older one's failure, but it is no reason to hurry.
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = shutdown.cancelled() => return,
                }
                pause = (pause * 2).min(LAST_PAUSE);
            }
        }
    }
}

/// Whether what is wanted was written, and someone else has written over it since.
fn restores(state: &PodState, wanted: &Wanted, written: Option<&Written>) -> bool {
    written.is_some_and(|written| {
        wanted.status.as_ref() == Some(&written.status)
            && state.contradicted_at.load(Ordering::Acquire) > written.version
    })
}

enum Outcome {
    Written,
    /// A static pod has no mirror, or has no longer the one that it had: there will be another.
    Hidden,
    Gone,
}

async fn write(
    pods: &Api<Pod>,
    state: &PodState,
    uid: &str,
    wanted: &Wanted,
    written: &mut Option<Written>,
) -> Result<Outcome, kube::Error> {
    let name = &state.names.name;
    if let Some(status) = &wanted.status {
        let before = written.as_ref().filter(|written| written.uid == uid);
        let is_said = before.is_some_and(|before| before.status == *status);
        if !is_said || restores(state, wanted, before) {
            let patch = patch(uid, before.map(|before| &before.status), status);
            match pods.patch_status(name, &PatchParams::default(), &Patch::Strategic(patch)).await {
                Ok(pod) => {
                    let version = pod::version(&pod);
                    *written = Some(Written { uid: uid.to_owned(), status: status.clone(), version });
                }
                // Gone, or another pod of the same name by now.
                Err(kube::Error::Api(status))
                    if status.code == 404 || status.code == 409 && status.message.contains("uid") =>
                {
                    return Ok(if uid == state.names.uid { Outcome::Gone } else { Outcome::Hidden });
                }
                Err(error) => return Err(error),
            }
        }
    }
    if !wanted.delete {
        return Ok(Outcome::Written);
    }
    let now = DeleteParams {
        grace_period_seconds: Some(0),
        preconditions: Some(Preconditions { uid: Some(uid.to_owned()), resource_version: None }),
        ..DeleteParams::default()
    };
    match pods.delete(name, &now).await {
        Ok(_) => Ok(Outcome::Gone),
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(Outcome::Gone),
        Err(error) => Err(error),
    }
}

/// The strategic merge patch to a status: conditions are merged by type, so that everyone else's stay; addresses are
/// replaced, so that those of an older sandbox go.
fn patch(uid: &str, told: Option<&PodStatus>, now: &PodStatus) -> Value {
    let mut status = now.clone();
    if let Some(conditions) = &mut status.conditions {
        conditions.retain(crate::status::is_own);
    }
    let mut value = serde_json::to_value(&status).unwrap_or_default();
    // What was set before and no longer is must be taken back in so many words.
    if let (Some(Ok(Value::Object(before))), Value::Object(after)) =
        (told.map(serde_json::to_value), &mut value)
    {
        for key in before.into_iter().map(|(key, _)| key) {
            after.entry(key).or_insert(Value::Null);
        }
    }
    for key in ["podIPs", "hostIPs"] {
        if let Some(list) = value.get_mut(key).and_then(Value::as_array_mut) {
            list.insert(0, json!({"$patch": "replace"}));
        }
    }
    if let Some(conditions) = value.get_mut("conditions").and_then(Value::as_array_mut) {
        // Fields that a condition no longer has would be kept by the merge.
        for condition in conditions.iter_mut().filter_map(Value::as_object_mut) {
            for key in ["reason", "message"] {
                condition.entry(key).or_insert(Value::Null);
            }
        }
        // A resize that is done is no longer told of; before the first word, an earlier kubelet may have told of one.
        for kind in OF_RESIZE {
            let has = |status: &PodStatus| {
                status.conditions.iter().flatten().any(|condition| condition.type_ == kind)
            };
            if !has(now) && told.is_none_or(has) {
                conditions.push(json!({"$patch": "delete", "type": kind}));
            }
        }
    }
    json!({"metadata": {"uid": uid}, "status": value})
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use k8s_openapi::api::core::v1::{PodCondition, PodIP};

    use super::*;

    #[test]
    fn others_conditions_are_left_and_own_fields_taken_back() {
        let condition = |kind: &str| PodCondition {
            type_: kind.into(),
            status: "True".into(),
            ..PodCondition::default()
        };
        let before = PodStatus { reason: Some("x".into()), ..PodStatus::default() };
        let status = PodStatus {
            phase: Some("Running".into()),
            conditions: Some(vec![condition("Ready"), condition("example.com/gate")]),
            pod_ips: Some(vec![PodIP { ip: "10.0.0.1".into() }]),
            ..PodStatus::default()
        };
        expect![[r#"{"metadata":{"uid":"u"},"status":{"conditions":[{"message":null,"reason":null,"status":"True","type":"Ready"}],"phase":"Running","podIPs":[{"$patch":"replace"},{"ip":"10.0.0.1"}],"reason":null}}"#]]
            .assert_eq(&patch("u", Some(&before), &status).to_string());
    }
}
