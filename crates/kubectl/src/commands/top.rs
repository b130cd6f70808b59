//! `kubectl top node|pod`: use of processor and memory, from the metrics API.

use std::collections::BTreeMap;

use apimachinery::object::ObjectExt;
use apimachinery::quantity::Quantity;
use apimachinery::time;
use serde_json::Value;

use cli_runtime::cli::{Command, Flag, Invocation, flag};
use cli_runtime::client::with_query;
use cli_runtime::error::{Error, Result};
use cli_runtime::resource::Session;
use formats::tabwriter;

/// Shows use of resources.
pub static COMMAND: Command = Command {
    name: "top",
    short: "Display resource (CPU/memory) usage",
    long: "Display resource (CPU/memory) usage.\n\nThe cluster must serve the metrics API.",
    usage: "top [flags]",
    subcommands: &[&NODE, &POD],
    ..Command::NONE
};

static NODE: Command = Command {
    name: "node",
    aliases: &["nodes", "no"],
    short: "Display resource (CPU/memory) usage of nodes",
    examples: "
# All nodes
kubectl top node",
    usage: "node [NAME | -l label]",
    flags: &[
        flag::SELECTOR,
        COMMON,
        &[Flag::switch("show-capacity", "Compare with the nodes' capacity instead of what pods can get.")],
    ],
    run: Some(|invocation| Box::pin(nodes(invocation))),
    ..Command::NONE
};

static POD: Command = Command {
    name: "pod",
    aliases: &["pods", "po"],
    short: "Display resource (CPU/memory) usage of pods",
    examples: "
# Pods of the namespace
kubectl top pod

# By container
kubectl top pod web --containers",
    usage: "pod [NAME | -l label]",
    flags: &[
        flag::SELECTOR,
        flag::FIELD_SELECTOR,
        flag::ALL_NAMESPACES,
        COMMON,
        &[
            Flag::switch("containers", "Show containers."),
            Flag::switch("sum", "Show the sum as the last line."),
        ],
    ],
    run: Some(|invocation| Box::pin(pods(invocation))),
    ..Command::NONE
};

const COMMON: &[Flag] = &[
    Flag::switch("no-headers", "Leave out the headers."),
    Flag::text("sort-by", "", "Sort by cpu or memory."),
    Flag::bool("use-protocol-buffers", "true", "Accepted for compatibility."),
];

const METRICS: &str = "/apis/metrics.k8s.io/v1beta1";

async fn metrics(session: &Session, invocation: &Invocation, path: &str) -> Result<Vec<Value>> {
    let path = match invocation.args.as_slice() {
        [] => path.to_string(),
        [name] => format!("{path}/{name}"),
        _ => return Err(invocation.usage(format!("unexpected arguments: {:?}", invocation.args))),
    };
    if !matches!(invocation.text("sort-by"), "" | "cpu" | "memory") {
        return Err(Error::message("--sort-by accepts only cpu or memory"));
    }
    let query = [
        ("labelSelector", invocation.text("selector")),
        ("fieldSelector", invocation.text("field-selector")),
    ];
    let reply = session.client.get(&with_query(&path, &query)).await.map_err(|error| match error.code() {
        404 if invocation.args.is_empty() => Error::message("Metrics API not available"),
        503 => Error::message("Metrics API not available"),
        _ => error,
    })?;
    Ok(match reply["items"].as_array() {
        Some(items) => items.clone(),
        None => vec![reply],
    })
}

#[derive(Clone, Copy, Default)]
struct Use {
    milli_cpu: i64,
    memory: i64,
}

impl Use {
    fn of(usage: &Value) -> Self {
        let quantity = |name: &str| usage[name].as_str().and_then(|text| text.parse::<Quantity>().ok());
        Self {
            milli_cpu: quantity("cpu").map_or(0, |cpu| cpu.milli_value()),
            memory: quantity("memory").map_or(0, |memory| memory.value()),
        }
    }

    fn cells(self) -> String {
        format!("{}m\t{}Mi", self.milli_cpu, self.memory / (1 << 20))
    }

    fn add(&mut self, other: Self) {
        self.milli_cpu += other.milli_cpu;
        self.memory += other.memory;
    }

    fn key(self, by: &str) -> i64 {
        -if by == "cpu" { self.milli_cpu } else { self.memory }
    }
}

