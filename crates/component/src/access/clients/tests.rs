//! Certificates of users, of front proxies, and of strangers.

use http::{HeaderName, HeaderValue};
use jiff::Timestamp;
use pki::{Authority, Leaf};

use super::*;

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

fn shown(user: Result<User, Refused>) -> String {
    match user {
        Ok(user) => format!("{} {:?} {} {:?}", user.name, user.groups, user.uid, user.extra),
        Err(refused) => refused.to_string(),
    }
}

#[test]
fn certificates_and_front_proxies_say_who_asks() {
    let (users, proxies, strangers) = (authority("users"), authority("proxies"), authority("strangers"));
    let data = BTreeMap::from(
        [
            ("client-ca-file", users.certificate()),
            ("requestheader-client-ca-file", proxies.certificate()),
            ("requestheader-allowed-names", "[\"front\"]"),
            ("requestheader-username-headers", "[\"X-Remote-User\"]"),
            ("requestheader-uid-headers", "[\"X-Remote-Uid\"]"),
            ("requestheader-group-headers", "[\"X-Remote-Group\"]"),
            ("requestheader-extra-headers-prefix", "[\"X-Remote-Extra-\"]"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned())),
    );
    let known = Authorities::read(&data).unwrap();
    let jane = [("x-remote-user", "jane"), ("x-remote-group", "a"), ("x-remote-group", "b")];
    let whole = [
        ("x-remote-user", "jane"),
        ("x-remote-uid", "7"),
        ("x-remote-extra-acme.com%2fproject", "p"),
        ("x-remote-extra-scopes", "s"),
        ("x-remote-extra-scopes", "t"),
    ];
    let everybody = "system:authenticated";
    let untrusted = "verifying certificate failed: invalid peer certificate: UnknownIssuer";
    for (by, leaf, told, expected) in [
        (
            &users,
            Leaf::client("jim", &["ops", "dev"]),
            &[][..],
            format!("jim [\"ops\", \"dev\", \"{everybody}\"]  {{}}"),
        ),
        // A user is no front proxy, whatever it says.
        (&users, Leaf::client("front", &[]), &jane[..], format!("front [\"{everybody}\"]  {{}}")),
        (&users, Leaf::client("", &["ops"]), &[], "the certificate names no user".to_owned()),
        (
            &users,
            Leaf::server("jim", &["jim"], &[]),
            &[],
            "verifying certificate failed: invalid peer certificate".to_owned(),
        ),
        (&strangers, Leaf::client("jim", &[]), &[], untrusted.to_owned()),
        (&proxies, Leaf::client("front", &[]), &jane, format!("jane [\"a\", \"b\", \"{everybody}\"]  {{}}")),
        (
            &proxies,
            Leaf::client("front", &[]),
            &whole,
            format!("jane [\"{everybody}\"] 7 {{\"acme.com/project\": [\"p\"], \"scopes\": [\"s\", \"t\"]}}"),
        ),
        // One that names nobody, and one that is not to be believed.
        (&proxies, Leaf::client("front", &[]), &[], untrusted.to_owned()),
        (&proxies, Leaf::client("back", &[]), &jane, untrusted.to_owned()),
        (&strangers, Leaf::client("front", &[]), &jane, untrusted.to_owned()),
    ] {
        let found = shown(known.user(&chain(by, &leaf), &headers(told), UnixTime::now()));
        assert!(found.starts_with(&expected), "{found}, and not {expected}");
    }
    let user = Leaf::client("jim", &[]);
    let later = UnixTime::since_unix_epoch(Duration::from_secs(UnixTime::now().as_secs() + 2 * 366 * 86_400));
    let expired = shown(known.user(&chain(&users, &user), &HeaderMap::new(), later));
    assert!(expired.contains("expired"), "{expired}");
    let nobody = Authorities::default().user(&chain(&users, &user), &HeaderMap::new(), UnixTime::now());
    assert_eq!(nobody, Err(Refused::NoAuthority));
}

#[test]
fn what_cannot_be_read_is_named() {
    for (key, text) in [
        ("client-ca-file", "nonsense"),
        ("requestheader-client-ca-file", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
    ] {
        let data = BTreeMap::from([(key.to_owned(), text.to_owned())]);
        let error = Authorities::read(&data).err().unwrap();
        assert!(format!("{error:#}").starts_with(key), "{error:#}");
    }
    assert!(Authorities::read(&BTreeMap::new()).unwrap().users.is_none());
}

#[test]
fn a_file_is_read_again_when_it_has_changed() {
    let path = std::env::temp_dir().join(format!("client-authorities-{}", std::process::id()));
    let (old, new) = (authority("old"), authority("new"));
    let user = Leaf::client("jim", &[]);
    fs::write(&path, old.certificate()).unwrap();
    let bundle = Bundle::load(&path).unwrap();
    let vouches =
        |authority: &Authority| verify(&bundle.now(), &chain(authority, &user), UnixTime::now()).is_ok();
    assert!(vouches(&old) && !vouches(&new));
    let write = |text: &str, seconds: u64| {
        fs::write(&path, text).unwrap();
        let file = fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(SystemTime::now() + Duration::from_secs(seconds)).unwrap();
    };
    write("broken", 10);
    assert!(vouches(&old));
    write(new.certificate(), 20);
    assert!(vouches(&new) && !vouches(&old));
    fs::remove_file(&path).unwrap();
    assert!(vouches(&new));
}

#[test]
fn escaped_keys_are_read() {
    for (key, expected) in
        [("a", "a"), ("a%2Fb", "a/b"), ("a%2", "a%2"), ("%zz", "%zz"), ("%ff", "%ff"), ("", "")]
    {
        assert_eq!(decoded(key), expected, "{key}");
    }
    assert_eq!(after("x-remote-extra-a", "X-Remote-Extra-"), Some("a"));
    assert_eq!(after("x-remote", "X-Remote-Extra-"), None);
}
