//! `kubectl events`.

use apimachinery::object::ObjectExt;
use jiff::Timestamp;
use serde_json::Value;

use cli_runtime::cli::{Command, Flag, Invocation, flag};
use cli_runtime::client::with_query;
use cli_runtime::error::{Error, Result};
use cli_runtime::print::{self, Printer};
use cli_runtime::resource::Session;
use describe::{interval, last_seen};
use formats::table::Rows;

/// Lists events.
pub static COMMAND: Command = Command {
    name: "events",
    short: "List events",
    long: "Display events, the latest last, for the current namespace, all, or one object.",
    examples: "
# Events of the namespace
kubectl events

# Those about a pod, and what follows
kubectl events --for pod/web --watch

# Warnings only
kubectl events --types=Warning",
    usage: "events [(-o|--output=)json|yaml|name|go-template|go-template-file|template|templatefile|jsonpath|jsonpath-as-json|jsonpath-file] [--for TYPE/NAME] [--watch] [--types=Normal,Warning]",
    flags: &[
        flag::PRINT,
        flag::ALL_NAMESPACES,
        flag::CHUNK_SIZE,
        &[
            Flag::text("for", "", "Events about this object only (type/name)."),
            Flag::switch("no-headers", "Leave out the headers."),
            Flag::list("types", "Events of these types only: Normal, Warning."),
            Flag::switch("watch", "Go on with new events.").short('w'),
        ],
    ],
    run: Some(|invocation| Box::pin(run(invocation))),
    ..Command::NONE
};

async fn run(invocation: Invocation) -> Result<()> {
    invocation.no_args()?;
    let types = invocation.list("types");
    if let Some(wrong) =
        types.iter().find(|kind| !["normal", "warning"].contains(&kind.to_lowercase().as_str()))
    {
        return Err(Error::message(format!("valid --types are Normal or Warning, got {wrong}")));
    }
    let session = Session::open(&invocation).await?;
    let mut fields = String::new();
    let about = invocation.text("for");
    if !about.is_empty() {
        let (kind, name) =
            about.split_once('/').ok_or_else(|| Error::message("--for must be in resource/name form"))?;
        let resource = session.mapper.resource(kind).await?;
        fields = format!("involvedObject.kind={},involvedObject.name={name}", resource.kind);
    }
    let path = match session.scope(&invocation) {
        Some(namespace) => format!("/api/v1/namespaces/{namespace}/events"),
        None => "/api/v1/events".into(),
    };
    let wanted = |event: &Value| {
        types.is_empty()
            || types
                .iter()
                .any(|kind| event["type"].as_str().is_some_and(|known| known.eq_ignore_ascii_case(kind)))
    };
    let list = session.list_path(&path, "", &fields, invocation.int("chunk-size")).await?;
    let mut events: Vec<Value> = list["items"].as_array().cloned().unwrap_or_default();
    events.retain(wanted);
    events.sort_by_key(|event| last_seen(event).to_string());
    let mut printer = Printer::from_flags(&invocation)?;
    let mut rows = Rows::default();
    let all = invocation.is("all-namespaces");
    if let Some(printer) = &mut printer {
        if !invocation.is("watch") {
            return printer.print(&print::list_of(events));
        }
        for event in &events {
            printer.print(event)?;
        }
    } else {
        if events.is_empty() && !invocation.is("watch") {
            match all {
                true => errln!("No events found."),
                false => errln!("No events found in {} namespace.", session.namespace),
            }
            return Ok(());
        }
        let mut lines = Vec::new();
        if !invocation.is("no-headers") {
            let mut header: Vec<String> = if all { vec!["NAMESPACE".into()] } else { Vec::new() };
            header.extend(["LAST SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"].map(String::from));
            lines.push(header);
        }
        lines.extend(events.iter().map(|event| row(event, all)));
        out!("{}", rows.align(&lines));
    }
    if !invocation.is("watch") {
        return Ok(());
    }
    let version = list["metadata"]["resourceVersion"].as_str().unwrap_or("");
    let query = [("fieldSelector", fields.as_str()), ("resourceVersion", version), ("watch", "true")];
    let mut watch = session.client.watch(&with_query(&path, &query), "application/json").await?;
    while let Some((kind, event)) = watch.next().await? {
        if matches!(kind.as_str(), "DELETED" | "BOOKMARK") || !wanted(&event) {
            continue;
        }
        match &mut printer {
            Some(printer) => printer.print(&event)?,
            None => out!("{}", rows.align(&[row(&event, all)])),
        }
    }
    Ok(())
}

fn row(event: &Value, with_namespace: bool) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or("").to_string();
    let object = &event["involvedObject"];
    let mut cells = if with_namespace { vec![event.namespace().to_string()] } else { Vec::new() };
    cells.extend([
        interval(event, Timestamp::now()),
        text(&event["type"]),
        text(&event["reason"]),
        format!("{}/{}", text(&object["kind"]), text(&object["name"])),
        text(&event["message"]).trim().replace('\n', " "),
    ]);
    cells
}
