//! The flags of the server, under upstream's names.

mod gates;
mod ignored;
mod refused;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Parser};
use component::flags::duration;
use component::logging::LoggingFlags;

pub use self::gates::FeatureGates;
pub use self::ignored::IGNORED;
pub use self::refused::RefusedFlags;
use crate::auditing::AuditFlags;
use crate::authentication_config::{OidcFlags, TokenWebhookFlags};
use crate::authorization::AuthorizationFlags;

/// The Kubernetes API server: validates and stores the objects of the API and tells everyone of their changes.
#[derive(Debug, Clone, Parser)]
#[command(name = "kube-apiserver")]
pub struct Flags {
    /// Address on which to advertise the server to members of the cluster
    #[arg(long, value_name = "IP")]
    pub advertise_address: Option<IpAddr>,
    /// Address to listen on
    #[arg(long, value_name = "IP", default_value = "0.0.0.0")]
    pub bind_address: IpAddr,
    /// Port to listen on
    #[arg(long, value_name = "PORT", default_value_t = 6443)]
    pub secure_port: u16,
    /// Certificate to serve with, followed by its intermediates
    #[arg(long, value_name = "FILE")]
    pub tls_cert_file: PathBuf,
    /// Key of the certificate
    #[arg(long, value_name = "FILE")]
    pub tls_private_key_file: PathBuf,
    /// Least TLS version: VersionTLS12 or VersionTLS13
    #[arg(long, value_name = "VERSION", default_value = "VersionTLS12")]
    pub tls_min_version: String,
    /// Ciphers of TLS 1.2, by Go's names; all that this server speaks, if none is given
    #[arg(long, value_name = "SUITE", value_delimiter = ',')]
    pub tls_cipher_suites: Vec<String>,
    /// Ways to agree on keys, by Go's numbers; all that this server speaks, if none is given
    #[arg(long, value_name = "NUMBER", value_delimiter = ',')]
    pub tls_curve_preferences: Vec<u16>,
    /// Another certificate and its key, and for which names it is shown; those that it is for, if none is given
    #[arg(long, value_name = "CERTIFICATE,KEY[:NAME,…]", action = ArgAction::Append)]
    pub tls_sni_cert_key: Vec<String>,
    /// Authorities whose client certificates are accepted; read again when the file changes
    #[arg(long, value_name = "FILE")]
    pub client_ca_file: Option<PathBuf>,

    /// Where etcd is
    #[arg(long, value_name = "URL", value_delimiter = ',', required = true)]
    pub etcd_servers: Vec<String>,
    /// Authority that etcd's certificates are from
    #[arg(long, value_name = "FILE")]
    pub etcd_cafile: Option<PathBuf>,
    /// Certificate towards etcd
    #[arg(long, value_name = "FILE")]
    pub etcd_certfile: Option<PathBuf>,
    /// Key of the certificate towards etcd
    #[arg(long, value_name = "FILE")]
    pub etcd_keyfile: Option<PathBuf>,
    /// What all keys in etcd begin with
    #[arg(long, value_name = "PREFIX", default_value = "/registry")]
    pub etcd_prefix: String,
    /// Which resources are encrypted in etcd, and by which keys: an EncryptionConfiguration
    #[arg(long, value_name = "FILE")]
    pub encryption_provider_config: Option<PathBuf>,
    /// Whether that file is read again when it changes
    #[arg(long, value_name = "BOOL", default_value_t = false, action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub encryption_provider_config_automatic_reload: bool,
    /// How often old revisions are forgotten; 0s turns it off
    #[arg(long, value_name = "DURATION", default_value = "5m0s", value_parser = duration)]
    pub etcd_compaction_interval: Duration,
    /// How long events live
    #[arg(long, value_name = "DURATION", default_value = "1h0m0s", value_parser = duration)]
    pub event_ttl: Duration,

