//! `kubectl apply`: makes the server's objects as the files say, changing only what the files have changed.

mod applyset;
mod last_applied;
mod prune;
pub(super) mod server_side;

use apimachinery::ObjectExt as _;
use patch::Merging;
use serde_json::{Value, json};

use self::applyset::ApplySet;
use super::delete::{Deletion, gone};
use cli_runtime::change;
use cli_runtime::cli::{Command, DryRun, Flag, Invocation, flag};
use cli_runtime::client::with_query;
use cli_runtime::error::{Error, Result};
use cli_runtime::last_applied::{LAST_APPLIED, configuration, record};
use cli_runtime::print::{self, Printer};
use cli_runtime::resource::{Item, Session, files};

/// Applies files.
pub static COMMAND: Command = Command {
    name: "apply",
    short: "Apply a configuration to a resource by file name or stdin",
    long: "Apply a configuration to a resource by file name or stdin. The resource name must be specified. The object is created if it is not there yet; to use 'apply' later, create it with 'apply' or 'create --save-config'.\n\nJSON and YAML are read.",
    examples: "
# What a file says
kubectl apply -f deployment.yaml

# Every manifest of a directory, and those below
kubectl apply -R -f manifests/

# With the server merging, and fields owned
kubectl apply --server-side -f deployment.yaml

# What a kustomization builds
kubectl apply -k overlay/",
    usage: "apply (-f FILENAME | -k DIRECTORY)",
    flags: &[
        flag::FILES,
        flag::PRINT,
        flag::DRY_RUN,
        flag::VALIDATE,
        flag::SELECTOR,
        flag::DELETE,
        flag::SUBRESOURCE,
        FLAGS,
    ],
    subcommands: &[&last_applied::EDIT, &last_applied::SET, &last_applied::VIEW],
    run: Some(|invocation| Box::pin(run(invocation))),
    ..Command::NONE
};

const FLAGS: &[Flag] = &[
    Flag::switch("all", "Prune among all objects of the namespace."),
    Flag::text(
        "applyset",
        "",
        "[alpha] Object that keeps track of what is applied, for --prune: [RESOURCE][.GROUP]/NAME, or the name of a Secret.",
    ),
    Flag::manager("kubectl-client-side-apply"),
    Flag::switch("force-conflicts", "With --server-side, take over fields that others own."),
    Flag::bool("openapi-patch", "true", "Accepted for compatibility; merging follows the built-in schema."),
    Flag::bool("overwrite", "true", "Let the file's values win over changes made on the server."),
    Flag::switch("prune", "Delete objects that were applied before and are in no file any more."),
    Flag::array("prune-allowlist", "Types that may be pruned (group/version/kind)."),
    Flag::switch("server-side", "Let the server do the merging."),
    Flag::switch("wait", "Wait until deleted objects are gone."),
];

