//! `proxy` subresources: any HTTP request, on to a pod, a service's endpoint or a node.

use std::net::IpAddr;

use apimachinery::{ObjectExt as _, Status};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HOST, LOCATION};
use http::{HeaderName, HeaderValue, StatusCode};
use hyper::body::Incoming;
use rand::seq::IndexedRandom as _;
use serde_json::Value;

use super::backend::{BackendError, Target};
use super::rewrite::{Place, Rewriter};
use super::{Call, Streaming, forward, tunnel};
use crate::http::{Body, RequestInfo, Response};

const FORWARDED_URI: HeaderName = HeaderName::from_static("x-forwarded-uri");

/// `name`, `name:port` or `scheme:name:port`, as it is in the request's path.
#[derive(Debug, PartialEq, Eq)]
struct Id<'a> {
    https: bool,
    name: &'a str,
    port: &'a str,
}

impl<'a> Id<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let parts: Vec<&str> = text.split(':').collect();
        let (scheme, name, port) = match parts.as_slice() {
            [name] => ("", *name, ""),
            [name, port] => ("", *name, *port),
            [scheme, name, port] => (*scheme, *name, *port),
            _ => return None,
        };
        let known = matches!(scheme, "" | "http" | "https");
        (known && !name.is_empty()).then_some(Self { https: scheme == "https", name, port })
    }
}

pub(super) async fn serve(streaming: &Streaming, call: Call<'_>) -> Result<Response, Status> {
    let info = call.info;
    let path = call.request.uri().path();
    let query = call.request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
    if info.rest.is_empty() && !path.ends_with('/') {
        // Relative links in what is answered are right only below a path that ends in a slash.
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::MOVED_PERMANENTLY;
        let location = HeaderValue::try_from(format!("{path}/{query}"));
        response.headers_mut().insert(LOCATION, location.map_err(Status::internal)?);
        return Ok(response);
    }
    let target = target(streaming, &call).await?;
    let place = Place {
        prefix: path.strip_suffix(info.rest.as_str()).unwrap_or(path).trim_end_matches('/').to_owned(),
        client_host: client_host(&call),
        target_host: target.authority(),
    };
    let path = format!("/{}{query}", info.rest);
    let sent = match httpstream::is_upgrade(call.request.headers()) {
        true => {
            let mut request = call.request;
            forward::add_forwarded_for(request.headers_mut(), call.client);
            tunnel::upgrade(&streaming.dialer, &target, &path, request, None).await
        }
        false => pass(streaming, call, &target, &path, place).await,
    };
    sent.map_err(|error| Status::unavailable(format!("error trying to reach service: {error}")))
}

fn client_host(call: &Call<'_>) -> String {
    let header = || call.request.headers().get(HOST).and_then(|value| value.to_str().ok());
    let authority = call.request.uri().authority().map(|authority| authority.as_str());
    authority.or_else(header).unwrap_or("").to_owned()
}

async fn pass(
    streaming: &Streaming,
    call: Call<'_>,
    target: &Target,
    path: &str,
    place: Place,
) -> Result<Response, BackendError> {
    let (parts, body) = call.request.into_parts();
    let mut headers = forward::end_to_end(&parts.headers);
    forward::set_host(&mut headers, &parts.uri, None);
    forward::add_forwarded_for(&mut headers, call.client);
    if let Ok(uri) = HeaderValue::try_from(parts.uri.path()) {
        headers.insert(FORWARDED_URI, uri);
    }
    let mut request = http::Request::new(match hyper::body::Body::is_end_stream(&body) {
        true => Body::empty(),
        false => Body::stream(body),
    });
    *request.method_mut() = parts.method;
    *request.uri_mut() = forward::uri(path)?;
    *request.headers_mut() = headers;
    let response = streaming.dialer.send(target, request).await?;
    Ok(rewritten(response, place))
}

/// The answer with its redirects and its HTML pages pointing to where the client can reach them.
fn rewritten(response: http::Response<Incoming>, place: Place) -> Response {
    let redirect = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
    let redirect = redirect.and_then(|url| HeaderValue::try_from(place.rewrite(url)).ok());
    let html = response
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|kind| kind.split(';').next() == Some("text/html"));
    if html && !response.headers().contains_key(CONTENT_ENCODING) {
        let (parts, body) = response.into_parts();
        let mut answer = Response::new(Body::stream(Rewriter::new(body, place)));
        *answer.status_mut() = parts.status;
        *answer.headers_mut() = forward::end_to_end(&parts.headers);
        answer.headers_mut().remove(CONTENT_LENGTH);
        answer.headers_mut().extend(redirect.map(|redirect| (LOCATION, redirect)));
        return answer;
    }
    let mut answer = forward::answer(response);
    if let Some(redirect) = redirect {
        answer.headers_mut().insert(LOCATION, redirect);
    }
    answer
}

