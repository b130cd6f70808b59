//! `componentstatuses`: the store's health as an old client asks for it. Schedulers and controllers are where their leases
//! say, not necessarily here, so nothing is said of them.

use apimachinery::Status;
use http::StatusCode;
use serde_json::{Value, json};

use super::call::Call;
use super::{list, output};
use crate::http::{Query, Response};
use crate::selection;

/// The name of the one component that is told of.
const ETCD: &str = "etcd-0";

/// Answers `get` and `list`, which ask the component when they are asked.
pub async fn answer(call: &Call<'_>) -> Result<Response, Status> {
    let ask = async || {
        let asked = call.server.store.etcd().ping().await;
        component_status(asked.map_err(|error| error.to_string()))
    };
    if call.info.verb == "get" {
        known(&call.info.name)?;
        return output::tree(StatusCode::OK, &call.entry, &ask().await, &call.form, call.query);
    }
    let items = if is_selected(call.query)? { vec![ask().await] } else { Vec::new() };
    list::answer_trees(call, items)
}

/// Refuses other names, as upstream: by an error that says nothing of its kind, which is one of the server's own.
fn known(name: &str) -> Result<(), Status> {
    match name {
        ETCD => Ok(()),
        name => Err(Status::new(500, "", format!("Component not found: {name}"))),
    }
}

/// What is told of the component: upstream says under `error` why it is not well, and under `message` what it answered.
fn component_status(asked: Result<(), String>) -> Value {
    let condition = match asked {
        Ok(()) => json!({ "type": "Healthy", "status": "True", "message": "ok" }),
        Err(error) => json!({ "type": "Healthy", "status": "False", "error": error }),
    };
    json!({
        "kind": "ComponentStatus", "apiVersion": "v1",
        "metadata": { "name": ETCD }, "conditions": [condition],
    })
}

/// Whether the selectors of a list take the component, which has a name and no label.
fn is_selected(query: &Query<'_>) -> Result<bool, Status> {
    let (labels, fields) = selection::selectors(query)?;
    let mut is_selected = labels.matches(|_| None);
    for requirement in fields.requirements {
        let value = match requirement.field.as_str() {
            "metadata.name" => ETCD,
            "metadata.namespace" => "",
            field => {
                return Err(Status::bad_request(format!(
                    r#""{field}" is not a known field selector: only "metadata.name", "metadata.namespace""#
                )));
            }
        };
        is_selected &= (requirement.value == value) == requirement.equal;
    }
    Ok(is_selected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_told_as_an_error_and_health_as_a_message() {
        for (asked, condition) in [
            (Ok(()), json!({"type": "Healthy", "status": "True", "message": "ok"})),
            (
                Err("it is away".to_owned()),
                json!({"type": "Healthy", "status": "False", "error": "it is away"}),
            ),
        ] {
            assert_eq!(component_status(asked)["conditions"], json!([condition]));
        }
    }

    #[test]
    fn other_names_are_errors_of_no_kind() {
        assert_eq!(known("etcd-0"), Ok(()));
        let refused = known("scheduler").unwrap_err();
        assert_eq!(
            (refused.code, &*refused.reason, &*refused.message),
            (500, "", "Component not found: scheduler")
        );
    }

    #[test]
    fn selectors_are_honoured() {
        let unknown = r#""type" is not a known field selector: only "metadata.name", "metadata.namespace""#;
        for (query, expected) in [
            ("", Ok(true)),
            ("labelSelector=a%3Db", Ok(false)),
            ("labelSelector=a%21%3Db", Ok(true)),
            ("labelSelector=%21a", Ok(true)),
            ("fieldSelector=metadata.name%3Detcd-0", Ok(true)),
            ("fieldSelector=metadata.name%3Detcd-1", Ok(false)),
            ("fieldSelector=metadata.name%21%3Detcd-0", Ok(false)),
            ("fieldSelector=metadata.namespace%3Da", Ok(false)),
            ("fieldSelector=metadata.name%3Detcd-0&labelSelector=a", Ok(false)),
            ("fieldSelector=type%3DHealthy", Err((400, unknown.to_owned()))),
        ] {
            let selected = is_selected(&Query::parse(Some(query)));
            assert_eq!(selected.map_err(|status| (status.code, status.message)), expected, "{query}");
        }
    }
}
