//! Watches: events as they happen, in frames that all watchers share.

pub mod socket;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use apimachinery::{FieldError, Status};
use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http_body::Frame;
use serde_json::{Value, json};
use storage::{Consistency, Error, EventType, Object, WatchEvent, WatchStart};
use tokio::time::{Instant, Sleep};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::call::Call;
use super::list::{Numbers, parse_version};
use super::presented::Presented;
use super::{output, table};
use crate::http::{Body, Format, Query, Response, Shape, response};
use crate::metrics::Watching;
use crate::protobuf;
use crate::selection::Selection;

/// Small frames are put together up to this size, so that a burst costs one write.
const PIECE: usize = 32 * 1024;
/// How often a client that asked for bookmarks gets one, as upstream.
const BOOKMARKS: Duration = Duration::from_secs(60);
/// A last bookmark comes this long before the end, so that the client goes on where it was, as upstream.
const BEFORE_END: Duration = Duration::from_secs(2);
/// No watch is asked for that lasts longer; a timer must be able to hold it.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);

/// How a watch begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Beginning {
    consistency: Consistency,
    start: Start,
    /// A bookmark says when the initial objects are through.
    marks_end: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Start {
    Objects,
    After(i64),
    Now,
}

/// Opens a watch.
pub async fn watch(call: &Call<'_>) -> Result<Response, Status> {
    let (store, cache) = (&call.server.store, call.entry.cache());
    let Numbers { timeout_seconds, .. } = Numbers::read(call.query)?;
    let selection = selection(call)?;
    let beginning = beginning(call.query)?;
    let lasts = lasts(timeout_seconds, call.server.options.least_watch);
    let opened = match store.catch_up(beginning.consistency).await {
        Ok(()) => {
            let start = match beginning.start {
                Start::Objects => WatchStart::Objects,
                Start::After(revision) => WatchStart::After(revision),
                Start::Now => WatchStart::After(store.progress().reached()),
            };
            cache.watch(start, selection.into_filter())
        }
        Err(error) => Err(error),
    };
    let (watch, revision) = match opened {
        Ok(opened) => opened,
        Err(Error::Compacted) => {
            let asked = match beginning.start {
                Start::After(revision) => revision,
                Start::Objects | Start::Now => 0,
            };
            return Ok(too_old(call, asked, cache.changed()));
        }
        Err(error) => return Err(crate::refusal::of_collection(error)),
    };
    let bookmarks = call.query.flag("allowWatchBookmarks");
    let watch = Presented::new(watch, &call.entry).await?;
    let begun = watch.has_first().then(CancellationToken::new);
    let now = Instant::now();
    let body = WatchBody {
        watch,
        frames: Frames::new(call)?,
        progress: call.server.store.progress().clone(),
        initial_end: (beginning.marks_end && bookmarks).then_some(revision),
        initial: true,
        begins: begun.clone().map(CancellationToken::drop_guard),
        bookmarks,
        next_bookmark: next_bookmark(now, now + lasts),
        ends: now + lasts,
        timer: Box::pin(tokio::time::sleep_until(next_bookmark(now, now + lasts).min(now + lasts))),
        ended: false,
        open: call.server.metrics.watch_opened(&call.entry),
    };
    let mut response = response::with_type(StatusCode::OK, media_type(call.form.format), Body::stream(body));
    if let Some(begun) = begun {
        response.extensions_mut().insert(Begun(begun));
    }
    response
        .headers_mut()
        .insert(http::header::X_CONTENT_TYPE_OPTIONS, http::HeaderValue::from_static("nosniff"));
    Ok(response)
}

/// What is wrong with a watch's options, all of it.
fn refusals(query: &Query<'_>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let field = "resourceVersionMatch";
    let asks = query.has("sendInitialEvents");
    let matching = query.get(field);
    if asks && matching != Some("NotOlderThan") {
        let why = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
        errors.push(FieldError::forbidden(field, why));
    }
    if let Some(matching) = matching {
        if !asks {
            let why = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
            errors.push(FieldError::forbidden(field, why));
        }
        if matching != "NotOlderThan" {
            errors.push(FieldError::not_supported(field, matching, &["NotOlderThan"]));
        }
        if query.get("continue").is_some() {
            let why = "resourceVersionMatch is forbidden when continue is provided";
            errors.push(FieldError::forbidden(field, why));
        }
    }
    errors
}

