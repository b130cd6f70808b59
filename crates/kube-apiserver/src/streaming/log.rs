//! `pods/log`: what a container wrote, from its kubelet.

use apimachinery::status::{Cause, Details};
use apimachinery::{FieldError, ObjectExt as _, Status};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::backend::Target;
use super::{Call, Streaming, container, forward, query};
use crate::http::{Body, Query, Response};

/// The most of a kubelet's refusal that is passed on.
const MAX_REFUSAL: usize = 50_000;

pub(super) async fn serve(streaming: &Streaming, call: Call<'_>) -> Result<Response, Status> {
    let info = call.info;
    let query = query(&call.request);
    let parameters = parameters(&query, &info.name)?;
    let pod = call.objects.get("", "pods", &info.namespace, &info.name).await?;
    let container = container::choose(&pod, query.get("container"))?;
    let node = pod.str_at(&["spec", "nodeName"]).unwrap_or("");
    if node.is_empty() {
        return Ok(plain(Body::empty()));
    }
    let node = call.objects.get("", "nodes", "", node).await?;
    let address = streaming.kubelets.address(&node)?;
    let tls = streaming.kubelets.tls(!query.flag("insecureSkipTLSVerifyBackend"));
    let target = Target { host: address.host, port: address.port, tls: Some(tls), server_name: None };
    let path = format!("/containerLogs/{}/{}/{container}{parameters}", info.namespace, info.name);
    let failed = |error: &dyn std::fmt::Display| {
        let url = format!("https://{}{path}", target.authority());
        Status::new(500, "", format!("Get {url:?}: {error}"))
    };
    let mut request = http::Request::new(Body::empty());
    *request.uri_mut() = forward::uri(&path).map_err(|error| failed(&error))?;
    forward::set_host(request.headers_mut(), &http::Uri::default(), Some(&target.authority()));
    let response = streaming.dialer.send(&target, request).await.map_err(|error| failed(&error))?;
    if !response.status().is_success() {
        return Err(refusal(response, &info.name).await);
    }
    Ok(plain(Body::stream(response.into_body())))
}

fn plain(body: Body) -> Response {
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response
}

/// Turns a kubelet's refusal into the server's.
async fn refusal(response: http::Response<Incoming>, name: &str) -> Status {
    let code = response.status();
    let body = Limited::new(response.into_body(), MAX_REFUSAL).collect().await;
    let text = body.map(|body| String::from_utf8_lossy(&body.to_bytes()).into_owned()).unwrap_or_default();
    match code {
        StatusCode::INTERNAL_SERVER_ERROR => Status::internal(text),
        StatusCode::BAD_REQUEST => Status::bad_request(text),
        _ => {
            let (reason, message) = match code {
                StatusCode::UNAUTHORIZED => {
                    ("Unauthorized", "the server has asked for the client to provide credentials")
                }
                StatusCode::FORBIDDEN => ("Forbidden", text.as_str()),
                StatusCode::NOT_FOUND => ("NotFound", "the server could not find the requested resource"),
                StatusCode::SERVICE_UNAVAILABLE => {
                    ("ServiceUnavailable", "the server is currently unable to handle the request")
                }
                _ => ("", "an error on the server has prevented the request from succeeding"),
            };
            let cause = Cause {
                reason: "UnexpectedServerResponse".into(),
                message: text.clone(),
                field: String::new(),
            };
            let details = Details {
                name: name.into(),
                kind: "pods/log".into(),
                causes: vec![cause],
                ..Details::default()
            };
            let message = format!("{message} ( pods/log {name})");
            Status { details: Some(Box::new(details)), ..Status::new(code.as_u16(), reason, message) }
        }
    }
}

/// Checks the options and writes them as the kubelet takes them: empty, or `?…`.
fn parameters(query: &Query<'_>, pod: &str) -> Result<String, Status> {
    let mut errors = Vec::new();
    let mut parameters: Vec<String> = Vec::new();
    let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    for flag in ["follow", "previous", "timestamps"] {
        if query.flag(flag) {
            parameters.push(format!("{flag}=true"));
        }
    }
    let limits = [
        ("tailLines", 0, "must be greater than or equal to 0"),
        ("limitBytes", 1, "must be greater than 0"),
        ("sinceSeconds", 1, "must be greater than 0"),
    ];
    for (option, least, why) in limits {
        let Some(text) = query.get(option) else { continue };
        match text.parse::<i64>() {
            Ok(number) if number < least => errors.push(FieldError::invalid(option, number, why)),
            Ok(number) => parameters.push(format!("{option}={number}")),
            Err(_) => {
                let message = format!("strconv.ParseInt: parsing {text:?}: invalid syntax");
                return Err(Status::bad_request(message));
            }
        }
    }
    if let Some(text) = query.get("sinceTime") {
        if apimachinery::time::parse(text).is_none() {
            return Err(Status::bad_request(format!(
                "parsing time {text:?} as \"2006-01-02T15:04:05Z07:00\""
            )));
        }
        if query.has("sinceSeconds") {
            let why = "at most one of `sinceTime` or `sinceSeconds` may be specified";
            errors.push(FieldError::forbidden("", why));
        }
        parameters.push(format!("sinceTime={}", encode(text)));
    }
    if let Some(stream) = query.get("stream") {
        match stream {
            "All" | "Stdout" | "Stderr" => parameters.push(format!("stream={stream}")),
            other => errors.push(FieldError::not_supported("stream", other, &["All", "Stdout", "Stderr"])),
        }
        if stream != "All" && query.has("tailLines") {
            let why = "`tailLines` and specific `stream` are mutually exclusive for now";
            errors.push(FieldError::forbidden("", why));
        }
    }
    if !errors.is_empty() {
        return Err(Status::invalid("", "PodLogOptions", pod, errors));
    }
    Ok(if parameters.is_empty() { String::new() } else { format!("?{}", parameters.join("&")) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(query: &str) -> String {
        parameters(&Query::parse(Some(query)), "web").unwrap_or_else(|status| status.message)
    }

    #[test]
    fn options_are_checked_and_passed_on() {
        for (query, expected) in [
            ("", ""),
            ("follow=true&previous=false&timestamps=1&container=x", "?follow=true&timestamps=true"),
            ("tailLines=0&limitBytes=10&sinceSeconds=5", "?tailLines=0&limitBytes=10&sinceSeconds=5"),
            ("sinceTime=2026-11-20T10:00:00Z", "?sinceTime=2026%2D11%2D20T10%3A00%3A00Z"),
            (
                "tailLines=-1",
                "PodLogOptions \"web\" is invalid: tailLines: Invalid value: -1: must be greater than or equal to 0",
            ),
            (
                "limitBytes=0",
                "PodLogOptions \"web\" is invalid: limitBytes: Invalid value: 0: must be greater than 0",
            ),
            ("tailLines=x", "strconv.ParseInt: parsing \"x\": invalid syntax"),
        ] {
            assert_eq!(check(query), expected, "{query}");
        }
    }
}