async fn target(streaming: &Streaming, call: &Call<'_>) -> Result<Target, Status> {
    let info = call.info;
    let kind = info.resource.trim_end_matches('s');
    let Some(id) = Id::parse(&info.name) else {
        return Err(Status::bad_request(format!("invalid {kind} request {:?}", info.name)));
    };
    let tls = id.https.then(|| streaming.insecure.clone());
    let (host, port) = match kind {
        "pod" => {
            let pod = call.objects.get("", "pods", &info.namespace, id.name).await?;
            (pod.str_at(&["status", "podIP"]).unwrap_or("").to_owned(), pod_port(&pod, &id)?)
        }
        "service" => service_endpoint(call, info, &id).await?,
        _ => {
            let node = call.objects.get("", "nodes", "", id.name).await?;
            let kubelet = streaming.kubelets.address(&node)?;
            if id.port.is_empty() || id.port == kubelet.port.to_string() {
                let tls = Some(streaming.kubelets.tls(true));
                return Ok(Target { host: kubelet.host, port: kubelet.port, tls, server_name: None });
            }
            (kubelet.host, number(id.port)?)
        }
    };
    match host.parse::<IpAddr>() {
        Ok(address) if (streaming.proxyable)(address) => Ok(Target { host, port, tls, server_name: None }),
        // The name of a node, which its kubelet chose: it is resolved when dialled.
        Err(_) if kind == "node" => Ok(Target { host, port, tls, server_name: None }),
        _ => Err(Status::bad_request("address not allowed")),
    }
}

fn number(port: &str) -> Result<u16, Status> {
    port.parse().map_err(|_| {
        Status::unavailable(format!(
            "error trying to reach service: dial tcp: lookup tcp/{port}: unknown port"
        ))
    })
}

/// The port asked for, the first one that a container names, or that of the scheme.
fn pod_port(pod: &Value, id: &Id<'_>) -> Result<u16, Status> {
    if !id.port.is_empty() {
        return number(id.port);
    }
    let first = pod
        .list_at(&["spec", "containers"])
        .iter()
        .find_map(|container| container.list_at(&["ports"]).first()?.i64_at(&["containerPort"]))
        .and_then(|port| u16::try_from(port).ok());
    Ok(first.unwrap_or(if id.https { 443 } else { 80 }))
}

async fn service_endpoint(call: &Call<'_>, info: &RequestInfo, id: &Id<'_>) -> Result<(String, u16), Status> {
    let service = call.objects.get("", "services", &info.namespace, id.name).await?;
    let port = port_name(&service, id)?;
    let endpoints = match call.objects.get("", "endpoints", &info.namespace, id.name).await {
        Ok(endpoints) => candidates(&endpoints, port),
        Err(status) if status.code == 404 => Vec::new(),
        Err(status) => return Err(status),
    };
    match endpoints.choose(&mut rand::rng()) {
        Some(endpoint) => Ok(endpoint.clone()),
        None => Err(Status::unavailable(format!("no endpoints available for service {:?}", id.name))),
    }
}

/// The name of the service's port: endpoints are found by it.
fn port_name<'a>(service: &'a Value, id: &'a Id<'_>) -> Result<&'a str, Status> {
    let ports = service.list_at(&["spec", "ports"]);
    let name = |port: &'a Value| port.str_at(&["name"]).unwrap_or("");
    if let Ok(number) = id.port.parse::<i64>() {
        return match ports.iter().find(|port| port.i64_at(&["port"]) == Some(number)) {
            Some(port) => Ok(name(port)),
            None => {
                Err(Status::unavailable(format!("no service port {number} found for service {:?}", id.name)))
            }
        };
    }
    match ports {
        [only] if id.port.is_empty() => Ok(name(only)),
        _ => Ok(id.port),
    }
}

/// Ready addresses that serve the port.
fn candidates(endpoints: &Value, port: &str) -> Vec<(String, u16)> {
    let mut found = Vec::new();
    for subset in endpoints.list_at(&["subsets"]) {
        let number = subset
            .list_at(&["ports"])
            .iter()
            .find(|candidate| candidate.str_at(&["name"]).unwrap_or("") == port)
            .and_then(|candidate| u16::try_from(candidate.i64_at(&["port"])?).ok());
        let Some(number) = number else { continue };
        let addresses = subset.list_at(&["addresses"]).iter().filter_map(|address| address.str_at(&["ip"]));
        found.extend(addresses.map(|address| (address.to_owned(), number)));
    }
    found
}

#[cfg(test)]
mod tests;
