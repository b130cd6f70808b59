//! The shell: sockets are bound, watches feed the records, the server answers until it is told to stop.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use component::{Runtime, client, serve};
use parking_lot::RwLock;
use tokio::net::{TcpListener, UdpSocket};
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::forward::Forwarder;
use crate::records::Records;
use crate::server::Server;
use crate::{tcp, udp, watch};

/// How long one name server is waited for.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a connection may be silent.
const IDLE: Duration = Duration::from_secs(8);

/// Starts the server.
pub async fn start(runtime: Runtime, config: Config) -> anyhow::Result<()> {
    let listener =
        TcpListener::bind(config.address).await.map_err(|error| cannot_bind(config.address, &error))?;
    // With port 0, both have the port that the first one got.
    let address = listener.local_addr()?;
    let socket = UdpSocket::bind(address).await.map_err(|error| cannot_bind(address, &error))?;
    for endpoint in config.endpoints {
        serve::serve(&runtime, endpoint, serve::Endpoints::open()).await?;
    }
    let connection = client::Connection {
        kubeconfig: config.kubeconfig.as_deref(),
        master: None,
        user_agent: "cluster-dns",
    };
    let client = client::connect(&connection).await?;
    let records = Arc::new(RwLock::new(Records::default()));
    watch::start(&runtime, &client, &records);

    tracing::info!(%address, domain = %config.zones.domain, upstreams = ?config.upstreams, "answering");
    let server = Server::new(config.zones, records, Forwarder::new(config.upstreams, PATIENCE));
    answer(&runtime, Arc::new(server), socket, listener, config.lameduck);
    Ok(())
}

/// Answers at both sockets until `lameduck` after shutdown.
pub fn answer(
    runtime: &Runtime,
    server: Arc<Server>,
    socket: UdpSocket,
    listener: TcpListener,
    lameduck: Duration,
) {
    let (shutdown, leave) = (runtime.shutdown(), CancellationToken::new());
    // Those who ask learn only after a while that this server is about to go.
    let end = leave.clone();
    runtime.spawn("lame duck", async move {
        shutdown.cancelled().await;
        tokio::time::sleep(lameduck).await;
        end.cancel();
        anyhow::Ok(())
    });
    let serving = udp::serve(runtime.clone(), Arc::clone(&server), Arc::new(socket));
    let stop = leave.clone();
    runtime.spawn("UDP", async move {
        tokio::select! {
            () = serving => {}
            () = stop.cancelled() => {}
        }
        anyhow::Ok(())
    });
    runtime.spawn("TCP", async move {
        tcp::serve(server, listener, IDLE, leave).await;
        anyhow::Ok(())
    });
}

fn cannot_bind(address: SocketAddr, error: &io::Error) -> anyhow::Error {
    let hint = match error.kind() {
        io::ErrorKind::PermissionDenied => {
            ": a port below 1024 needs root, CAP_NET_BIND_SERVICE, or \
             net.ipv4.ip_unprivileged_port_start=0 (containerd: enable_unprivileged_ports = true)"
        }
        io::ErrorKind::AddrInUse => ": another server is there already",
        _ => "",
    };
    anyhow::anyhow!("cannot listen on {address}: {error}{hint}")
}
