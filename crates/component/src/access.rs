//! Who may read a component's own endpoints: certificates are looked at here, tokens are asked of the API server, and so
//! is what a user may do.

pub mod clients;

use std::{
    collections::{BTreeMap, HashMap},
    path::PathBuf,
    time::{Duration, Instant},
};

use k8s_openapi::api::{
    authentication::v1::{TokenReview, TokenReviewSpec, UserInfo},
    authorization::v1::{
        NonResourceAttributes, ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec,
    },
};
use kube::{Api, Client, api::PostParams};
use parking_lot::Mutex;

use self::clients::{ClientFlags, Clients};
use crate::client::{Connection, connect};

/// The group of all who are known.
const AUTHENTICATED: &str = "system:authenticated";
/// Answers kept at most: beyond it the cache starts anew.
const CACHE_MAX: usize = 1024;
const CACHE_FOR: Duration = Duration::from_secs(10);

/// The flags that say as whom a component asks about those who ask it.
#[derive(Debug, Clone, clap::Args)]
pub struct ReviewFlags {
    /// Kubeconfig for asking who may read metrics; the component's own if absent
    #[arg(long, value_name = "FILE")]
    pub authentication_kubeconfig: Option<PathBuf>,
    /// Kubeconfig for asking what a reader of metrics may do; the one for authentication if absent
    #[arg(long, value_name = "FILE")]
    pub authorization_kubeconfig: Option<PathBuf>,
    /// Who is known by a certificate
    #[command(flatten)]
    pub clients: ClientFlags,
}

impl ReviewFlags {
    /// Who is known by a certificate; what no flag says is asked with this client.
    pub fn clients(&self, client: &Client) -> anyhow::Result<Clients> {
        Clients::new(&self.clients, client.clone())
    }

    /// The client to ask with: the component's own where no other kubeconfig is named.
    pub async fn client(&self, own: &Connection<'_>, client: &Client) -> anyhow::Result<Client> {
        let named = self.authorization_kubeconfig.as_deref().or(self.authentication_kubeconfig.as_deref());
        match named {
            Some(path) if Some(path) != own.kubeconfig => {
                connect(&Connection { kubeconfig: Some(path), ..own.clone() }).await
            }
            _ => Ok(client.clone()),
        }
    }
}

/// What a request wants.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Wish {
    /// A path of the component itself.
    Path {
        /// Lower-case HTTP verb.
        verb: &'static str,
        /// The path.
        path: String,
    },
    /// A resource, as the kubelet maps its paths to `nodes/proxy` and others.
    Resource {
        /// Verb, such as `get`.
        verb: &'static str,
        /// Resource, such as `nodes`.
        resource: &'static str,
        /// Subresource, such as `proxy`.
        subresource: &'static str,
        /// Name of the object.
        name: String,
    },
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct User {
    /// User name.
    pub name: String,
    /// UID, empty where there is none.
    pub uid: String,
    /// Groups.
    pub groups: Vec<String>,
    /// What else is known of them.
    pub extra: BTreeMap<String, Vec<String>>,
}

impl User {
    /// The same user in the group of all who are known, as everybody who is known is.
    fn authenticated(mut self) -> Self {
        if !self.groups.iter().any(|group| group == AUTHENTICATED) {
            self.groups.push(AUTHENTICATED.to_owned());
        }
        self
    }
}

/// Delegated authentication and authorisation, as upstream's components do it; answers are kept ten seconds.
pub struct Delegated {
    client: Client,
    tokens: Mutex<HashMap<String, (Instant, Option<User>)>>,
    decisions: Mutex<HashMap<(User, Wish), (Instant, bool)>>,
}

impl Delegated {
    /// Asks with this client, whose user needs `system:auth-delegator`.
    pub fn new(client: Client) -> Self {
        Self { client, tokens: Mutex::default(), decisions: Mutex::default() }
    }

    /// The user of a bearer token; `None` when it is not accepted.
    pub async fn user_of(&self, token: &str) -> Result<Option<User>, kube::Error> {
        if let Some((since, user)) = self.tokens.lock().get(token)
            && since.elapsed() < CACHE_FOR
        {
            return Ok(user.clone());
        }
        let review = TokenReview {
            spec: TokenReviewSpec { token: token.into(), audiences: None },
            ..TokenReview::default()
        };
        let status = Api::all(self.client.clone())
            .create(&PostParams::default(), &review)
            .await?
            .status
            .unwrap_or_default();
        let user =
            status.authenticated.unwrap_or(false).then(|| status.user.map(User::from).unwrap_or_default());
        remember(&mut self.tokens.lock(), token.to_owned(), user.clone());
        Ok(user)
    }

    /// Whether the user may have what it wishes.
    pub async fn allows(&self, user: &User, wish: &Wish) -> Result<bool, kube::Error> {
        let key = (user.clone(), wish.clone());
        if let Some((since, allowed)) = self.decisions.lock().get(&key)
            && since.elapsed() < CACHE_FOR
        {
            return Ok(*allowed);
        }
        let mut spec = SubjectAccessReviewSpec {
            user: Some(user.name.clone()),
            uid: Some(user.uid.clone()).filter(|uid| !uid.is_empty()),
            groups: Some(user.groups.clone()),
            extra: Some(user.extra.clone()).filter(|extra| !extra.is_empty()),
            ..SubjectAccessReviewSpec::default()
        };
        match wish {
            Wish::Path { verb, path } => {
                spec.non_resource_attributes =
                    Some(NonResourceAttributes { path: Some(path.clone()), verb: Some((*verb).into()) });
            }
            Wish::Resource { verb, resource, subresource, name } => {
                spec.resource_attributes = Some(ResourceAttributes {
                    verb: Some((*verb).into()),
                    version: Some("v1".into()),
                    resource: Some((*resource).into()),
                    subresource: Some((*subresource).into()),
                    name: Some(name.clone()),
                    ..ResourceAttributes::default()
                });
            }
        }
        let review = SubjectAccessReview { spec, ..SubjectAccessReview::default() };
        let answer = Api::all(self.client.clone()).create(&PostParams::default(), &review).await?;
        let allowed = answer.status.is_some_and(|status| status.allowed);
        remember(&mut self.decisions.lock(), key, allowed);
        Ok(allowed)
    }
}

fn remember<K: std::hash::Hash + Eq, V>(cache: &mut HashMap<K, (Instant, V)>, key: K, value: V) {
    if cache.len() >= CACHE_MAX {
        cache.clear();
    }
    cache.insert(key, (Instant::now(), value));
}

impl From<UserInfo> for User {
    fn from(user: UserInfo) -> Self {
        Self {
            name: user.username.unwrap_or_default(),
            uid: user.uid.unwrap_or_default(),
            groups: user.groups.unwrap_or_default(),
            extra: user.extra.unwrap_or_default(),
        }
    }
}
