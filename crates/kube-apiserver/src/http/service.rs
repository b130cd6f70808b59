//! One request from its head to its answer: who asks, whether they may, whether there is room, what to do.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use apimachinery::{Status, fields, labels};
use authn::{Credentials, Peer, UserInfo};
use flow_control::Work;
use http::StatusCode;
use jiff::Timestamp;

use super::negotiate::{Negotiated, Offer};
use super::{Query, Request, RequestInfo, Response, cors, headers, response};
use crate::access::impersonation;
use crate::auditing;
use crate::authorization;
use crate::dispatch;
use crate::flow::{Details, Entered, Gate, Member, TurnedAway};
use crate::handlers::watch::Begun;
use crate::health;
use crate::metrics::Route;
use crate::server::Server;
use crate::streaming::Streaming;

/// What is known of the connection that a request comes over.
#[derive(Clone)]
pub struct Connection {
    /// What its client certificate proves.
    pub peer: Peer,
    /// Where it comes from.
    pub client: Option<IpAddr>,
}

/// Answers a request, and says what browsers are to make of the answer.
pub async fn serve(server: Arc<Server>, connection: Connection, request: Request) -> Response {
    let transport_security = server.options.transport_security.clone();
    let origin = server.options.cors.as_ref().and_then(|cors| cors.origin(request.headers()));
    let mut answer = match origin.is_some() && request.method() == http::Method::OPTIONS {
        true => response::text(StatusCode::NO_CONTENT, ""),
        false => answer(server, connection, request).await,
    };
    if let Some(origin) = origin {
        cors::allow(answer.headers_mut(), origin);
    }
    if let Some(directives) = transport_security {
        answer.headers_mut().insert(http::header::STRICT_TRANSPORT_SECURITY, directives);
    }
    answer
}

async fn answer(server: Arc<Server>, connection: Connection, request: Request) -> Response {
    let start = Instant::now();
    let audit_id = headers::audit_id(request.headers());
    let uri = request.uri().clone();
    let query = Query::parse(uri.query());
    let info = RequestInfo::parse(request.method(), uri.path(), &query);
    let entry = if info.is_resource {
        server.registry.lookup(&info.group, &info.version, &info.resource)
    } else {
        None
    };
    let route = Route::of(entry, &info, query.has("dryRun"));
    let form =
        super::negotiate::negotiate(request.headers(), &query, Offer::of(route.entry.as_deref(), &info));
    let refusal_form = form.as_ref().copied().unwrap_or(Negotiated::JSON);
    let asked =
        Asked { server: &server, connection: &connection, info: &info, query: &query, route: &route, form };
    let record = auditing::begin(server.auditor.as_ref(), connection.client, &request, &info, &audit_id);
    let mut member = None;
    let passed = match &record {
        None => pass(asked, request, &mut member).await,
        Some(record) => auditing::within(record, pass(asked, request, &mut member)).await,
    };
    let mut answer = match passed {
        Ok(answer) => answer,
        Err(status) => {
            if status.code >= 500 {
                tracing::warn!(verb = info.verb, path = info.path, code = status.code, "{status}");
            }
            response::status_as(&status, &refusal_form)
        }
    };
    headers::finish(&mut answer, audit_id);
    if let Some(record) = record {
        answer = auditing::finish(record, is_long_running(&info, &query), answer).await;
    }
    if let Some(member) = member {
        let uids = [(headers::FLOW_SCHEMA, &member.schema_uid), (headers::PRIORITY_LEVEL, &member.level_uid)];
        for (name, uid) in uids {
            if let Some(uid) = uid {
                answer.headers_mut().insert(name, uid.clone());
            }
        }
    }
    let took = start.elapsed();
    let size = http_body::Body::size_hint(answer.body()).exact();
    server.metrics.finished(&route, answer.status().as_u16(), took, size);
    tracing::debug!(verb = info.verb, path = info.path, code = answer.status().as_u16(), ?took, "request");
    answer
}

/// A request whose head is read.
pub struct Asked<'a> {
    /// The server.
    pub server: &'a Arc<Server>,
    /// The connection that it came over.
    pub connection: &'a Connection,
    /// What it asks for.
    pub info: &'a RequestInfo,
    /// The query parameters.
    pub query: &'a Query<'a>,
    /// The resource, and what the request counts as.
    pub route: &'a Route,
    /// The form of the answer; a refusal where what is asked for cannot be made.
    pub form: Result<Negotiated, Status>,
}

/// Nothing can be answered rightly before the caches are filled: requests of the first moments wait.
async fn loaded(server: &Server) -> Result<(), Status> {
    if *server.loaded.borrow() {
        return Ok(());
    }
    let mut loaded = server.loaded.clone();
    match tokio::time::timeout(server.options.request_timeout, loaded.wait_for(|loaded| *loaded)).await {
        Ok(Ok(_)) => Ok(()),
        _ => Err(Status::unavailable("the server is still reading its objects from etcd")),
    }
}

