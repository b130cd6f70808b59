//! What every request needs: the store, the resources, who may do what, and what the server was told at start.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use apimachinery::Status;
use authn::{Authenticator, discovery};
use authz::Chain;
use futures::future::BoxFuture;
use http::HeaderValue;
use serde_json::Value;
use storage::{Consistency, Store};
use tokio_util::sync::CancellationToken;

use crate::access::Objects;
use crate::access::token_request::TokenRequests;
use crate::aggregation::Aggregation;
use crate::alloc::Services;
use crate::authorization::RolesTold;
use crate::documents::Documents;
use crate::flow::Gate;
use crate::health::Health;
use crate::http::cors::Cors;
use crate::metrics::Metrics;
use crate::quota::Quotas;
use crate::registry::Registry;
use crate::streaming::Streaming;
use crate::view::View;
use crate::webhook_admission::Webhooks;

/// What the server was told at start.
#[derive(Debug, Clone)]
pub struct Options {
    /// `--advertise-address`: where this server is reached from inside the cluster.
    pub advertise_address: IpAddr,
    /// The port that it listens on.
    pub port: u16,
    /// `--event-ttl`
    pub event_ttl: Duration,
    /// `--request-timeout`
    pub request_timeout: Duration,
    /// `--identity-lease-duration-seconds`
    pub identity_lease: Duration,
    /// `--goaway-chance`: how many of a million requests over HTTP/2 end their connection.
    pub goaway_millionth: u32,
    /// `--shutdown-send-retry-after`
    pub sends_retry_after: bool,
    /// `--allow-privileged`
    pub allow_privileged: bool,
    /// `--service-account-jwks-uri`
    pub jwks_uri: Option<String>,
    /// `--external-hostname`
    pub external_hostname: Option<String>,
    /// `--min-request-timeout`
    pub least_watch: Duration,
    /// `--livez-grace-period`
    pub livez_grace: Duration,
    /// `--etcd-healthcheck-timeout` and `--etcd-readycheck-timeout`
    pub etcd_patience: (Duration, Duration),
    /// `--identity-lease-renew-interval-seconds`
    pub identity_renewal: Duration,
    /// `--endpoint-reconciler-type`: whether this server is among the endpoints of the Service `kubernetes`.
    pub keeps_endpoints: bool,
    /// `--http2-max-streams-per-connection`
    pub http2_streams: u32,
    /// `--cors-allowed-origins`
    pub cors: Option<Cors>,
    /// `--strict-transport-security-directives`, as the header has them.
    pub transport_security: Option<HeaderValue>,
}

/// The server's parts, shared by all requests.
pub struct Server {
    /// What the server was told at start.
    pub options: Options,
    /// Objects.
    pub store: Arc<Store>,
    /// Resources.
    pub registry: Registry,
    /// Who a request is from.
    pub authenticator: Arc<Authenticator>,
    /// Who may do what.
    pub authorizer: Arc<Chain>,
    /// How much of the roles it knows.
    pub roles_told: RolesTold,
    /// What is written down of requests; nothing, where there is no policy.
    pub auditor: Option<Arc<audit::Auditor>>,
    /// What changes and refuses writes.
    pub admission: admission::Chain,
    /// The webhooks of admission.
    pub webhooks: Webhooks,
    /// Addresses and ports of Services.
    pub services: Services,
    /// Charges of quotas.
    pub quotas: Quotas,
    /// Tokens of service accounts, where there is a signing key.
    pub tokens: Option<TokenRequests>,
    /// Streams to pods and nodes.
    pub streaming: Streaming,
    /// API groups that other servers serve.
    pub aggregation: Aggregation,
    /// Discovery, OpenAPI and the like.
    pub documents: Documents,
    /// What `/healthz` and its like tell.
    pub health: Health,
    /// Counters.
    pub metrics: Metrics,
    /// Which requests are let in.
    pub gate: Gate,
    /// Turns true when the watch caches are filled and the authorisers know what is in them.
    pub loaded: tokio::sync::watch::Receiver<bool>,
    /// Cancelled when the server stops.
    pub stop: CancellationToken,
    /// Cancelled when it has been unready for long enough, and takes no new requests.
    pub closing: CancellationToken,
}

impl Server {
    /// The cluster as admission sees it.
    pub fn view(&self) -> View<'_> {
        View { server: self }
    }

    /// The documents by which others check the server's tokens.
    pub fn token_discovery(&self, path: &str) -> Option<(&'static str, Vec<u8>)> {
        let tokens = self.tokens.as_ref()?;
        let keys = self.authenticator.tokens.as_ref()?.keys();
        let (media_type, document) = match path {
            discovery::KEY_SET_PATH => (discovery::KEY_SET_MEDIA_TYPE, discovery::key_set(&keys)),
            discovery::CONFIGURATION_PATH => {
                let uri = match &self.options.jwks_uri {
                    Some(uri) => uri.clone(),
                    None => {
                        let port = self.options.port;
                        let place = match &self.options.external_hostname {
                            Some(host) => format!("{host}:{port}"),
                            None => {
                                std::net::SocketAddr::new(self.options.advertise_address, port).to_string()
                            }
                        };
                        format!("https://{place}{}", discovery::KEY_SET_PATH)
                    }
                };
                ("application/json", discovery::configuration(tokens.issuer.name(), &uri, &keys))
            }
            _ => return None,
        };
        Some((media_type, serde_json::to_vec(&document).ok()?))
    }

    /// One object as a tree, as fresh as the last write that anybody was told of.
    pub async fn read(
        &self,
        group: &str,
        resource: &str,
        namespace: &str,
        name: &str,
    ) -> Result<Arc<Value>, Status> {
        let entry = self.registry.stored(group, resource).ok_or_else(Status::no_such_resource)?;
        let key = entry.key(namespace, name);
        let object = self
            .store
            .get(entry.cache(), &key, Consistency::Latest)
            .await
            .map_err(|error| crate::refusal::of_object(error, &entry, name))?;
        object.value().map(Arc::new).map_err(Status::internal)
    }
}

impl Objects for Server {
    fn get<'a>(
        &'a self,
        group: &'a str,
        resource: &'a str,
        namespace: &'a str,
        name: &'a str,
    ) -> BoxFuture<'a, Result<Arc<Value>, Status>> {
        Box::pin(self.read(group, resource, namespace, name))
    }
}
