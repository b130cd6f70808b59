//! `kubectl get`: lists and objects as tables or in other formats, and watches of them.

use std::rc::Rc;

use apimachinery::object::ObjectExt;
use serde_json::{Value, json};

use cli_runtime::cli::{Command, Flag, Invocation, flag};
use cli_runtime::client::{TABLE, with_query};
use cli_runtime::discovery::Resource;
use cli_runtime::error::{Error, Result};
use cli_runtime::print::{self, Printer};
use cli_runtime::resource::{Pick, Session, args, files};
use formats::{jsonpath, table};

/// Shows objects.
pub static COMMAND: Command = Command {
    name: "get",
    short: "Display one or many resources",
    long: "Display one or many resources.\n\nPrints a table with what matters most about the objects of the given types. A label query (--selector) or a field query (--field-selector) narrows the list. Objects of namespaced types come from the current namespace unless another one, or --all-namespaces, is given.\n\nUse \"kubectl api-resources\" to see which types the server knows.",
    examples: "
# Pods of the current namespace
kubectl get pods

# Pods with their nodes and addresses
kubectl get pods -o wide

# One deployment, as YAML
kubectl get deployment web -o yaml

# Objects of several types at once
kubectl get deploy,rs,po --show-labels

# A value out of one object
kubectl get pod/web -o jsonpath={.status.podIP}

# Chosen fields as columns
kubectl get pods -o custom-columns=NAME:.metadata.name,IMAGE:.spec.containers[*].image

# Pods of all namespaces, and then every change
kubectl get pods -A --watch",
    usage: "get [(-o|--output=)json|yaml|name|go-template|go-template-file|template|templatefile|jsonpath|jsonpath-as-json|jsonpath-file|custom-columns|custom-columns-file|wide] (TYPE[.VERSION][.GROUP] [NAME | -l label] | TYPE[.VERSION][.GROUP]/NAME ...) [flags]",
    flags: &[
        flag::FILES,
        flag::PRINT,
        flag::SELECTOR,
        flag::FIELD_SELECTOR,
        flag::ALL_NAMESPACES,
        flag::CHUNK_SIZE,
        flag::SUBRESOURCE,
        FLAGS,
    ],
    run: Some(|invocation| Box::pin(run(invocation))),
    ..Command::NONE
};

const FLAGS: &[Flag] = &[
    Flag::switch("ignore-not-found", "End well when the object is not there."),
    Flag::list("label-columns", "Show these labels as columns.").short('L'),
    Flag::switch("no-headers", "Leave out the headers of tables."),
    Flag::switch("output-watch-events", "Show the type of each event of a watch."),
    Flag::text("raw", "", "Read this path of the server and print what it answers."),
    Flag::bool("server-print", "true", "Let the server make the table."),
    Flag::switch("show-kind", "Show the type before each name."),
    Flag::switch("show-labels", "Show all labels as the last column."),
    Flag::text("sort-by", "", "Sort by the field that this JSONPath expression names."),
    Flag::switch("watch", "After listing, wait for changes and show them.").short('w'),
    Flag::switch("watch-only", "Show changes only, without listing first."),
];

async fn run(invocation: Invocation) -> Result<()> {
    let session = Session::open(&invocation).await?;
    let raw = invocation.text("raw");
    if !raw.is_empty() {
        return super::raw::get(&session, raw).await;
    }
    if invocation.args.is_empty() && !files::given(&invocation) {
        errln!(
            "You must specify the type of resource to get. Use \"kubectl api-resources\" for a complete list of supported resources.\n"
        );
        return Err(invocation.usage(
            "Required resource not specified.\nUse \"kubectl explain <resource>\" for a detailed description of that resource (e.g. kubectl explain pods).",
        ));
    }
    let printer = Printer::from_flags(&invocation)?;
    let picks = args::picks(&session, &invocation, &invocation.args).await?;
    if invocation.is("watch") || invocation.is("watch-only") {
        return watch(&session, &invocation, printer, picks).await;
    }
    match printer {
        Some(printer) => objects(&session, &invocation, printer, picks).await,
        None => tables(&session, &invocation, picks).await,
    }
}

