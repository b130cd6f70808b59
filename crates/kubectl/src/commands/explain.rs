//! `kubectl explain`: the schema that the server publishes, field by field.

use serde_json::Value;

use cli_runtime::cli::{Command, Flag, Invocation};
use cli_runtime::error::{Error, Result};
use cli_runtime::resource::Session;

/// Documents types and fields.
pub static COMMAND: Command = Command {
    name: "explain",
    short: "Get documentation for a resource",
    long: "Describe fields and structure of various resources.\n\nA field is named by its path: TYPE.FIELD.FIELD. What is shown comes from the server.",
    examples: "
# A type
kubectl explain pods

# One of its fields
kubectl explain pods.spec.containers

# All of its fields
kubectl explain deployments --recursive",
    usage: "explain TYPE [--recursive=FALSE|TRUE] [--api-version=api-version-group] [-o|--output=plaintext|plaintext-openapiv2]",
    flags: &[&[
        Flag::text("api-version", "", "Version of the type (group/version)."),
        Flag::text("output", "plaintext", "plaintext or plaintext-openapiv2.").short('o'),
        Flag::switch("recursive", "Show the fields of fields, by name only."),
    ]],
    run: Some(|invocation| Box::pin(run(invocation))),
    ..Command::NONE
};

async fn run(invocation: Invocation) -> Result<()> {
    let [word] = invocation.args.as_slice() else {
        return Err(match invocation.args.len() {
            0 => Error::message(
                "You must specify the type of resource to explain. Use \"kubectl api-resources\" for a complete list of supported resources.\n",
            ),
            _ => invocation
                .usage(format!("We accept only this format: explain RESOURCE\n{:?}", invocation.args)),
        });
    };
    let session = Session::open(&invocation).await?;
    let mut parts = word.split('.');
    let kind = parts.next().unwrap_or("");
    let mut resource = session.mapper.resource(kind).await;
    let mut fields: Vec<&str> = parts.collect();
    // `deployments.apps` names a group, `deployments.spec` a field.
    for taken in (1..=fields.len()).rev() {
        let qualified = format!("{kind}.{}", fields[..taken].join("."));
        if let Ok(found) = session.mapper.resource(&qualified).await {
            resource = Ok(found);
            fields.drain(..taken);
            break;
        }
    }
    let mut resource = (*resource?).clone();
    let wanted = invocation.text("api-version");
    if !wanted.is_empty() {
        let all = session.mapper.all().await?;
        resource = all
            .iter()
            .find(|known| known.plural == resource.plural && known.api_version() == wanted)
            .map(|known| (**known).clone())
            .ok_or_else(|| {
                Error::message(format!(
                    "couldn't find resource for \"{wanted}, Resource={}\"",
                    resource.plural
                ))
            })?;
    }
    let root = if resource.group.is_empty() { "api" } else { "apis" };
    let document = session.client.get(&format!("/openapi/v3/{root}/{}", resource.api_version())).await?;
    let (_, schema) =
        schema_of(&document, &resource.group, &resource.version, &resource.kind).ok_or_else(|| {
            Error::message(format!(
                "couldn't find resource for \"{}, Kind={}\"",
                resource.api_version(),
                resource.kind
            ))
        })?;
    let mut text = String::new();
    if !resource.group.is_empty() {
        text.push_str(&format!("GROUP:      {}\n", resource.group));
    }
    text.push_str(&format!("KIND:       {}\nVERSION:    {}\n\n", resource.kind, resource.version));
    let mut field = Field { schema, description: "" };
    for name in &fields {
        let Some(found) = child(&document, field.schema, name) else {
            out!("{text}");
            return Err(Error::message(format!("field \"{name}\" does not exist")));
        };
        field = found;
    }
    let target = item(&document, field.schema);
    if let Some(name) = fields.last() {
        text.push_str(&format!("FIELD: {name} <{}>\n", type_name(&document, field.schema)));
        match target["enum"].as_array() {
            Some(values) => {
                text.push_str("ENUM:\n");
                values
                    .iter()
                    .for_each(|value| text.push_str(&format!("    {}\n", value.as_str().unwrap_or(""))));
            }
            None => text.push('\n'),
        }
        text.push('\n');
    }
    text.push_str("DESCRIPTION:\n");
    let own = target["description"].as_str().unwrap_or("");
    let mut descriptions = vec![field.description];
    if own != field.description {
        descriptions.push(own);
    }
    descriptions.retain(|text| !text.is_empty());
    if descriptions.is_empty() {
        descriptions.push("<empty>");
    }
    for description in descriptions {
        text.push_str(&wrapped(description, 4));
    }
    text.push_str("    \n");
    if properties(target).next().is_some() {
        text.push_str("FIELDS:\n");
        list(&mut text, &document, target, 1, invocation.is("recursive"), &mut Vec::new());
    }
    outln!("{text}");
    Ok(())
}

