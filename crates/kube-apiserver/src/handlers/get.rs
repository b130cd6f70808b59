//! GET of one object.

use apimachinery::Status;
use http::StatusCode;
use storage::Consistency;

use super::call::Call;
use super::output;
use crate::http::Response;

/// Answers with the object that the path names.
pub async fn get(call: &Call<'_>) -> Result<Response, Status> {
    let consistency = match call.query.get("resourceVersion") {
        None => Consistency::Latest,
        Some("0") => Consistency::Any,
        Some(version) => Consistency::NotOlderThan(super::list::parse_version(version)?),
    };
    let object = call
        .server
        .store
        .get(call.entry.cache(), &call.key(), consistency)
        .await
        .map_err(|error| call.refuse(error))?;
    output::object(StatusCode::OK, &call.entry, &object, &call.form, call.query)
}
