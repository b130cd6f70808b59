//! `kubectl logs`.

use std::io::Write;

use futures::stream::{FuturesUnordered, StreamExt};
use serde_json::Value;

use crate::stream;
use cli_runtime::cli::{Command, Flag, Invocation, flag};
use cli_runtime::client::{escape, with_query};
use cli_runtime::error::{Error, Result};
use cli_runtime::resource::{Item, Session, pods};

/// Prints containers' logs.
pub static COMMAND: Command = Command {
    name: "logs",
    short: "Print the logs for a container in a pod",
    long: "Print the logs for a container in a pod or specified resource.\n\nA pod with one container needs no container name.",
    examples: "
# What the pod has written, and what it goes on to write
kubectl logs -f web

# What the container wrote before it was restarted
kubectl logs -p -c app web

# The last lines of all pods with a label
kubectl logs -l app=web --all-containers --tail=20

# The last hour
kubectl logs --since=1h web",
    usage: "logs [-f] [-p] (POD | TYPE/NAME) [-c CONTAINER]",
    flags: &[FLAGS, flag::SELECTOR],
    run: Some(|invocation| Box::pin(run(invocation))),
    ..Command::NONE
};

const FLAGS: &[Flag] = &[
    Flag::switch("all-containers", "Logs of all containers of the pod."),
    Flag::switch("all-pods", "Logs of all pods of the object."),
    Flag::text("container", "", "Logs of this container.").short('c'),
    Flag::switch("follow", "Go on as more is written.").short('f'),
    Flag::switch("ignore-errors", "Go on with the other logs when one fails."),
    Flag::switch("insecure-skip-tls-verify-backend", "Let the server not check the kubelet's certificate."),
    Flag::int("limit-bytes", "0", "At most this many bytes; zero means all."),
    Flag::int("max-log-requests", "5", "How many logs may be followed at once."),
    Flag::duration("pod-running-timeout", "20s", "How long to wait for at least one pod to run."),
    Flag::switch("prefix", "Begin each line with where it comes from."),
    Flag::switch("previous", "Log of the container before its last restart.").short('p'),
    Flag::duration("since", "0s", "What was written in this time (5s, 2m, 3h)."),
    Flag::text("since-time", "", "What was written since this time (RFC3339)."),
    Flag::int("tail", "-1", "This many last lines; -1 means all, and 10 where a selector is used."),
    Flag::switch("timestamps", "Begin each line with its time."),
];

struct Source {
    path: String,
    prefix: String,
}

async fn run(invocation: Invocation) -> Result<()> {
    let selector = invocation.text("selector");
    if invocation.args.is_empty() && selector.is_empty() {
        return Err(invocation.usage("expected 'logs [-f] [-p] (POD | TYPE/NAME) [-c CONTAINER]'.\nPOD or TYPE/NAME is a required argument for the logs command"));
    }
    if !invocation.args.is_empty() && !selector.is_empty() {
        return Err(invocation.usage("only a selector (-l) or a POD name is allowed"));
    }
    if invocation.changed("since") && invocation.changed("since-time") {
        return Err(Error::message("at most one of `sinceTime` or `sinceSeconds` may be specified"));
    }
    if invocation.changed("container") && invocation.is("all-containers") {
        return Err(Error::message("--all-containers=true should not be specified with container name"));
    }
    if invocation.changed("tail") && invocation.int("tail") < -1 {
        return Err(Error::message("--tail must be greater than or equal to -1"));
    }
    let session = Session::open(&invocation).await?;
    let mut container = invocation.text("container").to_string();
    let found = if !selector.is_empty() {
        session.list(&pods(), Some(&session.namespace), selector, "").await?
    } else {
        if let Some(second) = invocation.args.get(1) {
            if invocation.args.len() > 2 || invocation.changed("container") {
                return Err(invocation.usage("only one of -c or an inline [CONTAINER] arg is allowed"));
            }
            container.clone_from(second);
        }
        let word = &invocation.args[0];
        let mut found = session.pods_of(word).await.map_err(|error| match &error {
            Error::Server { status, .. } if error.is_not_found() => Error::message(format!(
                "error from server (NotFound): {} in namespace \"{}\"",
                status["message"].as_str().unwrap_or(""),
                session.namespace
            )),
            _ => error,
        })?;
        if found.is_empty() {
            return Err(Error::message(format!("no pods found for {word}")));
        }
        if !invocation.is("all-pods") {
            if found.len() > 1 {
                errln!("Found {} pods, using pod/{}", found.len(), found[0].name);
            }
            found.truncate(1);
        }
        found
    };
    if found.is_empty() {
        errln!("No resources found in {} namespace.", session.namespace);
        return Ok(());
    }
    let mut sources = Vec::new();
    for pod in &found {
        let names = match invocation.is("all-containers") {
            true => all_containers(&pod.object),
            false => vec![stream::container(&pod.object, &container, false)?],
        };
        for name in names {
            sources.push(Source {
                path: log_path(&invocation, pod, &name),
                prefix: match invocation.is("prefix") {
                    true => format!("[pod/{}/{name}] ", pod.name),
                    false => String::new(),
                },
            });
        }
    }
    if invocation.is("follow") && sources.len() > 1 {
        let most = invocation.int("max-log-requests").max(0) as usize;
        if sources.len() > most {
            return Err(Error::message(format!(
                "you are attempting to follow {} log streams, but maximum allowed concurrency is {most}, use --max-log-requests to increase the limit",
                sources.len()
            )));
        }
        let mut running: FuturesUnordered<_> =
            sources.iter().map(|source| print(&session, source, true)).collect();
        while let Some(ended) = running.next().await {
            settle(ended, invocation.is("ignore-errors"))?;
        }
        return Ok(());
    }
    for source in &sources {
        let by_line = !source.prefix.is_empty();
        settle(print(&session, source, by_line).await, invocation.is("ignore-errors"))?;
    }
    Ok(())
}

