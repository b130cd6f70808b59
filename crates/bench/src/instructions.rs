//! What an operation of the API server runs, counted by callgrind: nearly the same in every run, whatever else the machine
//! is at. What instructions cost, and what the kernel does for them, it does not tell.

use std::{path::PathBuf, process::Stdio};

use anyhow::Context as _;
use link_order::{Order, record};
use tokio::process::Command;

use crate::{
    api,
    server::{Callgrind, Server},
    table::Row,
};

const LISTS: usize = 10;

/// A kube-apiserver under callgrind, which counts when it is told to.
struct Counted {
    server: Server,
    /// How often the counts were written out.
    dumps: u32,
}

impl Counted {
    /// What callgrind writes of some operations.
    async fn over<T>(
        &mut self,
        operations: impl Future<Output = anyhow::Result<T>>,
    ) -> anyhow::Result<String> {
        self.control(&["--instr=on"]).await?;
        operations.await?;
        self.control(&["--instr=off"]).await?;
        self.dump().await
    }

    /// What callgrind has counted since it wrote last.
    async fn dump(&mut self) -> anyhow::Result<String> {
        self.control(&["--dump"]).await?;
        self.dumps += 1;
        let path = PathBuf::from(format!("{}.{}", self.server.counts().display(), self.dumps));
        std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))
    }

    async fn control(&self, arguments: &[&str]) -> anyhow::Result<()> {
        let status = Command::new("callgrind_control")
            .args(arguments)
            .arg(self.server.pid().to_string())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .await
            .context("running callgrind_control")?;
        anyhow::ensure!(status.success(), "callgrind_control {}: {status}", arguments.join(" "));
        Ok(())
    }
}

/// The sum that callgrind writes below all of its lines.
fn total(dump: &str) -> Option<u64> {
    dump.lines().rev().find_map(|line| line.strip_prefix("totals: "))?.trim().parse().ok()
}

/// Some operations that were counted together.
struct Operations {
    what: String,
    /// How many they were.
    count: usize,
    /// What callgrind wrote of them.
    dump: String,
}

/// Counts one round of each operation.
async fn rounds(counted: &mut Counted, objects: usize, clients: usize) -> anyhow::Result<Vec<Operations>> {
    let mut connections = Vec::new();
    for _ in 0..clients {
        connections.push(counted.server.client().await?);
    }
    let mut lister = counted.server.client().await?;
    let (all, gets) = (connections.as_slice(), objects * api::GETS_PER_OBJECT);
    let mut rounds = Vec::new();
    let mut done = |what: &str, count, dump| rounds.push(Operations { what: what.to_owned(), count, dump });
    done("create", objects, counted.over(api::create(all, objects)).await?);
    done("GET", gets, counted.over(api::get(all, objects, gets)).await?);
    done("GET in protobuf", gets, counted.over(api::get_protobuf(all, objects, gets)).await?);
    done("update", objects, counted.over(api::update(all, objects)).await?);
    done("server-side apply of a Deployment", objects, counted.over(api::apply(all, objects)).await?);
    for (what, headers) in [("LIST", [].as_slice()), ("LIST with gzip", &[("accept-encoding", "gzip")])] {
        let lists = api::list(&mut lister, headers, LISTS);
        done(&format!("{what} of {objects}"), LISTS, counted.over(lists).await?);
    }
    Ok(rounds)
}

/// The instructions of each operation.
pub async fn measure(objects: usize, clients: usize) -> anyhow::Result<Vec<Row>> {
    let server = Server::start_under(Callgrind::UntilTold).await?;
    api::settle(&server).await?;
    let rounds = rounds(&mut Counted { server, dumps: 0 }, objects, clients).await?;
    let row = |round: Operations| {
        let total =
            total(&round.dump).with_context(|| format!("{}: callgrind wrote no total", round.what))?;
        Ok(Row::new(&round.what, total as f64 / 1e3 / round.count as f64, "thousand", "", ""))
    };
    rounds.into_iter().map(row).collect()
}

/// The order in which the API server uses its functions: those of the operations, then those of its start.
pub async fn order(objects: usize, clients: usize) -> anyhow::Result<Order> {
    let server = Server::start_under(Callgrind::FromTheStart).await?;
    api::settle(&server).await?;
    let mut counted = Counted { server, dumps: 0 };
    counted.control(&["--instr=off"]).await?;
    let start = counted.dump().await?;
    let rounds = rounds(&mut counted, objects, clients).await?;
    let dumps: Vec<_> = rounds.into_iter().map(|round| round.dump).collect();
    Ok(record::order(&start, &dumps))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_stands_below_the_lines() {
        assert_eq!(total("events: Ir\nfn=(1) main\n16 400\n\ntotals: 12345\n"), Some(12_345));
        assert_eq!(total("events: Ir\nfn=(1) main\n16 400\n"), None);
        assert_eq!(total("totals: many\n"), None);
    }
}
