//! `kubectl run`: a pod from flags, with the terminal attached to it if wanted.

use std::time::Duration;

use serde_json::{Value, json};

use super::delete::Deletion;
use super::overrides;
use cli_runtime::change::{self, report, write_query};
use cli_runtime::cli::{Command, DryRun, Flag, Invocation, flag};
use cli_runtime::client::with_query;
use cli_runtime::error::{Error, Result};
use cli_runtime::resource::{Item, Session, core, pods};
use streams::{attach, logs};

/// Runs an image in a pod.
pub static COMMAND: Command = Command {
    name: "run",
    short: "Run a particular image on the cluster",
    long: "Create and run a particular image in a pod.",
    examples: "
# A pod
kubectl run web --image=nginx

# With a port, labels and environment
kubectl run web --image=nginx --port=80 --labels=app=web,env=prod --env=COLOUR=blue

# What would be created
kubectl run web --image=nginx --dry-run=client -o yaml

# A shell that is gone when it ends
kubectl run -it --rm shell --image=busybox --restart=Never -- sh

# A command instead of the image's own
kubectl run tick --image=busybox --command -- sleep 3600",
    usage: "run NAME --image=image [--env=\"key=value\"] [--port=port] [--dry-run=server|client] [--overrides=inline-json] [--command] -- [COMMAND] [args...]",
    flags: &[
        flag::FILES,
        flag::PRINT,
        flag::DRY_RUN,
        flag::SAVE_CONFIG,
        flag::DELETE,
        flag::POD_RUNNING_TIMEOUT,
        FLAGS,
    ],
    run: Some(|invocation| Box::pin(run(invocation))),
    ..Command::NONE
};

const FLAGS: &[Flag] = &[
    Flag::array("annotations", "Annotation of the pod (key=value)."),
    Flag::switch("attach", "Wait for the pod and attach to it; -i does so too."),
    Flag::switch("command", "The words after -- are the command, not its arguments."),
    Flag::array("env", "Environment variable of the container (key=value)."),
    Flag::switch("expose", "Create a service for the pod as well; needs --port."),
    Flag::manager("kubectl-run"),
    Flag::text("image", "", "The image to run."),
    Flag::text("image-pull-policy", "", "When to pull the image; left to the server if empty."),
    Flag::text("labels", "", "Labels of the pod, with commas between.").short('l'),
    Flag::switch("leave-stdin-open", "Leave standard input open after the first client detaches."),
    Flag::text("override-type", "merge", "How --overrides changes the object: json, merge or strategic."),
    Flag::text("overrides", "", "JSON that changes the object before it is sent."),
    Flag::text("port", "", "Port that the container exposes."),
    Flag::switch("privileged", "Run the container privileged."),
    Flag::switch("quiet", "Leave out prompts.").short('q'),
    Flag::text("restart", "Always", "Restart policy: Always, OnFailure or Never."),
    Flag::switch("rm", "Delete the pod when the attached session ends."),
    Flag::switch("stdin", "Keep the container's standard input open, and attach.").short('i'),
    Flag::switch("tty", "Give the container a terminal.").short('t'),
    Flag::switch("wait", "Wait until a deleted pod is gone."),
];

