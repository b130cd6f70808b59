//! The one owner of HTTP: requests to the API server, its answers, warnings, watches and upgraded connections.

mod channels;
mod connect;
pub mod kubeconfig;
mod watch;

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::BodyExt;
use kube::client::Body;
use serde_json::{Value, json};

use crate::error::{Error, Result};
pub use channels::{Channels, Frame, Signal};
pub use connect::Connection;
pub use watch::{Lines, Watch};

/// The media type that asks for tables, falling back to plain objects.
pub const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
/// Strategic merge patch.
pub const STRATEGIC: &str = "application/strategic-merge-patch+json";
/// JSON merge patch.
pub const MERGE: &str = "application/merge-patch+json";
/// JSON patch.
pub const JSON_PATCH: &str = "application/json-patch+json";
/// Server-side apply.
pub const APPLY: &str = "application/apply-patch+yaml";

/// A client of one API server.
#[derive(Clone)]
pub struct Client {
    inner: kube::Client,
    /// The server's URL.
    pub server: String,
    timeout: Option<Duration>,
    warned: Rc<Cell<usize>>,
}

impl Client {
    /// A client over an established connection description.
    pub fn new(inner: kube::Client, server: String, timeout: Option<Duration>) -> Self {
        Self { inner, server, timeout, warned: Rc::default() }
    }

    /// How many warnings the server has sent.
    pub fn warnings(&self) -> usize {
        self.warned.get()
    }

    /// The server's host and port.
    pub fn host(&self) -> &str {
        let rest = self.server.split_once("://").map_or(self.server.as_str(), |(_, rest)| rest);
        rest.split('/').next().unwrap_or(rest)
    }

    /// Reads an object.
    pub async fn get(&self, path: &str) -> Result<Value> {
        self.get_as(path, "application/json").await
    }

    /// Reads an object in the form that the media type asks for.
    pub async fn get_as(&self, path: &str, accept: &str) -> Result<Value> {
        let reply = self.send(Method::GET, path, Bytes::new(), "", accept).await?;
        object(reply).await
    }

