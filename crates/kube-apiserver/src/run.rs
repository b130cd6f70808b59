//! From flags to a server that answers: certificates, port, store, caches, tasks, readiness.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use authn::{Authenticator, ClientAuthority, Issuer, RequestHeader, TokenVerifier};
use component::Runtime;
use schema::{Resource, Stability};
use storage::{Etcd, EtcdConfig, Freshness, Store};
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::access::token_request::TokenRequests;
use crate::admission_config;
use crate::aggregation::{self, Aggregation};
use crate::alloc::{PortRange, Ranges, Services};
use crate::authentication_config;
use crate::bootstrap::{self, Authentication};
use crate::documents::Documents;
use crate::flags::{FeatureGates, Flags};
use crate::flow::{self, Flows, Gate, Limits};
use crate::health::Health;
use crate::metrics::Metrics;
use crate::registry::{Registry, stored_resources};
use crate::server::{Options, Server};
use crate::serving::{self, Serving};
use crate::streaming::{Kubelets, PREFERRED_ADDRESSES, Streaming};
use crate::token_keys;
use crate::view::TokenObjects;
use crate::{
    alloc, auditing, authorization, encryption, endpoints, extension, http, identity, legacy_tokens,
};

/// How long requests are held back while what a cluster has from the start is made.
const FIRST_CLIENTS: Duration = Duration::from_secs(5);

/// How many threads serve requests: one for two processors, as etcd and the clients need theirs, up to where more
/// would only wait. A request that stays on one thread costs a quarter less than one that wakes another.
pub fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, |count| (count.get() / 2).clamp(1, 8))
}

/// Starts the server; what goes on runs in tasks of the runtime.
pub async fn start(runtime: Runtime, flags: Flags) -> anyhow::Result<()> {
    serve(&runtime, flags).await.map(|_| ())
}

/// Opens and closes upstream's gates as the flag says.
fn settle_gates(said: &FeatureGates) {
    pod_strategy::gates::settle(said.gates);
    component::features::tell(&crate::features::switched(said.gates));
    if !said.without_effect.is_empty() {
        tracing::warn!(gates = said.without_effect.join(","), "feature gates that switch nothing here");
    }
}

