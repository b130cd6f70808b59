use expect_test::{Expect, expect};
use serde_json::json;

use super::{ciphers::Cipher, *};

const KEY_1: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const KEY_2: &str = "c2VjcmV0IGlzIHNlY3VyZQ==";

fn configuration(resources: serde_json::Value) -> EncryptionConfiguration {
    let value = json!({
        "apiVersion": "apiserver.config.k8s.io/v1", "kind": "EncryptionConfiguration", "resources": resources,
    });
    serde_json::from_value(value).unwrap()
}

fn rule(resources: &[&str], providers: serde_json::Value) -> serde_json::Value {
    json!({"resources": resources, "providers": providers})
}

fn keys(cipher: &str, named: &[(&str, &str)]) -> serde_json::Value {
    let keys: Vec<_> = named.iter().map(|(name, secret)| json!({"name": name, "secret": secret})).collect();
    json!({ cipher: { "keys": keys } })
}

fn encryption(rules: &[serde_json::Value]) -> Encryption {
    Encryption::new(&configuration(rules.into())).unwrap()
}

fn resource(group: &str, plural: &str) -> Resource {
    Resource::new(plural, true, Vec::new()).named(group, plural)
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn sealed_by(cipher: Cipher, nonce: &str, secret: &str, context: &str, value: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    cipher.seal_by(&bytes(nonce), &bytes(secret), context, value, &mut out).unwrap();
    assert_eq!(cipher.open(&bytes(secret), context, &out).unwrap(), value);
    out
}

/// NIST SP 800-38A, F.2.5: the first block; a second one follows, of padding alone.
#[test]
fn aes_cbc_is_as_its_standard_says() {
    let sealed = sealed_by(
        Cipher::AesCbc,
        "000102030405060708090a0b0c0d0e0f",
        "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",
        "",
        &bytes("6bc1bee22e409f96e93d7e117393172a"),
    );
    assert_eq!(sealed.len(), 16 + 16 + 16);
    assert_eq!(sealed[16..32], bytes("f58c4c04d6e5f1ba779eabfb5f7bfbd6"));
}

/// Test case 14 of the GCM specification.
#[test]
fn aes_gcm_is_as_its_specification_says() {
    let sealed = sealed_by(
        Cipher::AesGcm,
        "000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "",
        &[0; 16],
    );
    assert_eq!(sealed[12..28], bytes("cea7403d4d606b6e074ec5d3baf39d18"));
    assert_eq!(sealed[28..], bytes("d0d1c8a799996bf0265b98b5d48ab919"));
}

/// The example of NaCl's own documentation, "Cryptography in NaCl", section 10.
#[test]
fn secretbox_is_as_nacl_says() {
    let message = bytes(
        "be075fc53c81f2d5cf141316ebeb0c7b5228c52a4c62cbd44b66849b64244ffce5ecbaaf33bd751a1ac728d45e6c61296cdc3c01233561f4
         1db66cce314adb310e3be8250c46f06dceea3a7fa1348057e2f6556ad6b1318a024a838f21af1fde048977eb48f59ffd4924ca1c60902e52
         f0a089bc76897040e082f937763848645e0705",
    );
    let sealed = sealed_by(
        Cipher::Secretbox,
        "69696ee955b62b73cd62bda875fc73d68219e0036b7a0b37",
        "1b27556473e985d462cd51197a9a46c76009549eac6474f206c4ee0844f68389",
        "",
        &message,
    );
    assert_eq!(sealed[24..40], bytes("f3ffc7703f9400e52a7dfb4b3d3305d9"));
    assert_eq!(sealed[40..56], bytes("8e993b9f48681273c29650ba32fc76ce"));
}

#[test]
fn values_begin_with_the_provider_and_the_key_and_open_again() {
    for (cipher, secret) in [("aescbc", KEY_1), ("aescbc", KEY_2), ("aesgcm", KEY_2), ("secretbox", KEY_1)] {
        let encryption = encryption(&[rule(&["secrets"], json!([keys(cipher, &[("key1", secret)])]))]);
        let secrets = resource("", "secrets");
        for length in [0, 1, 15, 16, 17, 1000] {
            let value = vec![b'x'; length];
            let sealed = encryption.seal(&secrets, "/registry/secrets/default/a", &value).unwrap();
            assert!(sealed.starts_with(format!("k8s:enc:{cipher}:v1:key1:").as_bytes()));
            assert_ne!(sealed, encryption.seal(&secrets, "/registry/secrets/default/a", &value).unwrap());
            let opened = encryption.open(&secrets, "/registry/secrets/default/a", &sealed).unwrap();
            assert_eq!((&*opened.value, opened.stale), (&*value, false), "{cipher} {length}");
            for cut in [0, 10, sealed.len() - 1] {
                // Cut or changed bytes are refused, or read as something else by the cipher that cannot tell.
                let _ = encryption.open(&secrets, "/registry/secrets/default/a", &sealed[..cut]);
            }
        }
    }
}

#[test]
fn a_value_moved_to_another_key_of_etcd_does_not_open() {
    let encryption = encryption(&[rule(&["secrets"], json!([keys("aesgcm", &[("a", KEY_1)])]))]);
    let secrets = resource("", "secrets");
    let sealed = encryption.seal(&secrets, "/registry/secrets/default/a", b"{}").unwrap();
    assert!(encryption.open(&secrets, "/registry/secrets/default/b", &sealed).is_err());
}

#[test]
fn every_provider_reads_and_what_another_wrote_is_stale() {
    let secrets = resource("", "secrets");
    let before = encryption(&[rule(&["secrets"], json!([keys("aescbc", &[("old", KEY_1)])]))]);
    let sealed = before.seal(&secrets, "k", b"{}").unwrap();
    let rotated = [
        keys("aescbc", &[("new", KEY_2), ("old", KEY_1)]),
        keys("secretbox", &[("old", KEY_1)]),
        json!({"identity": {}}),
    ];
    let after = encryption(&[rule(&["secrets"], json!(rotated))]);
    let opened = |encryption: &Encryption, value: &[u8]| {
        encryption.open(&secrets, "k", value).map(|opened| (opened.value.into_owned(), opened.stale))
    };
    assert_eq!(opened(&after, &sealed), Ok((b"{}".to_vec(), true)));
    assert_eq!(opened(&after, b"{}"), Ok((b"{}".to_vec(), true)));
    let fresh = after.seal(&secrets, "k", b"{}").unwrap();
    assert_eq!(opened(&after, &fresh), Ok((b"{}".to_vec(), false)));
    assert_eq!(
        opened(&before, b"{}").unwrap_err(),
        "no matching prefix found: no identity provider reads what is not encrypted"
    );
    assert_eq!(
        opened(&before, &fresh).unwrap_err(),
        "no matching key was found for the provided encrypted data"
    );
    assert_eq!(
        opened(&Encryption::default(), &fresh).unwrap_err(),
        "identity transformer tried to read encrypted data"
    );
    // Decrypting everything: identity first.
    let plain =
        encryption(&[rule(&["secrets"], json!([{"identity": {}}, keys("aescbc", &[("old", KEY_1)])]))]);
    assert_eq!(opened(&plain, &sealed), Ok((b"{}".to_vec(), true)));
    assert_eq!(&*plain.seal(&secrets, "k", b"{}").unwrap(), b"{}");
    before.replace(&configuration([rule(&["secrets"], json!(rotated))].as_slice().into())).unwrap();
    assert_eq!(opened(&before, &fresh), Ok((b"{}".to_vec(), false)));
}

#[test]
fn the_first_rule_that_means_a_resource_holds() {
    let key = |name: &str| json!([keys("secretbox", &[(name, KEY_1)])]);
    let encryption = encryption(&[
        rule(&["configmaps"], json!([{"identity": {}}])),
        rule(&["deployments.apps", "secrets"], key("one")),
        rule(&["*.apps"], key("two")),
        rule(&["*."], key("three")),
        rule(&["*.*"], key("four")),
        rule(&["pods"], key("five")),
    ]);
    let written = |group: &str, plural: &str| {
        let sealed = encryption.seal(&resource(group, plural), "k", b"{}").unwrap().into_owned();
        String::from_utf8_lossy(&sealed).split(':').nth(4).unwrap_or("as it is").to_owned()
    };
    let seen: Vec<String> = [
        ("", "configmaps"),
        ("", "secrets"),
        ("apps", "deployments"),
        ("apps", "daemonsets"),
        ("", "pods"),
        ("batch", "jobs"),
        ("stable.example.com", "crontabs"),
        ("", ""),
    ]
    .iter()
    .map(|(group, plural)| format!("{plural}.{group} {}", written(group, plural)))
    .collect();
    expect![[r#"
        configmaps. as it is
        secrets. one
        deployments.apps one
        daemonsets.apps two
        pods. three
        jobs.batch four
        crontabs.stable.example.com four
        . as it is"#]]
    .assert_eq(&seen.join("\n"));
}

#[test]
fn a_wrong_configuration_says_where() {
    let check = |rules: serde_json::Value, expected: Expect| {
        expected.assert_eq(&Encryption::new(&configuration(rules)).unwrap_err().to_string());
    };
    let key = keys("aescbc", &[("a", KEY_1)]);
    check(json!([]), expect!["resources: Required value: provider must contain at least one resource"]);
    check(
        json!([rule(&[], json!([key]))]),
        expect!["resources[0].resources: Required value: provider must contain at least one resource"],
    );
    check(
        json!([rule(&["secrets"], json!([]))]),
        expect!["resources[0].providers: Required value: provider must contain at least one provider"],
    );
    check(
        json!([rule(&["*"], json!([key]))]),
        expect![[
            r#"resources[0].resources[0]: Invalid value: "*": use '*.' to encrypt all the resources from core API group or *.* to encrypt all resources"#
        ]],
    );
    check(
        json!([rule(&["Secrets"], json!([key]))]),
        expect![[
            r#"resources[0].resources[0]: Invalid value: "Secrets": resource name should not contain capital letters"#
        ]],
    );
    check(
        json!([rule(&["secrets", "*."], json!([key]))]),
        expect![[
            r#"resources[0].resources[1]: Invalid value: "*.": using overlapping resources such as 'secrets' and '*.' in the same resource list is not allowed since they will be masked"#
        ]],
    );
    check(
        json!([rule(&["secrets"], json!([{}]))]),
        expect![
            "resources[0].providers[0]: Required value: provider does not contain any of the expected providers: KMS, AESGCM, AESCBC, Secretbox, Identity"
        ],
    );
    check(
        json!([rule(&["secrets"], json!([{"kms": {"apiVersion": "v2", "name": "x"}}]))]),
        expect![
            "resources[0].providers[0].kms.endpoint: Required value: endpoint is a mandatory field for a provider"
        ],
    );
    check(
        json!([rule(
            &["secrets"],
            json!([{"kms": {"apiVersion": "v2", "name": "a:b", "endpoint": "unix:///x"}}])
        )]),
        expect![[
            r#"resources[0].providers[0].kms.name: Invalid value: "a:b": invalid KMS provider name a:b, must not contain ':'"#
        ]],
    );
    check(
        json!([rule(
            &["secrets"],
            json!([{"kms": {"apiVersion": "v2", "name": "a", "endpoint": "tcp://x"}}])
        )]),
        expect![[
            r#"resources[0].providers[0].kms.endpoint: Invalid value: "tcp://x": unsupported scheme "tcp" for KMS provider, only unix is supported"#
        ]],
    );
    check(
        json!([rule(
            &["secrets"],
            json!([{"kms": {"apiVersion": "v2", "name": "a", "endpoint": "unix:///x", "timeout": "0s"}}])
        )]),
        expect![[
            r#"resources[0].providers[0].kms.timeout: Invalid value: "0s": timeout should be a positive value"#
        ]],
    );
    check(
        json!([rule(&["secrets"], json!([{"kms": {"name": "a", "endpoint": "unix:///x"}}]))]),
        expect![[
            r#"resources[0].providers[0].kms.apiVersion: Invalid value: "": KMSv1 is deprecated and will only receive security updates going forward. Use KMSv2 instead"#
        ]],
    );
    check(
        json!([rule(&["secrets"], json!([{"identity": {}, "aescbc": {"keys": []}}]))]),
        expect![
            "resources[0].providers[0]: Invalid value: more than one provider specified in a single element, should split into different list elements"
        ],
    );
    check(
        json!([rule(&["secrets"], json!([{"aescbc": {"keys": []}}]))]),
        expect![
            "resources[0].providers[0].aescbc.keys: Required value: aescbc must contain at least one key"
        ],
    );
    check(
        json!([rule(&["secrets"], json!([keys("secretbox", &[("a", KEY_2)])]))]),
        expect![[
            r#"resources[0].providers[0].secretbox.keys[0].secret: Invalid value: "REDACTED": secret is not of the expected length, got 16, expected one of [32]"#
        ]],
    );
    check(
        json!([rule(&["secrets"], json!([keys("aescbc", &[("a", "not base64")])]))]),
        expect![[
            r#"resources[0].providers[0].aescbc.keys[0].secret: Invalid value: "REDACTED": secret must be base64 encoded"#
        ]],
    );
    check(
        json!([rule(&["secrets"], json!([keys("aescbc", &[("", KEY_1)])]))]),
        expect!["resources[0].providers[0].aescbc.keys[0].name: Required value: name must be specified"],
    );
}
