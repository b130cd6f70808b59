//! Events that are too large for a sink: first without their bodies, then not at all.

use bytes::Bytes;
use serde_json::{Map, Value};

/// Says of an event that its bodies are left out.
const TRUNCATED: &str = "audit.k8s.io/truncated";

/// `--audit-*-truncate-max-event-size` and `-max-batch-size`, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Truncation {
    /// A larger event loses its bodies.
    pub max_event: usize,
    /// Events that are larger together are not written at once.
    pub max_batch: usize,
}

impl Truncation {
    /// The event as it may be written; none, where it is too large even without its bodies.
    pub(crate) fn fit(&self, event: Bytes) -> Option<Bytes> {
        if event.len() <= self.max_event {
            return Some(event);
        }
        let mut fields: Map<String, Value> = serde_json::from_slice(&event).ok()?;
        fields.remove("requestObject");
        fields.remove("responseObject");
        let annotations = fields.entry("annotations").or_insert_with(|| Map::new().into());
        annotations.as_object_mut()?.insert(TRUNCATED.to_owned(), "true".into());
        let event = serde_json::to_vec(&fields).ok()?;
        (event.len() <= self.max_event).then(|| event.into())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_large_event_loses_its_bodies_and_then_itself() {
        let truncation = Truncation { max_event: 200, max_batch: 1000 };
        let event = |body: &str, agent: &str| {
            let event = json!({
                "auditID": "a", "userAgent": agent, "requestObject": {"data": body},
                "responseObject": {"data": body}, "annotations": {"k": "v"},
            });
            Bytes::from(event.to_string())
        };
        let small = event("x", "kubectl");
        assert_eq!(truncation.fit(small.clone()), Some(small));
        let cut = truncation.fit(event(&"x".repeat(300), "kubectl")).unwrap();
        assert_eq!(
            serde_json::from_slice::<Value>(&cut).unwrap(),
            json!({"auditID": "a", "userAgent": "kubectl",
                "annotations": {"k": "v", "audit.k8s.io/truncated": "true"}})
        );
        assert_eq!(truncation.fit(event("x", &"k".repeat(300))), None);
    }
}