/// As [`start`], and gives the server and where it listens.
pub async fn serve(runtime: &Runtime, flags: Flags) -> anyhow::Result<(Arc<Server>, SocketAddr)> {
    component::features::tell(crate::features::GATES);
    settle_gates(&flags.gates().map_err(anyhow::Error::msg)?);
    let listener = TcpListener::bind((flags.bind_address, flags.secure_port))
        .await
        .with_context(|| format!("listening on {}:{}", flags.bind_address, flags.secure_port))?;
    let address = listener.local_addr()?;
    let advertised = flags.advertise_address.map_or_else(|| own_address(flags.bind_address), Ok)?;

    let admission = admission_config::load(&flags)?;
    let metrics = Metrics::new(Metrics::shared()?, &admission.chain.names());
    let encryption = encryption::load(&flags).await?;
    let etcd =
        connect(&flags).await?.observed_by(metrics.etcd_observer()).encrypted_by(Arc::clone(&encryption));
    let rows = rows(&flags.runtime_config)?;
    let mut resources = stored_resources(&rows);
    resources.push(storage::Resource::new(endpoints::LEASES, false, Vec::new()));
    resources.push(storage::Resource::new(alloc::port_record::RANGES, false, Vec::new()));
    let (freshness, freshness_task) = Freshness::new(etcd.clone());
    let (store, feed, filled) = Store::new(etcd.clone(), freshness, resources);

    let configured = authentication_config::load(&flags, &audiences(&flags))?;
    let issuers = configured.issuers.clone();
    let (uses, told_of_uses) = legacy_tokens::uses();
    let (authenticator, authentication) = authenticator(&flags, configured, &store, uses)?;
    let authenticator = Arc::new(authenticator);
    let auditor = auditing::load(&flags.audit)?;
    let serving = Serving::new(&flags, authenticator.clone())?;
    let stop = runtime.shutdown();
    let ranges = Ranges::parse(&flags.service_cluster_ip_range)
        .map_err(anyhow::Error::msg)
        .context("--service-cluster-ip-range")?;
    let ports = PortRange::parse(&flags.service_node_port_range)
        .map_err(anyhow::Error::msg)
        .context("--service-node-port-range")?;
    let health = Health::default();
    for hook in bootstrap::HOOKS {
        health.expect(hook);
    }
    let (loaded_sender, loaded) = watch::channel(false);
    let server = Arc::new(Server {
        registry: Registry::new(rows.iter().cloned(), &store),
        documents: Documents::new(rows, SocketAddr::new(advertised, address.port()).to_string()),
        options: Options {
            advertise_address: advertised,
            port: address.port(),
            event_ttl: flags.event_ttl,
            request_timeout: flags.request_timeout,
            identity_lease: Duration::from_secs(flags.identity_lease_duration_seconds.into()),
            goaway_millionth: goaway(flags.goaway_chance)?,
            sends_retry_after: flags.shutdown_send_retry_after,
            allow_privileged: flags.allow_privileged,
            jwks_uri: flags.service_account_jwks_uri.clone(),
            external_hostname: flags.external_hostname.clone(),
            least_watch: Duration::from_secs(flags.min_request_timeout),
            livez_grace: flags.livez_grace_period,
            etcd_patience: (flags.etcd_healthcheck_timeout, flags.etcd_readycheck_timeout),
            identity_renewal: Duration::from_secs(flags.identity_lease_renew_interval_seconds.into()),
            keeps_endpoints: flags.endpoint_reconciler_type != "none",
            http2_streams: flags.http2_max_streams_per_connection,
            cors: http::cors::Cors::new(&flags.cors_allowed_origins)?,
            transport_security: transport_security(&flags.strict_transport_security_directives)?,
        },
        store,
        tokens: token_requests(&flags)?,
        authenticator,
        authorizer: Arc::new(authorization::load(&flags.authorization)?),
        roles_told: authorization::RolesTold::default(),
        auditor: auditor.as_ref().map(|(auditor, _)| auditor.clone()),
        admission: admission.chain,
        webhooks: admission.webhooks,
        services: Services::new(ranges, ports),
        quotas: crate::quota::Quotas::new(admission.limited),
        streaming: streaming(&flags, &stop)?,
        aggregation: Aggregation::new(proxy_identity(&flags)?, &stop),
        health,
        metrics,
        gate: gate(&flags)?,
        loaded,
        stop: stop.clone(),
        closing: CancellationToken::new(),
    });

    // What requests need lives until the last of them is answered.
    let (finishing, drained) = (TaskTracker::new(), CancellationToken::new());
    spawn(runtime, "etcd feed", feed.run(), &drained);
    spawn(runtime, "etcd revisions", freshness_task, &drained);
    spawn(runtime, "etcd compaction", storage::compact_every(etcd, flags.etcd_compaction_interval), &stop);
    if flags.encryption_provider_config.is_some() {
        spawn(runtime, "key services", encryption::keep(Arc::clone(&encryption)), &stop);
    }
    if flags.encryption_provider_config_automatic_reload
        && let Some(path) = flags.encryption_provider_config.clone()
    {
        spawn(runtime, "encryption configuration", encryption::follow(path, encryption), &stop);
    }
    if let Some(issuers) = issuers {
        let follow = authentication_config::follow(issuers, flags.authentication_config.clone());
        spawn(runtime, "authentication configuration", follow, &stop);
    }
    if flags.authorization.authorization_config.is_some() {
        let follow = authorization::follow(flags.authorization.clone(), server.authorizer.clone());
        spawn(runtime, "authorization configuration", follow, &stop);
    }
    for task in auditor.map(|(_, tasks)| tasks).unwrap_or_default() {
        spawn(runtime, "audit", task, &drained);
    }
    spawn(runtime, "certificate authorities", serving::follow(flags.clone(), serving.clone()), &stop);
    spawn(runtime, "keys of service accounts", token_keys::follow(flags.clone(), server.clone()), &stop);
    // Connections outlive the signal: they drain after readiness has been off for a while.
    let accepting = CancellationToken::new();
    let accept = http::connection::accept(server.clone(), listener, serving.clone(), accepting.clone());
    runtime.spawn("https", finishing.track_future(accept));
    let latch = runtime.latch("bootstrap");
    let start = {
        let (runtime, server) = (runtime.clone(), server.clone());
        let authorities_changed = serving.authorities_changed.clone();
        async move {
            if filled.await.is_err() {
                return Ok::<_, Infallible>(());
            }
            // Whoever asked for a custom resource before a restart finds it after it.
            let (settled, is_settled) = oneshot::channel();
            spawn(&runtime, "custom resources", extension::run(server.clone(), settled), &server.stop);
            let _ = is_settled.await;
            for (name, feed) in authorization::feeds(&server) {
                spawn(&runtime, format!("authorisation by {name}"), feed, &server.stop);
            }
            for (name, feed) in crate::webhook_admission::feeds(&server) {
                spawn(&runtime, name, feed, &server.stop);
            }
            // The first clients of a new cluster wait for their roles, but not for an etcd that takes no writes.
            let mut bootstrapped = pin!(bootstrap::run(&server, &authentication));
            let in_time = tokio::time::timeout(FIRST_CLIENTS, &mut bootstrapped).await.is_ok();
            // Nobody listens any more when the server stops meanwhile.
            let _ = loaded_sender.send(true);
            if !in_time {
                bootstrapped.await;
            }
            latch.open();
            spawn(&runtime, "identity", identity::run(server.clone()), &server.stop);
            spawn(
                &runtime,
                "tokens of secrets",
                legacy_tokens::run(server.clone(), told_of_uses),
                &server.stop,
            );
            let published = authentication.clone().keep(server.clone(), authorities_changed);
            spawn(&runtime, "published authorities", published, &server.stop);
            spawn(&runtime, "priority and fairness", flow::run(server.clone()), &server.stop);
            spawn(&runtime, "API aggregation", aggregation::run(server.clone()), &server.stop);
            match server.options.keeps_endpoints {
                true => endpoints::run(server.clone(), server.stop.clone()).await,
                false => server.stop.cancelled().await,
            }
            Ok(())
        }
    };
    runtime.spawn("start", finishing.track_future(start));
    spawn(runtime, "service addresses", alloc::keep_repaired(server.clone()), &stop);
    let delay = flags.shutdown_delay_duration;
    let spread = flags.shutdown_watch_termination_grace_period;
    let stopping = server.clone();
    runtime.spawn("shutdown", async move {
        stopping.stop.cancelled().await;
        stopping.health.stop();
        tokio::time::sleep(delay).await;
        stopping.closing.cancel();
        end_watches(&stopping, spread).await;
        accepting.cancel();
        finishing.close();
        finishing.wait().await;
        drained.cancel();
        Ok::<_, Infallible>(())
    });
    tracing::info!(%address, advertised = %advertised, "serving");
    Ok((server, address))
}

