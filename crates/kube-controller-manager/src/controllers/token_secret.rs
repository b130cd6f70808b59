//! Secrets that hold tokens of service accounts.
//!
//! Keeps true: a secret of type `kubernetes.io/service-account-token` has the token of its account, and goes with it.
//! Woken by: changes of such secrets, the deletion of service accounts.
//! Reads: such secrets, service accounts. Writes: fills such secrets, deletes those whose account is gone.
//! Gives up when: no key to sign with is given; then secrets are only cleaned up.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use informer::{Change, Key, Metadata, Object, Outcome, PartialObject, Store, Watch, WorkQueue, run_workers};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Running;
use crate::api::path::path_of;
use crate::api::{Api, Delete, Error};
use crate::context::Context;
use crate::objects::resource;

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
                let token = signer.sign(key.namespace(), &account, &secret);
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
    crate::api::merge(&mut live["metadata"]["annotations"], &json!({ACCOUNT_UID: account.uid()}));
    crate::api::merge(&mut live["data"], &data)
}

/// Signs tokens that never end, as legacy ones do.
struct Signer {
    key: ring::signature::RsaKeyPair,
    /// The id of the public key: what the API server finds it by.
    key_id: String,
    authority: Option<Vec<u8>>,
}

impl Signer {
    /// Loads the key of `--service-account-private-key-file`; keys other than RSA sign nothing here.
    fn load(context: &Context) -> Option<Signer> {
        let path = context.options.service_account_private_key_file.as_deref()?;
        let authority = context.options.root_ca_file.as_deref().and_then(|path| std::fs::read(path).ok());
        let key = match pki::read_key(path) {
            Ok(key) => key,
            Err(error) => {
                tracing::warn!(%error, "tokens are not written into secrets");
                return None;
            }
        };
        let der = key.secret_der();
        let key = ring::signature::RsaKeyPair::from_pkcs8(der)
            .or_else(|_| ring::signature::RsaKeyPair::from_der(der));
        let Ok(key) = key else {
            tracing::info!("the service account key is not RSA: tokens are not written into secrets");
            return None;
        };
        let key_id = key_id(&key);
        Some(Signer { key, key_id, authority })
    }

    fn sign(
        &self,
        namespace: &str,
        account: &PartialObject,
        secret: &TokenSecret,
    ) -> Result<String, ring::error::Unspecified> {
        let header = json!({"alg": "RS256", "kid": self.key_id});
        let claims = json!({
            "iss": "kubernetes/serviceaccount",
            "kubernetes.io/serviceaccount/namespace": namespace,
            "kubernetes.io/serviceaccount/secret.name": secret.metadata.name,
            "kubernetes.io/serviceaccount/service-account.name": account.name(),
            "kubernetes.io/serviceaccount/service-account.uid": account.uid(),
            "sub": format!("system:serviceaccount:{namespace}:{}", account.name()),
        });
        let encode = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
        let message = format!("{}.{}", encode(&header), encode(&claims));
        let mut signature = vec![0; self.key.public().modulus_len()];
        let random = ring::rand::SystemRandom::new();
        self.key.sign(&ring::signature::RSA_PKCS1_SHA256, &random, message.as_bytes(), &mut signature)?;
        Ok(format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

/// The SHA-256 of the public key in its SubjectPublicKeyInfo form, as upstream names keys.
fn key_id(key: &ring::signature::RsaKeyPair) -> String {
    use sha2::{Digest, Sha256};
    let public = key.public().as_ref();
    // SEQUENCE { SEQUENCE { rsaEncryption, NULL }, BIT STRING { public key } }
    const ALGORITHM: [u8; 15] =
        [0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];
    let mut bits = vec![0x03];
    bits.extend(der_length(public.len() + 1));
    bits.push(0);
    bits.extend(public);
    let mut info = vec![0x30];
    info.extend(der_length(ALGORITHM.len() + bits.len()));
    info.extend(ALGORITHM);
    info.extend(bits);
    URL_SAFE_NO_PAD.encode(Sha256::digest(&info))
}

fn der_length(length: usize) -> Vec<u8> {
    if length < 128 {
        return vec![length as u8];
    }
    let bytes: Vec<u8> = length.to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect();
    let mut encoded = vec![0x80 | bytes.len() as u8];
    encoded.extend(bytes);
    encoded
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
