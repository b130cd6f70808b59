//! How soon a change of one endpoint is in the kernel, with a thousand Services there.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::{core::v1::Service, discovery::v1::EndpointSlice};
use kube::{
    Api, Client,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
};
use lab::Lab;
use serde_json::json;

use crate::table::{Row, median};

const SERVICES: usize = 1000;
const CHANGES: usize = 20;
/// How often the kernel may have had more to tell than its monitor took.
const LOST: usize = 5;
/// Between two changes.
const QUIET: Duration = Duration::from_millis(500);

/// Makes the Services, changes an endpoint again and again, and listens to a worker's kernel.
pub async fn measure(lab: &Lab, client: Client) -> anyhow::Result<Row> {
    let services: Api<Service> = Api::namespaced(client.clone(), "default");
    let slices: Api<EndpointSlice> = Api::namespaced(client, "default");
    futures::stream::iter(0..SERVICES)
        .map(anyhow::Ok)
        .try_for_each_concurrent(16, |number| {
            let (services, slices) = (services.clone(), slices.clone());
            async move {
                let name = format!("bench-{number}");
                let service: Service = serde_json::from_value(json!({
                    "metadata": {"name": name, "labels": {"app": "bench"}},
                    "spec": {"ports": [{"name": "http", "port": 80, "targetPort": 8080}]},
                }))?;
                services.create(&PostParams::default(), &service).await?;
                slices.create(&PostParams::default(), &slice(&name, number, 4)?).await?;
                Ok(())
            }
        })
        .await?;
    // All are in when the last one's chain is there.
    let chain = |line: &str| line.contains("-A KUBE-SVC-") && line.contains("default/bench-");
    lab::processes::wait_for("the Services in iptables", Duration::from_secs(120), || {
        let rules = iptables(lab, &["-t", "nat", "-S"])?;
        Ok((rules.lines().filter(|line| chain(line)).count() >= SERVICES * 3).then_some(()))
    })?;
    let mut kernel = Monitor::start(lab)?;
    let mut seconds = Vec::new();
    // The kernel drops what its monitor is too slow for, and the monitor ends with that: the change is then made anew.
    for last in (10..).take(CHANGES + LOST) {
        if seconds.len() == CHANGES {
            break;
        }
        let patch = json!({"endpoints": slice("bench-500", 500, last)?.endpoints});
        // One change, not a stream of them: a proxy rests after each write, by what the write cost.
        tokio::time::sleep(QUIET).await;
        let begun = Instant::now();
        slices.patch("bench-500", &PatchParams::default(), &Patch::Merge(patch)).await?;
        let wanted = format!("--to-destination 172.31.244.{last}:8080");
        match tokio::task::block_in_place(|| kernel.wait_for(&wanted))? {
            Some(arrived) => seconds.push((arrived - begun).as_secs_f64()),
            None => kernel = Monitor::start(lab)?,
        }
    }
    anyhow::ensure!(
        seconds.len() == CHANGES,
        "xtables-monitor ended {} times",
        CHANGES + LOST - seconds.len()
    );
    let all = ListParams::default().labels("app=bench");
    services.delete_collection(&DeleteParams::default(), &all).await?;
    slices.delete_collection(&DeleteParams::default(), &all).await?;
    Ok(Row::new(
        format!("an endpoint's change in iptables, with {SERVICES} Services of 3, p50"),
        median(seconds),
        "s",
        "≤ 0.03",
        "0.135",
    ))
}

/// A slice of three endpoints, the third of which ends in `last`.
fn slice(service: &str, number: usize, last: usize) -> anyhow::Result<EndpointSlice> {
    let third = number % 250;
    let addresses =
        [2, 3, last].map(|fourth| format!("172.31.{}.{fourth}", if third == 0 { 250 } else { third }));
    let addresses = if service == "bench-500" {
        [2, 3, last].map(|fourth| format!("172.31.244.{fourth}"))
    } else {
        addresses
    };
    Ok(serde_json::from_value(json!({
        "metadata": {"name": service, "labels": {"kubernetes.io/service-name": service, "app": "bench"}},
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
        "endpoints": addresses.map(|address| json!({"addresses": [address], "conditions": {"ready": true}})),
    }))?)
}

/// The kernel's own word of changed rules: asking it again and again would cost more than the change.
struct Monitor {
    program: Child,
    changes: Receiver<(Instant, String)>,
}

impl Monitor {
    fn start(lab: &Lab) -> anyhow::Result<Self> {
        // Its output goes into a pipe, for which it would gather lines.
        let mut program = lab
            .command_in("w1-k8s", "stdbuf")?
            .args(["-oL", "xtables-monitor", "--event", "-4"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("starting xtables-monitor")?;
        let lines = BufReader::new(program.stdout.take().context("it has a standard output")?).lines();
        let (sender, changes) = mpsc::channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if sender.send((Instant::now(), line)).is_err() {
                    return;
                }
            }
        });
        Ok(Self { program, changes })
    }

    /// Waits for a change whose rule has these words; gives the time at which it was heard of, or nothing where the
    /// monitor has ended.
    fn wait_for(&mut self, words: &str) -> anyhow::Result<Option<Instant>> {
        loop {
            match self.changes.recv_timeout(Duration::from_secs(20)) {
                Ok((heard, rule)) if rule.contains(words) => return Ok(Some(heard)),
                Ok(_) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
                Err(RecvTimeoutError::Timeout) => {
                    anyhow::bail!("no rule with {words:?} came into iptables")
                }
            }
        }
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

fn iptables(lab: &Lab, arguments: &[&str]) -> anyhow::Result<String> {
    let output = lab.command_in("w1-k8s", "iptables")?.args(arguments).output()?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
