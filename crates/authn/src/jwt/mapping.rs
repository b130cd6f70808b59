//! From the claims of a token to a user, and what both must be like.

use std::collections::BTreeMap;

use apimachinery::go::misfit;
use peers::user::{self, UserInfo};
use serde_json::{Map, Value};

use super::expression::{self, Expression};

/// Where a value comes from.
#[derive(Debug)]
pub(super) enum Source {
    /// Nowhere.
    None,
    /// A claim, with what is put before it.
    Claim { name: String, prefix: String },
    /// An expression over the claims.
    Expression(Expression),
}

/// What a token must say.
#[derive(Debug)]
pub(super) enum Required {
    /// A claim with a value.
    Claim { name: String, value: String },
    /// An expression over the claims that holds, and what is said when it does not.
    Expression(Expression, String),
}

/// How an issuer's claims become a user.
#[derive(Debug)]
pub(super) struct Mapping {
    pub(super) required: Vec<Required>,
    pub(super) username: Source,
    pub(super) groups: Source,
    pub(super) uid: Source,
    pub(super) extra: Vec<(String, Expression)>,
    /// Expressions over the user, and what is said when they do not hold.
    pub(super) user_rules: Vec<(Expression, String)>,
}

type Claims = Map<String, Value>;

impl Mapping {
    /// The user, or why there is none, in upstream's words.
    pub(super) fn user(&self, claims: Claims) -> Result<UserInfo, String> {
        let claims = Value::Object(claims);
        let mut user = UserInfo {
            name: self.username(&claims)?,
            groups: self.groups(&claims)?,
            uid: self.uid(&claims)?,
            extra: self.extra(&claims)?,
        };
        if let Some(id) = claims["jti"].as_str().filter(|id| !id.is_empty()) {
            user.extra.insert(user::CREDENTIAL_ID.to_owned(), vec![format!("JTI={id}")]);
        }
        // Claims come first, wherever they stand.
        let mut rules: Vec<(&Expression, &str)> = Vec::new();
        for required in &self.required {
            match required {
                Required::Claim { name, value } => require(&claims, name, value)?,
                Required::Expression(expression, message) => rules.push((expression, message)),
            }
        }
        check(&rules, &claims)
            .map_err(|why| format!("oidc: error evaluating claim validation expression: {why}"))?;
        if !self.user_rules.is_empty() {
            let seen = serde_json::json!({
                "username": user.name, "uid": user.uid, "groups": user.groups, "extra": user.extra,
            });
            let rules: Vec<(&Expression, &str)> =
                self.user_rules.iter().map(|(expression, message)| (expression, message.as_str())).collect();
            check(&rules, &seen)
                .map_err(|why| format!("oidc: error evaluating user info validation rule: {why}"))?;
        }
        Ok(user)
    }

    fn username(&self, claims: &Value) -> Result<String, String> {
        match &self.username {
            Source::Expression(expression) => {
                let name = expression
                    .string(claims, "username")
                    .map_err(|why| format!("oidc: error evaluating username claim expression: {why}"))?;
                match name.is_empty() {
                    true => Err("oidc: empty username via CEL expression is not allowed".to_owned()),
                    false => Ok(name),
                }
            }
            Source::Claim { name, prefix } => {
                let value = text(claims, name)
                    .map_err(|why| format!("oidc: parse username claims {name:?}: {why}"))?;
                if name == "email"
                    && let Some(verified) = claims.get("email_verified")
                {
                    match verified {
                        Value::Bool(true) => {}
                        Value::Bool(false) | Value::Null => return Err("oidc: email not verified".to_owned()),
                        other => {
                            let why = misfit(other, "bool");
                            return Err(format!("oidc: parse 'email_verified' claim: {why}"));
                        }
                    }
                }
                Ok(format!("{prefix}{value}"))
            }
            Source::None => Err("oidc: no username is configured".to_owned()),
        }
    }

    fn groups(&self, claims: &Value) -> Result<Vec<String>, String> {
        match &self.groups {
            Source::None => Ok(Vec::new()),
            Source::Expression(expression) => expression
                .run(claims)
                .and_then(expression::strings)
                .map_err(|why| format!("oidc: error evaluating group claim expression: {why}")),
            Source::Claim { name, prefix } => {
                let value = claims.get(name).unwrap_or(&Value::Null);
                // As Go reads them, nothing in a list is an empty text.
                let group = |item: &'_ Value| match item {
                    Value::String(group) => Some(group.clone()),
                    Value::Null => Some(String::new()),
                    _ => None,
                };
                let groups: Option<Vec<String>> = match value {
                    Value::Null => Some(Vec::new()),
                    Value::String(one) => Some(vec![one.clone()]),
                    Value::Array(many) => many.iter().map(group).collect(),
                    _ => None,
                };
                let groups = groups.ok_or_else(|| {
                    format!("oidc: parse groups claim {name:?}: {}", misfit(value, "string"))
                })?;
                Ok(groups.into_iter().map(|group| format!("{prefix}{group}")).collect())
            }
        }
    }

    fn uid(&self, claims: &Value) -> Result<String, String> {
        match &self.uid {
            Source::None => Ok(String::new()),
            Source::Expression(expression) => expression
                .string(claims, "uid")
                .map_err(|why| format!("oidc: error evaluating uid claim expression: {why}")),
            Source::Claim { name, .. } => {
                text(claims, name).map_err(|why| format!("oidc: parse uid claim {name:?}: {why}"))
            }
        }
    }

    fn extra(&self, claims: &Value) -> Result<BTreeMap<String, Vec<String>>, String> {
        let mut extra = BTreeMap::new();
        let found = self.extra.iter().map(|(key, expression)| Ok((key, expression, expression.run(claims)?)));
        // Upstream says nothing more of what cannot be found out, before it looks at what was.
        let found: Vec<_> = found.collect::<Result<_, String>>()?;
        for (key, expression, value) in found {
            let values = expression::strings(value).map_err(|why| {
                format!("oidc: error evaluating extra claim expression: {}: {why}", expression.text())
            })?;
            if !values.is_empty() {
                extra.insert(key.clone(), values);
            }
        }
        Ok(extra)
    }
}

fn text(claims: &Value, name: &str) -> Result<String, String> {
    match claims.get(name) {
        None => Err("claim not present".to_owned()),
        Some(Value::String(value)) => Ok(value.clone()),
        // As Go reads it.
        Some(Value::Null) => Ok(String::new()),
        Some(other) => Err(misfit(other, "string")),
    }
}

fn require(claims: &Value, name: &str, value: &str) -> Result<(), String> {
    if claims.get(name).is_none() {
        return Err(format!("oidc: required claim {name} not present in ID token"));
    }
    let found = text(claims, name).map_err(|why| format!("oidc: parse claim {name}: {why}"))?;
    if found != value {
        return Err(format!(
            "oidc: required claim {name} value does not match. Got = {found}, want = {value}"
        ));
    }
    Ok(())
}

/// Runs all rules, and tells of the first that does not hold.
fn check(rules: &[(&Expression, &str)], over: &Value) -> Result<(), String> {
    let found: Vec<bool> = rules.iter().map(|(rule, _)| rule.holds(over)).collect::<Result<_, _>>()?;
    match rules.iter().zip(found).find(|(_, holds)| !holds) {
        None => Ok(()),
        Some(((rule, message), _)) => {
            Err(format!("validation expression '{}' failed: {message}", rule.text()))
        }
    }
}
