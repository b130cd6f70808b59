//! `kubectl wait`, and waiting by watch until an object is as wanted.

use std::time::Duration;

use serde_json::Value;

use super::delete::gone;
use cli_runtime::cli::{Command, Flag, Invocation, flag};
use cli_runtime::client::with_query;
use cli_runtime::error::{Error, Result};
use cli_runtime::print;
use cli_runtime::resource::{Item, Pick, Session, args, files};
use formats::jsonpath;

/// Waits for conditions.
pub static COMMAND: Command = Command {
    name: "wait",
    short: "Experimental: Wait for a specific condition on one or many resources",
    long: "Experimental: Wait for a specific condition on one or many resources.\n\nEach object is read and then watched until the condition holds, or the time is over.",
    examples: "
# Until a pod is ready
kubectl wait --for=condition=Ready pod/web

# Until a field has a value
kubectl wait --for=jsonpath='{.status.phase}'=Running pod/web

# Until it is gone
kubectl wait --for=delete pod/web --timeout=60s

# Until it is there
kubectl wait --for=create pod/web",
    usage: "wait ([-f FILENAME] | resource.group/resource.name | resource.group [(-l label | --all)]) [--for=create|--for=delete|--for condition=available|--for=jsonpath='{}'[=value]]",
    flags: &[
        &[
            Flag::list(
                "filename",
                "File, directory or URL that names the objects; '-' reads standard input.",
            )
            .short('f'),
            Flag::bool("recursive", "true", "Descend into the directories given with -f.").short('R'),
            Flag::text("for", "", "create, delete, condition=name[=value] or jsonpath='{path}'[=value]."),
            Flag::duration(
                "timeout",
                "30s",
                "How long to wait for each object; zero looks once, negative waits a week.",
            ),
        ],
        flag::PRINT,
        flag::SELECTOR,
        flag::FIELD_SELECTOR,
        flag::ALL_NAMESPACES,
        flag::ALL,
        flag::LOCAL,
    ],
    run: Some(|invocation| Box::pin(run(invocation))),
    ..Command::NONE
};

/// What is waited for.
enum Goal {
    Created,
    Deleted,
    Condition(String, String),
    Field(jsonpath::Template, Option<String>),
}

impl Goal {
    fn parse(text: &str) -> Result<Self> {
        let lower = text.to_lowercase();
        if lower == "create" {
            return Ok(Self::Created);
        }
        if lower == "delete" {
            return Ok(Self::Deleted);
        }
        if let Some(rest) = text.strip_prefix("condition=") {
            let (name, value) = rest.split_once('=').unwrap_or((rest, "true"));
            return Ok(Self::Condition(name.to_string(), value.to_string()));
        }
        if let Some(rest) = text.strip_prefix("jsonpath=") {
            let quoted = rest.trim_start_matches(['\'', '"']);
            let end = quoted.rfind('}').map_or(quoted.len(), |end| end + 1);
            let (path, rest) = quoted.split_at(end);
            let value = rest
                .trim_start_matches(['\'', '"'])
                .strip_prefix('=')
                .map(|value| value.trim_matches(['\'', '"']).to_string());
            if value.as_deref() == Some("") {
                return Err(Error::message("jsonpath wait has to have a value after equal sign"));
            }
            return Ok(Self::Field(jsonpath::Template::parse(&jsonpath::relaxed(path)?, true)?, value));
        }
        Err(Error::message(format!("unrecognized condition: \"{text}\"")))
    }

    fn holds(&self, object: &Value) -> bool {
        match self {
            Self::Created => true,
            Self::Deleted => false,
            Self::Condition(name, value) => {
                object["status"]["conditions"].as_array().into_iter().flatten().any(|condition| {
                    let text = |field: &str| condition[field].as_str().unwrap_or("").to_string();
                    let observed = condition["observedGeneration"].as_i64();
                    let current = object["metadata"]["generation"].as_i64().unwrap_or(0);
                    text("type").eq_ignore_ascii_case(name)
                        && text("status").eq_ignore_ascii_case(value)
                        && observed.is_none_or(|observed| observed >= current)
                })
            }
            Self::Field(template, wanted) => match template.values(object) {
                Ok(found) => match wanted {
                    None => !found.is_empty(),
                    Some(wanted) => found.len() == 1 && jsonpath::show(found[0]) == *wanted,
                },
                Err(_) => false,
            },
        }
    }
}