async fn run(invocation: Invocation) -> Result<()> {
    if !invocation.args.is_empty() {
        return Err(invocation.usage(format!("Unexpected args: [{}]", invocation.args.join(" "))));
    }
    if !files::given(&invocation) {
        return Err(Error::message("must specify one of -f and -k"));
    }
    let dry_run = invocation.dry_run()?;
    let server_side = invocation.is("server-side");
    if server_side && dry_run == DryRun::Client {
        return Err(Error::message(
            "--dry-run=client doesn't work with --server-side (did you mean --dry-run=server instead?)",
        ));
    }
    if invocation.is("force-conflicts") && !server_side {
        return Err(Error::message("--force-conflicts only works with --server-side"));
    }
    if server_side && invocation.is("force") {
        return Err(Error::message("--force cannot be used with --server-side"));
    }
    if dry_run == DryRun::Server && invocation.is("force") {
        return Err(Error::message("--dry-run=server cannot be used with --force"));
    }
    if invocation.is("all") && !invocation.text("selector").is_empty() {
        return Err(Error::message("cannot set --all and --selector at the same time"));
    }
    if !server_side && !invocation.text("subresource").is_empty() {
        return Err(Error::message("--subresource can only be specified for --server-side"));
    }
    applyset::check(&invocation)?;
    let has_set = !invocation.text("applyset").is_empty();
    if invocation.is("prune") && !has_set && !invocation.is("all") && invocation.text("selector").is_empty() {
        return Err(Error::message(
            "all resources selected for prune without explicitly passing --all. To prune all resources, pass the --all flag. If you did not mean to prune all resources, specify a label selector",
        ));
    }
    let session = Session::open(&invocation).await?;
    let selector = apimachinery::labels::parse(invocation.text("selector"))
        .map_err(|error| Error::message(error.to_string()))?;
    let set = ApplySet::open(&session, &invocation).await?;
    let mut errors = Vec::new();
    let mut items = Vec::new();
    let documents = files::read(&invocation).await?;
    let read_any = !documents.is_empty();
    for document in documents {
        match files::item(&session, document).await {
            Ok(item) if selector.matches_value(item.object["metadata"]["labels"].as_object()) => {
                items.push(item)
            }
            Ok(_) => {}
            Err(error) => errors.push(error),
        }
    }
    if !read_any {
        return Err(Error::message("no objects passed to apply"));
    }
    if let Some(set) = &set {
        // Half a set must not be taken for the whole.
        Error::all(std::mem::take(&mut errors))?;
        set.adopt(&mut items)?;
        set.announce(&session, &items, dry_run).await?;
    }
    let mut printer = Printer::from_flags(&invocation)?;
    let single = items.len() == 1;
    let mut results: Vec<Value> = Vec::new();
    let mut applied: Vec<Item> = Vec::new();
    for item in items {
        let outcome = match server_side {
            true => server_side::apply(&session, &invocation, &item, dry_run)
                .await
                .map(|object| (object, "serverside-applied")),
            false => apply(&session, &invocation, &item, dry_run).await,
        };
        match outcome {
            Ok((object, done)) => {
                if printer.is_none() {
                    outln!("{} {done}{}", print::name(&object), dry_run.suffix());
                }
                applied.push(Item { object: object.clone(), ..item });
                results.push(object);
            }
            Err(error) => errors.push(error),
        }
    }
    if let Some(printer) = &mut printer
        && !results.is_empty()
    {
        match single {
            true => printer.print(&results[0])?,
            false => printer.print(&print::list_of(results))?,
        }
    }
    cli_runtime::change::warnings_as_errors(&invocation, &session)?;
    Error::all(errors)?;
    if let Some(set) = set {
        set.prune(&session, &invocation, &applied, dry_run).await?;
    } else if invocation.is("prune") {
        prune::prune(&session, &invocation, &applied, dry_run).await?;
    }
    Ok(())
}

/// The patch that makes the server's object as the file says, and its media type; `None` when nothing is to change.
///
/// With `record`, the file's configuration goes into the annotation as well.
pub fn patch_for(
    item: &Item,
    current: &Value,
    overwrite: bool,
    record: bool,
) -> Result<Option<(&'static str, Value)>> {
    let mut modified = item.object.clone();
    // The recorded configuration always has annotations, if only none: what is compared with it must, too.
    let annotations = modified.map_at_mut(&["metadata", "annotations"]);
    if record {
        annotations.insert(LAST_APPLIED.to_owned(), configuration(&item.object).into());
    }
    let original = current["metadata"]["annotations"][LAST_APPLIED]
        .as_str()
        .and_then(|text| serde_json::from_str::<Value>(text).ok())
        .unwrap_or_else(|| json!({}));
    if !overwrite && let Some(field) = patch::conflict(&original, &modified, current) {
        return Err(Error::message(format!("patch: conflict between the file and the server in {field}")));
    }
    let merging = Merging::of(&modified);
    let patch = merging.three_way(&original, &modified, current).map_err(|error| {
        Error::message(format!(
            "error when creating patch with:\noriginal:\n{}\nmodified:\n{}\ncurrent:\n{}\nfor: \"{}\": {error}",
            formats::json::compact(&original),
            formats::json::compact(&modified),
            formats::json::compact(current),
            item.source
        ))
    })?;
    Ok((patch != json!({})).then_some((change::media_type(merging), patch)))
}

