use std::future::Future;
use std::pin::Pin;

use futures::executor::block_on;

use super::*;
use crate::User;
use crate::webhook::{Answer, Condition, Remote};

/// A webhook that answers by the user's name.
struct Oracle;

impl Oracle {
    fn say(question: &[u8]) -> Result<Answer, String> {
        let review: serde_json::Value = serde_json::from_slice(question).unwrap();
        let answer = |allowed, denied, reason: &str| Answer { allowed, denied, reason: reason.to_owned() };
        match review["spec"]["user"].as_str().unwrap() {
            "yes" => Ok(answer(true, false, "I know them")),
            "no" => Ok(answer(false, true, "I know them too well")),
            "broken" => Err("Post \"https://x\": EOF".to_owned()),
            _ => Ok(answer(false, false, "never heard")),
        }
    }
}

impl Remote for Oracle {
    fn ask(&self, question: Vec<u8>) -> Pin<Box<dyn Future<Output = Result<Answer, String>> + Send + '_>> {
        Box::pin(async move { Self::say(&question) })
    }
    fn ask_blocking(&self, question: Vec<u8>) -> Result<Answer, String> {
        Self::say(&question)
    }
}

fn webhook(deny_on_failure: bool, conditions: &[&str]) -> Authorizer {
    let conditions = conditions.iter().map(|text| Condition::new(text).unwrap()).collect();
    Authorizer::Webhook(Webhook::new("v1".into(), deny_on_failure, conditions, Arc::new(Oracle)))
}

fn ask(chain: &Chain, name: &str) -> String {
    let attributes = Attributes {
        user: User { name, groups: &[] },
        verb: "get",
        resource: "pods",
        namespace: "a",
        is_resource: true,
        ..Attributes::default()
    };
    let (waited, held) = (block_on(chain.decide(&attributes)), chain.authorize(&attributes));
    assert_eq!(format!("{waited:?}"), format!("{held:?}"), "both ways decide alike");
    let kind = match &waited {
        Decision::Allow(_) => "allow",
        Decision::Deny(_) => "deny",
        Decision::NoOpinion(_) => "no opinion",
    };
    let failed = if waited.failure().is_some() { "failed " } else { "" };
    format!("{kind}: {failed}{}", waited.reason()).trim_end_matches(": ").to_owned()
}

#[test]
fn a_webhook_decides_in_its_turn() {
    let chain = Chain::of(vec![webhook(false, &[]), Authorizer::Own(Mode::AlwaysDeny)]);
    assert!(chain.has(Mode::Webhook) && !chain.has(Mode::Rbac));
    assert_eq!(ask(&chain, "yes"), "allow: I know them");
    assert_eq!(ask(&chain, "no"), "deny: I know them too well");
    assert_eq!(ask(&chain, "who"), "no opinion: never heard\nEverything is forbidden.");
    assert_eq!(ask(&chain, "broken"), "no opinion: failed Post \"https://x\": EOF");
    chain.replace(vec![webhook(false, &[]), Authorizer::Own(Mode::AlwaysAllow)]);
    assert_eq!(ask(&chain, "broken"), "allow");
    assert_eq!(ask(&chain, "no"), "deny: I know them too well");
    chain.replace(vec![webhook(true, &[]), Authorizer::Own(Mode::AlwaysAllow)]);
    assert_eq!(ask(&chain, "broken"), "deny: failed Post \"https://x\": EOF");
}

#[test]
fn conditions_say_when_a_webhook_is_asked() {
    let of = |deny, conditions: &[&str]| Chain::of(vec![webhook(deny, conditions)]);
    let namespace = "request.resourceAttributes.namespace == 'a'";
    assert_eq!(ask(&of(true, &["has(request.resourceAttributes)", namespace]), "yes"), "allow: I know them");
    assert_eq!(ask(&of(true, &["!(request.user in ['yes'])"]), "yes"), "no opinion");
    // One that does not hold is stronger than one that fails.
    assert_eq!(ask(&of(true, &["request.extra['x'][0] == 'y'", "false"]), "yes"), "no opinion");
    let failed = ask(&of(true, &["request.extra['x'][0] == 'y'"]), "yes");
    assert!(failed.starts_with("deny: failed cel evaluation error"), "{failed}");
    let failed = ask(&of(false, &["request.extra['x'][0] == 'y'"]), "yes");
    assert!(failed.starts_with("no opinion: failed cel evaluation error"), "{failed}");
}
