//! From an authorised request to the handler that answers it.

use std::borrow::Cow;
use std::sync::Arc;

use admission::Operation;
use apimachinery::Status;
use authn::UserInfo;
use component::pages::{self, Asked as PageAsked};
use http::StatusCode;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::access::{rules_review, self_review, subject_access, token_review};
use crate::admitting::{self, Admitting};
use crate::aggregation;
use crate::auditing;
use crate::flow::{self, Gate};
use crate::handlers::call::Call;
use crate::handlers::patch::Means;
use crate::handlers::watch::socket;
use crate::handlers::{
    apply, component_status, create, delete, delete_collection, get, list, output, patch, pod_binding,
    pod_eviction, scale, update, watch, write,
};
use crate::health;
use crate::http::service::{Asked, Connection, authorize_verb, not_found};
use crate::http::{Inbound, Query, Request, RequestInfo, Response, input, response};
use crate::metrics;
use crate::registry::Entry;
use crate::server::Server;
use crate::streaming::{self, Streaming};

/// What `/statusz` lists.
const PATHS: [&str; 6] = ["/healthz", "/livez", "/metrics", "/openapi/v3", "/readyz", "/version"];

/// Answers a request that may pass.
pub async fn dispatch(asked: Asked<'_>, request: Request, user: &Arc<UserInfo>) -> Result<Response, Status> {
    let Asked { server, connection, info, query, route, form } = asked;
    let Some(entry) = route.entry.clone() else {
        // What is not served here may be served by another server.
        if let Some(backend) = server.aggregation.backend_of(info) {
            let client = connection.client;
            return Ok(Box::pin(aggregation::forward(server, backend, request, user, client)).await);
        }
        if !info.is_resource {
            if matches!(info.verb, "get" | "head")
                && let Some(page) = page(server, &request, info).await
            {
                return Ok(page);
            }
            return document(server, &request, info, query).await;
        }
        return Ok(not_found());
    };
    let row = &entry.row;
    let placed = row.namespaced != info.namespace.is_empty();
    let everywhere = row.namespaced && matches!(info.verb, "list" | "watch") && info.subresource.is_empty();
    let own_namespace = row.group.is_empty() && row.plural == "namespaces";
    if !placed && !everywhere && !own_namespace {
        return match info.verb {
            "create" | "deletecollection" if row.namespaced => Err(not_allowed()),
            _ => Ok(not_found()),
        };
    }
    let verbs = match info.subresource.as_str() {
        "" => row.verbs,
        name => match row.subresource(name) {
            Some(sub) => sub.verbs,
            None => return Ok(not_found()),
        },
    };
    // A stream is opened by the method that the client's library likes best.
    let verb = if info.verb == "watch" && !info.subresource.is_empty() { "get" } else { info.verb };
    if !verbs.names().any(|known| known == verb) {
        return Err(not_allowed());
    }
    let of_one = matches!(info.verb, "update" | "patch") || !info.subresource.is_empty();
    let names_one = !info.name.is_empty();
    if (of_one && !names_one) || (info.verb == "create" && info.subresource.is_empty() && names_one) {
        return Err(not_allowed());
    }
    if row.group.is_empty() && Streaming::serves(&info.resource, &info.subresource) {
        return Box::pin(stream(server, &entry, connection, request, info, query, user)).await;
    }
    let (mut head, body) = request.into_parts();
    let form = form?;
    let call = Call {
        server,
        entry,
        info,
        query,
        headers: &head.headers,
        user,
        form,
        warnings: Default::default(),
        outside: Default::default(),
    };
    if let Some(warning) = call.entry.custom().and_then(|custom| custom.warning.clone()) {
        call.warn([warning]);
    }
    let row = &call.entry.row;
    call.warn(kinds::deprecation::warning(&row.group, &row.version, &row.kind).map(Cow::into_owned));
    let mut answer = match handle(&call, body).await {
        Ok(answer) => answer,
        Err(status) => response::status_as(&status, &form),
    };
    if call.info.verb == "watch" && socket::is_asked(call.headers) {
        let switched = socket::switch(answer, call.headers, &mut head.extensions, &server.streaming);
        answer = switched.unwrap_or_else(|status| response::status_as(&status, &form));
    }
    response::warn(&mut answer, &call.warnings.into_inner());
    Ok(answer)
}

fn not_allowed() -> Status {
    let mut status = Status::new(
        405,
        "MethodNotAllowed",
        "the server does not allow this method on the requested resource",
    );
    status.details = Some(Box::default());
    status
}

