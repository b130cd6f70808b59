//! Tokens kept in secrets of type `kubernetes.io/service-account-token`: no expiry, no audience; the secret's
//! existence and content is what keeps them valid.

use apimachinery::ObjectExt as _;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use jiff::{Span, Timestamp};
use peers::user::{self, UserInfo};
use serde::Deserialize;
use serde_json::Value;

use crate::claims::Reference;
use crate::lookup::{Lookup, Referent};
use crate::service_account::{TokenError, present};

/// The `iss` of these tokens.
pub(crate) const ISSUER: &str = "kubernetes/serviceaccount";

/// Label by which the cleaner withdraws a token that nobody used.
const INVALID_SINCE: &str = "kubernetes.io/legacy-token-invalid-since";
/// Label with the day of a token's last use, by which the cleaner knows those that nobody uses.
pub const LAST_USED: &str = "kubernetes.io/legacy-token-last-used";

/// A day as the labels have it.
pub fn day(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d").to_string()
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct LegacyClaims {
    sub: String,
    #[serde(rename = "kubernetes.io/serviceaccount/namespace")]
    namespace: String,
    #[serde(rename = "kubernetes.io/serviceaccount/secret.name")]
    secret: String,
    #[serde(rename = "kubernetes.io/serviceaccount/service-account.name")]
    name: String,
    #[serde(rename = "kubernetes.io/serviceaccount/service-account.uid")]
    uid: String,
}

/// What a token's check reads of a secret.
pub(crate) fn referent(secret: &Value) -> Referent {
    Referent {
        uid: secret.uid().to_owned(),
        deletion_timestamp: secret.deletion_timestamp().and_then(apimachinery::time::parse),
    }
}

/// One value of a secret's data.
pub(crate) fn secret_data(secret: &Value, key: &str) -> Option<Vec<u8>> {
    BASE64_STANDARD.decode(secret.str_at(&["data", key])?).ok()
}

/// Compares without telling by its time where the difference is.
pub(crate) fn equal_in_constant_time(left: &[u8], right: &[u8]) -> bool {
    let difference = left.iter().zip(right).fold(0, |sum, (left, right)| sum | (left ^ right));
    left.len() == right.len() && std::hint::black_box(difference) == 0
}

pub(crate) fn check(
    claims: &LegacyClaims,
    token: &str,
    lookup: &dyn Lookup,
    now: Timestamp,
) -> Result<UserInfo, TokenError> {
    let LegacyClaims { sub, namespace, secret, name, uid } = claims;
    for (claim, value) in [
        ("namespace", namespace),
        ("secretName", secret),
        ("serviceAccountName", name),
        ("serviceAccountUID", uid),
        ("sub", sub),
    ] {
        if value.is_empty() {
            return Err(TokenError::Missing(claim));
        }
    }
    if *sub != user::service_account_user(namespace, name) {
        return Err(TokenError::Subject);
    }
    let stored = lookup.secret(namespace, secret).ok_or(TokenError::Invalidated)?;
    let data = secret_data(&stored, "token").unwrap_or_default();
    if !equal_in_constant_time(&data, token.as_bytes()) || stored.deletion_timestamp().is_some() {
        return Err(TokenError::Invalidated);
    }
    let is_withdrawn = stored.label(INVALID_SINCE).is_some_and(|since| !since.is_empty());
    let account = Reference::new(name, uid);
    present(
        "service account",
        "service account ref",
        &account,
        lookup.service_account(namespace, name),
        now,
    )?;
    // A server whose clock is ahead may have said tomorrow.
    let days = [day(now), day(now.saturating_add(Span::new().hours(24)).unwrap_or(now))];
    if !stored.label(LAST_USED).is_some_and(|used| days.iter().any(|day| day == used)) {
        lookup.note_use(&stored);
    }
    if is_withdrawn {
        return Err(TokenError::Withdrawn {
            namespace: namespace.clone(),
            secret: secret.clone(),
            account: name.clone(),
        });
    }
    Ok(UserInfo {
        name: sub.clone(),
        uid: uid.clone(),
        groups: user::service_account_groups(namespace),
        extra: Default::default(),
    })
}
