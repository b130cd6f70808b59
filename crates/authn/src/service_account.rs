//! Makes and checks service-account tokens.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use parking_lot::{Mutex, RwLock};
use peers::user::{self, UserInfo};
use ring::digest;
use serde::Deserialize;

use crate::cache::Generations;
use crate::claims::{Claims, Reference};
use crate::jws::{self, Unverified};
use crate::keys::{SigningKey, VerificationKey};
use crate::legacy::{self, LegacyClaims};
use crate::lookup::{Lookup, Referent};

/// Clocks of server and client may differ by this many seconds; also how long a token outlives the deletion
/// timestamp of what it is bound to.
const LEEWAY: i64 = 60;
/// A checked token is believed for up to twice this many seconds before its signature and its objects are looked
/// at again: upstream's `TokenSuccessCacheTTL` is 10 s.
const CACHE_PERIOD: i64 = 5;
/// At most twice as many checked tokens are held; an entry takes about a kilobyte.
const CACHE_CAPACITY: usize = 4096;
/// Longer tokens are not ours; looking at them would only cost time.
const MAX_TOKEN: usize = 16 * 1024;

/// Why a service-account token is refused. The texts are what TokenReview answers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Made by a key that is not ours.
    #[error("failed to verify signature: square/go-jose: error in cryptographic primitive")]
    Signature,
    /// The payload cannot be read.
    #[error("service account token claims could not be validated")]
    Claims,
    /// The time is past `exp`.
    #[error("service account token has expired")]
    Expired,
    /// The time is before `nbf`.
    #[error("service account token is not valid yet")]
    NotYetValid,
    /// Meant for others.
    #[error("token audiences {} is invalid for the target audiences {}", go_list(.token), go_list(.target))]
    Audience {
        /// The token's audiences.
        token: Vec<String>,
        /// The audiences it was shown to.
        target: Vec<String>,
    },
    /// A claim that must be there is not.
    #[error("{0} claim is missing")]
    Missing(&'static str),
    /// `sub` is not the service account of the private claims.
    #[error("sub claim is invalid")]
    Subject,
    /// An object that the token is bound to is gone. A server that is behind may know it a moment later.
    #[error("{resource} {name:?} not found")]
    Gone {
        /// The resource, such as `pods`.
        resource: &'static str,
        /// Its name.
        name: String,
    },
    /// An object that the token is bound to was deleted and made anew.
    #[error("{kind} UID ({actual}) does not match {what} claim ({claimed})")]
    Recreated {
        /// What it is, such as `pod`.
        kind: &'static str,
        /// The claim's name in upstream's words.
        what: &'static str,
        /// The object's UID.
        actual: String,
        /// The token's.
        claimed: String,
    },
    /// Withdrawn: its secret is gone or different, or what it is bound to is being deleted.
    #[error("service account token has been invalidated")]
    Invalidated,
    /// Withdrawn because nobody used it for long.
    #[error(
        "the token in secret {namespace}/{secret} for service account {namespace}/{account} has been marked invalid. Use tokens from the TokenRequest API or manually created secret-based tokens, or remove the 'kubernetes.io/legacy-token-invalid-since' label from the secret to temporarily allow use of this token"
    )]
    Withdrawn {
        /// Of both.
        namespace: String,
        /// The secret.
        secret: String,
        /// The account.
        account: String,
    },
}

/// Prints strings as Go's `%q` prints a slice: `["a" "b"]`.
fn go_list(list: &[String]) -> String {
    let quoted: Vec<String> = list.iter().map(|item| format!("{item:?}")).collect();
    format!("[{}]", quoted.join(" "))
}

/// Signs tokens.
#[derive(Debug)]
pub struct Issuer {
    issuer: String,
    key: RwLock<Arc<SigningKey>>,
}

impl Issuer {
    /// `issuer` is the first `--service-account-issuer`.
    pub fn new(issuer: impl Into<String>, key: SigningKey) -> Self {
        Self { issuer: issuer.into(), key: RwLock::new(Arc::new(key)) }
    }

    /// The `iss` of its tokens.
    pub fn name(&self) -> &str {
        &self.issuer
    }

    /// The public half of its key.
    pub fn verification_key(&self) -> VerificationKey {
        self.key.read().verification_key().clone()
    }

