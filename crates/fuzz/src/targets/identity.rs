//! Who a request says that it is from: a front proxy's headers, certificates, and what signed tokens claim.

use std::sync::Arc;

use authn::jwt::{JwtAuthenticator, JwtIssuer, KeySet, Verdict, issuers};
use authn::{
    Authenticator, ClientAuthority, Credentials, Peer, Referent, RequestHeader, TokenVerifier, UserInfo,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use rustls_pki_types::CertificateDer;
use serde_json::{Value, json};

use super::streams::on_loop;
use super::{seeds, text};

/// A certificate's content.
fn der(pem: &str) -> CertificateDer<'static> {
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    STANDARD.decode(body).expect("a certificate that was just made is PEM").into()
}

/// When the certificates that are made here were made; it is that day still.
const MADE: Timestamp = Timestamp::constant(1_767_225_600, 0);

/// A day after the beginning of time, when the tokens of the seeds hold.
fn now() -> Timestamp {
    Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_hours(24)
}

/// An authority for clients and for front proxies, and a proxy that it knows.
struct Proxies {
    authority: ClientAuthority,
    authenticator: Authenticator,
    peer: Peer,
}

impl Proxies {
    fn new() -> Self {
        let made = pki::Authority::new("front-proxy", 1, MADE).expect("an authority can be made");
        let authority = ClientAuthority::from_pem(made.certificate().as_bytes()).expect("it can be read");
        let names = |name: &str| vec![name.to_owned()];
        let proxies = RequestHeader {
            authority: authority.clone(),
            allowed_names: Vec::new(),
            username_headers: names("X-Remote-User"),
            uid_headers: names("X-Remote-Uid"),
            group_headers: names("X-Remote-Group"),
            extra_prefixes: names("X-Remote-Extra-"),
        };
        let authenticator = Authenticator { proxies: Some(proxies), ..Authenticator::default() };
        let issued = made.issue(&pki::Leaf::client("proxy", &[]), MADE);
        let certificate = der(&issued.expect("a certificate can be issued").certificate);
        let peer = authenticator.peer(&[certificate], MADE);
        Self { authority, authenticator, peer }
    }

    fn user(&self, headers: &HeaderMap) -> Option<Arc<UserInfo>> {
        let credentials = Credentials { peer: &self.peer, headers, path: "/api" };
        on_loop(self.authenticator.authenticate(credentials, MADE)).ok()
    }
}

thread_local! {
    static PROXIES: Proxies = Proxies::new();
}

/// The lines of an input that are headers.
pub(super) fn read_headers(input: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in input.split(|byte| *byte == b'\n') {
        let Some(at) = line.iter().position(|byte| *byte == b':') else { continue };
        let name = HeaderName::from_bytes(&line[..at]);
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(line[at + 1..].trim_ascii())) {
            headers.append(name, value);
        }
    }
    headers
}

pub fn remote_headers() -> Vec<Vec<u8>> {
    seeds(&[
        "x-remote-user: jane\nx-remote-uid: 7\nx-remote-group: dev\nx-remote-group: ops\nx-remote-extra-acme%2fscope: a\nx-remote-extra-scopes: b",
        "X-Remote-User: system:node:n1\nX-Remote-Group: system:nodes\nx-remote-extra-%zz: x\nx-remote-extra-: y\nx-remote-extra-%C3%28: z",
        "x-remote-group: dev\nx-remote-uid: 1",
        "x-remote-user:\nx-remote-user: second",
    ])
}

/// Headers that a front proxy sets; who they name is who an aggregated server is told.
pub fn remote_user(input: &[u8]) -> bool {
    let headers = read_headers(input);
    PROXIES.with(|proxies| {
        let Some(user) = proxies.user(&headers) else { return false };
        assert!(!user.name.is_empty(), "a user has a name");
        let told = kube_apiserver::aggregation::identity(&user);
        let owns =
            |name: &str| proxies.authenticator.proxies.as_ref().is_some_and(|proxies| proxies.owns(name));
        assert!(told.keys().all(|name| owns(name.as_str())), "all of it is dropped from requests of others");
        let heard = proxies.user(&told).expect("who is told is heard");
        assert_eq!((&heard.name, &heard.uid, &heard.groups), (&user.name, &user.uid, &user.groups));
        // Names of headers have no case: what was heard once is heard alike from then on.
        let again = proxies.user(&kube_apiserver::aggregation::identity(&heard));
        assert_eq!(again.as_deref(), Some(&*heard));
        true
    })
}

pub fn client_certificates() -> Vec<Vec<u8>> {
    super::binary::certificates()
}

