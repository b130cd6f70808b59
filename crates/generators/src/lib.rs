//! The objects that the subcommands of `kubectl create` make from flags.

#[macro_use(outln)]
extern crate cli_runtime;

pub mod configmap;
pub mod ingress;
pub mod job;
pub mod namespace;
pub mod poddisruptionbudget;
pub mod priorityclass;
pub mod quota;
pub mod rbac;
pub mod secret;
mod selector;
pub mod service;
pub mod serviceaccount;
pub mod token;
pub mod workload;

pub use rbac::subjects;
pub use service::parse_target_port;

use serde_json::Value;

use cli_runtime::change;
use cli_runtime::cli::{Flag, Invocation};
use cli_runtime::error::{Error, Result};
use cli_runtime::resource::Session;

/// The manager that upstream records for objects created by this command.
pub const MANAGER: &[Flag] = &[Flag::manager("kubectl-create")];

/// Creates an object that flags describe, or prints it on a dry run.
///
/// `what` is how upstream's message names it (`configmap:`); empty where upstream shows the server's error as it is.
pub async fn generated(
    invocation: &Invocation,
    mut object: Value,
    plural: &str,
    namespaced: bool,
    what: &str,
) -> Result<()> {
    // A wrong value is refused before anything is asked of the server.
    invocation.dry_run()?;
    let session = Session::open(invocation).await?;
    if namespaced && session.namespace_given {
        object["metadata"]["namespace"] = session.namespace.clone().into();
    }
    let api_version = object["apiVersion"].as_str().unwrap_or("v1");
    let root = if api_version.contains('/') { "/apis" } else { "/api" };
    let collection = match namespaced {
        true => format!("{root}/{api_version}/namespaces/{}/{plural}", session.namespace),
        false => format!("{root}/{api_version}/{plural}"),
    };
    let object =
        change::created(&session, invocation, &collection, object).await.map_err(|error| match error {
            Error::Server { status, .. } if !what.is_empty() => Error::message(format!(
                "failed to create {what} {}",
                status["message"].as_str().unwrap_or("")
            )),
            other => other,
        })?;
    change::warnings_as_errors(invocation, &session)?;
    change::report(invocation, &object, "created")
}
