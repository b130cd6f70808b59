//! `kubectl exec`.

use crate::stream::{self, Streams};
use cli_runtime::cli::{Command, Flag, Invocation, flag};
use cli_runtime::client::{escape, with_query};
use cli_runtime::error::{Error, Result};
use cli_runtime::resource::{Session, files};

/// Runs a command in a container.
pub static COMMAND: Command = Command {
    name: "exec",
    short: "Execute a command in a container",
    examples: "
# Output of a command in the pod's first container
kubectl exec web -- date

# A shell in a chosen container
kubectl exec -it web -c sidecar -- sh

# In the first pod of a deployment
kubectl exec deploy/web -- date",
    usage: "exec (POD | TYPE/NAME) [-c CONTAINER] [flags] -- COMMAND [args...]",
    flags: &[FLAGS, flag::POD_RUNNING_TIMEOUT],
    run: Some(|invocation| Box::pin(run(invocation))),
    ..Command::NONE
};

const FLAGS: &[Flag] = &[
    Flag::text("container", "", "Container; the default one, or the first, if not given.").short('c'),
    Flag::list("filename", "File with the object to run the command in.").short('f'),
    Flag::switch("quiet", "Print the process's output only.").short('q'),
    Flag::switch("stdin", "Send standard input to the process.").short('i'),
    Flag::switch("tty", "Give the process a terminal.").short('t'),
];

async fn run(invocation: Invocation) -> Result<()> {
    let from_file = files::given(&invocation);
    let before = invocation.dash_at.unwrap_or(invocation.args.len());
    if invocation.dash_at.is_none() && invocation.args.len() > 1 {
        return Err(invocation
            .usage("exec [POD] [COMMAND] is not supported anymore. Use exec [POD] -- [COMMAND] instead"));
    }
    let command = &invocation.args[before..];
    if before == 0 && !from_file {
        return Err(Error::message("pod, type/name or --filename must be specified"));
    }
    if command.is_empty() {
        return Err(Error::message("you must specify at least one command for the container"));
    }
    let session = Session::open(&invocation).await?;
    let pod = match from_file {
        true => {
            let item = files::items(&session, &invocation).await?.into_iter().next();
            let item = item.ok_or_else(|| Error::message("no objects in the file"))?;
            session.pod_of(&format!("{}/{}", item.resource.qualified(), item.name)).await?
        }
        false => session.pod_of(&invocation.args[0]).await?,
    };
    let phase = pod.object["status"]["phase"].as_str().unwrap_or("");
    if matches!(phase, "Succeeded" | "Failed") {
        return Err(Error::message(format!(
            "cannot exec into a container in a completed pod; current phase is {phase}"
        )));
    }
    let quiet = invocation.is("quiet");
    let container = stream::container(&pod.object, invocation.text("container"), quiet)?;
    let streams = Streams::checked(invocation.is("stdin"), invocation.is("tty"), quiet);
    let mut path = format!("{}/exec?container={}", pod.path(), escape(&container));
    for word in command {
        path.push_str(&format!("&command={}", escape(word)));
    }
    stream::join(&session, &with_query(&path, &streams.query()), streams).await.map(drop)
}
