//! Brings the API server to a loopback port of the host: listens in the host's network, connects in the fabric's.
//!
//! While nobody listens at the API server's port, nobody does at this one: a client is refused here as it is there.

use std::{
    fs::File,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    os::fd::AsRawFd as _,
    path::Path,
    time::Duration,
};

use anyhow::Context as _;
use nix::{
    sched::{CloneFlags, setns},
    sys::socket::{Backlog, Shutdown, listen, shutdown},
};
use tokio::{
    io::{AsyncReadExt as _, copy_bidirectional},
    net::TcpStream,
};

/// How often an API server that is away is looked for.
const LOOK: Duration = Duration::from_millis(100);

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
    runtime.block_on(forward(listener, target))
}

async fn forward(listener: TcpListener, target: SocketAddr) -> anyhow::Result<()> {
    let mut door = Door::new(listener)?;
    loop {
        // Held without a word: its end is the first sign that the server is gone.
        match TcpStream::connect(target).await {
            Ok(held) => {
                door.open()?;
                serve(&door, target, held).await;
            }
            Err(_) => {
                door.shut()?;
                tokio::time::sleep(LOOK).await;
            }
        }
    }
}

/// Forwards until the held connection ends. A server also ends it when it has waited for a greeting for too long.
async fn serve(door: &Door, target: SocketAddr, mut held: TcpStream) {
    let Some(listener) = &door.open else { return };
    let mut nothing = [0; 1];
    loop {
        let mut near = tokio::select! {
            _ = held.read(&mut nothing) => return,
            accepted = listener.accept() => match accepted {
                Ok((near, _)) => near,
                Err(_) => continue,
            },
        };
        tokio::spawn(async move {
            // A connection that breaks is the client's to notice; the forwarder goes on.
            if let Ok(mut far) = TcpStream::connect(target).await {
                let _ = near.set_nodelay(true);
                let _ = far.set_nodelay(true);
                let _ = copy_bidirectional(&mut near, &mut far).await;
            }
        });
    }
}

/// A port that can be shut for a while without being given up: another process could take it meanwhile. The kernel
/// keeps it for a socket that was bound to it by its number.
struct Door {
    listener: TcpListener,
    /// The same socket as the runtime knows it, while it is open.
    open: Option<tokio::net::TcpListener>,
}

impl Door {
    /// Takes a socket that listens.
    fn new(listener: TcpListener) -> std::io::Result<Self> {
        let open = Some(tokio::net::TcpListener::from_std(listener.try_clone()?)?);
        Ok(Self { listener, open })
    }

    fn open(&mut self) -> std::io::Result<()> {
        if self.open.is_none() {
            listen(&self.listener, Backlog::MAXCONN)?;
            self.open = Some(tokio::net::TcpListener::from_std(self.listener.try_clone()?)?);
        }
        Ok(())
    }

    fn shut(&mut self) -> std::io::Result<()> {
        // The runtime would take the end of a socket that it knows for final.
        if self.open.take().is_some() {
            shutdown(self.listener.as_raw_fd(), Shutdown::Read)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use tokio::io::AsyncWriteExt as _;

    use super::*;

    /// What a client hears at the door.
    async fn ask(address: SocketAddr) -> Result<String, ErrorKind> {
        let mut stream = TcpStream::connect(address).await.map_err(|error| error.kind())?;
        let mut text = String::new();
        stream.read_to_string(&mut text).await.map_err(|error| error.kind())?;
        Ok(text)
    }

    /// Asks until the answer is as wanted: a port that opens or shuts tells nobody.
    async fn until(address: SocketAddr, wanted: Result<&str, ErrorKind>) {
        while ask(address).await.as_deref().map_err(|kind| *kind) != wanted {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Greets everyone but the first, whose connection the forwarder holds.
    async fn greet(server: tokio::net::TcpListener) {
        let _held = server.accept().await.unwrap();
        loop {
            let (mut stream, _) = server.accept().await.unwrap();
            stream.write_all(b"hello").await.unwrap();
        }
    }

    #[tokio::test]
    async fn clients_are_refused_while_the_server_is_away() {
        // Only a port that was asked for by its number is kept while it is shut.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let near = TcpListener::bind(address).unwrap();
        near.set_nonblocking(true).unwrap();
        let server = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = server.local_addr().unwrap();
        let forwarder = tokio::spawn(forward(near, target));
        let mut serving = tokio::spawn(greet(server));
        for _ in 0..3 {
            until(address, Ok("hello")).await;
            serving.abort();
            until(address, Err(ErrorKind::ConnectionRefused)).await;
            let again = tokio::net::TcpListener::bind(target).await.unwrap();
            serving = tokio::spawn(greet(again));
        }
        serving.abort();
        forwarder.abort();
    }
}
