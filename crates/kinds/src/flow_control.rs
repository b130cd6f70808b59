//! FlowSchemas and PriorityLevelConfigurations.

use apimachinery::status::FieldError;
use serde_json::Value;

use strategy::field::{Errors, Path};
use strategy::read::Read;
use strategy::write;
use strategy::{Keeps, NameRule, Strategy};

/// The rules of FlowSchemas.
pub struct FlowSchema;
/// The rules of PriorityLevelConfigurations.
pub struct PriorityLevelConfiguration;

const SPEC: Path<'static> = Path::root("spec");

impl Strategy for FlowSchema {
    fn keeps(&self) -> Keeps {
        Keeps::StatusAndGeneration
    }

    fn default(&self, object: &mut Value) {
        write::zero(write::ensure(object, "spec"), "matchingPrecedence", 1000);
    }

    fn validate(&self, object: &Value, errors: &mut Errors) {
        let spec = &object["spec"];
        let precedence = spec.int("matchingPrecedence").unwrap_or(0);
        let path = SPEC.child("matchingPrecedence");
        if precedence <= 0 {
            errors.invalid(&path, precedence, "must be a positive value");
        } else if precedence > 10000 {
            errors.invalid(&path, precedence, "must not be greater than 10000");
        }
        let level = spec["priorityLevelConfiguration"].text("name");
        let level_path = SPEC.child("priorityLevelConfiguration").child("name").to_string();
        if level.is_empty() {
            errors.push(FieldError::required(level_path, "must reference a priority level"));
        } else {
            for message in strategy::names::errors(NameRule::Subdomain, level) {
                errors.push(FieldError::invalid(level_path.clone(), level, message));
            }
        }
        if spec.has("distinguisherMethod") {
            let method = spec["distinguisherMethod"].text("type");
            if !matches!(method, "ByUser" | "ByNamespace") {
                errors.unsupported(
                    &SPEC.child("distinguisherMethod"),
                    spec["distinguisherMethod"].clone(),
                    &["ByNamespace", "ByUser"],
                );
            }
        }
        for (index, rule) in spec.items("rules").iter().enumerate() {
            let rules_path = SPEC.child("rules");
            let path = rules_path.index(index);
            if rule.items("subjects").is_empty() {
                errors.required(&path.child("subjects"), "subjects must contain at least one value");
            }
            if rule.items("resourceRules").is_empty() && rule.items("nonResourceRules").is_empty() {
                errors.required(
                    &path,
                    "at least one of resourceRules and nonResourceRules has to be non-empty",
                );
            }
        }
    }
}

impl Strategy for PriorityLevelConfiguration {
    fn keeps(&self) -> Keeps {
        Keeps::StatusAndGeneration
    }

    fn default(&self, object: &mut Value) {
        let spec = write::ensure(object, "spec");
        if let Some(exempt) = write::object(spec, "exempt") {
            write::missing(exempt, "nominalConcurrencyShares", 0);
            write::missing(exempt, "lendablePercent", 0);
        }
        if let Some(limited) = write::object(spec, "limited") {
            write::missing(limited, "nominalConcurrencyShares", 30);
            write::missing(limited, "lendablePercent", 0);
            if let Some(response) = write::object(limited, "limitResponse")
                && let Some(queuing) = write::object(response, "queuing")
            {
                write::zero(queuing, "handSize", 8);
                write::zero(queuing, "queues", 64);
                write::zero(queuing, "queueLengthLimit", 50);
            }
        }
    }

    fn validate(&self, object: &Value, errors: &mut Errors) {
        let spec = &object["spec"];
        match spec.text("type") {
            "Exempt" => {
                if spec.has("limited") {
                    errors.forbidden(&SPEC.child("limited"), "must be nil if the type is not Limited");
                }
            }
            "Limited" => {
                let path = SPEC.child("limited");
                let limited = &spec["limited"];
                if limited.is_null() {
                    errors.required(&path, "must not be empty when type is Limited");
                } else if limited.int("nominalConcurrencyShares").is_some_and(|shares| shares < 0) {
                    errors.invalid(
                        &path.child("nominalConcurrencyShares"),
                        limited["nominalConcurrencyShares"].clone(),
                        "must be a non-negative integer",
                    );
                }
                match limited["limitResponse"].text("type") {
                    "Reject" => {}
                    "Queue" if limited["limitResponse"].has("queuing") => {}
                    "Queue" => errors.required(
                        &path.child("limitResponse").child("queuing"),
                        "must not be empty if limited.limitResponse.type is Limited",
                    ),
                    other => errors.unsupported(
                        &path.child("limitResponse").child("type"),
                        other,
                        &["Queue", "Reject"],
                    ),
                }
            }
            other => errors.unsupported(&SPEC.child("type"), other, &["Exempt", "Limited"]),
        }
    }
}
