//! One version of one object: its bytes with the resourceVersion in them, and what selectors look at.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use parking_lot::Mutex;
use serde_json::Value;

use crate::cache::Resource;
use crate::parts::Parts;
use crate::scan::{self, Scan};

/// What a watch event says about its object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventType {
    /// The object came to exist, or came to match the watcher's selectors.
    Added,
    /// The object changed.
    Modified,
    /// The object is gone, or no longer matches.
    Deleted,
}

impl EventType {
    /// The opening of a watch frame: everything before the object's bytes.
    pub const fn opening(self) -> &'static [u8] {
        match self {
            Self::Added => br#"{"type":"ADDED","object":"#,
            Self::Modified => br#"{"type":"MODIFIED","object":"#,
            Self::Deleted => br#"{"type":"DELETED","object":"#,
        }
    }

    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Added => "ADDED",
            Self::Modified => "MODIFIED",
            Self::Deleted => "DELETED",
        }
    }
}

/// Ends a watch frame.
pub(crate) const CLOSING: &[u8] = b"}\n";

const OPEN: &[u8] = br#""resourceVersion":""#;

/// A selectable field's value: where it is in the bytes, or what it compares as.
#[derive(Debug, Clone)]
enum Field {
    At(u32, u32),
    Absent,
    Unescaped(Box<str>),
}

/// One version of one object.
///
/// The bytes are kept inside the watch frame of the event that made this version, so that a watcher of that
/// event gets the frame itself and everybody else a slice of it: one allocation serves all.
#[derive(Debug)]
pub struct Object {
    frame: Bytes,
    event: EventType,
    /// The position of the first digit of the resourceVersion in the object's bytes.
    version_at: u32,
    version_length: u8,
    namespace_length: u16,
    revision: i64,
    key: Box<str>,
    labels: Box<[[u32; 4]]>,
    fields: Box<[Field]>,
    value: OnceLock<Option<Arc<Value>>>,
    encoded: Mutex<Option<Arc<Encoded>>>,
    /// Whether etcd holds it in another form.
    pub(crate) is_rewritten: bool,
}

/// An object in another encoding, inside the frame of a watch's event.
#[derive(Debug)]
pub struct Encoded {
    /// The frame of the event that made this version.
    pub frame: Bytes,
    /// Where the body of an answer about this object is in the frame.
    pub body: Range<usize>,
    /// Where the object's part of a list is in the frame: a field of the list's message, with its number and length.
    pub item: Range<usize>,
}

