use futures::executor::block_on;
use http::{HeaderMap, HeaderName};
use peers::user::CREDENTIAL_ID;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
};
use rustls_pki_types::CertificateDer;

use super::*;

struct Ca(CertifiedIssuer<'static, KeyPair>);

impl Ca {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn authority(&self) -> ClientAuthority {
        ClientAuthority::from_pem(self.0.pem().as_bytes()).unwrap()
    }

    fn client(
        &self,
        name: &str,
        group: &str,
        change: impl FnOnce(&mut CertificateParams),
    ) -> CertificateDer<'static> {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        if !name.is_empty() {
            params.distinguished_name.push(DnType::CommonName, name);
        }
        params.distinguished_name.push(DnType::OrganizationName, group);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.not_before = rcgen::date_time_ymd(2026, 1, 1);
        params.not_after = rcgen::date_time_ymd(2027, 1, 1);
        change(&mut params);
        params.signed_by(&KeyPair::generate().unwrap(), &self.0).unwrap().der().clone()
    }
}

fn now() -> Timestamp {
    "2026-11-20T12:00:00Z".parse().unwrap()
}

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    pairs.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
}

fn ask(authenticator: &Authenticator, peer: &Peer, pairs: &[(&'static str, &str)], path: &str) -> String {
    let headers = headers(pairs);
    let credentials = Credentials { peer, headers: &headers, path };
    match block_on(authenticator.authenticate(credentials, now())) {
        Ok(user) => format!("{} {:?}", user.name, user.groups),
        Err(error) => format!("401 {error}"),
    }
}

#[test]
fn certificates_name_users_and_groups() {
    let ca = Ca::new("ca");
    let authenticator = Authenticator { clients: Some(ca.authority()), ..Authenticator::default() };
    let certificate = ca.client("system:node:w1", "system:nodes", |params| {
        params.distinguished_name.push(DnType::CustomDnType(vec![1, 3, 6, 1, 4, 1, 57683, 2]), "uid-1");
    });
    let peer = authenticator.peer(&[certificate], now());
    assert_eq!(
        ask(&authenticator, &peer, &[], "/api"),
        r#"system:node:w1 ["system:nodes", "system:authenticated"]"#
    );
    let headers = HeaderMap::new();
    let user = block_on(
        authenticator.authenticate(Credentials { peer: &peer, headers: &headers, path: "/" }, now()),
    )
    .unwrap();
    assert_eq!(user.uid, "uid-1");
    assert!(user.extra[CREDENTIAL_ID][0].starts_with("X509SHA256="));
    assert_eq!(user.extra[CREDENTIAL_ID][0].len(), "X509SHA256=".len() + 64);
}

#[test]
fn certificates_that_are_not_accepted_are_refused() {
    let (ca, other) = (Ca::new("ca"), Ca::new("other"));
    let authenticator = Authenticator { clients: Some(ca.authority()), ..Authenticator::default() };
    let expired = |params: &mut CertificateParams| params.not_after = rcgen::date_time_ymd(2026, 11, 20);
    let server = |params: &mut CertificateParams| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    };
    for (certificate, expected) in [
        (other.client("jane", "g", |_| {}), "x509: certificate signed by unknown authority"),
        (
            ca.client("jane", "g", expired),
            "x509: certificate has expired or is not yet valid: current time 2026-",
        ),
        (ca.client("jane", "g", server), "x509: certificate specifies an incompatible key usage"),
        (ca.client("", "g", |_| {}), "no common name"),
        (CertificateDer::from(vec![1, 2, 3]), "x509: malformed certificate"),
    ] {
        let peer = authenticator.peer(&[certificate], now());
        // Not even where nobody needs a certificate: what is wrong must not look as if it were accepted.
        let answer = ask(&authenticator, &peer, &[], "/livez");
        assert!(
            answer.starts_with("401") && answer.to_lowercase().contains(&expected.to_lowercase()),
            "{answer}"
        );
    }
}

#[test]
fn certificates_end_during_a_connection() {
    let ca = Ca::new("ca");
    let authenticator = Authenticator { clients: Some(ca.authority()), ..Authenticator::default() };
    let peer = authenticator.peer(&[ca.client("jane", "g", |_| {})], now());
    let headers = HeaderMap::new();
    let credentials = Credentials { peer: &peer, headers: &headers, path: "/api" };
    assert!(block_on(authenticator.authenticate(credentials, now())).is_ok());
    assert!(
        block_on(authenticator.authenticate(credentials, "2027-01-02T00:00:00Z".parse().unwrap())).is_err()
    );
}

#[test]
fn strangers_reach_health_and_nothing_else() {
    let check = |anonymous: Anonymous, path: &str| {
        let authenticator = Authenticator { anonymous, ..Authenticator::default() };
        ask(&authenticator, &Peer::unknown(), &[], path)
    };
    let anonymous = r#"system:anonymous ["system:unauthenticated"]"#;
    assert_eq!(check(Anonymous::default(), "/readyz"), anonymous);
    assert_eq!(check(Anonymous::default(), "/readyz/etcd"), "401 no credentials");
    assert_eq!(check(Anonymous::default(), "/api/v1/pods"), "401 no credentials");
    assert_eq!(check(Anonymous::Enabled, "/api/v1/pods"), anonymous);
    assert_eq!(check(Anonymous::Disabled, "/readyz"), "401 no credentials");
}

#[test]
fn a_wrong_token_is_refused_where_none_is_needed() {
    let authenticator = Authenticator::default();
    let answer = ask(&authenticator, &Peer::unknown(), &[("authorization", "Bearer x")], "/livez");
    assert_eq!(answer, "401 invalid bearer token");
    let basic = ask(&authenticator, &Peer::unknown(), &[("authorization", "Basic x")], "/livez");
    assert!(basic.starts_with("system:anonymous"));
}

#[test]
fn only_a_front_proxy_may_name_users() {
    let (ca, proxy_ca) = (Ca::new("ca"), Ca::new("front-proxy-ca"));
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let proxies = RequestHeader {
        authority: proxy_ca.authority(),
        allowed_names: names(&["front-proxy-client"]),
        username_headers: names(&["X-Remote-User"]),
        uid_headers: names(&["X-Remote-Uid"]),
        group_headers: names(&["X-Remote-Group"]),
        extra_prefixes: names(&["X-Remote-Extra-"]),
    };
    assert!(proxies.owns("x-remote-extra-scopes") && !proxies.owns("x-remote"));
    let authenticator =
        Authenticator { clients: Some(ca.authority()), proxies: Some(proxies), ..Authenticator::default() };
    let named = [
        ("x-remote-user", "jane"),
        ("x-remote-group", "a"),
        ("x-remote-group", "b"),
        ("x-remote-extra-example.org%2fscope", "s"),
    ];
    let proxy = authenticator.peer(&[proxy_ca.client("front-proxy-client", "", |_| {})], now());
    assert_eq!(ask(&authenticator, &proxy, &named, "/api"), r#"jane ["a", "b", "system:authenticated"]"#);
    let headers = headers(&named);
    let credentials = Credentials { peer: &proxy, headers: &headers, path: "/" };
    let user = block_on(authenticator.authenticate(credentials, now())).unwrap();
    assert_eq!(user.extra["example.org/scope"], ["s"]);
    assert!(ask(&authenticator, &proxy, &[], "/api").starts_with("401"), "the proxy itself is nobody");
    let other = authenticator.peer(&[proxy_ca.client("another", "", |_| {})], now());
    assert!(ask(&authenticator, &other, &named, "/api").starts_with("401"));
    let client = authenticator.peer(&[ca.client("front-proxy-client", "g", |_| {})], now());
    assert!(ask(&authenticator, &client, &named, "/api").starts_with("front-proxy-client "));
}

#[test]
fn tokens_are_found_in_both_places() {
    for (name, value, expected) in [
        ("authorization", "Bearer abc", Some("abc")),
        ("authorization", "bearer  abc", Some("abc")),
        ("authorization", "Bearer ", None),
        ("authorization", "Bearer a b", None),
        (
            "sec-websocket-protocol",
            "base64url.bearer.authorization.k8s.io.YWJj, v5.channel.k8s.io",
            Some("abc"),
        ),
        ("sec-websocket-protocol", "v5.channel.k8s.io", None),
    ] {
        assert_eq!(bearer_token(&headers(&[(name, value)])).as_deref(), expected, "{value}");
    }
}

/// Secrets of tokens, by name.
struct Secrets(Vec<(&'static str, serde_json::Value)>);

impl Lookup for Secrets {
    fn service_account(&self, _: &str, _: &str) -> Option<crate::lookup::Referent> {
        None
    }
    fn pod(&self, _: &str, _: &str) -> Option<crate::lookup::Referent> {
        None
    }
    fn node(&self, _: &str) -> Option<crate::lookup::Referent> {
        None
    }
    fn secret(&self, namespace: &str, name: &str) -> Option<Arc<serde_json::Value>> {
        let (_, secret) = self.0.iter().find(|(known, _)| namespace == "kube-system" && *known == name)?;
        Some(Arc::new(secret.clone()))
    }
}

#[test]
fn tokens_without_audiences_are_for_this_server_alone() {
    use base64::prelude::{BASE64_STANDARD, Engine as _};
    let data = |text: &str| BASE64_STANDARD.encode(text);
    let secret = serde_json::json!({"type": "bootstrap.kubernetes.io/token", "data": {"token-id": data("abcdef"),
        "token-secret": data("0123456789abcdef"), "usage-bootstrap-authentication": data("true")}});
    let authenticator = Authenticator {
        token_file: Some(TokenFile::read("known,jane,1").unwrap()),
        bootstrap: Some(Arc::new(Secrets(vec![("bootstrap-token-abcdef", secret)]))),
        api_audiences: vec!["here".into(), "near".into()],
        ..Authenticator::default()
    };
    let joining = "abcdef.0123456789abcdef";
    for (token, audiences, expected) in [
        ("known", &[][..], Some(("jane", &[][..]))),
        ("known", &["here"], Some(("jane", &["here"]))),
        ("known", &["far", "near"], Some(("jane", &["near"]))),
        ("known", &["far"], None),
        (joining, &[], Some(("system:bootstrap:abcdef", &[]))),
        (joining, &["here", "far"], Some(("system:bootstrap:abcdef", &["here"]))),
        (joining, &["far"], None),
        ("abcdef.0123456789abcdee", &[], None),
        ("unknown", &["here"], None),
    ] {
        let asked: Vec<String> = audiences.iter().map(|audience| (*audience).to_owned()).collect();
        let found = block_on(authenticator.authenticate_token(token, &asked, now()));
        let found = found.ok().map(|identity| (identity.user.name.clone(), identity.audiences));
        let expected = expected.map(|(name, audiences): (&str, &[&str])| {
            (name.to_owned(), audiences.iter().map(|audience| (*audience).to_owned()).collect())
        });
        assert_eq!(found, expected, "{token} {audiences:?}");
    }
}
