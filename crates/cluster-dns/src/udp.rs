//! Requests in packets.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use component::Runtime;
use tokio::net::UdpSocket;

use crate::message::Transport;
use crate::server::{Server, Step};

/// Larger packets are cut short, and what is left of them is refused: no question needs as much.
const LARGEST: usize = 4096;

/// Answers packets for as long as it is polled.
pub async fn serve(runtime: Runtime, server: Arc<Server>, socket: Arc<UdpSocket>) {
    let mut packet = vec![0; LARGEST];
    loop {
        let (length, peer) = match socket.recv_from(&mut packet).await {
            Ok(received) => received,
            Err(error) => {
                tracing::warn!(%error, "cannot receive");
                tokio::time::sleep(Duration::from_millis(10)).await;
                continue;
            }
        };
        match server.begin(&packet[..length], peer.ip(), Transport::Udp) {
            Step::Silence => {}
            Step::Reply(reply) => send(&socket, &reply, peer).await,
            // Bounded by the forwarder's slots.
            Step::Pending(pending) => {
                let (server, socket) = (Arc::clone(&server), Arc::clone(&socket));
                runtime.spawn_transient(async move {
                    let reply = server.finish(pending).await;
                    send(&socket, &reply, peer).await;
                });
            }
        }
    }
}

async fn send(socket: &UdpSocket, reply: &[u8], peer: SocketAddr) {
    if let Err(error) = socket.send_to(reply, peer).await {
        tracing::debug!(%error, %peer, "cannot send");
    }
}
