//! One check of a container: a command, an HTTP request, a connection or a gRPC health call.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use cri::Runtime;
use http::{Request, Uri, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::rt::TokioIo;
use k8s_openapi::{
    api::core::v1::{Container, HTTPGetAction, Probe},
    apimachinery::pkg::util::intstr::IntOrString,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};

mod grpc;

/// How much of an answer is read and shown; upstream reads 10 KiB.
const ANSWER: usize = 10 << 10;
const USER_AGENT: &str = "kube-probe/1.36";

/// What is checked.
pub struct Target<'a> {
    /// Where commands run.
    pub runtime: &'a dyn Runtime,
    /// The container.
    pub container_id: &'a str,
    /// Its spec, for named ports.
    pub container: &'a Container,
    /// The pod's address.
    pub ip: &'a str,
}

/// A check that did not pass.
#[derive(Debug, PartialEq, Eq)]
pub struct Failure {
    /// Whether the check could not be carried out at all.
    pub errored: bool,
    /// What to show.
    pub message: String,
}

fn failed<T>(message: impl Into<String>) -> Result<T, Failure> {
    Err(Failure { errored: false, message: message.into() })
}

fn errored<T>(message: impl Into<String>) -> Result<T, Failure> {
    Err(Failure { errored: true, message: message.into() })
}

/// Carries out a probe once.
pub async fn run(probe: &Probe, target: &Target<'_>, timeout: Duration) -> Result<(), Failure> {
    if let Some(exec) = &probe.exec {
        return command(target, exec.command.clone().unwrap_or_default(), timeout).await;
    }
    let check = async {
        if let Some(get) = &probe.http_get {
            let status = http_get(get, target).await?;
            return match (200..400).contains(&status) {
                true => Ok(()),
                false => failed(format!("HTTP probe failed with statuscode: {status}")),
            };
        }
        if let Some(socket) = &probe.tcp_socket {
            let Some(port) = port(&socket.port, target.container) else {
                return errored("couldn't find port");
            };
            let host = socket.host.as_deref().filter(|host| !host.is_empty()).unwrap_or(target.ip);
            return connect(host, port).await.map(drop);
        }
        if let Some(action) = &probe.grpc {
            return grpc::check(target.ip, action.port, action.service.as_deref().unwrap_or_default()).await;
        }
        errored("missing probe handler")
    };
    match tokio::time::timeout(timeout, check).await {
        Ok(result) => result,
        Err(_) => failed("context deadline exceeded (Client.Timeout exceeded while awaiting headers)"),
    }
}

async fn command(target: &Target<'_>, command: Vec<String>, timeout: Duration) -> Result<(), Failure> {
    let seconds = i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX).max(1);
    match target.runtime.exec_sync(target.container_id, command.clone(), seconds).await {
        Ok(answer) if answer.exit_code == 0 => Ok(()),
        Ok(answer) => {
            let output = [answer.stdout, answer.stderr].concat();
            let shown = output.get(..ANSWER).unwrap_or(&output);
            failed(String::from_utf8_lossy(shown).into_owned())
        }
        Err(cri::Error::DeadlineExceeded(_)) => failed(format!(
            "command timed out: {:?} timed out after {}s",
            command.join(" "),
            timeout.as_secs()
        )),
        Err(error) => errored(error.to_string()),
    }
}

/// Finds a port by number or by name.
pub fn port(port: &IntOrString, container: &Container) -> Option<u16> {
    let number = match port {
        IntOrString::Int(number) => *number,
        IntOrString::String(name) => {
            let ports = container.ports.iter().flatten();
            match ports.into_iter().find(|port| port.name.as_deref() == Some(name)) {
                Some(port) => port.container_port,
                None => name.parse().ok()?,
            }
        }
    };
    u16::try_from(number).ok().filter(|port| *port > 0)
}

async fn connect(host: &str, port: u16) -> Result<TcpStream, Failure> {
    match TcpStream::connect((host.trim_matches(['[', ']']), port)).await {
        Ok(stream) => Ok(stream),
        Err(error) => {
            let why = match error.kind() {
                std::io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
                _ => error.to_string(),
            };
            failed(format!("dial tcp {}:{port}: connect: {why}", bracketed(host)))
        }
    }
}

fn bracketed(host: &str) -> String {
    if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host.to_owned() }
}

/// Makes an HTTP request; the answer is its status. Redirects to the same host are followed, others count as good.
pub async fn http_get(get: &HTTPGetAction, target: &Target<'_>) -> Result<u16, Failure> {
    let Some(port) = port(&get.port, target.container) else { return errored("couldn't find port") };
    let host = get.host.as_deref().filter(|host| !host.is_empty()).unwrap_or(target.ip).to_owned();
    let tls = get.scheme.as_deref().is_some_and(|scheme| scheme.eq_ignore_ascii_case("HTTPS"));
    let path = get.path.as_deref().unwrap_or("/");
    let mut path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    // Ten hops, as Go's client.
    for _ in 0..10 {
        let (status, location) = request(get, &host, port, tls, &path).await?;
        let next = location
            .filter(|_| (300..400).contains(&status))
            .and_then(|location| location.parse::<Uri>().ok());
        match next {
            Some(next) if next.host().is_none_or(|name| name == host) => {
                path = next.path_and_query().map_or_else(|| "/".to_owned(), |path| path.as_str().to_owned());
            }
            _ => return Ok(status),
        }
    }
    failed("stopped after 10 redirects")
}

