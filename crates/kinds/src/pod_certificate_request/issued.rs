//! What a signer hands out: certificates of the key that was asked for, for no longer than was asked for.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;

use super::{SPEC, asked_key};
use crate::pem::Blocks;
use crate::pod_certificate_request::key::Key;
use strategy::field::{Errors, Path};
use strategy::read::Read;

const CHAIN: Path<'static> = Path::root("status.certificateChain");
const NOT_BEFORE: Path<'static> = Path::root("status.notBefore");
const NOT_AFTER: Path<'static> = Path::root("status.notAfter");
const BEGIN_REFRESH: Path<'static> = Path::root("status.beginRefreshAt");
const LONGEST_CHAIN: usize = 100 * 1024;
const SHORTEST_LIFE: SignedDuration = SignedDuration::from_hours(1);
/// How far renewal is from either end of a certificate's life.
const MARGIN: SignedDuration = SignedDuration::from_mins(10);
/// How far a certificate's beginning may be from now.
const SKEW: SignedDuration = SignedDuration::from_mins(5);

/// Validates the status of a request that is answered with certificates. The first thing that is wrong is told, as
/// upstream does.
pub fn validate(status: &Value, spec: &Value, errors: &mut Errors) {
    let chain = status.text("certificateChain");
    if chain.len() > LONGEST_CHAIN {
        errors.too_long(&CHAIN, LONGEST_CHAIN);
        return;
    }
    let mut blocks = Blocks::of(chain);
    let Some(first) = blocks.next() else {
        errors.invalid(&CHAIN, chain, "issued certificate chain must contain at least one certificate");
        return;
    };
    if first.kind != "CERTIFICATE" {
        let why = "issued certificate chain must consist entirely of CERTIFICATE PEM blocks";
        errors.invalid(&CHAIN, chain, why);
        return;
    }
    let Some(leaf) = first.certificate() else {
        errors.invalid(&CHAIN, chain, "leaf certificate does not parse as valid X.509");
        return;
    };
    validate_names(&leaf, errors);
    let Some(asked) = asked_key(spec) else {
        let why = "must be a valid PKIX-serialized public key";
        errors.invalid(&SPEC.child("pkixPublicKey"), spec["pkixPublicKey"].clone(), why);
        return;
    };
    if Key::of(leaf.public_key()) != Some(asked) {
        errors.invalid(&CHAIN, chain, "leaf certificate was not issued to the requested public key");
        return;
    }
    if !validate_times(status, spec, &leaf, errors) {
        return;
    }
    for block in blocks {
        let why = match block.certificate() {
            // Upstream's spelling.
            _ if block.kind != "CERTIFICATE" => {
                "issued certificate chain must consist entirely of CERTFICATE PEM blocks"
            }
            Some(_) => continue,
            None => "intermediate certificate does not parse as valid X.509",
        };
        errors.invalid(&CHAIN, chain, why);
        return;
    }
}

/// Validates that a certificate which is issued now begins about now.
pub fn validate_beginning(status: &Value, now: Timestamp, errors: &mut Errors) {
    let Some(begins) = time(status, "notBefore") else { return };
    if begins.duration_since(now).abs() >= SKEW {
        let why = "must be set to within 5 minutes of kube-apiserver's current time";
        invalid_time(&NOT_BEFORE, begins, why, errors);
    }
}

fn validate_names(leaf: &X509Certificate<'_>, errors: &mut Errors) {
    let Ok(Some(names)) = leaf.subject_alternative_name() else { return };
    for name in &names.value.general_names {
        match name {
            GeneralName::DNSName(name) => {
                let name = *name;
                if name.is_empty() {
                    errors.invalid(&CHAIN, name, "leaf certificate should not contain empty DNSName");
                }
                if name.contains("..") {
                    errors.invalid(&CHAIN, name, "leaf certificate's DNSName should not contain '..'");
                }
                if name.starts_with('.') || name.ends_with('.') {
                    let why = "leaf certificate's DNSName should not start or end with '.'";
                    errors.invalid(&CHAIN, name, why);
                }
            }
            GeneralName::RFC822Name(address) if !is_address(address) => {
                let why = "leaf certificate should not contain invalid EmailAddress";
                errors.invalid(&CHAIN, *address, why);
            }
            _ => {}
        }
    }
}

/// Somebody at some place.
fn is_address(text: &str) -> bool {
    let is_word = |word: &str| {
        !word.is_empty()
            && word.split('.').all(|part| !part.is_empty())
            && !word.contains(['<', '>', '(', ')', ','])
    };
    text.bytes().all(|byte| byte.is_ascii_graphic())
        && text
            .rsplit_once('@')
            .is_some_and(|(who, place)| is_word(who) && is_word(place) && !who.contains('@'))
}