/// Runs a task until the token is cancelled; an earlier end stops the process.
fn spawn(
    runtime: &Runtime,
    name: impl Into<String>,
    task: impl Future<Output = ()> + Send + 'static,
    until: &CancellationToken,
) {
    let until = until.clone();
    runtime.spawn(name, async move {
        tokio::select! {
            () = task => {}
            () = until.cancelled() => {}
        }
        Ok::<(), Infallible>(())
    });
}

/// Ends all watches, those of one resource after those of another over the time that there is.
async fn end_watches(server: &Server, spread: Duration) {
    let caches = server.store.caches();
    let watched = caches.iter().filter(|cache| cache.watch_count() > 0).count();
    let pause = spread.checked_div(u32::try_from(watched).unwrap_or(u32::MAX)).unwrap_or_default();
    for cache in caches {
        let watched = cache.watch_count() > 0;
        cache.end_watches();
        if watched && !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
    }
}

/// The header Strict-Transport-Security.
fn transport_security(directives: &[String]) -> anyhow::Result<Option<::http::HeaderValue>> {
    for directive in directives {
        let is_age = directive.strip_prefix("max-age=").is_some_and(|age| age.parse::<u64>().is_ok());
        if !is_age && !matches!(directive.as_str(), "includeSubDomains" | "preload") {
            bail!(
                "--strict-transport-security-directives invalid, allowed values: max-age=expireTime, includeSubDomains, preload"
            );
        }
    }
    let text = directives.join("; ");
    Ok((!text.is_empty()).then(|| ::http::HeaderValue::from_str(&text)).transpose()?)
}

