//! What a mutation's expression comes to: a JSON patch, or an object that is merged into the one that is written.

use apimachinery::ObjectExt as _;
use cel::Value as Cel;
use serde_json::{Map, Value};

use super::Mutation;
use super::variables::Stage;

/// What is to be done with an object.
#[derive(Debug, PartialEq)]
pub(super) enum Wanted {
    /// As server-side apply would, without owners.
    Apply(Value),
    /// Operations of a JSON patch.
    Patch(Value),
}

/// Evaluates the expression.
pub(super) fn evaluate<'v>(stage: &Stage<'v>, mutation: &'v Mutation) -> Result<Wanted, String> {
    match mutation {
        Mutation::Apply(expression) => match stage.run(expression)? {
            made @ Cel::Message(_) => made
                .json()
                .map(Wanted::Apply)
                .ok_or_else(|| "the object has a value that is no JSON".to_owned()),
            other => Err(format!("unexpected return type from expression: {}", other.type_name())),
        },
        Mutation::Patch(expression) => match stage.run(expression)? {
            Cel::List(list) => {
                list.iter().map(|item| operation(&item)).collect::<Result<_, _>>().map(Wanted::Patch)
            }
            other => Err(format!("unexpected return type from expression: {}", other.type_name())),
        },
    }
}

/// One `JSONPatch{op: …, path: …, from: …, value: …}`.
fn operation(item: &Cel<'_>) -> Result<Value, String> {
    let Cel::Message(message) = item else {
        return Err(format!("type {} is not a JSONPatch", item.type_name()));
    };
    let mut operation = Map::new();
    for key in ["op", "path", "from"] {
        if let Some(Cel::String(text)) = message.field(key) {
            operation.insert(key.to_owned(), text.as_ref().into());
        }
    }
    if let Some(value) = message.field("value") {
        let value = value.json().ok_or_else(|| "the value of a JSONPatch is no JSON".to_owned())?;
        operation.insert("value".to_owned(), value);
    }
    Ok(Value::Object(operation))
}

impl Wanted {
    /// The object as it is then; `merge` merges by the kind's schema.
    pub(super) fn apply(
        &self,
        object: &Value,
        merge: impl FnOnce(&Value, &Value) -> Result<Value, String>,
    ) -> Result<Value, String> {
        match self {
            Wanted::Patch(operations) => {
                let mut changed = object.clone();
                patch::json_patch(&mut changed, operations)
                    .map_err(|error| format!("JSON Patch: {error}"))?;
                Ok(changed)
            }
            Wanted::Apply(wanted) => {
                let mut wanted = wanted.clone();
                for key in ["apiVersion", "kind"] {
                    wanted.set_at(&[key], object[key].clone());
                }
                for key in ["name", "namespace"] {
                    if let Some(own) = object["metadata"].get(key) {
                        wanted.set_at(&["metadata", key], own.clone());
                    }
                }
                merge(object, &wanted)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_applied_is_the_object_whatever_an_expression_made() {
        let object = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "n"}});
        for wanted in
            [json!("text"), json!([]), json!({}), json!({"metadata": "text"}), json!({"metadata": null})]
        {
            let applied = Wanted::Apply(wanted.clone()).apply(&object, |_, wanted| Ok(wanted.clone()));
            assert_eq!(applied.as_ref(), Ok(&object), "{wanted}");
        }
    }
}