/// The path of what a pick asks for, with the selectors that apply to lists.
fn path(session: &Session, invocation: &Invocation, pick: &Pick) -> (String, bool) {
    let subresource = invocation.text("subresource");
    let with_subresource = |path: String| match subresource {
        "" => path,
        name => format!("{path}/{name}"),
    };
    match pick {
        Pick::Name(resource, name) => {
            (with_subresource(resource.object_path(Some(&session.namespace), name)), false)
        }
        Pick::File(item) => (with_subresource(item.path()), false),
        Pick::List(resource) => {
            let query = [
                ("fieldSelector", invocation.text("field-selector")),
                ("labelSelector", invocation.text("selector")),
            ];
            (with_query(&resource.path(session.scope(invocation)), &query), true)
        }
    }
}

fn resource(pick: &Pick) -> Rc<Resource> {
    match pick {
        Pick::List(resource) | Pick::Name(resource, _) => resource.clone(),
        Pick::File(item) => item.resource.clone(),
    }
}

async fn objects(
    session: &Session,
    invocation: &Invocation,
    mut printer: Printer,
    picks: Vec<Pick>,
) -> Result<()> {
    let single = picks.len() == 1 && !matches!(picks[0], Pick::List(_));
    let mut found = Vec::new();
    let mut errors = Vec::new();
    for pick in &picks {
        let (path, list) = path(session, invocation, pick);
        let reply = match list {
            true => session.list_path(&path, "", "", invocation.int("chunk-size")).await,
            false => session.client.get(&path).await,
        };
        match reply {
            Ok(reply) if list => {
                let kind = reply.kind().strip_suffix("List").unwrap_or("").to_string();
                let api_version = reply.api_version().to_string();
                for mut object in reply["items"].as_array().cloned().unwrap_or_default() {
                    if object["kind"].is_null() && !kind.is_empty() {
                        object["kind"] = kind.clone().into();
                        object["apiVersion"] = api_version.clone().into();
                    }
                    found.push(object);
                }
            }
            Ok(object) => found.push(object),
            Err(error) if error.is_not_found() && !list && invocation.is("ignore-not-found") => {}
            Err(error) => errors.push(unlisted(invocation, &resource(pick), error)),
        }
    }
    sort(&mut found, invocation.text("sort-by"), |object| object)?;
    if single {
        for object in &found {
            printer.print(object)?;
        }
    } else if let Some(columns) = printer.columns() {
        out!("{}", columns.render(&found, !invocation.is("no-headers"))?);
    } else if printer.takes_items() {
        for object in &found {
            printer.print(object)?;
        }
    } else if errors.is_empty() || !found.is_empty() {
        printer.print(&print::list_of(found))?;
    }
    Error::all(errors)
}

async fn tables(session: &Session, invocation: &Invocation, picks: Vec<Pick>) -> Result<()> {
    let mut options = options(invocation);
    let mut kinds: Vec<String> = picks.iter().map(|pick| resource(pick).qualified()).collect();
    kinds.dedup();
    let show_kind = invocation.is("show-kind") || kinds.len() > 1;
    let sort_by = invocation.text("sort-by");
    let mut errors = Vec::new();
    let mut groups: Vec<(Rc<Resource>, Value)> = Vec::new();
    for pick in &picks {
        let resource = resource(pick);
        match fetch_table(session, invocation, pick, !sort_by.is_empty()).await {
            Ok(table) => match groups.last_mut() {
                Some((last, known)) if last.qualified() == resource.qualified() => append(known, table),
                _ => groups.push((resource, table)),
            },
            Err(error)
                if error.is_not_found()
                    && !matches!(pick, Pick::List(_))
                    && invocation.is("ignore-not-found") => {}
            // A category holds types that this user, or this server, cannot list.
            Err(error) => errors.push(unlisted(invocation, &resource, error)),
        }
    }
    let mut written = false;
    let several = groups.len() > 1;
    let mut namespaced = true;
    for (resource, mut table) in groups {
        namespaced &= resource.namespaced;
        if table["rows"].as_array().is_none_or(Vec::is_empty) {
            continue;
        }
        if let Some(rows) = table["rows"].as_array_mut() {
            sort(rows, sort_by, |row| &row["object"])?;
        }
        options.kind = show_kind.then(|| resource.label());
        options.with_namespace = invocation.is("all-namespaces") && resource.namespaced;
        let rows = table::rows(&table, &options);
        if written && several && !options.no_headers {
            outln!();
        }
        out!("{}", table::Rows::default().align(&rows));
        written = true;
    }
    if !written && errors.is_empty() && !invocation.is("ignore-not-found") {
        match invocation.is("all-namespaces") || !namespaced {
            true => errln!("No resources found"),
            false => errln!("No resources found in {} namespace.", session.namespace),
        }
    }
    Error::all(errors)
}

