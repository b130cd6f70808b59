//! Tokens kept in secrets: since when their use is written down, and the day of each one's last use.
//!
//! Keeps true: a ConfigMap says since when; a secret whose token is used says so by a label, once a day.
//! Woken by: the check of a token, and time.
//! Reads and writes: ConfigMap kube-system/kube-apiserver-legacy-service-account-token-tracking; Secrets.
//! Gives up when: the server stops. A use that cannot be written down is written down at the next.

use std::sync::Arc;
use std::time::Duration;

use apimachinery::{ObjectExt, Status};
use authn::{LAST_USED, day};
use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

use crate::bootstrap::{change, create_missing};
use crate::server::Server;

const NAMESPACE: &str = "kube-system";
const NAME: &str = "kube-apiserver-legacy-service-account-token-tracking";
const SINCE: &str = "since";
/// How often the ConfigMap is looked at.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// Key and UID of a secret.
type Used = (String, String);
/// Secrets whose tokens were used and that wait for their label: what does not fit waits for the next use.
const WAITING: usize = 256;

/// Tells the task of tokens that were used.
#[derive(Clone)]
pub struct Uses(mpsc::Sender<Used>);

/// What the task is told.
pub struct Told(mpsc::Receiver<Used>);

/// How the check of tokens and the task speak with each other.
pub fn uses() -> (Uses, Told) {
    let (sender, receiver) = mpsc::channel(WAITING);
    (Uses(sender), Told(receiver))
}

impl Uses {
    /// Notes that the token of a secret was used.
    pub fn note(&self, secret: &Value) {
        let key = format!("{}/{}", secret.namespace(), secret.name());
        if self.0.try_send((key, secret.uid().to_owned())).is_err() {
            tracing::debug!(name = secret.name(), "too many tokens of secrets are used at once");
        }
    }
}

/// Makes the ConfigMap, or mends what it says.
pub async fn ensure(server: &Server) -> Result<(), Status> {
    let now = Timestamp::now();
    let object = json!({
        "kind": "ConfigMap", "apiVersion": "v1",
        "metadata": { "name": NAME, "namespace": NAMESPACE }, "data": { SINCE: day(now) },
    });
    if create_missing(server, "", "configmaps", object).await? {
        return Ok(());
    }
    change(server, "", "configmaps", &format!("{NAMESPACE}/{NAME}"), |old| {
        (!is_sound(old, now)).then(|| {
            let mut new = old.clone();
            new.set_at(&["data"], json!({ SINCE: day(now) }));
            new
        })
    })
    .await
}

/// Whether a day is said that is not yet to come.
fn is_sound(object: &Value, now: Timestamp) -> bool {
    let since = object.str_at(&["data", SINCE]).and_then(|since| since.parse::<Date>().ok());
    since.is_some_and(|since| since.to_string() <= day(now))
}

/// Writes down uses and keeps the ConfigMap, until the server stops.
pub async fn run(server: Arc<Server>, mut told: Told) {
    let Some(entry) = server.registry.stored("", "configmaps") else { return };
    let key = format!("{NAMESPACE}/{NAME}");
    let mut round = tokio::time::interval(LOOK_AGAIN);
    round.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            used = told.0.recv() => {
                let Some((key, uid)) = used else { return };
                if let Err(status) = mark(&server, &key, &uid).await {
                    tracing::warn!(key, %status, "cannot write down that a token was used");
                }
            }
            _ = round.tick() => {
                // Read from memory: nothing is asked unless it is gone or wrong.
                let known = entry.cache().get(&key).and_then(|object| object.value().ok());
                if !known.is_some_and(|object| is_sound(&object, Timestamp::now()))
                    && let Err(status) = ensure(&server).await
                {
                    tracing::warn!(%status, "cannot say since when the use of tokens is written down");
                }
            }
        }
    }
}

async fn mark(server: &Server, key: &str, uid: &str) -> Result<(), Status> {
    let today = day(Timestamp::now());
    change(server, "", "secrets", key, |secret| {
        (secret.uid() == uid && secret.label(LAST_USED) != Some(&today)).then(|| {
            let mut new = secret.clone();
            new.set_at(&["metadata", "labels", LAST_USED], json!(today));
            new
        })
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_to_come_is_mended() {
        let now: Timestamp = "2026-11-21T10:00:00Z".parse().unwrap();
        for (since, expected) in
            [("2026-11-21", true), ("2024-01-01", true), ("2026-11-22", false), ("soon", false), ("", false)]
        {
            assert_eq!(is_sound(&json!({"data": {"since": since}}), now), expected, "{since}");
        }
        assert!(!is_sound(&json!({}), now));
    }
}
