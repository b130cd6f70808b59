//! `kubectl config`: reading and changing kubeconfig files.

mod edit;
mod view;

use std::path::PathBuf;

use serde_json::Value;

use cli_runtime::cli::{Command, Flag, Invocation};
use cli_runtime::client::kubeconfig::{self, entry};
use cli_runtime::error::{Error, Result};
use formats::tabwriter;

/// Works on kubeconfig files.
pub static COMMAND: Command = Command {
    name: "config",
    short: "Modify kubeconfig files",
    long: "Modify kubeconfig files using subcommands like \"kubectl config set current-context my-context\".\n\nThe file is the one of --kubeconfig; without it, those of the KUBECONFIG environment variable, joined; without that, ~/.kube/config.",
    usage: "config SUBCOMMAND",
    subcommands: &[
        &CURRENT_CONTEXT,
        &edit::DELETE_CLUSTER,
        &edit::DELETE_CONTEXT,
        &edit::DELETE_USER,
        &GET_CLUSTERS,
        &GET_CONTEXTS,
        &GET_USERS,
        &edit::RENAME_CONTEXT,
        &edit::SET,
        &edit::SET_CLUSTER,
        &edit::SET_CONTEXT,
        &edit::SET_CREDENTIALS,
        &edit::UNSET,
        &edit::USE_CONTEXT,
        &view::COMMAND,
    ],
    ..Command::NONE
};

static CURRENT_CONTEXT: Command = Command {
    name: "current-context",
    short: "Display the current-context",
    usage: "current-context [flags]",
    run: Some(|invocation| Box::pin(async move { current_context(&invocation) })),
    ..Command::NONE
};

static GET_CLUSTERS: Command = Command {
    name: "get-clusters",
    short: "Display clusters defined in the kubeconfig",
    usage: "get-clusters [flags]",
    run: Some(|invocation| Box::pin(async move { names(&invocation, "clusters") })),
    ..Command::NONE
};

static GET_USERS: Command = Command {
    name: "get-users",
    short: "Display users defined in the kubeconfig",
    usage: "get-users [flags]",
    run: Some(|invocation| Box::pin(async move { names(&invocation, "users") })),
    ..Command::NONE
};

static GET_CONTEXTS: Command = Command {
    name: "get-contexts",
    short: "Describe one or many contexts",
    examples: "
# All contexts
kubectl config get-contexts

# Their names
kubectl config get-contexts -o name",
    usage: "get-contexts [(-o|--output=)name)]",
    flags: &[&[
        Flag::switch("no-headers", "Leave out the headers."),
        Flag::text("output", "", "\"name\" prints names only.").short('o'),
    ]],
    run: Some(|invocation| Box::pin(async move { contexts(&invocation) })),
    ..Command::NONE
};

fn current_context(invocation: &Invocation) -> Result<()> {
    let config = kubeconfig::merged(invocation)?;
    match config["current-context"].as_str().filter(|name| !name.is_empty()) {
        Some(name) => {
            outln!("{name}");
            Ok(())
        }
        None => Err(Error::message("current-context is not set")),
    }
}

fn entry_names<'a>(config: &'a Value, list: &str) -> Vec<&'a str> {
    let mut names: Vec<&str> =
        config[list].as_array().into_iter().flatten().filter_map(|entry| entry["name"].as_str()).collect();
    names.sort_unstable();
    names
}

fn names(invocation: &Invocation, list: &str) -> Result<()> {
    let config = kubeconfig::merged(invocation)?;
    outln!("NAME");
    for name in entry_names(&config, list) {
        outln!("{name}");
    }
    Ok(())
}

fn contexts(invocation: &Invocation) -> Result<()> {
    let config = kubeconfig::merged(invocation)?;
    let output = invocation.text("output");
    if !matches!(output, "" | "name") {
        return Err(Error::message(format!("output must be one of '' or 'name': {output}")));
    }
    let mut text = String::new();
    if output.is_empty() && !invocation.is("no-headers") {
        text.push_str("CURRENT\tNAME\tCLUSTER\tAUTHINFO\tNAMESPACE\n");
    }
    let all = entry_names(&config, "contexts");
    let mut errors = Vec::new();
    for wanted in &invocation.args {
        if !all.contains(&wanted.as_str()) {
            errors.push(Error::message(format!("context {wanted} not found")));
        }
    }
    for name in all
        .into_iter()
        .filter(|name| invocation.args.is_empty() || invocation.args.iter().any(|arg| arg == name))
    {
        if output == "name" {
            text.push_str(&format!("{name}\n"));
            continue;
        }
        let context = entry(&config, "contexts", "context", name).unwrap_or(&Value::Null);
        let field = |field: &str| context[field].as_str().unwrap_or("").to_string();
        let current = if config["current-context"] == name { "*" } else { "" };
        text.push_str(&format!(
            "{current}\t{name}\t{}\t{}\t{}\n",
            field("cluster"),
            field("user"),
            field("namespace")
        ));
    }
    if !text.is_empty() {
        out!("{}", if output == "name" { text } else { tabwriter::align(&text, tabwriter::TABLE) });
    }
    Error::all(errors)
}

/// The file that a change goes to: the one that names the thing already, or else the first, or the only one.
fn file_for(invocation: &Invocation, has: impl Fn(&Value) -> bool) -> Result<(PathBuf, Value)> {
    let files = kubeconfig::files(invocation);
    for file in &files {
        let config = kubeconfig::read(file)?;
        if has(&config) {
            return Ok((file.clone(), config));
        }
    }
    let target = files.iter().find(|file| file.exists()).or(files.last());
    let target = target.cloned().ok_or_else(|| Error::message("no kubeconfig file is known"))?;
    let config = kubeconfig::read(&target)?;
    Ok((target, config))
}