async fn apply(
    session: &Session,
    invocation: &Invocation,
    item: &Item,
    dry_run: DryRun,
) -> Result<(Value, &'static str)> {
    let server_dry_run = dry_run.parameter();
    let validation = cli_runtime::change::field_validation(invocation.text("validate"));
    let query = [
        ("dryRun", server_dry_run),
        ("fieldManager", invocation.text("field-manager")),
        ("fieldValidation", validation),
    ];
    if item.name.is_empty() {
        return Err(Error::message(format!(
            "error when retrieving current configuration of:\n{}\nfrom server for: \"{}\": resource name may not be empty",
            identity(item),
            item.source
        )));
    }
    let current = match session.client.get(&item.path()).await {
        Ok(current) => current,
        Err(error) if error.is_not_found() => {
            let mut object = item.object.clone();
            record(&mut object);
            if dry_run == DryRun::Client {
                return Ok((object, "created"));
            }
            let path = with_query(&item.collection(), &query);
            let created = session
                .client
                .post(&path, &object)
                .await
                .map_err(|error| error.during("creating", &item.source))?;
            return Ok((created, "created"));
        }
        Err(error) => return Err(error.during("retrieving current configuration of", &item.source)),
    };
    if current["metadata"]["annotations"][LAST_APPLIED].is_null() && dry_run != DryRun::Client {
        errln!(
            "Warning: resource {}/{} is missing the {LAST_APPLIED} annotation which is required by kubectl apply. kubectl apply should only be used on resources created declaratively by either kubectl create --save-config or kubectl apply. The missing annotation will be patched automatically.",
            item.resource.plural,
            item.name
        );
    }
    let Some((kind, patch)) = patch_for(item, &current, invocation.is("overwrite"), true)? else {
        // As upstream, which does not compare before it has to send anything.
        return Ok((current, if dry_run == DryRun::Client { "configured" } else { "unchanged" }));
    };
    if dry_run == DryRun::Client {
        return Ok((change::locally(&current, kind, &patch)?, "configured"));
    }
    match session.client.patch(&with_query(&item.path(), &query), kind, &patch).await {
        Ok(object) => Ok((object, "configured")),
        Err(error) if invocation.is("force") && (error.is_conflict() || error.reason() == "Invalid") => {
            recreate(session, invocation, item).await
        }
        Err(error) => {
            let about = format!(
                "applying patch:\n{}\nto:\n{}\nfor: \"{}\"",
                formats::json::compact(&patch),
                identity(item),
                item.source
            );
            Err(match error {
                Error::Server { status, .. } => Error::Server {
                    status,
                    context: Some(format!("error when {about}: error when patching \"{}\"", item.source)),
                },
                other => other,
            })
        }
    }
}

/// Which object is meant, in as many words as upstream needs for it.
fn identity(item: &Item) -> String {
    let resource = &item.resource;
    let version = format!("{}/{}", resource.group, resource.version);
    format!(
        "Resource: \"{version}, Resource={}\", GroupVersionKind: \"{version}, Kind={}\"\nName: \"{}\", Namespace: \"{}\"",
        resource.plural,
        resource.kind,
        item.name,
        item.namespace.as_deref().unwrap_or("")
    )
}

/// With `--force`: what cannot be changed is deleted and created again.
async fn recreate(session: &Session, invocation: &Invocation, item: &Item) -> Result<(Value, &'static str)> {
    let mut deletion = Deletion::from_flags(invocation, DryRun::None)?;
    deletion.quiet = true;
    deletion.delete(session, item).await?;
    gone(session, item, None).await?;
    let mut object = item.object.clone();
    record(&mut object);
    Ok((session.client.post(&item.collection(), &object).await?, "configured"))
}
