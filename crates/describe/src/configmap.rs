//! `kubectl describe configmap`.

use serde_json::Value;

use crate::{annotations, labels, line, name, text};

/// Writes a config map's description.
pub fn describe(out: &mut String, map: &Value) {
    name(out, map);
    labels(out, map);
    annotations(out, map);
    line!(out, "\nData\n====");
    for (key, value) in map["data"].as_object().into_iter().flatten() {
        line!(out, "{key}:\n----\n{}\n", text(value));
    }
    line!(out, "\nBinaryData\n====");
    for (key, value) in map["binaryData"].as_object().into_iter().flatten() {
        line!(out, "{key}: {} bytes", super::secret::decoded_len(value));
    }
    line!(out, "");
}