async fn run(invocation: Invocation) -> Result<()> {
    let Some(name) = invocation.args.first().filter(|_| invocation.dash_at != Some(0)) else {
        return Err(invocation.usage("NAME is required for run"));
    };
    invocation.require(&["image"])?;
    let dry_run = invocation.dry_run()?;
    let interactive = invocation.is("stdin");
    let attached = if invocation.changed("attach") {
        invocation.is("attach")
    } else {
        interactive || invocation.is("tty")
    };
    if invocation.is("rm") && !attached {
        return Err(Error::message("--rm should only be used for attached containers"));
    }
    if attached && dry_run != DryRun::None {
        return Err(Error::message(
            "--dry-run=[server|client] can't be used with attached containers options (--attach, --stdin, or --tty)",
        ));
    }
    if invocation.is("tty") && !interactive && !invocation.changed("stdin") {
        return Err(Error::message("-i/--stdin is required for containers with -t/--tty=true"));
    }
    if invocation.is("expose") && invocation.text("port").is_empty() {
        return Err(Error::message("--port must be set when exposing a service"));
    }
    if !matches!(invocation.text("restart"), "Always" | "OnFailure" | "Never") {
        return Err(Error::message(format!("invalid restart policy: {}", invocation.text("restart"))));
    }
    let session = Session::open(&invocation).await?;
    let mut pod = manifest(&invocation, name)?;
    if session.namespace_given {
        pod["metadata"]["namespace"] = session.namespace.clone().into();
    }
    pod = overrides::apply(&invocation, pod)?;
    let service = invocation.is("expose").then(|| service(&pod, invocation.text("port")));
    pod = change::created(&session, &invocation, &pods().path(Some(&session.namespace)), pod).await?;
    let mut made = Vec::new();
    if let Some(mut service) = service {
        if dry_run != DryRun::Client {
            let services = core("services", "service", "Service", true);
            let path =
                with_query(&services.path(Some(&session.namespace)), &write_query(&invocation, dry_run));
            service = session.client.post(&path, &service).await?;
            made.push(Item::of(services, service.clone()));
        }
        if !attached {
            report(&invocation, &service, "created")?;
        }
    }
    if !attached {
        return report(&invocation, &pod, "created");
    }
    made.push(Item::of(pods(), pod.clone()));
    let item = Item::of(pods(), pod);
    let interrupted = tokio::signal::ctrl_c();
    let ended = tokio::select! {
        ended = attached_session(&session, &invocation, item) => ended,
        _ = interrupted => Err(Error::Exit(130, String::new())),
    };
    if invocation.is("rm") {
        remove(&session, &invocation, &made).await?;
    }
    ended
}

