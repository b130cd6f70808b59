//! Lists: a page of objects at one revision, sent out of cached bytes.

use std::num::IntErrorKind;

use apimachinery::{FieldError, Status};
use bytes::{Buf as _, Bytes};
use http::{HeaderValue, StatusCode};
use serde_json::{Value, json};
use storage::{Consistency, Error, Object, Page};
use tokio::runtime::{Handle, RuntimeFlavor};

use super::call::Call;
use super::continuation::Continuation;
use super::{output, table};
use crate::convert;
use crate::http::{Body, Format, Negotiated, Query, Response, Shape, response};
use crate::protobuf;
use crate::selection::Selection;

mod body;

use body::{Items, List, Pieces};

/// Up to this size a list is put together before it is sent.
const SMALL: usize = 16 * 1024;
/// Beyond this size a list is sent in pieces.
const LARGEST_BUFFER: usize = 1 << 30;
/// From so many objects on, making rows or compressing takes milliseconds, for which nobody else should wait.
const MANY: usize = 256;

/// What a list must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Version {
    /// At least this fresh.
    Fresh(Consistency),
    /// The state at exactly this revision.
    Exact(i64),
    /// The page after this one.
    Continue(Continuation),
    /// The page after this key as it is now (the token's revision is gone).
    ContinueNow(String),
}

/// Answers with a list.
pub async fn list(call: &Call<'_>) -> Result<Response, Status> {
    let entry = &call.entry;
    let Numbers { limit, .. } = Numbers::read(call.query)?;
    let selection = Selection::parse(entry, call.namespace(), call.query)?;
    let version = version(call.query, call.namespace(), limit)?;
    let mut page = match page(call, &selection, &version, limit).await {
        Ok(page) => page,
        Err(Error::Compacted) => return Ok(expired(call, &version)),
        Err(error) => return Err(crate::refusal::of_collection(error)),
    };
    let token = page.more.then(|| page.objects.last()).flatten().map(|last| {
        // Also behind a page that was not of the first page's moment: from there on the list is of one again.
        let after = last.key().to_owned();
        Continuation { revision: page.revision, after }.encode(call.namespace())
    });
    let metadata = list_metadata(page.revision, token, page.remaining);
    page.objects = convert::present_all(entry, page.objects).await?;
    answer(call, page, metadata)
}

async fn page(
    call: &Call<'_>,
    selection: &Selection,
    version: &Version,
    limit: usize,
) -> Result<Page, Error> {
    let (store, cache) = (&call.server.store, call.entry.cache());
    let takes = |object: &Object| selection.takes(object);
    let predicate: Option<&(dyn Fn(&Object) -> bool + Sync)> =
        if selection.is_everything() { None } else { Some(&takes) };
    match version {
        Version::Fresh(consistency) => {
            store.catch_up(*consistency).await?;
            let local: Option<&dyn Fn(&Object) -> bool> =
                if selection.is_everything() { None } else { Some(&takes) };
            Ok(cache.page(&selection.range(None), limit, local))
        }
        Version::Exact(revision) => {
            store.page_at(cache, &selection.range(None), limit, *revision, predicate).await
        }
        Version::Continue(continuation) => {
            let range = selection.range(Some(continuation.after.clone()));
            store.page_at(cache, &range, limit, continuation.revision, predicate).await
        }
        Version::ContinueNow(after) => {
            store.catch_up(Consistency::Latest).await?;
            let local: Option<&dyn Fn(&Object) -> bool> =
                if selection.is_everything() { None } else { Some(&takes) };
            Ok(cache.page(&selection.range(Some(after.clone())), limit, local))
        }
    }
}

/// The numbers among the options of lists, watches and deletions of many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Numbers {
    /// `timeoutSeconds`, for how long a watch lasts.
    pub timeout_seconds: Option<i64>,
    /// `limit`, 0 for none; as upstream, less than nothing is none too.
    pub limit: usize,
}