/// Validates when the certificate's life begins and ends, and when it is renewed; says whether all is well.
fn validate_times(status: &Value, spec: &Value, leaf: &X509Certificate<'_>, errors: &mut Errors) -> bool {
    let before = errors.len();
    let (begins, ends) = (time(status, "notBefore"), time(status, "notAfter"));
    let renews = time(status, "beginRefreshAt");
    let consistent = "must be present and consistent with the issued certificate";
    if begins.is_none() {
        errors.required(&NOT_BEFORE, consistent);
    }
    if ends.is_none() {
        errors.required(&NOT_AFTER, consistent);
    }
    if renews.is_none() {
        errors.required(&BEGIN_REFRESH, "must be present and in the range [notbefore+10min, notafter-10min]");
    }
    let (Some(begins), Some(ends), Some(renews)) = (begins, ends, renews) else { return false };
    let validity = leaf.validity();
    // One without an end (RFC 5280, 4.1.2.5) ends later than a timestamp can be.
    let moment = |time: x509_parser::time::ASN1Time| {
        Timestamp::from_second(time.timestamp()).unwrap_or(Timestamp::MAX)
    };
    let (not_before, not_after) = (moment(validity.not_before), moment(validity.not_after));
    let life = not_after.duration_since(not_before);
    let longest = spec.int("maxExpirationSeconds").unwrap_or(0);
    if begins != not_before {
        let why = "must be set to the NotBefore time encoded in the leaf certificate";
        invalid_time(&NOT_BEFORE, begins, why, errors);
    } else if ends != not_after {
        let why = "must be set to the NotAfter time encoded in the leaf certificate";
        invalid_time(&NOT_AFTER, ends, why, errors);
    } else if life < SHORTEST_LIFE {
        let why = format!("{}: leaf certificate lifetime must be >= 1 hour", in_words(life));
        errors.invalid_unshown(&CHAIN, why);
    } else if life > SignedDuration::from_secs(longest) {
        let why = format!("leaf certificate lifetime must be <= spec.maxExpirationSeconds ({longest})");
        errors.invalid_unshown(&CHAIN, format!("{}: {why}", in_words(life)));
    } else if renews.duration_since(begins) < MARGIN {
        let why = "must be at least 10 minutes after status.notBefore";
        invalid_time(&BEGIN_REFRESH, renews, why, errors);
    } else if ends.duration_since(renews) < MARGIN {
        let why = "must be at least 10 minutes before status.notAfter";
        invalid_time(&BEGIN_REFRESH, renews, why, errors);
    }
    errors.len() == before
}

fn time(status: &Value, key: &str) -> Option<Timestamp> {
    apimachinery::time::parse(status.text(key))
}

/// As upstream writes times in errors: Go's own form, without quotes.
fn invalid_time(path: &Path, time: Timestamp, why: &str, errors: &mut Errors) {
    errors.invalid_unshown(path, format!("{}: {why}", time.strftime("%Y-%m-%d %H:%M:%S +0000 UTC")));
}

