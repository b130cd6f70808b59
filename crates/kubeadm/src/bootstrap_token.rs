//! Bootstrap tokens: their form, their secrets, their signatures.

use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use jiff::{SignedDuration, Timestamp};
use rand::RngExt as _;
use ring::hmac;
use serde_json::{Value, json};

use crate::{cluster::objects::JOINING, configuration::v1beta4::BootstrapToken};

const ALPHABET: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
/// Where the secrets are.
pub const SECRETS: &str = "/api/v1/namespaces/kube-system/secrets";
/// How long a token holds when nobody says.
const A_DAY: SignedDuration = SignedDuration::from_hours(24);

/// A token: `id.secret`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Six characters that may be known.
    pub id: String,
    /// Sixteen that may not.
    pub secret: String,
}

impl Token {
    /// Reads a token.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let good =
            |part: &str, length| part.len() == length && part.bytes().all(|byte| ALPHABET.contains(&byte));
        match text.split_once('.') {
            Some((id, secret)) if good(id, 6) && good(secret, 16) => {
                Ok(Self { id: id.into(), secret: secret.into() })
            }
            _ => anyhow::bail!(
                "the bootstrap token {text:?} is not of the form \"[a-z0-9]{{6}}.[a-z0-9]{{16}}\"; \
                 make one with: kubeadm token generate"
            ),
        }
    }

    /// Makes a new one.
    pub fn generate() -> Self {
        let mut random = rand::rng();
        let mut part = |length: usize| -> String {
            (0..length).map(|_| char::from(ALPHABET[random.random_range(0..ALPHABET.len())])).collect()
        };
        Self { id: part(6), secret: part(16) }
    }

    /// As it is typed.
    pub fn text(&self) -> String {
        format!("{}.{}", self.id, self.secret)
    }
}

/// What a token is for, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// The token.
    pub token: Token,
    /// For people.
    pub description: String,
    /// When it ends; never without.
    pub expires: Option<Timestamp>,
    /// What it may be used for.
    pub usages: Vec<String>,
    /// Groups of who uses it.
    pub groups: Vec<String>,
}

impl Terms {
    /// Fills up and checks what a configuration says of a token.
    pub fn new(given: &BootstrapToken, now: Timestamp) -> anyhow::Result<Self> {
        let token = if given.token.is_empty() { Token::generate() } else { Token::parse(&given.token)? };
        let expires = match (&given.expires, given.ttl.as_deref()) {
            (Some(until), _) => Some(until.parse()?),
            (None, None | Some("")) => Some(now.saturating_add(A_DAY)?),
            (None, Some("0" | "0s" | "0h0m0s")) => None,
            (None, Some(ttl)) => {
                let ttl = component::flags::duration(ttl).map_err(anyhow::Error::msg)?;
                Some(now.saturating_add(SignedDuration::try_from(ttl)?)?)
            }
        };
        let or = |given: &[String], default: &[&str]| {
            if given.is_empty() {
                default.iter().map(|one| (*one).to_owned()).collect()
            } else {
                given.to_vec()
            }
        };
        let usages = or(&given.usages, &["signing", "authentication"]);
        let groups = or(&given.groups, &[JOINING]);
        if let Some(unknown) =
            usages.iter().find(|usage| !matches!(usage.as_str(), "signing" | "authentication"))
        {
            anyhow::bail!("usage {unknown:?} of a bootstrap token is not one of signing, authentication");
        }
        if let Some(wrong) = groups.iter().find(|group| !group.starts_with("system:bootstrappers:")) {
            anyhow::bail!("group {wrong:?} of a bootstrap token does not begin with system:bootstrappers:");
        }
        Ok(Self { token, description: given.description.clone(), expires, usages, groups })
    }

    /// The secret that makes the token known to the cluster.
    pub fn secret(&self) -> Value {
        let mut data = json!({
            "token-id": self.token.id,
            "token-secret": self.token.secret,
        });
        if !self.groups.is_empty() {
            data["auth-extra-groups"] = self.groups.join(",").into();
        }
        for usage in &self.usages {
            data[format!("usage-bootstrap-{usage}")] = "true".into();
        }
        if !self.description.is_empty() {
            data["description"] = self.description.clone().into();
        }
        if let Some(expires) = self.expires {
            data["expiration"] = expires.strftime("%Y-%m-%dT%H:%M:%SZ").to_string().into();
        }
        json!({
            "apiVersion": "v1", "kind": "Secret", "type": "bootstrap.kubernetes.io/token",
            "metadata": {"namespace": "kube-system", "name": format!("bootstrap-token-{}", self.token.id)},
            "stringData": data,
        })
    }