async fn request(
    get: &HTTPGetAction,
    host: &str,
    port: u16,
    tls: bool,
    path: &str,
) -> Result<(u16, Option<String>), Failure> {
    let scheme = if tls { "https" } else { "http" };
    let url = format!("{scheme}://{}:{port}{path}", bracketed(host));
    let wrap = |why: String| Failure { errored: false, message: format!("Get {url:?}: {why}") };
    let mut request = Request::get(path)
        .header(header::USER_AGENT, USER_AGENT)
        .header(header::ACCEPT, "*/*")
        .header(header::CONNECTION, "close");
    let mut has_host = false;
    for own in get.http_headers.iter().flatten() {
        has_host |= own.name.eq_ignore_ascii_case("host");
        request = request.header(own.name.as_str(), own.value.as_str());
    }
    if !has_host {
        request = request.header(header::HOST, format!("{}:{port}", bracketed(host)));
    }
    let request = request.body(Empty::<Bytes>::new()).map_err(|error| wrap(error.to_string()))?;
    let stream = connect(host, port).await.map_err(|failure| wrap(failure.message))?;
    if !tls {
        return exchange(stream, request).await.map_err(wrap);
    }
    let name =
        rustls::pki_types::ServerName::try_from(host.to_owned()).map_err(|error| wrap(error.to_string()))?;
    let stream = tokio_rustls::TlsConnector::from(unverified())
        .connect(name, stream)
        .await
        .map_err(|error| wrap(error.to_string()))?;
    exchange(stream, request).await.map_err(wrap)
}

async fn exchange<S>(stream: S, request: Request<Empty<Bytes>>) -> Result<(u16, Option<String>), String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| error.to_string())?;
    let answer = async {
        let answer = sender.send_request(request).await.map_err(|error| error.to_string())?;
        let status = answer.status().as_u16();
        let location =
            answer.headers().get(header::LOCATION).and_then(|value| value.to_str().ok()).map(str::to_owned);
        // The body is read so that the server does not see a broken connection; what is too long is left.
        let _ = Limited::new(answer.into_body(), ANSWER).collect().await;
        Ok((status, location))
    };
    tokio::pin!(answer);
    tokio::select! {
        answer = &mut answer => answer,
        _ = connection => answer.await,
    }
}

/// Probes do not check the certificate: the pod's address is in none.
fn unverified() -> Arc<rustls::ClientConfig> {
    static CONFIG: std::sync::OnceLock<Arc<rustls::ClientConfig>> = std::sync::OnceLock::new();
    Arc::clone(CONFIG.get_or_init(|| {
        let config = pki::client_config(pki::Trust::anybody(), None);
        Arc::new(config.expect("ring serves the default TLS versions"))
    }))
}

#[cfg(test)]
mod tests {
    use cri::fake::FakeRuntime;
    use serde_json::{Value, json};
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;

    async fn check(probe: Value, runtime: &FakeRuntime) -> Result<(), Failure> {
        let container: Container =
            serde_json::from_value(json!({"name": "c", "ports": [{"name": "web", "containerPort": 80}]}))
                .unwrap();
        let probe: Probe = serde_json::from_value(probe).unwrap();
        let target = Target { runtime, container_id: "c", container: &container, ip: "127.0.0.1" };
        run(&probe, &target, Duration::from_secs(5)).await
    }

    /// Serves each connection one fixed answer.
    async fn serve(answer: &'static str) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        component::Runtime::detached().spawn_transient(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = [0; 1024];
                let _ = stream.read(&mut request).await;
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        port
    }

    #[tokio::test]
    async fn http_passes_from_200_to_399() {
        let runtime = FakeRuntime::default();
        for (answer, expected) in [
            ("HTTP/1.1 204 No Content\r\n\r\n", Ok(())),
            ("HTTP/1.1 302 Found\r\nlocation: http://elsewhere/\r\ncontent-length: 0\r\n\r\n", Ok(())),
            (
                "HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n",
                failed("HTTP probe failed with statuscode: 500"),
            ),
        ] {
            let port = serve(answer).await;
            assert_eq!(check(json!({"httpGet": {"port": port, "path": "x"}}), &runtime).await, expected);
        }
    }

    #[tokio::test]
    async fn a_closed_port_fails_in_gos_words() {
        let runtime = FakeRuntime::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(check(json!({"tcpSocket": {"port": port}}), &runtime).await, Ok(()));
        drop(listener);
        let expected = format!("dial tcp 127.0.0.1:{port}: connect: connection refused");
        assert_eq!(check(json!({"tcpSocket": {"port": port}}), &runtime).await, failed(expected.clone()));
        let expected = format!("Get \"http://127.0.0.1:{port}/\": {expected}");
        assert_eq!(check(json!({"httpGet": {"port": port}}), &runtime).await, failed(expected));
    }

    #[tokio::test]
    async fn a_command_passes_with_exit_code_0() {
        let runtime = FakeRuntime::default();
        runtime.state().exec_exit_codes.insert("false".into(), 1);
        assert_eq!(check(json!({"exec": {"command": ["true"]}}), &runtime).await, Ok(()));
        assert_eq!(check(json!({"exec": {"command": ["false"]}}), &runtime).await, failed(""));
    }

    #[test]
    fn ports_by_name() {
        let container: Container =
            serde_json::from_value(json!({"name": "c", "ports": [{"name": "web", "containerPort": 80}]}))
                .unwrap();
        assert_eq!(port(&IntOrString::String("web".into()), &container), Some(80));
        assert_eq!(port(&IntOrString::String("9".into()), &container), Some(9));
        assert_eq!(port(&IntOrString::String("nope".into()), &container), None);
        assert_eq!(port(&IntOrString::Int(70_000), &container), None);
    }
}
