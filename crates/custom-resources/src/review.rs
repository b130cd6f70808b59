//! ConversionReview: what a conversion webhook is asked, and whether its answer can be used.

use serde_json::{Map, Value, json};

use apimachinery::{ObjectExt as _, names};

/// The group of reviews.
const GROUP: &str = "apiextensions.k8s.io";

/// The version of reviews that server and webhook know, the webhook's preferred one.
pub fn version(accepted: &[String]) -> &str {
    accepted.iter().map(String::as_str).find(|version| matches!(*version, "v1" | "v1beta1")).unwrap_or("v1")
}

/// Makes the request for objects in another version.
pub fn request(version: &str, uid: &str, desired: &str, objects: &[Value]) -> Value {
    json!({
        "kind": "ConversionReview", "apiVersion": format!("{GROUP}/{version}"),
        "request": {"uid": uid, "desiredAPIVersion": desired, "objects": objects},
    })
}

/// Reads the answer: as many objects as were sent, each in the wanted version, the same in all that identifies it.
/// Their metadata are those that were sent; only labels and annotations are the webhook's to change.
pub fn answer(
    body: &[u8],
    version: &str,
    uid: &str,
    desired: &str,
    sent: &[Value],
) -> Result<Vec<Value>, String> {
    let about = named(sent);
    let invalid = |why: String| format!("invalid response from conversion webhook for {about}: {why}");
    let review: Value = serde_json::from_slice(body).map_err(|error| failed(sent, &error))?;
    let expected = format!("{GROUP}/{version}");
    if review.api_version() != expected || review.kind() != "ConversionReview" {
        let found = review.api_version();
        let found = format!("{found}, Kind={}", review.kind());
        return Err(invalid(format!("expected response of {expected}, Kind=ConversionReview, got {found}")));
    }
    let response = &review["response"];
    if !response.is_object() {
        return Err(invalid("no response provided".to_owned()));
    }
    let found = response["uid"].as_str().unwrap_or_default();
    if found != uid && (version == "v1" || !found.is_empty()) {
        return Err(invalid(format!("expected response.uid={uid:?}, got {found:?}")));
    }
    let text = |name: &str| response["result"][name].as_str().unwrap_or_default();
    if text("status") != "Success" {
        let why = match text("message") {
            "" => format!("response.result.status was '{}', not 'Success'", text("status")),
            message => message.to_owned(),
        };
        return Err(failed(sent, &why));
    }
    let converted = response["convertedObjects"].as_array().cloned().unwrap_or_default();
    if converted.len() != sent.len() {
        let (found, expected) = (converted.len(), sent.len());
        return Err(format!("conversion webhook for {about} returned {found} objects, expected {expected}"));
    }
    let mut objects = Vec::with_capacity(converted.len());
    for (index, (mut object, original)) in converted.into_iter().zip(sent).enumerate() {
        adopt(&mut object, original, desired).map_err(|why| {
            format!(
                "conversion webhook for {about} returned invalid converted object at index {index}: {why}"
            )
        })?;
        objects.push(object);
    }
    Ok(objects)
}

/// What is said of a webhook that did not answer.
pub fn failed(sent: &[Value], why: &dyn std::fmt::Display) -> String {
    format!("conversion webhook for {} failed: {why}", named(sent))
}

fn named(sent: &[Value]) -> String {
    sent.first()
        .map_or_else(String::new, |object| format!("{}, Kind={}", object.api_version(), object.kind()))
}

