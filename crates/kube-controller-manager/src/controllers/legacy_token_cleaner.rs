//! Tokens in secrets that were made for service accounts without being asked for, and that nobody uses.
//!
//! Keeps true: such a token is marked invalid when it was not used for `--legacy-service-account-token-clean-up-period`,
//! and goes when it has been marked for as long.
//! Woken by: time, once a day.
//! Reads: the ConfigMap that says since when uses are written down, secrets with tokens, their accounts, pods near them.
//! Writes: the mark on such secrets; deletes them.
//! Gives up when: uses have not been written down for long enough; then it looks again the next day.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use controller_runtime::Running;
use controller_runtime::api::path::path_of;
use controller_runtime::api::{Api, Delete, Error, Patch};
use controller_runtime::context::{Context, now};
use controller_runtime::resource;
use informer::{Metadata, null_is_default};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

const TRACKING: &str =
    "/api/v1/namespaces/kube-system/configmaps/kube-apiserver-legacy-service-account-token-tracking";
const SECRETS: &str = "/api/v1/secrets?fieldSelector=type%3Dkubernetes.io%2Fservice-account-token";
const LAST_USED: &str = "kubernetes.io/legacy-token-last-used";
const INVALID_SINCE: &str = "kubernetes.io/legacy-token-invalid-since";
const ACCOUNT_NAME: &str = "kubernetes.io/service-account.name";
const ACCOUNT_UID: &str = "kubernetes.io/service-account.uid";
/// How often it looks, as upstream; a shorter period is looked at as often as it ends.
const LOOK_AGAIN: Duration = Duration::from_secs(24 * 60 * 60);

/// A secret that holds a token, without the token.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Secret {
    metadata: Metadata,
}

resource!(Secret, "", "v1", "Secret", "secrets");

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct List<T: Default> {
    items: Vec<T>,
}

/// What an account says of its tokens.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Account {
    metadata: Metadata,
    #[serde(deserialize_with = "null_is_default")]
    secrets: Vec<Named>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Named {
    name: String,
}

/// Starts the controller.
pub fn start(context: Context) -> Option<Running> {
    let period = context.options.legacy_service_account_token_clean_up_period;
    let cleaner = Cleaner {
        api: context.api.clone(),
        manager: Api::new(context.stores.client().clone()),
        period: SignedDuration::try_from(period).unwrap_or(SignedDuration::MAX),
    };
    let shutdown = context.stores.runtime().shutdown();
    let mut rounds = tokio::time::interval(LOOK_AGAIN.min(period).max(Duration::from_secs(1)));
    rounds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    Some(Box::pin(async move {
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                _ = rounds.tick() => {}
            }
            if let Err(error) = cleaner.look(now()).await {
                tracing::warn!(%error, "unused tokens of service accounts cannot be cleaned up");
            }
        }
    }))
}

/// Reads by requests, not from stores: a store of all secrets and pods would cost memory all day for one look.
struct Cleaner {
    api: Api,
    /// The manager's own identity, which may read what the account of this controller may not.
    manager: Api,
    period: SignedDuration,
}

/// What is to be done about a secret.
#[derive(Debug, PartialEq, Eq)]
enum Action {
    Nothing,
    Mark,
    Delete,
}

impl Cleaner {
    async fn look(&self, now: Timestamp) -> Result<(), Error> {
        let tracking = match self.api.get(TRACKING).await {
            Err(error) if error.is_not_found() => return Ok(()),
            found => found?,
        };
        let Some(limit) = limit(tracking["data"]["since"].as_str().unwrap_or_default(), now, self.period)
        else {
            return Ok(());
        };
        let secrets: List<Secret> = self.manager.read(SECRETS).await?;
        let mut mounted: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for secret in &secrets.items {
            let action = decide(secret, &limit);
            if action == Action::Nothing || !self.is_generated(secret).await? {
                continue;
            }
            let namespace = &secret.metadata.namespace;
            if !mounted.contains_key(namespace) {
                mounted.insert(namespace.clone(), self.used_by_pods(namespace).await?);
            }
            if !mounted[namespace].contains(&secret.metadata.name) {
                self.act(secret, action, &limit).await?;
            }
        }
        Ok(())
    }

    /// Whether the account lists the secret, as it does those that were made for it without being asked for.
    async fn is_generated(&self, secret: &Secret) -> Result<bool, Error> {
        let annotations = &secret.metadata.annotations;
        let Some(name) = annotations.get(ACCOUNT_NAME) else { return Ok(false) };
        let path = format!("/api/v1/namespaces/{}/serviceaccounts/{name}", secret.metadata.namespace);
        let account: Account = match self.manager.read(&path).await {
            Err(error) if error.is_not_found() => return Ok(false),
            found => found?,
        };
        let same = annotations.get(ACCOUNT_UID).is_none_or(|uid| *uid == account.metadata.uid);
        Ok(same && account.secrets.iter().any(|listed| listed.name == secret.metadata.name))
    }

    /// Names of the secrets that pods of a namespace use.
    async fn used_by_pods(&self, namespace: &str) -> Result<BTreeSet<String>, Error> {
        let pods = self.manager.get(&format!("/api/v1/namespaces/{namespace}/pods")).await?;
        let mut names = BTreeSet::new();
        for pod in pods["items"].as_array().into_iter().flatten() {
            add_secret_names(&pod["spec"], &mut names);
        }
        Ok(names)
    }

