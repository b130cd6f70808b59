//! `kubectl port-forward`.

use bytes::Bytes;
use futures::stream::{FuturesUnordered, StreamExt};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use apimachinery::object::ObjectExt;

use cli_runtime::cli::{Command, Flag, Invocation, flag};
use cli_runtime::client::{Frame, Signal};
use cli_runtime::error::{Error, Result, go_io_error};
use cli_runtime::resource::{Item, Session};

/// Forwards local ports to a pod.
pub static COMMAND: Command = Command {
    name: "port-forward",
    short: "Forward one or more local ports to a pod",
    long: "Forward one or more local ports to a pod.\n\nOf a deployment or service, the first running pod that it selects is used, until the command ends.",
    examples: "
# Local ports 5000 and 6000 to the pod's
kubectl port-forward pod/web 5000 6000

# Local port 8443 to the port that the service calls https
kubectl port-forward service/web 8443:https

# On every local address
kubectl port-forward --address 0.0.0.0 pod/web 8888:80

# On any free local port
kubectl port-forward pod/web :80",
    usage: "port-forward TYPE/NAME [options] [LOCAL_PORT:]REMOTE_PORT [...[LOCAL_PORT_N:]REMOTE_PORT_N]",
    flags: &[
        &[Flag::list("address", "Local addresses to listen on; localhost if not given.")],
        flag::POD_RUNNING_TIMEOUT,
    ],
    run: Some(|invocation| Box::pin(run(invocation))),
    ..Command::NONE
};

async fn run(invocation: Invocation) -> Result<()> {
    let Some((word, ports)) = invocation.args.split_first().filter(|(_, ports)| !ports.is_empty()) else {
        return Err(invocation.usage("TYPE/NAME and list of ports are required for port-forward"));
    };
    let session = Session::open(&invocation).await?;
    let service = match word.split_once('/') {
        Some(("service" | "services" | "svc", name)) => {
            let services = cli_runtime::resource::core("services", "service", "Service", true);
            Some(session.fetch(&services, name).await?.object)
        }
        _ => None,
    };
    let pod = session.pod_of(word).await?;
    let phase = pod.object["status"]["phase"].as_str().unwrap_or("");
    if phase != "Running" {
        return Err(Error::message(format!(
            "unable to forward port because pod is not running. Current status={phase}"
        )));
    }
    let addresses: Vec<String> = match invocation.list("address") {
        [] => vec!["127.0.0.1".into(), "::1".into()],
        given => given
            .iter()
            .flat_map(|address| match address.as_str() {
                "localhost" => vec!["127.0.0.1".to_string(), "::1".to_string()],
                other => vec![other.to_string()],
            })
            .collect(),
    };
    let mut listeners = Vec::new();
    for spec in ports {
        let (local, remote) = split(spec)?;
        let remote = remote_port(service.as_ref(), &pod.object, remote)?;
        let local = if local.is_empty() {
            remote
        } else {
            local.parse().map_err(|_| {
                Error::message(format!("error parsing local port \"{local}\": invalid syntax"))
            })?
        };
        let mut bound = 0;
        let mut port = local;
        for address in &addresses {
            match TcpListener::bind((address.as_str(), port)).await {
                Ok(listener) => {
                    port = listener.local_addr()?.port();
                    let shown = if address.contains(':') { format!("[{address}]") } else { address.clone() };
                    outln!("Forwarding from {shown}:{port} -> {remote}");
                    listeners.push((listener, remote));
                    bound += 1;
                }
                Err(error) => {
                    // A machine without IPv6 still has its localhost.
                    if address != "::1" {
                        errln!(
                            "Unable to listen on port {local}: Listeners failed to create with the following errors: [unable to create listener: Error listen tcp4 {address}:{local}: bind: {}]",
                            go_io_error(&error)
                        );
                    }
                }
            }
        }
        if bound == 0 {
            return Err(Error::message(format!(
                "unable to listen on any of the requested ports: [{{{local} {remote}}}]"
            )));
        }
    }
    let mut serving: FuturesUnordered<_> =
        listeners.iter().map(|(listener, remote)| serve(&session, &pod, listener, *remote)).collect();
    tokio::select! {
        ended = serving.next() => ended.unwrap_or(Ok(())),
        _ = tokio::signal::ctrl_c() => Ok(()),
    }
}

