//! Brings the API server to a loopback port of the host: listens in the host's network, connects in the fabric's.

use std::{
    fs::File,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::Path,
};

use anyhow::Context as _;
use nix::sched::{CloneFlags, setns};
use tokio::{io::copy_bidirectional, net::TcpStream};

/// Listens on 127.0.0.1:`port` and forwards each connection to `target` as seen from the namespace. Never returns
/// unless it cannot start.
pub fn run(port: u16, namespace: &Path, target: SocketAddr) -> anyhow::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .with_context(|| format!("listening on 127.0.0.1:{port}; is another cluster using it?"))?;
    listener.set_nonblocking(true)?;
    let file = File::open(namespace).with_context(|| format!("opening {}", namespace.display()))?;
    // Before any other thread exists, so that all of them are made in the fabric.
    setns(file, CloneFlags::CLONE_NEWNET).context("entering the fabric")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async move {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        loop {
            let Ok((mut near, _)) = listener.accept().await else { continue };
            tokio::spawn(async move {
                // A connection that breaks is the client's to notice; the forwarder goes on.
                if let Ok(mut far) = TcpStream::connect(target).await {
                    let _ = near.set_nodelay(true);
                    let _ = far.set_nodelay(true);
                    let _ = copy_bidirectional(&mut near, &mut far).await;
                }
            });
        }
    })
}
