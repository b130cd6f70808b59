//! Resource arguments: `TYPE NAME…`, `TYPE/NAME…`, `TYPE,TYPE`, or files.

use std::rc::Rc;

use super::{Item, Session, files};
use crate::cli::Invocation;
use crate::discovery::Resource;
use crate::error::{Error, Result};

/// One thing that a command acts on.
#[derive(Clone)]
pub enum Pick {
    /// All objects of a resource, as far as the selectors pick them.
    List(Rc<Resource>),
    /// One object by name.
    Name(Rc<Resource>, String),
    /// One object from a file.
    File(Item),
}

/// Resource arguments as words: types and names, before the server is asked what they are.
#[derive(Debug, PartialEq, Eq)]
pub enum Words {
    /// Types, each with all names; no names means a list.
    Types(Vec<String>, Vec<String>),
    /// Pairs of type and name.
    Pairs(Vec<(String, String)>),
}

/// Takes resource arguments apart.
pub fn words(args: &[String]) -> Result<Words> {
    let Some(first) = args.first() else { return Ok(Words::Types(Vec::new(), Vec::new())) };
    if args.iter().any(|arg| arg.contains('/')) {
        if !first.contains('/') {
            return Err(Error::message("there is no need to specify a resource type as a separate argument when passing arguments in resource/name form (e.g. 'kubectl get resource/<resource_name>' instead of 'kubectl get resource resource/<resource_name>'".to_string()));
        }
        let mut pairs = Vec::new();
        for arg in args {
            match arg.split('/').collect::<Vec<_>>().as_slice() {
                [kinds, name] if !kinds.is_empty() && !name.is_empty() => {
                    pairs.extend(kinds.split(',').map(|kind| (kind.to_string(), name.to_string())));
                }
                [_] => {
                    return Err(Error::message(
                        "there is no need to specify a resource type as a separate argument when passing arguments in resource/name form (e.g. 'kubectl get resource/<resource_name>' instead of 'kubectl get resource resource/<resource_name>'",
                    ));
                }
                [_, _] => {
                    return Err(Error::message(
                        "arguments in resource/name form must have a single resource and name",
                    ));
                }
                _ => {
                    return Err(Error::message(
                        "arguments in resource/name form may not have more than one slash",
                    ));
                }
            }
        }
        return Ok(Words::Pairs(pairs));
    }
    let types: Vec<String> = first.split(',').map(str::to_string).collect();
    if types.iter().any(String::is_empty) {
        return Err(Error::message(
            "arguments must consist of a resource and a name, like 'pod web', or of types separated by commas without spaces",
        ));
    }
    Ok(Words::Types(types, args[1..].to_vec()))
}

/// What the files and arguments mean.
pub async fn picks(session: &Session, invocation: &Invocation, args: &[String]) -> Result<Vec<Pick>> {
    if files::given(invocation) {
        if !args.is_empty() {
            return Err(Error::message(
                "when paths, URLs, or stdin is provided as input, you may not specify resource arguments as well",
            ));
        }
        return Ok(files::items(session, invocation).await?.into_iter().map(Pick::File).collect());
    }
    let selecting = !invocation.text("selector").is_empty() || !invocation.text("field-selector").is_empty();
    match words(args)? {
        Words::Pairs(_) if !invocation.text("selector").is_empty() => {
            Err(Error::message("name cannot be provided when a selector is specified"))
        }
        Words::Pairs(pairs) => {
            refuse_all_namespaces(invocation)?;
            let mut picks = Vec::new();
            for (kind, name) in pairs {
                picks.push(Pick::Name(session.mapper.resource(&kind).await?, name));
            }
            Ok(picks)
        }
        Words::Types(types, names) => {
            if !names.is_empty() && selecting {
                return Err(Error::message("name cannot be provided when a selector is specified"));
            }
            if !names.is_empty() {
                refuse_all_namespaces(invocation)?;
            }
            let mut picks = Vec::new();
            for word in types {
                for resource in session.mapper.expand(&word).await? {
                    match names.is_empty() {
                        true => picks.push(Pick::List(resource)),
                        false => {
                            picks.extend(names.iter().map(|name| Pick::Name(resource.clone(), name.clone())));
                        }
                    }
                }
            }
            Ok(picks)
        }
    }
}

/// As [`picks`], but a list must be asked for by a selector or `--all`.
pub async fn named_picks(session: &Session, invocation: &Invocation, args: &[String]) -> Result<Vec<Pick>> {
    if !files::given(invocation) {
        let selecting = ["selector", "field-selector"].iter().any(|flag| !invocation.text(flag).is_empty())
            || invocation.is("all");
        match words(args)? {
            Words::Types(types, _) if types.is_empty() => {
                return Err(Error::message(
                    "You must provide one or more resources by argument or filename.\nExample resource specifications include:\n   '-f rsrc.yaml'\n   '--filename=rsrc.json'\n   '<resource> <name>'\n   '<resource>'",
                ));
            }
            Words::Types(_, names) if names.is_empty() && !selecting => {
                return Err(Error::message("resource(s) were provided, but no name was specified"));
            }
            Words::Types(_, names) if !names.is_empty() && invocation.is("all") => {
                return Err(Error::message("setting 'all' parameter but found a non empty selector. "));
            }
            _ => {}
        }
    }
    picks(session, invocation, args).await
}

fn refuse_all_namespaces(invocation: &Invocation) -> Result<()> {
    match invocation.is("all-namespaces") {
        true => Err(Error::message("a resource cannot be retrieved by name across all namespaces")),
        false => Ok(()),
    }
}