impl Numbers {
    /// Reads them, in upstream's order: one that is no number is refused, also where nothing would come of it. Options that
    /// are true or false are always readable: all but `false` and `0` is true.
    pub fn read(query: &Query<'_>) -> Result<Self, Status> {
        let timeout_seconds = number(query, "timeoutSeconds")?;
        let limit = number(query, "limit")?.and_then(|limit| usize::try_from(limit).ok());
        Ok(Self { timeout_seconds, limit: limit.unwrap_or(0) })
    }
}

/// Reads a number; what is none is refused in Go's words, and so is one that is there and empty.
pub fn number(query: &Query<'_>, key: &str) -> Result<Option<i64>, Status> {
    let Some(text) = query.all(key).next() else { return Ok(None) };
    text.parse().map(Some).map_err(|error: std::num::ParseIntError| {
        let why = match error.kind() {
            IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => "value out of range",
            _ => "invalid syntax",
        };
        Status::bad_request(format!("strconv.ParseInt: parsing \"{text}\": {why}"))
    })
}

/// Reads a resourceVersion.
pub fn parse_version(text: &str) -> Result<i64, Status> {
    text.parse::<u64>().ok().and_then(|version| i64::try_from(version).ok()).ok_or_else(|| {
        let why = format!("strconv.ParseUint: parsing \"{text}\": invalid syntax");
        Status::invalid("", "", "", vec![FieldError::invalid("resourceVersion", text, why)])
    })
}