    /// Creates an object.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value> {
        let reply =
            self.send(Method::POST, path, encode(body), "application/json", "application/json").await?;
        object(reply).await
    }

    /// Replaces an object.
    pub async fn put(&self, path: &str, body: &Value) -> Result<Value> {
        let reply =
            self.send(Method::PUT, path, encode(body), "application/json", "application/json").await?;
        object(reply).await
    }

    /// Patches an object.
    pub async fn patch(&self, path: &str, kind: &str, body: &Value) -> Result<Value> {
        let reply = self.send(Method::PATCH, path, encode(body), kind, "application/json").await?;
        object(reply).await
    }

    /// Deletes an object, with `DeleteOptions`.
    pub async fn delete(&self, path: &str, options: &Value) -> Result<Value> {
        let reply =
            self.send(Method::DELETE, path, encode(options), "application/json", "application/json").await?;
        object(reply).await
    }

    /// Sends bytes and returns the bytes that come back.
    pub async fn raw(&self, method: Method, path: &str, body: Bytes) -> Result<Bytes> {
        let content_type = if body.is_empty() { "" } else { "application/json" };
        let reply = self.send(method, path, body, content_type, "application/json, */*").await?;
        collect(reply).await
    }

    /// Reads a body line by line as it comes.
    pub async fn lines(&self, path: &str) -> Result<Lines> {
        Ok(Lines::new(
            self.untimed(request(Method::GET, path, Bytes::new(), "", "application/json, */*")?).await?,
        ))
    }

    /// Starts a watch.
    pub async fn watch(&self, path: &str, accept: &str) -> Result<Watch> {
        Ok(Watch::new(Lines::new(self.untimed(request(Method::GET, path, Bytes::new(), "", accept)?).await?)))
    }

    /// Forwards a request as it is and returns the answer as it is, an error answer too.
    pub async fn forward(&self, request: Request<Bytes>) -> Result<Response<Body>> {
        self.inner.send(request.map(Body::from)).await.map_err(|error| self.failed(error))
    }

    /// Opens a WebSocket with the channel protocols.
    pub async fn websocket(&self, path: &str) -> Result<Channels> {
        let request =
            Request::get(path).body(Vec::new()).map_err(|error| Error::message(error.to_string()))?;
        let connection = self
            .inner
            .connect(request)
            .await
            .map_err(|error| not_upgraded(&error).unwrap_or_else(|| self.failed(error)))?;
        let close_signal = connection.supports_stream_close();
        Ok(Channels::new(connection.into_stream(), close_signal))
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        content_type: &str,
        accept: &str,
    ) -> Result<Response<Body>> {
        let request = request(method, path, body, content_type, accept)?;
        match self.timeout {
            None => self.untimed(request).await,
            Some(limit) => tokio::time::timeout(limit, self.untimed(request)).await.unwrap_or_else(|_| {
                Err(Error::Unreachable(
                    "net/http: request canceled (Client.Timeout exceeded while awaiting headers)".into(),
                ))
            }),
        }
    }

    async fn untimed(&self, request: Request<Body>) -> Result<Response<Body>> {
        let line = format!("{} {}{}", request.method(), self.server, request.uri());
        let begun = std::time::Instant::now();
        let reply = self.inner.send(request).await.map_err(|error| self.failed(error))?;
        tracing::info!("{line} {} in {} milliseconds", reply.status(), begun.elapsed().as_millis());
        for warning in reply.headers().get_all(http::header::WARNING) {
            if let Some(text) = warning.to_str().ok().and_then(warning_text) {
                errln!("Warning: {text}");
                self.warned.set(self.warned.get() + 1);
            }
        }
        if reply.status().is_success() || reply.status().is_informational() {
            return Ok(reply);
        }
        let code = reply.status();
        let body = collect(reply).await?;
        if let Ok(status) = serde_json::from_slice::<Value>(&body)
            && status["kind"] == "Status"
        {
            return Err(Error::server(status));
        }
        Err(Error::server(unknown_status(code.as_u16(), &String::from_utf8_lossy(&body))))
    }

    fn failed(&self, error: kube::Error) -> Error {
        if let kube::Error::Api(status) = &error
            && let Ok(status) = serde_json::to_value(status)
        {
            return Error::server(status);
        }
        let mut cause: Option<&dyn std::error::Error> = Some(&error);
        let mut text = error.to_string();
        while let Some(inner) = cause {
            if let Some(io) = inner.downcast_ref::<std::io::Error>()
                && io.kind() == std::io::ErrorKind::ConnectionRefused
            {
                return Error::Refused(self.host().to_string());
            }
            text = inner.to_string();
            cause = inner.source();
        }
        if text.contains("UnknownIssuer") {
            text = "tls: failed to verify certificate: x509: certificate signed by unknown authority".into();
        } else if text.contains("failed to lookup address") {
            let host = self.host().rsplit_once(':').map_or(self.host(), |(host, _)| host);
            text = format!("dial tcp: lookup {host}: no such host");
        }
        Error::Unreachable(text)
    }
}

/// A path with query parameters; empty values are left out.
pub fn with_query(path: &str, parameters: &[(&str, &str)]) -> String {
    let mut text = path.to_string();
    let mut separator = if path.contains('?') { '&' } else { '?' };
    for (name, value) in parameters.iter().filter(|(_, value)| !value.is_empty()) {
        text.push(separator);
        text.push_str(name);
        text.push('=');
        text.push_str(&escape(value));
        separator = '&';
    }
    text
}

/// Escapes a query value or a path segment.
pub fn escape(value: &str) -> String {
    percent_encoding::utf8_percent_encode(value, percent_encoding::NON_ALPHANUMERIC)
        .to_string()
        .replace("%2D", "-")
        .replace("%2E", ".")
        .replace("%5F", "_")
}

fn request(
    method: Method,
    path: &str,
    body: Bytes,
    content_type: &str,
    accept: &str,
) -> Result<Request<Body>> {
    let mut builder =
        Request::builder().method(method).uri(path).header(http::header::ACCEPT, accept).header(
            http::header::USER_AGENT,
            concat!("kubectl/v", env!("CARGO_PKG_VERSION"), " (linux/amd64) magnetite"),
        );
    if !content_type.is_empty() {
        builder = builder.header(http::header::CONTENT_TYPE, content_type);
    }
    builder.body(Body::from(body)).map_err(|error| Error::message(format!("invalid request: {error}")))
}

fn encode(value: &Value) -> Bytes {
    Bytes::from(value.to_string())
}

async fn collect(reply: Response<Body>) -> Result<Bytes> {
    let body = reply.into_body().collect().await;
    Ok(body.map_err(|error| Error::Unreachable(error.to_string()))?.to_bytes())
}