fn split(spec: &str) -> Result<(&str, &str)> {
    match spec.split(':').collect::<Vec<_>>().as_slice() {
        [remote] => Ok(("", remote)),
        ["", remote] => Ok(("0", remote)),
        [local, remote] => Ok((local, remote)),
        _ => Err(Error::message(format!("invalid port format '{spec}'"))),
    }
}

/// The pod's port: a number, a port's name, or what a service's port leads to.
fn remote_port(service: Option<&Value>, pod: &Value, word: &str) -> Result<u16> {
    let named = |name: &str| {
        pod.list_at(&["spec", "containers"])
            .iter()
            .flat_map(|container| container.list_at(&["ports"]))
            .find(|port| port["name"] == name)
            .and_then(|port| u16::try_from(port["containerPort"].as_u64()?).ok())
    };
    if let Some(service) = service {
        let number = word.parse::<u64>().ok();
        let port = service
            .list_at(&["spec", "ports"])
            .iter()
            .find(|port| port["name"] == word || (number.is_some() && port["port"].as_u64() == number))
            .ok_or_else(|| {
                Error::message(format!("Service {} does not have a service port {word}", service.name()))
            })?;
        let target = &port["targetPort"];
        let found = match target {
            Value::String(name) => named(name),
            Value::Null => port["port"].as_u64().and_then(|port| u16::try_from(port).ok()),
            number => number.as_u64().and_then(|port| u16::try_from(port).ok()),
        };
        return found.ok_or_else(|| {
            Error::message(format!("Pod '{}' does not have a named port '{target}'", pod.name()))
        });
    }
    match word.parse::<u16>() {
        Ok(0) => Err(Error::message("remote port must be > 0")),
        Ok(port) => Ok(port),
        Err(_) => named(word).ok_or_else(|| {
            Error::message(format!("Pod '{}' does not have a named port '{word}'", pod.name()))
        }),
    }
}

async fn serve(session: &Session, pod: &Item, listener: &TcpListener, remote: u16) -> Result<()> {
    let mut open = FuturesUnordered::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (stream, _) = accepted?;
                outln!("Handling connection for {}", listener.local_addr()?.port());
                open.push(forward(session, pod, stream, remote));
            }
            Some(ended) = open.next(), if !open.is_empty() => {
                if let Err(error) = ended {
                    errln!("an error occurred forwarding {} -> {remote}: {error}", listener.local_addr()?.port());
                }
            }
        }
    }
}

/// Joins one local connection to the pod's port: channel 0 is data, channel 1 an error, each begun by the port's number.
async fn forward(session: &Session, pod: &Item, mut stream: TcpStream, remote: u16) -> Result<()> {
    let mut channels =
        session.client.websocket(&format!("{}/portforward?ports={remote}", pod.path())).await?;
    let (mut reader, mut writer) = stream.split();
    let mut input = vec![0; 32 << 10];
    let mut headers = [true, true];
    let mut reading = true;
    loop {
        tokio::select! {
            read = reader.read(&mut input), if reading => match read {
                Ok(0) | Err(_) => {
                    reading = false;
                    channels.send(Signal::Close(0)).await?;
                }
                Ok(count) => channels.send(Signal::Data(0, Bytes::copy_from_slice(&input[..count]))).await?,
            },
            frame = channels.next() => match frame? {
                Frame::Closed => break,
                Frame::Data(channel @ (0 | 1), bytes) => {
                    let header = std::mem::replace(&mut headers[usize::from(channel)], false);
                    let bytes = if header && bytes.len() >= 2 { bytes.slice(2..) } else { bytes };
                    if bytes.is_empty() {
                        continue;
                    }
                    if channel == 1 {
                        return Err(Error::message(String::from_utf8_lossy(&bytes).into_owned()));
                    }
                    if writer.write_all(&bytes).await.is_err() {
                        break;
                    }
                }
                Frame::Data(..) => {}
            },
        }
    }
    let _ = writer.shutdown().await;
    channels.close().await;
    Ok(())
}