async fn remove(session: &Session, invocation: &Invocation, made: &[Item]) -> Result<()> {
    let mut deletion = Deletion::from_flags(invocation, DryRun::None)?;
    deletion.names_only = false;
    deletion.quiet = invocation.is("quiet");
    for item in made {
        match deletion.delete(session, item).await {
            Err(error) if !error.is_not_found() => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

async fn attached_session(session: &Session, invocation: &Invocation, pod: Item) -> Result<()> {
    let container = pod.object["spec"]["containers"][0]["name"].as_str().unwrap_or("").to_string();
    let timeout = invocation.duration("pod-running-timeout");
    let running = wait_for(session, &pod, timeout, started).await?;
    let mut printed = true;
    if ended(&running.object) {
        logs::follow(session, &running, &container).await?;
    } else {
        let quiet = invocation.is("quiet");
        let joined = attach::attach(
            session,
            &running,
            &container,
            invocation.is("stdin"),
            invocation.is("tty"),
            quiet,
        )
        .await;
        match joined {
            Ok(some) => printed = some,
            Err(Error::Exit(..)) => {}
            Err(error) => {
                errln!(
                    "warning: couldn't attach to pod/{}, falling back to streaming logs: {error}",
                    pod.name
                );
                logs::follow(session, &running, &container).await?;
            }
        }
    }
    if invocation.text("restart") == "Always" || invocation.is("leave-stdin-open") {
        return Ok(());
    }
    let last = wait_for(session, &pod, timeout, ended).await?;
    if !printed {
        // A process that ends within milliseconds is gone before anybody is attached; its log has what it said.
        logs::follow(session, &last, &container).await?;
    }
    exit_code(&last)
}

/// What a pod's end means for the exit code.
fn exit_code(pod: &Item) -> Result<()> {
    if pod.object["status"]["phase"] != "Failed" {
        return Ok(());
    }
    let namespace = pod.namespace.as_deref().unwrap_or("");
    let state = &pod.object["status"]["containerStatuses"][0]["state"]["terminated"];
    match state["exitCode"].as_u64() {
        Some(code) if code > 0 => Err(Error::Exit(
            u8::try_from(code).unwrap_or(1),
            format!(
                "pod {namespace}/{} terminated ({})\n{}",
                pod.name,
                state["reason"].as_str().unwrap_or(""),
                state["message"].as_str().unwrap_or("")
            ),
        )),
        _ => Err(Error::message(format!("pod {namespace}/{} failed with unknown exit code", pod.name))),
    }
}

fn ended(pod: &Value) -> bool {
    matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"))
}

/// Running with a container that can be attached to, or at its end already.
fn started(pod: &Value) -> bool {
    let running = pod["status"]["containerStatuses"]
        .as_array()
        .is_some_and(|statuses| statuses.iter().any(|status| !status["state"]["running"].is_null()));
    ended(pod) || (pod["status"]["phase"] == "Running" && running)
}

/// Waits by watch until a pod is as wanted.
pub async fn wait_for(
    session: &Session,
    pod: &Item,
    timeout: Duration,
    test: fn(&Value) -> bool,
) -> Result<Item> {
    let waiting = async {
        loop {
            let object = session.client.get(&pod.path()).await?;
            if test(&object) {
                return Ok(Item { object, ..pod.clone() });
            }
            let field = format!("metadata.name={}", pod.name);
            let version = object["metadata"]["resourceVersion"].as_str().unwrap_or("").to_string();
            let query = [("fieldSelector", field.as_str()), ("resourceVersion", &version), ("watch", "true")];
            let mut watch =
                session.client.watch(&with_query(&pod.collection(), &query), "application/json").await?;
            while let Ok(Some((kind, object))) = watch.next().await {
                if kind == "DELETED" {
                    return Err(Error::message(format!("pods \"{}\" not found", pod.name)));
                }
                if test(&object) {
                    return Ok(Item { object, ..pod.clone() });
                }
            }
        }
    };
    tokio::time::timeout(timeout, waiting)
        .await
        .unwrap_or_else(|_| Err(Error::message("timed out waiting for the condition")))
}

fn manifest(invocation: &Invocation, name: &str) -> Result<Value> {
    let mut labels = json!({});
    for pair in invocation.text("labels").split(',').filter(|pair| !pair.is_empty()) {
        let (key, value) =
            pair.split_once('=').ok_or_else(|| Error::message(format!("unexpected label spec: {pair}")))?;
        labels[key] = value.into();
    }
    if invocation.text("labels").is_empty() {
        labels["run"] = name.into();
    }
    let mut container = json!({"name": name, "image": invocation.text("image"), "resources": {}});
    let words = &invocation.args[1..];
    if !words.is_empty() {
        container[if invocation.is("command") { "command" } else { "args" }] = words.into();
    }
    let port = invocation.text("port");
    if !port.is_empty() {
        let number: u16 = port
            .parse()
            .map_err(|_| Error::message(format!("strconv.ParseInt: parsing \"{port}\": invalid syntax")))?;
        container["ports"] = json!([{"containerPort": number}]);
    }
    if !invocation.list("env").is_empty() {
        container["env"] = environment(invocation.list("env"))?.into();
    }
    if !invocation.text("image-pull-policy").is_empty() {
        container["imagePullPolicy"] = invocation.text("image-pull-policy").into();
    }
    if invocation.is("privileged") {
        container["securityContext"] = json!({"privileged": true});
    }
    if invocation.is("stdin") {
        container["stdin"] = true.into();
        if !invocation.is("leave-stdin-open") {
            container["stdinOnce"] = true.into();
        }
    }
    if invocation.is("tty") {
        container["tty"] = true.into();
    }
    let mut pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels},
        "spec": {"containers": [container], "dnsPolicy": "ClusterFirst", "restartPolicy": invocation.text("restart")},
        "status": {},
    });
    for pair in invocation.list("annotations") {
        let (key, value) = pair
            .split_once('=')
            .ok_or_else(|| Error::message(format!("unexpected annotation spec: {pair}")))?;
        pod["metadata"]["annotations"][key] = value.into();
    }
    Ok(pod)
}

/// `NAME=value` words as environment variables.
pub fn environment(words: &[String]) -> Result<Vec<Value>> {
    words
        .iter()
        .map(|word| match word.split_once('=') {
            Some((name, value)) if !name.is_empty() => Ok(json!({"name": name, "value": value})),
            _ => Err(Error::message(format!("invalid env: {word}"))),
        })
        .collect()
}

fn service(pod: &Value, port: &str) -> Value {
    let mut metadata = json!({"name": pod["metadata"]["name"]});
    if !pod["metadata"]["namespace"].is_null() {
        metadata["namespace"] = pod["metadata"]["namespace"].clone();
    }
    let port: u16 = port.parse().unwrap_or_default();
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": metadata,
        "spec": {"ports": [{"port": port, "protocol": "TCP", "targetPort": port}], "selector": pod["metadata"]["labels"]},
        "status": {"loadBalancer": {}},
    })
}