/// What is wrong with a list's options, all of it.
fn refusals(query: &Query<'_>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let version = query.get("resourceVersion");
    if let Some(matching) = query.get("resourceVersionMatch") {
        let field = "resourceVersionMatch";
        let mut forbid = |why| errors.push(FieldError::forbidden(field, why));
        if version.is_none() {
            forbid("resourceVersionMatch is forbidden unless resourceVersion is provided");
        }
        if query.get("continue").is_some() {
            forbid("resourceVersionMatch is forbidden when continue is provided");
        }
        if matching == "Exact" && version == Some("0") {
            forbid("resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"");
        }
        if !matches!(matching, "Exact" | "NotOlderThan") {
            errors.push(FieldError::not_supported(field, matching, &["Exact", "NotOlderThan", ""]));
        }
    }
    if query.has("sendInitialEvents") {
        let why = "sendInitialEvents is forbidden for list";
        errors.push(FieldError::forbidden("sendInitialEvents", why));
    }
    errors
}

/// Reads what state of the resource the list is of.
pub fn version(query: &Query<'_>, namespace: &str, limit: usize) -> Result<Version, Status> {
    let errors = refusals(query);
    if !errors.is_empty() {
        return Err(Status::invalid("meta.k8s.io", "ListOptions", "", errors));
    }
    let (version, matching) = (query.get("resourceVersion"), query.get("resourceVersionMatch"));
    if let Some(token) = query.get("continue") {
        if version.is_some_and(|version| version != "0") {
            return Err(Status::bad_request(
                "specifying resource version is not allowed when using continue",
            ));
        }
        let continuation = Continuation::decode(token, namespace)?;
        return Ok(match continuation.revision {
            ..0 => Version::ContinueNow(continuation.after),
            _ => Version::Continue(continuation),
        });
    }
    let version = match version {
        None => return Ok(Version::Fresh(Consistency::Latest)),
        Some(version) => parse_version(version)?,
    };
    Ok(match (version, matching) {
        (0, _) => Version::Fresh(Consistency::Any),
        (version, Some("Exact")) => Version::Exact(version),
        // As upstream: pages without a match rule are of exactly that version.
        (version, None) if limit > 0 => Version::Exact(version),
        (version, _) => Version::Fresh(Consistency::NotOlderThan(version)),
    })
}

/// The `metadata` of a list.
pub fn list_metadata(revision: i64, token: Option<String>, remaining: Option<i64>) -> Value {
    let mut metadata = json!({ "resourceVersion": revision.to_string() });
    if let Some(token) = token {
        metadata["continue"] = token.into();
        if let Some(remaining) = remaining {
            metadata["remainingItemCount"] = remaining.into();
        }
    }
    metadata
}

/// The token's revision is gone: the client may begin again, or go on inconsistently with the token given here.
fn expired(call: &Call<'_>, version: &Version) -> Response {
    let status = match version {
        Version::Continue(continuation) => {
            let message = "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.";
            let mut status = Status::expired(message).to_value();
            let token = Continuation { revision: -1, after: continuation.after.clone() };
            status["metadata"]["continue"] = token.encode(call.namespace()).into();
            status
        }
        _ => Status::expired("The resourceVersion for the provided list is too old.").to_value(),
    };
    response::value(StatusCode::GONE, &status, &call.form)
}

/// Answers with a list of objects that are made on request.
pub fn answer_trees(call: &Call<'_>, items: Vec<Value>) -> Result<Response, Status> {
    let entry = &call.entry;
    if let Shape::Metadata(_) = call.form.shape {
        return Err(output::is_a_list(entry));
    }
    if let Shape::Table(version) = call.form.shape {
        let mut rows = table::Rows::new(entry, version, call.query)?;
        for item in &items {
            rows.add(item);
        }
        return Ok(response::value(StatusCode::OK, &rows.finish(json!({})), &call.form));
    }
    let list = match call.form.shape {
        Shape::MetadataList(version) => {
            let version = version.api_version();
            let metadata = |item: &Value| json!({ "kind": output::METADATA, "apiVersion": version, "metadata": item["metadata"] });
            let items: Vec<Value> = items.iter().map(metadata).collect();
            json!({ "kind": METADATA_LIST, "apiVersion": version, "metadata": {}, "items": items })
        }
        _ => json!({
            "kind": entry.row.list_kind, "apiVersion": entry.api_version, "metadata": {}, "items": items,
        }),
    };
    Ok(response::value(StatusCode::OK, &list, &call.form))
}

/// Makes the answer; a large one beside the requests that this thread serves, which another takes over meanwhile.
fn answer(call: &Call<'_>, page: Page, metadata: Value) -> Result<Response, Status> {
    let can_step_aside = Handle::try_current()
        .is_ok_and(|handle| matches!(handle.runtime_flavor(), RuntimeFlavor::MultiThread));
    if page.objects.len() >= MANY && can_step_aside {
        return tokio::task::block_in_place(|| encode(call, page, metadata));
    }
    encode(call, page, metadata)
}

fn encode(call: &Call<'_>, page: Page, metadata: Value) -> Result<Response, Status> {
    let (entry, form) = (&call.entry, &call.form);
    if let Shape::Metadata(_) = form.shape {
        return Err(output::is_a_list(entry));
    }
    if let Shape::Table(version) = form.shape {
        let mut rows = table::Rows::new(entry, version, call.query)?;
        for object in &page.objects {
            rows.add(&object.value().map_err(Status::internal)?);
        }
        return Ok(response::value(StatusCode::OK, &rows.finish(metadata), form));
    }
    if form.format == Format::Protobuf {
        return encode_protobuf(call, page, &metadata);
    }
    let head = match form.shape {
        Shape::MetadataList(version) => opening(METADATA_LIST, version.api_version(), &metadata),
        _ => opening(&entry.row.list_kind, &entry.api_version, &metadata),
    };
    let items = match (form.shape, &entry.stored_as) {
        (Shape::Object, None) => Items::Cached(page.objects),
        (shape, _) => Items::Made(
            page.objects
                .iter()
                .filter_map(|object| match shape {
                    Shape::MetadataList(version) => {
                        output::metadata_only(object.as_bytes(), version).map(Bytes::from)
                    }
                    _ => Some(output::served(entry, object)),
                })
                .collect(),
        ),
    };
    Ok(send(List::json(head, items), form))
}

const METADATA_LIST: &str = "PartialObjectMetadataList";

/// Makes a list in protobuf: each object's message behind the list's own metadata.
fn encode_protobuf(call: &Call<'_>, page: Page, metadata: &Value) -> Result<Response, Status> {
    let (entry, form) = (&call.entry, &call.form);
    let (api_version, list_kind, kind) = match form.shape {
        Shape::MetadataList(version) => (version.api_version(), METADATA_LIST, output::METADATA),
        _ => (entry.api_version.as_str(), &*entry.row.list_kind, &*entry.row.kind),
    };
    let kind = protobuf::Kind::find(api_version, kind)?;
    let metadata = json!({ "metadata": metadata }).to_string();
    let metadata = protobuf::Kind::find(api_version, list_kind)?.item(metadata.as_bytes())?;
    let size: usize = page.objects.iter().map(|object| object.as_bytes().len()).sum();
    let keeps = !protobuf::Kind::is_too_much(size);
    let items = match (form.shape, &entry.stored_as) {
        (Shape::Object, None) if keeps => {
            let kept: Result<Vec<_>, _> = page.objects.iter().map(|object| kind.stored(object)).collect();
            Items::Kept(kept?)
        }
        (shape, _) => {
            let mut made = Vec::with_capacity(page.objects.len());
            for object in &page.objects {
                let json = match shape {
                    Shape::MetadataList(version) => match output::metadata_only(object.as_bytes(), version) {
                        Some(metadata) => Bytes::from(metadata),
                        None => continue,
                    },
                    _ => output::served(entry, object),
                };
                made.push(Bytes::from(kind.field(&json)?));
            }
            Items::Made(made)
        }
    };
    let mut head = wire::opening(api_version, list_kind, metadata.len() + items.size());
    head.extend_from_slice(&metadata);
    Ok(send(List::protobuf(head.into(), items), form))
}

/// Sends a list: a small one as a whole, a large one out of what is cached, so that it is never put together.
fn send(mut list: List, form: &Negotiated) -> Response {
    let length = list.remaining();
    let streamed = matches!(form.format, Format::Json | Format::Protobuf);
    if streamed && form.gzip && length >= response::GZIP_FROM {
        let body = Body::stream(response::Compressed::new(list));
        let mut response = response::with_type(StatusCode::OK, form.format.media_type(), body);
        response::is_compressed(&mut response);
        return response;
    }
    if !streamed || length <= SMALL {
        let bytes = list.copy_to_bytes(length);
        return match form.format {
            Format::Protobuf => response::whole(StatusCode::OK, bytes, form),
            _ => response::json(StatusCode::OK, bytes, form),
        };
    }
    let body = if length > LARGEST_BUFFER { Body::stream(Pieces(list)) } else { Body::buffer(list) };
    let mut response = response::with_type(StatusCode::OK, form.format.media_type(), body);
    response.headers_mut().insert(http::header::CONTENT_LENGTH, HeaderValue::from(length));
    response
}

fn opening(kind: &str, api_version: &str, metadata: &Value) -> Bytes {
    Bytes::from(format!(r#"{{"kind":"{kind}","apiVersion":"{api_version}","metadata":{metadata},"items":["#))
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use http_body_util::BodyExt as _;

    use super::*;

    fn read(query: &str) -> String {
        let query = Query::parse(Some(query));
        let version = Numbers::read(&query).and_then(|numbers| version(&query, "", numbers.limit));
        match version {
            Ok(version) => format!("{version:?}"),
            Err(status) => format!("{}: {}", status.code, status.message),
        }
    }

    #[test]
    fn numbers_are_read_as_go_reads_them() {
        let read = |query: &str| match Numbers::read(&Query::parse(Some(query))) {
            Ok(numbers) => format!("{:?} {}", numbers.timeout_seconds, numbers.limit),
            Err(status) => format!("{} {}: {}", status.code, status.reason, status.message),
        };
        let refused =
            |text: &str, why: &str| format!("400 BadRequest: strconv.ParseInt: parsing \"{text}\": {why}");
        for (query, expected) in [
            ("", "None 0".to_owned()),
            ("limit=5&timeoutSeconds=30", "Some(30) 5".to_owned()),
            ("limit=%2B5&limit=x", "None 5".to_owned()),
            // There is no page of less than nothing: all is in one.
            ("limit=-1", "None 0".to_owned()),
            ("timeoutSeconds=-1", "Some(-1) 0".to_owned()),
            ("limit=abc", refused("abc", "invalid syntax")),
            ("limit=", refused("", "invalid syntax")),
            ("limit=1.5", refused("1.5", "invalid syntax")),
            ("limit=1_000", refused("1_000", "invalid syntax")),
            ("limit=9223372036854775808", refused("9223372036854775808", "value out of range")),
            ("timeoutSeconds=abc", refused("abc", "invalid syntax")),
            ("limit=x&timeoutSeconds=y", refused("y", "invalid syntax")),
        ] {
            assert_eq!(read(query), expected, "{query}");
        }
    }

    #[test]
    fn versions_are_read_as_upstream_reads_them() {
        for (query, expected) in [
            ("", "Fresh(Latest)"),
            ("resourceVersion=0", "Fresh(Any)"),
            ("resourceVersion=7", "Fresh(NotOlderThan(7))"),
            ("resourceVersion=7&limit=2", "Exact(7)"),
            ("resourceVersion=7&limit=2&resourceVersionMatch=NotOlderThan", "Fresh(NotOlderThan(7))"),
            ("resourceVersion=7&resourceVersionMatch=Exact", "Exact(7)"),
            ("limit=no", "400: strconv.ParseInt: parsing \"no\": invalid syntax"),
            (
                "sendInitialEvents=",
                "422: ListOptions.meta.k8s.io \"\" is invalid: sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list",
            ),
            (
                "resourceVersionMatch=Exact",
                "422: ListOptions.meta.k8s.io \"\" is invalid: resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided",
            ),
            (
                "resourceVersionMatch=Nearly&continue=x&sendInitialEvents=true",
                "422: ListOptions.meta.k8s.io \"\" is invalid: [resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided, resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden when continue is provided, resourceVersionMatch: Unsupported value: \"Nearly\": supported values: \"Exact\", \"NotOlderThan\", \"\", sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list]",
            ),
            (
                "resourceVersion=0&resourceVersionMatch=Exact",
                "422: ListOptions.meta.k8s.io \"\" is invalid: resourceVersionMatch: Forbidden: resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"",
            ),
            (
                "resourceVersion=1&resourceVersionMatch=Some",
                "422: ListOptions.meta.k8s.io \"\" is invalid: resourceVersionMatch: Unsupported value: \"Some\": supported values: \"Exact\", \"NotOlderThan\", \"\"",
            ),
        ] {
            assert_eq!(read(query), expected, "{query}");
        }
    }

    #[tokio::test]
    async fn a_compressed_list_is_the_list_and_goes_out_in_pieces() {
        let item = |n: u32| Bytes::from(format!("{{\"n\":{n},\"text\":\"{}\"}}", "x".repeat(200)));
        let random = |_| Bytes::from(format!("\"{:x}\"", rand::random::<u128>()));
        for items in [(0..20_000).map(item).collect::<Vec<_>>(), (0..20_000).map(random).collect()] {
            let head = opening("List", "v1", &list_metadata(3, None, None));
            let mut list = List::json(head.clone(), Items::Made(items.clone()));
            let whole = list.copy_to_bytes(list.remaining());
            let mut body = response::Compressed::new(List::json(head, Items::Made(items)));
            let (mut packed, mut pieces) = (Vec::new(), 0);
            while let Some(frame) = body.frame().await {
                let piece = frame.unwrap().into_data().unwrap();
                assert!(!piece.is_empty() && piece.len() < 128 << 10, "{}", piece.len());
                packed.extend_from_slice(&piece);
                pieces += 1;
            }
            assert!(pieces > 5 && packed.len() < whole.len(), "{pieces} pieces, {} bytes", packed.len());
            let mut unpacked = Vec::new();
            flate2::read::GzDecoder::new(packed.as_slice()).read_to_end(&mut unpacked).unwrap();
            assert!(unpacked == whole);
        }
    }
}
