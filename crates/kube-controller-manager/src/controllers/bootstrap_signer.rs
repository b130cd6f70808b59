//! Signatures of the cluster's public kubeconfig.
//!
//! Keeps true: `kube-public/cluster-info` is signed with every bootstrap token that may sign, so that who has a token
//! can trust what it finds there.
//! Woken by: changes of bootstrap tokens and of the config map; time, when a token ends.
//! Reads: secrets of bootstrap tokens, the config map. Writes: the signatures in the config map.
//! Gives up when: there is no such config map.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use controller_runtime::Running;
use controller_runtime::api::Delete;
use controller_runtime::api::Error;
use controller_runtime::api::path::path_of;
use controller_runtime::context::{Context, now};
use controller_runtime::resource;
use informer::{Key, Metadata, Outcome, Store, Watch, WorkQueue, null_is_default, run_workers};
use jiff::Timestamp;
use ring::hmac;
use serde::Deserialize;
use serde_json::{Value, json};

const SIGNED: &str = "kubeconfig";
const SIGNATURE: &str = "jws-kubeconfig-";

/// The secret of a bootstrap token.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct BootstrapToken {
    metadata: Metadata,
    #[serde(deserialize_with = "null_is_default")]
    data: BTreeMap<String, String>,
}

resource!(BootstrapToken, "", "v1", "Secret", "secrets");

/// The config map of the public kubeconfig.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct ClusterInfo {
    metadata: Metadata,
    #[serde(deserialize_with = "null_is_default")]
    data: BTreeMap<String, String>,
}

resource!(ClusterInfo, "", "v1", "ConfigMap", "configmaps");

impl BootstrapToken {
    fn field(&self, name: &str) -> Option<String> {
        String::from_utf8(STANDARD.decode(self.data.get(name)?).ok()?).ok()
    }

    /// Returns when the token ends; one whose end cannot be read has ended.
    fn expires(&self) -> Option<Timestamp> {
        let text = self.field("expiration")?;
        Some(apimachinery::time::parse(&text).unwrap_or(Timestamp::UNIX_EPOCH))
    }

    /// Returns id and secret, if the token may sign.
    fn signs(&self, now: Timestamp) -> Option<(String, String)> {
        let (id, secret) = (self.field("token-id")?, self.field("token-secret")?);
        let named = self.metadata.name == format!("bootstrap-token-{id}");
        let may = self.field("usage-bootstrap-signing").is_some_and(|text| text == "true");
        let lives = !self.metadata.is_deleting() && self.expires().is_none_or(|end| end > now);
        (named && may && lives && !secret.is_empty()).then_some((id, secret))
    }
}

fn tokens(context: &Context) -> Store<BootstrapToken> {
    let watch =
        Watch::resource("", "v1", "secrets", "kube-system").fields("type=bootstrap.kubernetes.io/token");
    context.stores.watch(watch)
}

/// Starts the signer.
pub fn start(context: Context) -> Option<Running> {
    let watch = Watch::resource("", "v1", "configmaps", "kube-public").fields("metadata.name=cluster-info");
    let (info, tokens) = (context.stores.watch::<ClusterInfo>(watch), tokens(&context));
    let queue = WorkQueue::new("bootstrap_signer_queue");
    context.stores.close_at_shutdown(&queue);
    let (on_info, on_token) = (queue.clone(), queue.clone());
    info.on_change(move |_| on_info.add(Key::new("kube-public", "cluster-info")));
    tokens.on_change(move |_| on_token.add(Key::new("kube-public", "cluster-info")));
    Some(Box::pin(async move {
        info.ready().await;
        tokens.ready().await;
        run_workers("bootstrap-signer", &queue, 1, |key| sign(&context, &info, &tokens, key)).await;
    }))
}

async fn sign(
    context: &Context,
    info: &Store<ClusterInfo>,
    tokens: &Store<BootstrapToken>,
    key: Key,
) -> Result<Outcome, Error> {
    let Some(info) = info.get(key.as_str()) else { return Ok(Outcome::Done) };
    let now = now();
    let tokens = tokens.list();
    let signers: Vec<_> = tokens.iter().filter_map(|token| token.signs(now)).collect();
    let ends = tokens.iter().filter_map(|token| token.expires()).filter(|end| *end > now).min();
    let data = signed(&info.data, &signers);
    if data != info.data {
        context
            .api
            .modify(&*info, "", |live| {
                live["data"] = json!(data);
                true
            })
            .await?;
    }
    Ok(ends.map_or(Outcome::Done, |end| Outcome::After(until(end, now))))
}

