//! `kubectl rollout`: looking at and steering the rollouts of deployments, daemon sets and stateful sets.

mod history;
mod restart;
mod status;
mod undo;

use cli_runtime::cli::{Command, Flag};

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

const MANAGER: &[Flag] = &[Flag::text(
    "field-manager",
    "kubectl-rollout",
    "Name under which the server records these fields' owner.",
)];
