//! Exec and attach: the client's streams joined to the runtime's.
//!
//! A SPDY client speaks what the runtime's streaming server speaks, so its bytes go straight through. A WebSocket client
//! is translated: its channels become SPDY streams, because only those can say "no more input" to the runtime.

mod runtime;

use std::sync::Arc;

use bytes::Bytes;
use component::Runtime;
use cri::v1;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Empty};
use hyper::{body::Incoming, upgrade::OnUpgrade};
use hyper_util::rt::TokioIo;
use serde_json::json;

use super::{
    Body,
    query::Query,
    text,
    websocket::{self, Channels, Message},
};
use crate::{
    kubelet::Kubelet,
    observed::State,
    spdy::{self, Stream},
};

/// Whose streams are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    namespace: String,
    pod: String,
    container: String,
}

impl Target {
    /// Reads `namespace/pod/container` or `namespace/pod/uid/container`.
    pub(super) fn parse(parts: &[&str]) -> Option<Self> {
        let (namespace, pod, container) = match parts {
            [namespace, pod, container] | [namespace, pod, _, container] => (namespace, pod, container),
            _ => return None,
        };
        let own = |text: &&str| (*text).to_owned();
        Some(Self { namespace: own(namespace), pod: own(pod), container: own(container) })
    }

    /// Finds the running container. An error is the answer.
    fn find(&self, kubelet: &Kubelet) -> Result<(String, bool, bool), Box<Response<Body>>> {
        let missing = |what: String| Box::new(text(StatusCode::NOT_FOUND, what));
        let Some((pod, state)) = kubelet.pods.by_name(&self.namespace, &self.pod) else {
            return Err(missing("pod does not exist".into()));
        };
        let observed = state.observed.lock();
        let running = observed.latest(&self.container).filter(|latest| latest.state == State::Running);
        let Some(running) = running else {
            return Err(missing(format!("container not found (\"{}\")", self.container)));
        };
        let spec = crate::pod::container(&pod, &self.container).map(|(_, container)| container);
        let tty = spec.as_ref().and_then(|spec| spec.tty).unwrap_or_default();
        let stdin = spec.as_ref().and_then(|spec| spec.stdin).unwrap_or_default();
        Ok((running.id.clone(), tty, stdin))
    }
}

/// Which streams are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Wanted {
    stdin: bool,
    stdout: bool,
    stderr: bool,
    tty: bool,
}

impl Wanted {
    /// Reads the kubelet's names of the parameters, and the API's.
    fn parse(query: &Query) -> Self {
        let tty = query.is("tty");
        Self {
            stdin: query.is("input") || query.is("stdin"),
            stdout: query.is("output") || query.is("stdout"),
            // A terminal has one output.
            stderr: !tty && (query.is("error") || query.is("stderr")),
            tty,
        }
    }
}

