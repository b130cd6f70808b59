//! `kubectl attach`, and attaching to a pod that was just made.

use apimachinery::object::ObjectExt;
use serde_json::Value;

use crate::stream::{self, Streams};
use cli_runtime::cli::{Command, Flag, Invocation, flag};
use cli_runtime::client::{escape, with_query};
use cli_runtime::error::{Error, Result};
use cli_runtime::resource::{Item, Session};

/// Attaches to a running container.
pub static COMMAND: Command = Command {
    name: "attach",
    short: "Attach to a running container",
    examples: "
# Output of a running pod
kubectl attach web

# Its shell
kubectl attach web -c shell -it",
    usage: "attach (POD | TYPE/NAME) -c CONTAINER",
    flags: &[FLAGS, flag::POD_RUNNING_TIMEOUT],
    run: Some(|invocation| Box::pin(run(invocation))),
    ..Command::NONE
};

const FLAGS: &[Flag] = &[
    Flag::text("container", "", "Container; the default one, or the first, if not given.").short('c'),
    Flag::switch("quiet", "Print the process's output only.").short('q'),
    Flag::switch("stdin", "Send standard input to the process.").short('i'),
    Flag::switch("tty", "Standard input is a terminal.").short('t'),
];

async fn run(invocation: Invocation) -> Result<()> {
    let [word] = invocation.args.as_slice() else {
        return Err(Error::message(match invocation.args.len() {
            0 => "at least 1 argument is required for attach".to_string(),
            count => format!("expected POD, TYPE/NAME, or TYPE NAME, (at most 2 arguments) saw {count}"),
        }));
    };
    let session = Session::open(&invocation).await?;
    let pod = session.pod_of(word).await?;
    let phase = pod.object["status"]["phase"].as_str().unwrap_or("");
    if matches!(phase, "Succeeded" | "Failed") {
        return Err(Error::message(format!(
            "cannot attach a container in a completed pod; current phase is {phase}"
        )));
    }
    let quiet = invocation.is("quiet");
    let container = stream::container(&pod.object, invocation.text("container"), quiet)?;
    attach(&session, &pod, &container, invocation.is("stdin"), invocation.is("tty"), quiet).await.map(drop)
}

/// Joins the terminal to a container's process. Says whether that printed anything.
pub async fn attach(
    session: &Session,
    pod: &Item,
    name: &str,
    stdin: bool,
    tty: bool,
    quiet: bool,
) -> Result<bool> {
    let all = ["containers", "initContainers", "ephemeralContainers"];
    let container = all
        .iter()
        .flat_map(|field| pod.object["spec"][field].as_array().into_iter().flatten())
        .find(|container| container["name"] == name)
        .unwrap_or(&Value::Null);
    let mut streams = Streams::checked(stdin, tty, quiet);
    if streams.tty && container["tty"] != true {
        streams.tty = false;
        if !quiet {
            errln!("error: Unable to use a TTY - container {name} did not allocate one");
        }
    } else if !streams.tty && container["tty"] == true {
        // The kubelet sends one stream only for such a container.
        streams.tty = stdin && std::io::IsTerminal::is_terminal(&std::io::stdin());
        if !streams.tty {
            let path = format!("{}/attach?container={}", pod.path(), escape(name));
            let query = Streams { tty: true, ..streams }.query();
            if !quiet {
                errln!("If you don't see a command prompt, try pressing enter.");
            }
            return stream::join(session, &with_query(&path, &query), streams).await;
        }
    }
    if !quiet && stdin {
        errln!(
            "All commands and output from this session will be recorded in container logs, including credentials and sensitive information passed through the command prompt."
        );
        errln!("If you don't see a command prompt, try pressing enter.");
    }
    let path = format!("{}/attach?container={}", pod.path(), escape(name));
    streams.redraw = true;
    let printed = stream::join(session, &with_query(&path, &streams.query()), streams).await?;
    if !quiet
        && streams.stdin
        && streams.tty
        && let Some(text) = farewell(&pod.object, name)
    {
        outln!("{text}");
    }
    Ok(printed)
}

/// How to come back to a container that lives on after the terminal has left it.
fn farewell(pod: &Value, container: &str) -> Option<String> {
    let name = pod.name();
    let is_ephemeral =
        pod.list_at(&["spec", "ephemeralContainers"]).iter().any(|known| known["name"] == container);
    if is_ephemeral {
        return Some(format!(
            "Session ended, the ephemeral container will not be restarted but may be reattached using 'kubectl attach {name} -c {container} -i -t' if it is still running"
        ));
    }
    (pod["spec"]["restartPolicy"] == "Always").then(|| {
        format!(
            "Session ended, resume using 'kubectl attach {name} -c {container} -i -t' command when the pod is running"
        )
    })
}
