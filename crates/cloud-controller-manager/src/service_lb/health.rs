//! Asks nodes whether they can take traffic, as any load balancer in front of them would.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures::StreamExt as _;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::cloud::HealthCheck;

/// How often a node that answers for addresses is asked, and how long it may take.
pub const PERIOD: Duration = Duration::from_secs(1);
/// Every how many periods the others are asked, if they are up: nothing hangs on them yet.
const SELDOM: u32 = 5;
/// Bad answers in a row that make a node count as down, so that one lost packet moves nothing.
const BAD: u32 = 3;
/// Good answers in a row that make it count as up again.
const GOOD: u32 = 2;
/// Nodes asked at the same time.
const AT_ONCE: usize = 64;

/// A node to ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Its name.
    pub name: Box<str>,
    /// Its address.
    pub address: IpAddr,
    /// Whether it answers for addresses.
    pub announces: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Record {
    is_down: bool,
    /// Answers in a row that speak against the present verdict.
    against: u32,
}

impl Record {
    /// Takes an answer; tells whether the verdict changed.
    fn note(&mut self, is_good: bool) -> bool {
        if is_good != self.is_down {
            self.against = 0;
            return false;
        }
        self.against += 1;
        let enough = if self.is_down { GOOD } else { BAD };
        if self.against < enough {
            return false;
        }
        *self = Record { is_down: !self.is_down, against: 0 };
        true
    }
}

/// What nodes last answered. One that was never asked counts as up.
#[derive(Debug)]
pub struct Health {
    check: HealthCheck,
    records: Mutex<BTreeMap<Box<str>, Record>>,
}

impl Health {
    /// Knows nothing yet.
    pub fn new(check: HealthCheck) -> Health {
        Health { check, records: Mutex::default() }
    }

    /// Tells whether a node gave no good answer, again and again.
    pub fn is_down(&self, node: &str) -> bool {
        self.records.lock().get(node).is_some_and(|record| record.is_down)
    }

    /// Asks whom it is time to ask; tells whether any verdict changed. What is known of other nodes is forgotten.
    pub async fn round(&self, number: u32, targets: Vec<Target>) -> bool {
        self.records.lock().retain(|name, _| targets.iter().any(|target| target.name == *name));
        let due = targets
            .into_iter()
            .filter(|target| target.announces || self.is_down(&target.name) || number.is_multiple_of(SELDOM));
        let answers = due.map(|target| async move {
            let answer = ask(SocketAddr::new(target.address, self.check.port), &self.check.path).await;
            (target.name, answer)
        });
        let mut changed = false;
        let mut answers = futures::stream::iter(answers).buffer_unordered(AT_ONCE);
        while let Some((name, answer)) = answers.next().await {
            if let Err(why) = &answer {
                tracing::debug!(node = %name, %why, "no good answer");
            }
            let mut records = self.records.lock();
            let record = records.entry(name.clone()).or_default();
            if record.note(answer.is_ok()) {
                changed = true;
                match answer {
                    Ok(()) => tracing::info!(node = %name, "can take traffic again"),
                    Err(why) => tracing::warn!(node = %name, %why, "cannot take traffic"),
                }
            }
        }
        changed
    }
}

/// Asks once by HTTP.
async fn ask(address: SocketAddr, path: &str) -> Result<(), String> {
    let exchange = async {
        let mut stream = TcpStream::connect(address).await?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        // `HTTP/1.1 200`: all that matters of the answer.
        let mut line = [0; 12];
        stream.read_exact(&mut line).await?;
        std::io::Result::Ok(line)
    };
    let line = tokio::time::timeout(PERIOD, exchange)
        .await
        .map_err(|_| format!("no answer within {PERIOD:?}"))?
        .map_err(|error| error.to_string())?;
    match &line[9..] {
        [b'2', ..] if line.starts_with(b"HTTP/1.") => Ok(()),
        code => Err(format!("answered {}", String::from_utf8_lossy(code))),
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn one_answer_is_no_verdict() {
        let verdicts = |answers: &str| -> String {
            let mut record = Record::default();
            let verdict = |answer| {
                record.note(answer == '+');
                if record.is_down { 'x' } else { '.' }
            };
            answers.chars().map(verdict).collect()
        };
        assert_eq!(verdicts("+--+---+-++"), "......xxxx.");
        assert_eq!(verdicts("---++---"), "..xx...x");
    }

    async fn server(answer: &'static str) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = [0; 256];
                let _ = stream.read(&mut request).await;
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        address
    }

    #[tokio::test]
    async fn only_a_good_answer_is_one() {
        let ask_one = async |answer| ask(server(answer).await, "/healthz").await;
        ask_one("HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        assert_eq!(ask_one("HTTP/1.1 503 Unavailable\r\n\r\n").await.unwrap_err(), "answered 503");
        assert!(ask_one("SSH-2.0-OpenSSH").await.is_err());
        assert!(ask_one("").await.is_err());
    }

    #[tokio::test]
    async fn a_node_goes_down_and_comes_back_and_those_who_are_gone_are_forgotten() {
        let good = server("HTTP/1.1 200 OK\r\n\r\n").await;
        let health = Health::new(HealthCheck { port: good.port(), path: "/".into() });
        // Nothing listens at this port of another loopback address.
        let target =
            |address: &str| Target { name: "w1".into(), address: address.parse().unwrap(), announces: true };
        let mut rounds = Vec::new();
        for round in 1..=3 {
            rounds.push(health.round(round, vec![target("127.0.0.2")]).await);
        }
        assert_eq!((rounds.as_slice(), health.is_down("w1")), (&[false, false, true][..], true));
        let idle = Target { announces: false, ..target("127.0.0.1") };
        assert!(!health.round(4, vec![idle.clone()]).await && health.round(6, vec![idle]).await);
        assert!(!health.is_down("w1"));
        let elsewhere = Target { announces: false, ..target("127.0.0.2") };
        for round in 1..=3 {
            assert!(!health.round(round, vec![elsewhere.clone()]).await, "asked only now and then");
        }
        for round in [5, 10, 15] {
            health.round(round, vec![elsewhere.clone()]).await;
        }
        assert!(health.is_down("w1"));
        health.round(4, Vec::new()).await;
        assert!(!health.is_down("w1"));
    }
}
