//! What a definition's status says: its names, its versions, whether it is served.

use apimachinery::time;
use custom_resources::approval::Approval;
use custom_resources::{Definition, DefinitionNames, Taken, accept};
use serde::Deserialize as _;
use serde_json::{Value, json};

/// Whether a definition in a group of the Kubernetes project was approved there.
const APPROVAL: &str = "KubernetesAPIApprovalPolicyConformant";

/// Why a definition is not served whose conversion webhook has a bundle of authorities that holds none.
const NO_AUTHORITIES: &str = "InvalidCABundle";

/// How a definition stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// `status.acceptedNames`
    pub accepted: DefinitionNames,
    /// `status.storedVersions`
    pub stored: Vec<String>,
    /// Whether it is served; once it is, it stays so.
    pub established: bool,
    /// Whether it would be served, were the authorities of its conversion webhook some.
    waits: bool,
    /// `NamesAccepted`: status, reason and message.
    names: (bool, String, String),
    /// `KubernetesAPIApprovalPolicyConformant`, where the group is protected: status, reason and message.
    approval: Option<(bool, String, String)>,
    /// Whether its objects are being deleted.
    terminating: bool,
}

impl Standing {
    /// Reads the status of a definition.
    pub fn read(object: &Value) -> Self {
        let status = &object["status"];
        let condition = |kind: &str| {
            let mut conditions = status["conditions"].as_array().into_iter().flatten();
            conditions.find(|condition| condition["type"] == kind).cloned().unwrap_or_default()
        };
        let holds = |kind: &str| condition(kind)["status"] == "True";
        let said = |kind: &str| {
            let condition = condition(kind);
            let text = |field: &str| condition[field].as_str().unwrap_or_default().to_owned();
            (condition["status"] == "True", text("reason"), text("message"))
        };
        Self {
            accepted: DefinitionNames::deserialize(&status["acceptedNames"]).unwrap_or_default(),
            stored: status["storedVersions"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|version| Some(version.as_str()?.to_owned()))
                .collect(),
            established: holds("Established"),
            waits: said("Established").1 == NO_AUTHORITIES,
            names: said("NamesAccepted"),
            approval: condition(APPROVAL).is_object().then(|| said(APPROVAL)),
            terminating: holds("Terminating"),
        }
    }

    /// How it should stand, given the names of others.
    pub fn next(
        &self,
        definition: &Definition,
        approval: Option<&Approval>,
        is_deleting: bool,
        taken: &Taken,
    ) -> Self {
        let decided = accept(&definition.names, &self.accepted, taken);
        let names = match decided.conflict {
            None => (true, "NoConflicts".to_owned(), "no conflicts found".to_owned()),
            Some((reason, message)) => (false, reason.to_owned(), message),
        };
        let mut stored = self.stored.clone();
        if let Some(version) = definition.stored_version()
            && !stored.contains(&version.name)
        {
            stored.push(version.name.clone());
        }
        Self {
            accepted: decided.names,
            stored,
            established: self.established || (names.0 && !is_deleting),
            waits: false,
            names,
            approval: approval.map(|approval| {
                let (reason, message) = approval.words();
                (approval.is_approved(), reason.to_owned(), message)
            }),
            terminating: is_deleting,
        }
    }

    /// How it stands while the authorities of its conversion webhook are none: what was not served yet is not served.
    pub fn without_authorities(self, before: &Self) -> Self {
        let waits = self.established && !before.established;
        Self { established: before.established, waits, ..self }
    }