fn beginning(query: &Query<'_>) -> Result<Beginning, Status> {
    let errors = refusals(query);
    if !errors.is_empty() {
        return Err(Status::invalid("meta.k8s.io", "ListOptions", "", errors));
    }
    let initial = query.has("sendInitialEvents").then(|| query.flag("sendInitialEvents"));
    let version = match query.get("resourceVersion") {
        None => None,
        Some(text) => Some(parse_version(text)?),
    };
    let consistency = match version {
        None => Consistency::Latest,
        Some(0) => Consistency::Any,
        Some(version) => Consistency::NotOlderThan(version),
    };
    Ok(match (initial, version) {
        (Some(true), _) => Beginning { consistency, start: Start::Objects, marks_end: true },
        (Some(false), None | Some(0)) => Beginning { consistency, start: Start::Now, marks_end: false },
        (None, None | Some(0)) => Beginning { consistency, start: Start::Objects, marks_end: false },
        // The events after a version need not be there yet.
        (_, Some(version)) => {
            Beginning { consistency: Consistency::Any, start: Start::After(version), marks_end: false }
        }
    })
}

/// How long a watch lasts: as long as the client says, else one to two times the least.
fn lasts(timeout_seconds: Option<i64>, least: Duration) -> Duration {
    match timeout_seconds.and_then(|seconds| u64::try_from(seconds).ok()) {
        Some(seconds) if seconds > 0 => Duration::from_secs(seconds).min(LONGEST),
        _ => least.min(LONGEST).mul_f64(1.0 + rand::random::<f64>()),
    }
}

/// The old paths below `/watch/` name one object where others select it.
fn selection(call: &Call<'_>) -> Result<Selection, Status> {
    let mut selection = Selection::parse(&call.entry, call.namespace(), call.query)?;
    let name = &call.info.name;
    if !name.is_empty() {
        if call.query.get("fieldSelector").is_some() && selection.name() != Some(name) {
            return Err(Status::bad_request("fieldSelector metadata.name doesn't match requested name"));
        }
        selection.require_name(name);
    }
    Ok(selection)
}

/// When the next bookmark is due: once a minute, and shortly before the end.
fn next_bookmark(now: Instant, ends: Instant) -> Instant {
    let last = ends.checked_sub(BEFORE_END).unwrap_or(ends);
    let next = now + BOOKMARKS;
    if last > now && last < next { last } else { next }
}

/// As upstream, a watch that cannot begin where it should is answered by a stream of one error.
fn too_old(call: &Call<'_>, asked: i64, current: i64) -> Response {
    let status = Status::expired(format!("too old resource version: {asked} ({current})"));
    let frame = error_frame(call.form.format, &status);
    response::with_type(StatusCode::OK, media_type(call.form.format), frame)
}

/// The media type of a stream of events.
fn media_type(format: Format) -> &'static str {
    match format {
        Format::Protobuf => "application/vnd.kubernetes.protobuf;stream=watch",
        Format::Json | Format::PrettyJson | Format::Yaml => "application/json",
    }
}

/// How events are put for one watcher.
struct Frames {
    entry: Arc<crate::registry::Entry>,
    shape: Shape,
    columns: Option<table::Columns>,
    /// The kind of the events' objects, where they are sent as protobuf.
    protobuf: Option<protobuf::Kind>,
}

impl Frames {
    fn new(call: &Call<'_>) -> Result<Self, Status> {
        let (entry, shape) = (&call.entry, call.form.shape);
        let columns = match shape {
            Shape::Table(version) => Some(table::Columns::new(entry, version, call.query)?),
            _ => None,
        };
        let protobuf = match (call.form.format, shape) {
            (Format::Protobuf, Shape::Metadata(version) | Shape::MetadataList(version)) => {
                Some(protobuf::Kind::find(version.api_version(), output::METADATA)?)
            }
            (Format::Protobuf, _) => Some(protobuf::Kind::find(&entry.api_version, &entry.row.kind)?),
            _ => None,
        };
        Ok(Self { entry: entry.clone(), shape, columns, protobuf })
    }

    fn event(&mut self, WatchEvent { event, object }: &WatchEvent) -> Bytes {
        if let Some(kind) = &self.protobuf {
            let frame = self.protobuf_event(kind, *event, object);
            // What is stored was read as this kind when it was written, so it is written as it.
            return frame.unwrap_or_else(|status| error_frame(Format::Protobuf, &status));
        }
        if matches!(self.shape, Shape::Object) && self.entry.stored_as.is_none() {
            return match object.frame(*event) {
                Some(frame) => frame,
                None => framed(event.opening(), object.as_bytes()),
            };
        }
        framed(event.opening(), &self.made(object))
    }

