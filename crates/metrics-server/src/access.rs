//! Who asks, and whether they may: the API server is believed for its front proxy's certificate, and asked for
//! everything else.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use apimachinery::{ObjectExt as _, Status};
use arc_swap::ArcSwap;
use authn::{Authenticator, ClientAuthority, Credentials, Peer, RequestHeader, UserInfo, bearer_token};
use component::access::Delegated;
use informer::{Object, Sink};
use jiff::Timestamp;
use kube::Client;
use parking_lot::Mutex;
use rustls::pki_types::CertificateDer;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::answer::{GROUP, Objects, Wish};

/// The ConfigMap in which the API server tells whom it believes.
pub const CONFIG_MAP: &str = "extension-apiserver-authentication";
/// Decisions held at most; beyond it the memory starts anew.
const HELD: usize = 1024;
/// How long a decision holds, as upstream's cache of permissions.
const HOLDS: Duration = Duration::from_secs(10);

type Decisions = HashMap<(String, String), (Instant, Result<(), String>)>;

/// Decides on requests.
pub struct Access {
    client: Client,
    tokens: Delegated,
    authenticator: ArcSwap<Authenticator>,
    decisions: Mutex<Decisions>,
}

impl Access {
    /// Believes nobody until it is told of the authorities.
    pub fn new(client: Client) -> Arc<Self> {
        Arc::new(Self {
            tokens: Delegated::new(client.clone()),
            client,
            authenticator: ArcSwap::default(),
            decisions: Mutex::default(),
        })
    }

    /// Looks at a new connection's certificates.
    pub fn peer(&self, chain: &[CertificateDer<'_>]) -> Peer {
        self.authenticator.load().peer(chain, Timestamp::now())
    }

    /// The user of a request.
    pub async fn user(
        &self,
        peer: &Peer,
        headers: &http::HeaderMap,
        path: &str,
    ) -> Result<Arc<UserInfo>, Status> {
        let authenticator = self.authenticator.load_full();
        let credentials = Credentials { peer, headers, path };
        let refused = match authenticator.authenticate(credentials, Timestamp::now()).await {
            Ok(user) => return Ok(user),
            Err(refused) => refused,
        };
        let Some(token) = bearer_token(headers) else {
            tracing::info!(path, %refused, "unable to authenticate the request");
            return Err(Status::unauthorized());
        };
        match self.tokens.user_of(&token).await {
            Ok(Some(user)) => {
                Ok(Arc::new(UserInfo { name: user.name, groups: user.groups, ..UserInfo::default() }))
            }
            Ok(None) => Err(Status::unauthorized()),
            Err(error) => Err(Status::internal(error)),
        }
    }

    /// Whether the user may have what a path stands for.
    pub async fn check(
        &self,
        user: &UserInfo,
        wish: Option<&Wish>,
        verb: &str,
        path: &str,
    ) -> Result<(), Status> {
        // As upstream's delegated authorisation: those who may do everything are not asked about.
        if user.in_group("system:masters") {
            return Ok(());
        }
        let (spec, refusal) = match wish {
            Some(Wish::Objects(objects)) => of_objects(objects, verb),
            _ => (
                json!({"nonResourceAttributes": {"path": path, "verb": verb}}),
                Box::new(move |user: &str, _: &str| {
                    Status::new(
                        403,
                        "Forbidden",
                        format!("forbidden: User {user:?} cannot {verb} path {path:?}"),
                    )
                }) as Refusal<'_>,
            ),
        };
        let mut spec = spec;
        spec["user"] = user.name.as_str().into();
        spec["uid"] = user.uid.as_str().into();
        spec["groups"] = json!(user.groups);
        spec["extra"] = json!(user.extra);
        let allowed = self.decide(spec).await.map_err(Status::internal)?;
        allowed.map_err(|why| refusal(&user.name, &why))
    }

    async fn decide(&self, spec: Value) -> Result<Result<(), String>, kube::Error> {
        // The whole question is the key: two users are never taken for one.
        let key = (spec["user"].to_string(), spec.to_string());
        if let Some((since, decision)) = self.decisions.lock().get(&key)
            && since.elapsed() < HOLDS
        {
            return Ok(decision.clone());
        }
        let review =
            json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec});
        let request = http::Request::post("/apis/authorization.k8s.io/v1/subjectaccessreviews")
            .header(http::header::CONTENT_TYPE, "application/json")
            .body(review.to_string().into_bytes());
        let request = request.map_err(|error| kube::Error::Service(error.into()))?;
        let answer: Value = self.client.request(request).await?;
        let decision = match answer.bool_at(&["status", "allowed"]) {
            Some(true) => Ok(()),
            _ => Err(answer.str_at(&["status", "reason"]).unwrap_or_default().to_owned()),
        };
        let mut decisions = self.decisions.lock();
        if decisions.len() >= HELD {
            decisions.clear();
        }
        decisions.insert(key, (Instant::now(), decision.clone()));
        Ok(decision)
    }
}

type Refusal<'a> = Box<dyn Fn(&str, &str) -> Status + Send + Sync + 'a>;

