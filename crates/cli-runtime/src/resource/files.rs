//! Objects that files, directories and standard input hold.

use std::io::Read;
use std::path::{Path, PathBuf};

use apimachinery::object::ObjectExt;
use serde_json::Value;

use super::{Item, Session, url};
use crate::cli::Invocation;
use crate::error::{Error, Result, go_io_error};
use formats::yaml;

/// An object as it stands in a file.
pub struct Document {
    /// The object.
    pub object: Value,
    /// The file, or `STDIN`.
    pub source: String,
}

/// Whether files are given.
pub fn given(invocation: &Invocation) -> bool {
    !invocation.list("filename").is_empty() || !invocation.text("kustomize").is_empty()
}

/// Reads every object of the files given with `-f` and `-k`; lists are taken apart.
pub async fn read(invocation: &Invocation) -> Result<Vec<Document>> {
    let mut documents = Vec::new();
    let validates = validates(invocation);
    if !invocation.list("filename").is_empty() && !invocation.text("kustomize").is_empty() {
        return Err(Error::message("only one of -f or -k can be specified"));
    }
    for name in invocation.list("filename") {
        if name == "-" {
            let mut text = String::new();
            std::io::stdin().lock().read_to_string(&mut text)?;
            parse(&text, "STDIN", validates, &mut documents)?;
            continue;
        }
        if url::is_address(name) {
            parse(&url::read(name).await?, name, validates, &mut documents)?;
            continue;
        }
        for path in expand(name, invocation.is("recursive"))? {
            let text = std::fs::read_to_string(&path).map_err(|error| {
                Error::message(format!("open {}: {}", path.display(), go_io_error(&error)))
            })?;
            parse(&text, &path.to_string_lossy(), validates, &mut documents)?;
        }
    }
    let kustomization = invocation.text("kustomize");
    if !kustomization.is_empty() {
        for object in kustomize::build(Path::new(kustomization), kustomize::Restriction::RootOnly)? {
            documents.push(Document { object, source: kustomization.into() });
        }
    }
    Ok(documents)
}

/// The objects of the given files, with their resources and namespaces.
pub async fn items(session: &Session, invocation: &Invocation) -> Result<Vec<Item>> {
    let mut items = Vec::new();
    for document in read(invocation).await? {
        items.push(item(session, document).await?);
    }
    Ok(items)
}

/// Finds an object's resource and settles its namespace.
pub async fn item(session: &Session, document: Document) -> Result<Item> {
    let Document { mut object, source } = document;
    let name = object.name().to_string();
    let resource =
        session.mapper.of_kind(object.api_version(), object.kind()).await.map_err(|error| match error {
            Error::Message(text) => Error::message(format!(
                "resource mapping not found for name: \"{name}\" namespace: \"{}\" from \"{source}\": {text}",
                object.namespace()
            )),
            other => other,
        })?;
    let mut namespace = None;
    if resource.namespaced {
        let own = object.namespace().to_string();
        if own.is_empty() {
            object.set_at(&["metadata", "namespace"], session.namespace.clone().into());
        } else if session.namespace_given && own != session.namespace {
            return Err(Error::message(format!(
                "the namespace from the provided object \"{own}\" does not match the namespace \"{}\". You must pass '--namespace={own}' to perform this operation.",
                session.namespace
            )));
        }
        namespace = Some(object.namespace().to_string());
    }
    Ok(Item { resource, namespace, name, object, source })
}

/// Whether what the files hold is checked before anything is sent: by commands that know `--validate`.
fn validates(invocation: &Invocation) -> bool {
    !matches!(invocation.text("validate"), "" | "false" | "ignore" | "warn")
}

fn parse(text: &str, source: &str, validates: bool, documents: &mut Vec<Document>) -> Result<()> {
    let values =
        yaml::documents(text).map_err(|error| Error::message(format!("error parsing {source}: {error}")))?;
    for object in values {
        flatten(object, source, validates, documents)?;
    }
    Ok(())
}

fn flatten(object: Value, source: &str, validates: bool, documents: &mut Vec<Document>) -> Result<()> {
    let unset =
        ["apiVersion", "kind"].into_iter().filter(|field| object[*field].as_str().unwrap_or("").is_empty());
    let unset: Vec<String> = unset.map(|field| format!("{field} not set")).collect();
    if validates && !unset.is_empty() {
        let unset =
            if let [one] = unset.as_slice() { one.clone() } else { format!("[{}]", unset.join(", ")) };
        return Err(Error::message(format!(
            "error validating \"{source}\": error validating data: {unset}; if you choose to ignore these errors, turn validation off with --validate=false"
        )));
    }
    for (field, label) in [("kind", "Kind"), ("apiVersion", "apiVersion")] {
        if object[field].as_str().unwrap_or("").is_empty() {
            return Err(Error::message(format!(
                "unable to decode \"{source}\": Object '{label}' is missing in '{object}'"
            )));
        }
    }
    let is_list = object.kind().ends_with("List") && object["items"].is_array();
    if !is_list {
        documents.push(Document { object, source: source.into() });
        return Ok(());
    }
    let kind = object.kind().trim_end_matches("List").to_string();
    let api_version = object.api_version().to_string();
    for mut item in object["items"].as_array().cloned().unwrap_or_default() {
        if item["kind"].is_null() && !kind.is_empty() {
            item["kind"] = kind.clone().into();
            item["apiVersion"] = api_version.clone().into();
        }
        flatten(item, source, validates, documents)?;
    }
    Ok(())
}

/// The files that a name means: a file, the manifests of a directory, or a pattern.
fn expand(name: &str, recursive: bool) -> Result<Vec<PathBuf>> {
    let path = Path::new(name);
    if path.is_dir() {
        let mut files = Vec::new();
        walk(path, recursive, &mut files)?;
        if files.is_empty() {
            return Err(Error::message(format!(
                "error reading [{name}]: recognized file extensions are [.json .yaml .yml]"
            )));
        }
        return Ok(files);
    }
    if path.exists() {
        return Ok(vec![path.to_path_buf()]);
    }
    if name.contains(['*', '?', '[']) {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let pattern = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let mut found: Vec<PathBuf> = std::fs::read_dir(parent)
            .into_iter()
            .flatten()
            .flatten()
            .filter(|entry| wildcard(pattern.as_bytes(), entry.file_name().to_string_lossy().as_bytes()))
            .map(|entry| entry.path())
            .collect();
        found.sort();
        if !found.is_empty() {
            return Ok(found);
        }
    }
    Err(Error::message(format!("the path \"{name}\" does not exist")))
}

fn walk(directory: &Path, recursive: bool, files: &mut Vec<PathBuf>) -> Result<()> {
    let mut entries: Vec<PathBuf> =
        std::fs::read_dir(directory)?.flatten().map(|entry| entry.path()).collect();
    entries.sort();
    for entry in entries {
        if entry.is_dir() {
            if recursive {
                walk(&entry, true, files)?;
            }
        } else if entry
            .extension()
            .is_some_and(|extension| ["json", "yaml", "yml"].iter().any(|known| extension == *known))
        {
            files.push(entry);
        }
    }
    Ok(())
}

fn wildcard(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern.first(), name.first()) {
        (None, None) => true,
        (Some(b'*'), _) => {
            wildcard(&pattern[1..], name) || (!name.is_empty() && wildcard(pattern, &name[1..]))
        }
        (Some(b'?'), Some(_)) => wildcard(&pattern[1..], &name[1..]),
        (Some(a), Some(b)) if a == b => wildcard(&pattern[1..], &name[1..]),
        _ => false,
    }
}