fn adopt(object: &mut Value, original: &Value, desired: &str) -> Result<(), String> {
    if object.api_version() != desired {
        let found = object.api_version();
        return Err(format!("invalid groupVersion (expected {desired}, received {found})"));
    }
    for (what, found, expected) in [
        ("kind", object.kind(), original.kind()),
        ("name", object.name(), original.name()),
        ("namespace", object.namespace(), original.namespace()),
        ("UID", object.uid(), original.uid()),
    ] {
        if found != expected {
            return Err(format!("must have the same {what}: {found} != {expected}"));
        }
    }
    let Value::Object(fields) = object else { return Err("is no object".to_owned()) };
    let own = match fields.get_mut("metadata") {
        Some(Value::Object(metadata)) => std::mem::take(metadata),
        None => Map::new(),
        Some(_) => return Err("invalid metadata".to_owned()),
    };
    let mut metadata = original["metadata"].as_object().cloned().unwrap_or_default();
    for name in ["labels", "annotations"] {
        metadata.remove(name);
        let Some(entries) = own.get(name).filter(|entries| !entries.is_null()) else { continue };
        let entries = entries.as_object().ok_or_else(|| format!("invalid metadata.{name}: must be a map"))?;
        for (key, value) in entries {
            let value = value.as_str().ok_or_else(|| format!("invalid metadata.{name}: must be texts"))?;
            let faults = names::qualified_name_errors(key).into_iter();
            let values = if name == "labels" { names::label_value_errors(value) } else { Vec::new() };
            if let Some(fault) = faults.chain(values).next() {
                return Err(format!("invalid metadata.{name}: {fault}"));
            }
        }
        if !entries.is_empty() {
            metadata.insert(name.to_owned(), Value::Object(entries.clone()));
        }
    }
    fields.insert("metadata".to_owned(), Value::Object(metadata));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent() -> Vec<Value> {
        vec![json!({"apiVersion": "e.com/v1", "kind": "Wand",
            "metadata": {"name": "a", "uid": "1", "labels": {"x": "y"}, "resourceVersion": "7"}, "spec": {"a": 1}})]
    }

    fn good() -> Value {
        json!({"kind": "ConversionReview", "apiVersion": "apiextensions.k8s.io/v1", "response": {"uid": "u",
            "result": {"status": "Success"}, "convertedObjects": [{"apiVersion": "e.com/v2", "kind": "Wand",
                "metadata": {"name": "a", "uid": "1", "labels": {"z": "1"}, "generation": 9}, "spec": {"b": 1}}]}})
    }

    #[test]
    fn metadata_stay_but_labels_and_annotations() {
        let objects = answer(good().to_string().as_bytes(), "v1", "u", "e.com/v2", &sent()).unwrap();
        assert_eq!(
            objects,
            [json!({"apiVersion": "e.com/v2", "kind": "Wand",
                "metadata": {"name": "a", "uid": "1", "labels": {"z": "1"}, "resourceVersion": "7"}, "spec": {"b": 1}})]
        );
    }

    #[test]
    fn answers_that_cannot_be_used_are_refused_in_upstreams_words() {
        let check = |change: fn(&mut Value), expected: &str| {
            let mut review = good();
            change(&mut review);
            let found = answer(review.to_string().as_bytes(), "v1", "u", "e.com/v2", &sent());
            assert_eq!(found.err().as_deref(), Some(expected));
        };
        const OF: &str = "conversion webhook for e.com/v1, Kind=Wand";
        check(
            |review| review["response"]["uid"] = "other".into(),
            &format!("invalid response from {OF}: expected response.uid=\"u\", got \"other\""),
        );
        check(
            |review| review["response"] = Value::Null,
            &format!("invalid response from {OF}: no response provided"),
        );
        check(
            |review| review["apiVersion"] = "v1".into(),
            &format!(
                "invalid response from {OF}: expected response of apiextensions.k8s.io/v1, Kind=ConversionReview, got v1, Kind=ConversionReview"
            ),
        );
        check(
            |review| review["response"]["result"] = json!({"status": "Failed", "message": "no wand"}),
            &format!("{OF} failed: no wand"),
        );
        check(
            |review| review["response"]["convertedObjects"] = json!([]),
            &format!("{OF} returned 0 objects, expected 1"),
        );
        check(
            |review| review["response"]["convertedObjects"][0]["apiVersion"] = "e.com/v3".into(),
            &format!(
                "{OF} returned invalid converted object at index 0: invalid groupVersion (expected e.com/v2, received e.com/v3)"
            ),
        );
        check(
            |review| review["response"]["convertedObjects"][0]["metadata"]["name"] = "b".into(),
            &format!("{OF} returned invalid converted object at index 0: must have the same name: b != a"),
        );
        assert_eq!(version(&["v2".to_owned(), "v1beta1".to_owned()]), "v1beta1");
    }
}
