//! `kubectl patch`.

use serde_json::Value;

use cli_runtime::change;
use cli_runtime::cli::{Command, Flag, Invocation, flag};
use cli_runtime::client::{JSON_PATCH, MERGE, STRATEGIC, with_query};
use cli_runtime::error::{Error, Result, go_io_error};
use cli_runtime::resource::Session;
use formats::yaml;

/// Patches objects.
pub static COMMAND: Command = Command {
    name: "patch",
    short: "Update fields of a resource",
    long: "Update fields of a resource using strategic merge patch, a JSON merge patch, or a JSON patch.\n\nThe patch may be JSON or YAML.",
    examples: "
# A field of a node
kubectl patch node w1-k8s -p '{\"spec\":{\"unschedulable\":true}}'

# An image; containers are matched by name
kubectl patch deployment web -p '{\"spec\":{\"template\":{\"spec\":{\"containers\":[{\"name\":\"nginx\",\"image\":\"nginx:1.29\"}]}}}}'

# By position
kubectl patch pod web --type=json -p='[{\"op\": \"replace\", \"path\": \"/spec/containers/0/image\", \"value\":\"nginx\"}]'

# The number of replicas by the scale subresource
kubectl patch deployment web --subresource=scale --type=merge -p '{\"spec\":{\"replicas\":2}}'",
    usage: "patch (-f FILENAME | TYPE NAME) [-p PATCH|--patch-file FILE]",
    flags: &[flag::FILES, flag::PRINT, flag::DRY_RUN, flag::LOCAL, flag::SUBRESOURCE, FLAGS],
    run: Some(|invocation| Box::pin(run(invocation))),
    ..Command::NONE
};

const FLAGS: &[Flag] = &[
    Flag::manager("kubectl-patch"),
    Flag::text("patch", "", "The patch, JSON or YAML.").short('p'),
    Flag::text("patch-file", "", "File with the patch."),
    Flag::text("type", "strategic", "Kind of the patch: json, merge or strategic."),
];

async fn run(invocation: Invocation) -> Result<()> {
    let kind = match invocation.text("type").to_lowercase().as_str() {
        "json" => JSON_PATCH,
        "merge" => MERGE,
        "strategic" => STRATEGIC,
        other => {
            return Err(Error::message(format!(
                "--type must be one of [json merge strategic], not \"{other}\""
            )));
        }
    };
    let (text, file) = (invocation.text("patch"), invocation.text("patch-file"));
    let text = match (text, file) {
        ("", "") => {
            return Err(Error::message(
                "must specify --patch or --patch-file containing the contents of the patch",
            ));
        }
        (text, "") => text.to_string(),
        ("", file) => std::fs::read_to_string(file).map_err(|error| {
            Error::message(format!("unable to read patch file: open {file}: {}", go_io_error(&error)))
        })?,
        _ => return Err(Error::message("cannot specify --patch and --patch-file together")),
    };
    let patch =
        yaml::one(&text).map_err(|error| Error::message(format!("unable to parse \"{text}\": {error}")))?;
    if !patch.is_object() && !patch.is_array() {
        return Err(Error::message(format!("unable to parse \"{text}\": the patch is not an object")));
    }
    let session = Session::open(&invocation).await?;
    let targets = change::targets(&session, &invocation, &invocation.args).await?;
    if targets.is_empty() {
        return Err(Error::message("no objects passed to patch"));
    }
    let mut errors = Vec::new();
    for item in targets {
        let subresource = invocation.text("subresource");
        let changed = if change::stays_here(&invocation)? {
            change::locally(&item.object, kind, &patch)
        } else {
            let path = match subresource {
                "" => item.path(),
                name => format!("{}/{name}", item.path()),
            };
            let dry_run = invocation.dry_run()?.parameter();
            let query = [("dryRun", dry_run), ("fieldManager", invocation.text("field-manager"))];
            session.client.patch(&with_query(&path, &query), kind, &patch).await
        };
        match changed {
            Ok(object) => {
                let same = object["metadata"]["resourceVersion"]
                    == item.object["metadata"]["resourceVersion"]
                    && without_version(&object) == without_version(&item.object);
                let done = if same { "patched (no change)" } else { "patched" };
                change::report(&invocation, &object, done)?;
            }
            Err(error) => errors.push(error),
        }
    }
    Error::all(errors)
}

fn without_version(object: &Value) -> Value {
    cli_runtime::print::without_managed_fields(object.clone())
}
