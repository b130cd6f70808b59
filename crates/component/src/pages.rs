//! The pages by which people look into a running component: `/statusz`, `/flagz`, `/configz`, `/debug/pprof/`.
//!
//! Who may see them is for the one who serves them to say.

mod about_itself;

use std::collections::BTreeMap;

use bytes::Bytes;
use http::StatusCode;
use parking_lot::RwLock;
use serde_json::{Value, json};

use self::about_itself::{Form, flagz, statusz};
use crate::{about, profile};

/// A page as it is answered.
#[derive(Debug, PartialEq, Eq)]
pub struct Page {
    /// The code.
    pub status: StatusCode,
    /// The `Content-Type`.
    pub media_type: &'static str,
    /// What the page holds.
    pub body: Bytes,
}

impl Page {
    pub(crate) fn text(status: StatusCode, body: impl Into<Bytes>) -> Self {
        Self { status, media_type: "text/plain; charset=utf-8", body: body.into() }
    }

    fn json(value: &Value) -> Self {
        Self { status: StatusCode::OK, media_type: "application/json", body: value.to_string().into() }
    }
}

/// What is asked for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Asked<'a> {
    /// The path.
    pub path: &'a str,
    /// The query, without its question mark.
    pub query: &'a str,
    /// The header `Accept`.
    pub accept: &'a str,
}

static CONFIGURATIONS: RwLock<BTreeMap<String, Value>> = RwLock::new(BTreeMap::new());

/// Shows a configuration at `/configz`, under the name that upstream's component has there.
pub fn show_configuration(name: &str, configuration: Value) {
    CONFIGURATIONS.write().insert(name.to_owned(), configuration);
}

/// Whether a path is below `/debug/pprof`: such a request may take long.
pub fn is_profile(path: &str) -> bool {
    path == profile::PATH || path.strip_prefix(profile::PATH).is_some_and(|rest| rest.starts_with('/'))
}

/// Answers, where the path is that of a page. `paths` are those that the component serves besides.
pub async fn answer(asked: Asked<'_>, paths: &[&str]) -> Option<Page> {
    let form = |kind| Form::of(asked.accept, kind);
    match asked.path {
        "/statusz" => Some(statusz(form("Statusz"), about::name(), about::started(), paths)),
        "/flagz" => Some(flagz(form("Flagz"), about::name(), &about::command_line().flags)),
        "/configz" => {
            let configurations = CONFIGURATIONS.read();
            (!configurations.is_empty()).then(|| Page::json(&json!(*configurations)))
        }
        path if is_profile(path) && about::command_line().profiles => {
            profile::answer(path, asked.query).await
        }
        _ => None,
    }
}