async fn object(reply: Response<Body>) -> Result<Value> {
    let body = collect(reply).await?;
    serde_json::from_slice(&body)
        .map_err(|error| Error::message(format!("the server's answer is not JSON: {error}")))
}

/// The error of a refusal to upgrade that carries plain text instead of a `Status`, as a kubelet's does; nothing for
/// other errors.
fn not_upgraded(error: &kube::Error) -> Option<Error> {
    match error {
        // The reason that kube gives to a body that is no `Status`.
        kube::Error::Api(status) if status.reason == "Failed to parse error data" => {
            Some(Error::message(format!("unable to upgrade connection: {}", status.message)))
        }
        _ => None,
    }
}

/// The `Status` of an error answer that carries none; upstream's `NewGenericServerResponse`.
fn unknown_status(code: u16, body: &str) -> Value {
    let (reason, message) = match code {
        401 => ("Unauthorized", "the server has asked for the client to provide credentials"),
        403 => ("Forbidden", ""),
        404 => ("NotFound", "the server could not find the requested resource"),
        405 => ("MethodNotAllowed", "the server does not allow this method on the requested resource"),
        409 => ("Conflict", "the server reported a conflict"),
        429 => (
            "TooManyRequests",
            "the server has received too many requests and has asked us to try again later",
        ),
        503 => ("ServiceUnavailable", "the server is currently unable to handle the request"),
        504 => (
            "Timeout",
            "the server was unable to return a response in the time allotted, but may still be processing the request",
        ),
        500.. => ("InternalError", ""),
        _ => ("", "the server rejected our request for an unknown reason"),
    };
    let body = body.trim();
    let message = match reason {
        "Forbidden" => body.to_owned(),
        "InternalError" => {
            format!("an error on the server ({body:?}) has prevented the request from succeeding")
        }
        _ => message.to_owned(),
    };
    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": message})
}

/// The text of a `Warning` header: `299 - "text"`.
fn warning_text(header: &str) -> Option<String> {
    let start = header.find('"')?;
    let end = header.rfind('"').filter(|end| *end > start)?;
    Some(header[start + 1..end].replace("\\\"", "\"").replace("\\\\", "\\"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_without_a_status_is_told_as_upstream_tells_it() {
        let text = |code, body: &str| unknown_status(code, body)["message"].as_str().unwrap().to_owned();
        assert_eq!(
            text(500, "[-]etcd failed\nreadyz check failed\n"),
            r#"an error on the server ("[-]etcd failed\nreadyz check failed") has prevented the request from succeeding"#
        );
        assert_eq!(text(503, "service unavailable"), "the server is currently unable to handle the request");
        assert_eq!(text(403, "no\n"), "no");
    }

    #[tokio::test]
    async fn a_refusal_to_upgrade_is_told_in_the_kubelets_words() {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};

        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = format!("http://{}", listener.local_addr().unwrap());
        let answers = async {
            let (mut peer, _) = listener.accept().await.unwrap();
            let mut read = Vec::new();
            while !read.ends_with(b"\r\n\r\n") {
                read.push(peer.read_u8().await.unwrap());
            }
            let refusal = "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 13\r\n\r\nno such task\n";
            peer.write_all(refusal.as_bytes()).await.unwrap();
        };
        let config = kube::Config::new(server.parse().unwrap());
        let client = Client::new(kube::Client::try_from(config).unwrap(), server.clone(), None);
        let (refused, ()) = tokio::join!(client.websocket("/api/v1/namespaces/a/pods/b/exec"), answers);
        assert_eq!(refused.err().unwrap().to_string(), "unable to upgrade connection: no such task");
    }

    #[test]
    fn query_leaves_out_empty_values_and_escapes_the_rest() {
        assert_eq!(
            with_query("/a", &[("x", ""), ("labelSelector", "a=b,c!=d")]),
            "/a?labelSelector=a%3Db%2Cc%21%3Dd"
        );
        assert_eq!(with_query("/a?x=1", &[("y", "2")]), "/a?x=1&y=2");
    }

    #[test]
    fn warning_header_is_unquoted() {
        assert_eq!(warning_text(r#"299 - "say \"hi\"""#).as_deref(), Some("say \"hi\""));
        assert_eq!(warning_text("299 -"), None);
    }
}