struct Field<'a> {
    schema: &'a Value,
    description: &'a str,
}

fn schema_of<'a>(
    document: &'a Value,
    group: &str,
    version: &str,
    kind: &str,
) -> Option<(&'a String, &'a Value)> {
    document["components"]["schemas"].as_object()?.iter().find(|(_, schema)| {
        schema["x-kubernetes-group-version-kind"]
            .as_array()
            .into_iter()
            .flatten()
            .any(|gvk| gvk["group"] == group && gvk["version"] == version && gvk["kind"] == kind)
    })
}

fn reference(schema: &Value) -> Option<&str> {
    let direct = schema["$ref"].as_str();
    direct.or_else(|| schema["allOf"][0]["$ref"].as_str())?.rsplit('/').next()
}

fn resolve<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    match reference(schema) {
        Some(name) => &document["components"]["schemas"][name],
        None => schema,
    }
}

/// The schema whose fields are meant: behind references, and of a list's or map's items.
fn item<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    let schema = resolve(document, schema);
    match (&schema["items"], &schema["additionalProperties"]) {
        (items @ Value::Object(_), _) => item(document, items),
        (_, items @ Value::Object(_)) if schema["properties"].is_null() => item(document, items),
        _ => schema,
    }
}

fn properties(schema: &Value) -> impl Iterator<Item = (&String, &Value)> {
    schema["properties"].as_object().into_iter().flatten()
}

fn child<'a>(document: &'a Value, schema: &'a Value, name: &str) -> Option<Field<'a>> {
    let parent = item(document, schema);
    let schema = parent["properties"].get(name)?;
    Some(Field { schema, description: schema["description"].as_str().unwrap_or("") })
}

/// The word behind a field that its parent needs.
fn required(parent: &Value, name: &str) -> &'static str {
    let required = parent["required"].as_array();
    let required = required.is_some_and(|list| list.iter().any(|known| known == name));
    if required { " -required-" } else { "" }
}

fn type_name(document: &Value, schema: &Value) -> String {
    if let Some(name) = reference(schema) {
        let target = resolve(document, schema);
        return match target["type"].as_str() {
            Some("object") | None if target["oneOf"].is_null() => {
                name.rsplit('.').next().unwrap_or(name).to_string()
            }
            Some(plain) => plain.to_string(),
            None => name.rsplit('.').next().unwrap_or(name).to_string(),
        };
    }
    match schema["type"].as_str() {
        Some("array") => format!("[]{}", type_name(document, &schema["items"])),
        Some("object") if schema["additionalProperties"].is_object() => {
            format!("map[string]{}", type_name(document, &schema["additionalProperties"]))
        }
        Some("object") => "Object".into(),
        Some(plain) => plain.to_string(),
        None => "Object".into(),
    }
}

fn list<'a>(
    text: &mut String,
    document: &'a Value,
    schema: &'a Value,
    depth: usize,
    recursive: bool,
    seen: &mut Vec<&'a Value>,
) {
    let indent = "  ".repeat(depth);
    for (name, field) in properties(schema) {
        text.push_str(&format!(
            "{indent}{name}\t<{}>{}\n",
            type_name(document, field),
            required(schema, name)
        ));
        let inner = item(document, field);
        if let Some(values) = resolve(document, field)["enum"].as_array() {
            let mut values: Vec<&str> = values.iter().filter_map(Value::as_str).collect();
            if values.len() > 4 {
                values.truncate(4);
                values.push("....");
            }
            text.push_str(&format!("{indent}enum: {}\n", values.join(", ")));
        }
        if recursive {
            // A type may contain itself: it is not opened a second time.
            if properties(inner).next().is_some() && !seen.iter().any(|known| std::ptr::eq(*known, inner)) {
                seen.push(inner);
                list(text, document, inner, depth + 1, true, seen);
                seen.pop();
            }
        } else {
            let own = field["description"].as_str().filter(|text| !text.is_empty());
            let own = own.or_else(|| inner["description"].as_str());
            text.push_str(&wrapped(own.unwrap_or("<no description>"), 4));
            text.push('\n');
        }
    }
}

/// Text in lines of at most 80 columns; line breaks and double spaces stay where they are.
fn wrapped(text: &str, indent: usize) -> String {
    let lead = " ".repeat(indent);
    let mut out = String::new();
    for paragraph in text.split('\n') {
        let mut line = String::new();
        for (index, word) in paragraph.trim_end().split(' ').enumerate() {
            let full = indent + line.chars().count() + 1 + word.chars().count() > 80;
            if index > 0 && full && !word.is_empty() {
                out.push_str(&format!("{lead}{}\n", line.trim_end()));
                line.clear();
            } else if index > 0 {
                line.push(' ');
            }
            line.push_str(word);
        }
        out.push_str(&format!("{lead}{line}\n"));
    }
    out
}
