//! Acting for somebody else: `Impersonate-*` headers, as `kubectl --as` sends them.

mod mode;

use std::collections::BTreeMap;

use ::http::HeaderMap;
use apimachinery::Status;
use authn::{UserInfo, service_account_groups};
use authz::{Attributes, Chain};
use percent_encoding::percent_decode_str;

use self::mode::Mode;
use super::attributes;
use crate::authorization::refusal;

const USER: &str = "impersonate-user";
const UID: &str = "impersonate-uid";
const GROUP: &str = "impersonate-group";
const EXTRA: &str = "impersonate-extra-";
const AUTHENTICATION: &str = "authentication.k8s.io";
/// What authorisers see of the extra facts about an agent that acts as its own node: their names alone, so that the same
/// question serves for all nodes.
const ASSOCIATED_KEYS: &str = "authentication.kubernetes.io/associated-node-keys";

/// Whom the headers ask to act for; `None` when they ask for nobody.
pub fn wanted(headers: &HeaderMap) -> Result<Option<UserInfo>, Status> {
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

/// As whom a request acts.
#[derive(Debug)]
pub struct Impersonated {
    /// The user.
    pub user: UserInfo,
    /// The verb that lets the real user act so for some requests only; empty where it is for all.
    pub constraint: &'static str,
}

/// The user that the request acts for, if the real user may: for this request, or for any.
///
/// Each way is asked whole before the next; the last, and the only one that lets a request of any kind pass, is the verb
/// `impersonate`. What it says is what a refused client is told.
pub async fn impersonate(
    chain: &Chain,
    real: &UserInfo,
    wanted: UserInfo,
    request: &Attributes<'_>,
) -> Result<Impersonated, Status> {
    for mode in Mode::applying(&wanted, real) {
        let keys = real.extra.keys().cloned().collect();
        let extra = match mode {
            Mode::AssociatedNode => &BTreeMap::from([(ASSOCIATED_KEYS.to_owned(), keys)]),
            _ => &real.extra,
        };
        let asks = Asks { chain, real, extra, verb: mode.verb(), group: AUTHENTICATION };
        let on = Attributes { extra: Some(extra), verb: &mode.verb_on(request.verb), ..*request };
        if asks.allowed(&on).await.is_ok() && asks.may_be(mode.asked_for(&wanted), &wanted).await.is_ok() {
            let mut user = wanted;
            mode.complete(&mut user);
            return Ok(Impersonated { user: in_person(user), constraint: mode.verb() });
        }
    }
    let asks = Asks { chain, real, extra: &real.extra, verb: "impersonate", group: "" };
    let whole = match wanted.service_account() {
        Some((namespace, name)) => ("serviceaccounts", namespace, name),
        None => ("users", "", wanted.name.as_str()),
    };
    asks.may_be(whole, &wanted).await?;
    let mut user = wanted;
    if user.groups.is_empty()
        && let Some((namespace, _)) = user.service_account()
    {
        user.groups = service_account_groups(namespace);
    }
    Ok(Impersonated { user: in_person(user), constraint: "" })
}

/// As a user who came in person.
fn in_person(mut user: UserInfo) -> UserInfo {
    let group = match user.name.as_str() {
        "system:anonymous" => "system:unauthenticated",
        _ => "system:authenticated",
    };
    if !user.in_group("system:unauthenticated") && !user.in_group(group) {
        user.groups.push(group.into());
    }
    user
}

struct Asks<'a> {
    chain: &'a Chain,
    real: &'a UserInfo,
    extra: &'a BTreeMap<String, Vec<String>>,
    verb: &'a str,
    /// Of users and groups.
    group: &'a str,
}

impl Asks<'_> {
    /// Asks about each part of a user.
    async fn may_be(&self, whole: (&str, &str, &str), wanted: &UserInfo) -> Result<(), Status> {
        let (resource, namespace, name) = whole;
        self.may(self.group, resource, "", namespace, name).await?;
        for group in &wanted.groups {
            self.may(self.group, "groups", "", "", group).await?;
        }
        for (key, values) in &wanted.extra {
            for value in values {
                self.may(AUTHENTICATION, "userextras", key, "", value).await?;
            }
        }
        if !wanted.uid.is_empty() {
            self.may(AUTHENTICATION, "uids", "", "", &wanted.uid).await?;
        }
        Ok(())
    }

    async fn may(
        &self,
        group: &str,
        resource: &str,
        subresource: &str,
        namespace: &str,
        name: &str,
    ) -> Result<(), Status> {
        let attributes = Attributes {
            user: attributes::user(self.real),
            uid: &self.real.uid,
            extra: Some(self.extra),
            verb: self.verb,
            namespace,
            group,
            version: "v1",
            resource,
            subresource,
            name,
            is_resource: true,
            ..Attributes::default()
        };
        self.allowed(&attributes).await
    }

    async fn allowed(&self, attributes: &Attributes<'_>) -> Result<(), Status> {
        let decision = self.chain.decide(attributes).await;
        match decision.is_allowed() {
            true => Ok(()),
            false => Err(refusal(attributes, &decision)),
        }
    }
}

#[cfg(test)]
mod tests;
