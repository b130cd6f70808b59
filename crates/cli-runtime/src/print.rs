//! Printing objects: as YAML, JSON, names, by JSONPath, Go template or custom columns, and as tables.

use apimachinery::object::ObjectExt;
use formats::{columns, json, jsonpath, template, yaml};
use serde_json::Value;

use crate::cli::Invocation;
use crate::error::{Error, Result, go_io_error};

/// Formats that print an object whole or in part, tables aside.
pub enum Format {
    /// `-o yaml`.
    Yaml,
    /// `-o json`.
    Json,
    /// `-o name`.
    Name,
    /// `-o jsonpath=…`.
    JsonPath(jsonpath::Template),
    /// `-o jsonpath-as-json=…`.
    JsonPathAsJson(jsonpath::Template),
    /// `-o go-template=…`.
    GoTemplate(template::Template),
    /// `-o custom-columns=…`.
    Columns(columns::Columns),
}

/// Prints objects one after another in one format.
pub struct Printer {
    format: Format,
    managed_fields: bool,
    printed: usize,
}

impl Printer {
    /// The printer that `-o` asks for; `None` for the default, `wide` and the empty format.
    pub fn from_flags(invocation: &Invocation) -> Result<Option<Self>> {
        Self::for_output(invocation, invocation.text("output"))
    }

    /// The printer for an output format.
    pub fn for_output(invocation: &Invocation, output: &str) -> Result<Option<Self>> {
        let (kind, argument) = match output.split_once('=') {
            Some((kind, argument)) => (kind, Some(argument.to_string())),
            None => (output, None),
        };
        let template = Some(invocation.text("template")).filter(|text| !text.is_empty()).map(str::to_string);
        let kind = if kind.is_empty() && template.is_some() { "go-template" } else { kind };
        let missing = invocation.is("allow-missing-template-keys");
        let argument = argument.or(template);
        let needed =
            |what: &str| argument.clone().filter(|text| !text.is_empty()).ok_or_else(|| Error::message(what));
        let from_file = |what: &str| -> Result<String> {
            let path = needed(what)?;
            std::fs::read_to_string(&path).map_err(|error| {
                Error::message(format!(
                    "error reading --template {path}, open {path}: {}",
                    go_io_error(&error)
                ))
            })
        };
        const NO_TEMPLATE: &str = "template format specified but no template given";
        const NO_COLUMNS: &str = "custom-columns format specified but no custom columns given";
        let format = match kind {
            "" | "wide" => return Ok(None),
            "yaml" => Format::Yaml,
            "json" => Format::Json,
            "name" => Format::Name,
            "jsonpath" => Format::JsonPath(jsonpath::Template::parse(&needed(NO_TEMPLATE)?, missing)?),
            "jsonpath-file" => {
                Format::JsonPath(jsonpath::Template::parse(&from_file(NO_TEMPLATE)?, missing)?)
            }
            "jsonpath-as-json" => {
                Format::JsonPathAsJson(jsonpath::Template::parse(&needed(NO_TEMPLATE)?, missing)?)
            }
            "go-template" | "template" => {
                Format::GoTemplate(template::Template::parse(&needed(NO_TEMPLATE)?)?)
            }
            "go-template-file" | "templatefile" => {
                Format::GoTemplate(template::Template::parse(&from_file(NO_TEMPLATE)?)?)
            }
            "custom-columns" => Format::Columns(columns::Columns::parse(&needed(NO_COLUMNS)?)?),
            "custom-columns-file" => Format::Columns(columns::Columns::parse_file(&from_file(NO_COLUMNS)?)?),
            _ => {
                return Err(Error::message(format!(
                    "unable to match a printer suitable for the output format \"{output}\", allowed formats are: custom-columns,custom-columns-file,go-template,go-template-file,json,jsonpath,jsonpath-as-json,jsonpath-file,name,template,templatefile,wide,yaml"
                )));
            }
        };
        Ok(Some(Self { format, managed_fields: invocation.is("show-managed-fields"), printed: 0 }))
    }

    /// Whether objects are printed one by one by name or column, never wrapped in a list.
    pub fn takes_items(&self) -> bool {
        matches!(self.format, Format::Name | Format::Columns(_))
    }

    /// Whether it prints custom columns.
    pub fn columns(&self) -> Option<&columns::Columns> {
        match &self.format {
            Format::Columns(columns) => Some(columns),
            _ => None,
        }
    }

    /// Prints an object to standard output.
    pub fn print(&mut self, object: &Value) -> Result<()> {
        let text = self.render(object)?;
        out!("{text}");
        Ok(())
    }

    /// The text of an object.
    pub fn render(&mut self, object: &Value) -> Result<String> {
        let stripped;
        let object = if self.managed_fields || !has_managed_fields(object) {
            object
        } else {
            stripped = without_managed_fields(object.clone());
            &stripped
        };
        self.printed += 1;
        Ok(match &self.format {
            Format::Yaml if self.printed > 1 => format!("---\n{}", yaml::text(object)),
            Format::Yaml => yaml::text(object),
            Format::Json => format!("{}\n", json::text(object)),
            Format::Name => match object["items"].as_array() {
                Some(items) if object.kind().ends_with("List") => {
                    items.iter().map(|item| format!("{}\n", name(item))).collect()
                }
                // A watch's event is named after its object.
                _ if object["object"].is_object() => format!("{}\n", name(&object["object"])),
                _ => format!("{}\n", name(object)),
            },
            Format::JsonPath(template) => template.render(object)?,
            Format::JsonPathAsJson(template) => {
                let found: Vec<Value> = template.values(object)?.into_iter().cloned().collect();
                format!("{}\n", json::text(&Value::Array(found)))
            }
            Format::GoTemplate(template) => template.render(object)?,
            Format::Columns(columns) => columns.render(std::slice::from_ref(object), self.printed == 1)?,
        })
    }
}

/// `deployment.apps/web`, from an object's own kind and group.
pub fn name(object: &Value) -> String {
    let kind = object.kind().to_lowercase();
    match object.api_version().split_once('/') {
        Some((group, _)) => format!("{kind}.{group}/{}", object.name()),
        None => format!("{kind}/{}", object.name()),
    }
}

/// A list of objects as `kubectl get -o yaml` prints it.
pub fn list_of(items: Vec<Value>) -> Value {
    serde_json::json!({"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": ""}, "items": items})
}

/// Prints the result of a change: the object in the format of `-o`, or `pod/x created`.
pub fn result(invocation: &Invocation, object: &Value, done: &str) -> Result<()> {
    match Printer::from_flags(invocation)? {
        Some(mut printer) => printer.print(object),
        None => {
            outln!("{} {done}", name(object));
            Ok(())
        }
    }
}

fn has_managed_fields(object: &Value) -> bool {
    !object["metadata"]["managedFields"].is_null()
        || object["items"]
            .as_array()
            .is_some_and(|items| items.iter().any(|item| !item["metadata"]["managedFields"].is_null()))
}

/// Takes `managedFields` out of an object or of a list's items.
pub fn without_managed_fields(mut object: Value) -> Value {
    let strip = |object: &mut Value| {
        if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.remove("managedFields");
        }
    };
    strip(&mut object);
    for item in object.get_mut("items").and_then(Value::as_array_mut).into_iter().flatten() {
        strip(item);
    }
    object
}