/// Hands the call to its handler. Each future is boxed, so that a request takes the room of the handler that it
/// needs and not that of the largest one.
async fn handle(call: &Call<'_>, body: Inbound) -> Result<Response, Status> {
    if !call.entry.is_stored() {
        return Box::pin(made_on_request(call, body)).await;
    }
    let (verb, sub) = (call.info.verb, call.info.subresource.as_str());
    match (verb, sub) {
        ("list", "") => return Box::pin(list::list(call)).await,
        ("watch", "") => return Box::pin(watch::watch(call)).await,
        ("get", "scale") => return Box::pin(scale::get(call)).await,
        ("get", _) => return Box::pin(get::get(call)).await,
        _ => {}
    }
    if verb == "patch" {
        // Said before the body is read: it may be large.
        let means = patch::means(call.headers, call.entry.custom().is_some())?;
        let body = input::read(body).await?;
        auditing::patch(&body);
        return match (sub, means) {
            ("scale", means) => Box::pin(scale::patch(call, means, body)).await,
            (_, Means::Apply) => Box::pin(apply::apply(call, body)).await,
            (_, Means::Patch(kind)) => Box::pin(patch::patch(call, kind, body)).await,
        };
    }
    let encoding = input::encoding(call.headers)?;
    let body = input::read(body).await?;
    match (verb, sub) {
        ("create", "") => Box::pin(create::create(call, body, encoding)).await,
        ("create", "binding") => Box::pin(pod_binding::bind(call, body, encoding)).await,
        ("create", "eviction") => Box::pin(pod_eviction::evict(call, body, encoding)).await,
        ("create", "token") => Box::pin(token(call, &body, encoding)).await,
        ("update", "scale") => Box::pin(scale::update(call, body, encoding)).await,
        ("update", _) => Box::pin(update::update(call, body, encoding)).await,
        ("delete", "") => Box::pin(delete::delete(call, body, encoding)).await,
        ("deletecollection", "") => {
            Box::pin(delete_collection::delete_collection(call, body, encoding)).await
        }
        _ => Err(not_allowed()),
    }
}

/// A token for a service account.
async fn token(call: &Call<'_>, body: &[u8], encoding: input::Encoding) -> Result<Response, Status> {
    let Some(tokens) = &call.server.tokens else {
        return Err(Status::new(404, "NotFound", "the server has no key to sign tokens with"));
    };
    let expected = write::Expected::sub(call)?;
    let mut request = write::decode(call, body, encoding, &expected)?;
    write::adopt_name(call, &mut request)?;
    write::adopt_namespace(call, &mut request)?;
    let attributes =
        write::attributes(call, Operation::Create, "TokenRequest", &call.info.name, call.dry_run()?);
    let warn = |warnings: Vec<String>| call.warn(warnings);
    let admitting = write::admitting(call, attributes, None, &warn);
    admitting.change_by_all(&mut request, None).await?;
    admitting.judge_by_all(&request, None).await?;
    let jti = uuid::Uuid::new_v4().to_string();
    let (namespace, name) = (&call.info.namespace, &call.info.name);
    let granted =
        tokens.create(call.server.as_ref(), namespace, name, request, Timestamp::now(), jti).await?;
    call.warn(granted.warnings);
    output::tree(StatusCode::CREATED, &call.entry, &granted.object, &call.form, call.query)
}

/// Resources that are answered from what is asked alone: reviews, bindings, component statuses.
async fn made_on_request(call: &Call<'_>, body: Inbound) -> Result<Response, Status> {
    let row = &call.entry.row;
    if row.plural == "componentstatuses" {
        return component_status::answer(call).await;
    }
    let encoding = input::encoding(call.headers)?;
    let body = input::read(body).await?;
    if row.plural == "bindings" {
        return pod_binding::bind(call, body, encoding).await;
    }
    let mut review = write::decode(call, &body, encoding, &write::Expected::own(call))?;
    write::adopt_namespace(call, &mut review)?;
    let (chain, user) = (&call.server.authorizer, call.user.as_ref());
    let answer = match &*row.plural {
        "tokenreviews" => token_review::review(&call.server.authenticator, review, Timestamp::now()).await?,
        "selfsubjectreviews" => self_review::own(user, review),
        "subjectaccessreviews" => subject_access::any(chain, review).await?,
        "selfsubjectaccessreviews" => subject_access::own(chain, user, review).await?,
        "localsubjectaccessreviews" => subject_access::local(chain, call.namespace(), review).await?,
        "selfsubjectrulesreviews" => rules_review::own(chain, user, review)?,
        _ => return Err(not_allowed()),
    };
    output::tree(StatusCode::CREATED, &call.entry, &answer, &call.form, call.query)
}

async fn stream(
    server: &Arc<Server>,
    entry: &Arc<Entry>,
    connection: &Connection,
    request: Request,
    info: &RequestInfo,
    query: &Query<'_>,
    user: &Arc<UserInfo>,
) -> Result<Response, Status> {
    // WebSocket clients come with GET, which by itself asks for `get`: running a command takes `create` however it is
    // asked for.
    if matches!(info.subresource.as_str(), "exec" | "attach" | "portforward") && info.verb != "create" {
        authorize_verb(server, info, user, "create").await?;
    }
    if info.subresource != "log" {
        admit_connect(server, entry, info, query, user).await?;
    }
    let call = streaming::Call { request, info, user, objects: server.as_ref(), client: connection.client };
    server.streaming.serve(call).await
}

