//! `kubectl rollout`: looking at and steering the rollouts of deployments, daemon sets and stateful sets.

mod history;
mod restart;
mod status;
mod undo;

use cli_runtime::cli::{Command, Flag, Invocation};
use cli_runtime::error::{Error, Result};
use cli_runtime::resource::{Item, Session, args, files};

/// Manages rollouts.
pub static COMMAND: Command = Command {
    name: "rollout",
    short: "Manage the rollout of a resource",
    long: "Manage the rollout of one or many resources.\n\nDeployments, daemon sets and stateful sets have rollouts.",
    examples: "
# Back to the deployment before
kubectl rollout undo deployment/web

# Until the rollout is done
kubectl rollout status daemonset/agent

# Its pods anew
kubectl rollout restart deployment/web",
    usage: "rollout SUBCOMMAND",
    subcommands: &[
        &history::COMMAND,
        &restart::PAUSE,
        &restart::RESTART,
        &restart::RESUME,
        &status::COMMAND,
        &undo::COMMAND,
    ],
    ..Command::NONE
};

const MANAGER: &[Flag] = &[Flag::manager("kubectl-rollout")];

/// The objects that the arguments and files name, and what went wrong on the way to others.
async fn targets(invocation: &Invocation) -> Result<(Session, Vec<Item>, Vec<Error>)> {
    if invocation.args.is_empty() && !files::given(invocation) {
        return Err(Error::message("required resource not specified"));
    }
    let session = Session::open(invocation).await?;
    let picks = args::picks(&session, invocation, &invocation.args).await?;
    let (items, errors) = session.objects(invocation, picks).await;
    Ok((session, items, errors))
}