/// The server's refusal of a selector, in upstream's words.
fn unlisted(invocation: &Invocation, resource: &Resource, error: Error) -> Error {
    let (labels, fields) = (invocation.text("selector"), invocation.text("field-selector"));
    match error {
        Error::Server { mut status, context }
            if status["reason"] == "BadRequest" && !(labels.is_empty() && fields.is_empty()) =>
        {
            let message = status["message"].as_str().unwrap_or("").to_string();
            status["message"] = format!(
                "Unable to find \"{}/{}, Resource={}\" that match label selector \"{labels}\", field selector \"{fields}\": {message}",
                resource.group, resource.version, resource.plural
            )
            .into();
            Error::Server { status, context }
        }
        other => other,
    }
}

async fn fetch_table(session: &Session, invocation: &Invocation, pick: &Pick, whole: bool) -> Result<Value> {
    let (path, list) = path(session, invocation, pick);
    let chunk = invocation.int("chunk-size");
    let limit = if list && chunk > 0 { chunk.to_string() } else { String::new() };
    let include = if whole { "Object" } else { "" };
    let path = with_query(&path, &[("includeObject", include), ("limit", &limit)]);
    let mut table = as_table(session.client.get_as(&path, TABLE).await?);
    while let Some(token) = table["metadata"]["continue"].as_str().filter(|token| !token.is_empty()) {
        let next = as_table(session.client.get_as(&with_query(&path, &[("continue", token)]), TABLE).await?);
        table["metadata"] = next["metadata"].clone();
        append(&mut table, next);
    }
    Ok(table)
}

fn append(table: &mut Value, more: Value) {
    if let (Some(rows), Some(more)) = (table["rows"].as_array_mut(), more["rows"].as_array()) {
        rows.extend(more.iter().cloned());
    }
}

/// Servers that make no tables send objects: those become names and ages.
fn as_table(reply: Value) -> Value {
    if reply.kind() == "Table" {
        return reply;
    }
    let objects = match reply["items"].as_array() {
        Some(items) => items.clone(),
        None => vec![reply.clone()],
    };
    let now = jiff::Timestamp::now();
    let rows: Vec<Value> = objects
        .into_iter()
        .map(|object| {
            let age = match object.creation_timestamp() {
                "" => "<unknown>".to_string(),
                then => apimachinery::time::age(then, now),
            };
            json!({"cells": [object.name(), age], "object": object})
        })
        .collect();
    json!({"kind": "Table", "metadata": reply["metadata"], "rows": rows,
        "columnDefinitions": [{"name": "Name", "priority": 0}, {"name": "Age", "priority": 0}]})
}

fn options(invocation: &Invocation) -> table::Options {
    table::Options {
        wide: invocation.text("output") == "wide",
        no_headers: invocation.is("no-headers"),
        show_labels: invocation.is("show-labels"),
        label_columns: invocation.list("label-columns").to_vec(),
        ..table::Options::default()
    }
}

/// Sorts by a JSONPath; objects that lack the field come last.
fn sort<T>(items: &mut [T], by: &str, object: impl Fn(&T) -> &Value) -> Result<()> {
    if by.is_empty() {
        return Ok(());
    }
    let template = jsonpath::Template::parse(&jsonpath::relaxed(by)?, true)?;
    let key =
        |item: &T| template.values(object(item)).ok().and_then(|found| found.first().map(|v| (*v).clone()));
    if !items.is_empty() && items.iter().all(|item| key(item).is_none()) {
        return Err(Error::message(format!(
            "couldn't find any field with path \"{}\" in the list of objects",
            jsonpath::relaxed(by)?
        )));
    }
    items.sort_by(|left, right| match (key(left), key(right)) {
        (Some(left), Some(right)) => order(&left, &right),
        (left, right) => left.is_none().cmp(&right.is_none()),
    });
    Ok(())
}