    async fn act(&self, secret: &Secret, action: Action, limit: &Limit) -> Result<(), Error> {
        let metadata = &secret.metadata;
        let path = path_of(secret);
        let done = match action {
            Action::Nothing => return Ok(()),
            Action::Mark => {
                tracing::info!(secret = path, "a token of a service account is unused and marked invalid");
                let patch = json!({"metadata": {"uid": metadata.uid, "labels": {INVALID_SINCE: limit.today.to_string()}}});
                self.api.patch(&path, Patch::Merge, &patch).await
            }
            Action::Delete => {
                tracing::info!(secret = path, "a token of a service account is unused and deleted");
                let version = Some(metadata.resource_version.as_str());
                self.api.delete(&path, Delete { resource_version: version, ..Delete::default() }).await
            }
        };
        match done {
            // It changed since it was read: what it is now is seen at the next look.
            Err(error) if error.is_not_found() || error.is_conflict() => Ok(()),
            done => done.map(drop),
        }
    }
}

/// What was used before a day is unused.
#[derive(Debug, PartialEq, Eq)]
struct Limit {
    today: Date,
    /// What was made at this time or later stays.
    made: Timestamp,
    /// What was used on this day or later stays.
    used: Date,
}

/// Reckons with uses that are written down since a day, if that is long enough.
fn limit(since: &str, now: Timestamp, period: SignedDuration) -> Option<Limit> {
    // The whole day counts: at its beginning they were perhaps not yet written down.
    let since = since.parse::<Date>().ok()?.tomorrow().ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp();
    let made = now.checked_sub(period).ok()?;
    let day = |at: Timestamp| at.to_zoned(TimeZone::UTC).date();
    (made >= since).then(|| Limit { today: day(now), made, used: day(made) })
}

fn decide(secret: &Secret, limit: &Limit) -> Action {
    let metadata = &secret.metadata;
    let is_old = metadata.creation_timestamp.as_ref().is_some_and(|made| made.0 < limit.made);
    let is_unused = match metadata.labels.get(LAST_USED) {
        None => true,
        Some(used) => used.parse::<Date>().is_ok_and(|used| used < limit.used),
    };
    if metadata.is_deleting() || !is_old || !is_unused {
        return Action::Nothing;
    }
    match metadata.labels.get(INVALID_SINCE).and_then(|since| since.parse::<Date>().ok()) {
        None => Action::Mark,
        Some(since) if since < limit.used => Action::Delete,
        Some(_) => Action::Nothing,
    }
}

/// Finds the names of secrets wherever a pod can say them.
fn add_secret_names(value: &Value, names: &mut BTreeSet<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| add_secret_names(item, names)),
        Value::Object(fields) => {
            for (key, field) in fields {
                let said = match key.as_str() {
                    "secretKeyRef" | "secretRef" | "secret" | "nodePublishSecretRef" => {
                        field["name"].as_str().or_else(|| field["secretName"].as_str())
                    }
                    "azureFile" => field["secretName"].as_str(),
                    _ => None,
                };
                names.extend(said.map(str::to_owned));
                if key == "imagePullSecrets" {
                    let listed = field.as_array().into_iter().flatten();
                    names.extend(listed.filter_map(|item| item["name"].as_str()).map(str::to_owned));
                }
                add_secret_names(field, names);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn uses_must_have_been_written_down_for_long_enough() {
        let year = SignedDuration::from_hours(365 * 24);
        assert_eq!(limit("2026-01-01", at("2026-12-31T00:00:00Z"), year), None);
        let found = limit("2026-01-01", at("2027-01-02T00:00:00Z"), year).unwrap();
        assert_eq!(
            (found.today.to_string(), found.used.to_string()),
            ("2027-01-02".into(), "2026-01-02".into())
        );
        assert_eq!(limit("soon", at("2027-01-02T00:00:00Z"), year), None);
    }

    #[test]
    fn unused_tokens_are_marked_and_later_go() {
        let limit = limit("2020-01-01", at("2026-06-30T00:00:00Z"), SignedDuration::from_hours(240)).unwrap();
        let decide = |made: &str, labels: Value| {
            let secret = json!({"metadata": {"name": "s", "creationTimestamp": made, "labels": labels}});
            super::decide(&serde_json::from_value(secret).unwrap(), &limit)
        };
        let old = "2025-01-01T00:00:00Z";
        for (made, labels, expected) in [
            (old, json!({}), Action::Mark),
            (old, json!({LAST_USED: "2026-06-19"}), Action::Mark),
            (old, json!({LAST_USED: "2026-06-20"}), Action::Nothing),
            (old, json!({LAST_USED: "lately"}), Action::Nothing),
            (old, json!({INVALID_SINCE: "2026-06-20"}), Action::Nothing),
            (old, json!({INVALID_SINCE: "2026-06-19"}), Action::Delete),
            (old, json!({INVALID_SINCE: "once"}), Action::Mark),
            ("2026-06-20T00:00:00Z", json!({}), Action::Nothing),
        ] {
            assert_eq!(decide(made, labels.clone()), expected, "{made} {labels}");
        }
    }

    #[test]
    fn pods_name_secrets_in_many_places() {
        let spec = json!({
            "imagePullSecrets": [{"name": "pull"}],
            "volumes": [{"name": "v", "secret": {"secretName": "volume"}}, {"name": "w", "configMap": {"name": "map"}},
                {"name": "p", "projected": {"sources": [{"secret": {"name": "projected"}}]}},
                {"name": "f", "csi": {"driver": "d", "nodePublishSecretRef": {"name": "csi"}}}],
            "containers": [{"name": "c", "envFrom": [{"secretRef": {"name": "all"}}, {"configMapRef": {"name": "map"}}],
                "env": [{"name": "E", "valueFrom": {"secretKeyRef": {"name": "key", "key": "k"}}}]}]});
        let mut names = BTreeSet::new();
        add_secret_names(&spec, &mut names);
        assert_eq!(Vec::from_iter(names), ["all", "csi", "key", "projected", "pull", "volume"]);
    }
}
