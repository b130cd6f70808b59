use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use expect_test::{Expect, expect};
use ring::rand::SystemRandom;
use ring::signature::{self, EcdsaKeyPair, KeyPair as _, RsaKeyPair};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::json;

use super::*;

const URL: &str = "https://issuer.example.org";

fn encode(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// Signs as an issuer does.
struct Signer {
    id: &'static str,
    pair: Pair,
}

enum Pair {
    Ec(Box<EcdsaKeyPair>, usize),
    Rsa(Box<RsaKeyPair>),
    P521(Box<crate::keys::SigningKey>),
}

impl Signer {
    fn ec(id: &'static str, algorithm: &'static signature::EcdsaSigningAlgorithm, length: usize) -> Self {
        let random = SystemRandom::new();
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).unwrap();
        Self { id, pair: Pair::Ec(Box::new(pair), length) }
    }

    fn p256(id: &'static str) -> Self {
        Self::ec(id, &signature::ECDSA_P256_SHA256_FIXED_SIGNING, 32)
    }

    fn p384(id: &'static str) -> Self {
        Self::ec(id, &signature::ECDSA_P384_SHA384_FIXED_SIGNING, 48)
    }

    fn p521(id: &'static str) -> Self {
        let pem = include_str!("../service_account/testdata/p521-sec1.pem");
        let key = crate::keys::SigningKey::from_pem(pem).unwrap();
        Self { id, pair: Pair::P521(Box::new(key)) }
    }

    fn rsa(id: &'static str) -> Self {
        let pem = include_bytes!("../service_account/testdata/rsa.pem");
        let key = PrivateKeyDer::from_pem_slice(pem).unwrap();
        let pair = RsaKeyPair::from_der(key.secret_der())
            .or_else(|_| RsaKeyPair::from_pkcs8(key.secret_der()))
            .unwrap();
        Self { id, pair: Pair::Rsa(Box::new(pair)) }
    }

    fn jwk(&self) -> Value {
        match &self.pair {
            Pair::Ec(pair, length) => {
                let point = pair.public_key().as_ref();
                let curve = if *length == 32 { "P-256" } else { "P-384" };
                let (x, y) = point[1..].split_at(*length);
                json!({"kty": "EC", "crv": curve, "kid": self.id, "use": "sig", "x": encode(x), "y": encode(y)})
            }
            Pair::P521(key) => {
                let (x, y) = key.verification_key().point().unwrap();
                json!({"kty": "EC", "crv": "P-521", "kid": self.id, "x": encode(x), "y": encode(y)})
            }
            Pair::Rsa(pair) => {
                let public = crate::keys::VerificationKey::from_pem(include_str!(
                    "../service_account/testdata/rsa.pem"
                ))
                .unwrap()
                .remove(0);
                assert_eq!(pair.public().modulus_len(), 256);
                let (modulus, exponent) = public.rsa_parts().unwrap();
                json!({"kty": "RSA", "kid": self.id, "n": encode(modulus), "e": encode(exponent)})
            }
        }
    }

    fn sign(&self, algorithm: &str, claims: &Value) -> String {
        let header = json!({"alg": algorithm, "kid": self.id});
        let signed = format!("{}.{}", encode(header.to_string()), encode(claims.to_string()));
        let random = SystemRandom::new();
        let mac = match &self.pair {
            Pair::Ec(pair, _) => pair.sign(&random, signed.as_bytes()).unwrap().as_ref().to_vec(),
            Pair::P521(key) => key.sign(signed.as_bytes()).unwrap(),
            Pair::Rsa(pair) => {
                let mut mac = vec![0; pair.public().modulus_len()];
                let padding: &dyn signature::RsaEncoding = match algorithm {
                    "RS256" => &signature::RSA_PKCS1_SHA256,
                    "RS384" => &signature::RSA_PKCS1_SHA384,
                    "RS512" => &signature::RSA_PKCS1_SHA512,
                    "PS256" => &signature::RSA_PSS_SHA256,
                    "PS384" => &signature::RSA_PSS_SHA384,
                    _ => &signature::RSA_PSS_SHA512,
                };
                pair.sign(padding, &random, signed.as_bytes(), &mut mac).unwrap();
                mac
            }
        };
        format!("{signed}.{}", encode(mac))
    }
}