impl Object {
    /// Reads a stored value: splices its revision in and notes labels and selectable fields.
    pub fn read(
        resource: &Resource,
        event: EventType,
        key: &str,
        stored: &[u8],
        revision: i64,
    ) -> Result<Self, &'static str> {
        match resource.rewrite.as_ref().and_then(|rewrite| rewrite.apply(stored)) {
            None => Self::read_as_it_is(resource, event, key, stored, revision),
            Some(stored) => {
                let object = Self::read_as_it_is(resource, event, key, &stored, revision)?;
                Ok(Self { is_rewritten: true, ..object })
            }
        }
    }

    pub(crate) fn read_as_it_is(
        resource: &Resource,
        event: EventType,
        key: &str,
        stored: &[u8],
        revision: i64,
    ) -> Result<Self, &'static str> {
        let found = scan::scan(stored, &resource.paths)?;
        if let Some(member) = found.resource_version.clone() {
            let cleaned = without_member(stored, member);
            let found = scan::scan(&cleaned, &resource.paths)?;
            return Ok(Self::splice(resource, event, key, &cleaned, revision, found));
        }
        Ok(Self::splice(resource, event, key, stored, revision, found))
    }

    fn splice(
        resource: &Resource,
        event: EventType,
        key: &str,
        stored: &[u8],
        revision: i64,
        found: Scan,
    ) -> Self {
        let mut digits = itoa::Buffer::new();
        let digits = digits.format(revision).as_bytes();
        let comma = usize::from(!found.metadata_empty);
        let inserted = OPEN.len() + digits.len() + 1 + comma;
        let opening = event.opening();
        let mut frame = Vec::with_capacity(opening.len() + stored.len() + inserted + CLOSING.len());
        frame.extend_from_slice(opening);
        frame.extend_from_slice(&stored[..found.metadata]);
        frame.extend_from_slice(OPEN);
        frame.extend_from_slice(digits);
        frame.push(b'"');
        if comma == 1 {
            frame.push(b',');
        }
        frame.extend_from_slice(&stored[found.metadata..]);
        frame.extend_from_slice(CLOSING);

        let moved = |at: usize| (if at >= found.metadata { at + inserted } else { at }) as u32;
        let labels = found
            .labels
            .iter()
            .map(|(key, value)| [moved(key.start), moved(key.end), moved(value.start), moved(value.end)])
            .collect();
        let mut slots = found.values.into_iter();
        let fields = resource
            .fields
            .iter()
            .map(|field| {
                let found: Vec<_> = slots.by_ref().take(field.paths.len()).flatten().collect();
                match found.into_iter().find(|range| !range.is_empty()) {
                    None => Field::Absent,
                    Some(range) => match unescaped(&stored[range.clone()]) {
                        Some(text) => Field::Unescaped(text),
                        None => Field::At(moved(range.start), moved(range.end)),
                    },
                }
            })
            .collect();
        Self {
            frame: Bytes::from(frame),
            event,
            version_at: (found.metadata + OPEN.len()) as u32,
            version_length: digits.len() as u8,
            namespace_length: if resource.namespaced { key.find('/').unwrap_or(0) as u16 } else { 0 },
            revision,
            key: key.into(),
            labels,
            fields,
            value: OnceLock::new(),
            encoded: Mutex::new(None),
            is_rewritten: false,
        }
    }

    /// Makes the object as a deletion reports it: the last state under the revision that ended it.
    pub(crate) fn ended(&self, resource: &Resource, revision: i64) -> Arc<Self> {
        let ended = Self::read(resource, EventType::Deleted, &self.key, &self.stored(), revision);
        // The bytes were scanned once already, so they scan again.
        Arc::new(ended.expect("cached bytes are well-formed"))
    }

    /// The object's JSON, resourceVersion included.
    pub fn bytes(&self) -> Bytes {
        self.frame.slice(self.event.opening().len()..self.frame.len() - CLOSING.len())
    }

    /// The object's JSON, resourceVersion included, without touching the reference count.
    pub fn as_bytes(&self) -> &[u8] {
        &self.frame[self.event.opening().len()..self.frame.len() - CLOSING.len()]
    }

    /// The watch frame for an event of this object, if the bytes are kept in a frame of that type.
    pub fn frame(&self, event: EventType) -> Option<Bytes> {
        (event == self.event).then(|| self.frame.clone())
    }

    /// The event that made this version, which is the one that its frame is of.
    pub fn event(&self) -> EventType {
        self.event
    }

    /// The object in another encoding, if that is kept with this version.
    pub fn encoded(&self) -> Option<Arc<Encoded>> {
        self.encoded.lock().clone()
    }

    /// Keeps the object in another encoding with this version, or forgets it.
    pub fn keep_encoded(&self, encoded: Option<Arc<Encoded>>) {
        *self.encoded.lock() = encoded;
    }

    /// The JSON as it is in etcd: without the resourceVersion.
    pub fn stored(&self) -> Vec<u8> {
        let (before, after) = self.around_version();
        [before, after].concat()
    }

    /// Says whether writing these bytes would change nothing.
    pub fn stores(&self, stored: &[u8]) -> bool {
        let (before, after) = self.around_version();
        stored.len() == before.len() + after.len() && stored.starts_with(before) && stored.ends_with(after)
    }

    fn around_version(&self) -> (&[u8], &[u8]) {
        let bytes = self.as_bytes();
        let start = self.version_at as usize - OPEN.len();
        let mut end = self.version_at as usize + self.version_length as usize + 1;
        if bytes.get(end) == Some(&b',') {
            end += 1;
        }
        (&bytes[..start], &bytes[end..])
    }

    /// The revision of etcd that made this version: the resourceVersion.
    pub fn revision(&self) -> i64 {
        self.revision
    }

    /// The key below the resource's prefix: `namespace/name`, or `name`.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The namespace, empty for cluster-wide objects.
    pub fn namespace(&self) -> &str {
        &self.key[..self.namespace_length as usize]
    }

    /// The name.
    pub fn name(&self) -> &str {
        if self.namespace_length == 0 { &self.key } else { &self.key[self.namespace_length as usize + 1..] }
    }

    fn text(&self, range: Range<u32>) -> &str {
        let bytes = &self.as_bytes()[range.start as usize..range.end as usize];
        std::str::from_utf8(bytes).unwrap_or_default()
    }

    /// A label's value.
    pub fn label(&self, key: &str) -> Option<&str> {
        let [_, _, start, end] =
            *self.labels.iter().find(|[start, end, _, _]| self.text(*start..*end) == key)?;
        Some(self.text(start..end))
    }

    /// All labels.
    pub fn labels(&self) -> impl Iterator<Item = (&str, &str)> {
        self.labels.iter().map(|[a, b, c, d]| (self.text(*a..*b), self.text(*c..*d)))
    }

    /// The value of the resource's n-th selectable field.
    pub fn field<'a>(&'a self, resource: &'a Resource, index: usize) -> &'a str {
        match self.fields.get(index) {
            Some(Field::At(start, end)) => self.text(*start..*end),
            Some(Field::Unescaped(text)) => text,
            Some(Field::Absent) | None => resource.fields.get(index).map_or("", |field| &field.absent),
        }
    }

    /// The object as a tree, parsed on first use and kept with this version: for the few objects that
    /// admission looks up again and again (namespaces, quotas, service accounts).
    pub fn kept_value(&self) -> Option<Arc<Value>> {
        self.value.get_or_init(|| self.value().ok().map(Arc::new)).clone()
    }

    /// The object as a tree of the caller's own.
    pub fn value(&self) -> serde_json::Result<Value> {
        serde_json::from_slice(self.as_bytes())
    }

    /// The object as a tree of the caller's own, and its `metadata.managedFields` apart from it.
    pub fn parts(&self) -> serde_json::Result<Parts<'_>> {
        Parts::read(self.as_bytes())
    }

    /// How many bytes this version holds on to, roughly.
    pub(crate) fn size(&self) -> usize {
        self.frame.len() + 200
    }
}

