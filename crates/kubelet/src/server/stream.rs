//! Exec and attach: the client's streams joined to the runtime's.
//!
//! A SPDY client speaks what the runtime's streaming server speaks, so its bytes go straight through. A WebSocket client
//! is translated: its channels become SPDY streams, because only those can say "no more input" to the runtime.

mod runtime;

use std::sync::Arc;

use bytes::Bytes;
use component::Runtime;
use cri::v1;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use httpstream::{
    PROTOCOL_VERSION,
    remotecommand::{self, CHANNEL_PROTOCOLS, Wanted},
    spdy::{self, End},
    websocket::{self, Channels},
};
use hyper::{
    body::Incoming,
    upgrade::{OnUpgrade, Upgraded},
};
use hyper_util::rt::TokioIo;

use super::{Body, query::Query, text};
use crate::{kubelet::Kubelet, observed::State};

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

/// Reads which streams are asked for, by the kubelet's names of the parameters and by the API's.
fn wanted(query: &Query) -> Wanted {
    let tty = query.is("tty");
    Wanted {
        stdin: query.is("input") || query.is("stdin"),
        stdout: query.is("output") || query.is("stdout"),
        // A terminal has one output.
        stderr: !tty && (query.is("error") || query.is("stderr")),
        tty,
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
    let mut wanted = wanted(query);
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
    if httpstream::asks_for(request.headers(), websocket::UPGRADE) {
        return over_websocket(kubelet, request, &url, wanted);
    }
    if httpstream::asks_for(request.headers(), spdy::UPGRADE) {
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
    let protocols: Vec<&str> = httpstream::listed(request.headers(), PROTOCOL_VERSION).collect();
    let upstream = match runtime::upgrade(&kubelet.process, url, &protocols).await {
        Ok(upstream) => upstream,
        Err(error) => return text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}")),
    };
    let response = switching(spdy::switching(upstream.protocol));
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
pub(super) fn switching(headers: HeaderMap) -> Response<Body> {
    let mut response = Response::new(Empty::<Bytes>::new().map_err(|never| match never {}).boxed());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    *response.headers_mut() = headers;
    response
}

/// The handshake of a WebSocket in one of these protocols: the answer, and the protocol chosen.
pub(super) fn accept(
    headers: &HeaderMap,
    served: &[&'static str],
) -> Result<(Response<Body>, &'static str), Box<Response<Body>>> {
    let accepted = websocket::choose(headers, served)
        .and_then(|protocol| Ok((switching(websocket::accept(headers, protocol)?), protocol)));
    accepted.map_err(|refused| Box::new(text(refused.status, refused.message)))
}

fn over_websocket(
    kubelet: &Arc<Kubelet>,
    mut request: Request<Incoming>,
    url: &str,
    wanted: Wanted,
) -> Response<Body> {
    let (response, protocol) = match accept(request.headers(), &CHANNEL_PROTOCOLS) {
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

/// Joins a client's channels to the runtime's streams.
async fn translate(
    process: &Runtime,
    channels: Channels<TokioIo<Upgraded>>,
    url: &str,
    wanted: Wanted,
) -> anyhow::Result<()> {
    let upstream = match runtime::upgrade(process, url, &[remotecommand::PROTOCOL]).await {
        Ok(upstream) => upstream,
        Err(error) => {
            remotecommand::refuse(channels, &format!("{error:#}")).await;
            return Err(error);
        }
    };
    let (connection, _, driver) = spdy::Connection::new(upstream.io, End::Client);
    process.spawn_session(driver);
    remotecommand::translate(channels, &connection, wanted).await?;
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
        let wanted = |query: &str| wanted(&Query::parse(query));
        assert!(!wanted("stdout=true&stderr=true&tty=true").stderr);
        assert_eq!(wanted("input=1&output=1&error=1"), wanted("stdin=true&stdout=true&stderr=true"));
    }
}
