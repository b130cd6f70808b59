//! DELETE of all objects that selectors leave.

use apimachinery::Status;
use bytes::Bytes;
use http::StatusCode;
use storage::Consistency;

use super::call::Call;
use super::delete::{self, Asks, DeleteOptions};
use super::list::{self, Numbers};
use super::output;
use crate::http::input::Encoding;
use crate::http::{Response, response};
use crate::selection::Selection;

/// Deletes many; answers with what was there.
pub async fn delete_collection(call: &Call<'_>, body: Bytes, encoding: Encoding) -> Result<Response, Status> {
    let Numbers { limit, .. } = Numbers::read(call.query)?;
    let options = DeleteOptions::read(&body, encoding, call.query)?;
    delete::warn_of_orphans(call, &options);
    let selection = Selection::parse(&call.entry, call.namespace(), call.query)?;
    call.server.store.catch_up(Consistency::Latest).await.map_err(crate::refusal::of_collection)?;
    let takes = |object: &storage::Object| selection.takes(object);
    let page = call.entry.cache().page(&selection.range(None), limit, Some(&takes));
    let mut items = Vec::with_capacity(page.objects.len());
    for object in page.objects {
        match delete::remove(call, object.name(), object.key(), &options, Some(&takes), Asks::Admission).await
        {
            Ok((object, _)) => items.push(output::served_value(&call.entry, &object)?),
            // Somebody else was faster.
            Err(status) if status.reason == "NotFound" => {}
            Err(status) => return Err(status),
        }
    }
    let list = serde_json::json!({
        "kind": call.entry.row.list_kind, "apiVersion": call.entry.api_version,
        "metadata": list::list_metadata(page.revision, None, None), "items": items,
    });
    Ok(response::value(StatusCode::OK, &list, &call.form))
}
