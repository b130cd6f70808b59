//! Objects as protobuf: transcoded when first asked for, and kept with their version for a while, so that all who
//! read an object or watch it share the bytes.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use apimachinery::Status;
use parking_lot::Mutex;
use storage::{Encoded, Object};

/// So many bytes are kept at most; those who never ask for protobuf pay nothing.
const KEPT: usize = 16 << 20;

/// A kind whose objects can be protobuf.
#[derive(Debug, Clone)]
pub struct Kind {
    kind: wire::Kind,
    api_version: Box<str>,
    name: Box<str>,
}

impl Kind {
    /// Finds a kind's message.
    pub fn find(api_version: &str, kind: &str) -> Result<Self, Status> {
        match wire::Kind::find(api_version, kind) {
            Some(found) => Ok(Self { kind: found, api_version: api_version.into(), name: kind.into() }),
            None => Err(not_marshalable(api_version, kind)),
        }
    }

    /// Writes an object's JSON as the frame of a watch's event, with the places of the smaller forms in it.
    pub fn encode(&self, event: &str, json: &[u8]) -> Result<Encoded, Status> {
        let item = self.item(json)?;
        let opening = wire::opening(&self.api_version, &self.name, item.len());
        let frame = wire::watch_frame(event, &[&opening, &item, wire::CLOSING]);
        let end = frame.len() - wire::CLOSING.len();
        let body = end - item.len() - opening.len();
        // The field of a body in which the object is has the number that `items` has in lists.
        let field = end - item.len() - wire::item_opening_length(item.len());
        Ok(Encoded { item: field..end, body: body..frame.len(), frame: frame.into() })
    }

    /// Writes the object's own message alone.
    pub fn item(&self, json: &[u8]) -> Result<Vec<u8>, Status> {
        let mut item = Vec::with_capacity(json.len() / 2 + 64);
        self.kind.encode(json, &mut item).map_err(unwritable)?;
        Ok(item)
    }

    /// Writes the object as a field of a list's message.
    pub fn field(&self, json: &[u8]) -> Result<Vec<u8>, Status> {
        let item = self.item(json)?;
        let mut field = Vec::with_capacity(wire::item_opening_length(item.len()) + item.len());
        wire::item_opening(item.len(), &mut field);
        field.extend_from_slice(&item);
        Ok(field)
    }

    /// A stored object, from what is kept if it is there.
    pub fn stored(&self, object: &Arc<Object>) -> Result<Arc<Encoded>, Status> {
        if let Some(kept) = object.encoded() {
            return Ok(kept);
        }
        let encoded = Arc::new(self.encode(object.event().name(), object.as_bytes())?);
        KEEPER.lock().keep(object, &encoded, KEPT);
        Ok(encoded)
    }

    /// Whether so many bytes of JSON are more than is worth keeping: they would only drive out what others read.
    pub fn is_too_much(json: usize) -> bool {
        json > KEPT
    }
}

/// Objects of another kind than its resource's cannot be protobuf as upstream's Go types cannot.
fn not_marshalable(api_version: &str, kind: &str) -> Status {
    let version = api_version.rsplit('/').next().unwrap_or_default();
    Status::new(
        406,
        "NotAcceptable",
        format!(
            "object *{version}.{kind} does not implement the protobuf marshalling interface and cannot be encoded to a protobuf message"
        ),
    )
}

fn unwritable(error: wire::WireError) -> Status {
    match error {
        wire::WireError::UnknownKind { api_version, kind } => not_marshalable(&api_version, &kind),
        error => Status::internal(error),
    }
}

/// Writes JSON of any kind as a whole body.
pub fn body(json: &[u8]) -> Result<Vec<u8>, Status> {
    wire::encode(json).map_err(unwritable)
}

/// What is kept, oldest first, over all resources: the bound is the process's.
struct Keeper {
    queue: VecDeque<(Weak<Object>, usize)>,
    bytes: usize,
}

static KEEPER: Mutex<Keeper> = Mutex::new(Keeper { queue: VecDeque::new(), bytes: 0 });

impl Keeper {
    fn keep(&mut self, object: &Arc<Object>, encoded: &Arc<Encoded>, most: usize) {
        let size = encoded.frame.len();
        object.keep_encoded(Some(encoded.clone()));
        self.queue.push_back((Arc::downgrade(object), size));
        self.bytes += size;
        while self.bytes > most
            && let Some((object, size)) = self.queue.pop_front()
        {
            self.bytes -= size;
            if let Some(object) = object.upgrade() {
                object.keep_encoded(None);
            }
        }
    }
}