async fn pass(
    asked: Asked<'_>,
    request: Request,
    member: &mut Option<Arc<Member>>,
) -> Result<Response, Status> {
    let Asked { server, connection, info, query, route, .. } = asked;
    let health = health::Kind::of(&info.path);
    if health.is_none() {
        loaded(server).await?;
    }
    let now = Timestamp::now();
    let credentials = Credentials { peer: &connection.peer, headers: request.headers(), path: &info.path };
    let begun = Instant::now();
    let authenticated = server.authenticator.authenticate(credentials, now).await;
    let name = authenticated.as_ref().ok().map(|user| user.name.as_str());
    server.metrics.authenticated(name, begun.elapsed());
    let mut user: Arc<UserInfo> = authenticated.map_err(|error| {
        tracing::info!(path = info.path, %error, "unable to authenticate the request");
        auditing::unauthenticated(request.headers());
        Status::unauthorized()
    })?;
    auditing::authenticated(&user);
    if let Some(wanted) = impersonation::wanted(request.headers())? {
        let selectors = Selectors::of(info, query);
        let attributes = attributes(info, &selectors, &user);
        let acts = impersonation::impersonate(&server.authorizer, &user, wanted, &attributes).await?;
        auditing::impersonates(&acts);
        user = Arc::new(acts.user);
    }
    if let Some((kind, only)) = health {
        // As upstream's --authorization-always-allow-paths: health is for whoever may connect.
        if only.is_some() {
            authorize(server, info, query, &user).await?;
        }
        return Ok(health::answer(server, kind, only, query).await);
    }
    if server.options.sends_retry_after && server.closing.is_cancelled() {
        return Ok(stopping());
    }
    if info.verb != "watch" && is_long_running(info, query) {
        authorize(server, info, query, &user).await?;
        return dispatch::dispatch(asked, request, &user).await;
    }
    let patience = patience(server, info, query)?;
    // A watch takes its seats until the events that it begins with are out.
    let permit = match enter(&asked, &user, patience).await {
        Ok(permit) => permit,
        Err(away) => {
            server.metrics.terminated(route, 429);
            *member = away.member.clone();
            return Ok(turned_away(&away));
        }
    };
    *member = permit.0.member();
    authorize(server, info, query, &user).await?;
    match tokio::time::timeout(patience, dispatch::dispatch(asked, request, &user)).await {
        Ok(mut answer) => {
            if let Ok(answer) = &mut answer
                && let Some(Begun(begun)) = answer.extensions_mut().remove()
            {
                permit.0.hold_until(begun, patience);
            }
            answer
        }
        Err(_) => {
            server.metrics.terminated(route, 504);
            Err(Status::timeout("request did not complete within the allotted timeout"))
        }
    }
}

/// Asks whether the user may also do something else to what the request names: an update that creates is a create.
pub async fn authorize_verb(
    server: &Server,
    info: &RequestInfo,
    user: &UserInfo,
    verb: &'static str,
) -> Result<(), Status> {
    authorize(server, &RequestInfo { verb, ..info.clone() }, &Query::default(), user).await
}

async fn authorize(
    server: &Server,
    info: &RequestInfo,
    query: &Query<'_>,
    user: &UserInfo,
) -> Result<(), Status> {
    let selectors = Selectors::of(info, query);
    let attributes = attributes(info, &selectors, user);
    let begun = Instant::now();
    let decision = server.authorizer.decide(&attributes).await;
    server.metrics.authorized(&decision, begun.elapsed());
    auditing::decided(&decision);
    if decision.is_allowed() {
        return Ok(());
    }
    Err(authorization::refusal(&attributes, &decision))
}

/// What a request for several objects selects.
struct Selectors {
    fields: Option<fields::Selector>,
    labels: Option<labels::Selector>,
}

impl Selectors {
    /// What cannot be understood is left out, which asks for more, not for less.
    fn of(info: &RequestInfo, query: &Query<'_>) -> Self {
        let selects = matches!(info.verb, "list" | "watch" | "deletecollection");
        let selector = |key| query.get(key).filter(|_| selects);
        Self {
            fields: selector("fieldSelector").and_then(|text| fields::parse(text).ok()),
            labels: selector("labelSelector").and_then(|text| labels::parse(text).ok()),
        }
    }
}

/// A request as authorisers see it.
fn attributes<'a>(
    info: &'a RequestInfo,
    selectors: &'a Selectors,
    user: &'a UserInfo,
) -> authz::Attributes<'a> {
    authz::Attributes {
        user: authz::User { name: &user.name, groups: &user.groups },
        uid: &user.uid,
        extra: Some(&user.extra),
        verb: info.verb,
        namespace: &info.namespace,
        group: &info.group,
        version: &info.version,
        resource: &info.resource,
        subresource: &info.subresource,
        name: &info.name,
        path: &info.path,
        is_resource: info.is_resource,
        field_selector: selectors.fields.as_ref(),
        label_selector: selectors.labels.as_ref(),
    }
}

