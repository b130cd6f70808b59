//! `kubectl create -f`: every object of the files, as they are.

use cli_runtime::change;
use cli_runtime::cli::{Command, Flag, Invocation, flag};
use cli_runtime::error::{Error, Result};
use cli_runtime::resource::{Item, Session, files};

use generators::{
    MANAGER, configmap, ingress, job, namespace, poddisruptionbudget, priorityclass, quota, rbac, secret,
    service, serviceaccount, token, workload,
};

/// Creates objects.
pub static COMMAND: Command = Command {
    name: "create",
    short: "Create a resource from a file or from stdin",
    long: "Create a resource from a file or from stdin.\n\nJSON and YAML are read.",
    examples: "
# The objects of a file
kubectl create -f pod.yaml

# The object that comes on standard input
cat pod.json | kubectl create -f -

# An object that flags describe
kubectl create deployment web --image=nginx --replicas=3",
    usage: "create -f FILENAME",
    flags: &[
        flag::FILES,
        flag::PRINT,
        flag::DRY_RUN,
        flag::VALIDATE,
        flag::SAVE_CONFIG,
        flag::SELECTOR,
        MANAGER,
        FLAGS,
    ],
    subcommands: &[
        &rbac::CLUSTERROLE,
        &rbac::CLUSTERROLEBINDING,
        &configmap::COMMAND,
        &job::CRONJOB,
        &workload::DEPLOYMENT,
        &ingress::COMMAND,
        &job::JOB,
        &namespace::COMMAND,
        &poddisruptionbudget::COMMAND,
        &priorityclass::COMMAND,
        &quota::COMMAND,
        &rbac::ROLE,
        &rbac::ROLEBINDING,
        &secret::COMMAND,
        &service::COMMAND,
        &serviceaccount::COMMAND,
        &token::COMMAND,
    ],
    run: Some(|invocation| Box::pin(run(invocation))),
    ..Command::NONE
};

const FLAGS: &[Flag] = &[
    Flag::switch("edit", "Open the objects in an editor before they are created."),
    Flag::text("raw", "", "Path of the server to which the file is posted as it is."),
    Flag::switch("windows-line-endings", "End lines as Windows does while editing."),
];

async fn run(invocation: Invocation) -> Result<()> {
    if !invocation.args.is_empty() {
        return Err(invocation.usage(format!("Unexpected args: [{}]", invocation.args.join(" "))));
    }
    if !files::given(&invocation) {
        return Err(Error::message("must specify one of -f and -k"));
    }
    let session = Session::open(&invocation).await?;
    let raw = invocation.text("raw");
    if !raw.is_empty() {
        return super::raw::with_file(&session, http::Method::POST, raw, invocation.list("filename")).await;
    }
    // A wrong value is refused before anything is asked of the server.
    invocation.dry_run()?;
    let mut documents = files::read(&invocation).await?;
    if invocation.is("edit") {
        documents = super::edit::documents(documents)?;
    }
    if documents.is_empty() {
        return Err(Error::message("no objects passed to create"));
    }
    let selector = apimachinery::labels::parse(invocation.text("selector"))
        .map_err(|error| Error::message(error.to_string()))?;
    let mut errors = Vec::new();
    for document in documents {
        let done = async {
            let item = files::item(&session, document).await?;
            if !selector.matches_value(item.object["metadata"]["labels"].as_object()) {
                return Ok(());
            }
            create(&session, &invocation, item).await
        };
        if let Err(error) = done.await {
            errors.push(error);
        }
    }
    cli_runtime::change::warnings_as_errors(&invocation, &session)?;
    Error::all(errors)
}

async fn create(session: &Session, invocation: &Invocation, item: Item) -> Result<()> {
    let object = change::created(session, invocation, &item.collection(), item.object)
        .await
        .map_err(|error| error.during("creating", &item.source))?;
    change::report(invocation, &object, "created")
}
