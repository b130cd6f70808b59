//! `kubectl debug`: an ephemeral container in a pod, a copy of a pod, or a pod on a node.

use apimachinery::object::ObjectExt;
use serde_json::{Value, json};

use super::run::environment;
use cli_runtime::cli::{Command, Flag, Invocation};
use cli_runtime::client::STRATEGIC;
use cli_runtime::error::{Error, Result};
use cli_runtime::resource::{Item, Session, pods};
use streams::{attach, logs};

/// Starts debugging sessions.
pub static COMMAND: Command = Command {
    name: "debug",
    short: "Create debugging sessions for troubleshooting workloads and nodes",
    long: "Debug cluster resources using interactive debugging containers.\n\nFor a pod, a container is added to it, or to a copy of it; for a node, a pod in the node's namespaces, with its files under /host.",
    examples: "
# A shell beside a running container
kubectl debug web -it --image=busybox --target=nginx

# A copy of a pod with another image
kubectl debug web --copy-to=web-debug --set-image=*=busybox

# A shell on a node
kubectl debug node/w1-k8s -it --image=busybox",
    usage: "debug (POD | TYPE[[.VERSION].GROUP]/NAME) [ -- COMMAND [args...] ]",
    flags: &[FLAGS],
    run: Some(|invocation| Box::pin(run(invocation))),
    ..Command::NONE
};

const FLAGS: &[Flag] = &[
    Flag::switch("arguments-only", "The words after -- are arguments, not the command."),
    Flag::switch("attach", "Wait for the container and attach to it; -i does so too."),
    Flag::text("container", "", "Name of the debugging container.").short('c'),
    Flag::text("copy-to", "", "Make a copy of the pod under this name."),
    Flag::array("env", "Environment variable of the container (key=value)."),
    Flag::text("image", "", "Image of the debugging container."),
    Flag::text("image-pull-policy", "", "When to pull the image."),
    Flag::text("profile", "general", "One of general, baseline, restricted, netadmin or sysadmin."),
    Flag::switch("quiet", "Leave out messages.").short('q'),
    Flag::switch("replace", "With --copy-to, delete the original pod."),
    Flag::switch("same-node", "With --copy-to, put the copy on the same node."),
    Flag::list("set-image", "With --copy-to, change images (name=image)."),
    Flag::bool("share-processes", "true", "With --copy-to, let containers see each other's processes."),
    Flag::switch("stdin", "Keep standard input open, and attach.").short('i'),
    Flag::text("target", "", "Container whose processes the debugging container sees."),
    Flag::switch("tty", "Give the container a terminal.").short('t'),
];

async fn run(invocation: Invocation) -> Result<()> {
    let before = invocation.dash_at.unwrap_or(invocation.args.len());
    let [word] = &invocation.args[..before] else {
        return Err(Error::message("NAME or TYPE/NAME is required for debug"));
    };
    let copies = !invocation.text("copy-to").is_empty();
    if invocation.text("image").is_empty() && !(copies && invocation.changed("set-image")) {
        return Err(Error::message("you must specify --image when not using --copy-to or --set-image"));
    }
    let session = Session::open(&invocation).await?;
    let suffix = suffix();
    let node = word.strip_prefix("node/").or_else(|| word.strip_prefix("nodes/"));
    let name = match invocation.text("container") {
        "" => format!("debugger-{suffix}"),
        name => name.to_string(),
    };
    let container = container(&invocation, &name, &invocation.args[before..])?;
    let (pod, name) = if let Some(node) = node {
        let pod = node_pod(&invocation, node, &suffix, container)?;
        let object = session.client.post(&pods().path(Some(&session.namespace)), &pod).await?;
        if !invocation.is("quiet") {
            errln!("Creating debugging pod {} with container debugger on node {node}.", object.name());
        }
        (Item::of(pods(), object), "debugger".to_string())
    } else if copies {
        let original = session.pod_of(word).await?;
        let (copy, attached) = copy(&invocation, &original.object, container)?;
        let object = session.client.post(&pods().path(Some(&session.namespace)), &copy).await?;
        if invocation.is("replace") {
            session.client.delete(&original.path(), &json!({})).await?;
        }
        (Item::of(pods(), object), attached)
    } else {
        let pod = session.pod_of(word).await?;
        if !invocation.text("target").is_empty() && !invocation.is("quiet") {
            errln!(
                "Targeting container \"{}\". If you don't see processes from this container it may be because the container runtime doesn't support this feature.",
                invocation.text("target")
            );
        }
        if invocation.text("container").is_empty() && !invocation.is("quiet") {
            errln!("Defaulting debug container name to {name}.");
        }
        let patch = json!({"spec": {"ephemeralContainers": [container]}});
        let object =
            session.client.patch(&format!("{}/ephemeralcontainers", pod.path()), STRATEGIC, &patch).await?;
        (Item { object, ..pod }, name)
    };
    let attached =
        if invocation.changed("attach") { invocation.is("attach") } else { invocation.is("stdin") };
    if !attached {
        return Ok(());
    }
    let wanted = name.clone();
    let running = super::wait::until(&session, &pod, std::time::Duration::from_secs(300), move |object| {
        ["containerStatuses", "ephemeralContainerStatuses"]
            .iter()
            .flat_map(|list| object.list_at(&["status", list]))
            .any(|status| {
                status["name"] == wanted.as_str()
                    && (status["state"]["running"].is_object() || status["state"]["terminated"].is_object())
            })
    })
    .await?;
    let pod = Item { object: running, ..pod };
    let ended = pod
        .object
        .list_at(&["status", "ephemeralContainerStatuses"])
        .iter()
        .any(|status| status["name"] == name.as_str() && status["state"]["terminated"].is_object());
    if ended {
        return logs::follow(&session, &pod, &name).await;
    }
    attach::attach(
        &session,
        &pod,
        &name,
        invocation.is("stdin"),
        invocation.is("tty"),
        invocation.is("quiet"),
    )
    .await
    .map(drop)
}

