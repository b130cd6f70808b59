//! `kubectl describe secret`: sizes, not values.

use base64::Engine;
use serde_json::Value;

use crate::{annotations, labels, line, name, text};

/// Writes a secret's description.
pub fn describe(out: &mut String, secret: &Value) {
    name(out, secret);
    labels(out, secret);
    annotations(out, secret);
    line!(out, "\nType:\t{}", text(&secret["type"]));
    line!(out, "\nData\n====");
    let token = secret["type"] == "kubernetes.io/service-account-token";
    for (key, value) in secret["data"].as_object().into_iter().flatten() {
        match (token && key == "token").then(|| decode(value)).flatten() {
            Some(bytes) => line!(out, "{key}:\t{}", String::from_utf8_lossy(&bytes)),
            None => line!(out, "{key}:\t{} bytes", decoded_len(value)),
        }
    }
}

fn decode(value: &Value) -> Option<Vec<u8>> {
    base64::engine::general_purpose::STANDARD.decode(value.as_str()?).ok()
}

/// How many bytes a base64 value holds.
pub fn decoded_len(value: &Value) -> usize {
    decode(value).map_or(0, |bytes| bytes.len())
}