/// Reads `--goaway-chance` in millionths.
fn goaway(chance: f64) -> anyhow::Result<u32> {
    if !(0.0..=0.02).contains(&chance) {
        bail!("--goaway-chance can not be less than 0 or greater than 0.02");
    }
    Ok((chance * 1e6) as u32)
}

/// The address by which this machine reaches others, where none was given.
fn own_address(bind: IpAddr) -> anyhow::Result<IpAddr> {
    if !bind.is_unspecified() && !bind.is_loopback() {
        return Ok(bind);
    }
    // Connecting a datagram socket asks the routing table and sends nothing.
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    match socket.connect("192.0.2.1:9").and_then(|()| socket.local_addr()) {
        Ok(address) => Ok(address.ip()),
        Err(_) if bind.is_loopback() => Ok(bind),
        Err(_) => bail!("cannot tell this machine's address: give --advertise-address"),
    }
}

async fn connect(flags: &Flags) -> anyhow::Result<Etcd> {
    let config = EtcdConfig {
        servers: flags.etcd_servers.clone(),
        ca_file: flags.etcd_cafile.clone(),
        certificate_file: flags.etcd_certfile.clone(),
        key_file: flags.etcd_keyfile.clone(),
        prefix: flags.etcd_prefix.clone(),
    };
    Etcd::connect(&config).context("preparing the connection to etcd")
}

/// The rows that are on: the stable ones, and what `--runtime-config` turns on or off.
fn rows(config: &[String]) -> anyhow::Result<Vec<Resource>> {
    let mut switches = Vec::new();
    for item in config {
        let (key, value) = item.split_once('=').unwrap_or((item, "true"));
        let on = match value {
            "true" | "1" | "" => true,
            "false" | "0" => false,
            _ => bail!("--runtime-config: invalid value {item:?}"),
        };
        switches.push((key.to_owned(), on));
    }
    let is_on = |row: &Resource| {
        let mut on = row.stability == Stability::Stable;
        let (version, full) = (row.api_version(), format!("{}/{}", row.api_version(), row.plural));
        for (key, value) in &switches {
            let applies = match key.as_str() {
                "api/all" => true,
                "api/ga" => row.stability == Stability::Stable,
                "api/beta" => row.stability == Stability::Beta,
                "api/alpha" => row.stability == Stability::Alpha,
                "api/v1" => version == "v1",
                key => key == version || key == full,
            };
            if applies {
                on = *value;
            }
        }
        on
    };
    Ok(schema::catalogue().all().filter(|row| is_on(row)).cloned().collect())
}

fn read(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))
}

