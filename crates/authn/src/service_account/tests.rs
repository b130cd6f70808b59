use std::collections::HashMap;

use apimachinery::ObjectExt as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD, Engine as _};
use expect_test::expect;
use serde_json::{Value, json};

use super::*;
use crate::claims::{Bound, Grant};
use crate::discovery;
use crate::legacy::LAST_USED;

const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";

/// Objects by `resource/namespace/name`.
#[derive(Default)]
struct Objects(Mutex<HashMap<String, Arc<Value>>>, Mutex<usize>);

impl Objects {
    fn put(&self, path: &str, object: Value) {
        self.0.lock().insert(path.to_owned(), Arc::new(object));
    }

    fn referent(&self, path: String) -> Option<Referent> {
        self.0.lock().get(&path).map(|object| legacy::referent(object))
    }
}

impl Lookup for Objects {
    fn service_account(&self, namespace: &str, name: &str) -> Option<Referent> {
        self.referent(format!("serviceaccounts/{namespace}/{name}"))
    }
    fn pod(&self, namespace: &str, name: &str) -> Option<Referent> {
        self.referent(format!("pods/{namespace}/{name}"))
    }
    fn node(&self, name: &str) -> Option<Referent> {
        self.referent(format!("nodes//{name}"))
    }
    fn secret(&self, namespace: &str, name: &str) -> Option<Arc<Value>> {
        self.0.lock().get(&format!("secrets/{namespace}/{name}")).cloned()
    }
    fn note_use(&self, _: &Value) {
        *self.1.lock() += 1;
    }
}

fn uid(uid: &str) -> Value {
    json!({"metadata": {"uid": uid}})
}

/// A key pair made once: RSA keys come from a fixed file, as making one takes long.
fn rsa_key() -> SigningKey {
    SigningKey::from_pem(include_str!("testdata/rsa.pem")).unwrap()
}

fn ec_key() -> SigningKey {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    SigningKey::from_pem(&key.serialize_pem()).unwrap()
}

struct World {
    objects: Arc<Objects>,
    issuer: Issuer,
    verifier: TokenVerifier,
    now: Timestamp,
}

impl World {
    fn new(key: SigningKey) -> Self {
        let objects = Arc::new(Objects::default());
        objects.put("serviceaccounts/a/builder", uid("sa-1"));
        objects.put("pods/a/web", uid("pod-1"));
        objects.put("nodes//w1", uid("node-1"));
        let issuer = Issuer::new(ISSUER, key);
        let keys = vec![issuer.verification_key()];
        let verifier = TokenVerifier::new(keys, vec![ISSUER.into()], objects.clone());
        Self { objects, issuer, verifier, now: "2026-11-20T12:00:00Z".parse().unwrap() }
    }

    fn grant(&self) -> Grant {
        Grant {
            namespace: "a".into(),
            service_account: Reference::new("builder", "sa-1"),
            bound: Some(Bound::Pod {
                pod: Reference::new("web", "pod-1"),
                node: Some(Reference::new("w1", "node-1")),
            }),
            audiences: vec!["api".into(), "vault".into()],
            expiration_seconds: 3600,
            warn_after_seconds: None,
        }
    }

    fn token(&self, change: impl FnOnce(&mut Grant)) -> String {
        let mut grant = self.grant();
        change(&mut grant);
        self.issuer.sign(Claims::grant(grant, self.now, "jti-1".into())).unwrap()
    }

    /// The answer, seconds later.
    fn ask(&self, token: &str, audience: &str, later: i64) -> String {
        let now = Timestamp::from_second(self.now.as_second() + later).unwrap();
        match self.verifier.verify(token, &[audience.to_owned()], now) {
            Ok(Some(identity)) => format!("{} for {:?}", identity.user.name, identity.audiences),
            Ok(None) => "not ours".into(),
            Err(error) => error.to_string(),
        }
    }
}

const OK: &str = "system:serviceaccount:a:builder for [\"api\"]";

#[test]
fn signed_tokens_verify_with_either_algorithm() {
    let p521 = [include_str!("testdata/p521-sec1.pem"), include_str!("testdata/p521-pkcs8.pem")];
    let p521 = p521.map(|pem| SigningKey::from_pem(pem).unwrap());
    for key in [rsa_key(), ec_key()].into_iter().chain(p521) {
        let world = World::new(key);
        assert_eq!(world.ask(&world.token(|_| {}), "api", 0), OK);
    }
}