    /// Reads a secret; `None` when it is not a token's.
    pub fn of(secret: &Value) -> Option<Self> {
        let field = |name: &str| {
            let bytes = BASE64_STANDARD.decode(secret["data"][name].as_str()?).ok()?;
            String::from_utf8(bytes).ok()
        };
        let uses = |usage: &&str| field(&format!("usage-bootstrap-{usage}")).as_deref() == Some("true");
        Some(Self {
            token: Token { id: field("token-id")?, secret: field("token-secret")? },
            description: field("description").unwrap_or_default(),
            expires: field("expiration").and_then(|text| text.parse().ok()),
            usages: ["authentication", "signing"]
                .iter()
                .filter(|usage| uses(usage))
                .map(|usage| (*usage).to_owned())
                .collect(),
            groups: field("auth-extra-groups")
                .map(|groups| groups.split(',').map(str::to_owned).collect())
                .unwrap_or_default(),
        })
    }
}

/// Whether a detached signature (JWS, HS256) over a text was made with a token.
pub fn is_signed(text: &str, signature: &str, token: &Token) -> bool {
    // Header, nothing in the place of the content, signature (RFC 7515, appendix F).
    let mut parts = signature.split('.');
    let (Some(header), Some(""), Some(mac), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    let says = |field: &str, value: &str| {
        let decoded = BASE64_URL_SAFE_NO_PAD.decode(header).ok();
        let header = decoded.and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
        header.is_some_and(|header| header[field] == value)
    };
    if !says("alg", "HS256") || !says("kid", &token.id) {
        return false;
    }
    let Ok(mac) = BASE64_URL_SAFE_NO_PAD.decode(mac) else { return false };
    let signed = format!("{header}.{}", BASE64_URL_SAFE_NO_PAD.encode(text));
    hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, token.secret.as_bytes()), signed.as_bytes(), &mac).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_have_one_form() {
        assert_eq!(Token::parse("123456.1234567890123456").unwrap().id, "123456");
        for text in
            ["", "123456", "12345.1234567890123456", "ABCDEF.1234567890123456", "123456.123456789012345"]
        {
            assert!(Token::parse(text).is_err(), "{text}");
        }
        let made = Token::generate();
        assert_eq!(Token::parse(&made.text()).unwrap(), made);
    }

    #[test]
    fn terms_and_secret_say_the_same() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let given = BootstrapToken { token: "123456.1234567890123456".into(), ..BootstrapToken::default() };
        let terms = Terms::new(&given, now).unwrap();
        assert_eq!(terms.expires.unwrap().to_string(), "2026-01-02T00:00:00Z");
        let mut secret = terms.secret();
        assert_eq!(secret["metadata"]["name"], "bootstrap-token-123456");
        let encoded: serde_json::Map<String, Value> = secret["stringData"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| (name.clone(), BASE64_STANDARD.encode(value.as_str().unwrap()).into()))
            .collect();
        secret["data"] = encoded.into();
        let read = Terms::of(&secret).unwrap();
        assert_eq!((read.token, read.expires, read.groups), (terms.token, terms.expires, terms.groups));
        for (ttl, expires) in [("0", None), ("0s", None), ("2h", Some("2026-01-01T02:00:00Z"))] {
            let given = BootstrapToken { ttl: Some(ttl.into()), ..given.clone() };
            let terms = Terms::new(&given, now).unwrap();
            assert_eq!(terms.expires.map(|at| at.to_string()).as_deref(), expires, "{ttl}");
        }
        let other = BootstrapToken { groups: vec!["system:masters".into()], ..given };
        assert!(Terms::new(&other, now).is_err());
    }

    #[test]
    fn only_the_tokens_own_signature_counts() {
        let token = Token::parse("123456.1234567890123456").unwrap();
        let header = BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","kid":"123456"}"#);
        let key = hmac::Key::new(hmac::HMAC_SHA256, token.secret.as_bytes());
        let content = BASE64_URL_SAFE_NO_PAD.encode("kubeconfig");
        let mac = BASE64_URL_SAFE_NO_PAD.encode(hmac::sign(&key, format!("{header}.{content}").as_bytes()));
        let signature = format!("{header}..{mac}");
        assert!(is_signed("kubeconfig", &signature, &token));
        assert!(!is_signed("kubeconfig2", &signature, &token));
        assert!(!is_signed("kubeconfig", &signature, &Token::parse("123456.1234567890123457").unwrap()));
        assert!(!is_signed("kubeconfig", &format!("{header}.x.{mac}"), &token));
        assert!(!is_signed("kubeconfig", "", &token));
    }
}
