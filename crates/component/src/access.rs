//! Who may read a component's own endpoints: certificates are looked at here, tokens are asked of the API server, and so
//! is what a user may do.

pub mod clients;
mod open_paths;

use std::{
    borrow::Cow,
    collections::HashMap,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use apimachinery::Status;
use http::HeaderMap;
use k8s_openapi::api::{
    authentication::v1::{TokenReview, TokenReviewSpec, UserInfo as Reviewed},
    authorization::v1::{
        NonResourceAttributes, ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec,
    },
};
use kube::{Api, Client, api::PostParams};
use parking_lot::Mutex;
use peers::{CertificateError, UserInfo, bearer_token};
use rustls::pki_types::CertificateDer;

use self::clients::{ClientFlags, Clients};
pub use self::open_paths::{OpenPath, OpenPaths};
use crate::{
    Runtime,
    cause::whole,
    client::{Connection, connect},
};

/// Those who may do everything.
const MASTERS: &str = "system:masters";
/// Answers kept at most: beyond it the cache starts anew.
const CACHE_MAX: usize = 1024;
const CACHE_FOR: Duration = Duration::from_secs(10);
/// Answers about longer wishes are not kept: whoever reaches the port chooses paths and names.
const WISH_MAX: usize = 1024;

/// The flags that say as whom a component asks about those who ask it.
#[derive(Debug, Clone, clap::Args)]
pub struct ReviewFlags {
    /// Kubeconfig for asking who may read metrics; the component's own if absent
    #[arg(long, value_name = "FILE")]
    pub authentication_kubeconfig: Option<PathBuf>,
    /// Kubeconfig for asking what a reader of metrics may do; the one for authentication if absent
    #[arg(long, value_name = "FILE")]
    pub authorization_kubeconfig: Option<PathBuf>,
    /// What may be read without asking.
    #[command(flatten)]
    pub open: OpenPaths,
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
        /// Lower-case HTTP method.
        verb: Cow<'static, str>,
        /// The path.
        path: String,
    },
    /// A resource, as the kubelet maps its paths to `nodes/proxy` and others.
    Resource {
        /// Verb, such as `get`.
        verb: &'static str,
        /// API group, empty for the core's.
        group: &'static str,
        /// Version of the group.
        version: &'static str,
        /// Resource, such as `nodes`.
        resource: &'static str,
        /// Subresource, such as `proxy`, empty for the object itself.
        subresource: &'static str,
        /// Namespace, empty where there is none, or for all.
        namespace: String,
        /// Name of the object, empty for all.
        name: String,
    },
}

impl Wish {
    /// How long the parts are together that whoever asks has chosen.
    fn len(&self) -> usize {
        match self {
            Self::Path { verb, path } => verb.len() + path.len(),
            Self::Resource { namespace, name, .. } => namespace.len() + name.len(),
        }
    }
}

/// Who asks a component's secure port, and whether they may.
pub struct Access {
    clients: Clients,
    open: OpenPaths,
    delegated: Delegated,
}

impl Access {
    /// Knows these by their certificates, and asks about the rest with this client, whose user needs
    /// `system:auth-delegator`. Nothing is asked about open paths.
    pub fn new(client: Client, clients: Clients, open: OpenPaths) -> Arc<Self> {
        Arc::new(Self { clients, open, delegated: Delegated::new(client) })
    }

    /// Listens to what the cluster tells of who is known by a certificate.
    pub fn follow(self: &Arc<Self>, runtime: &Runtime) {
        let (access, shutdown) = (Arc::clone(self), runtime.shutdown());
        runtime.spawn("authorities of clients", async move {
            tokio::select! {
                () = access.clients.follow() => {}
                () = shutdown.cancelled() => {}
            }
            anyhow::Ok(())
        });
    }

    /// Waits until the cluster has told who is known by a certificate.
    pub async fn known(&self) {
        self.clients.known().await;
    }

    /// The user of a request over a connection on which this chain was shown: as upstream's components have it, whoever
    /// shows nothing is anonymous, and what they may is asked like everybody's.
    pub async fn user(
        &self,
        chain: &[CertificateDer<'_>],
        headers: &HeaderMap,
    ) -> Result<Arc<UserInfo>, Status> {
        let certificate = self.clients.user(chain, headers).await;
        let user = self.delegated.identify(certificate, headers, true).await;
        user.ok_or_else(Status::unauthorized)
    }

    /// Lets pass whoever may have what they wish; as upstream has it, those who may do everything are not asked about,
    /// nor is a path that is open to all.
    pub async fn check(&self, user: &UserInfo, wish: &Wish) -> Result<(), Status> {
        let is_open = matches!(wish, Wish::Path { path, .. } if self.open.allow(path));
        if is_open || user.in_group(MASTERS) {
            return Ok(());
        }
        let decision = self.delegated.decide(user, wish).await.map_err(|error| {
            tracing::warn!(error = whole(&error), "cannot ask the API server who may have this");
            Status::internal("cannot ask the API server who may have this")
        })?;
        decision.map_err(|why| refusal(user, wish, &why))
    }
}

/// The refusal of a wish, in upstream's words.
fn refusal(user: &UserInfo, wish: &Wish, why: &str) -> Status {
    let user = &user.name;
    let (said, group, resource, name) = match wish {
        Wish::Path { verb, path } => (format!("User {user:?} cannot {verb} path {path:?}"), "", "", ""),
        Wish::Resource { verb, group, resource, subresource, namespace, name, .. } => {
            let separator = if subresource.is_empty() { "" } else { "/" };
            let place = match namespace.as_str() {
                "" => "at the cluster scope".to_owned(),
                namespace => format!("in the namespace {namespace:?}"),
            };
            let whole = format!("{resource}{separator}{subresource}");
            let said =
                format!("User {user:?} cannot {verb} resource {whole:?} in API group {group:?} {place}");
            (said, *group, *resource, name.as_str())
        }
    };
    // Names and paths come from outside, and a browser may show the message.
    let said = said.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let why = if why.is_empty() { String::new() } else { format!(": {why}") };
    Status::forbidden(group, resource, name, &format!("{said}{why}"))
}

/// Yes, or why not.
pub type Decision = Result<(), String>;

/// Answers, and when they came.
type Answers<K, V> = Mutex<HashMap<K, (Instant, V)>>;

/// Delegated authentication and authorisation, as upstream's components do it; answers are kept ten seconds.
pub struct Delegated {
    client: Client,
    tokens: Answers<String, Option<Arc<UserInfo>>>,
    decisions: Answers<(UserInfo, Wish), Decision>,
}

impl Delegated {
    /// Asks with this client, whose user needs `system:auth-delegator`.
    pub fn new(client: Client) -> Self {
        Self { client, tokens: Mutex::default(), decisions: Mutex::default() }
    }