    /// Writes it into a definition; gives `None` where that says so already.
    pub fn apply(&self, object: &Value) -> Option<Value> {
        if Self::read(object) == *self {
            return None;
        }
        let now = time::now_rfc3339();
        let mut object = object.clone();
        let (accepted, reason, message) = &self.names;
        set(&mut object, &now, "NamesAccepted", *accepted, reason, message);
        let (reason, message) = match (self.established, accepted) {
            (true, _) => ("InitialNamesAccepted", "the initial names have been accepted"),
            (false, _) if self.waits => (NO_AUTHORITIES, "The conversion webhook CABundle is invalid"),
            (false, _) => ("NotAccepted", "not all names are accepted"),
        };
        set(&mut object, &now, "Established", self.established, reason, message);
        if let Some((holds, reason, message)) = &self.approval {
            set(&mut object, &now, APPROVAL, *holds, reason, message);
        }
        if self.terminating {
            let message = "CustomResource deletion is in progress";
            set(&mut object, &now, "Terminating", true, "InstanceDeletionInProgress", message);
        }
        let names = &self.accepted;
        let mut shown = json!({"plural": names.plural, "kind": names.kind});
        for (field, value) in [("singular", &names.singular), ("listKind", &names.list_kind)] {
            if !value.is_empty() {
                shown[field] = value.as_str().into();
            }
        }
        for (field, list) in [("shortNames", &names.short_names), ("categories", &names.categories)] {
            if !list.is_empty() {
                shown[field] = json!(list);
            }
        }
        object["status"]["acceptedNames"] = shown;
        object["status"]["storedVersions"] = json!(self.stored);
        Some(object)
    }
}

fn set(object: &mut Value, now: &str, kind: &str, holds: bool, reason: &str, message: &str) {
    let status = if holds { "True" } else { "False" };
    if !object["status"]["conditions"].is_array() {
        object["status"]["conditions"] = json!([]);
    }
    let Some(conditions) = object["status"]["conditions"].as_array_mut() else { return };
    let old = conditions.iter().position(|condition| condition["type"] == kind);
    let since = old.map(|at| &conditions[at]).filter(|old| old["status"] == status);
    let since = since.and_then(|old| old["lastTransitionTime"].as_str()).unwrap_or(now).to_owned();
    let condition = json!({
        "type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": since,
    });
    match old {
        Some(at) => conditions[at] = condition,
        None => conditions.push(condition),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn definition() -> Definition {
        Definition::read(&json!({"spec": {"group": "example.com", "scope": "Cluster",
            "names": {"plural": "wands", "singular": "wand", "kind": "Wand", "listKind": "WandList"},
            "versions": [{"name": "v1", "served": true, "storage": true}]}}))
        .unwrap()
    }

    #[test]
    fn a_definition_is_established_when_its_names_are_free() {
        let standing = Standing::default().next(&definition(), None, false, &Taken::default());
        assert!(standing.established);
        let object = standing.apply(&json!({"status": {}})).unwrap();
        assert_eq!(object["status"]["acceptedNames"]["singular"], "wand");
        assert_eq!(object["status"]["storedVersions"], json!(["v1"]));
        assert_eq!(object["status"]["conditions"][1]["type"], "Established");
        assert_eq!(Standing::read(&object), standing);
        assert_eq!(standing.apply(&object), None);
        assert_eq!(standing.next(&definition(), None, false, &Taken::default()), standing);

        let before = Standing::default();
        let waiting = before.next(&definition(), None, false, &Taken::default()).without_authorities(&before);
        assert!(!waiting.established);
        let object = waiting.apply(&json!({})).unwrap();
        assert_eq!(object["status"]["conditions"][1]["reason"], "InvalidCABundle");
        assert_eq!(Standing::read(&object), waiting);
        assert!(waiting.next(&definition(), None, false, &Taken::default()).established);
        assert!(standing.clone().without_authorities(&standing).established);

        let mut taken = Taken::default();
        taken.add(&standing.accepted);
        let second = Standing::default().next(&definition(), None, false, &taken);
        assert!(!second.established);
        let object = second.apply(&json!({})).unwrap();
        assert_eq!(object["status"]["conditions"][0]["status"], "False");
        let approval = Approval::of("x.k8s.io", Some("https://example.com/1"));
        let approved = standing.next(&definition(), approval.as_ref(), false, &Taken::default());
        let object = approved.apply(&object).unwrap();
        assert_eq!(object["status"]["conditions"][2]["message"], "approved in https://example.com/1");
        assert_eq!(Standing::read(&object), approved);
        // What is served stays so, whoever comes.
        assert!(standing.next(&definition(), None, true, &taken).established);
        assert!(standing.next(&definition(), None, true, &taken).terminating);
    }
}
