//! `kubectl label` and `kubectl annotate`.

use serde_json::{Value, json};

use cli_runtime::change;
use cli_runtime::cli::{Command, Flag, Invocation, flag};
use cli_runtime::client::MERGE;
use cli_runtime::error::{Error, Result};
use cli_runtime::resource::{Item, Session};

/// Changes labels.
pub static LABEL: Command = Command {
    name: "label",
    short: "Update the labels on a resource",
    examples: "
# Add a label
kubectl label pod web tier=front

# Change one that is there
kubectl label --overwrite pod web tier=back

# Take one away
kubectl label pod web tier-",
    usage: "label [--overwrite] (-f FILENAME | TYPE NAME) KEY_1=VAL_1 ... KEY_N=VAL_N [--resource-version=version]",
    flags: &[
        flag::FILES,
        flag::PRINT,
        flag::DRY_RUN,
        flag::SELECTOR,
        flag::FIELD_SELECTOR,
        flag::ALL_NAMESPACES,
        flag::ALL,
        flag::LOCAL,
        flag::RESOURCE_VERSION,
        FLAGS,
        LABEL_MANAGER,
    ],
    run: Some(|invocation| Box::pin(run(invocation, &LABELS))),
    ..Command::NONE
};

/// Changes annotations.
pub static ANNOTATE: Command = Command {
    name: "annotate",
    short: "Update the annotations on a resource",
    examples: "
# Add an annotation
kubectl annotate pod web description='a web server'

# Change one that is there
kubectl annotate --overwrite pod web description='the web server'

# Take one away
kubectl annotate pod web description-",
    usage: "annotate [--overwrite] (-f FILENAME | TYPE NAME) KEY_1=VAL_1 ... KEY_N=VAL_N [--resource-version=version]",
    flags: &[
        flag::FILES,
        flag::PRINT,
        flag::DRY_RUN,
        flag::SELECTOR,
        flag::FIELD_SELECTOR,
        flag::ALL_NAMESPACES,
        flag::ALL,
        flag::LOCAL,
        flag::RESOURCE_VERSION,
        FLAGS,
        ANNOTATE_MANAGER,
    ],
    run: Some(|invocation| Box::pin(run(invocation, &ANNOTATIONS))),
    ..Command::NONE
};

const FLAGS: &[Flag] = &[
    Flag::switch("list", "Show what the object has."),
    Flag::switch("overwrite", "Change values that are there already."),
];
const LABEL_MANAGER: &[Flag] = &[Flag::manager("kubectl-label")];
const ANNOTATE_MANAGER: &[Flag] = &[Flag::manager("kubectl-annotate")];

/// What of the metadata is changed, and its words.
struct Field {
    name: &'static str,
    one: &'static str,
    added: &'static str,
    removed: &'static str,
    unchanged: &'static str,
}

static LABELS: Field =
    Field { name: "labels", one: "label", added: "labeled", removed: "unlabeled", unchanged: "not labeled" };
static ANNOTATIONS: Field = Field {
    name: "annotations",
    one: "annotation",
    added: "annotated",
    removed: "annotated",
    unchanged: "annotated",
};

