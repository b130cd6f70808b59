//! `kubectl set subject`.

use serde_json::json;

use super::{MANAGER, change};
use cli_runtime::cli::{Command, Flag, Invocation, flag};
use cli_runtime::client::MERGE;
use cli_runtime::error::{Error, Result};
use cli_runtime::resource::Session;
use generators::subjects;

/// Adds subjects to role bindings.
pub static COMMAND: Command = Command {
    name: "subject",
    short: "Update the user, group, or service account in a role binding or cluster role binding",
    examples: "
# One more service account for a binding
kubectl set subject rolebinding admin --serviceaccount=default:robot",
    usage: "subject (-f FILENAME | TYPE NAME) [--user=username] [--group=groupname] [--serviceaccount=namespace:serviceaccountname] [--dry-run=server|client|none]",
    flags: &[flag::FILES, flag::PRINT, flag::DRY_RUN, flag::SELECTOR, flag::ALL, flag::LOCAL, MANAGER, FLAGS],
    run: Some(|invocation| Box::pin(run(invocation))),
    ..Command::NONE
};

const FLAGS: &[Flag] = &[
    Flag::array("group", "Group that gets the role."),
    Flag::array("serviceaccount", "Service account that gets the role (namespace:name)."),
    Flag::array("user", "User that gets the role."),
];

async fn run(invocation: Invocation) -> Result<()> {
    let wanted = subjects(&invocation)?;
    if wanted.is_empty() {
        return Err(Error::message("you must specify at least one value of user, group or serviceaccount"));
    }
    let session = Session::open(&invocation).await?;
    for item in change::targets(&session, &invocation, &invocation.args).await? {
        let mut all = item.object["subjects"].as_array().cloned().unwrap_or_default();
        for subject in &wanted {
            if !all.contains(subject) {
                all.push(subject.clone());
            }
        }
        let object = change::patched(&session, &invocation, &item, MERGE, &json!({"subjects": all})).await?;
        change::report(&invocation, &object, "subjects updated")?;
    }
    Ok(())
}