    /// Signs with another key from now on.
    pub fn replace_key(&self, key: SigningKey) {
        *self.key.write() = Arc::new(key);
    }

    /// Signs claims under the issuer's name; `None` only when the system has no randomness.
    pub fn sign(&self, mut claims: Claims) -> Option<String> {
        claims.iss.clone_from(&self.issuer);
        let key = self.key.read().clone();
        jws::sign(&key, &serde_json::to_vec(&claims).ok()?)
    }
}

/// Whom a token speaks for.
#[derive(Debug, Clone)]
pub struct TokenIdentity {
    /// The user.
    pub user: Arc<UserInfo>,
    /// Those of the audiences asked about that the token is for.
    pub audiences: Vec<String>,
}

/// A token whose check succeeded.
#[derive(Debug)]
struct Checked {
    user: Arc<UserInfo>,
    /// `None` for legacy tokens, which are for whatever audience the server has.
    audiences: Option<Vec<String>>,
    expires: Option<i64>,
    not_before: Option<i64>,
}

impl Checked {
    fn at(&self, now: i64) -> Result<(), TokenError> {
        if self.expires.is_some_and(|expires| now > expires.saturating_add(LEEWAY)) {
            return Err(TokenError::Expired);
        }
        if self.not_before.is_some_and(|from| now.saturating_add(LEEWAY) < from) {
            return Err(TokenError::NotYetValid);
        }
        Ok(())
    }
}

type Digest = [u8; digest::SHA256_OUTPUT_LEN];

/// Checks tokens: signature, time, audience, and that what they are bound to is there.
pub struct TokenVerifier {
    keys: RwLock<Arc<[VerificationKey]>>,
    issuers: Vec<String>,
    lookup: Arc<dyn Lookup>,
    checked: Mutex<Generations<Digest, Arc<Checked>>>,
}

impl TokenVerifier {
    /// `issuers` are all `--service-account-issuer`s: the first signs, tokens of the others are still accepted.
    pub fn new(keys: Vec<VerificationKey>, issuers: Vec<String>, lookup: Arc<dyn Lookup>) -> Self {
        let checked = Mutex::new(Generations::new(CACHE_PERIOD, CACHE_CAPACITY));
        Self { keys: RwLock::new(keys.into()), issuers, lookup, checked }
    }

    /// The keys it accepts, for the issuer's key set document.
    pub fn keys(&self) -> Arc<[VerificationKey]> {
        self.keys.read().clone()
    }

    /// Accepts tokens of other keys from now on.
    pub fn replace_keys(&self, keys: Vec<VerificationKey>) {
        *self.keys.write() = keys.into();
        self.checked.lock().clear();
    }

    /// Whom the token speaks for and which of the `audiences` it is for; `None` when it is no token of ours.
    pub fn verify(
        &self,
        token: &str,
        audiences: &[String],
        now: Timestamp,
    ) -> Result<Option<TokenIdentity>, TokenError> {
        if token.len() > MAX_TOKEN {
            return Ok(None);
        }
        let mut key = Digest::default();
        key.copy_from_slice(digest::digest(&digest::SHA256, token.as_bytes()).as_ref());
        let known = self.checked.lock().get(&key, now);
        let checked = match known {
            Some(checked) => checked,
            None => match self.check(token, now)? {
                Some(checked) => {
                    let checked = Arc::new(checked);
                    self.checked.lock().insert(key, checked.clone(), now);
                    checked
                }
                None => return Ok(None),
            },
        };
        checked.at(now.as_second())?;
        let accepted = match &checked.audiences {
            None => audiences.to_vec(),
            Some(of_token) => {
                audiences.iter().filter(|audience| of_token.contains(audience)).cloned().collect()
            }
        };
        if accepted.is_empty() && !audiences.is_empty() {
            let token = checked.audiences.clone().unwrap_or_default();
            return Err(TokenError::Audience { token, target: audiences.to_vec() });
        }
        Ok(Some(TokenIdentity { user: checked.user.clone(), audiences: accepted }))
    }