/// Waits for room among the requests under way.
async fn enter<'a>(
    asked: &Asked<'a>,
    user: &UserInfo,
    patience: Duration,
) -> Result<(Entered<'a>, crate::metrics::Open), TurnedAway> {
    let Asked { server, info, query, route, .. } = asked;
    let is_write = is_write(info);
    let entered = match &server.gate {
        Gate::Limits(limits) => limits.enter(user.in_group("system:masters"), is_write)?,
        Gate::Fair(flows) => {
            let request = flow_control::Request {
                user: &user.name,
                groups: &user.groups,
                verb: info.verb,
                is_resource: info.is_resource,
                group: &info.group,
                resource: &info.resource,
                subresource: &info.subresource,
                namespace: &info.namespace,
                path: &info.path,
            };
            let details = || Details {
                user: user.name.clone(),
                verb: info.verb,
                path: info.path.clone(),
                namespace: info.namespace.clone(),
                name: info.name.clone(),
                version: info.group_version(),
                resource: info.resource.clone(),
                subresource: info.subresource.clone(),
                ..Details::default()
            };
            let work = || work(info, query, route);
            // As upstream: a request waits a quarter of its time in a queue at most.
            let permit = flows.enter(request, info.verb == "watch", patience / 4, work, details).await?;
            Entered::Fair(permit)
        }
    };
    Ok((entered, server.metrics.entered(is_write)))
}

fn is_write(info: &RequestInfo) -> bool {
    matches!(info.verb, "create" | "update" | "patch" | "delete" | "deletecollection")
}

/// How much a request is expected to take.
fn work(info: &RequestInfo, query: &Query<'_>, route: &Route) -> Work {
    let Some(entry) = route.entry.as_ref().filter(|entry| entry.is_stored()) else { return Work::ONE };
    let reads_all = match info.verb {
        "list" | "deletecollection" => true,
        "watch" => !matches!(query.get("resourceVersion"), Some(version) if version != "0"),
        _ => false,
    };
    if reads_all {
        let stored = entry.cache().len() as u64;
        // A page ends where it is full, if every object counts.
        let selects = query.has("labelSelector") || query.has("fieldSelector");
        let limit =
            query.number("limit").and_then(|limit| u64::try_from(limit).ok()).filter(|limit| *limit > 0);
        return Work::list(limit.filter(|_| !selects).map_or(stored, |limit| limit.min(stored)));
    }
    if is_write(info) { Work::change(entry.cache().watch_count() as u64) } else { Work::ONE }
}

/// The answer to a request that comes too late for this server.
fn stopping() -> Response {
    let text = "The apiserver is shutting down, please try again later.\n";
    let mut answer = response::text(StatusCode::TOO_MANY_REQUESTS, text);
    let headers = answer.headers_mut();
    headers.insert(http::header::RETRY_AFTER, http::HeaderValue::from_static("5"));
    answer
}

/// The answer to a request for which there is no room, in upstream's words.
fn turned_away(away: &TurnedAway) -> Response {
    let text = "Too many requests, please try again later.\n";
    let mut answer = response::text(StatusCode::TOO_MANY_REQUESTS, text);
    answer.headers_mut().insert(http::header::RETRY_AFTER, away.retry_after.into());
    answer
}

/// How long the request may take: what the client asks for, up to the server's limit. Opening a watch has the server's.
fn patience(server: &Server, info: &RequestInfo, query: &Query<'_>) -> Result<Duration, Status> {
    let longest = server.options.request_timeout;
    let Some(text) = query.get("timeout").filter(|_| info.verb != "watch") else { return Ok(longest) };
    match apimachinery::time::parse_go_duration(text).and_then(|nanos| u64::try_from(nanos).ok()) {
        // As upstream: nothing is the server's own limit.
        Some(0) => Ok(longest),
        Some(nanos) => Ok(Duration::from_nanos(nanos).min(longest)),
        None => Err(Status::bad_request(format!(
            "invalid timeout specified in the request URL - time: invalid duration {text:?}"
        ))),
    }
}

/// Whether a request may last as long as it likes.
fn is_long_running(info: &RequestInfo, query: &Query<'_>) -> bool {
    if info.verb == "watch" || (!info.is_resource && component::pages::is_profile(&info.path)) {
        return true;
    }
    info.is_resource
        && Streaming::serves(&info.resource, &info.subresource)
        && (info.subresource != "log" || query.flag("follow"))
}

/// The answer to a path that is nothing.
pub fn not_found() -> Response {
    response::text(StatusCode::NOT_FOUND, "404 page not found\n")
}