/// A certificate that a client shows, before it is known who signed it.
pub fn client_certificate(input: &[u8]) -> bool {
    let certificate = CertificateDer::from(input.to_vec());
    let subject = authn::x509::Subject::read(&certificate);
    PROXIES.with(|proxies| {
        let chain = [certificate.clone()];
        drop(proxies.authenticator.peer(&chain, MADE));
        // Nobody can sign for an authority whose key was forgotten.
        assert!(proxies.authority.verify(&chain, MADE).is_err(), "a certificate of nobody is believed");
    });
    let Ok(subject) = subject else { return false };
    let named = !subject.name.is_empty();
    assert_eq!(subject.user(&certificate).is_ok(), named, "who has a name is a user");
    true
}

/// A key that tokens are signed by.
struct Signer {
    key: EcdsaKeyPair,
    random: SystemRandom,
}

impl Signer {
    fn new() -> Self {
        let random = SystemRandom::new();
        let made = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random);
        let made = made.expect("a key can be made");
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, made.as_ref(), &random);
        Self { key: key.expect("a key that was just made can be read"), random }
    }

    fn key_set(&self) -> KeySet {
        let (x, y) = self.key.public_key().as_ref()[1..].split_at(32);
        let part = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let key = json!({"kty": "EC", "crv": "P-256", "kid": "k", "x": part(x), "y": part(y)});
        KeySet::read(json!({"keys": [key]}).to_string().as_bytes()).expect("it is a key set")
    }

    fn pem(&self) -> String {
        // A SubjectPublicKeyInfo of P-256 (RFC 5480): a head that is always the same, and the point.
        const HEAD: [u8; 26] = [
            0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
            0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
        ];
        let spki = [HEAD.as_slice(), self.key.public_key().as_ref()].concat();
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(spki))
    }

    fn token(&self, payload: &[u8]) -> String {
        let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"ES256","kid":"k"}"#);
        let signed = format!("{header}.{}", URL_SAFE_NO_PAD.encode(payload));
        let signature = self.key.sign(&self.random, signed.as_bytes()).expect("the key signs");
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// Objects that tokens speak of: each has the UID that seeds name, and two of them are going.
struct Everybody;

impl authn::Lookup for Everybody {
    fn service_account(&self, _: &str, name: &str) -> Option<Referent> {
        referent(name)
    }
    fn pod(&self, _: &str, name: &str) -> Option<Referent> {
        referent(name)
    }
    fn node(&self, name: &str) -> Option<Referent> {
        referent(name)
    }
    fn secret(&self, _: &str, name: &str) -> Option<Arc<Value>> {
        referent(name)?;
        Some(Arc::new(json!({"metadata": {"name": name, "uid": "u"}, "data": {"token": "YQ=="}})))
    }
}

fn referent(name: &str) -> Option<Referent> {
    match name {
        "nobody" => None,
        "going" => Some(Referent { uid: "u".into(), deletion_timestamp: Some(Timestamp::UNIX_EPOCH) }),
        _ => Some(Referent { uid: "u".into(), deletion_timestamp: None }),
    }
}

thread_local! {
    static SIGNER: (Signer, TokenVerifier) = {
        let signer = Signer::new();
        let keys = authn::VerificationKey::from_pem(&signer.pem()).expect("the key can be read");
        let verifier = TokenVerifier::new(keys, vec!["i".to_owned()], Arc::new(Everybody));
        (signer, verifier)
    };
    static ISSUER: (Signer, JwtIssuer) = {
        let signer = Signer::new();
        let section: JwtAuthenticator = serde_json::from_value(section()).expect("the section is one");
        let mut made = issuers(vec![section], &[]).expect("the section is right");
        let issuer = made.pop().expect("there is one for each section");
        issuer.learn(Arc::new(signer.key_set()));
        (signer, issuer)
    };
}

fn section() -> Value {
    json!({
        "issuer": {"url": "https://issuer.example.com", "audiences": ["a", "b"], "audienceMatchPolicy": "MatchAny"},
        "claimMappings": {
            "username": {"expression": "claims.?sub.orValue('') != '' ? 'i:' + claims.sub : claims.?email_verified.orValue(true) ? claims.email : 'nobody'"},
            "groups": {"expression": "claims.?groups.orValue([])"},
            "uid": {"claim": "uid"},
            "extra": [{"key": "example.com/role", "valueExpression": "claims.?role.orValue('')"}]
        },
        "claimValidationRules": [{"expression": "claims.?hd.orValue('x') == 'x'", "message": "another domain"}],
        "userValidationRules": [{"expression": "!user.username.startsWith('system:')", "message": "reserved"}]
    })
}

