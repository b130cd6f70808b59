//! The parameters that a binding gives to its policy.

use std::sync::Arc;

use apimachinery::ObjectExt;
use apimachinery::labels::Selector;
use serde_json::Value;
use strategy::read::Read;

use super::{Binding, Policy};
use crate::attributes::Attributes;
use crate::plugin::View;

/// The objects with which the policy is evaluated, once for each; nothing where it has no parameters.
pub(super) fn find(
    policy: &Policy,
    binding: &Binding,
    attributes: &Attributes,
    view: &dyn View,
) -> Result<Vec<Option<Arc<Value>>>, String> {
    let (Some((api_version, kind)), Some(reference)) = (&policy.param_kind, &binding.params) else {
        return Ok(vec![None]);
    };
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let resource = view.resource_of(group, version, kind).ok_or_else(|| {
        format!("failed to find resource referenced by paramKind: '{api_version}, Kind={kind}'")
    })?;
    let asked = reference.text("namespace");
    let namespace = match (resource.namespaced, asked) {
        (false, "") => "",
        (false, _) => {
            return Err("paramRef.namespace must not be provided for a cluster-scoped `paramKind`".into());
        }
        (true, "") if attributes.namespace.is_empty() => {
            return Err(
                "cannot use namespaced paramRef in policy binding that matches cluster-scoped resources"
                    .into(),
            );
        }
        (true, "") => attributes.namespace,
        (true, asked) => asked,
    };
    let (name, selector) = (reference.text("name"), &reference["selector"]);
    let found: Vec<Arc<Value>> = match (name, selector.is_object()) {
        ("", false) => return Err("one of name or selector must be provided".into()),
        ("", true) => {
            let selector = Selector::from_label_selector(selector).map_err(|error| error.to_string())?;
            let mut all = view.list(group, &resource.resource, namespace);
            all.retain(|object| selector.matches_value(object["metadata"]["labels"].as_object()));
            all.sort_by(|a, b| a.name().cmp(b.name()));
            all
        }
        (_, true) => return Err("paramRef.name and paramRef.selector are mutually exclusive".into()),
        (name, false) => view.get(group, &resource.resource, namespace, name).into_iter().collect(),
    };
    if found.is_empty() && reference.text("parameterNotFoundAction") == "Deny" {
        return Err("no params found for policy binding with `Deny` parameterNotFoundAction".into());
    }
    Ok(found.into_iter().map(Some).collect())
}