/// Orders and finds versions by key, so that a set of them needs no second copy of the key.
#[derive(Debug, Clone)]
pub(crate) struct ByKey(pub(crate) Arc<Object>);

impl Borrow<str> for ByKey {
    fn borrow(&self) -> &str {
        self.0.key()
    }
}

impl PartialEq for ByKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.key() == other.0.key()
    }
}

impl Eq for ByKey {}

impl PartialOrd for ByKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ByKey {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.key().cmp(other.0.key())
    }
}

/// The text of a JSON string with escapes, if it has any.
fn unescaped(raw: &[u8]) -> Option<Box<str>> {
    memchr::memchr(b'\\', raw)?;
    let quoted = [b"\"", raw, b"\""].concat();
    serde_json::from_slice::<String>(&quoted).ok().map(String::into_boxed_str)
}

fn without_member(text: &[u8], member: Range<usize>) -> Vec<u8> {
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\n' | b'\t' | b'\r');
    let (mut start, mut end) = (member.start, member.end);
    while text.get(end).is_some_and(is_space) {
        end += 1;
    }
    if text.get(end) == Some(&b',') {
        end += 1;
    } else {
        while start > 0 && is_space(&text[start - 1]) {
            start -= 1;
        }
        if start > 0 && text[start - 1] == b',' {
            start -= 1;
        }
    }
    [&text[..start], &text[end..]].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SelectableField;

    fn pods() -> Resource {
        Resource::new(
            "pods",
            true,
            vec![
                SelectableField::new("spec.nodeName"),
                SelectableField::new("spec.hostNetwork").absent("false"),
                SelectableField::new("source").at(&["source.component", "reportingComponent"]),
            ],
        )
    }

    fn read(stored: &str) -> Object {
        Object::read(&pods(), EventType::Added, "default/web", stored.as_bytes(), 42).unwrap()
    }

    #[test]
    fn splices_the_version_and_takes_it_out_again() {
        let stored =
            r#"{"kind":"Pod","metadata":{"name":"web","labels":{"app":"x"}},"spec":{"nodeName":"w1"}}"#;
        let object = read(stored);
        assert_eq!(
            std::str::from_utf8(object.as_bytes()).unwrap(),
            r#"{"kind":"Pod","metadata":{"resourceVersion":"42","name":"web","labels":{"app":"x"}},"spec":{"nodeName":"w1"}}"#
        );
        assert_eq!(object.stored(), stored.as_bytes());
        assert!(object.stores(stored.as_bytes()));
        assert!(!object.stores(stored.replace("w1", "w2").as_bytes()));
        assert_eq!(object.label("app"), Some("x"));
        assert_eq!(object.field(&pods(), 0), "w1");
        assert_eq!((object.namespace(), object.name()), ("default", "web"));
        assert_eq!(
            object.frame(EventType::Added).unwrap(),
            format!(
                "{{\"type\":\"ADDED\",\"object\":{}}}\n",
                std::str::from_utf8(object.as_bytes()).unwrap()
            )
        );
        assert_eq!(object.frame(EventType::Modified), None);
    }

    #[test]
    fn what_is_read_in_another_form_is_not_what_is_stored() {
        let rewrite = crate::Rewrite::by(|stored| {
            let text = std::str::from_utf8(stored).ok()?;
            text.contains("v1beta1").then(|| text.replace("v1beta1", "v1").into_bytes())
        });
        let resource = pods().rewritten(Some(rewrite));
        let read = |stored: &str| {
            Object::read(&resource, EventType::Added, "default/web", stored.as_bytes(), 42).unwrap()
        };
        let old = read(r#"{"apiVersion":"a/v1beta1","metadata":{}}"#);
        assert_eq!(old.as_bytes(), br#"{"apiVersion":"a/v1","metadata":{"resourceVersion":"42"}}"#);
        assert!(old.is_rewritten);
        assert!(!read(r#"{"apiVersion":"a/v1","metadata":{}}"#).is_rewritten);
    }

    #[test]
    fn replaces_a_version_that_was_stored() {
        for stored in [
            r#"{"metadata":{"resourceVersion":"7","name":"a"}}"#,
            r#"{"metadata":{"name":"a","resourceVersion":"7"}}"#,
            "{\"metadata\":{\"name\":\"a\" , \"resourceVersion\" : \"7\" }}",
        ] {
            let value = read(stored).value().unwrap();
            assert_eq!(value["metadata"]["resourceVersion"], "42", "{stored}");
            assert_eq!(value["metadata"]["name"], "a");
        }
        assert_eq!(read(r#"{"metadata":{}}"#).as_bytes(), br#"{"metadata":{"resourceVersion":"42"}}"#);
    }

    #[test]
    fn fields_fall_back_and_unescape() {
        let object = read(r#"{"metadata":{"name":"a"},"reportingComponent":"q\"x","source":{}}"#);
        assert_eq!(object.field(&pods(), 0), "");
        assert_eq!(object.field(&pods(), 1), "false");
        assert_eq!(object.field(&pods(), 2), "q\"x");
    }

    #[test]
    fn the_ended_object_has_the_last_state_and_the_new_version() {
        let ended = read(r#"{"metadata":{"name":"a"},"spec":{"nodeName":"w1"}}"#).ended(&pods(), 77);
        assert_eq!(
            ended.as_bytes(),
            br#"{"metadata":{"resourceVersion":"77","name":"a"},"spec":{"nodeName":"w1"}}"#
        );
        assert!(ended.frame(EventType::Deleted).is_some());
        assert_eq!(ended.field(&pods(), 0), "w1");
    }
}
