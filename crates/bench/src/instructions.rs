//! What an operation of the API server runs, counted by callgrind: nearly the same in every run, whatever else the machine
//! is at. What instructions cost, and what the kernel does for them, it does not tell.

use std::{path::PathBuf, process::Stdio};

use anyhow::Context as _;
use tokio::process::Command;

use crate::{api, server::Server, table::Row};

const LISTS: usize = 10;

/// A kube-apiserver under callgrind, which counts when it is told to.
struct Counted {
    server: Server,
    /// How often the counts were written out.
    dumps: u32,
}

impl Counted {
    /// The instructions of one of `count` operations, in thousands.
    async fn over<T>(
        &mut self,
        count: usize,
        operations: impl Future<Output = anyhow::Result<T>>,
    ) -> anyhow::Result<f64> {
        self.control(&["--instr=on"]).await?;
        operations.await?;
        self.control(&["--instr=off"]).await?;
        self.control(&["--dump"]).await?;
        self.dumps += 1;
        let path = PathBuf::from(format!("{}.{}", self.server.counts().display(), self.dumps));
        let text = std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        let total = total(&text).with_context(|| format!("no total in {}", path.display()))?;
        Ok(total as f64 / 1e3 / count as f64)
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

/// Counts one round of each operation.
pub async fn measure(objects: usize, clients: usize) -> anyhow::Result<Vec<Row>> {
    let server = Server::start_counted().await?;
    api::settle(&server).await?;
    let mut connections = Vec::new();
    for _ in 0..clients {
        connections.push(server.client().await?);
    }
    let mut lister = server.client().await?;
    let mut counted = Counted { server, dumps: 0 };
    let (all, gets) = (connections.as_slice(), objects * api::GETS_PER_OBJECT);
    let mut rows = Vec::new();
    let mut row = |what: &str, value| rows.push(Row::new(what, value, "thousand", "", ""));
    row("create", counted.over(objects, api::create(all, objects)).await?);
    row("GET", counted.over(gets, api::get(all, objects, gets)).await?);
    row("GET in protobuf", counted.over(gets, api::get_protobuf(all, objects, gets)).await?);
    row("update", counted.over(objects, api::update(all, objects)).await?);
    row("server-side apply of a Deployment", counted.over(objects, api::apply(all, objects)).await?);
    for (what, headers) in [("LIST", [].as_slice()), ("LIST with gzip", &[("accept-encoding", "gzip")])] {
        let lists = api::list(&mut lister, headers, LISTS);
        row(&format!("{what} of {objects}"), counted.over(LISTS, lists).await?);
    }
    Ok(rows)
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