#[test]
fn claims_have_upstreams_form() {
    let world = World::new(rsa_key());
    let token = world.token(|grant| grant.warn_after_seconds = Some(3607));
    let part = |number: usize| {
        let part = token.split('.').nth(number).unwrap();
        String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    };
    expect![[r#"{"alg":"RS256","kid":"9vQdiQlGHpmvXv5LAjnO_-E0mE6d7P_OiEfmGY76_xo"}"#]].assert_eq(&part(0));
    expect![[r#"{"aud":["api","vault"],"exp":1795179600,"iat":1795176000,"iss":"https://kubernetes.default.svc.cluster.local","jti":"jti-1","kubernetes.io":{"namespace":"a","node":{"name":"w1","uid":"node-1"},"pod":{"name":"web","uid":"pod-1"},"serviceaccount":{"name":"builder","uid":"sa-1"},"warnafter":1795179607},"nbf":1795176000,"sub":"system:serviceaccount:a:builder"}"#]].assert_eq(&part(1));
}

#[test]
fn users_of_tokens_carry_what_they_are_bound_to() {
    let world = World::new(ec_key());
    let identity = world.verifier.verify(&world.token(|_| {}), &["api".into()], world.now).unwrap().unwrap();
    expect![[r#"
        {
          "username": "system:serviceaccount:a:builder",
          "uid": "sa-1",
          "groups": [
            "system:serviceaccounts",
            "system:serviceaccounts:a",
            "system:authenticated"
          ],
          "extra": {
            "authentication.kubernetes.io/credential-id": [
              "JTI=jti-1"
            ],
            "authentication.kubernetes.io/node-name": [
              "w1"
            ],
            "authentication.kubernetes.io/node-uid": [
              "node-1"
            ],
            "authentication.kubernetes.io/pod-name": [
              "web"
            ],
            "authentication.kubernetes.io/pod-uid": [
              "pod-1"
            ]
          }
        }"#]]
    .assert_eq(&serde_json::to_string_pretty(&*identity.user).unwrap());
}

#[test]
fn tokens_end() {
    let world = World::new(ec_key());
    let token = world.token(|_| {});
    assert_eq!(world.ask(&token, "api", 3660), OK, "clocks may differ by a minute");
    assert_eq!(world.ask(&token, "api", 3661), "service account token has expired");
    assert_eq!(world.ask(&token, "api", -61), "service account token is not valid yet");
}

#[test]
fn tokens_end_also_while_they_are_remembered() {
    let world = World::new(ec_key());
    let token = world.token(|grant| grant.expiration_seconds = 600);
    assert_eq!(world.ask(&token, "api", 659), OK);
    assert_eq!(world.ask(&token, "api", 661), "service account token has expired");
}

#[test]
fn tokens_are_for_their_audiences() {
    let world = World::new(ec_key());
    let token = world.token(|_| {});
    assert_eq!(world.ask(&token, "vault", 0), "system:serviceaccount:a:builder for [\"vault\"]");
    assert_eq!(
        world.ask(&token, "other", 0),
        r#"token audiences ["api" "vault"] is invalid for the target audiences ["other"]"#
    );
}

#[test]
fn tokens_of_others_are_not_ours() {
    let world = World::new(ec_key());
    let other = World::new(ec_key());
    let expected = "failed to verify signature: square/go-jose: error in cryptographic primitive";
    assert_eq!(world.ask(&other.token(|_| {}), "api", 0), expected);
    let elsewhere = Issuer::new("https://elsewhere", ec_key());
    let token = elsewhere.sign(Claims::grant(world.grant(), world.now, String::new())).unwrap();
    assert_eq!(world.ask(&token, "api", 0), "not ours");
    for text in ["", "a.b.c", "abcdef.0123456789abcdef", &"x".repeat(20_000)] {
        assert_eq!(world.ask(text, "api", 0), "not ours");
    }
}

#[test]
fn a_changed_token_is_refused() {
    let world = World::new(ec_key());
    let token = world.token(|_| {});
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let (header, payload) = signed.split_once('.').unwrap();
    let mut claims: Value = serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap();
    claims.set_at(&["kubernetes.io", "serviceaccount", "name"], json!("admin"));
    let forged = BASE64_URL_SAFE_NO_PAD.encode(claims.to_string());
    let none = BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#);
    for token in [format!("{header}.{forged}.{signature}"), format!("{none}.{payload}.")] {
        assert_eq!(
            world.ask(&token, "api", 0),
            "failed to verify signature: square/go-jose: error in cryptographic primitive"
        );
    }
}

#[test]
fn tokens_end_with_what_they_are_bound_to() {
    let world = World::new(ec_key());
    let token = world.token(|_| {});
    assert_eq!(world.ask(&token, "api", 0), OK);
    world.objects.0.lock().remove("pods/a/web");
    assert_eq!(world.ask(&token, "api", 4), OK, "remembered");
    assert_eq!(world.ask(&token, "api", 10), "pods \"web\" not found");
    world.objects.put("pods/a/web", uid("pod-2"));
    assert_eq!(
        world.ask(&token, "api", 10),
        "pod UID (pod-2) does not match service account pod ref claim (pod-1)"
    );
    world.objects.put(
        "pods/a/web",
        json!({"metadata": {"uid": "pod-1", "deletionTimestamp": "2026-11-20T12:00:00Z"}}),
    );
    assert_eq!(world.ask(&token, "api", 60), OK, "a pod that ends may still use its token for a minute");
    assert_eq!(world.ask(&token, "api", 80), "service account token has been invalidated");
    world.objects.put("pods/a/web", uid("pod-1"));
    world.objects.put("serviceaccounts/a/builder", uid("sa-2"));
    assert_eq!(
        world.ask(&token, "api", 100),
        "service account UID (sa-2) does not match service account ref claim (sa-1)"
    );
}

#[test]
fn tokens_bound_to_nodes_and_secrets_end_with_them() {
    let world = World::new(ec_key());
    world.objects.put("secrets/a/s", uid("secret-1"));
    let node = world.token(|grant| grant.bound = Some(Bound::Node(Reference::new("w1", "node-1"))));
    let secret = world.token(|grant| grant.bound = Some(Bound::Secret(Reference::new("s", "secret-1"))));
    assert_eq!((world.ask(&node, "api", 0).as_str(), world.ask(&secret, "api", 0).as_str()), (OK, OK));
    world.objects.0.lock().retain(|path, _| path.starts_with("serviceaccounts"));
    assert_eq!(world.ask(&node, "api", 20), "nodes \"w1\" not found");
    assert_eq!(world.ask(&secret, "api", 20), "secrets \"s\" not found");
}

#[test]
fn legacy_tokens_hold_as_long_as_their_secret() {
    let world = World::new(rsa_key());
    let token = jws::sign(
        &world.issuer.key.read(),
        json!({
            "iss": legacy::ISSUER,
            "kubernetes.io/serviceaccount/namespace": "a",
            "kubernetes.io/serviceaccount/secret.name": "builder-token",
            "kubernetes.io/serviceaccount/service-account.name": "builder",
            "kubernetes.io/serviceaccount/service-account.uid": "sa-1",
            "sub": "system:serviceaccount:a:builder",
        })
        .to_string()
        .as_bytes(),
    )
    .unwrap();
    let secret =
        |token: &str| json!({"metadata": {"uid": "s"}, "data": {"token": BASE64_STANDARD.encode(token)}});
    let withdrawn = "service account token has been invalidated";
    assert_eq!(world.ask(&token, "api", 0), withdrawn);
    world.objects.put("secrets/a/builder-token", secret("another"));
    assert_eq!(world.ask(&token, "api", 0), withdrawn);
    let mut unused = secret(&token);
    unused.set_at(&["metadata", "labels"], json!({"kubernetes.io/legacy-token-invalid-since": "2026-01-01"}));
    assert_eq!(*world.objects.1.lock(), 0);
    world.objects.put("secrets/a/builder-token", unused);
    assert!(world.ask(&token, "api", 0).starts_with(
        "the token in secret a/builder-token for service account a/builder has been marked invalid."
    ));
    assert_eq!(*world.objects.1.lock(), 1, "its use is noted all the same");
    world.objects.put("secrets/a/builder-token", secret(&token));
    assert_eq!(world.ask(&token, "api", 0), OK);
    assert_eq!(*world.objects.1.lock(), 2);
    // Once a day is enough.
    let mut used = secret(&token);
    used.set_at(&["metadata", "labels"], json!({LAST_USED: "2026-11-20"}));
    world.objects.put("secrets/a/builder-token", used);
    assert_eq!(world.ask(&token, "api", 20), OK);
    assert_eq!(*world.objects.1.lock(), 2);
}

#[test]
fn discovery_shows_the_keys() {
    let (rsa, ec) = (rsa_key(), ec_key());
    let keys = [rsa.verification_key().clone(), ec.verification_key().clone()];
    let set = discovery::key_set(&keys);
    assert_eq!(set["keys"][0]["kty"], "RSA");
    assert_eq!(set["keys"][0]["e"], "AQAB");
    assert_eq!(BASE64_URL_SAFE_NO_PAD.decode(set["keys"][0]["n"].as_str().unwrap()).unwrap().len(), 256);
    assert_eq!(set["keys"][1]["crv"], "P-256");
    assert_eq!(BASE64_URL_SAFE_NO_PAD.decode(set["keys"][1]["x"].as_str().unwrap()).unwrap().len(), 32);
    expect![[r#"{"id_token_signing_alg_values_supported":["ES256","RS256"],"issuer":"https://i","jwks_uri":"https://i/openid/v1/jwks","response_types_supported":["id_token"],"subject_types_supported":["public"]}"#]]
        .assert_eq(&discovery::configuration("https://i", "https://i/openid/v1/jwks", &keys).to_string());
}

#[test]
fn key_files_of_every_form_give_the_same_key() {
    let rsa = rsa_key();
    let id = rsa.verification_key().id();
    for file in [
        include_str!("testdata/rsa.pem"),
        include_str!("testdata/rsa-pkcs8.pem"),
        include_str!("testdata/rsa.pub"),
    ] {
        let keys = VerificationKey::from_pem(file).unwrap();
        assert_eq!(keys.iter().map(|key| key.id()).collect::<Vec<_>>(), [id]);
    }
    let sec1 = SigningKey::from_pem(include_str!("testdata/ec-sec1.pem")).unwrap();
    let public = VerificationKey::from_pem(include_str!("testdata/ec.pub")).unwrap();
    assert_eq!(public, [sec1.verification_key().clone()]);
    let p521 = VerificationKey::from_pem(include_str!("testdata/p521.pub")).unwrap();
    for file in [include_str!("testdata/p521-sec1.pem"), include_str!("testdata/p521-pkcs8.pem")] {
        assert_eq!(VerificationKey::from_pem(file).unwrap(), p521);
    }
    assert_eq!(p521[0].algorithm().name(), "ES512");
    let set = discovery::key_set(&p521);
    assert_eq!((&set["keys"][0]["crv"], &set["keys"][0]["alg"]), (&json!("P-521"), &json!("ES512")));
    assert_eq!(BASE64_URL_SAFE_NO_PAD.decode(set["keys"][0]["x"].as_str().unwrap()).unwrap().len(), 66);
    assert!(matches!(
        SigningKey::from_pem(include_str!("testdata/ec.pub")),
        Err(crate::KeyError::NoPrivateKey)
    ));
    assert!(matches!(VerificationKey::from_pem("nothing"), Err(crate::KeyError::NoPublicKey)));
}

#[test]
fn keys_on_either_curve_sign() {
    for (curve, algorithm, length) in
        [(&rcgen::PKCS_ECDSA_P256_SHA256, "ES256", 32), (&rcgen::PKCS_ECDSA_P384_SHA384, "ES384", 48)]
    {
        let pair = rcgen::KeyPair::generate_for(curve).unwrap();
        let world = World::new(SigningKey::from_pem(&pair.serialize_pem()).unwrap());
        let token = world.token(|_| {});
        assert_eq!(world.ask(&token, "api", 0), OK);
        assert_eq!(world.issuer.verification_key().algorithm().name(), algorithm);
        let public = VerificationKey::from_pem(&pair.public_key_pem()).unwrap();
        assert_eq!(public, [world.issuer.verification_key()]);
        let set = discovery::key_set(&public);
        let x = BASE64_URL_SAFE_NO_PAD.decode(set["keys"][0]["x"].as_str().unwrap()).unwrap();
        assert_eq!(x.len(), length);
    }
}
