//! The condition `Dangling` of a FlowSchema: whether its level is there.

use serde_json::{Value, json};

/// The condition, when it is not as it should be.
pub fn dangling(schema: &Value, level_exists: bool, now: &str) -> Option<Value> {
    let level = schema["spec"]["priorityLevelConfiguration"]["name"].as_str().unwrap_or_default();
    let names = format!("This FlowSchema references the PriorityLevelConfiguration object named {level:?}");
    let (status, reason, message) = if level_exists {
        ("False", "Found", format!("{names} and it exists"))
    } else {
        ("True", "NotFound", format!("{names} but there is no such object"))
    };
    let conditions = schema["status"]["conditions"].as_array().map_or(&[][..], Vec::as_slice);
    let found = conditions.iter().find(|condition| condition["type"] == "Dangling");
    if found.is_some_and(|found| found["status"] == status && found["message"] == message.as_str()) {
        return None;
    }
    let since =
        found.filter(|found| found["status"] == status).map(|found| found["lastTransitionTime"].clone());
    Some(json!({
        "type": "Dangling", "status": status, "reason": reason, "message": message,
        "lastTransitionTime": since.unwrap_or_else(|| now.into()),
    }))
}

/// The schema with this condition in the place of the old one.
pub fn with_condition(schema: &Value, condition: Value) -> Value {
    let mut new = schema.clone();
    let mut conditions = schema["status"]["conditions"].as_array().cloned().unwrap_or_default();
    conditions.retain(|known| known["type"] != condition["type"]);
    conditions.push(condition);
    if !new["status"].is_object() {
        new["status"] = json!({});
    }
    new["status"]["conditions"] = conditions.into();
    new
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_dangles_while_its_level_is_missing() {
        let schema = json!({"spec": {"priorityLevelConfiguration": {"name": "l"}}});
        let condition = dangling(&schema, false, "t1").unwrap();
        assert_eq!(
            condition["message"],
            "This FlowSchema references the PriorityLevelConfiguration object named \"l\" but there is no such object"
        );
        let schema = with_condition(&schema, condition);
        assert_eq!(dangling(&schema, false, "t2"), None);
        let found = dangling(&schema, true, "t3").unwrap();
        assert_eq!(
            (&found["status"], &found["reason"], &found["lastTransitionTime"]),
            (&json!("False"), &json!("Found"), &json!("t3"))
        );
        assert_eq!(with_condition(&schema, found)["status"]["conditions"].as_array().unwrap().len(), 1);
    }
}