/// As Go writes spans of whole seconds.
fn in_words(span: SignedDuration) -> String {
    let sign = if span.is_negative() { "-" } else { "" };
    let seconds = span.as_secs().unsigned_abs();
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{sign}{seconds}s"),
        (0, minutes, seconds) => format!("{sign}{minutes}m{seconds}s"),
        (hours, minutes, seconds) => format!("{sign}{hours}h{minutes}m{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::prelude::BASE64_STANDARD;
    use rcgen::{CertificateParams, DnType, KeyPair, PublicKeyData, SanType};
    use serde_json::json;
    use strategy::testing::found;
    use time::OffsetDateTime;

    const BEGINS: i64 = 1_800_000_000;

    struct Case {
        begins: i64,
        ends: i64,
        name: Option<&'static str>,
    }

    const GOOD: Case = Case { begins: BEGINS, ends: BEGINS + 2 * 3600, name: None };

    fn pem(case: &Case, key: &KeyPair) -> String {
        let mut parameters = CertificateParams::default();
        let at = |second| OffsetDateTime::from_unix_timestamp(second).unwrap();
        parameters.not_before = at(case.begins);
        parameters.not_after = at(case.ends);
        parameters.distinguished_name.push(DnType::CommonName, "pod");
        if let Some(name) = case.name {
            parameters.subject_alt_names.push(SanType::DnsName(name.try_into().unwrap()));
        }
        parameters.self_signed(key).unwrap().pem()
    }

    fn text(second: i64) -> String {
        Timestamp::from_second(second).unwrap().to_string()
    }

    fn spec(key: &KeyPair) -> Value {
        let der = BASE64_STANDARD.encode(key.subject_public_key_info());
        json!({"pkixPublicKey": der, "maxExpirationSeconds": 7200})
    }

    fn status(chain: &str, begins: i64, ends: i64, renews: i64) -> Value {
        json!({"certificateChain": chain, "notBefore": text(begins), "notAfter": text(ends), "beginRefreshAt": text(renews)})
    }

    #[test]
    fn certificates_are_of_the_key_and_the_times_that_were_asked_for() {
        let key = KeyPair::generate().unwrap();
        let renews = BEGINS + 3600;
        let told = |case: Case, change: &dyn Fn(&mut Value)| {
            let mut status = status(&pem(&case, &key), case.begins, case.ends, renews);
            change(&mut status);
            found(|errors| validate(&status, &spec(&key), errors))
        };
        let set = |name: &'static str, value: Value| move |status: &mut Value| status[name] = value.clone();
        let as_is = |_: &mut Value| {};
        assert_eq!(told(GOOD, &as_is), "");
        assert_eq!(
            told(GOOD, &set("certificateChain", json!(""))),
            "status.certificateChain: Invalid value: \"\": issued certificate chain must contain at least one certificate"
        );
        assert!(
            told(GOOD, &set("certificateChain", json!("-----BEGIN KEY-----\n-----END KEY-----")))
                .ends_with("issued certificate chain must consist entirely of CERTIFICATE PEM blocks")
        );
        assert!(
            told(
                GOOD,
                &set(
                    "certificateChain",
                    json!("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----")
                )
            )
            .ends_with("leaf certificate does not parse as valid X.509")
        );
        assert_eq!(
            told(GOOD, &set("certificateChain", json!("x".repeat(LONGEST_CHAIN + 1)))),
            "status.certificateChain: Too long: may not be more than 102400 bytes"
        );
        let other = pem(&GOOD, &KeyPair::generate().unwrap());
        assert!(
            told(GOOD, &set("certificateChain", json!(other)))
                .ends_with("leaf certificate was not issued to the requested public key")
        );
        assert_eq!(
            told(GOOD, &|status: &mut Value| {
                status["notBefore"] = Value::Null;
                status["beginRefreshAt"] = Value::Null;
            }),
            "status.notBefore: Required value: must be present and consistent with the issued certificate\n\
             status.beginRefreshAt: Required value: must be present and in the range [notbefore+10min, notafter-10min]"
        );
        assert_eq!(
            told(GOOD, &set("notBefore", json!(text(BEGINS + 1)))),
            "status.notBefore: Invalid value: 2027-01-15 08:00:01 +0000 UTC: must be set to the NotBefore time encoded in the leaf certificate"
        );
        assert!(
            told(GOOD, &set("notAfter", json!(text(BEGINS))))
                .ends_with("must be set to the NotAfter time encoded in the leaf certificate")
        );
        assert_eq!(
            told(Case { ends: BEGINS + 3599, ..GOOD }, &as_is),
            "status.certificateChain: Invalid value: 59m59s: leaf certificate lifetime must be >= 1 hour"
        );
        assert_eq!(
            told(Case { ends: BEGINS + 7201, ..GOOD }, &as_is),
            "status.certificateChain: Invalid value: 2h0m1s: leaf certificate lifetime must be <= spec.maxExpirationSeconds (7200)"
        );
        for (at, why) in [(BEGINS + 599, "after status.notBefore"), (BEGINS + 6601, "before status.notAfter")]
        {
            assert!(
                told(GOOD, &set("beginRefreshAt", json!(text(at))))
                    .ends_with(&format!("must be at least 10 minutes {why}"))
            );
        }
        assert_eq!(
            told(Case { name: Some(".a..b"), ..GOOD }, &as_is),
            "status.certificateChain: Invalid value: \".a..b\": leaf certificate's DNSName should not contain '..'\n\
             status.certificateChain: Invalid value: \".a..b\": leaf certificate's DNSName should not start or end with '.'"
        );
    }

    #[test]
    fn the_rest_of_the_chain_is_certificates_too() {
        let key = KeyPair::generate().unwrap();
        let leaf = pem(&GOOD, &key);
        let told = |rest: &str| {
            let status = status(&format!("{leaf}{rest}"), GOOD.begins, GOOD.ends, BEGINS + 3600);
            found(|errors| validate(&status, &spec(&key), errors))
        };
        assert_eq!(told(&leaf), "");
        assert_eq!(told("whatever stands behind it"), "");
        assert!(
            told("-----BEGIN KEY-----\nAAAA\n-----END KEY-----\n")
                .contains("entirely of CERTFICATE PEM blocks")
        );
        assert!(
            told("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
                .contains("intermediate certificate does not parse as valid X.509")
        );
    }

    #[test]
    fn a_certificate_begins_about_when_it_is_issued() {
        let told = |now: i64| {
            let status = json!({"notBefore": text(BEGINS)});
            found(|errors| validate_beginning(&status, Timestamp::from_second(now).unwrap(), errors))
        };
        assert_eq!((told(BEGINS - 299), told(BEGINS + 299)), (String::new(), String::new()));
        for now in [BEGINS - 300, BEGINS + 300] {
            assert_eq!(
                told(now),
                "status.notBefore: Invalid value: 2027-01-15 08:00:00 +0000 UTC: must be set to within 5 minutes of kube-apiserver's current time"
            );
        }
    }

    #[test]
    fn addresses_have_a_place() {
        for (text, good) in [
            ("a@b.example", true),
            ("a", false),
            ("@b", false),
            ("a@", false),
            ("a b@c", false),
            ("a@b..c", false),
        ] {
            assert_eq!(is_address(text), good, "{text}");
        }
    }
}