fn order(left: &Value, right: &Value) -> std::cmp::Ordering {
    if let (Some(a), Some(b)) = (left.as_str(), right.as_str())
        && let (Ok(a), Ok(b)) =
            (a.parse::<apimachinery::quantity::Quantity>(), b.parse::<apimachinery::quantity::Quantity>())
    {
        return a.cmp(&b);
    }
    jsonpath::order(left, right)
}

async fn watch(
    session: &Session,
    invocation: &Invocation,
    printer: Option<Printer>,
    picks: Vec<Pick>,
) -> Result<()> {
    let [pick] = picks.as_slice() else {
        return Err(Error::message("you may only specify a single resource type"));
    };
    let resource = resource(pick);
    let mut options = options(invocation);
    options.with_namespace = invocation.is("all-namespaces") && resource.namespaced;
    options.kind = invocation.is("show-kind").then(|| resource.label());
    let events = invocation.is("output-watch-events");
    let (namespace, field_selector) = match pick {
        Pick::List(_) => {
            (session.scope(invocation).map(str::to_string), invocation.text("field-selector").to_string())
        }
        Pick::Name(_, name) => (Some(session.namespace.clone()), format!("metadata.name={name}")),
        Pick::File(item) => (item.namespace.clone(), format!("metadata.name={}", item.name)),
    };
    let mut rows = table::Rows::default();
    let mut show =
        Show { printer, options, events, rows: &mut rows, definitions: Value::Null, headers: true };
    let accept = if show.printer.is_none() { TABLE } else { "application/json" };
    let (first_path, list) = path(session, invocation, pick);
    let first = session.client.get_as(&first_path, accept).await?;
    if !invocation.is("watch-only") {
        match (list, show.printer.is_some()) {
            (true, true) => {
                for item in first["items"].as_array().into_iter().flatten() {
                    let mut item = item.clone();
                    if item["kind"].is_null() {
                        item["kind"] = resource.kind.clone().into();
                        item["apiVersion"] = resource.api_version().into();
                    }
                    show.event("ADDED", &item)?;
                }
            }
            _ => show.event("ADDED", &first)?,
        }
    } else if show.printer.is_none() {
        show.definitions = first["columnDefinitions"].clone();
    }
    let version = first["metadata"]["resourceVersion"].as_str().unwrap_or("");
    let watched = with_query(
        &resource.path(namespace.as_deref()),
        &[
            ("fieldSelector", &field_selector),
            ("labelSelector", invocation.text("selector")),
            ("resourceVersion", version),
            ("watch", "true"),
        ],
    );
    let mut watch = session.client.watch(&watched, accept).await?;
    while let Some((kind, object)) = watch.next().await? {
        if kind != "BOOKMARK" {
            show.event(&kind, &object)?;
        }
    }
    Ok(())
}

/// How events of a watch are shown.
struct Show<'a> {
    printer: Option<Printer>,
    options: table::Options,
    events: bool,
    rows: &'a mut table::Rows,
    definitions: Value,
    headers: bool,
}

impl Show<'_> {
    fn event(&mut self, kind: &str, object: &Value) -> Result<()> {
        if let Some(printer) = &mut self.printer {
            return match self.events {
                true => printer.print(&json!({"type": kind, "object": object})),
                false => printer.print(object),
            };
        }
        let mut table = as_table(object.clone());
        // Only the first table of a watch says what its columns are.
        match table["columnDefinitions"].as_array().is_some_and(|definitions| !definitions.is_empty()) {
            true => self.definitions = table["columnDefinitions"].clone(),
            false => table["columnDefinitions"] = self.definitions.clone(),
        }
        if table["rows"].as_array().is_none_or(Vec::is_empty) {
            return Ok(());
        }
        let mut options = self.options.clone();
        options.no_headers |= !self.headers;
        // As wide as the widest, so that columns stay where they are.
        options.event = self.events.then(|| format!("{kind:<8}"));
        self.headers = false;
        out!("{}", self.rows.align(&table::rows(&table, &options)));
        Ok(())
    }
}
