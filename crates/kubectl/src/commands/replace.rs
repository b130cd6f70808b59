//! `kubectl replace`.

use super::delete::{Deletion, gone};
use cli_runtime::change::{report, write_query};
use cli_runtime::cli::{Command, DryRun, Flag, Invocation, flag};
use cli_runtime::client::with_query;
use cli_runtime::error::{Error, Result};
use cli_runtime::last_applied;
use cli_runtime::resource::{Session, files};

/// Replaces objects.
pub static COMMAND: Command = Command {
    name: "replace",
    short: "Replace a resource by file name or stdin",
    long: "Replace a resource by file name or stdin.\n\nThe file must hold the whole object.",
    examples: "
# With what a file holds
kubectl replace -f pod.json

# Deleted first, then created again
kubectl replace --force -f pod.json",
    usage: "replace -f FILENAME",
    flags: &[
        flag::FILES,
        flag::PRINT,
        flag::DRY_RUN,
        flag::VALIDATE,
        flag::SAVE_CONFIG,
        flag::DELETE,
        flag::SUBRESOURCE,
        FLAGS,
    ],
    run: Some(|invocation| Box::pin(run(invocation))),
    ..Command::NONE
};

const FLAGS: &[Flag] = &[
    Flag::manager("kubectl-replace"),
    Flag::text("raw", "", "Path of the server to which the file is put as it is."),
    Flag::switch("wait", "Wait until deleted objects are gone."),
];

async fn run(invocation: Invocation) -> Result<()> {
    if !files::given(&invocation) {
        return Err(invocation.usage("must specify one of -f and -k"));
    }
    let session = Session::open(&invocation).await?;
    let raw = invocation.text("raw");
    if !raw.is_empty() {
        return super::raw::with_file(&session, http::Method::PUT, raw, invocation.list("filename")).await;
    }
    let dry_run = invocation.dry_run()?;
    let mut errors = Vec::new();
    for mut item in files::items(&session, &invocation).await? {
        if invocation.is("save-config")
            || !item.object["metadata"]["annotations"][last_applied::LAST_APPLIED].is_null()
        {
            last_applied::record(&mut item.object);
        }
        if dry_run == DryRun::Client {
            report(&invocation, &item.object, "replaced")?;
            continue;
        }
        let query = write_query(&invocation, dry_run);
        let done = async {
            if invocation.is("force") && dry_run == DryRun::None {
                let mut deletion = Deletion::from_flags(&invocation, dry_run)?;
                deletion.quiet = true;
                deletion.propagation =
                    if invocation.changed("cascade") { deletion.propagation } else { "Background" };
                match deletion.delete(&session, &item).await {
                    Ok(_) => {
                        outln!("{} \"{}\" deleted", item.resource.label(), item.name);
                        gone(&session, &item, None).await?
                    }
                    Err(error) if error.is_not_found() => {}
                    Err(error) => return Err(error),
                }
                return session.client.post(&with_query(&item.collection(), &query), &item.object).await;
            }
            let subresource = invocation.text("subresource");
            let path = item.path_of(subresource);
            session.client.put(&with_query(&path, &query), &item.object).await
        };
        match done.await {
            Ok(object) => report(&invocation, &object, "replaced")?,
            Err(error) => errors.push(error.during("replacing", &item.source)),
        }
    }
    Error::all(errors)
}