    fn check(&self, token: &str, now: Timestamp) -> Result<Option<Checked>, TokenError> {
        #[derive(Deserialize)]
        struct IssuerClaim {
            #[serde(default)]
            iss: String,
        }
        let Some(unverified) = Unverified::parse(token) else { return Ok(None) };
        let Ok(IssuerClaim { iss }) = serde_json::from_slice(&unverified.payload) else { return Ok(None) };
        let legacy = iss == legacy::ISSUER;
        if !legacy && !self.issuers.contains(&iss) {
            return Ok(None);
        }
        if !unverified.verify(&self.keys()) {
            return Err(TokenError::Signature);
        }
        if legacy {
            let claims: LegacyClaims =
                serde_json::from_slice(&unverified.payload).map_err(|_| TokenError::Claims)?;
            let user = legacy::check(&claims, token, self.lookup.as_ref(), now)?;
            let user = Arc::new(user.authenticated());
            return Ok(Some(Checked { user, audiences: None, expires: None, not_before: None }));
        }
        let claims: Claims = serde_json::from_slice(&unverified.payload).map_err(|_| TokenError::Claims)?;
        let user = Arc::new(user_of(&claims, self.lookup.as_ref(), now)?.authenticated());
        let (expires, not_before) = (claims.exp, claims.nbf);
        Ok(Some(Checked { user, audiences: Some(claims.aud), expires, not_before }))
    }
}

pub(crate) fn present(
    kind: &'static str,
    what: &'static str,
    claimed: &Reference,
    found: Option<Referent>,
    now: Timestamp,
) -> Result<(), TokenError> {
    let resource = match kind {
        "service account" => "serviceaccounts",
        "pod" => "pods",
        "node" => "nodes",
        _ => "secrets",
    };
    let Some(found) = found else { return Err(TokenError::Gone { resource, name: claimed.name.clone() }) };
    if found.uid != claimed.uid {
        let (actual, claimed) = (found.uid, claimed.uid.clone());
        return Err(TokenError::Recreated { kind, what, actual, claimed });
    }
    if found.deletion_timestamp.is_some_and(|at| at.as_second() < now.as_second() - LEEWAY) {
        return Err(TokenError::Invalidated);
    }
    Ok(())
}

/// The identity that bound claims give, once the objects they name are found to be there.
fn user_of(claims: &Claims, lookup: &dyn Lookup, now: Timestamp) -> Result<UserInfo, TokenError> {
    let private = &claims.kubernetes;
    let (namespace, account) = (private.namespace.as_str(), &private.serviceaccount);
    if namespace.is_empty() || account.name.is_empty() || account.uid.is_empty() {
        return Err(TokenError::Claims);
    }
    if claims.exp.is_none() {
        return Err(TokenError::Missing("exp"));
    }
    if claims.sub != user::service_account_user(namespace, &account.name) {
        return Err(TokenError::Subject);
    }
    let found = lookup.service_account(namespace, &account.name);
    present("service account", "service account ref", account, found, now)?;
    let mut extra = BTreeMap::new();
    if !claims.jti.is_empty() {
        extra.insert(user::CREDENTIAL_ID.to_owned(), vec![format!("JTI={}", claims.jti)]);
    }
    if let Some(secret) = &private.secret {
        let found = lookup.secret(namespace, &secret.name).map(|secret| legacy::referent(&secret));
        present("secret", "service account secret ref", secret, found, now)?;
    }
    if let Some(pod) = &private.pod {
        present("pod", "service account pod ref", pod, lookup.pod(namespace, &pod.name), now)?;
        extra.insert(user::POD_NAME.to_owned(), vec![pod.name.clone()]);
        extra.insert(user::POD_UID.to_owned(), vec![pod.uid.clone()]);
    }
    if let Some(node) = &private.node {
        // A pod's token names the node for the reader; only a token bound to the node itself ends with it.
        if private.pod.is_none() {
            present("node", "service account node ref", node, lookup.node(&node.name), now)?;
        }
        extra.insert(user::NODE_NAME.to_owned(), vec![node.name.clone()]);
        if !node.uid.is_empty() {
            extra.insert(user::NODE_UID.to_owned(), vec![node.uid.clone()]);
        }
    }
    Ok(UserInfo {
        name: claims.sub.clone(),
        uid: account.uid.clone(),
        groups: user::service_account_groups(namespace),
        extra,
    })
}

#[cfg(test)]
mod tests;