/// Admission sees a connection's options as its object.
async fn admit_connect(
    server: &Server,
    entry: &Arc<Entry>,
    info: &RequestInfo,
    query: &Query<'_>,
    user: &UserInfo,
) -> Result<(), Status> {
    let kind = match (info.resource.as_str(), info.subresource.as_str()) {
        (_, "exec") => "PodExecOptions",
        (_, "attach") => "PodAttachOptions",
        (_, "portforward") => "PodPortForwardOptions",
        ("services", _) => "ServiceProxyOptions",
        ("nodes", _) => "NodeProxyOptions",
        _ => "PodProxyOptions",
    };
    let mut options: Value = json!({ "kind": kind, "apiVersion": "v1" });
    if let Some(container) = query.get("container") {
        options["container"] = container.into();
    }
    for flag in ["stdin", "stdout", "stderr", "tty"] {
        if query.flag(flag) {
            options[flag] = true.into();
        }
    }
    let commands: Vec<&str> = query.all("command").collect();
    if !commands.is_empty() {
        options["command"] = json!(commands);
    }
    let attributes = admission::Attributes {
        operation: Operation::Connect,
        group: &info.group,
        version: &info.version,
        resource: &info.resource,
        subresource: &info.subresource,
        kind,
        namespace: &info.namespace,
        name: &info.name,
        user: admission::User { name: &user.name, groups: &user.groups },
        dry_run: false,
        random: rand::random(),
    };
    let request = admitting::Request {
        user,
        query,
        deletion: None,
        operation: Operation::Connect,
        metrics: &server.metrics,
    };
    // An answer that switches protocols has no room for warnings.
    let admitting =
        Admitting { server, entry, attributes, request, warn: &|warnings: Vec<String>| drop(warnings) };
    admitting.change_by_all(&mut options, None).await?;
    admitting.judge_by_all(&options, None).await
}

/// Paths that are not resources: discovery, metrics, keys.
async fn document(
    server: &Arc<Server>,
    request: &Request,
    info: &RequestInfo,
    query: &Query<'_>,
) -> Result<Response, Status> {
    if !matches!(info.verb, "get" | "head") {
        return if server.documents.answer(&info.path, request.headers(), query).is_some() {
            Err(not_allowed())
        } else {
            Ok(not_found())
        };
    }
    match info.path.as_str() {
        "/metrics" => {
            let mut text = metrics::text(server).await;
            if let Gate::Fair(flows) = &server.gate {
                let mut own = String::new();
                flows.write_metrics(&mut own);
                text.extend_from_slice(own.as_bytes());
            }
            Ok(response::with_type(
                StatusCode::OK,
                "text/plain; version=0.0.4; charset=utf-8",
                bytes::Bytes::from(text),
            ))
        }
        "/.well-known/openid-configuration" | "/openid/v1/jwks" => Ok(keys(server, &info.path)),
        path if path.starts_with(flow::DUMPS) => {
            let name = path.strip_prefix(flow::DUMPS).unwrap_or_default();
            let table = match &server.gate {
                Gate::Fair(flows) => flows.dump(name, query.flag("includeRequestDetails")),
                Gate::Limits(_) => None,
            };
            Ok(table.map_or_else(not_found, |table| response::text(StatusCode::OK, table)))
        }
        path => Ok(server.documents.answer(path, request.headers(), query).unwrap_or_else(not_found)),
    }
}

/// A page by which people look into the server.
async fn page(server: &Server, request: &Request, info: &RequestInfo) -> Option<Response> {
    if info.path == "/metrics/slis" {
        let text = health::slis(server).await;
        let text = bytes::Bytes::from(text);
        return Some(response::with_type(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", text));
    }
    let accept = request.headers().get(http::header::ACCEPT).and_then(|value| value.to_str().ok());
    let query = request.uri().query().unwrap_or_default();
    let asked = PageAsked { path: &info.path, query, accept: accept.unwrap_or_default() };
    let page = pages::answer(asked, &PATHS).await?;
    Some(response::with_type(page.status, page.media_type, page.body))
}

/// What others need to check the server's tokens.
fn keys(server: &Server, path: &str) -> Response {
    match server.token_discovery(path) {
        Some((media_type, document)) => {
            let mut answer = response::with_type(StatusCode::OK, media_type, bytes::Bytes::from(document));
            let cached = http::HeaderValue::from_static("public, max-age=3600");
            answer.headers_mut().insert(http::header::CACHE_CONTROL, cached);
            answer
        }
        None => not_found(),
    }
}