    /// Keys that service-account tokens may be signed with
    #[arg(long, value_name = "FILE", action = ArgAction::Append)]
    pub service_account_key_file: Vec<PathBuf>,
    /// Key that service-account tokens are signed with
    #[arg(long, value_name = "FILE")]
    pub service_account_signing_key_file: Option<PathBuf>,
    /// Issuer of service-account tokens; the first one signs, all are accepted
    #[arg(long, value_name = "ISSUER", action = ArgAction::Append)]
    pub service_account_issuer: Vec<String>,
    /// Where the key set is published, if not on this server
    #[arg(long, value_name = "URL")]
    pub service_account_jwks_uri: Option<String>,
    /// Longest life of a requested token
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub service_account_max_token_expiration: Option<Duration>,
    /// Whether pods' tokens live longer than they say, for clients that do not read them again
    #[arg(long, value_name = "BOOL", default_value_t = true, action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub service_account_extend_token_expiration: bool,
    /// Audiences that tokens for this server have
    #[arg(long, value_name = "AUDIENCE", value_delimiter = ',')]
    pub api_audiences: Vec<String>,
    /// Whether requests without credentials are let through to authorisation; health checks alone by default
    #[arg(long, value_name = "BOOL", action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub anonymous_auth: Option<bool>,
    /// File (AuthenticationConfiguration) that says on which paths requests come without credentials, and whose tokens
    /// are believed; read again when it changes
    #[arg(long, value_name = "FILE")]
    pub authentication_config: Option<PathBuf>,
    /// Tokens of one other issuer
    #[command(flatten)]
    pub oidc: OidcFlags,
    /// A service that is asked about tokens
    #[command(flatten)]
    pub token_webhook: TokenWebhookFlags,
    /// File of lines token,user,uid,"group,group" whose tokens are believed
    #[arg(long, value_name = "FILE")]
    pub token_auth_file: Option<PathBuf>,
    /// Whether bootstrap tokens are accepted
    #[arg(long, value_name = "BOOL", default_value_t = false, action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub enable_bootstrap_token_auth: bool,
    /// Authority of front proxies that authenticate for us
    #[arg(long, value_name = "FILE")]
    pub requestheader_client_ca_file: Option<PathBuf>,
    /// Names that front proxies' certificates may have; any, if none is given
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub requestheader_allowed_names: Vec<String>,
    /// Headers that name the user
    #[arg(long, value_name = "HEADER", value_delimiter = ',')]
    pub requestheader_username_headers: Vec<String>,
    /// Headers that give the user's uid
    #[arg(long, value_name = "HEADER", value_delimiter = ',')]
    pub requestheader_uid_headers: Vec<String>,
    /// Headers that name the user's groups
    #[arg(long, value_name = "HEADER", value_delimiter = ',')]
    pub requestheader_group_headers: Vec<String>,
    /// What headers with further facts about the user begin with
    #[arg(long, value_name = "PREFIX", value_delimiter = ',')]
    pub requestheader_extra_headers_prefix: Vec<String>,

    /// Who decides what a request may do
    #[command(flatten)]
    pub authorization: AuthorizationFlags,
    /// What is written down of requests
    #[command(flatten)]
    pub audit: AuditFlags,
    /// Admission plugins to turn on besides the default ones
    #[arg(long, value_name = "PLUGIN", value_delimiter = ',')]
    pub enable_admission_plugins: Vec<String>,
    /// Admission plugins to turn off
    #[arg(long, value_name = "PLUGIN", value_delimiter = ',')]
    pub disable_admission_plugins: Vec<String>,
    /// File (AdmissionConfiguration) that says what admission plugins are to know
    #[arg(long, value_name = "FILE")]
    pub admission_control_config_file: Option<PathBuf>,
    /// How many seconds pods that do not say it stay on a node that is not ready
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    pub default_not_ready_toleration_seconds: i64,
    /// How many seconds they stay on one that cannot be reached
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    pub default_unreachable_toleration_seconds: i64,
    /// Whether containers may be privileged
    #[arg(long, value_name = "BOOL", default_value_t = false, action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub allow_privileged: bool,

    /// Ranges of Services' addresses: one, or one of each family
    #[arg(long, value_name = "CIDR", default_value = "10.0.0.0/24")]
    pub service_cluster_ip_range: String,
    /// Range of Services' node ports
    #[arg(long, value_name = "RANGE", default_value = "30000-32767")]
    pub service_node_port_range: String,

    /// Authority that kubelets' certificates are from; unchecked if not given
    #[arg(long, value_name = "FILE")]
    pub kubelet_certificate_authority: Option<PathBuf>,
    /// Certificate towards kubelets
    #[arg(long, value_name = "FILE")]
    pub kubelet_client_certificate: Option<PathBuf>,
    /// Key of the certificate towards kubelets
    #[arg(long, value_name = "FILE")]
    pub kubelet_client_key: Option<PathBuf>,
    /// Kinds of node addresses in the order in which kubelets are tried
    #[arg(long, value_name = "TYPE", value_delimiter = ',')]
    pub kubelet_preferred_address_types: Vec<String>,