/// Five letters that make a name unlikely to be taken.
fn suffix() -> String {
    const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let mut seed = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |age| age.as_nanos() as u64);
    seed ^= u64::from(std::process::id()) << 32;
    (0..5)
        .map(|_| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            char::from(LETTERS[(seed >> 33) as usize % LETTERS.len()])
        })
        .collect()
}

fn container(invocation: &Invocation, name: &str, words: &[String]) -> Result<Value> {
    let mut container =
        json!({"name": name, "image": invocation.text("image"), "terminationMessagePolicy": "File"});
    if !words.is_empty() {
        container[if invocation.is("arguments-only") { "args" } else { "command" }] = words.into();
    }
    if !invocation.list("env").is_empty() {
        container["env"] = environment(invocation.list("env"))?.into();
    }
    if !invocation.text("image-pull-policy").is_empty() {
        container["imagePullPolicy"] = invocation.text("image-pull-policy").into();
    }
    for flag in ["stdin", "tty"] {
        if invocation.is(flag) {
            container[flag] = true.into();
        }
    }
    if !invocation.text("target").is_empty() {
        container["targetContainerName"] = invocation.text("target").into();
    }
    let security = match invocation.text("profile") {
        "general" => json!({"capabilities": {"add": ["SYS_PTRACE"]}}),
        "netadmin" => json!({"capabilities": {"add": ["NET_ADMIN", "NET_RAW"]}}),
        "sysadmin" => json!({"privileged": true}),
        "restricted" => {
            json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}, "runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}})
        }
        "baseline" | "legacy" => Value::Null,
        other => return Err(Error::message(format!("unknown profile: {other}"))),
    };
    if security.is_object() {
        container["securityContext"] = security;
    }
    Ok(container)
}

fn node_pod(invocation: &Invocation, node: &str, suffix: &str, mut container: Value) -> Result<Value> {
    container["name"] = "debugger".into();
    container["volumeMounts"] = json!([{"mountPath": "/host", "name": "host-root"}]);
    if let Some(fields) = container.as_object_mut() {
        fields.remove("targetContainerName");
        if invocation.text("profile") == "general" {
            fields.remove("securityContext");
        }
    }
    let short: String = node.chars().take(40).collect();
    Ok(json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": format!("node-debugger-{short}-{suffix}"), "labels": {"app.kubernetes.io/managed-by": "kubectl-debug"}},
        "spec": {
            "containers": [container], "hostIPC": true, "hostNetwork": true, "hostPID": true, "nodeName": node,
            "restartPolicy": "Never", "tolerations": [{"operator": "Exists"}],
            "volumes": [{"name": "host-root", "hostPath": {"path": "/"}}],
        },
    }))
}

fn copy(invocation: &Invocation, original: &Value, container: Value) -> Result<(Value, String)> {
    let mut spec = original["spec"].clone();
    if let Some(fields) = spec.as_object_mut() {
        fields.remove("ephemeralContainers");
        if !invocation.is("same-node") {
            fields.remove("nodeName");
        }
    }
    if invocation.is("share-processes") {
        spec["shareProcessNamespace"] = true.into();
    }
    for change in invocation.list("set-image") {
        let (wanted, image) =
            change.split_once('=').ok_or_else(|| Error::message(format!("invalid --set-image: {change}")))?;
        for known in spec["containers"].as_array_mut().into_iter().flatten() {
            if wanted == "*" || known["name"] == wanted {
                known["image"] = image.into();
            }
        }
    }
    for known in spec["containers"].as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
        known.retain(|field, _| {
            !matches!(field.as_str(), "livenessProbe" | "readinessProbe" | "startupProbe")
        });
    }
    let mut attached = original["spec"]["containers"][0]["name"].as_str().unwrap_or("").to_string();
    if !invocation.text("image").is_empty() {
        attached = container["name"].as_str().unwrap_or("").to_string();
        if let Some(containers) = spec["containers"].as_array_mut() {
            match containers.iter_mut().find(|known| known["name"] == container["name"]) {
                Some(known) => known["image"] = container["image"].clone(),
                None => containers.push(container),
            }
        }
    }
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": invocation.text("copy-to")}, "spec": spec});
    Ok((pod, attached))
}