fn now() -> Timestamp {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

fn section(mappings: Value, more: Value) -> JwtAuthenticator {
    let mut section = json!({
        "issuer": {"url": URL, "audiences": ["cluster"]},
        "claimMappings": mappings,
    });
    for (key, value) in more.as_object().unwrap() {
        section[key] = value.clone();
    }
    serde_json::from_value(section).unwrap()
}

fn issuer(mappings: Value, more: Value) -> JwtIssuer {
    issuers(vec![section(mappings, more)], &[]).unwrap().remove(0)
}

fn plain() -> JwtIssuer {
    issuer(json!({"username": {"claim": "sub", "prefix": "oidc:"}}), json!({}))
}

fn key_set(signers: &[&Signer]) -> Arc<KeySet> {
    let keys: Vec<Value> = signers.iter().map(|signer| signer.jwk()).collect();
    Arc::new(KeySet::read(json!({"keys": keys}).to_string().as_bytes()).unwrap())
}

fn claims(more: Value) -> Value {
    let mut claims = json!({"iss": URL, "sub": "jane", "aud": "cluster", "exp": now().as_second() + 600});
    for (key, value) in more.as_object().unwrap() {
        claims[key] = value.clone();
    }
    claims
}

fn show(verdict: Verdict) -> String {
    match verdict {
        Verdict::User(user, _) => {
            format!("{} uid={} {:?} {:?}", user.name, user.uid, user.groups, user.extra)
        }
        Verdict::Refused(why) => why,
        other => format!("{other:?}"),
    }
}

#[test]
fn every_algorithm_is_checked_by_its_own_keys() {
    let signers = [Signer::p256("ec"), Signer::p384("ec384"), Signer::rsa("rsa"), Signer::p521("ec521")];
    let issuer = plain();
    assert_eq!(issuer.verify(&signers[0].sign("ES256", &claims(json!({}))), now()), Verdict::NeedsKeys);
    issuer.learn(key_set(&signers.each_ref()));
    for (signer, algorithm) in [
        (0, "ES256"),
        (1, "ES384"),
        (2, "RS256"),
        (2, "RS384"),
        (2, "RS512"),
        (2, "PS256"),
        (2, "PS384"),
        (2, "PS512"),
        (3, "ES512"),
    ] {
        let token = signers[signer].sign(algorithm, &claims(json!({})));
        assert_eq!(show(issuer.verify(&token, now())), "oidc:jane uid= [] {}", "{algorithm}");
        let (signed, mac) = token.rsplit_once('.').unwrap();
        let mut mac = BASE64_URL_SAFE_NO_PAD.decode(mac).unwrap();
        mac[10] ^= 1;
        assert_eq!(
            show(issuer.verify(&format!("{signed}.{}", encode(mac)), now())),
            "oidc: verify token: failed to verify signature: failed to verify id token signature"
        );
    }
    for confused in ["none", "HS256"] {
        let said = show(issuer.verify(&signers[0].sign(confused, &claims(json!({}))), now()));
        assert!(
            said.contains("unsupported algorithm") && said.ends_with(&format!("got {confused:?}")),
            "{said}"
        );
    }
    // What a key has signed under the name of another kind's algorithm, or of another curve's.
    for (signer, algorithm) in
        [(2, "ES256"), (2, "ES512"), (3, "ES256"), (3, "ES384"), (0, "ES512"), (1, "RS256")]
    {
        let said = show(issuer.verify(&signers[signer].sign(algorithm, &claims(json!({}))), now()));
        assert!(said.contains("failed to verify signature"), "{algorithm}: {said}");
    }
}

#[test]
fn a_key_that_is_not_known_is_asked_for() {
    let (old, new) = (Signer::p256("old"), Signer::p256("new"));
    let issuer = plain();
    issuer.learn(key_set(&[&old]));
    let token = new.sign("ES256", &claims(json!({})));
    assert_eq!(issuer.verify(&token, now()), Verdict::NeedsKeys);
    issuer.learn(key_set(&[&new]));
    assert!(matches!(issuer.verify(&token, now()), Verdict::User(..)));
    assert_eq!(issuer.verify(&old.sign("ES256", &claims(json!({}))), now()), Verdict::NeedsKeys);
    // Of the right id, but another key.
    let thief = Signer::p256("new");
    assert!(matches!(issuer.verify(&thief.sign("ES256", &claims(json!({}))), now()), Verdict::Refused(_)));
}

#[test]
fn times_audiences_and_issuers_are_checked() {
    let signer = Signer::p256("k");
    let issuer = plain();
    issuer.learn(key_set(&[&signer]));
    let check = |more: Value, expected: Expect| {
        expected.assert_eq(&show(issuer.verify(&signer.sign("ES256", &claims(more)), now())));
    };
    let at = now().as_second();
    check(json!({"iss": "https://other.example.org"}), expect!["Foreign"]);
    check(
        json!({"exp": at - 1}),
        expect!["oidc: verify token: oidc: token is expired (Token Expiry: 2026-11-21 11:59:59 +0000 UTC)"],
    );
    check(json!({"exp": at as f64 + 0.5}), expect!["oidc:jane uid= [] {}"]);
    check(json!({"nbf": at + 299}), expect!["oidc:jane uid= [] {}"]);
    check(
        json!({"nbf": at + 301}),
        expect![
            "oidc: verify token: oidc: current time 2026-11-21 12:00:00 +0000 UTC before the nbf (not before) time: 2026-11-21 12:05:01 +0000 UTC"
        ],
    );
    check(
        json!({"aud": ["a", "b"]}),
        expect![[r#"oidc: verify token: oidc: expected audience "cluster" got ["a" "b"]"#]],
    );
    // One audience is looked for before anything else, several after all else.
    check(
        json!({"aud": "a", "exp": at - 1}),
        expect![[r#"oidc: verify token: oidc: expected audience "cluster" got ["a"]"#]],
    );
    let mut section = plain().section().clone();
    section.issuer.audiences = vec!["z".to_owned(), "cluster".to_owned()];
    section.issuer.audience_match_policy = "MatchAny".to_owned();
    let several = issuers(vec![section], &[]).unwrap().remove(0);
    several.learn(key_set(&[&signer]));
    for (more, expected) in [
        (
            json!({"aud": ["a", "b"]}),
            r#"oidc: verify token: oidc: expected audience in ["cluster" "z"] got ["a" "b"]"#,
        ),
        (
            json!({"aud": "a", "exp": at - 1}),
            "oidc: verify token: oidc: token is expired (Token Expiry: 2026-11-21 11:59:59 +0000 UTC)",
        ),
        (json!({"aud": "z"}), "oidc:jane uid= [] {}"),
    ] {
        assert_eq!(show(several.verify(&signer.sign("ES256", &claims(more)), now())), expected);
    }
    check(json!({"aud": ["a", "cluster"]}), expect!["oidc:jane uid= [] {}"]);
    assert_eq!(issuer.verify("no token", now()), Verdict::Foreign);
    assert_eq!(issuer.verify(&"a".repeat(100_000), now()), Verdict::Foreign);
}

#[test]
fn claims_become_a_user() {
    let signer = Signer::p256("k");
    let told = |mappings: Value, more: Value, said: Value| {
        let issuer = issuer(mappings, more);
        issuer.learn(key_set(&[&signer]));
        show(issuer.verify(&signer.sign("ES256", &claims(said)), now()))
    };
    let check = |mappings: Value, more: Value, said: Value, expected: Expect| {
        expected.assert_eq(&told(mappings, more, said));
    };
    let claim = |name: &str| json!({"username": {"claim": name, "prefix": ""}});
    check(
        json!({"username": {"claim": "sub", "prefix": "a:"}, "groups": {"claim": "roles", "prefix": "g:"},
            "uid": {"claim": "oid"}}),
        json!({}),
        json!({"roles": ["x", "y"], "oid": "7", "jti": "t-1"}),
        expect![[
            r#"a:jane uid=7 ["g:x", "g:y"] {"authentication.kubernetes.io/credential-id": ["JTI=t-1"]}"#
        ]],
    );
    check(
        json!({"username": {"claim": "sub", "prefix": ""}, "groups": {"claim": "role", "prefix": ""}}),
        json!({}),
        json!({"role": "one"}),
        expect![[r#"jane uid= ["one"] {}"#]],
    );
    check(
        json!({
            "username": {"expression": "claims.preferred_username + ':external'"},
            "groups": {"expression": "claims.roles.split(',')"},
            "uid": {"expression": "claims.oid"},
            "extra": [{"key": "example.org/tenant", "valueExpression": "claims.tenant"},
                {"key": "example.org/none", "valueExpression": "''"}],
        }),
        json!({}),
        json!({"preferred_username": "j", "roles": "a,b", "oid": "9", "tenant": ["t1", "t2"]}),
        expect![[r#"j:external uid=9 ["a", "b"] {"example.org/tenant": ["t1", "t2"]}"#]],
    );
    check(
        claim("email"),
        json!({}),
        json!({"email": "j@x", "email_verified": true}),
        expect!["j@x uid= [] {}"],
    );
    check(
        claim("email"),
        json!({}),
        json!({"email": "j@x", "email_verified": false}),
        expect!["oidc: email not verified"],
    );
    check(
        claim("email"),
        json!({}),
        json!({"email": "j@x", "email_verified": "yes"}),
        expect![
            "oidc: parse 'email_verified' claim: json: cannot unmarshal string into Go value of type bool"
        ],
    );
    check(
        claim("login"),
        json!({}),
        json!({"login": 7}),
        expect![[
            r#"oidc: parse username claims "login": json: cannot unmarshal number into Go value of type string"#
        ]],
    );
    let mapped = |groups: Value, uid: Value| json!({"username": {"claim": "sub", "prefix": ""}, "groups": groups, "uid": uid});
    let plain = || json!({"claim": "g", "prefix": "a:"});
    let extra = |expression: &str| json!({"username": {"claim": "sub", "prefix": ""}, "extra": [{"key": "x.example/y", "valueExpression": expression}]});
    for (mappings, expected) in [
        (mapped(plain(), json!({"claim": "n"})), r#"jane uid= ["a:x", "a:"] {}"#),
        (
            mapped(plain(), json!({"claim": "o"})),
            r#"oidc: parse uid claim "o": json: cannot unmarshal object into Go value of type string"#,
        ),
        (
            mapped(json!({"claim": "l", "prefix": ""}), json!({})),
            r#"oidc: parse groups claim "l": json: cannot unmarshal array into Go value of type string"#,
        ),
        (
            mapped(json!({"claim": "o", "prefix": ""}), json!({})),
            r#"oidc: parse groups claim "o": json: cannot unmarshal object into Go value of type string"#,
        ),
        (mapped(json!({"claim": "n", "prefix": ""}), json!({})), "jane uid= [] {}"),
        (
            mapped(json!({"expression": "claims.l"}), json!({})),
            "oidc: error evaluating group claim expression: expression must return a string or a list of strings",
        ),
        (
            mapped(json!({}), json!({"expression": "claims.l"})),
            "oidc: error evaluating uid claim expression: uid claim expression must return a string",
        ),
        (
            extra("claims.l"),
            "oidc: error evaluating extra claim expression: claims.l: expression must return a string or a list of strings",
        ),
        (extra("claims.none"), "expression 'claims.none' resulted in error: no such key: none"),
        (
            json!({"username": {"expression": "claims.l"}}),
            "oidc: error evaluating username claim expression: username claim expression must return a string",
        ),
    ] {
        let said = json!({"g": ["x", null], "l": [7], "n": null, "o": {}});
        assert_eq!(told(mappings, json!({}), said), expected);
    }
    check(
        claim("login"),
        json!({}),
        json!({}),
        expect![[r#"oidc: parse username claims "login": claim not present"#]],
    );
    check(
        json!({"username": {"expression": "claims.nick"}}),
        json!({}),
        json!({"nick": ""}),
        expect!["oidc: empty username via CEL expression is not allowed"],
    );
    let rules = json!({
        "claimValidationRules": [
            {"claim": "hd", "requiredValue": "example.org"},
            {"expression": "claims.level >= 2", "message": "too low"}],
        "userValidationRules": [
            {"expression": "!user.username.startsWith('system:')", "message": "reserved"}],
    });
    check(claim("sub"), rules.clone(), json!({"hd": "example.org", "level": 2}), expect!["jane uid= [] {}"]);
    check(
        claim("sub"),
        rules.clone(),
        json!({"level": 2}),
        expect!["oidc: required claim hd not present in ID token"],
    );
    check(
        claim("sub"),
        rules.clone(),
        json!({"hd": "x", "level": 2}),
        expect!["oidc: required claim hd value does not match. Got = x, want = example.org"],
    );
    check(
        claim("sub"),
        rules.clone(),
        json!({"hd": "example.org", "level": 1}),
        expect![
            "oidc: error evaluating claim validation expression: validation expression 'claims.level >= 2' failed: too low"
        ],
    );
    check(
        claim("sub"),
        rules,
        json!({"hd": "example.org", "level": 2, "sub": "system:admin"}),
        expect![
            "oidc: error evaluating user info validation rule: validation expression '!user.username.startsWith('system:')' failed: reserved"
        ],
    );
}

#[test]
fn claims_are_required_before_rules_are_asked() {
    let signer = Signer::p256("k");
    for (rules, expected) in [
        (
            json!([{"expression": "false"}, {"claim": "hd", "requiredValue": "x"}]),
            "oidc: required claim hd not present in ID token",
        ),
        (
            json!([{"expression": "false"}, {"expression": "claims.none == 1"}]),
            "oidc: error evaluating claim validation expression: expression 'claims.none == 1' resulted in error: no such key: none",
        ),
        (
            json!([{"expression": "false"}]),
            "oidc: error evaluating claim validation expression: validation expression 'false' failed: ",
        ),
        (
            json!([{"expression": "claims.sub"}]),
            "oidc: error evaluating claim validation expression: validation expression must return a boolean",
        ),
    ] {
        let issuer = issuer(
            json!({"username": {"claim": "sub", "prefix": ""}}),
            json!({"claimValidationRules": rules}),
        );
        issuer.learn(key_set(&[&signer]));
        assert_eq!(show(issuer.verify(&signer.sign("ES256", &claims(json!({}))), now())), expected);
    }
}

#[test]
fn a_wrong_section_says_where() {
    let check = |section: Value, expected: Expect| {
        let section: JwtAuthenticator = serde_json::from_value(section).unwrap();
        let errors = issuers(vec![section], &["https://own".to_owned()]).err().unwrap_or_default();
        let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
        expected.assert_eq(&errors.join("\n"));
    };
    let of_issuer = |issuer: Value| json!({"issuer": issuer, "claimMappings": {"username": {"claim": "sub", "prefix": ""}}});
    let of_mappings =
        |mappings: Value| json!({"issuer": {"url": URL, "audiences": ["a"]}, "claimMappings": mappings});
    check(
        json!({}),
        expect![[r#"
            jwt[0].issuer.url: Required value: URL is required
            jwt[0].issuer.audiences: Required value: at least one jwt[0].issuer.audiences is required
            jwt[0].claimMappings.username: Required value: claim or expression is required"#]],
    );
    check(
        of_issuer(json!({"url": "https://own", "audiences": ["a"]})),
        expect![[
            r#"jwt[0].issuer.url: Invalid value: "https://own": URL must not overlap with disallowed issuers: [https://own]"#
        ]],
    );
    check(
        of_issuer(json!({"url": "http://u:p@x?q=1#f", "audiences": ["a", "a", ""],
            "certificateAuthority": "x", "discoveryURL": "http://u:p@x?q=1#f"})),
        expect![[r#"
            jwt[0].issuer.url: Invalid value: "http://u:p@x?q=1#f": URL scheme must be https
            jwt[0].issuer.url: Invalid value: "http://u:p@x?q=1#f": URL must not contain a username or password
            jwt[0].issuer.url: Invalid value: "http://u:p@x?q=1#f": URL must not contain a query
            jwt[0].issuer.url: Invalid value: "http://u:p@x?q=1#f": URL must not contain a fragment
            jwt[0].issuer.discoveryURL: Invalid value: "http://u:p@x?q=1#f": discoveryURL must be different from URL
            jwt[0].issuer.discoveryURL: Invalid value: "http://u:p@x?q=1#f": URL scheme must be https
            jwt[0].issuer.discoveryURL: Invalid value: "http://u:p@x?q=1#f": URL must not contain a username or password
            jwt[0].issuer.discoveryURL: Invalid value: "http://u:p@x?q=1#f": URL must not contain a query
            jwt[0].issuer.discoveryURL: Invalid value: "http://u:p@x?q=1#f": URL must not contain a fragment
            jwt[0].issuer.audiences[1]: Duplicate value: "a"
            jwt[0].issuer.audiences[2]: Required value: audience can't be empty
            jwt[0].issuer.audienceMatchPolicy: Invalid value: "": audienceMatchPolicy must be MatchAny for multiple audiences
            jwt[0].issuer.certificateAuthority: Invalid value: "<omitted>": data does not contain any valid RSA or ECDSA certificates"#]],
    );
    check(
        of_mappings(json!({"username": {"claim": "sub"}, "groups": {"claim": "g", "expression": "claims.g"},
            "uid": {"claim": "u", "expression": "claims.u"},
            "extra": [{"key": "foo", "valueExpression": "claims.x"}, {"key": "x.k8s.io/a"},
                {"key": "Example.org/a", "valueExpression": "claims.x"},
                {"key": "K8s.io/a b", "valueExpression": "claims.x"}, {"key": "k8s.io/", "valueExpression": "claims.x"}]})),
        expect![[r#"
            jwt[0].claimMappings.username.prefix: Required value: prefix is required when claim is set. It can be set to an empty string to disable prefixing
            jwt[0].claimMappings.groups: Invalid value: "": claim and expression can't both be set
            jwt[0].claimMappings.uid: Invalid value: "": claim and expression can't both be set
            jwt[0].claimMappings.extra[0].key: Invalid value: "foo": must be a domain-prefixed path (such as "acme.io/foo")
            jwt[0].claimMappings.extra[1].key: Invalid value: "x.k8s.io/a": k8s.io, kubernetes.io and their subdomains are reserved for Kubernetes use
            jwt[0].claimMappings.extra[1].valueExpression: Required value
            jwt[0].claimMappings.extra[2].key: Invalid value: "Example.org": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')
            jwt[0].claimMappings.extra[2].key: Invalid value: "Example.org/a": must be lowercase
            jwt[0].claimMappings.extra[3].key: Invalid value: "K8s.io": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')
            jwt[0].claimMappings.extra[3].key: Invalid value: "a b": Invalid path (regex used for validation is '[A-Za-z0-9/\-._~%!$&'()*+,;=:]+')
            jwt[0].claimMappings.extra[3].key: Invalid value: "K8s.io/a b": must be lowercase
            jwt[0].claimMappings.extra[4].key: Invalid value: "k8s.io/": must be a domain-prefixed path (such as "acme.io/foo")
            jwt[0].claimMappings.extra[4].key: Invalid value: "k8s.io/": k8s.io, kubernetes.io and their subdomains are reserved for Kubernetes use"#]],
    );
    // A prefix of no claim says nothing.
    check(
        of_mappings(json!({"username": {"expression": "gone", "prefix": "p"}, "groups": {"prefix": "g"}})),
        expect![[r#"
            jwt[0].claimMappings.username.prefix: Invalid value: "p": may not be specified when expression is set
            jwt[0].claimMappings.username.expression: Invalid value: "gone": compilation failed: ERROR: <input>:1:1: undeclared reference to 'gone' (in container '')
             | gone
             | ^"#]],
    );
    check(
        json!({"issuer": {"url": URL, "audiences": ["a"]},
            "claimMappings": {"username": {"expression": "claims.email"}},
            "claimValidationRules": [{}, {"claim": "a", "expression": "true"}, {"claim": "a", "message": "m"},
                {"expression": "true", "requiredValue": "x"}, {"expression": "true"}],
            "userValidationRules": [{}, {"expression": "user.uid == 'x'"}, {"expression": "user.uid == 'x'"}]}),
        expect![[r#"
            jwt[0].claimValidationRules[0]: Required value: claim or expression is required
            jwt[0].claimValidationRules[1]: Invalid value: "a": claim and expression can't both be set
            jwt[0].claimValidationRules[2].message: Invalid value: "m": may not be specified when claim is set
            jwt[0].claimValidationRules[3].requiredValue: Invalid value: "x": may not be specified when expression is set
            jwt[0].claimValidationRules[4].expression: Duplicate value: "true"
            jwt[0].claimMappings.username.expression: Invalid value: "claims.email": claims.email_verified must be used in claimMappings.username.expression or claimMappings.extra[*].valueExpression or claimValidationRules[*].expression when claims.email is used in claimMappings.username.expression
            jwt[0].userValidationRules[0].expression: Required value
            jwt[0].userValidationRules[2].expression: Duplicate value: "user.uid == 'x'""#]],
    );
    for (mappings, why) in [
        (json!({"username": {"expression": "1 + 1"}}), "must evaluate to one of [string any]"),
        (
            json!({"username": {"expression": "user.username"}}),
            "compilation failed: ERROR: <input>:1:1: undeclared reference to 'user' (in container '')\n | user.username\n | ^",
        ),
        (
            json!({"username": {"claim": "sub", "prefix": ""}, "groups": {"expression": "[1]"}}),
            "must evaluate to one of [any string list]",
        ),
    ] {
        let error = issuers(vec![section(mappings, json!({}))], &[]).err().unwrap()[0].to_string();
        assert!(error.contains(why), "{error}");
    }
    let section = section(json!({"username": {"expression": "claims."}}), json!({}));
    let errors = issuers(vec![section.clone(), section], &[]).err().unwrap();
    assert!(errors[0].to_string().contains("compilation failed"), "{}", errors[0]);
    assert!(errors.iter().any(|error| error.to_string().starts_with("jwt[1].issuer.url: Duplicate value")));
}

#[test]
fn names_made_of_addresses_need_verified_ones() {
    for (username, rule, refused) in [
        ("claims.email", "true", true),
        ("claims.?email.orValue('')", "true", true),
        ("has(claims.email) ? claims.sub : ''", "true", true),
        ("[claims.email].filter(one, true)[0]", "true", true),
        ("claims.email", "claims.email_verified == true", false),
        ("claims.email", "claims.?email_verified.orValue(true) == true", false),
        ("claims.email_verified ? claims.email : ''", "true", false),
        ("claims.emails", "true", false),
        ("'claims.email' + claims.sub", "true", false),
        ("claims['email']", "true", false),
        ("claims.email", "claims['email_verified'] == true", true),
    ] {
        let section = json!({"issuer": {"url": URL, "audiences": ["a"]},
            "claimMappings": {"username": {"expression": username}}, "claimValidationRules": [{"expression": rule}]});
        let errors = issuers(vec![serde_json::from_value(section).unwrap()], &[]).err().unwrap_or_default();
        let found: Vec<String> = errors.iter().map(ToString::to_string).collect();
        assert_eq!(!found.is_empty(), refused, "{username}, {rule}: {found:?}");
    }
}

#[test]
fn discovery_names_the_keys_of_the_right_issuer() {
    let issuer = plain();
    assert_eq!(issuer.discovery_url(), "https://issuer.example.org/.well-known/openid-configuration");
    let document = json!({"issuer": URL, "jwks_uri": "https://keys"}).to_string();
    assert_eq!(issuer.read_discovery(document.as_bytes()).as_deref(), Ok("https://keys"));
    let other = json!({"issuer": "https://other", "jwks_uri": "https://keys"}).to_string();
    assert_eq!(
        issuer.read_discovery(other.as_bytes()).unwrap_err(),
        r#"oidc: issuer did not match the issuer returned by provider, expected "https://issuer.example.org" got "https://other""#
    );
    assert!(KeySet::read(b"[]").is_err());
    let odd = json!({"keys": [{"kty": "OKP"}, {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}, 3]});
    assert!(KeySet::read(odd.to_string().as_bytes()).unwrap().is_empty());
}
