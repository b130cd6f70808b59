//! Streams translated for kubelets that know nothing newer than SPDY, under upstream's names. What is copied as it is
//! counts as neither.

use std::sync::LazyLock;

use component::metrics::{Error, IntCounterVec, opts, register_int_counter_vec};
use http::StatusCode;

/// `None` if the registry refused one, which a second registry in one process may.
static COUNTERS: LazyLock<Option<Counters>> = LazyLock::new(|| register().ok());

struct Counters {
    commands: IntCounterVec,
    tunnels: IntCounterVec,
}

fn register() -> Result<Counters, Error> {
    let commands = register_int_counter_vec!(
        opts!(
            "apiserver_stream_translator_requests_total",
            "Total number of requests that were handled by the StreamTranslatorProxy, which processes streaming RemoteCommand/V5"
        ),
        &["code"]
    )?;
    let tunnels = register_int_counter_vec!(
        opts!(
            "apiserver_stream_tunnel_requests_total",
            "Total number of requests that were handled by the StreamTunnelProxy, which processes streaming PortForward/V2"
        ),
        &["code"]
    )?;
    Ok(Counters { commands, tunnels })
}

/// Notes how a command came out whose channels were made into streams: `200` with whatever exit code.
pub(super) fn command(code: StatusCode) {
    if let Some(counters) = &*COUNTERS {
        counters.commands.with_label_values(&[code.as_str()]).inc();
    }
}

/// Notes how a port-forward was answered whose SPDY is taken out of a WebSocket.
pub(super) fn tunnel(code: StatusCode) {
    if let Some(counters) = &*COUNTERS {
        counters.tunnels.with_label_values(&[code.as_str()]).inc();
    }
}
