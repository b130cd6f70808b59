//! Service account tokens for pods, kept until four fifths of their life are over.

use std::{collections::HashMap, time::Duration};

use anyhow::Context;
use jiff::Timestamp;
use k8s_openapi::api::{
    authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec},
    core::v1::{Pod, ServiceAccount},
};
use kube::{Api, Client, api::PostParams};
use parking_lot::Mutex;

use crate::pod;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    uid: String,
    audience: String,
    expiration: i64,
}

struct Token {
    text: String,
    renew_at: Timestamp,
    expires_at: Timestamp,
}

/// The tokens of this node's pods.
pub struct Tokens {
    client: Option<Client>,
    held: Mutex<HashMap<Key, Token>>,
}

impl Tokens {
    /// Makes an empty set.
    pub fn new(client: Option<Client>) -> Self {
        Self { client, held: Mutex::default() }
    }

    /// Answers a token bound to the pod, and how long until it must be renewed.
    pub async fn get(
        &self,
        pod: &Pod,
        audience: &str,
        expiration: i64,
    ) -> anyhow::Result<(String, Duration)> {
        let (text, refresh, _) = self.get_whole(pod, audience, expiration).await?;
        Ok((text, refresh))
    }

    /// Answers a token bound to the pod, and when it expires.
    pub async fn get_until(
        &self,
        pod: &Pod,
        audience: &str,
        expiration: i64,
    ) -> anyhow::Result<(String, Timestamp)> {
        let (text, _, expires) = self.get_whole(pod, audience, expiration).await?;
        Ok((text, expires))
    }

    async fn get_whole(
        &self,
        pod: &Pod,
        audience: &str,
        expiration: i64,
    ) -> anyhow::Result<(String, Duration, Timestamp)> {
        let key = Key { uid: pod::uid(pod).to_owned(), audience: audience.to_owned(), expiration };
        let now = Timestamp::now();
        if let Some(found) = self.fresh(&key, now) {
            return Ok(found);
        }
        match self.request(pod, audience, expiration).await {
            Ok(token) => {
                let answer = (token.text.clone(), until(now, token.renew_at), token.expires_at);
                self.held.lock().insert(key, token);
                Ok(answer)
            }
            Err(error) => {
                // A token past its renewal is good until it expires; the API server may be back by then.
                let held = self.held.lock();
                match held.get(&key).filter(|token| token.expires_at > now) {
                    Some(token) => Ok((token.text.clone(), Duration::from_secs(30), token.expires_at)),
                    None => Err(error),
                }
            }
        }
    }

    /// Drops the tokens of a pod that is gone.
    pub fn forget(&self, uid: &str) {
        self.held.lock().retain(|key, _| key.uid != uid);
    }

    fn fresh(&self, key: &Key, now: Timestamp) -> Option<(String, Duration, Timestamp)> {
        let held = self.held.lock();
        let token = held.get(key).filter(|token| token.renew_at > now)?;
        Some((token.text.clone(), until(now, token.renew_at), token.expires_at))
    }

    async fn request(&self, pod: &Pod, audience: &str, expiration: i64) -> anyhow::Result<Token> {
        let client = self.client.clone().context("no API server to ask for tokens")?;
        let account = pod::spec(pod).service_account_name.as_deref().unwrap_or("default");
        let asked = TokenRequest {
            spec: Some(TokenRequestSpec {
                audiences: Some(if audience.is_empty() { vec![] } else { vec![audience.to_owned()] }),
                expiration_seconds: Some(expiration),
                bound_object_ref: Some(BoundObjectReference {
                    api_version: Some("v1".into()),
                    kind: Some("Pod".into()),
                    name: Some(pod::name(pod).to_owned()),
                    uid: Some(pod::uid(pod).to_owned()),
                }),
            }),
            ..TokenRequest::default()
        };
        let accounts: Api<ServiceAccount> = Api::namespaced(client, pod::namespace(pod));
        let answer: TokenRequest = accounts
            .create_subresource("token", account, &PostParams::default(), &asked)
            .await
            .context("failed to fetch token")?;
        let status = answer.status.context("a token request was answered without a token")?;
        let text = status.token.context("a token request was answered without a token")?;
        let now = Timestamp::now();
        let expires_at = status.expiration_timestamp.map_or(now, |time| time.0);
        Ok(Token { text, renew_at: renewal(now, expires_at), expires_at })
    }
}

/// A token is renewed after 80 % of its life, or after a day.
fn renewal(now: Timestamp, expires_at: Timestamp) -> Timestamp {
    const DAY: i64 = 24 * 3600;
    let life = expires_at.duration_since(now).as_secs().max(0);
    let after = (life * 4 / 5).min(DAY);
    now.checked_add(jiff::SignedDuration::from_secs(after)).unwrap_or(expires_at)
}

fn until(now: Timestamp, then: Timestamp) -> Duration {
    Duration::try_from(then.duration_since(now)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renewal_comes_at_four_fifths_or_after_a_day() {
        let at = |second| Timestamp::from_second(second).unwrap();
        assert_eq!(renewal(at(0), at(3600)), at(2880));
        assert_eq!(renewal(at(0), at(10 * 24 * 3600)), at(24 * 3600));
        assert_eq!(renewal(at(100), at(50)), at(100));
    }
}
