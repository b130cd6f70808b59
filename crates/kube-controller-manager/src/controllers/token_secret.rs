//! Secrets that hold tokens of service accounts.
//!
//! Keeps true: a secret of type `kubernetes.io/service-account-token` has the token of its account, and goes with it.
//! Woken by: changes of such secrets, the deletion of service accounts.
//! Reads: such secrets, service accounts. Writes: fills such secrets, deletes those whose account is gone.
//! Gives up when: no key to sign with is given; then secrets are only cleaned up.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use controller_runtime::Running;
use controller_runtime::api::path::path_of;
use controller_runtime::api::{Api, Delete, Error};
use controller_runtime::context::Context;
use controller_runtime::resource;
use informer::{Change, Key, Metadata, Object, Outcome, PartialObject, Store, Watch, WorkQueue, run_workers};
use serde::Deserialize;
use serde_json::{Value, json};

use signer::Signer;

mod signer;

/// The annotation that names the account.
const ACCOUNT_NAME: &str = "kubernetes.io/service-account.name";
/// The annotation that names this very account.
const ACCOUNT_UID: &str = "kubernetes.io/service-account.uid";

/// A secret that holds a token.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct TokenSecret {
    metadata: Metadata,
    #[serde(deserialize_with = "lengths")]
    data: BTreeMap<String, usize>,
}

resource!(TokenSecret, "", "v1", "Secret", "secrets");

/// Secrets are not kept in memory: what matters is which keys there are.
fn lengths<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, usize>, D::Error> {
    let data = Option::<BTreeMap<String, String>>::deserialize(deserializer)?.unwrap_or_default();
    Ok(data.into_iter().map(|(key, value)| (key, value.len())).collect())
}

/// What is to be done about a secret.
#[derive(Debug, PartialEq, Eq)]
enum Action {
    Nothing,
    Delete,
    Fill,
}

/// Starts the controller.
pub fn start(context: Context) -> Option<Running> {
    let secrets = Watch::resource("", "v1", "secrets", "").fields("type=kubernetes.io/service-account-token");
    let accounts = Watch::resource("", "v1", "serviceaccounts", "").metadata_only();
    let signer = Signer::load(&context);
    let shell = Arc::new(Shell {
        secrets: context.stores.watch(secrets),
        accounts: context.stores.watch(accounts),
        queue: WorkQueue::new("serviceaccount_tokens_secret"),
        api: context.api.clone(),
        signer,
    });
    context.stores.close_at_shutdown(&shell.queue);
    let on_secret = Arc::clone(&shell);
    shell.secrets.on_change(move |change| on_secret.queue.add(change.object().key()));
    let on_account = Arc::clone(&shell);
    shell.accounts.on_change(move |change| {
        let account = change.object();
        let is_edge = matches!(change, Change::Deleted(_) | Change::Applied { old: None, .. });
        for secret in on_account.secrets.in_namespace(account.namespace()) {
            if is_edge
                && secret.metadata.annotations.get(ACCOUNT_NAME).is_some_and(|name| name == account.name())
            {
                on_account.queue.add(secret.key());
            }
        }
    });
    let workers = context.options.concurrency.service_accounts;
    Some(Box::pin(async move {
        shell.secrets.ready().await;
        shell.accounts.ready().await;
        run_workers("serviceaccount-token", &shell.queue, workers, |key| shell.reconcile(key)).await;
    }))
}

struct Shell {
    secrets: Store<TokenSecret>,
    accounts: Store<PartialObject>,
    queue: WorkQueue<Key>,
    api: Api,
    signer: Option<Signer>,
}

impl Shell {
    async fn reconcile(&self, key: Key) -> Result<Outcome, Error> {
        let Some(secret) = self.secrets.get(key.as_str()) else { return Ok(Outcome::Done) };
        let account = secret.metadata.annotations.get(ACCOUNT_NAME);
        let account = account.and_then(|name| self.accounts.find(key.namespace(), name));
        match decide(&secret, account.as_deref(), self.signer.as_ref()) {
            Action::Nothing => Ok(Outcome::Done),
            Action::Delete => {
                let delete = Delete { uid: Some(&secret.metadata.uid), ..Delete::default() };
                match self.api.delete(&path_of(&*secret), delete).await {
                    Err(error) if !error.is_not_found() => Err(error),
                    _ => Ok(Outcome::Done),
                }
            }
            Action::Fill => {
                let (Some(account), Some(signer)) = (account, &self.signer) else { return Ok(Outcome::Done) };
                let token =
                    signer.sign(key.namespace(), account.name(), account.uid(), &secret.metadata.name);
                let token = token.map_err(|error| Error::Malformed(error.to_string()))?;
                self.api.modify(&*secret, "", |live| fill(live, &account, &token, signer)).await?;
                Ok(Outcome::Done)
            }
        }
    }
}

fn decide(secret: &TokenSecret, account: Option<&PartialObject>, signer: Option<&Signer>) -> Action {
    let annotations = &secret.metadata.annotations;
    if secret.metadata.is_deleting() || !annotations.contains_key(ACCOUNT_NAME) {
        return Action::Nothing;
    }
    let Some(account) = account else { return Action::Delete };
    match annotations.get(ACCOUNT_UID) {
        Some(uid) if uid != account.uid() => return Action::Delete,
        _ => {}
    }
    let has = |key: &str| secret.data.get(key).is_some_and(|length| *length > 0);
    let Some(signer) = signer else { return Action::Nothing };
    let complete = has("token")
        && has("namespace")
        && (signer.authority.is_none() || has("ca.crt"))
        && annotations.contains_key(ACCOUNT_UID);
    if complete { Action::Nothing } else { Action::Fill }
}

fn fill(live: &mut Value, account: &PartialObject, token: &str, signer: &Signer) -> bool {
    let mut data = json!({
        "token": STANDARD.encode(token),
        "namespace": STANDARD.encode(account.namespace()),
    });
    if let Some(authority) = &signer.authority {
        data["ca.crt"] = STANDARD.encode(authority).into();
    }
    controller_runtime::api::merge(
        &mut live["metadata"]["annotations"],
        &json!({ACCOUNT_UID: account.uid()}),
    );
    controller_runtime::api::merge(&mut live["data"], &data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_goes_with_its_very_account() {
        let account: PartialObject =
            serde_json::from_value(json!({"metadata": {"name": "robot", "namespace": "a", "uid": "u1"}}))
                .unwrap();
        let secret = |annotations: Value| -> TokenSecret {
            serde_json::from_value(json!({"metadata": {"name": "s", "annotations": annotations}})).unwrap()
        };
        let named = secret(json!({ACCOUNT_NAME: "robot"}));
        assert_eq!(decide(&named, None, None), Action::Delete);
        assert_eq!(decide(&named, Some(&account), None), Action::Nothing);
        let older = secret(json!({ACCOUNT_NAME: "robot", ACCOUNT_UID: "u0"}));
        assert_eq!(decide(&older, Some(&account), None), Action::Delete);
        assert_eq!(decide(&secret(json!({})), None, None), Action::Nothing);
    }
}
