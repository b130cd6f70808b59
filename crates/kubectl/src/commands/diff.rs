//! `kubectl diff`: what an apply would change.

use serde_json::Value;

use super::apply::patch_for;
use super::apply::server_side::manager;
use cli_runtime::cli::{Command, Flag, Invocation, flag};
use cli_runtime::client::{APPLY, with_query};
use cli_runtime::error::{Error, Result};
use cli_runtime::print;
use cli_runtime::resource::{Item, Session, files};

/// Shows what apply would change.
pub static COMMAND: Command = Command {
    name: "diff",
    short: "Diff the live version against a would-be applied version",
    long: "Diff configurations specified by file name or stdin between the current online configuration, and the configuration as it would be if applied.\n\nKUBECTL_EXTERNAL_DIFF names another program to compare with.\n\nExit status: 0 No differences were found. 1 Differences were found. >1 Kubectl or diff failed with an error.",
    examples: "
# What the file would change
kubectl diff -f deployment.yaml",
    usage: "diff -f FILENAME",
    flags: &[flag::FILES, flag::SELECTOR, FLAGS],
    run: Some(|invocation| Box::pin(run(invocation))),
    ..Command::NONE
};

const FLAGS: &[Flag] = &[
    Flag::int("concurrency", "1", "How many objects are compared at once; accepted for compatibility."),
    Flag::manager("kubectl-client-side-apply"),
    Flag::switch("force-conflicts", "With --server-side, take over fields that others own."),
    Flag::switch("prune", "Accepted for compatibility."),
    Flag::array("prune-allowlist", "Accepted for compatibility."),
    Flag::switch("server-side", "Let the server do the merging."),
    Flag::switch("show-managed-fields", "Compare metadata.managedFields too."),
];

async fn run(invocation: Invocation) -> Result<()> {
    if !files::given(&invocation) {
        return Err(Error::Exit(2, "error: must specify one of -f and -k".into()));
    }
    let failed = |error: Error| Error::Exit(2, error.text());
    let session = Session::open(&invocation).await.map_err(failed)?;
    let (live, merged) = (
        tempfile::Builder::new().prefix("LIVE-").tempdir()?,
        tempfile::Builder::new().prefix("MERGED-").tempdir()?,
    );
    for item in files::items(&session, &invocation).await.map_err(failed)? {
        let (before, after) = versions(&session, &invocation, &item).await.map_err(failed)?;
        let group =
            if item.resource.group.is_empty() { String::new() } else { format!("{}.", item.resource.group) };
        let name = format!(
            "{group}{}.{}.{}.{}",
            item.resource.version,
            item.resource.kind,
            item.namespace.as_deref().unwrap_or(""),
            item.name
        );
        for (directory, object) in [(&live, before), (&merged, Some(after))] {
            let text = object
                .map(|object| formats::yaml::text(&comparable(&invocation, object)))
                .unwrap_or_default();
            std::fs::write(directory.path().join(&name), text)?;
        }
    }
    let external = std::env::var("KUBECTL_EXTERNAL_DIFF").unwrap_or_default();
    let mut words = external.split_whitespace();
    let program = words.next().unwrap_or("diff");
    let mut command = std::process::Command::new(program);
    command.args(words);
    if external.is_empty() {
        command.args(["-u", "-N"]);
    }
    let status = command
        .arg(live.path())
        .arg(merged.path())
        .status()
        .map_err(|error| Error::Exit(2, format!("error: failed to run \"{program}\": {error}")))?;
    match status.code() {
        Some(0) => Ok(()),
        Some(1) => Err(Error::Exit(1, String::new())),
        code => Err(Error::Exit(u8::try_from(code.unwrap_or(2)).unwrap_or(2), String::new())),
    }
}

async fn versions(session: &Session, invocation: &Invocation, item: &Item) -> Result<(Option<Value>, Value)> {
    let live = match session.client.get(&item.path()).await {
        Ok(object) => Some(object),
        Err(error) if error.is_not_found() => None,
        Err(error) => return Err(error),
    };
    let query = [("dryRun", "All"), ("fieldManager", manager(invocation))];
    let merged = match &live {
        _ if invocation.is("server-side") => {
            let force = if invocation.is("force-conflicts") { "true" } else { "false" };
            let path = with_query(&with_query(&item.path(), &query), &[("force", force)]);
            session.client.patch(&path, APPLY, &item.object).await?
        }
        None => session.client.post(&with_query(&item.collection(), &query), &item.object).await?,
        Some(current) => match patch_for(item, current, true, false)? {
            None => current.clone(),
            Some((kind, patch)) => {
                session.client.patch(&with_query(&item.path(), &query), kind, &patch).await?
            }
        },
    };
    Ok((live, merged))
}

/// What is compared: without bookkeeping, and with secrets masked.
fn comparable(invocation: &Invocation, object: Value) -> Value {
    let mut object =
        if invocation.is("show-managed-fields") { object } else { print::without_managed_fields(object) };
    if object["kind"] == "Secret"
        && let Some(data) = object["data"].as_object_mut()
    {
        for value in data.values_mut() {
            *value = "***".into();
        }
    }
    object
}