async fn nodes(invocation: Invocation) -> Result<()> {
    let session = Session::open(&invocation).await?;
    let mut found = metrics(&session, &invocation, &format!("{METRICS}/nodes")).await?;
    let query = [("labelSelector", invocation.text("selector"))];
    let list = session.client.get(&with_query("/api/v1/nodes", &query)).await?;
    if found.is_empty() {
        return Err(Error::message("metrics not available yet"));
    }
    let field = if invocation.is("show-capacity") { "capacity" } else { "allocatable" };
    let available: BTreeMap<&str, Use> =
        list.list_at(&["items"]).iter().map(|node| (node.name(), Use::of(&node["status"][field]))).collect();
    let by = invocation.text("sort-by");
    found.sort_by_key(|node| {
        (if by.is_empty() { 0 } else { Use::of(&node["usage"]).key(by) }, node.name().to_string())
    });
    let mut text = String::new();
    if !invocation.is("no-headers") {
        text.push_str("NAME\tCPU(cores)\tCPU(%)\tMEMORY(bytes)\tMEMORY(%)\n");
    }
    for node in &found {
        let used = Use::of(&node["usage"]);
        let of = available.get(node.name()).copied().unwrap_or_default();
        let percent =
            |used: i64, of: i64| if of > 0 { format!("{}%", used * 100 / of) } else { "<unknown>".into() };
        text.push_str(&format!(
            "{}\t{}m\t{}\t{}Mi\t{}\n",
            node.name(),
            used.milli_cpu,
            percent(used.milli_cpu, of.milli_cpu),
            used.memory / (1 << 20),
            percent(used.memory, of.memory)
        ));
    }
    // Nodes that nothing was measured of yet.
    let all = invocation.args.is_empty();
    for name in available.keys().filter(|name| all && !found.iter().any(|node| node.name() == **name)) {
        text.push_str(&format!("{name}\t<unknown>\t<unknown>\t<unknown>\t<unknown>\n"));
    }
    out!("{}", tabwriter::align(&text, tabwriter::TABLE));
    Ok(())
}

/// How long a new pod may be without metrics before that is worth an error, as upstream.
const METRICS_DELAY: i64 = 120;

/// Says which pod should have been measured by now, if any.
async fn unmeasured(session: &Session, invocation: &Invocation) -> Result<()> {
    let path = match session.scope(invocation) {
        Some(namespace) => format!("/api/v1/namespaces/{namespace}/pods"),
        None => "/api/v1/pods".to_string(),
    };
    let query = [
        ("labelSelector", invocation.text("selector")),
        ("fieldSelector", invocation.text("field-selector")),
    ];
    let list = session.client.get(&with_query(&path, &query)).await?;
    let now = jiff::Timestamp::now();
    for pod in list.list_at(&["items"]) {
        let Some(created) = time::parse(pod.creation_timestamp()) else { continue };
        let age = now.as_second() - created.as_second();
        if age > METRICS_DELAY {
            let age = time::format_go_duration(age.saturating_mul(1_000_000_000));
            let (namespace, name) = (pod.namespace(), pod.name());
            return Err(Error::message(format!(
                "Metrics not available for pod {namespace}/{name}, age: {age}"
            )));
        }
    }
    Ok(())
}

async fn pods(invocation: Invocation) -> Result<()> {
    let session = Session::open(&invocation).await?;
    let path = match session.scope(&invocation) {
        Some(namespace) => format!("{METRICS}/namespaces/{namespace}/pods"),
        None => format!("{METRICS}/pods"),
    };
    let mut found = metrics(&session, &invocation, &path).await?;
    if found.is_empty() {
        unmeasured(&session, &invocation).await?;
        match invocation.is("all-namespaces") {
            true => errln!("No resources found"),
            false => errln!("No resources found in {} namespace.", session.namespace),
        }
        return Ok(());
    }
    let sum = |pod: &Value| {
        let mut total = Use::default();
        pod.list_at(&["containers"]).iter().for_each(|container| total.add(Use::of(&container["usage"])));
        total
    };
    let by = invocation.text("sort-by");
    found.sort_by_key(|pod| {
        (
            if by.is_empty() { 0 } else { sum(pod).key(by) },
            pod.namespace().to_string(),
            pod.name().to_string(),
        )
    });
    let all = invocation.is("all-namespaces");
    let containers = invocation.is("containers");
    let mut text = String::new();
    if !invocation.is("no-headers") {
        text.push_str(if all { "NAMESPACE\t" } else { "" });
        text.push_str(if containers { "POD\tNAME\t" } else { "NAME\t" });
        text.push_str("CPU(cores)\tMEMORY(bytes)\n");
    }
    let mut total = Use::default();
    for pod in &found {
        let namespace = if all { format!("{}\t", pod.namespace()) } else { String::new() };
        total.add(sum(pod));
        if containers {
            let mut measured: Vec<&Value> = pod.list_at(&["containers"]).iter().collect();
            measured.sort_by_key(|container| {
                let key = if by.is_empty() { 0 } else { Use::of(&container["usage"]).key(by) };
                (key, container["name"].as_str().unwrap_or("").to_string())
            });
            for container in measured {
                let used = Use::of(&container["usage"]);
                text.push_str(&format!(
                    "{namespace}{}\t{}\t{}\n",
                    pod.name(),
                    container["name"].as_str().unwrap_or(""),
                    used.cells()
                ));
            }
        } else {
            text.push_str(&format!("{namespace}{}\t{}\n", pod.name(), sum(pod).cells()));
        }
    }
    if invocation.is("sum") {
        let lead = "\t".repeat(usize::from(all) + usize::from(containers));
        text.push_str(&format!("{lead}\t________\t________\n{lead}\t{}\n", total.cells()));
    }
    out!("{}", tabwriter::align(&text, tabwriter::TABLE));
    Ok(())
}
