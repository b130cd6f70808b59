//! When taints of devices began.

use serde_json::Value;

use strategy::write;

/// Dates taints that nobody has dated: those of a ResourceSlice, or the one of a DeviceTaintRule. A rule whose effect
/// changes begins anew, unless its writer says when it did.
pub(crate) fn date(kind: &str, new: &mut Value, old: &Value, now: &str) {
    let Some(spec) = write::object(new, "spec") else { return };
    if kind == "ResourceSlice" {
        for device in write::items(spec, "devices") {
            for taint in write::items(device, "taints") {
                write::missing(taint, "timeAdded", now);
            }
        }
        return;
    }
    let Some(taint) = write::object(spec, "taint") else { return };
    write::missing(taint, "timeAdded", now);
    let before = &old["spec"]["taint"];
    if before.is_object() && taint["effect"] != before["effect"] && taint["timeAdded"] == before["timeAdded"]
    {
        write::set(taint, "timeAdded", now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn taints_are_dated_when_they_begin() {
        let rule = |effect: &str, time: Option<&str>| {
            let mut taint = json!({"key": "a", "effect": effect});
            if let Some(time) = time {
                taint["timeAdded"] = json!(time);
            }
            json!({"spec": {"taint": taint}})
        };
        for (old, new, expected) in [
            (Value::Null, rule("None", None), "now"),
            (Value::Null, rule("None", Some("early")), "early"),
            (rule("None", Some("early")), rule("None", Some("early")), "early"),
            (rule("None", Some("early")), rule("NoExecute", Some("early")), "now"),
            (rule("None", Some("early")), rule("NoExecute", Some("late")), "late"),
        ] {
            let mut dated = new.clone();
            date("DeviceTaintRule", &mut dated, &old, "now");
            assert_eq!(dated["spec"]["taint"]["timeAdded"], expected, "{old} {new}");
        }
        let mut slice =
            json!({"spec": {"devices": [{"taints": [{"key": "a"}, {"key": "b", "timeAdded": "early"}]}]}});
        date("ResourceSlice", &mut slice, &Value::Null, "now");
        let taints = &slice["spec"]["devices"][0]["taints"];
        assert_eq!((&taints[0]["timeAdded"], &taints[1]["timeAdded"]), (&json!("now"), &json!("early")));
        for odd in [json!(null), json!({"spec": 5}), json!({"spec": {"taint": [], "devices": [3]}})] {
            for kind in ["DeviceTaintRule", "ResourceSlice"] {
                date(kind, &mut odd.clone(), &odd, "now");
            }
        }
    }
}
