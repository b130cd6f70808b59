//! `kubectl describe`.

use apimachinery::object::ObjectExt;

use cli_runtime::cli::{Command, Flag, Invocation, flag};
use cli_runtime::error::{Error, Result};
use cli_runtime::resource::{Pick, Session, args, files};

/// Describes objects.
pub static COMMAND: Command = Command {
    name: "describe",
    short: "Show details of a specific resource or group of resources",
    long: "Show details of a specific resource or group of resources.\n\nWhat the server knows about an object and about what belongs to it, events included, in words. A name that no object has may be the beginning of several.",
    examples: "
# A node
kubectl describe node w1-k8s

# Pods whose names begin so
kubectl describe pods web

# All pods with a label
kubectl describe pods -l app=web",
    usage: "describe (-f FILENAME | TYPE [NAME_PREFIX | -l label] | TYPE/NAME)",
    flags: &[
        flag::FILES,
        flag::SELECTOR,
        flag::ALL_NAMESPACES,
        flag::CHUNK_SIZE,
        &[Flag::bool("show-events", "true", "Show the events about the object.")],
    ],
    run: Some(|invocation| Box::pin(run(invocation))),
    ..Command::NONE
};

async fn run(invocation: Invocation) -> Result<()> {
    if invocation.args.is_empty() && !files::given(&invocation) {
        errln!(
            "You must specify the type of resource to describe. Use \"kubectl api-resources\" for a complete list of supported resources.\n"
        );
        return Err(invocation.usage("Required resource not specified."));
    }
    let session = Session::open(&invocation).await?;
    let picks = args::picks(&session, &invocation, &invocation.args).await?;
    let mut first = true;
    let mut errors = Vec::new();
    let mut listed = false;
    for pick in picks {
        listed |= matches!(pick, Pick::List(_));
        let items = match &pick {
            Pick::Name(resource, name) => match session.fetch(resource, name).await {
                Ok(item) => vec![item],
                Err(error) if error.is_not_found() => {
                    let scope = session.scope(&invocation);
                    let mut found = session.list(resource, scope, "", "").await.unwrap_or_default();
                    found.retain(|item| item.object.name().starts_with(name));
                    if found.is_empty() {
                        errors.push(error);
                    }
                    found
                }
                Err(error) => {
                    errors.push(error);
                    continue;
                }
            },
            _ => {
                let (items, failed) = session.objects(&invocation, vec![pick]).await;
                errors.extend(failed);
                items
            }
        };
        for item in items {
            match ::describe::describe(&session, &item, invocation.is("show-events")).await {
                Ok(text) => {
                    if !first {
                        out!("\n\n");
                    }
                    first = false;
                    out!("{text}");
                }
                Err(error) => errors.push(error),
            }
        }
    }
    if first && listed && errors.is_empty() {
        match invocation.is("all-namespaces") {
            true => errln!("No resources found"),
            false => errln!("No resources found in {} namespace.", session.namespace),
        }
    }
    Error::all(errors)
}