    /// Who asks, as upstream's components find out: the user of a certificate, or that of a token where no certificate
    /// makes its owner known. Whoever shows neither may be `anonymous`; whoever shows what is not accepted, or cannot be
    /// asked about, is nobody.
    pub async fn identify(
        &self,
        certificate: Option<Result<Arc<UserInfo>, CertificateError>>,
        headers: &HeaderMap,
        anonymous: bool,
    ) -> Option<Arc<UserInfo>> {
        let is_shown = certificate.is_some();
        match certificate {
            Some(Ok(user)) => return Some(user),
            Some(Err(refused)) => tracing::debug!(%refused, "client certificate"),
            None => {}
        }
        match bearer_token(headers) {
            Some(token) => self.user_of(&token).await.unwrap_or_else(|error| {
                tracing::warn!(error = whole(&error), "cannot ask the API server about a token");
                None
            }),
            None => (anonymous && !is_shown).then(|| Arc::new(UserInfo::anonymous())),
        }
    }

    /// The user of a bearer token; `None` when it is not accepted.
    pub async fn user_of(&self, token: &str) -> Result<Option<Arc<UserInfo>>, kube::Error> {
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
            status.authenticated.unwrap_or(false).then(|| Arc::new(user(status.user.unwrap_or_default())));
        remember(&mut self.tokens.lock(), token.to_owned(), user.clone());
        Ok(user)
    }

    /// Whether the user may have what it wishes: the answer, and why not.
    pub async fn decide(&self, user: &UserInfo, wish: &Wish) -> Result<Decision, kube::Error> {
        let key = (user.clone(), wish.clone());
        if let Some((since, decision)) = self.decisions.lock().get(&key)
            && since.elapsed() < CACHE_FOR
        {
            return Ok(decision.clone());
        }
        let review = SubjectAccessReview { spec: asked(user, wish), ..SubjectAccessReview::default() };
        let answer = Api::all(self.client.clone()).create(&PostParams::default(), &review).await?;
        let status = answer.status.unwrap_or_default();
        let decision = if status.allowed { Ok(()) } else { Err(status.reason.unwrap_or_default()) };
        if wish.len() <= WISH_MAX {
            remember(&mut self.decisions.lock(), key, decision.clone());
        }
        Ok(decision)
    }
}

fn asked(user: &UserInfo, wish: &Wish) -> SubjectAccessReviewSpec {
    let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let mut spec = SubjectAccessReviewSpec {
        user: Some(user.name.clone()),
        uid: some(&user.uid),
        groups: Some(user.groups.clone()),
        extra: Some(user.extra.clone()).filter(|extra| !extra.is_empty()),
        ..SubjectAccessReviewSpec::default()
    };
    match wish {
        Wish::Path { verb, path } => {
            spec.non_resource_attributes =
                Some(NonResourceAttributes { path: Some(path.clone()), verb: Some(verb.to_string()) });
        }
        Wish::Resource { verb, group, version, resource, subresource, namespace, name } => {
            spec.resource_attributes = Some(ResourceAttributes {
                verb: some(verb),
                group: some(group),
                version: some(version),
                resource: some(resource),
                subresource: some(subresource),
                namespace: some(namespace),
                name: some(name),
                ..ResourceAttributes::default()
            });
        }
    }
    spec
}

fn remember<K: std::hash::Hash + Eq, V>(cache: &mut HashMap<K, (Instant, V)>, key: K, value: V) {
    if cache.len() >= CACHE_MAX {
        cache.clear();
    }
    cache.insert(key, (Instant::now(), value));
}

/// The user of a review, in the group of all who are known.
fn user(reviewed: Reviewed) -> UserInfo {
    let user = UserInfo {
        name: reviewed.username.unwrap_or_default(),
        uid: reviewed.uid.unwrap_or_default(),
        groups: reviewed.groups.unwrap_or_default(),
        extra: reviewed.extra.unwrap_or_default(),
    };
    user.authenticated()
}

#[cfg(test)]
mod tests;
