//! `kubectl proxy`: the API server on a local port, with the kubeconfig's credentials.

use std::convert::Infallible;
use std::rc::Rc;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Either, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use kube::client::Body;
use tokio::net::TcpListener;
use tokio::task::LocalSet;

use cli_runtime::cli::{Command, Flag, Invocation};
use cli_runtime::client::Client;
use cli_runtime::error::{Error, Result, go_io_error};
use cli_runtime::resource::Session;

/// Serves the API locally.
pub static COMMAND: Command = Command {
    name: "proxy",
    short: "Run a proxy to the Kubernetes API server",
    long: "Creates a proxy server between localhost and the Kubernetes API server.\n\nRequests are answered only for the local host's names, unless --disable-filter is given; exec and attach are refused.",
    examples: "
# The API on local port 8001
kubectl proxy

# Under a path of its own
kubectl proxy --api-prefix=/k8s-api --port=8011",
    usage: "proxy [--port=PORT] [--api-prefix=prefix]",
    flags: &[FLAGS],
    run: Some(|invocation| Box::pin(run(invocation))),
    ..Command::NONE
};

const FLAGS: &[Flag] = &[
    Flag::text("address", "127.0.0.1", "Local address to listen on."),
    Flag::text("api-prefix", "/", "Path under which the API is served."),
    Flag::switch("append-server-path", "Add the path of the server's URL to requests."),
    Flag::switch("disable-filter", "Answer requests for any host, and for exec and attach."),
    Flag::duration("keepalive", "0s", "Accepted for compatibility."),
    Flag::int("port", "8001", "Local port; 0 takes a free one.").short('p'),
];

async fn run(invocation: Invocation) -> Result<()> {
    let session = Session::open(&invocation).await?;
    let address = invocation.text("address").to_string();
    let port = u16::try_from(invocation.int("port")).map_err(|_| Error::message("invalid port"))?;
    let listener = TcpListener::bind((address.as_str(), port)).await.map_err(|error| {
        Error::message(format!("listen tcp {address}:{port}: bind: {}", go_io_error(&error)))
    })?;
    outln!("Starting to serve on {}", listener.local_addr()?);
    let prefix = invocation.text("api-prefix").trim_end_matches('/').to_string();
    let rules =
        Rc::new(Rules { client: session.client.clone(), prefix, filter: !invocation.is("disable-filter") });
    let local = LocalSet::new();
    let serving = local.run_until(async {
        loop {
            let Ok((stream, _)) = listener.accept().await else { continue };
            let rules = rules.clone();
            // One task for each open connection; they end with the command.
            tokio::task::spawn_local(async move {
                let service = service_fn(move |request| {
                    let rules = rules.clone();
                    async move { Ok::<_, Infallible>(rules.answer(request).await) }
                });
                let _ = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    });
    tokio::select! {
        () = serving => Ok(()),
        _ = tokio::signal::ctrl_c() => Ok(()),
    }
}

struct Rules {
    client: Client,
    prefix: String,
    filter: bool,
}

type Answer = Response<Either<Full<Bytes>, Body>>;

impl Rules {
    async fn answer(&self, request: Request<Incoming>) -> Answer {
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str()).to_string();
        let host =
            request.headers().get(http::header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("");
        if self.filter && !allowed(host, &path) {
            return plain(StatusCode::FORBIDDEN, "Forbidden");
        }
        let Some(path) = path.strip_prefix(self.prefix.as_str()) else {
            return plain(StatusCode::NOT_FOUND, "404 page not found");
        };
        let (parts, body) = request.into_parts();
        let Ok(body) = body.collect().await else {
            return plain(StatusCode::BAD_REQUEST, "the body cannot be read");
        };
        let mut forwarded =
            Request::builder().method(parts.method).uri(if path.is_empty() { "/" } else { path });
        for (name, value) in parts
            .headers
            .iter()
            .filter(|(name, _)| !matches!(name.as_str(), "host" | "connection" | "authorization"))
        {
            forwarded = forwarded.header(name, value);
        }
        let Ok(forwarded) = forwarded.body(body.to_bytes()) else {
            return plain(StatusCode::BAD_REQUEST, "bad request");
        };
        match self.client.forward(forwarded).await {
            Ok(reply) => reply.map(Either::Right),
            Err(error) => plain(StatusCode::BAD_GATEWAY, &error.text()),
        }
    }
}

fn plain(status: StatusCode, text: &str) -> Answer {
    let mut response = Response::new(Either::Left(Full::new(Bytes::copy_from_slice(text.as_bytes()))));
    *response.status_mut() = status;
    response
}

/// Local hosts only, and no shells by a page in a browser.
fn allowed(host: &str, path: &str) -> bool {
    let name = if host.starts_with('[') {
        host.split(']').next().unwrap_or("").trim_start_matches('[')
    } else {
        host.split(':').next().unwrap_or("")
    };
    let path = path.split('?').next().unwrap_or(path);
    let shell = path.starts_with("/api/")
        && path.contains("/pods/")
        && (path.ends_with("/exec") || path.ends_with("/attach"));
    matches!(name, "localhost" | "127.0.0.1" | "::1") && !shell
}

#[cfg(test)]
mod tests {
    use super::allowed;

    #[test]
    fn only_local_hosts_and_no_shells() {
        assert!(allowed("localhost:8001", "/api/v1/pods"));
        assert!(allowed("[::1]:8001", "/version"));
        assert!(!allowed("evil.example", "/api/v1/pods"));
        assert!(!allowed("127.0.0.1", "/api/v1/namespaces/a/pods/b/exec?command=sh"));
    }
}
