//! From the claims of a token to a user, and what both must be like.

use std::collections::BTreeMap;

use peers::user::{self, UserInfo};
use serde_json::{Map, Value};

use super::expression::Expression;

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
        for required in &self.required {
            match required {
                Required::Claim { name, value } => require(&claims, name, value)?,
                Required::Expression(expression, message) => {
                    check(expression, message, &claims).map_err(|why| {
                        format!("oidc: error evaluating claim validation expression: {why}")
                    })?;
                }
            }
        }
        if !self.user_rules.is_empty() {
            let seen = serde_json::json!({
                "username": user.name, "uid": user.uid, "groups": user.groups, "extra": user.extra,
            });
            for (expression, message) in &self.user_rules {
                check(expression, message, &seen)
                    .map_err(|why| format!("oidc: error evaluating user info validation rule: {why}"))?;
            }
        }
        Ok(user)
    }

    fn username(&self, claims: &Value) -> Result<String, String> {
        match &self.username {
            Source::Expression(expression) => {
                let name = expression
                    .string(claims)
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
                    match verified.as_bool() {
                        Some(true) => {}
                        Some(false) => return Err("oidc: email not verified".to_owned()),
                        None => {
                            return Err("oidc: parse 'email_verified' claim: it is no boolean".to_owned());
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
                .strings(claims)
                .map_err(|why| format!("oidc: error evaluating group claim expression: {why}")),
            Source::Claim { name, prefix } => {
                let wrong = || {
                    format!("oidc: parse groups claim {name:?}: it is neither a string nor a list of strings")
                };
                let groups: Vec<&str> = match claims.get(name) {
                    None | Some(Value::Null) => Vec::new(),
                    Some(Value::String(one)) => vec![one],
                    Some(Value::Array(many)) => {
                        many.iter().map(|group| group.as_str().ok_or_else(wrong)).collect::<Result<_, _>>()?
                    }
                    Some(_) => return Err(wrong()),
                };
                Ok(groups.into_iter().map(|group| format!("{prefix}{group}")).collect())
            }
        }
    }

    fn uid(&self, claims: &Value) -> Result<String, String> {
        match &self.uid {
            Source::None => Ok(String::new()),
            Source::Expression(expression) => expression
                .string(claims)
                .map_err(|why| format!("oidc: error evaluating uid claim expression: {why}")),
            Source::Claim { name, .. } => {
                text(claims, name).map_err(|why| format!("oidc: parse uid claim {name:?}: {why}"))
            }
        }
    }

    fn extra(&self, claims: &Value) -> Result<BTreeMap<String, Vec<String>>, String> {
        let mut extra = BTreeMap::new();
        for (key, expression) in &self.extra {
            let values = expression
                .strings(claims)
                .map_err(|why| format!("oidc: error evaluating extra claim expression: {why}"))?;
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
        Some(_) => Err("the claim is no string".to_owned()),
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

fn check(expression: &Expression, message: &str, over: &Value) -> Result<(), String> {
    match expression.holds(over)? {
        true => Ok(()),
        false if message.is_empty() => Err(format!("validation expression '{}' failed", expression.text())),
        false => Err(format!("validation expression '{}' failed: {message}", expression.text())),
    }
}
