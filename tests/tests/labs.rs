//! Labs live side by side, and one that is taken down leaves nothing behind, whenever its start was cut short.

#![allow(clippy::unwrap_used)]

use std::{
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use cluster_tests::{Cluster, PATIENCE, Shell, binaries, directory, leftovers};
use lab::{Lab, Topology, processes};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

#[test]
fn a_lab_goes_without_a_trace_while_its_neighbour_answers() {
    let neighbour = Cluster::start("neighbour", 1).unwrap();
    let shell = neighbour.shell();
    shell.types("kubectl create deployment web --image=sysnet4admin/chk-hn").ok();
    shell.types("kubectl create service nodeport web --tcp=80 --node-port=30080").ok();
    shell.types("kubectl rollout status deployment web --timeout=90s").ok();
    let begun = Instant::now();
    while let Err(failure) = answers(&shell) {
        assert!(begun.elapsed() < PATIENCE, "{failure}");
    }

    let (over, failures, asked) = (AtomicBool::new(false), Mutex::new(Vec::new()), Mutex::new(0));
    std::thread::scope(|scope| {
        let over = &EndWhenDropped(&over);
        scope.spawn(|| {
            while !over.0.load(Ordering::Relaxed) {
                *asked.lock().unwrap() += 1;
                failures.lock().unwrap().extend(answers(&shell).err());
            }
        });
        for moment in [Moment::Files, Moment::Node, Moment::Pod] {
            crash_and_take_down("crashed", moment);
        }
        a_second_lab_is_a_world_of_its_own(&shell);
        over.0.store(true, Ordering::Relaxed);
    });
    assert!(*asked.lock().unwrap() > 20, "the neighbour was hardly asked");
    assert_eq!(*failures.lock().unwrap(), Vec::<String>::new());
    neighbour.end().unwrap();
}

/// Ends the thread beside when the test fails.
struct EndWhenDropped<'a>(&'a AtomicBool);

impl Drop for EndWhenDropped<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Whether the API server answers, and a pod behind a node port.
fn answers(shell: &Shell<'_>) -> Result<(), String> {
    let ready = shell.types("kubectl get --raw /readyz");
    let page = shell.outside(&["curl", "-s", "-m", "5", "http://192.168.1.102:30080/"]);
    let well = ready.out == "ok" && page.out.starts_with("web-");
    if well { Ok(()) } else { Err(format!("{ready:?} {page:?}")) }
}

fn a_second_lab_is_a_world_of_its_own(first: &Shell<'_>) {
    let second = Cluster::start("second", 1).unwrap();
    let shell = second.shell();
    shell.types("kubectl create configmap only-here").ok();
    shell.types("kubectl get deployment web").refused(&["deployments.apps \"web\" not found"]);
    first.types("kubectl get configmap only-here").refused(&["configmaps \"only-here\" not found"]);
    // What runs is seen: the check that nothing is left can fail.
    let seen =
        leftovers::none(&directory().unwrap(), "second", &leftovers::host_rules()).unwrap_err().to_string();
    for kind in [
        "/lab init",
        "kube-apiserver --",
        "namespace second-fabric",
        "/sys/fs/cgroup/",
        "/run/magnetite/second",
    ] {
        assert!(seen.contains(kind), "{kind} is not seen: {seen}");
    }
    second.end().unwrap();
}

/// How far a lab has come.
#[derive(Debug, Clone, Copy)]
enum Moment {
    /// Its directory has something in it.
    Files,
    /// A node runs its units, others are to come.
    Node,
    /// A container runs.
    Pod,
}

impl Moment {
    fn is_reached(self, topology: &Topology) -> bool {
        match self {
            Self::Files => Topology::file(&topology.state).exists(),
            Self::Node => topology.control_socket(&topology.nodes[0]).exists(),
            Self::Pod => topology.nodes.iter().any(|node| {
                let cgroup = topology.cgroup(node) + "/kubepods";
                lab::cgroup::hierarchies()
                    .into_iter()
                    .any(|hierarchy| has_pod(&hierarchy.join(cgroup.trim_start_matches('/'))))
            }),
        }
    }
}

/// Whether a pod's cgroup is below this one, or below that of its class.
fn has_pod(cgroup: &Path) -> bool {
    cgroup.read_dir().into_iter().flatten().flatten().any(|entry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        name.starts_with("pod") || (["besteffort", "burstable"].contains(&&*name) && has_pod(&entry.path()))
    })
}

/// Starts a lab, kills `lab up` and one process of each kind that it left running, and takes the lab down.
fn crash_and_take_down(name: &str, moment: Moment) {
    let directory = directory().unwrap();
    Lab::down(&directory, name).unwrap();
    let _removed = Removed(name);
    let rules = leftovers::host_rules();
    let topology = Topology::three_nodes(name, &directory.join(name), &binaries().unwrap(), 0, 1);
    let mut up = Up(Command::new(topology.binaries.join("lab"))
        .args(["up", "--name", name, "--api-port", "0"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap());
    let begun = Instant::now();
    while !moment.is_reached(&topology) {
        assert_eq!(up.0.try_wait().unwrap(), None, "{moment:?} was not seen before the end");
        assert!(begun.elapsed() < PATIENCE, "{moment:?} is not reached");
        std::thread::sleep(Duration::from_millis(1));
    }
    drop(up);
    let running = |program: &str, word: &str| processes::find(program, word, &topology.state);
    for victim in
        [running("unshare", "init").first(), running("lab", "forward").first()].into_iter().flatten()
    {
        let _ = kill(*victim, Signal::SIGKILL);
    }
    Lab::down(&directory, name).unwrap();
    leftovers::none(&directory, name, &rules).unwrap_or_else(|error| panic!("{moment:?}: {error:#}"));
}

/// A lab that is removed also when the test fails.
struct Removed<'a>(&'a str);

impl Drop for Removed<'_> {
    fn drop(&mut self) {
        let _ = directory().and_then(|directory| Lab::down(&directory, self.0));
    }
}

/// A `lab up` under way; killed when dropped.
struct Up(Child);

impl Drop for Up {
    fn drop(&mut self) {
        let _ = kill(Pid::from_raw(i32::try_from(self.0.id()).unwrap()), Signal::SIGKILL);
        let _ = self.0.wait();
    }
}