async fn run(invocation: Invocation, field: &'static Field) -> Result<()> {
    let is_change = |arg: &str| (arg.contains('=') && !arg.starts_with('=')) || arg.ends_with('-');
    let (resources, changes) = change::split(&invocation.args, is_change);
    if let Some(wrong) = changes.iter().find(|change| !is_change(change)) {
        return Err(Error::message(format!(
            "all resources must be specified before {} changes: {wrong}",
            field.one
        )));
    }
    if changes.is_empty() && !invocation.is("list") {
        return Err(Error::message(format!("at least one {} update is required", field.one)));
    }
    let mut set: Vec<(&str, &str)> = Vec::new();
    let mut removed: Vec<&str> = Vec::new();
    for change in &changes {
        match change.split_once('=') {
            Some((key, value)) => {
                if field.one == "label" {
                    let errors = apimachinery::names::label_value_errors(value);
                    if let Some(error) = errors.first() {
                        return Err(Error::message(format!("invalid label value: \"{change}\": {error}")));
                    }
                }
                set.push((key, value));
            }
            None => removed.push(change.trim_end_matches('-')),
        }
    }
    if let Some((key, _)) = set.iter().find(|(key, _)| removed.contains(key)) {
        return Err(Error::message(format!(
            "can not both modify and remove {} \"{key}\" in the same command",
            an(field.one)
        )));
    }
    let session = Session::open(&invocation).await?;
    let targets = change::targets(&session, &invocation, &resources).await?;
    let many = targets.len() > 1;
    let mut errors = Vec::new();
    for item in targets {
        if let Err(error) = one(&session, &invocation, field, &item, &set, &removed, many).await {
            errors.push(error);
        }
    }
    Error::all(errors)
}

fn an(word: &str) -> String {
    if word.starts_with('a') { format!("an {word}") } else { format!("a {word}") }
}

async fn one(
    session: &Session,
    invocation: &Invocation,
    field: &Field,
    item: &Item,
    set: &[(&str, &str)],
    removed: &[&str],
    many: bool,
) -> Result<()> {
    let current = &item.object["metadata"][field.name];
    if invocation.is("list") {
        if many {
            outln!(
                "Listing {}s for {}/{}:",
                field.one,
                item.object["kind"].as_str().unwrap_or(""),
                item.name
            );
        }
        let indent = if many { " " } else { "" };
        for (key, value) in current.as_object().into_iter().flatten() {
            outln!("{indent}{key}={}", value.as_str().unwrap_or(""));
        }
        return Ok(());
    }
    if !invocation.is("overwrite") {
        let taken: Vec<String> = set
            .iter()
            .filter_map(|(key, value)| {
                let known = current[*key].as_str()?;
                (field.one == "annotation" || known != *value).then(|| match field.one {
                    "label" => format!("'{key}' already has a value ({known}), and --overwrite is false"),
                    _ => (*key).to_string(),
                })
            })
            .collect();
        if !taken.is_empty() {
            return Err(Error::message(match field.one {
                "label" => taken.join("; "),
                _ => format!(
                    "--overwrite is false but found the following declared annotation(s): {}",
                    taken
                        .iter()
                        .map(|key| format!(
                            "'{key}' already has a value ({})",
                            current[key.as_str()].as_str().unwrap_or("")
                        ))
                        .collect::<Vec<_>>()
                        .join("; ")
                ),
            }));
        }
    }
    let mut patch = json!({"metadata": {field.name: {}}});
    for (key, value) in set {
        if current[*key].as_str() != Some(value) {
            patch["metadata"][field.name][*key] = (*value).into();
        }
    }
    let mut any_removed = false;
    for key in removed {
        if current[*key].is_null() {
            if field.one == "label" {
                outln!("label \"{key}\" not found.");
            }
        } else {
            patch["metadata"][field.name][*key] = Value::Null;
            any_removed = true;
        }
    }
    let nothing = patch["metadata"][field.name].as_object().is_none_or(serde_json::Map::is_empty);
    let any_set = patch["metadata"][field.name].as_object().is_some_and(|m| m.values().any(|v| !v.is_null()));
    if !invocation.text("resource-version").is_empty() {
        patch["metadata"]["resourceVersion"] = invocation.text("resource-version").into();
    }
    let object = match nothing {
        true => item.object.clone(),
        false => change::patched(session, invocation, item, MERGE, &patch).await?,
    };
    let done = match (nothing, any_set, any_removed) {
        (true, ..) => field.unchanged,
        (_, true, _) => field.added,
        (_, false, true) => field.removed,
        _ => field.added,
    };
    change::report(invocation, &object, done)
}
