//! `kubectl apply view-last-applied|set-last-applied|edit-last-applied`.

use serde_json::{Value, json};

use cli_runtime::cli::{Command, DryRun, Flag, Invocation, flag};
use cli_runtime::client::{MERGE, with_query};
use cli_runtime::error::{Error, Result};
use cli_runtime::last_applied::{LAST_APPLIED, configuration};
use cli_runtime::print;
use cli_runtime::resource::{Session, files};

/// Shows what was applied last.
pub static VIEW: Command = Command {
    name: "view-last-applied",
    short: "View the latest last-applied-configuration annotations of a resource/object",
    examples: "
# What was applied to a deployment last
kubectl apply view-last-applied deployment/web",
    usage: "view-last-applied (TYPE [NAME | -l label] | TYPE/NAME | -f FILENAME)",
    flags: &[
        flag::FILES,
        flag::SELECTOR,
        flag::ALL,
        &[Flag::text("output", "yaml", "yaml or json.").short('o')],
    ],
    run: Some(|invocation| Box::pin(view(invocation))),
    ..Command::NONE
};

/// Sets what counts as applied last.
pub static SET: Command = Command {
    name: "set-last-applied",
    short: "Set the last-applied-configuration annotation on a live object to match the contents of a file",
    examples: "
# The file counts as applied, nothing else changes
kubectl apply set-last-applied -f deployment.yaml",
    usage: "set-last-applied -f FILENAME",
    flags: &[
        &[
            Flag::list(
                "filename",
                "File, directory or URL that names the objects; '-' reads standard input.",
            )
            .short('f'),
            Flag::switch("create-annotation", "Add the annotation where there is none."),
        ],
        flag::PRINT,
        flag::DRY_RUN,
    ],
    run: Some(|invocation| Box::pin(set(invocation))),
    ..Command::NONE
};

/// Edits what counts as applied last.
pub static EDIT: Command = Command {
    name: "edit-last-applied",
    short: "Edit latest last-applied-configuration annotations of a resource/object",
    examples: "
# In the editor
kubectl apply edit-last-applied deployment/web",
    usage: "edit-last-applied (RESOURCE/NAME | -f FILENAME)",
    flags: &[
        flag::FILES,
        flag::PRINT,
        flag::VALIDATE,
        &[
            Flag::manager("kubectl-client-side-apply"),
            Flag::switch("windows-line-endings", "End lines as Windows does while editing."),
        ],
    ],
    run: Some(|invocation| Box::pin(edit(invocation))),
    ..Command::NONE
};

fn last_applied(object: &Value) -> Result<Value> {
    let text = object["metadata"]["annotations"][LAST_APPLIED].as_str().ok_or_else(|| {
        Error::message(format!(
            "no last-applied-configuration annotation found on resource: {}",
            object["metadata"]["name"].as_str().unwrap_or("")
        ))
    })?;
    serde_json::from_str(text).map_err(|error| Error::message(format!("the annotation is not JSON: {error}")))
}

async fn view(invocation: Invocation) -> Result<()> {
    let output = invocation.text("output");
    if !matches!(output, "yaml" | "json") {
        return Err(invocation.usage(format!(
            "Unexpected -o output mode: {output}, the flag 'output' must be one of yaml|json"
        )));
    }
    let session = Session::open(&invocation).await?;
    for item in session.current(&invocation, &invocation.args).await? {
        // What was never applied has nothing to show.
        let Ok(applied) = last_applied(&item.object) else { continue };
        match output {
            "json" => outln!("{}", formats::json::indented(&applied, "  ")),
            _ => out!("{}", formats::yaml::text(&applied)),
        }
    }
    Ok(())
}

async fn set(invocation: Invocation) -> Result<()> {
    let session = Session::open(&invocation).await?;
    let dry_run = invocation.dry_run()?;
    for item in files::items(&session, &invocation).await? {
        let current = session.client.get(&item.path()).await?;
        let known = current["metadata"]["annotations"][LAST_APPLIED].as_str();
        if known.is_none() && !invocation.is("create-annotation") {
            return Err(Error::message(format!(
                "no last-applied-configuration annotation found on resource: {}, to create the annotation, run the command with --create-annotation",
                item.name
            )));
        }
        let text = bare(&item.object);
        if known == Some(&text) {
            outln!("set-last-applied {}: no changes required.", item.name);
            continue;
        }
        let mut object = current.clone();
        if dry_run != DryRun::Client {
            let patch = json!({"metadata": {"annotations": {LAST_APPLIED: text}}});
            let query = [("dryRun", dry_run.parameter())];
            object = session.client.patch(&with_query(&item.path(), &query), MERGE, &patch).await?;
        }
        print::result(&invocation, &object, &format!("configured{}", dry_run.suffix()))?;
    }
    Ok(())
}

/// The configuration of a file as this command records it: without the empty annotations that apply adds.
fn bare(object: &Value) -> String {
    let mut object = object.clone();
    if let Some(Value::Object(annotations)) = object.pointer_mut("/metadata/annotations") {
        annotations.remove(LAST_APPLIED);
        if annotations.is_empty()
            && let Some(metadata) = object["metadata"].as_object_mut()
        {
            metadata.remove("annotations");
        }
    }
    format!("{}\n", formats::json::compact(&object))
}

const HEADER: &str = "# Please edit the 'last-applied-configuration' annotations below.\n# Lines beginning with a '#' will be ignored, and an empty file will abort the edit.\n#\n";

async fn edit(invocation: Invocation) -> Result<()> {
    let session = Session::open(&invocation).await?;
    for item in session.current(&invocation, &invocation.args).await? {
        let before = format!("{HEADER}{}", formats::yaml::text(&last_applied(&item.object)?));
        let Some(edited) = crate::commands::edit::text(&before, "yaml")? else {
            outln!("Edit cancelled, no changes made.");
            continue;
        };
        let applied = formats::yaml::one(&edited)?;
        let patch = json!({"metadata": {"annotations": {LAST_APPLIED: configuration(&applied)}}});
        let object = session.client.patch(&item.path(), MERGE, &patch).await?;
        print::result(&invocation, &object, "edited")?;
    }
    Ok(())
}