/// The claims of an input under an issuer's name: what others say is told apart before anything else is read.
fn claims(input: &[u8], issuer: &str) -> Vec<u8> {
    match serde_json::from_slice::<Value>(input) {
        Ok(Value::Object(mut claims)) => {
            claims.insert("iss".to_owned(), issuer.into());
            Value::Object(claims).to_string().into_bytes()
        }
        _ => input.to_vec(),
    }
}

pub fn account_claims() -> Vec<Vec<u8>> {
    let account = json!({"name": "b", "uid": "u"});
    [
        json!({"aud": ["x"], "exp": 200_000, "iat": 1, "nbf": 1, "jti": "j", "sub": "system:serviceaccount:a:b", "kubernetes.io":
            {"namespace": "a", "serviceaccount": account, "pod": {"name": "p", "uid": "u"}, "node": {"name": "n", "uid": "u"}, "warnafter": 3}}),
        json!({"aud": "x", "exp": 200_000, "sub": "system:serviceaccount:a:b", "kubernetes.io":
            {"namespace": "a", "serviceaccount": account, "secret": {"name": "s", "uid": "u"}}}),
        json!({"aud": [], "exp": 200_000, "sub": "system:serviceaccount:a:b", "kubernetes.io":
            {"namespace": "a", "serviceaccount": account, "node": {"name": "going", "uid": "u"}}}),
        json!({"kubernetes.io/serviceaccount/namespace": "a", "kubernetes.io/serviceaccount/secret.name": "s",
            "kubernetes.io/serviceaccount/service-account.name": "b", "kubernetes.io/serviceaccount/service-account.uid": "u",
            "sub": "system:serviceaccount:a:b"}),
    ]
    .iter()
    .map(|claims| claims.to_string().into_bytes())
    .collect()
}

/// What a service account's token claims that this cluster signed.
pub fn service_account_claims(input: &[u8]) -> bool {
    let is_legacy = text(input).contains("kubernetes.io/serviceaccount/");
    let claims = claims(input, if is_legacy { "kubernetes/serviceaccount" } else { "i" });
    SIGNER.with(|(signer, verifier)| {
        let token = signer.token(&claims);
        let audiences = ["x".to_owned()];
        let said = |now| verifier.verify(&token, &audiences, now).map_err(|error| error.to_string());
        let (first, second) = (said(now()), said(now()));
        let seen = |said: &Result<Option<authn::TokenIdentity>, String>| {
            said.clone().map(|found| found.map(|found| (found.user, found.audiences)))
        };
        assert_eq!(seen(&first), seen(&second), "what is remembered is what was found");
        if let Ok(Some(identity)) = &first {
            let (namespace, name) = identity.user.service_account().expect("it is a service account");
            assert!(!namespace.is_empty() && !name.is_empty(), "it has a name");
        }
        matches!(first, Ok(Some(_)))
    })
}

pub fn issuer_claims() -> Vec<Vec<u8>> {
    [
        json!({"aud": "a", "exp": 200_000, "sub": "jane", "uid": "7", "groups": ["dev", "ops"], "role": "r", "hd": "x"}),
        json!({"aud": ["c", "b"], "exp": 200_000.5, "nbf": 1, "email": "a@b", "email_verified": true, "uid": "1", "groups": "one",
            "role": ["a", "b"]}),
        json!({"aud": ["a"], "exp": 200_000, "sub": "system:x", "uid": "1"}),
        json!({"aud": ["a"], "exp": 1, "sub": "late", "hd": "y"}),
    ]
    .iter()
    .map(|claims| claims.to_string().into_bytes())
    .collect()
}

/// What a token claims that another issuer signed, and that issuer's document.
pub fn other_issuer_claims(input: &[u8]) -> bool {
    ISSUER.with(|(signer, issuer)| {
        drop(issuer.read_discovery(input));
        let token = signer.token(&claims(input, "https://issuer.example.com"));
        let verdict = issuer.verify(&token, now());
        assert_eq!(issuer.verify(&token, now()), verdict, "a token means one user");
        match verdict {
            Verdict::User(user, until) => {
                assert!(
                    until >= now().as_second() && !user.name.starts_with("system:"),
                    "{user:?} until {until}"
                );
                true
            }
            Verdict::Refused(why) => {
                assert!(!why.contains(&token), "no message holds a token");
                false
            }
            Verdict::Foreign | Verdict::NeedsKeys => false,
        }
    })
}
