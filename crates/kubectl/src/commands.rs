//! Every command, one file each, and the table that lists them.

pub mod api_resources;
pub mod apply;
mod auth;
mod certificate;
mod cluster_info;
mod completion;
mod config;
mod create;
mod debug;
mod delete;
mod describe;
mod diff;
mod drain;
mod edit;
mod events;
mod explain;
mod expose;
mod get;
mod kustomize;
mod label;
mod options;
mod overrides;
mod patch;
pub mod plugin;
mod raw;
mod replace;
mod rollout;
mod run;
mod scale;
mod set;
mod taint;
mod top;
mod version;
mod wait;

use cli_runtime::cli::Command;
use streams::{attach, cp, exec, logs, port_forward, proxy};

/// The whole tree of commands.
pub static ROOT: Command = Command {
    name: "kubectl",
    short: "kubectl controls the Kubernetes cluster manager",
    long: "kubectl controls the Kubernetes cluster manager.\n\nFind more information at: https://kubernetes.io/docs/reference/kubectl/",
    groups: &[
        ("Basic Commands (Beginner)", &["create", "expose", "run", "set"]),
        ("Basic Commands (Intermediate)", &["explain", "get", "edit", "delete"]),
        ("Deploy Commands", &["rollout", "scale", "autoscale"]),
        (
            "Cluster Management Commands",
            &["certificate", "cluster-info", "top", "cordon", "uncordon", "drain", "taint"],
        ),
        (
            "Troubleshooting and Debugging Commands",
            &["describe", "logs", "attach", "exec", "port-forward", "proxy", "cp", "auth", "debug", "events"],
        ),
        ("Advanced Commands", &["diff", "apply", "patch", "replace", "wait", "kustomize"]),
        ("Settings Commands", &["label", "annotate", "completion"]),
        ("Subcommands provided by plugins", &[]),
        ("Other Commands", &["api-resources", "api-versions", "config", "plugin", "version"]),
    ],
    subcommands: &[
        &create::COMMAND,
        &expose::COMMAND,
        &run::COMMAND,
        &set::COMMAND,
        &explain::COMMAND,
        &get::COMMAND,
        &edit::COMMAND,
        &delete::COMMAND,
        &rollout::COMMAND,
        &scale::SCALE,
        &scale::AUTOSCALE,
        &certificate::COMMAND,
        &cluster_info::COMMAND,
        &top::COMMAND,
        &drain::CORDON,
        &drain::UNCORDON,
        &drain::DRAIN,
        &taint::COMMAND,
        &describe::COMMAND,
        &logs::COMMAND,
        &attach::COMMAND,
        &exec::COMMAND,
        &port_forward::COMMAND,
        &proxy::COMMAND,
        &cp::COMMAND,
        &auth::COMMAND,
        &debug::COMMAND,
        &events::COMMAND,
        &diff::COMMAND,
        &apply::COMMAND,
        &patch::COMMAND,
        &replace::COMMAND,
        &wait::COMMAND,
        &kustomize::COMMAND,
        &label::LABEL,
        &label::ANNOTATE,
        &completion::COMMAND,
        &api_resources::RESOURCES,
        &api_resources::VERSIONS,
        &config::COMMAND,
        &plugin::COMMAND,
        &version::COMMAND,
        &options::COMMAND,
    ],
    ..Command::NONE
};