fn settle(ended: Result<()>, ignore: bool) -> Result<()> {
    match ended {
        Err(error) if ignore => {
            errln!("{}", error.text());
            Ok(())
        }
        other => other,
    }
}

fn all_containers(pod: &Value) -> Vec<String> {
    ["initContainers", "containers", "ephemeralContainers"]
        .iter()
        .flat_map(|field| pod["spec"][field].as_array().into_iter().flatten())
        .filter_map(|container| container["name"].as_str().map(str::to_string))
        .collect()
}

fn log_path(invocation: &Invocation, pod: &Item, container: &str) -> String {
    let on = |flag: &str| if invocation.is(flag) { "true" } else { "" };
    let number = |number: i64, wanted: bool| if wanted { number.to_string() } else { String::new() };
    let tail = match invocation.changed("tail") {
        true => number(invocation.int("tail"), invocation.int("tail") >= 0),
        false => number(10, !invocation.text("selector").is_empty()),
    };
    // A part of a second still asks for a second.
    let since = (invocation.duration("since").as_millis() as i64 + 999) / 1000;
    with_query(
        &format!("{}/log?container={}", pod.path(), escape(container)),
        &[
            ("follow", on("follow")),
            ("insecureSkipTLSVerifyBackend", on("insecure-skip-tls-verify-backend")),
            ("limitBytes", &number(invocation.int("limit-bytes"), invocation.int("limit-bytes") > 0)),
            ("previous", on("previous")),
            ("sinceSeconds", &number(since, since > 0)),
            ("sinceTime", invocation.text("since-time")),
            ("tailLines", &tail),
            ("timestamps", on("timestamps")),
        ],
    )
}

/// Prints one log; by line where lines of several logs may mix.
async fn print(session: &Session, source: &Source, by_line: bool) -> Result<()> {
    let mut lines = session.client.lines(&source.path).await?;
    while let Some(bytes) = if by_line { lines.line().await? } else { lines.piece().await? } {
        if !source.prefix.is_empty() {
            cli_runtime::out::bytes(source.prefix.as_bytes());
        }
        cli_runtime::out::bytes(&bytes);
    }
    let _ = std::io::stdout().flush();
    Ok(())
}

/// Follows a container's log, as a fallback for attaching.
pub async fn follow(session: &Session, pod: &Item, container: &str) -> Result<()> {
    let path =
        with_query(&format!("{}/log?container={}", pod.path(), escape(container)), &[("follow", "true")]);
    print(session, &Source { path, prefix: String::new() }, false).await
}
