//! Removal of certificate requests whose time is over.
//!
//! Keeps true: requests go one hour after they were decided, one day after they were made if they never are.
//! Woken by: changes of certificate requests; time.
//! Reads: certificate requests. Writes: deletes certificate requests.
//! Gives up when: never.

use std::sync::Arc;
use std::time::Duration;

use controller_runtime::Running;
use controller_runtime::api::path::path_of;
use controller_runtime::api::{Delete, Error};
use controller_runtime::context::{Context, now};
use controller_runtime::objects::certificate_request::CertificateSigningRequest;
use informer::{Key, Outcome, Store, run_workers};
use jiff::Timestamp;

/// How long a request is kept that was decided, and one that was not; upstream's values, in seconds.
const DECIDED: i64 = 3600;
const PENDING: i64 = 24 * 3600;

/// Starts the controller.
pub fn start(context: Context) -> Option<Running> {
    let (requests, queue) = super::requests(&context, "certificate_cleaner");
    let shell = Arc::new((context, requests));
    Some(Box::pin(async move {
        shell.1.ready().await;
        run_workers("csrcleaner", &queue, 1, |key| reconcile(&shell.0, &shell.1, key)).await;
    }))
}

async fn reconcile(
    context: &Context,
    requests: &Store<CertificateSigningRequest>,
    key: Key,
) -> Result<Outcome, Error> {
    let Some(object) = requests.get(key.as_str()) else { return Ok(Outcome::Done) };
    let left = left(&object, now());
    if !left.is_zero() {
        return Ok(Outcome::After(left));
    }
    let delete = Delete { uid: Some(&object.metadata.uid), ..Delete::default() };
    match context.api.delete(&path_of(&*object), delete).await {
        Err(error) if !error.is_not_found() && !error.is_conflict() => Err(error),
        _ => Ok(Outcome::Done),
    }
}

/// Returns how long a request is still kept.
fn left(object: &CertificateSigningRequest, now: Timestamp) -> Duration {
    let decided = object.status.conditions.iter().filter_map(|condition| {
        condition.last_update_time.as_ref().or(condition.last_transition_time.as_ref()).map(|time| time.0)
    });
    let created = object.metadata.creation_timestamp.as_ref().map_or(now, |time| time.0);
    let end = match decided.max() {
        Some(decided) => decided.as_second() + DECIDED,
        None => created.as_second() + PENDING,
    };
    Duration::from_secs(u64::try_from(end - now.as_second()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn decided_requests_go_after_an_hour_others_after_a_day() {
        let made = "2026-01-01T00:00:00Z";
        let mut object: CertificateSigningRequest =
            serde_json::from_value(json!({"metadata": {"creationTimestamp": made}})).unwrap();
        let at =
            |object: &CertificateSigningRequest, time: &str| left(object, time.parse().unwrap()).as_secs();
        assert_eq!(at(&object, "2026-01-01T23:59:59Z"), 1);
        object.status.conditions =
            serde_json::from_value(json!([{"type": "Denied", "status": "True", "lastUpdateTime": made}]))
                .unwrap();
        assert_eq!(at(&object, "2026-01-01T00:59:50Z"), 10);
        assert_eq!(at(&object, "2026-01-01T02:00:00Z"), 0);
    }
}