fn authenticator(
    flags: &Flags,
    configured: authentication_config::Configured,
    store: &Arc<Store>,
    uses: legacy_tokens::Uses,
) -> anyhow::Result<(Authenticator, Authentication)> {
    let objects = Arc::new(TokenObjects { store: store.clone(), uses });
    let client_ca = flags.client_ca_file.as_deref().map(read).transpose()?;
    let proxy_ca = flags.requestheader_client_ca_file.as_deref().map(read).transpose()?;
    let clients = client_ca
        .as_ref()
        .map(|pem| ClientAuthority::from_pem(pem.as_bytes()))
        .transpose()
        .context("--client-ca-file")?;
    let proxies = match &proxy_ca {
        None => None,
        Some(pem) => Some(RequestHeader {
            authority: ClientAuthority::from_pem(pem.as_bytes()).context("--requestheader-client-ca-file")?,
            allowed_names: flags.requestheader_allowed_names.clone(),
            username_headers: flags.requestheader_username_headers.clone(),
            uid_headers: flags.requestheader_uid_headers.clone(),
            group_headers: flags.requestheader_group_headers.clone(),
            extra_prefixes: flags.requestheader_extra_headers_prefix.clone(),
        }),
    };
    let keys = token_keys::accepted(flags)?;
    let tokens = (!keys.is_empty() && !flags.service_account_issuer.is_empty())
        .then(|| TokenVerifier::new(keys, flags.service_account_issuer.clone(), objects.clone()));
    let authenticator = Authenticator {
        clients,
        proxies,
        tokens,
        token_file: configured.token_file,
        outside: configured.outside,
        bootstrap: flags.enable_bootstrap_token_auth.then_some(objects as Arc<dyn authn::Lookup>),
        anonymous: configured.anonymous,
        api_audiences: audiences(flags),
    };
    let authentication = Authentication {
        client_ca: flags.client_ca_file.clone(),
        proxy_ca: flags.requestheader_client_ca_file.clone(),
        allowed_names: flags.requestheader_allowed_names.clone(),
        username_headers: flags.requestheader_username_headers.clone(),
        uid_headers: flags.requestheader_uid_headers.clone(),
        group_headers: flags.requestheader_group_headers.clone(),
        extra_prefixes: flags.requestheader_extra_headers_prefix.clone(),
    };
    Ok((authenticator, authentication))
}

/// As upstream: tokens are for the issuer's audience unless something else is said.
fn audiences(flags: &Flags) -> Vec<String> {
    if flags.api_audiences.is_empty() {
        flags.service_account_issuer.clone()
    } else {
        flags.api_audiences.clone()
    }
}

fn token_requests(flags: &Flags) -> anyhow::Result<Option<TokenRequests>> {
    let (Some(key), Some(issuer)) = (token_keys::signing(flags)?, flags.service_account_issuer.first())
    else {
        return Ok(None);
    };
    Ok(Some(TokenRequests {
        issuer: Issuer::new(issuer.clone(), key),
        api_audiences: audiences(flags),
        max_expiration: flags
            .service_account_max_token_expiration
            .map(|longest| i64::try_from(longest.as_secs()).unwrap_or(i64::MAX)),
        extend_expiration: flags.service_account_extend_token_expiration,
    }))
}

/// Which requests are let in.
fn gate(flags: &Flags) -> anyhow::Result<Gate> {
    let (reads, writes) = (flags.max_requests_inflight, flags.max_mutating_requests_inflight);
    if !flags.enable_priority_and_fairness {
        return Ok(Gate::Limits(Limits::new(reads, writes)));
    }
    let Some(seats) = u32::try_from(reads.saturating_add(writes)).ok().filter(|seats| *seats > 0) else {
        bail!("--max-requests-inflight and --max-mutating-requests-inflight must add up to more than 0");
    };
    Ok(Gate::Fair(Box::new(Flows::new(seats))))
}

fn streaming(flags: &Flags, stop: &CancellationToken) -> anyhow::Result<Streaming> {
    let authority = flags.kubelet_certificate_authority.as_deref().map(pki::Trust::file).transpose()?;
    let identity = match (&flags.kubelet_client_certificate, &flags.kubelet_client_key) {
        (Some(certificate), Some(key)) => Some(pki::Identity::load(certificate, key)?),
        _ => None,
    };
    let mut preferred = flags.kubelet_preferred_address_types.clone();
    if preferred.is_empty() {
        preferred = PREFERRED_ADDRESSES.iter().map(|kind| (*kind).to_owned()).collect();
    }
    let kubelets = Kubelets::new(authority, identity, preferred)?;
    Ok(Streaming::new(kubelets, TaskTracker::new(), stop.clone())?)
}

/// What proves to aggregated servers that this server speaks.
fn proxy_identity(flags: &Flags) -> anyhow::Result<Option<Arc<pki::Identity>>> {
    match (&flags.proxy_client_cert_file, &flags.proxy_client_key_file) {
        (Some(certificate), Some(key)) => Ok(Some(pki::Identity::load(certificate, key)?)),
        (None, None) => Ok(None),
        _ => bail!("--proxy-client-cert-file and --proxy-client-key-file go together"),
    }
}
