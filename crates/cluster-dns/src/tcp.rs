//! Requests on connections: two octets of length before each message.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use component::accept::{Limits, accept};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::message::Transport;
use crate::server::{Server, Step};

/// Connections at once; more wait in the kernel's queue.
const CONNECTIONS: usize = 128;
/// Larger messages end the connection: no question needs as much.
const LARGEST: u16 = 4096;

/// Answers connections until `stop`. One that is silent for `idle` is closed.
pub async fn serve(server: Arc<Server>, listener: TcpListener, idle: Duration, stop: CancellationToken) {
    // What is being answered may still be answered; what is idle must not hold up the end.
    let limits = Limits { connections: CONNECTIONS, drain: idle };
    accept(listener, limits, stop, |stream, peer| {
        let server = Arc::clone(&server);
        async move {
            if let Err(error) = connection(stream, peer, &server, idle).await {
                tracing::debug!(%error, %peer, "connection");
            }
        }
    })
    .await;
}

async fn connection(
    mut stream: TcpStream,
    peer: SocketAddr,
    server: &Server,
    idle: Duration,
) -> io::Result<()> {
    loop {
        // A message must be whole in time, not only begun.
        let message = timeout(idle, read(&mut stream)).await.map_err(|_| io::ErrorKind::TimedOut)??;
        let Some(message) = message else { return Ok(()) };
        let reply = match server.begin(&message, peer.ip(), Transport::Tcp) {
            Step::Silence => return Ok(()),
            Step::Reply(reply) => reply,
            Step::Pending(pending) => server.finish(pending).await,
        };
        let Ok(length) = u16::try_from(reply.len()) else { return Ok(()) };
        let framed = [&length.to_be_bytes(), &*reply].concat();
        timeout(idle, stream.write_all(&framed)).await.map_err(|_| io::ErrorKind::TimedOut)??;
    }
}

/// Reads one message; none at the end of the connection, or when it is too large.
async fn read(stream: &mut TcpStream) -> io::Result<Option<Vec<u8>>> {
    let length = match stream.read_u16().await {
        Ok(length) if length <= LARGEST => length,
        Ok(_) => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut message = vec![0; length.into()];
    stream.read_exact(&mut message).await?;
    Ok(Some(message))
}
