//! `kubectl set selector`.

use serde_json::json;

use super::{MANAGER, change};
use cli_runtime::cli::{Command, Flag, Invocation, flag};
use cli_runtime::client::JSON_PATCH;
use cli_runtime::error::{Error, Result};
use cli_runtime::resource::Session;

/// Changes a service's selector.
pub static COMMAND: Command = Command {
    name: "selector",
    short: "Set the selector on a resource",
    examples: "
# Another selector for a service
kubectl set selector service web app=web,tier=front",
    usage: "selector (-f FILENAME | TYPE NAME) EXPRESSIONS [--resource-version=version]",
    flags: &[
        &[
            Flag::list(
                "filename",
                "File, directory or URL that names the objects; '-' reads standard input.",
            )
            .short('f'),
            Flag::bool("recursive", "true", "Descend into the directories given with -f.").short('R'),
        ],
        flag::PRINT,
        flag::DRY_RUN,
        flag::ALL,
        flag::LOCAL,
        flag::RESOURCE_VERSION,
        MANAGER,
    ],
    run: Some(|invocation| Box::pin(run(invocation))),
    ..Command::NONE
};

async fn run(invocation: Invocation) -> Result<()> {
    let Some((expression, resources)) = invocation.args.split_last() else {
        return Err(Error::message("one selector is required"));
    };
    let mut selector = json!({});
    for pair in expression.split(',') {
        let (key, value) = pair
            .split_once('=')
            .ok_or_else(|| Error::message(format!("invalid selector expression: {pair}")))?;
        selector[key] = value.into();
    }
    let session = Session::open(&invocation).await?;
    for item in change::targets(&session, &invocation, resources).await? {
        if item.object["kind"] != "Service" {
            return Err(Error::message(format!(
                "setting a selector is only supported for Services, not {}",
                item.resource.kind
            )));
        }
        let mut patch = vec![json!({"op": "add", "path": "/spec/selector", "value": selector})];
        if !invocation.text("resource-version").is_empty() {
            patch.push(json!({"op": "replace", "path": "/metadata/resourceVersion", "value": invocation.text("resource-version")}));
        }
        let object = change::patched(&session, &invocation, &item, JSON_PATCH, &patch.into()).await?;
        change::report(&invocation, &object, "selector updated")?;
    }
    Ok(())
}