    /// The object's JSON in a form that is not the stored one.
    fn made(&mut self, object: &Object) -> Bytes {
        match self.shape {
            Shape::Object => output::served(&self.entry, object),
            Shape::Metadata(version) | Shape::MetadataList(version) => {
                Bytes::from(output::metadata_only(object.as_bytes(), version).unwrap_or_default())
            }
            Shape::Table(_) => {
                let table = match (&mut self.columns, object.value()) {
                    (Some(columns), Ok(value)) => columns.one(&value),
                    _ => Value::Null,
                };
                Bytes::from(table.to_string())
            }
        }
    }

    fn protobuf_event(
        &self,
        kind: &protobuf::Kind,
        event: EventType,
        object: &Arc<Object>,
    ) -> Result<Bytes, Status> {
        let json = match self.shape {
            Shape::Metadata(version) | Shape::MetadataList(version) => {
                output::metadata_only(object.as_bytes(), version).map(Bytes::from).unwrap_or_default()
            }
            _ if self.entry.stored_as.is_some() => output::served(&self.entry, object),
            _ => {
                let kept = kind.stored(object)?;
                return Ok(match event == object.event() {
                    true => kept.frame.clone(),
                    false => wire::watch_frame(event.name(), &[&kept.frame[kept.body.clone()]]).into(),
                });
            }
        };
        Ok(kind.encode(event.name(), &json)?.frame)
    }

    fn failure(&self, status: &Status) -> Bytes {
        let format = if self.protobuf.is_some() { Format::Protobuf } else { Format::Json };
        error_frame(format, status)
    }

