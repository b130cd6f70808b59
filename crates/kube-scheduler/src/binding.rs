//! Binding a pod's claims before the pod itself: what was chosen is written, then others are waited for.

use std::time::Duration;

use component::cause::whole;
use kube::Client;

use crate::api;
use crate::plugins::volume_binding::{Action, Progress, Step};
use crate::volumes::Choice;
use crate::watch::Shared;

/// Writes what was chosen for a pod's claims; the error is for people.
pub async fn write(client: &Client, mut claims: Vec<Step>) -> Result<Vec<Step>, String> {
    for step in &mut claims {
        let Action::Write(version) = step.action else { continue };
        let written = match &step.choice {
            Choice::Volume(volume) => {
                api::claim_volume(client, volume, version, &step.claim, &step.uid).await
            }
            Choice::Node(node) => api::select_node(client, &step.claim, &step.uid, version, node).await,
        };
        step.action = Action::Written(written.map_err(|error| whole(&error).to_string())?);
    }
    Ok(claims)
}

/// Waits until all claims of a pod have their volumes. The error is for people; none if nobody waits for the pod any
/// more.
pub async fn wait(
    shared: &Shared,
    pod_uid: &str,
    claims: &[Step],
    patience: Duration,
) -> Option<Result<(), String>> {
    let bell = shared.bells.hang(pod_uid);
    let bound = async {
        loop {
            match shared.core.lock().progress(pod_uid, claims)? {
                Progress::Bound => return Some(Ok(())),
                Progress::Failed(why) => return Some(Err(why)),
                Progress::Waits => {}
            }
            bell.notified().await;
        }
    };
    let result = tokio::time::timeout(patience, bound).await;
    shared.bells.take(pod_uid);
    result.unwrap_or_else(|_| Some(Err("context deadline exceeded".to_owned())))
}
