//! Acting for somebody else: `Impersonate-*` headers, as `kubectl --as` sends them.

use std::collections::BTreeMap;

use ::http::HeaderMap;
use apimachinery::Status;
use authn::UserInfo;
use authz::{Attributes, Chain, User};
use percent_encoding::percent_decode_str;

use super::attributes;
use crate::authorization::refusal;

const USER: &str = "impersonate-user";
const UID: &str = "impersonate-uid";
const GROUP: &str = "impersonate-group";
const EXTRA: &str = "impersonate-extra-";
const AUTHENTICATION: &str = "authentication.k8s.io";

/// Whom the headers ask to act for; `None` when they ask for nobody.
fn wanted(headers: &HeaderMap) -> Result<Option<UserInfo>, Status> {
    let first = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("").to_owned();
    let groups = headers.get_all(GROUP).iter().filter_map(|value| value.to_str().ok()).map(str::to_owned);
    let mut extra: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in headers {
        let Some(key) = name.as_str().strip_prefix(EXTRA) else { continue };
        let key = percent_decode_str(key).decode_utf8_lossy().into_owned();
        extra.entry(key).or_default().extend(value.to_str().ok().map(str::to_owned));
    }
    let user = UserInfo { name: first(USER), uid: first(UID), groups: groups.collect(), extra };
    if !user.name.is_empty() {
        return Ok(Some(user));
    }
    if user == UserInfo::default() {
        return Ok(None);
    }
    Err(Status::internal("requested groups, extra or uid without impersonating a user"))
}

/// Whether a header speaks of impersonation, and is to be dropped before a request goes further.
pub fn owns(header: &str) -> bool {
    header.get(..12).is_some_and(|head| head.eq_ignore_ascii_case("impersonate-"))
}

/// The user that the request acts for, if it asks for another and the real user may.
pub async fn impersonate(
    chain: &Chain,
    real: &UserInfo,
    headers: &HeaderMap,
) -> Result<Option<UserInfo>, Status> {
    let Some(mut user) = wanted(headers)? else { return Ok(None) };
    let asks = Asks { chain, real: attributes::user(real) };
    match user.service_account() {
        Some((namespace, name)) => asks.may("", "serviceaccounts", "", namespace, name).await?,
        None => asks.may("", "users", "", "", &user.name).await?,
    }
    for group in &user.groups {
        asks.may("", "groups", "", "", group).await?;
    }
    for (key, values) in &user.extra {
        for value in values {
            asks.may(AUTHENTICATION, "userextras", key, "", value).await?;
        }
    }
    if !user.uid.is_empty() {
        asks.may(AUTHENTICATION, "uids", "", "", &user.uid).await?;
    }
    if user.groups.is_empty()
        && let Some((namespace, _)) = user.service_account()
    {
        user.groups = vec!["system:serviceaccounts".into(), format!("system:serviceaccounts:{namespace}")];
    }
    // As for a user who came in person.
    let group = match user.name.as_str() {
        "system:anonymous" => "system:unauthenticated",
        _ => "system:authenticated",
    };
    if !user.in_group("system:unauthenticated") && !user.in_group(group) {
        user.groups.push(group.into());
    }
    Ok(Some(user))
}

struct Asks<'a> {
    chain: &'a Chain,
    real: User<'a>,
}

impl Asks<'_> {
    async fn may(
        &self,
        group: &str,
        resource: &str,
        subresource: &str,
        namespace: &str,
        name: &str,
    ) -> Result<(), Status> {
        let attributes = Attributes {
            user: self.real,
            verb: "impersonate",
            namespace,
            group,
            version: "v1",
            resource,
            subresource,
            name,
            is_resource: true,
            ..Attributes::default()
        };
        let decision = self.chain.decide(&attributes).await;
        match decision.is_allowed() {
            true => Ok(()),
            false => Err(refusal(&attributes, &decision)),
        }
    }
}

#[cfg(test)]
mod tests;