/// Returns the data with exactly the signatures of these tokens.
fn signed(data: &BTreeMap<String, String>, signers: &[(String, String)]) -> BTreeMap<String, String> {
    let mut signed: BTreeMap<String, String> = data
        .iter()
        .filter(|(name, _)| !name.starts_with(SIGNATURE))
        .map(|(k, v)| (k.clone(), v.clone()))
        .collect();
    if let Some(content) = data.get(SIGNED) {
        for (id, secret) in signers {
            signed.insert(format!("{SIGNATURE}{id}"), signature(content, id, secret));
        }
    }
    signed
}

/// A detached JWS: the content stays outside, between the two points.
fn signature(content: &str, id: &str, secret: &str) -> String {
    let header = URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"HS256","kid":"{id}"}}"#));
    let message = format!("{header}.{}", URL_SAFE_NO_PAD.encode(content));
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    format!("{header}..{}", URL_SAFE_NO_PAD.encode(hmac::sign(&key, message.as_bytes())))
}

fn until(end: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(end.duration_since(now)).unwrap_or_default().max(Duration::from_secs(1))
}

/// Starts the cleaner, which keeps true that bootstrap tokens go when they end.
pub fn start_cleaner(context: Context) -> Option<Running> {
    let tokens = tokens(&context);
    let queue = WorkQueue::new("token_cleaner");
    context.stores.close_at_shutdown(&queue);
    let on_token = queue.clone();
    tokens.on_change(move |change| on_token.add(change.object().metadata.key()));
    let shell = Arc::new((context, tokens));
    Some(Box::pin(async move {
        shell.1.ready().await;
        run_workers("token-cleaner", &queue, 1, |key| clean(&shell.0, &shell.1, key)).await;
    }))
}

async fn clean(context: &Context, tokens: &Store<BootstrapToken>, key: Key) -> Result<Outcome, Error> {
    let Some(token) = tokens.get(key.as_str()) else { return Ok(Outcome::Done) };
    let Some(end) = token.expires() else { return Ok(Outcome::Done) };
    let now = now();
    if end > now {
        return Ok(Outcome::After(until(end, now)));
    }
    let delete = Delete { uid: Some(&token.metadata.uid), ..Delete::default() };
    let deleted: Result<Value, Error> = context.api.delete(&path_of(&*token), delete).await;
    match deleted {
        Err(error) if !error.is_not_found() && !error.is_conflict() => Err(error),
        _ => Ok(Outcome::Done),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(change: &[(&str, &str)]) -> BootstrapToken {
        let mut data: BTreeMap<String, String> = [
            ("token-id", "abcdef"),
            ("token-secret", "0123456789abcdef"),
            ("usage-bootstrap-signing", "true"),
            ("expiration", "2026-01-02T00:00:00Z"),
        ]
        .map(|(name, value)| (name.to_owned(), STANDARD.encode(value)))
        .into();
        for (name, value) in change {
            data.insert((*name).to_owned(), STANDARD.encode(value));
        }
        let metadata = Metadata { name: "bootstrap-token-abcdef".to_owned(), ..Metadata::default() };
        BootstrapToken { metadata, data }
    }

    #[test]
    fn only_tokens_that_may_and_live_sign() {
        let now = "2026-01-01T00:00:00Z".parse().unwrap();
        assert!(token(&[]).signs(now).is_some());
        assert!(token(&[("expiration", "9999-12-31T23:59:59Z")]).signs(now).is_some());
        for change in [
            ("usage-bootstrap-signing", "false"),
            ("token-id", "other0"),
            ("expiration", "2025-12-31T00:00:00Z"),
            ("expiration", "soon"),
        ] {
            assert!(token(&[change]).signs(now).is_none(), "{change:?}");
        }
    }

    #[test]
    fn signatures_follow_the_tokens() {
        let data = BTreeMap::from([
            ("kubeconfig".to_owned(), "content".to_owned()),
            ("jws-kubeconfig-gone00".to_owned(), "old".to_owned()),
        ]);
        let signed = signed(&data, &[("abcdef".to_owned(), "0123456789abcdef".to_owned())]);
        assert_eq!(signed.keys().collect::<Vec<_>>(), ["jws-kubeconfig-abcdef", "kubeconfig"]);
        let parts: Vec<&str> = signed["jws-kubeconfig-abcdef"].split('.').collect();
        assert_eq!((parts.len(), parts[1]), (3, ""));
        assert_eq!(URL_SAFE_NO_PAD.decode(parts[0]).unwrap(), br#"{"alg":"HS256","kid":"abcdef"}"#);
        assert_eq!(URL_SAFE_NO_PAD.decode(parts[2]).unwrap().len(), 32);
    }
}