    /// Certificate towards aggregated API servers: proves that requests' user headers come from this server
    #[arg(long, value_name = "FILE")]
    pub proxy_client_cert_file: Option<PathBuf>,
    /// Key of the certificate towards aggregated API servers
    #[arg(long, value_name = "FILE")]
    pub proxy_client_key_file: Option<PathBuf>,

    /// Groups, versions and resources to turn on or off: api/all=true, apps/v1=false, …
    #[arg(long, value_name = "KEY=VALUE", value_delimiter = ',')]
    pub runtime_config: Vec<String>,
    /// Upstream's feature gates to open or close: EnvFiles=false, SELinuxMount=true, …
    #[arg(long, value_name = "KEY=BOOL")]
    pub feature_gates: Vec<String>,
    /// How long a request may take
    #[arg(long, value_name = "DURATION", default_value = "1m0s", value_parser = duration)]
    pub request_timeout: Duration,
    /// Whether requests are let in by FlowSchemas and PriorityLevelConfigurations; by the two limits alone if not
    #[arg(long, value_name = "BOOL", default_value_t = true, action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub enable_priority_and_fairness: bool,
    /// How many reads may be under way; with priority and fairness, a part of the server's seats
    #[arg(long, value_name = "NUMBER", default_value_t = 400)]
    pub max_requests_inflight: usize,
    /// How many writes may be under way
    #[arg(long, value_name = "NUMBER", default_value_t = 200)]
    pub max_mutating_requests_inflight: usize,
    /// How long this server's Lease lasts after it was renewed
    #[arg(long, value_name = "SECONDS", default_value_t = 3600)]
    pub identity_lease_duration_seconds: u32,
    /// Which part of requests over HTTP/2 ends its connection, so that clients spread over servers: 0 to 0.02
    #[arg(long, value_name = "FRACTION", default_value_t = 0.0)]
    pub goaway_chance: f64,
    /// Whether requests that come while the server stops are told to come again, instead of being served
    #[arg(long, value_name = "BOOL", default_value_t = false, action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub shutdown_send_retry_after: bool,
    /// Over how long open watches are ended when the server stops, so that their clients do not come back at once
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = duration)]
    pub shutdown_watch_termination_grace_period: Duration,
    /// How long readiness is off before connections are closed at the end
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = duration)]
    pub shutdown_delay_duration: Duration,

    /// How long a watch lasts at least where its client does not say, in seconds; at most twice as long
    #[arg(long, value_name = "SECONDS", default_value_t = 1800)]
    pub min_request_timeout: u64,
    /// How long /livez waits for the steps after the start before it says that they are missing
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = duration)]
    pub livez_grace_period: Duration,
    /// How long etcd may take to answer /livez and /healthz
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = duration)]
    pub etcd_healthcheck_timeout: Duration,
    /// How long etcd may take to answer /readyz
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = duration)]
    pub etcd_readycheck_timeout: Duration,
    /// How often this server's Lease is renewed
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    pub identity_lease_renew_interval_seconds: u32,
    /// Whether this server keeps the endpoints of the Service kubernetes: lease or none
    #[arg(long, value_name = "TYPE", default_value = "lease", value_parser = ["lease", "master-count", "none"])]
    pub endpoint_reconciler_type: String,
    /// How many requests one connection over HTTP/2 may have under way; 0 is 250
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    pub http2_max_streams_per_connection: u32,
    /// Whether clients are served by HTTP/1.1 alone
    #[arg(long, value_name = "BOOL", default_value_t = false, action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub disable_http2_serving: bool,
    /// The name by which clients outside know this server, for the address of its keys
    #[arg(long, value_name = "HOST")]
    pub external_hostname: Option<String>,
    /// Regular expressions of origins whose pages may read answers in a browser
    #[arg(long, value_name = "PATTERN", value_delimiter = ',')]
    pub cors_allowed_origins: Vec<String>,
    /// Directives of the header Strict-Transport-Security; no header, if none is given
    #[arg(long, value_name = "DIRECTIVE", value_delimiter = ',')]
    pub strict_transport_security_directives: Vec<String>,
    /// What this server cannot do
    #[command(flatten)]
    pub refused: RefusedFlags,

    /// Logging
    #[command(flatten)]
    pub logging: LoggingFlags,
}

impl Flags {
    /// Which gates are open, or why upstream would not start with these.
    pub fn gates(&self) -> Result<FeatureGates, String> {
        self.feature_gates.join(",").parse()
    }
}