fn of_objects<'a>(objects: &'a Objects, verb: &'a str) -> (Value, Refusal<'a>) {
    let Objects { resource, namespace, name } = objects;
    let spec = json!({"resourceAttributes": {
        "group": GROUP, "version": "v1beta1", "verb": verb, "resource": resource, "namespace": namespace, "name": name,
    }});
    let refusal = move |user: &str, why: &str| {
        let place = match namespace.as_str() {
            "" => "at the cluster scope".to_owned(),
            namespace => format!("in the namespace {namespace:?}"),
        };
        let why = if why.is_empty() { String::new() } else { format!(": {why}") };
        let message =
            format!("User {user:?} cannot {verb} resource {resource:?} in API group {GROUP:?} {place}{why}");
        Status::forbidden(GROUP, resource, name, &message)
    };
    (spec, Box::new(refusal))
}

/// The ConfigMap on the wire.
#[derive(Debug, Default, Deserialize)]
pub struct Authorities {
    metadata: informer::Metadata,
    #[serde(default, deserialize_with = "informer::null_is_default")]
    data: HashMap<String, String>,
}

impl Object for Authorities {
    fn identity(&self) -> informer::IdentityRef<'_> {
        self.metadata.identity()
    }
}

impl Authorities {
    /// Whom these authorities vouch for.
    pub fn authenticator(&self) -> anyhow::Result<Authenticator> {
        let authority = |key: &str| -> anyhow::Result<Option<ClientAuthority>> {
            let Some(pem) = self.data.get(key).filter(|pem| !pem.is_empty()) else { return Ok(None) };
            Ok(Some(ClientAuthority::from_pem(pem.as_bytes()).with_context(|| key.to_owned())?))
        };
        let list = |key: &str| -> anyhow::Result<Vec<String>> {
            let Some(text) = self.data.get(key).filter(|text| !text.is_empty()) else {
                return Ok(Vec::new());
            };
            serde_json::from_str(text).with_context(|| key.to_owned())
        };
        let proxies = match authority("requestheader-client-ca-file")? {
            None => None,
            Some(authority) => Some(RequestHeader {
                authority,
                allowed_names: list("requestheader-allowed-names")?,
                username_headers: list("requestheader-username-headers")?,
                uid_headers: list("requestheader-uid-headers")?,
                group_headers: list("requestheader-group-headers")?,
                extra_prefixes: list("requestheader-extra-headers-prefix")?,
            }),
        };
        Ok(Authenticator { clients: authority("client-ca-file")?, proxies, ..Authenticator::default() })
    }
}

/// Takes the ConfigMap's content into [`Access`].
pub struct Feed {
    /// Who decides.
    pub access: Arc<Access>,
    /// Opens when the authorities are known.
    pub latch: Mutex<Option<component::Latch>>,
}

impl Sink<Authorities> for Feed {
    fn apply(&self, object: Authorities) {
        match object.authenticator() {
            Ok(authenticator) => self.access.authenticator.store(Arc::new(authenticator)),
            Err(error) => {
                tracing::error!(
                    "ConfigMap kube-system/{CONFIG_MAP}: {error:#}; whom to believe stays as it was"
                );
            }
        }
    }

    /// Without the ConfigMap nobody is vouched for any more.
    fn delete(&self, _: &str, _: Option<Authorities>) {
        self.access.authenticator.store(Arc::new(Authenticator::default()));
    }

    fn restart(&self) {}

    fn restarted(&self) {
        if let Some(latch) = self.latch.lock().take() {
            latch.open();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorities_are_read_from_the_config_map() {
        let authority = pki::Authority::new("front-proxy-ca", 1, Timestamp::now()).unwrap();
        let object: Authorities = serde_json::from_value(json!({
            "metadata": {"name": CONFIG_MAP},
            "data": {
                "requestheader-client-ca-file": authority.certificate(),
                "requestheader-allowed-names": "[\"front-proxy-client\"]",
                "requestheader-username-headers": "[\"X-Remote-User\"]",
            },
        }))
        .unwrap();
        let authenticator = object.authenticator().unwrap();
        assert!(authenticator.clients.is_none());
        let proxies = authenticator.proxies.unwrap();
        assert_eq!(proxies.allowed_names, ["front-proxy-client"]);
        assert!(proxies.group_headers.is_empty());
        let broken = json!({"metadata": {}, "data": {"client-ca-file": "nonsense"}});
        assert!(serde_json::from_value::<Authorities>(broken).unwrap().authenticator().is_err());
    }

    #[test]
    fn refusals_are_worded_as_the_api_servers() {
        let objects = Objects { resource: "pods", namespace: "a".into(), name: String::new() };
        let (spec, refusal) = of_objects(&objects, "list");
        assert_eq!(spec["resourceAttributes"]["namespace"], "a");
        assert_eq!(
            refusal("jane", "").message,
            r#"pods.metrics.k8s.io is forbidden: User "jane" cannot list resource "pods" in API group "metrics.k8s.io" in the namespace "a""#
        );
    }
}
