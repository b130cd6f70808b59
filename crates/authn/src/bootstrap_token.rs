//! Bootstrap tokens, by which a new node introduces itself: `<id>.<secret>`, kept in `kube-system`.

use apimachinery::ObjectExt as _;
use jiff::Timestamp;
use peers::user::UserInfo;
use serde_json::Value;

use crate::legacy::{equal_in_constant_time, secret_data};
use crate::lookup::Lookup;

/// The namespace of the secrets that hold bootstrap tokens.
pub const NAMESPACE: &str = "kube-system";
/// Their type.
pub const SECRET_TYPE: &str = "bootstrap.kubernetes.io/token";
/// The group of every user that comes with one.
pub const GROUP: &str = "system:bootstrappers";

/// A token taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BootstrapToken<'a> {
    /// Six characters that name it.
    pub id: &'a str,
    /// Sixteen characters that prove it.
    pub secret: &'a str,
}

impl<'a> BootstrapToken<'a> {
    /// Reads `[a-z0-9]{6}.[a-z0-9]{16}`.
    pub fn parse(token: &'a str) -> Option<Self> {
        let (id, secret) = token.split_once('.')?;
        let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        (id.len() == 6 && secret.len() == 16 && plain(id) && plain(secret)).then_some(Self { id, secret })
    }

    /// The user that the token stands for, when its secret is there, matches, allows authentication and lasts.
    pub fn authenticate(&self, lookup: &dyn Lookup, now: Timestamp) -> Option<UserInfo> {
        let secret = lookup.secret(NAMESPACE, &format!("bootstrap-token-{}", self.id))?;
        user_of(self, &secret, now)
    }
}

fn user_of(token: &BootstrapToken<'_>, secret: &Value, now: Timestamp) -> Option<UserInfo> {
    let text = |key: &str| secret_data(secret, key).and_then(|data| String::from_utf8(data).ok());
    if secret.str_at(&["type"]) != Some(SECRET_TYPE) || secret.deletion_timestamp().is_some() {
        return None;
    }
    let matches = equal_in_constant_time(&secret_data(secret, "token-secret")?, token.secret.as_bytes());
    if !matches || text("token-id")? != token.id || text("usage-bootstrap-authentication")? != "true" {
        return None;
    }
    if let Some(expiration) = text("expiration").filter(|text| !text.is_empty())
        && now >= apimachinery::time::parse(&expiration)?
    {
        return None;
    }
    let mut groups = vec![GROUP.to_owned()];
    for group in text("auth-extra-groups").unwrap_or_default().split(',').filter(|group| !group.is_empty()) {
        if !is_group(group) {
            return None;
        }
        groups.push(group.to_owned());
    }
    groups[1..].sort();
    groups.dedup();
    Some(UserInfo { name: format!("system:bootstrap:{}", token.id), groups, ..UserInfo::default() })
}

/// Whether a group may be given by a bootstrap token: `system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]`.
pub fn is_group(group: &str) -> bool {
    let Some(rest) = group.strip_prefix("system:bootstrappers:") else { return false };
    let alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    rest.len() <= 256
        && rest.bytes().all(|byte| alphanumeric(byte) || matches!(byte, b':' | b'-'))
        && rest.bytes().last().is_some_and(alphanumeric)
}

#[cfg(test)]
mod tests {
    use base64::prelude::{BASE64_STANDARD, Engine as _};
    use serde_json::json;

    use super::*;

    fn secret(changes: &[(&str, &str)]) -> Value {
        let mut secret = json!({"type": SECRET_TYPE, "data": {}});
        let all = [
            ("token-id", "abcdef"),
            ("token-secret", "0123456789abcdef"),
            ("usage-bootstrap-authentication", "true"),
            ("auth-extra-groups", "system:bootstrappers:kubeadm:default-node-token"),
            ("expiration", "2026-11-20T12:00:00Z"),
        ];
        for (key, value) in all.iter().chain(changes) {
            secret.set_at(&["data", key], json!(BASE64_STANDARD.encode(value)));
        }
        secret
    }

    #[test]
    fn tokens_have_a_form() {
        assert!(BootstrapToken::parse("abcdef.0123456789abcdef").is_some());
        for wrong in ["abcdef", "abcde.0123456789abcdef", "abcdef.0123456789abcde", "ABCDEF.0123456789abcdef"]
        {
            assert_eq!(BootstrapToken::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn only_a_matching_lasting_secret_authenticates() {
        let token = BootstrapToken::parse("abcdef.0123456789abcdef").unwrap();
        let now: Timestamp = "2026-11-20T11:00:00Z".parse().unwrap();
        let user = user_of(&token, &secret(&[]), now).unwrap();
        assert_eq!(user.name, "system:bootstrap:abcdef");
        assert_eq!(user.groups, [GROUP, "system:bootstrappers:kubeadm:default-node-token"]);
        for wrong in [
            ("token-secret", "0123456789abcdee"),
            ("token-id", "abcdee"),
            ("usage-bootstrap-authentication", "false"),
            ("expiration", "2026-11-20T11:00:00Z"),
            ("expiration", "soon"),
            ("auth-extra-groups", "system:masters"),
            ("auth-extra-groups", "system:bootstrappers:x-"),
        ] {
            assert_eq!(user_of(&token, &secret(&[wrong]), now), None, "{wrong:?}");
        }
        let mut other = secret(&[]);
        other["type"] = json!("Opaque");
        assert_eq!(user_of(&token, &other, now), None);
        let mut dying = secret(&[]);
        dying.set_at(&["metadata", "deletionTimestamp"], json!("2026-11-20T10:00:00Z"));
        assert_eq!(user_of(&token, &dying, now), None);
        assert!(user_of(&token, &secret(&[("expiration", "2026-11-20T11:00:01Z")]), now).is_some());
        for lasts in ["", "9999-12-31T23:59:59Z"] {
            assert!(user_of(&token, &secret(&[("expiration", lasts)]), now).is_some(), "{lasts}");
        }
    }

    #[test]
    fn groups_are_told_once_and_in_order() {
        let token = BootstrapToken::parse("abcdef.0123456789abcdef").unwrap();
        let now: Timestamp = "2026-11-20T11:00:00Z".parse().unwrap();
        let extra = "system:bootstrappers:z,,system:bootstrappers:a,system:bootstrappers:z";
        let user = user_of(&token, &secret(&[("auth-extra-groups", extra)]), now).unwrap();
        assert_eq!(user.groups, [GROUP, "system:bootstrappers:a", "system:bootstrappers:z"]);
        let longest = format!("system:bootstrappers:{}", "a".repeat(256));
        assert!(is_group(&longest) && !is_group(&format!("{longest}a")));
        assert!(!is_group("system:bootstrappers:") && !is_group("system:bootstrappers:A") && !is_group("a"));
    }
}
