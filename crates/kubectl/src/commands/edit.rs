//! `kubectl edit`, and opening texts in the user's editor.

use patch::Merging;
use serde_json::Value;

use cli_runtime::change::{field_validation, media_type};
use cli_runtime::cli::{Command, Flag, Invocation, flag};
use cli_runtime::client::with_query;
use cli_runtime::error::{Error, Result};
use cli_runtime::print;
use cli_runtime::resource::files::Document;
use cli_runtime::resource::{Item, Session, args};
use formats::{json, yaml};

/// Edits objects of the server.
pub static COMMAND: Command = Command {
    name: "edit",
    short: "Edit a resource on the server",
    long: "Edit a resource from the default editor.\n\nThe editor is the one that KUBE_EDITOR or EDITOR names, or vi. What is saved is sent as a patch; leaving the text as it was cancels.",
    examples: "
# A deployment
kubectl edit deployment/web

# In another editor
KUBE_EDITOR=\"nano\" kubectl edit svc/web",
    usage: "edit (RESOURCE/NAME | -f FILENAME)",
    flags: &[flag::FILES, flag::PRINT, flag::VALIDATE, flag::SAVE_CONFIG, flag::SUBRESOURCE, FLAGS],
    run: Some(|invocation| Box::pin(run(invocation))),
    ..Command::NONE
};

const FLAGS: &[Flag] = &[
    Flag::manager("kubectl-edit"),
    Flag::switch("output-patch", "Print the patch that was sent."),
    Flag::switch("windows-line-endings", "End lines as Windows does while editing."),
];

const HEADER: &str = "# Please edit the object below. Lines beginning with a '#' will be ignored,\n# and an empty file will abort the edit. If an error occurs while saving this file will be\n# reopened with the relevant failures.\n#\n";

async fn run(invocation: Invocation) -> Result<()> {
    let session = Session::open(&invocation).await?;
    let picks = args::named_picks(&session, &invocation, &invocation.args).await?;
    let (items, errors) = session.objects(&invocation, picks).await;
    Error::all(errors)?;
    for item in items {
        edit(&session, &invocation, &item).await?;
    }
    Ok(())
}

/// Lets the user edit an object until the server takes it, or the user gives up.
async fn edit(session: &Session, invocation: &Invocation, item: &Item) -> Result<()> {
    let shown = print::without_managed_fields(item.object.clone());
    let (extension, rendered) = match invocation.text("output") {
        "json" => ("json", json::text(&shown)),
        _ => ("yaml", yaml::text(&shown)),
    };
    let mut before = format!("{HEADER}{rendered}");
    let mut refused = false;
    loop {
        let Some(edited) = text(&before, extension)? else {
            if refused {
                preserve(&before, extension)?;
                return Err(Error::message("Edit cancelled, no valid changes were saved."));
            }
            outln!("Edit cancelled, no changes made.");
            return Ok(());
        };
        let (head, causes) = match yaml::one(&edited) {
            Err(reason) => (format!("The edited file had a syntax error: {reason}"), Vec::new()),
            Ok(Value::Null) => {
                outln!("Edit cancelled, saved file was empty.");
                return Ok(());
            }
            Ok(object) => match save(session, invocation, item, &shown, &object).await {
                Ok(()) => return Ok(()),
                Err(Error::Server { status, context }) => {
                    let error = Error::Server { status, context };
                    refusal(&error, item, &edited, extension)?
                }
                Err(error) => {
                    preserve(&edited, extension)?;
                    return Err(error);
                }
            },
        };
        refused = true;
        let body: String =
            edited.lines().filter(|line| !line.starts_with('#')).map(|line| format!("{line}\n")).collect();
        let colon = if causes.is_empty() { "" } else { ":" };
        let head = head.replace('\n', "\n# ");
        let causes: String =
            causes.iter().map(|cause| format!("# * {}\n", cause.replace('\n', "\n# "))).collect();
        before = format!("{HEADER}# {head}{colon}\n{causes}#\n{body}");
    }
}

