//! `kubectl edit`, and opening texts in the user's editor.

use patch::Merging;
use serde_json::Value;

use cli_runtime::change::media_type;
use cli_runtime::cli::{Command, Flag, Invocation, flag};
use cli_runtime::client::with_query;
use cli_runtime::error::{Error, Result};
use cli_runtime::print;
use cli_runtime::resource::files::Document;
use cli_runtime::resource::{Session, args};
use formats::yaml;

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
        let shown = print::without_managed_fields(item.object.clone());
        let json = invocation.text("output") == "json";
        let render =
            |object: &Value| if json { formats::json::text(object) } else { formats::yaml::text(object) };
        let mut before = format!("{HEADER}{}", render(&shown));
        loop {
            let Some(edited) = text(&before, if json { "json" } else { "yaml" })? else {
                outln!("Edit cancelled, no changes made.");
                break;
            };
            let problem = match yaml::one(&edited) {
                Err(reason) => reason.to_string(),
                Ok(Value::Null) => {
                    outln!("Edit cancelled, saved file was empty.");
                    break;
                }
                Ok(object) => {
                    if identity(&object) != identity(&shown) {
                        return Err(Error::message("At least one of apiVersion, kind and name was changed"));
                    }
                    let merging = Merging::of(&shown);
                    let patch = merging.two_way(&shown, &object)?;
                    if patch.as_object().is_some_and(serde_json::Map::is_empty) {
                        outln!("{} skipped", print::name(&item.object));
                        break;
                    }
                    if invocation.is("output-patch") {
                        outln!("Patch: {}", formats::json::compact(&patch));
                    }
                    let subresource = invocation.text("subresource");
                    let path = item.path_of(subresource);
                    let query = [
                        ("fieldManager", invocation.text("field-manager")),
                        (
                            "fieldValidation",
                            cli_runtime::change::field_validation(invocation.text("validate")),
                        ),
                    ];
                    match session.client.patch(&with_query(&path, &query), media_type(merging), &patch).await
                    {
                        Ok(object) => {
                            print::result(&invocation, &object, "edited")?;
                            break;
                        }
                        Err(error @ Error::Server { .. }) if matches!(error.code(), 400 | 422) => {
                            errln!("{}", error.text());
                            error.text()
                        }
                        Err(error) => return Err(error),
                    }
                }
            };
            let body: String = edited
                .lines()
                .filter(|line| !line.starts_with('#'))
                .map(|line| format!("{line}\n"))
                .collect();
            let reasons: String = problem.lines().map(|line| format!("# {line}\n")).collect();
            before = format!("{HEADER}{reasons}#\n{body}");
        }
    }
    Ok(())
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