async fn run(invocation: Invocation) -> Result<()> {
    let goal = Goal::parse(invocation.text("for"))?;
    let timeout = invocation.duration("timeout");
    let session = Session::open(&invocation).await?;
    if invocation.args.is_empty() && !files::given(&invocation) {
        return Err(Error::message(
            "You must provide one or more resources by argument or filename.\nExample resource specifications include:\n   '-f rsrc.yaml'\n   '--filename=rsrc.json'\n   '<resource> <name>'\n   '<resource>'",
        ));
    }
    let picks = args::named_picks(&session, &invocation, &invocation.args).await?;
    let mut errors = Vec::new();
    let mut seen = false;
    for pick in picks {
        let items: Vec<Item> = match pick {
            Pick::Name(resource, name) => {
                let namespace = resource.namespaced.then(|| session.namespace.clone());
                vec![Item { resource, namespace, name, object: Value::Null, source: String::new() }]
            }
            Pick::File(item) => vec![item],
            Pick::List(_) => {
                let (items, failed) = session.objects(&invocation, vec![pick]).await;
                errors.extend(failed);
                items
            }
        };
        for item in items {
            seen = true;
            if let Err(error) = one(&session, &invocation, &goal, item, timeout).await {
                errors.push(error);
            }
        }
    }
    if !seen && errors.is_empty() && !matches!(goal, Goal::Deleted) {
        return Err(Error::message("no matching resources found"));
    }
    Error::all(errors)
}

async fn one(
    session: &Session,
    invocation: &Invocation,
    goal: &Goal,
    item: Item,
    timeout: Duration,
) -> Result<()> {
    let timed_out = || {
        Error::message(format!(
            "timed out waiting for the condition on {}/{}",
            item.resource.plural, item.name
        ))
    };
    if let Goal::Deleted = goal {
        let uid = item.object["metadata"]["uid"].as_str().map(str::to_string);
        return match tokio::time::timeout(timeout, gone(session, &item, uid.as_deref())).await {
            Ok(Ok(())) => {
                outln!("{} condition met", item.label());
                Ok(())
            }
            Ok(Err(error)) => Err(error),
            Err(_) => Err(timed_out()),
        };
    }
    let missing_is_fine = matches!(goal, Goal::Created);
    let object = if timeout.is_zero() {
        let object = session.client.get(&item.path()).await?;
        if !goal.holds(&object) {
            return Err(Error::message(format!(
                "condition not met for {}/{}",
                item.resource.plural, item.name
            )));
        }
        object
    } else {
        match tokio::time::timeout(
            timeout,
            watch(session, &item, missing_is_fine, |object| goal.holds(object)),
        )
        .await
        {
            Ok(found) => found?,
            Err(_) => return Err(timed_out()),
        }
    };
    print::result(invocation, &object, "condition met")
}

/// Waits until the object on the server is as the test wants it, or the time is over.
pub async fn until(
    session: &Session,
    item: &Item,
    timeout: Duration,
    test: impl Fn(&Value) -> bool,
) -> Result<Value> {
    match tokio::time::timeout(timeout, watch(session, item, false, test)).await {
        Ok(found) => found,
        Err(_) => Err(Error::message("timed out waiting for the condition")),
    }
}

async fn watch(
    session: &Session,
    item: &Item,
    missing_is_fine: bool,
    test: impl Fn(&Value) -> bool,
) -> Result<Value> {
    loop {
        let field = format!("metadata.name={}", item.name);
        let list = session.client.get(&with_query(&item.collection(), &[("fieldSelector", &field)])).await?;
        match list["items"].as_array().and_then(|items| items.first()) {
            Some(object) => {
                let mut object = object.clone();
                if object["kind"].is_null() {
                    object["kind"] = item.resource.kind.clone().into();
                    object["apiVersion"] = item.resource.api_version().into();
                }
                if test(&object) {
                    return Ok(object);
                }
            }
            None if missing_is_fine => {}
            None => {
                return Err(Error::server(serde_json::json!({"code": 404, "reason": "NotFound",
                    "message": format!("{} \"{}\" not found", item.resource.qualified(), item.name)})));
            }
        }
        let version = list["metadata"]["resourceVersion"].as_str().unwrap_or("");
        let query = [("fieldSelector", field.as_str()), ("resourceVersion", version), ("watch", "true")];
        let mut watch =
            session.client.watch(&with_query(&item.collection(), &query), "application/json").await?;
        while let Ok(Some((kind, object))) = watch.next().await {
            if kind == "DELETED" && !missing_is_fine {
                return Err(Error::server(serde_json::json!({"code": 404, "reason": "NotFound",
                    "message": format!("{} \"{}\" not found", item.resource.qualified(), item.name)})));
            }
            if kind != "BOOKMARK" && kind != "DELETED" && test(&object) {
                return Ok(object);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goals_hold() {
        let pod = serde_json::json!({"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}});
        for (goal, holds) in [
            ("condition=Ready", true),
            ("condition=ready=true", true),
            ("condition=Ready=false", false),
            ("jsonpath={.status.phase}=Running", true),
            ("jsonpath='{.status.phase}'=Running", true),
            ("jsonpath={.status.phase}=Failed", false),
            ("jsonpath={.status.phase}", true),
            ("jsonpath={.status.podIP}", false),
            ("create", true),
        ] {
            assert_eq!(Goal::parse(goal).unwrap().holds(&pod), holds, "{goal}");
        }
        assert!(Goal::parse("nothing").is_err());
    }
}