/// Tells of a server's refusal. What the user can mend in the editor is returned: its heading and its causes. What
/// another edit would not mend ends the command, with the text kept.
fn refusal(error: &Error, item: &Item, edited: &str, extension: &str) -> Result<(String, Vec<String>)> {
    let named = format!("{} \"{}\"", item.resource.qualified(), item.name);
    match (error.code(), error) {
        (422, Error::Server { status, .. }) => {
            errln!("error: {named} is invalid");
            let causes = status["details"]["causes"].as_array();
            let text = |cause: &Value, field: &str| cause[field].as_str().unwrap_or_default().to_owned();
            let causes = causes.into_iter().flatten();
            let causes = causes.map(|cause| format!("{}: {}", text(cause, "field"), text(cause, "message")));
            Ok((format!("{named} was not valid"), causes.collect()))
        }
        (404, _) => {
            errln!("error: {named} could not be found on the server");
            errln!(
                "The edits you made on deleted resources have been saved to \"{}\"",
                keep(edited, extension)?
            );
            Err(Error::Exit(1, String::new()))
        }
        _ => {
            errln!("error: {named} could not be patched: {}", error.reported());
            errln!("You can run `kubectl replace -f {}` to try this update again.", keep(edited, extension)?);
            Err(Error::Exit(1, String::new()))
        }
    }
}

/// Sends what an edit changed.
async fn save(
    session: &Session,
    invocation: &Invocation,
    item: &Item,
    shown: &Value,
    edited: &Value,
) -> Result<()> {
    if identity(edited) != identity(shown) {
        return Err(Error::message("At least one of apiVersion, kind and name was changed"));
    }
    let merging = Merging::of(shown);
    let patch = merging.two_way(shown, edited)?;
    if patch.as_object().is_some_and(serde_json::Map::is_empty) {
        outln!("{} skipped", print::name(&item.object));
        return Ok(());
    }
    if invocation.is("output-patch") {
        outln!("Patch: {}", json::compact(&patch));
    }
    let query = [
        ("fieldManager", invocation.text("field-manager")),
        ("fieldValidation", field_validation(invocation.text("validate"))),
    ];
    let path = with_query(&item.path_of(invocation.text("subresource")), &query);
    let object = session.client.patch(&path, media_type(merging), &patch).await?;
    print::result(invocation, &object, "edited")
}

/// Keeps a text that could not be saved, and says where.
fn preserve(text: &str, extension: &str) -> Result<()> {
    errln!("A copy of your changes has been stored to \"{}\"", keep(text, extension)?);
    Ok(())
}

/// Keeps a text in a file of its own, whose path it returns.
fn keep(text: &str, extension: &str) -> Result<String> {
    let file =
        tempfile::Builder::new().prefix("kubectl-edit-").suffix(&format!(".{extension}")).tempfile()?;
    std::fs::write(file.path(), text)?;
    let (_, path) = file.keep().map_err(|error| Error::from(error.error))?;
    Ok(path.display().to_string())
}

/// What an edit may not change: it would be another object.
fn identity(object: &Value) -> [&Value; 3] {
    [&object["apiVersion"], &object["kind"], &object["metadata"]["name"]]
}

/// Opens documents in the editor before they are created.
pub fn documents(documents: Vec<Document>) -> Result<Vec<Document>> {
    let mut edited = Vec::new();
    for document in documents {
        let before = format!("{HEADER}{}", formats::yaml::text(&document.object));
        let after = text(&before, "yaml")?.unwrap_or(before);
        let object = yaml::one(&after)?;
        edited.push(Document { object, source: document.source });
    }
    Ok(edited)
}

/// Opens a text in the user's editor; `None` when it was left as it was.
pub fn text(before: &str, extension: &str) -> Result<Option<String>> {
    let editor = ["KUBE_EDITOR", "EDITOR"]
        .iter()
        .filter_map(|name| std::env::var(name).ok())
        .find(|editor| !editor.trim().is_empty())
        .unwrap_or_else(|| "vi".into());
    let file =
        tempfile::Builder::new().prefix("kubectl-edit-").suffix(&format!(".{extension}")).tempfile()?;
    std::fs::write(file.path(), before)?;
    let status = std::process::Command::new("sh")
        .arg("-c")
        .arg(format!("{editor} \"$1\""))
        .arg("sh")
        .arg(file.path())
        .status()
        .map_err(|error| Error::message(format!("unable to launch the editor \"{editor}\": {error}")))?;
    if !status.success() {
        return Err(Error::message(format!("there was a problem with the editor \"{editor}\"")));
    }
    let after = std::fs::read_to_string(file.path())?;
    Ok((after != before).then_some(after))
}
