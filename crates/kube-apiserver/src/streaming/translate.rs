//! What a WebSocket's client says, told in SPDY to a kubelet that knows nothing newer.

use std::time::Duration;

use http::header::{HOST, HeaderMap, HeaderValue};
use http::{Method, StatusCode};
use httpstream::portforward;
use httpstream::remotecommand::{self, CLOSING_PROTOCOL, Verdict, Wanted};
use httpstream::spdy::{self, Connection, End};
use httpstream::websocket::{self, Channels, Refused};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;

use super::backend::{BackendError, Dialer, Target};
use super::{
    counted, forward,
    tunnel::{self, Asked},
};
use crate::http::Response;

/// How often a kubelet is pinged while a command runs, as upstream's translator does. A tunnel's SPDY is the client's, and
/// so are its pings.
const PING: Duration = Duration::from_secs(5);

/// What has to be made of a client's messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Translation {
    /// A command's channels become streams.
    Command(Wanted),
    /// SPDY's bytes leave their messages.
    PortForward,
}

impl Translation {
    /// The subprotocol that kubelets before 1.36 may not know: the one that only upstream's API server spoke.
    fn protocol(self) -> &'static str {
        match self {
            Self::Command(_) => CLOSING_PROTOCOL,
            Self::PortForward => portforward::TUNNEL,
        }
    }

    /// The protocol of the streams that a kubelet is offered instead.
    fn of_streams(self) -> &'static str {
        match self {
            Self::Command(_) => remotecommand::PROTOCOL,
            Self::PortForward => portforward::PROTOCOL,
        }
    }

    /// Whether there is something to translate: the client offers the protocol, and the kubelet's answer is that of one
    /// that does not know it. Other refusals would be the same over SPDY.
    pub(super) fn helps(self, asked: &HeaderMap, answer: StatusCode) -> bool {
        matches!(answer, StatusCode::BAD_REQUEST | StatusCode::FORBIDDEN)
            && httpstream::asks_for(asked, websocket::UPGRADE)
            && websocket::offered(asked).any(|offered| offered == self.protocol())
    }

    /// Asks the kubelet for SPDY. If it switches to it, the client's WebSocket is accepted and translated in the
    /// background; any other answer is passed on.
    pub(super) async fn serve(
        self,
        dialer: &Dialer,
        target: &Target,
        path: &str,
        asked: Asked,
    ) -> Result<Response, BackendError> {
        let accepted = match websocket::accept(&asked.headers, self.protocol()) {
            Ok(accepted) => accepted,
            Err(Refused { status, message }) => {
                self.count(status);
                return Ok(crate::http::response::text(status, message));
            }
        };
        let mut headers = spdy::switching(Some(HeaderValue::from_static(self.of_streams())));
        headers.extend(asked.headers.get(HOST).map(|host| (HOST, host.clone())));
        let answer = tunnel::send(dialer, target, Method::POST, path, headers).await;
        let mut answer = answer.inspect_err(|_| self.count(StatusCode::INTERNAL_SERVER_ERROR))?;
        if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
            self.count_refusal(answer.status());
            return Ok(forward::answer(answer));
        }
        if self == Self::PortForward {
            self.count(StatusCode::SWITCHING_PROTOCOLS);
        }
        let backend = hyper::upgrade::on(&mut answer);
        let drivers = dialer.clone();
        Ok(tunnel::switched(dialer, asked.client, backend, accepted, move |client, backend| {
            self.carry(drivers, client, backend)
        }))
    }

    fn count(self, code: StatusCode) {
        match self {
            Self::Command(_) => counted::command(code),
            Self::PortForward => counted::tunnel(code),
        }
    }

    /// Counts a kubelet's refusal: to upstream's translator that is an error of its own, while a tunnel passes it on.
    fn count_refusal(self, code: StatusCode) {
        match self {
            Self::Command(_) => counted::command(StatusCode::INTERNAL_SERVER_ERROR),
            Self::PortForward => counted::tunnel(code),
        }
    }

    async fn carry(self, dialer: Dialer, client: TokioIo<Upgraded>, backend: TokioIo<Upgraded>) {
        match self {
            Self::Command(wanted) => {
                let (connection, _, driver) = Connection::new(backend, End::Client);
                dialer.spawn(driver);
                let channels = Channels::new(client, self.protocol()).await;
                let translated = remotecommand::translate(channels, &connection, wanted);
                tokio::pin!(translated);
                let verdict = tokio::select! {
                    verdict = &mut translated => verdict,
                    () = connection.ping(PING) => translated.await,
                };
                self.count(match verdict {
                    Ok(Verdict::Ended) => StatusCode::OK,
                    Ok(Verdict::Failed) => StatusCode::INTERNAL_SERVER_ERROR,
                    Err(error) => {
                        tracing::debug!(%error, "translating to SPDY");
                        StatusCode::INTERNAL_SERVER_ERROR
                    }
                });
            }
            Self::PortForward => websocket::carry(websocket::accepted(client).await, backend).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use http::header::{CONNECTION, SEC_WEBSOCKET_PROTOCOL, UPGRADE};

    use super::*;

    #[test]
    fn what_only_upstreams_server_spoke_is_translated() {
        let command = Translation::Command(Wanted { stdin: true, stdout: true, stderr: false, tty: false });
        let forward = Translation::PortForward;
        let (refused, missing) = (StatusCode::FORBIDDEN, StatusCode::NOT_FOUND);
        for (translation, upgrade, offered, answer, helps) in [
            (command, "websocket", "v5.channel.k8s.io, v4.channel.k8s.io", refused, true),
            (command, "websocket", "v5.channel.k8s.io", StatusCode::BAD_REQUEST, true),
            (command, "websocket", "v5.channel.k8s.io", missing, false),
            (command, "websocket", "v4.channel.k8s.io", refused, false),
            (command, "SPDY/3.1", "v5.channel.k8s.io", refused, false),
            (forward, "websocket", "SPDY/3.1+portforward.k8s.io", refused, true),
            (forward, "websocket", "v4.channel.k8s.io", refused, false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
            headers.insert(UPGRADE, HeaderValue::from_static(upgrade));
            headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(offered));
            assert_eq!(
                translation.helps(&headers, answer),
                helps,
                "{translation:?} {upgrade} {offered} {answer}"
            );
        }
    }
}
