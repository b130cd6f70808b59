//! Tokens of other issuers (OpenID Connect), as `AuthenticationConfiguration` describes them: which issuers are believed,
//! what their tokens must say, and which user a token's claims make.
//!
//! A [`JwtIssuer`] holds the keys it was last told ([`JwtIssuer::learn`]) and says when it needs others; fetching them
//! is the server's part.

pub mod configuration;
mod expression;
mod key_set;
mod mapping;
mod validation;

use std::sync::Arc;

use apimachinery::FieldError;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use parking_lot::RwLock;
use peers::user::UserInfo;
use serde_json::{Map, Value};

pub use self::configuration::JwtAuthenticator;
pub use self::key_set::{KeySet, KeySetError};
use self::mapping::Mapping;
use self::validation::compile;
use crate::jws::Unverified;

/// A token that is not valid yet is believed when it will be within this many seconds: clocks differ.
const NOT_BEFORE_LEEWAY: i64 = 5 * 60;
/// Longer tokens are refused: looking at them would only cost time.
const MAX_TOKEN: usize = 64 * 1024;

/// The path of an issuer's discovery document, below its URL.
pub const WELL_KNOWN: &str = "/.well-known/openid-configuration";

/// An issuer whose tokens are believed.
pub struct JwtIssuer {
    section: JwtAuthenticator,
    /// The algorithms that `--oidc-signing-algs` allows; all that are known, if empty.
    algorithms: Vec<String>,
    mapping: Mapping,
    keys: RwLock<Option<Arc<KeySet>>>,
}

/// What is to be said of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is not of this issuer.
    Foreign,
    /// It cannot be checked before the issuer's keys are fetched (again).
    NeedsKeys,
    /// It stands for this user until the time, in seconds since 1970.
    User(Box<UserInfo>, i64),
    /// It is of this issuer and not believed. The text never holds the token.
    Refused(String),
}

impl JwtIssuer {
    fn new(section: JwtAuthenticator, mapping: Mapping, algorithms: Vec<String>) -> Self {
        Self { section, algorithms, mapping, keys: RwLock::default() }
    }

    /// What the configuration says of it.
    pub fn section(&self) -> &JwtAuthenticator {
        &self.section
    }

    /// Where its discovery document is.
    pub fn discovery_url(&self) -> String {
        match self.section.issuer.discovery_url.as_str() {
            "" => format!("{}{WELL_KNOWN}", self.section.issuer.url.trim_end_matches('/')),
            url => url.to_owned(),
        }
    }

    /// Reads a discovery document: where the keys are, once the issuer is found to be the one that is meant.
    pub fn read_discovery(&self, document: &[u8]) -> Result<String, String> {
        let document: Value = serde_json::from_slice(document)
            .map_err(|error| format!("oidc: failed to decode provider discovery object: {error}"))?;
        let field = |name: &str| document[name].as_str().unwrap_or_default();
        let (expected, found) = (self.section.issuer.url.as_str(), field("issuer"));
        if found != expected {
            return Err(format!(
                "oidc: issuer did not match the issuer returned by provider, expected {expected:?} got {found:?}"
            ));
        }
        match field("jwks_uri") {
            "" => Err("oidc: the discovery document names no jwks_uri".to_owned()),
            uri => Ok(uri.to_owned()),
        }
    }

    /// Takes the issuer's keys; they replace the ones that it had.
    pub fn learn(&self, keys: Arc<KeySet>) {
        *self.keys.write() = Some(keys);
    }

    /// The keys it has.
    pub fn keys(&self) -> Option<Arc<KeySet>> {
        self.keys.read().clone()
    }

