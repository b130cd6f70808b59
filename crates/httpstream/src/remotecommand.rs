//! A WebSocket's channels made into SPDY's streams: what `exec` and `attach` carry between a client and a command.

use bytes::Bytes;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::spdy::{Closed, Connection, Stream};
use crate::websocket::{Channels, Message};

/// The protocol of SPDY's streams here: the error stream tells the command's end as a `Status`.
pub const PROTOCOL: &str = "v4.channel.k8s.io";

/// The protocol of channels in which a client can say that its input ends (KEP-4006).
pub const CLOSING_PROTOCOL: &str = "v5.channel.k8s.io";

/// The protocols of channels, the best first; the last is a client's that names none.
pub const CHANNEL_PROTOCOLS: [&str; 6] = [
    CLOSING_PROTOCOL,
    "v4.channel.k8s.io",
    "v4.base64.channel.k8s.io",
    "channel.k8s.io",
    "base64.channel.k8s.io",
    "",
];

const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const ERROR: u8 = 3;
const RESIZE: u8 = 4;

/// Which of a command's streams are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// Its standard input.
    pub stdin: bool,
    /// Its standard output.
    pub stdout: bool,
    /// Its standard error; never with a terminal, which has one output.
    pub stderr: bool,
    /// Whether it has a terminal, whose size the client tells.
    pub tty: bool,
}

/// What an error stream said of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It ran to its end, whatever its exit code.
    Ended,
    /// It could not be run, or nobody knows how it ended.
    Failed,
}

impl Verdict {
    /// Reads the `Status` of an error stream. As upstream has it, an exit code is not a failure to run.
    fn of(status: &[u8]) -> Self {
        let status: serde_json::Value = serde_json::from_slice(status).unwrap_or_default();
        match (status["status"].as_str(), status["reason"].as_str()) {
            (Some("Success"), _) | (Some("Failure"), Some("NonZeroExitCode")) => Self::Ended,
            _ => Self::Failed,
        }
    }
}

/// Carries a command's streams between a client's channels and whoever runs it, until it has ended. Returns what was
/// said of it.
pub async fn translate<S>(
    channels: Channels<S>,
    connection: &Connection,
    wanted: Wanted,
) -> Result<Verdict, Closed>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut incoming, outgoing) = channels.split();
    let open = async |kind: &str| connection.open(vec![("streamtype".into(), kind.into())]).await;
    let mut error = open("error").await?;
    let stdin = if wanted.stdin { Some(open("stdin").await?.sender()) } else { None };
    let stdout = if wanted.stdout { Some(open("stdout").await?) } else { None };
    let stderr = if wanted.stderr { Some(open("stderr").await?) } else { None };
    let resize = if wanted.tty { Some(open("resize").await?.sender()) } else { None };

    let input = async {
        while let Some(message) = incoming.next().await {
            let sent = match (message, &stdin, &resize) {
                (Message::Data(STDIN, data), Some(stdin), _) => stdin.write(data).await,
                (Message::Data(RESIZE, data), _, Some(resize)) => resize.write(data).await,
                (Message::Closed(STDIN), Some(stdin), _) => stdin.finish().await,
                (Message::Data(..) | Message::Closed(_), _, _) => Ok(()),
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
    // The error stream ends last; its word is the command's exit.
    let output = async {
        let verdict = async {
            let mut verdict = Vec::new();
            while let Some(data) = error.read().await {
                verdict.extend_from_slice(&data);
            }
            verdict
        };
        let ((), (), verdict) = tokio::join!(copy(STDOUT, stdout), copy(STDERR, stderr), verdict);
        let verdict = match verdict.is_empty() {
            // Whoever runs a command says how it went; without that word nobody knows.
            true => failure("the runtime's stream ended before the command's exit was known"),
            false => verdict.into(),
        };
        let told = Verdict::of(&verdict);
        outgoing.send(ERROR, verdict).await;
        told
    };
    tokio::pin!(output);
    let told = tokio::select! {
        told = &mut output => told,
        // The client is gone: so is its terminal, and the command sees its input end.
        () = input => {
            if !outgoing.is_open() {
                connection.close().await;
            }
            output.await
        }
    };
    outgoing.close().await;
    connection.close().await;
    Ok(told)
}

/// Tells a client that there will be no command, and why.
pub async fn refuse<S>(channels: Channels<S>, why: &str)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (_, outgoing) = channels.split();
    outgoing.send(ERROR, failure(why)).await;
    outgoing.close().await;
}

/// A `Status` as the error stream carries it.
fn failure(message: &str) -> Bytes {
    let status = json!({"metadata": {}, "status": "Failure", "message": message, "reason": "InternalError", "code": 500});
    status.to_string().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exit_code_is_no_failure_to_run() {
        for (status, verdict) in [
            (r#"{"status": "Success"}"#, Verdict::Ended),
            (r#"{"status": "Failure", "reason": "NonZeroExitCode"}"#, Verdict::Ended),
            (r#"{"status": "Failure", "reason": "InternalError", "code": 500}"#, Verdict::Failed),
            (r#"{"status": "Failure"}"#, Verdict::Failed),
            ("no shell", Verdict::Failed),
            ("", Verdict::Failed),
        ] {
            assert_eq!(Verdict::of(status.as_bytes()), verdict, "{status}");
        }
    }
}