/// Serves exec or attach.
pub(super) async fn serve(
    kubelet: &Arc<Kubelet>,
    request: Request<Incoming>,
    target: &Target,
    query: &Query,
    attach: bool,
) -> Response<Body> {
    let (id, tty, _) = match target.find(kubelet) {
        Ok(found) => found,
        Err(answer) => return *answer,
    };
    let mut wanted = Wanted::parse(query);
    if attach {
        wanted.tty = tty;
        wanted.stderr &= !tty;
    }
    if !(wanted.stdin || wanted.stdout || wanted.stderr) {
        return text(StatusCode::BAD_REQUEST, "you must specify at least 1 of stdin, stdout, stderr");
    }
    let url = match attach {
        true => {
            let Wanted { stdin, stdout, stderr, tty } = wanted;
            let audit_request_id = String::new();
            kubelet
                .runtime
                .attach(v1::AttachRequest { container_id: id, stdin, tty, stdout, stderr, audit_request_id })
                .await
        }
        false => {
            let Wanted { stdin, stdout, stderr, tty } = wanted;
            let cmd = query.all("command");
            let audit_request_id = String::new();
            let request =
                v1::ExecRequest { container_id: id, cmd, tty, stdin, stdout, stderr, audit_request_id };
            kubelet.runtime.exec(request).await
        }
    };
    let url = match url {
        Ok(url) => url,
        Err(error) => return text(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    };
    if websocket::is_upgrade(request.headers()) {
        return over_websocket(kubelet, request, &url, wanted);
    }
    let upgrade = request.headers().get(header::UPGRADE).and_then(|value| value.to_str().ok());
    if upgrade.is_some_and(|upgrade| upgrade.eq_ignore_ascii_case(spdy::UPGRADE)) {
        return through(kubelet, request, &url).await;
    }
    text(StatusCode::BAD_REQUEST, "Upgrade request required")
}

/// Runs a command to its end and answers with what it wrote.
pub(super) async fn run(kubelet: &Arc<Kubelet>, target: &Target, query: &Query) -> Response<Body> {
    let id = match target.find(kubelet) {
        Ok((id, ..)) => id,
        Err(answer) => return *answer,
    };
    let command = query.get("cmd").unwrap_or_default().split_whitespace().map(str::to_owned).collect();
    match kubelet.runtime.exec_sync(&id, command, 0).await {
        Ok(answer) if answer.exit_code == 0 => text(StatusCode::OK, [answer.stdout, answer.stderr].concat()),
        Ok(answer) => {
            let code = answer.exit_code;
            let output = [answer.stdout, answer.stderr].concat();
            let why = format!("command exited with {code}: {}", String::from_utf8_lossy(&output));
            text(StatusCode::INTERNAL_SERVER_ERROR, why)
        }
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

/// Joins a SPDY client's connection to the runtime's.
async fn through(kubelet: &Arc<Kubelet>, mut request: Request<Incoming>, url: &str) -> Response<Body> {
    let protocols: Vec<&str> = request
        .headers()
        .get_all("x-stream-protocol-version")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .collect();
    let upstream = match runtime::upgrade(&kubelet.process, url, &protocols).await {
        Ok(upstream) => upstream,
        Err(error) => return text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}")),
    };
    let mut response = switching();
    response.headers_mut().insert(header::UPGRADE, HeaderValue::from_static(spdy::UPGRADE));
    if let Some(protocol) = upstream.protocol {
        response.headers_mut().insert("x-stream-protocol-version", protocol);
    }
    let (client, mut upstream) = (hyper::upgrade::on(&mut request), upstream.io);
    kubelet.spawn(async move {
        match client.await {
            Ok(client) => {
                // Either end may go first; what was on its way still goes out.
                let _ = tokio::io::copy_bidirectional(&mut TokioIo::new(client), &mut upstream).await;
            }
            Err(error) => tracing::debug!(%error, "a client did not take up its streams"),
        }
    });
    response
}

/// The answer that begins an upgraded connection.
pub(super) fn switching() -> Response<Body> {
    let mut response = Response::new(Empty::<Bytes>::new().map_err(|never| match never {}).boxed());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    response
}

fn over_websocket(
    kubelet: &Arc<Kubelet>,
    mut request: Request<Incoming>,
    url: &str,
    wanted: Wanted,
) -> Response<Body> {
    let (response, protocol) = match websocket::accept(request.headers(), &websocket::CHANNEL_PROTOCOLS) {
        Ok(accepted) => accepted,
        Err(answer) => return *answer,
    };
    let process = kubelet.process.clone();
    let (client, url): (OnUpgrade, String) = (hyper::upgrade::on(&mut request), url.to_owned());
    kubelet.spawn(async move {
        let client = match client.await {
            Ok(client) => client,
            Err(error) => {
                tracing::debug!(%error, "a client did not take up its streams");
                return;
            }
        };
        let channels = Channels::new(TokioIo::new(client), protocol).await;
        if let Err(error) = translate(&process, channels, &url, wanted).await {
            tracing::debug!("streaming: {error:#}");
        }
    });
    response
}

const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const ERROR: u8 = 3;
const RESIZE: u8 = 4;

/// Pumps between a WebSocket client's channels and the runtime's SPDY streams until the command has ended.
async fn translate(process: &Runtime, channels: Channels, url: &str, wanted: Wanted) -> anyhow::Result<()> {
    let (mut incoming, outgoing) = channels.split();
    let upstream = match runtime::upgrade(process, url, &["v4.channel.k8s.io"]).await {
        Ok(upstream) => upstream,
        Err(error) => {
            let status = json!({"metadata": {}, "status": "Failure", "message": format!("{error:#}"), "reason": "InternalError", "code": 500});
            outgoing.send(ERROR, status.to_string().into_bytes().into()).await;
            outgoing.close().await;
            return Err(error);
        }
    };
    let (connection, _) = spdy::Connection::start(process, upstream.io, true);
    let open = async |kind: &str| connection.open(vec![("streamtype".into(), kind.into())]).await;
    let mut error = open("error").await?;
    let stdin = if wanted.stdin { Some(open("stdin").await?.sender()) } else { None };
    let stdout = if wanted.stdout { Some(open("stdout").await?) } else { None };
    let stderr = if wanted.stderr { Some(open("stderr").await?) } else { None };
    let resize = if wanted.tty { Some(open("resize").await?.sender()) } else { None };

    let input = async {
        while let Some(message) = incoming.next().await {
            let sent = match message {
                Message::Data(STDIN, data) => match &stdin {
                    Some(stdin) => stdin.write(data).await,
                    None => Ok(()),
                },
                Message::Data(RESIZE, data) => match &resize {
                    Some(resize) => resize.write(data).await,
                    None => Ok(()),
                },
                Message::Closed(STDIN) => match &stdin {
                    Some(stdin) => stdin.finish().await,
                    None => Ok(()),
                },
                Message::Data(..) | Message::Closed(_) => Ok(()),
            };
            if sent.is_err() {
                break;
            }
        }
    };
    let copy = async |channel: u8, stream: Option<Stream>| {
        if let Some(mut stream) = stream {
            while let Some(data) = stream.read().await {
                outgoing.send(channel, data).await;
            }
        }
    };
    // The runtime ends the error stream last; its word is the command's exit.
    let output = async {
        let verdict = async {
            let mut verdict = Vec::new();
            while let Some(data) = error.read().await {
                verdict.extend_from_slice(&data);
            }
            verdict
        };
        let ((), (), verdict) = tokio::join!(copy(STDOUT, stdout), copy(STDERR, stderr), verdict);
        let verdict = if verdict.is_empty() {
            // The runtime always says how it went; without its word nobody knows.
            let why = "the runtime's stream ended before the command's exit was known";
            let status = json!({"metadata": {}, "status": "Failure", "message": why, "reason": "InternalError", "code": 500});
            status.to_string().into_bytes()
        } else {
            verdict
        };
        outgoing.send(ERROR, verdict.into()).await;
    };
    tokio::pin!(output);
    tokio::select! {
        () = &mut output => {}
        // The client is gone: so is its terminal, and the command sees its input end.
        () = input => {
            if !outgoing.is_open() {
                connection.close().await;
            }
            output.await;
        }
    }
    outgoing.close().await;
    connection.close().await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_may_carry_the_uid() {
        let target = Target::parse(&["n", "p", "c"]).unwrap();
        assert_eq!(Target::parse(&["n", "p", "uid", "c"]), Some(target));
        assert_eq!(Target::parse(&["n", "p"]), None);
    }

    #[test]
    fn a_terminal_has_one_output() {
        let wanted = |query: &str| Wanted::parse(&Query::parse(query));
        assert!(!wanted("stdout=true&stderr=true&tty=true").stderr);
        assert_eq!(wanted("input=1&output=1&error=1"), wanted("stdin=true&stdout=true&stderr=true"));
    }
}
