//! The lab's life: made, used, halted, brought back, removed; and how long each part took.

use std::time::{Duration, Instant};

use anyhow::bail;

use crate::{
    apart, chapters,
    cli::Settings,
    vagrant::{Libvirt, Vagrant},
};

const MACHINES: [&str; 3] = ["m-k8s", "w1-k8s", "w2-k8s"];
/// For what a cluster does by itself on emulated processors.
const PATIENCE: Duration = Duration::from_secs(600);

/// Lives it through, in the namespaces that this process is in.
pub fn run(settings: &Settings) -> anyhow::Result<()> {
    apart::prepare(&settings.work)?;
    let _libvirt = Libvirt::start(&settings.work)?;
    let vagrant = Vagrant::new(settings)?;
    let mut times = Vec::new();
    let lived = live(&vagrant, &mut times);
    if lived.is_err() {
        for machine in MACHINES {
            let journal =
                "sudo systemctl --failed --no-legend; sudo journalctl --no-pager -q -o cat -p warning -n 30";
            if let Ok(output) = vagrant.types(machine, journal) {
                eprintln!("── {machine}\n{}", String::from_utf8_lossy(&output.stdout));
            }
        }
    }
    let destroyed = timed(&mut times, "`vagrant destroy -f`", || vagrant.run(&["destroy", "-f"]));
    println!("\n| what | seconds |\n| --- | --- |");
    for (what, time) in &times {
        println!("| {what} | {:.0} |", time.as_secs_f64());
    }
    lived.and(destroyed)
}

type Times = Vec<(String, Duration)>;

fn timed<T>(times: &mut Times, what: &str, part: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
    println!("── {what}");
    let begun = Instant::now();
    let done = part()?;
    println!("   {:.0?}", begun.elapsed());
    times.push((what.to_owned(), begun.elapsed()));
    Ok(done)
}

fn live(vagrant: &Vagrant, times: &mut Times) -> anyhow::Result<()> {
    // One machine after another, as providers do that cannot do more at once: workers join a control plane that is.
    for machine in MACHINES {
        timed(times, &format!("`vagrant up {machine}`"), || vagrant.run(&["up", machine]))?;
    }
    vagrant.find_machines()?;
    timed(times, "every node Ready after that", || ready(vagrant))?;
    for (user, line) in [("vagrant", "kubectl get nodes"), ("root", "sudo kubectl get nodes")] {
        let nodes = vagrant.until(PATIENCE, "m-k8s", line, |_| true)?;
        if nodes.matches(" Ready ").count() != 3 {
            bail!("{user} sees {nodes}");
        }
    }
    timed(times, "the first hour's page", || chapters::walk(vagrant, "docs/tutorials/first-hour.md"))?;
    timed(times, "the page on NFS", || chapters::walk(vagrant, "docs/tutorials/nfs.md"))?;

    vagrant
        .until(PATIENCE, "m-k8s", "kubectl create deployment stays --image=nginx --replicas=3", |_| true)?;
    vagrant.until(PATIENCE, "m-k8s", "kubectl get deployment stays", |seen| seen.contains("3/3"))?;
    timed(times, "`vagrant halt`", || vagrant.run(&["halt"]))?;
    timed(times, "`vagrant up` of what was halted", || vagrant.run(&["up", "--no-provision"]))?;
    vagrant.find_machines()?;
    timed(times, "every node Ready after that", || ready(vagrant))?;
    timed(times, "what ran before runs again after that", || {
        vagrant.until(PATIENCE, "m-k8s", "kubectl get pods -l app=stays --no-headers", |seen| {
            seen.matches(" 1/1 ").count() == 3 && seen.matches(" Running ").count() == 3
        })
    })?;
    Ok(())
}

fn ready(vagrant: &Vagrant) -> anyhow::Result<()> {
    let all = |seen: &str| seen.matches(" Ready ").count() == MACHINES.len();
    vagrant.until(PATIENCE, "m-k8s", "kubectl get nodes --no-headers", all)?;
    Ok(())
}
