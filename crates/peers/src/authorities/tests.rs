//! Certificates of users, of front proxies, and of strangers.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use pki::{Authority, Leaf};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use super::*;
use crate::peer::Peer;

fn authority(name: &str) -> Authority {
    Authority::new(name, 1, Timestamp::now()).unwrap()
}

fn chain(authority: &Authority, leaf: &Leaf) -> Vec<CertificateDer<'static>> {
    let issued = authority.issue(leaf, Timestamp::now()).unwrap();
    vec![CertificateDer::from_pem_slice(issued.certificate.as_bytes()).unwrap()]
}

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    let pair = |(name, value): &(&str, &str)| {
        (name.parse::<HeaderName>().unwrap(), value.parse::<HeaderValue>().unwrap())
    };
    let mut headers = HeaderMap::new();
    for (name, value) in pairs.iter().map(pair) {
        headers.append(name, value);
    }
    headers
}

/// Who asks over a connection on which this was shown, and why not. The credential's own name is left out.
fn shown(
    known: &Authorities,
    chain: &[CertificateDer<'_>],
    told: &[(&str, &str)],
    connected: Timestamp,
    asked: Timestamp,
) -> String {
    let peer = Peer::new(chain, known.clients.as_ref(), known.proxies.as_ref(), connected);
    match peer.user(known.proxies.as_ref(), &headers(told), asked) {
        None => "nobody".to_owned(),
        // Numbers of certificates are another each time.
        Some(Err(crate::CertificateError::Untrusted { why, .. })) => {
            format!("verifying certificate failed: {why}")
        }
        Some(Err(refused)) => refused.to_string(),
        Some(Ok(user)) => {
            let mut extra = user.extra.clone();
            extra.remove(crate::user::CREDENTIAL_ID);
            format!("{} {:?} {} {extra:?}", user.name, user.groups, user.uid)
        }
    }
}

fn data(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn certificates_and_front_proxies_say_who_asks() {
    let (users, proxies, strangers) = (authority("users"), authority("proxies"), authority("strangers"));
    let data = data(&[
        ("client-ca-file", users.certificate()),
        ("requestheader-client-ca-file", proxies.certificate()),
        ("requestheader-allowed-names", "[\"front\"]"),
        ("requestheader-username-headers", "[\"X-Remote-User\", \"X-Other-User\"]"),
        ("requestheader-uid-headers", "[\"X-Remote-Uid\"]"),
        ("requestheader-group-headers", "[\"X-Remote-Group\", \"X-Other-Group\"]"),
        ("requestheader-extra-headers-prefix", "[\"X-Remote-Extra-\", \"X-Other-Extra-\"]"),
    ]);
    let known = Authorities::read(&data).unwrap();
    let jane = [
        ("x-other-group", "c"),
        ("x-remote-user", "jane"),
        ("x-remote-user", "jim"),
        ("x-remote-group", "a"),
        ("x-remote-group", ""),
        ("x-remote-group", "b"),
    ];
    let whole = [
        ("x-remote-user", ""),
        ("x-remote-user", "jim"),
        ("x-other-user", "jane"),
        ("x-remote-uid", "7"),
        ("x-other-extra-scopes", "u"),
        ("x-remote-extra-acme.com%2fproject", "p"),
        ("x-remote-extra-scopes", "s"),
        ("x-remote-extra-scopes", "t"),
        ("x-remote-extra-100%", "kept as it is"),
    ];
    let everybody = "system:authenticated";
    let untrusted = "verifying certificate failed: x509: certificate signed by unknown authority";
    let now = Timestamp::now();
    for (by, leaf, told, expected) in [
        (
            &users,
            Leaf::client("jim", &["ops", "dev"]),
            &[][..],
            format!("jim [\"ops\", \"dev\", \"{everybody}\"]  {{}}"),
        ),
        // A user is no front proxy, whatever it says.
        (&users, Leaf::client("front", &[]), &jane[..], format!("front [\"{everybody}\"]  {{}}")),
        (&users, Leaf::client("", &["ops"]), &[], "the certificate has no common name".to_owned()),
        (
            &users,
            Leaf::server("jim", &["jim"], &[]),
            &[],
            "verifying certificate failed: x509: certificate specifies an incompatible key usage".to_owned(),
        ),
        (&strangers, Leaf::client("jim", &[]), &[], untrusted.to_owned()),
        (
            &proxies,
            Leaf::client("front", &[]),
            &jane,
            format!("jane [\"a\", \"b\", \"c\", \"{everybody}\"]  {{}}"),
        ),
        (
            &proxies,
            Leaf::client("front", &[]),
            &whole,
            format!(
                "jane [\"{everybody}\"] 7 {{\"100%\": [\"kept as it is\"], \"acme.com/project\": [\"p\"], \
                 \"scopes\": [\"s\", \"t\", \"u\"]}}"
            ),
        ),
        // Who is not known is not made known by a front proxy.
        (
            &proxies,
            Leaf::client("front", &[]),
            &[("x-remote-user", "system:anonymous"), ("x-remote-group", "system:unauthenticated")],
            "system:anonymous [\"system:unauthenticated\"]  {}".to_owned(),
        ),
        // One that names nobody, and one that is not to be believed.
        (&proxies, Leaf::client("front", &[]), &[], untrusted.to_owned()),
        (&proxies, Leaf::client("back", &[]), &jane, untrusted.to_owned()),
        (&strangers, Leaf::client("front", &[]), &jane, untrusted.to_owned()),
    ] {
        let found = shown(&known, &chain(by, &leaf), told, now, now);
        assert!(found.starts_with(&expected), "{found}, and not {expected}");
    }
    let later = now + Duration::from_secs(2 * 366 * 86_400);
    let ends =
        "verifying certificate failed: x509: certificate has expired or is not yet valid: current time ";
    for (by, told) in [(&users, &[][..]), (&proxies, &jane)] {
        let chain = chain(by, &Leaf::client("front", &[]));
        assert!(!shown(&known, &chain, told, now, now).starts_with(ends));
        let ended = shown(&known, &chain, told, now, later);
        assert!(ended.starts_with(ends) || ended == untrusted, "{ended}");
        assert!(shown(&known, &chain, told, later, later).starts_with("verifying certificate failed"));
    }
    assert_eq!(shown(&known, &[], &jane, now, now), "nobody");
    let nobody = Authorities::default();
    assert_eq!(
        shown(&nobody, &chain(&users, &Leaf::client("jim", &[])), &jane, now, now),
        "verifying certificate failed: no client authority is configured"
    );
}

#[test]
fn what_cannot_be_read_is_named() {
    let sound = authority("users");
    for (key, text) in [
        ("client-ca-file", "nonsense"),
        ("requestheader-client-ca-file", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
        ("requestheader-allowed-names", "front"),
    ] {
        let mut data = data(&[("requestheader-client-ca-file", sound.certificate())]);
        data.insert(key.to_owned(), text.to_owned());
        assert_eq!(Authorities::read(&data).unwrap_err().to_string(), key);
    }
    let nobody = Authorities::read(&data(&[("client-ca-file", "")])).unwrap();
    assert!(nobody.clients.is_none() && nobody.proxies.is_none());
}