    fn bookmark(&self, revision: i64, initial_end: bool) -> Bytes {
        let mut metadata = json!({ "resourceVersion": revision.to_string(), "creationTimestamp": null });
        if initial_end {
            metadata["annotations"] = json!({ "k8s.io/initial-events-end": "true" });
        }
        let (kind, api_version) = match self.shape {
            Shape::Object => (&*self.entry.row.kind, self.entry.api_version.as_str()),
            Shape::Metadata(version) | Shape::MetadataList(version) => {
                (output::METADATA, version.api_version())
            }
            Shape::Table(version) => ("Table", version.api_version()),
        };
        let mut object = json!({ "kind": kind, "apiVersion": api_version, "metadata": metadata });
        if matches!(self.shape, Shape::Table(_)) {
            object["columnDefinitions"] = json!([]);
            object["rows"] = json!([]);
        }
        let json = object.to_string();
        match &self.protobuf {
            Some(kind) => match kind.encode("BOOKMARK", json.as_bytes()) {
                Ok(encoded) => encoded.frame,
                Err(status) => error_frame(Format::Protobuf, &status),
            },
            None => framed(br#"{"type":"BOOKMARK","object":"#, json.as_bytes()),
        }
    }
}

fn framed(opening: &[u8], object: &[u8]) -> Bytes {
    Bytes::from([opening, object, b"}\n"].concat())
}

/// A refusal as an event.
fn error_frame(format: Format, status: &Status) -> Bytes {
    let json = status.to_value().to_string();
    match (format, protobuf::body(json.as_bytes())) {
        (Format::Protobuf, Ok(body)) => wire::watch_frame("ERROR", &[&body]).into(),
        _ => framed(br#"{"type":"ERROR","object":"#, json.as_bytes()),
    }
}

/// In a response: is cancelled when the events that its watch begins with are out. Until then the watch takes seats.
#[derive(Clone)]
pub struct Begun(pub CancellationToken);

/// A watch on its way to one client.
struct WatchBody {
    watch: Presented,
    frames: Frames,
    progress: Arc<storage::Progress>,
    /// The revision of the bookmark that ends the initial objects, until it is sent.
    initial_end: Option<i64>,
    initial: bool,
    /// Held while there are such objects.
    begins: Option<DropGuard>,
    bookmarks: bool,
    next_bookmark: Instant,
    ends: Instant,
    timer: Pin<Box<Sleep>>,
    ended: bool,
    /// Counts this watch among the open ones while it lives, and its events.
    open: Watching,
}

impl WatchBody {
    fn initial_piece(&mut self) -> Option<Bytes> {
        let mut piece = BytesMut::new();
        while piece.len() < PIECE {
            match self.watch.next_first() {
                Some(event) => {
                    let frame = self.frames.event(&event);
                    self.open.sent(frame.len());
                    piece.extend_from_slice(&frame);
                }
                None => {
                    self.initial = false;
                    self.begins = None;
                    if let Some(revision) = self.initial_end.take() {
                        let frame = self.frames.bookmark(revision, true);
                        self.open.sent(frame.len());
                        piece.extend_from_slice(&frame);
                    }
                    break;
                }
            }
        }
        (!piece.is_empty()).then(|| piece.freeze())
    }

    /// Puts together what is there behind a first frame.
    fn gather(&mut self, first: Bytes) -> Bytes {
        self.open.sent(first.len());
        if first.len() >= PIECE {
            return first;
        }
        let Some(second) = self.watch.try_next() else { return first };
        let mut piece = BytesMut::with_capacity(PIECE);
        piece.extend_from_slice(&first);
        let mut next = Some(second);
        while let Some(event) = next {
            let frame = self.frames.event(&event);
            self.open.sent(frame.len());
            piece.extend_from_slice(&frame);
            next = if piece.len() < PIECE { self.watch.try_next() } else { None };
        }
        piece.freeze()
    }
}

impl http_body::Body for WatchBody {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = self.get_mut();
        if this.ended {
            return Poll::Ready(None);
        }
        if this.initial
            && let Some(piece) = this.initial_piece()
        {
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        loop {
            // Read before the events: a bookmark at it comes after all that it covers.
            let reached = this.progress.reached();
            match this.watch.poll_next(context) {
                Poll::Ready(Some(event)) => {
                    let first = this.frames.event(&event);
                    return Poll::Ready(Some(Ok(Frame::data(this.gather(first)))));
                }
                Poll::Ready(None) => {
                    this.ended = true;
                    let failure = this.watch.failure.take();
                    return Poll::Ready(failure.map(|status| Ok(Frame::data(this.frames.failure(&status)))));
                }
                Poll::Pending => {}
            }
            std::task::ready!(this.timer.as_mut().poll(context));
            let now = Instant::now();
            if now >= this.ends {
                this.ended = true;
                return Poll::Ready(None);
            }
            // Nor does one come before events that are on their way.
            let due = this.bookmarks && now >= this.next_bookmark && !this.watch.is_behind();
            if now >= this.next_bookmark {
                this.next_bookmark = next_bookmark(now, this.ends);
            }
            this.timer.as_mut().reset(this.ends.min(this.next_bookmark));
            if due {
                let frame = this.frames.bookmark(reached, false);
                this.open.sent(frame.len());
                return Poll::Ready(Some(Ok(Frame::data(frame))));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn begins_as_upstream_does() {
        for (query, expected) in [
            ("", "Latest Objects false"),
            ("resourceVersion=0", "Any Objects false"),
            ("resourceVersion=5", "Any After(5) false"),
            (
                "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&resourceVersion=",
                "Latest Objects true",
            ),
            (
                "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&resourceVersion=9",
                "NotOlderThan(9) Objects true",
            ),
            ("sendInitialEvents=false&resourceVersionMatch=NotOlderThan", "Latest Now false"),
            (
                "sendInitialEvents=true&resourceVersionMatch=Exact&continue=x",
                "422 ListOptions.meta.k8s.io \"\" is invalid: [resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan, resourceVersionMatch: Unsupported value: \"Exact\": supported values: \"NotOlderThan\", resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden when continue is provided]",
            ),
            (
                "sendInitialEvents=true",
                "422 ListOptions.meta.k8s.io \"\" is invalid: resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
            ),
            (
                "resourceVersionMatch=NotOlderThan&resourceVersion=1",
                "422 ListOptions.meta.k8s.io \"\" is invalid: resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
            ),
        ] {
            let found = match beginning(&Query::parse(Some(query))) {
                Ok(found) => format!("{:?} {:?} {}", found.consistency, found.start, found.marks_end),
                Err(status) => format!("{} {}", status.code, status.message),
            };
            assert_eq!(found, expected, "{query}");
        }
    }

    #[test]
    fn a_bookmark_comes_each_minute_and_before_the_end() {
        let now = Instant::now();
        let after = |seconds| now + Duration::from_secs(seconds);
        for (ends, expected) in [(300, 60), (62, 60), (61, 59), (30, 28), (3, 1), (2, 60), (1, 60)] {
            assert_eq!(next_bookmark(now, after(ends)), after(expected), "{ends}");
        }
    }
}
