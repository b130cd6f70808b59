//! The wire forms of lists and watch events.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::Error;
use crate::Object;

/// Marks the bookmark that ends the first part of a streaming list.
const INITIAL_EVENTS_END: &str = "k8s.io/initial-events-end";

/// An event of a watch.
#[derive(Debug)]
pub enum Event<K> {
    /// There is an object in this state.
    Applied(K),
    /// There is no such object any longer.
    Deleted(K),
    /// Everything up to a version was told.
    Bookmark {
        /// The version.
        resource_version: String,
        /// Whether the first part of a streaming list ends here.
        end_of_initial: bool,
    },
    /// The server ends the watch.
    Error {
        /// The code, as of HTTP.
        code: u16,
        /// Why.
        message: String,
    },
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    object: &'a RawValue,
}

#[derive(Deserialize)]
struct Bookmark {
    metadata: BookmarkMetadata,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BookmarkMetadata {
    resource_version: String,
    #[serde(default)]
    annotations: std::collections::BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Failure {
    #[serde(default)]
    code: u16,
    #[serde(default)]
    message: String,
}

impl<K: Object> Event<K> {
    /// Reads a line of a watch.
    pub fn decode(line: &[u8]) -> Result<Event<K>, Error> {
        let envelope: Envelope<'_> = serde_json::from_slice(line).map_err(Error::Decode)?;
        let object = envelope.object.get();
        match &*envelope.kind {
            "ADDED" | "MODIFIED" => serde_json::from_str(object).map(Event::Applied),
            "DELETED" => serde_json::from_str(object).map(Event::Deleted),
            "BOOKMARK" => {
                serde_json::from_str::<Bookmark>(object).map(|Bookmark { metadata }| Event::Bookmark {
                    resource_version: metadata.resource_version,
                    end_of_initial: metadata.annotations.contains_key(INITIAL_EVENTS_END),
                })
            }
            _ => serde_json::from_str::<Failure>(object)
                .map(|Failure { code, message }| Event::Error { code, message }),
        }
        .map_err(Error::Decode)
    }
}

#[derive(Deserialize)]
#[serde(bound = "K: Object")]
pub(super) struct Page<K> {
    #[serde(default)]
    pub(super) metadata: PageMetadata,
    // An empty list may be null.
    #[serde(default = "Vec::new", deserialize_with = "null_is_empty")]
    pub(super) items: Vec<K>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct PageMetadata {
    #[serde(rename = "resourceVersion")]
    pub(super) resource_version: String,
    #[serde(rename = "continue")]
    pub(super) continue_token: String,
}

fn null_is_empty<'de, K: Object, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<K>, D::Error> {
    Ok(Option::<Vec<K>>::deserialize(deserializer)?.unwrap_or_default())
}