    /// Says whom a token stands for. It asks for keys when the token's is not among those it has, which is worth
    /// fetching them once.
    pub fn verify(&self, token: &str, now: Timestamp) -> Verdict {
        if token.len() > MAX_TOKEN {
            return Verdict::Foreign;
        }
        let Some(unverified) = Unverified::parse(token) else { return Verdict::Foreign };
        let Ok(Value::Object(claims)) = serde_json::from_slice(&unverified.payload) else {
            return Verdict::Foreign;
        };
        if claims.get("iss").and_then(Value::as_str) != Some(&self.section.issuer.url) {
            return Verdict::Foreign;
        }
        let refuse = |why: String| Verdict::Refused(format!("oidc: verify token: {why}"));
        let Some(keys) = self.keys() else { return Verdict::NeedsKeys };
        let of_token = audiences(&claims);
        let wanted = self.section.issuer.audiences.as_slice();
        let is_meant = of_token.iter().any(|audience| wanted.contains(audience));
        if let ([wanted], false) = (wanted, is_meant) {
            return refuse(format!("oidc: expected audience {wanted:?} got {}", go_quoted(&of_token)));
        }
        let expires = match check_times(&claims, now) {
            Ok(expires) => expires,
            Err(why) => return refuse(why),
        };
        let algorithm = unverified.algorithm();
        if !key_set::KNOWN.contains(&algorithm)
            || !self.algorithms.is_empty() && !self.algorithms.iter().any(|allowed| allowed == algorithm)
        {
            let allowed = match self.algorithms.as_slice() {
                [] => key_set::KNOWN.map(str::to_owned).to_vec(),
                some => some.to_vec(),
            };
            let allowed = go_quoted(&allowed);
            return refuse(format!(
                "oidc: id token signed with unsupported algorithm, expected {allowed} got {algorithm:?}"
            ));
        }
        match keys.verify(&unverified) {
            key_set::Checked::Good => {}
            key_set::Checked::UnknownKey => return Verdict::NeedsKeys,
            key_set::Checked::Bad => {
                return refuse("failed to verify signature: failed to verify id token signature".to_owned());
            }
        }
        if !is_meant {
            let mut wanted = wanted.to_vec();
            wanted.sort();
            let (wanted, found) = (go_quoted(&wanted), go_quoted(&of_token));
            return refuse(format!("oidc: expected audience in {wanted} got {found}"));
        }
        match self.mapping.user(claims) {
            Ok(user) => Verdict::User(Box::new(user), expires),
            Err(why) => Verdict::Refused(why),
        }
    }
}

/// Turns a whole configuration into issuers; the errors are all that is wrong with it.
pub fn issuers(
    sections: Vec<JwtAuthenticator>,
    own_issuers: &[String],
) -> Result<Vec<JwtIssuer>, Vec<FieldError>> {
    let mappings = compile(&sections, own_issuers)?;
    let issuers = sections.into_iter().zip(mappings);
    Ok(issuers.map(|(section, mapping)| JwtIssuer::new(section, mapping, Vec::new())).collect())
}

/// The issuer that the `--oidc-*` flags describe.
pub fn issuer_of_flags(
    section: JwtAuthenticator,
    own_issuers: &[String],
    algorithms: Vec<String>,
) -> Result<JwtIssuer, Vec<FieldError>> {
    let mut mappings = compile(std::slice::from_ref(&section), own_issuers)?;
    let mapping = mappings.pop().ok_or_else(Vec::new)?;
    Ok(JwtIssuer::new(section, mapping, algorithms))
}

fn seconds(claims: &Map<String, Value>, name: &str) -> Option<i64> {
    let value = claims.get(name)?;
    // A NumericDate may have a fraction (RFC 7519, 2).
    value.as_i64().or_else(|| value.as_f64().map(|seconds| seconds as i64))
}

fn check_times(claims: &Map<String, Value>, now: Timestamp) -> Result<i64, String> {
    let expires = seconds(claims, "exp").unwrap_or(0);
    if now.as_second() > expires {
        return Err(format!("oidc: token is expired (Token Expiry: {})", go_time(expires)));
    }
    if let Some(from) = seconds(claims, "nbf")
        && now.as_second().saturating_add(NOT_BEFORE_LEEWAY) < from
    {
        return Err(format!(
            "oidc: current time {} before the nbf (not before) time: {}",
            go_time(now.as_second()),
            go_time(from)
        ));
    }
    Ok(expires)
}

/// A time as Go prints it.
fn go_time(second: i64) -> String {
    match Timestamp::from_second(second) {
        Ok(time) => time.to_zoned(TimeZone::UTC).strftime("%Y-%m-%d %H:%M:%S +0000 UTC").to_string(),
        Err(_) => second.to_string(),
    }
}

/// A list of quoted texts as Go prints it.
fn go_quoted(texts: &[String]) -> String {
    let quoted: Vec<String> = texts.iter().map(|text| format!("{text:?}")).collect();
    format!("[{}]", quoted.join(" "))
}

fn audiences(claims: &Map<String, Value>) -> Vec<String> {
    match claims.get("aud") {
        Some(Value::String(one)) => vec![one.clone()],
        Some(Value::Array(many)) => {
            many.iter().filter_map(|audience| audience.as_str().map(str::to_owned)).collect()
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests;
