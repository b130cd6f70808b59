//! Many watchers of one resource: what an idle one holds, and how soon an event has reached all of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bytes::Bytes;
use http::Method;
use http_body_util::BodyExt as _;
use serde_json::json;
use tokio::task::JoinSet;

use crate::process;
use crate::server::Server;
use crate::table::Row;

const COLLECTION: &str = "/api/v1/namespaces/default/configmaps";
/// Streams of one connection: what Go's client opens at most over one.
const STREAMS: usize = 100;
/// Events come this far apart, so that each has room to reach everybody before the next.
const APART: Duration = Duration::from_millis(100);
/// Latencies are counted in steps of this.
const STEP: Duration = Duration::from_millis(1);
/// In front of the time when an object was sent, in its data.
const MARK: &[u8] = b"\"sent\":\"";

/// How many events came after so many steps; the last takes all that came later.
struct Latencies {
    steps: Vec<AtomicU64>,
}

impl Latencies {
    fn new() -> Self {
        Self { steps: (0..5000).map(|_| AtomicU64::new(0)).collect() }
    }

    fn note(&self, latency: Duration, count: u64) {
        let step = (latency.as_micros() / STEP.as_micros()) as usize;
        self.steps[step.min(self.steps.len() - 1)].fetch_add(count, Ordering::Relaxed);
    }

    fn total(&self) -> u64 {
        self.steps.iter().map(|step| step.load(Ordering::Relaxed)).sum()
    }

    /// Milliseconds within which this part of the events came.
    fn within(&self, part: f64) -> f64 {
        let wanted = (self.total() as f64 * part).ceil() as u64;
        let mut sum = 0;
        let at = self.steps.iter().position(|step| {
            sum += step.load(Ordering::Relaxed);
            sum >= wanted
        });
        at.map_or(f64::NAN, |at| (at + 1) as f64 * STEP.as_secs_f64() * 1e3)
    }
}

/// Opens the watches, sends the events, and says what both took.
pub async fn measure(watchers: usize, events: usize) -> anyhow::Result<Vec<Row>> {
    let server = Server::start().await?;
    let mut connections = Vec::new();
    for _ in 0..watchers.div_ceil(STREAMS) {
        let mut client = server.client().await?;
        client.send(Method::GET, "/version", Bytes::new()).await?;
        connections.push(client);
    }
    let connected = process::resident(server.pid())?;

    let (begun, latencies) = (Instant::now(), Arc::new(Latencies::new()));
    let mut readers = JoinSet::new();
    for number in 0..watchers {
        let mut client = connections[number / STREAMS].clone();
        let path = format!("{COLLECTION}?watch=1&labelSelector=app%3Dbench");
        let body = client.start(Method::GET, &path, Bytes::new()).await?.into_body();
        readers.spawn(read(body, latencies.clone(), begun));
    }
    // What opening left to do is done when the server rests.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let idle = process::resident(server.pid())?;

    let mut writer = server.client().await?;
    let before = process::cpu_time(server.pid())?;
    let mut ticks = tokio::time::interval(APART);
    for number in 0..events {
        ticks.tick().await;
        let (method, path) = match number {
            0 => (Method::POST, COLLECTION.to_owned()),
            _ => (Method::PUT, format!("{COLLECTION}/event")),
        };
        let body = object(begun.elapsed());
        writer.send(method, &path, body).await.with_context(|| format!("event {number}"))?;
    }
    let expected = (events * watchers) as u64;
    let patience = Instant::now() + Duration::from_secs(60);
    while latencies.total() < expected && Instant::now() < patience {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let spent = process::cpu_time(server.pid())?.saturating_sub(before);
    let arrived = latencies.total();
    anyhow::ensure!(arrived == expected, "{arrived} of {expected} events arrived");
    readers.abort_all();
    Ok(vec![
        Row::new("an idle watch", (idle - connected) * 1024.0 / watchers as f64, "KiB", "≤ 4", ""),
        Row::new(format!("{events} events to {watchers} watchers, p50"), latencies.within(0.5), "ms", "", ""),
        Row::new("the same, p99", latencies.within(0.99), "ms", "≤ 100", ""),
        Row::new("the same, all", latencies.within(1.0), "ms", "", ""),
        Row::new(
            "an event to one watcher, processor time",
            spent.as_secs_f64() * 1e6 / expected as f64,
            "µs",
            "",
            "",
        ),
        Row::new("resident, after the events", process::resident(server.pid())?, "MiB", "", ""),
    ])
}

fn object(sent: Duration) -> Bytes {
    let object = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "event", "labels": {"app": "bench"}},
        "data": {"payload": "x".repeat(512), "sent": format!("{:012}", sent.as_micros())},
    });
    Bytes::from(object.to_string())
}

/// Notes when each event of a watch arrives. Ten thousand of these share the machine with what they measure, so a line
/// is looked at where it arrived, and copied only where its end has not come with it.
async fn read(mut body: hyper::body::Incoming, latencies: Arc<Latencies>, begun: Instant) {
    let mut held = Vec::new();
    while let Some(Ok(frame)) = body.frame().await {
        let Some(mut rest) = frame.data_ref().map(|data| &data[..]) else { continue };
        let now = begun.elapsed();
        while let Some(end) = memchr::memchr(b'\n', rest) {
            let (line, after) = rest.split_at(end);
            rest = &after[1..];
            let sent = if held.is_empty() {
                sent_at(line)
            } else {
                held.extend_from_slice(line);
                sent_at(&std::mem::take(&mut held))
            };
            if let Some(sent) = sent {
                latencies.note(now.saturating_sub(sent), 1);
            }
        }
        held.extend_from_slice(rest);
    }
}

fn sent_at(line: &[u8]) -> Option<Duration> {
    let at = memchr::memmem::find(line, MARK)? + MARK.len();
    let digits = std::str::from_utf8(line.get(at..at + 12)?).ok()?;
    Some(Duration::from_micros(digits.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_from_events_and_counted() {
        let line = [b"{\"type\":\"ADDED\",\"object\":".as_slice(), &object(Duration::from_millis(5)), b"}\n"]
            .concat();
        assert_eq!(sent_at(&line), Some(Duration::from_millis(5)));
        assert_eq!(sent_at(b"{}\n"), None);
        let latencies = Latencies::new();
        for (milliseconds, count) in [(0, 98), (7, 1), (9_999_999, 1)] {
            latencies.note(Duration::from_millis(milliseconds), count);
        }
        assert_eq!(
            (latencies.within(0.5), latencies.within(0.99), latencies.within(1.0)),
            (1.0, 8.0, 5000.0)
        );
    }
}
