//! `kubectl create quota`.

use serde_json::json;

use crate::{MANAGER, generated};
use cli_runtime::cli::{Command, Flag, Invocation, flag};
use cli_runtime::error::{Error, Result};

/// Creates a resource quota.
pub static COMMAND: Command = Command {
    name: "quota",
    aliases: &["resourcequota"],
    short: "Create a quota with the specified name",
    examples: "
# At most four pods and two processors
kubectl create quota small --hard=pods=4,cpu=2",
    usage: "quota NAME [--hard=key1=value1,key2=value2] [--scopes=Scope1,Scope2] [--dry-run=server|client|none]",
    flags: &[flag::PRINT, flag::DRY_RUN, flag::VALIDATE, flag::SAVE_CONFIG, MANAGER, FLAGS],
    run: Some(|invocation| Box::pin(run(invocation))),
    ..Command::NONE
};

const FLAGS: &[Flag] = &[
    Flag::text("hard", "", "Limits, as key=value pairs with commas between."),
    Flag::text("scopes", "", "Scopes, with commas between."),
];

async fn run(invocation: Invocation) -> Result<()> {
    let name = invocation.exactly_one_name()?;
    let mut spec = json!({});
    for pair in invocation.text("hard").split(',').filter(|pair| !pair.is_empty()) {
        let (key, value) =
            pair.split_once('=').filter(|(key, value)| !key.is_empty() && !value.is_empty()).ok_or_else(
                || Error::message(format!("invalid argument syntax {pair}, expected <resource>=<value>")),
            )?;
        spec["hard"][key] = value.into();
    }
    for scope in invocation.text("scopes").split(',').filter(|scope| !scope.is_empty()) {
        if !spec["scopes"].is_array() {
            spec["scopes"] = json!([]);
        }
        spec["scopes"].as_array_mut().into_iter().for_each(|scopes| scopes.push(scope.into()));
    }
    let object = json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": name}, "spec": spec, "status": {}});
    generated(&invocation, object, "resourcequotas", true, "quota:").await
}
