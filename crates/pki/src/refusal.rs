//! Why a certificate is not believed, in the words of Go's `crypto/x509`, which people look up.

use jiff::Timestamp;
use rustls::CertificateError;
use rustls_pki_types::{ServerName, UnixTime};

const OUT_OF_DATE: &str = "x509: certificate has expired or is not yet valid";
/// How many names are told of one that has others.
const MOST_NAMES: usize = 100;

/// Says why a certificate is not believed.
pub fn refusal(fault: &CertificateError) -> String {
    match fault {
        CertificateError::ExpiredContext { time, not_after } => has_ended(moment(*time), moment(*not_after)),
        CertificateError::NotValidYetContext { time, not_before } => {
            format!("{OUT_OF_DATE}: current time {} is before {}", moment(*time), moment(*not_before))
        }
        CertificateError::Expired | CertificateError::NotValidYet => OUT_OF_DATE.to_owned(),
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "x509: certificate signed by unknown authority".to_owned()
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "x509: certificate specifies an incompatible key usage".to_owned()
        }
        CertificateError::NotValidForNameContext { expected, presented } => other_name(expected, presented),
        CertificateError::BadEncoding => "x509: malformed certificate".to_owned(),
        fault => format!("x509: {fault}"),
    }
}

/// Says that a certificate's time is over.
pub fn has_ended(now: Timestamp, not_after: Timestamp) -> String {
    let now = Timestamp::from_second(now.as_second()).unwrap_or(now);
    format!("{OUT_OF_DATE}: current time {now} is after {not_after}")
}

fn moment(time: UnixTime) -> Timestamp {
    crate::moment(i64::try_from(time.as_secs()).unwrap_or(i64::MAX))
}

/// Says which names a certificate has in place of the one that is wanted; they come as `DnsName("a")`, `IpAddress(::1)`.
fn other_name(wanted: &ServerName<'_>, presented: &[String]) -> String {
    let (form, kind) = match wanted {
        ServerName::IpAddress(_) => (("IpAddress(", ")"), "IP SANs"),
        _ => (("DnsName(\"", "\")"), "names"),
    };
    let inside = |name: &'_ String| Some(name.strip_prefix(form.0)?.strip_suffix(form.1)?.to_owned());
    let names: Vec<String> = presented.iter().filter_map(inside).collect();
    let wanted = wanted.to_str();
    match names.len() {
        0 if kind == "IP SANs" => {
            format!("x509: cannot validate certificate for {wanted} because it doesn't contain any IP SANs")
        }
        0 => format!("x509: certificate is not valid for any names, but wanted to match {wanted}"),
        MOST_NAMES.. => {
            format!("x509: certificate is valid for {} {kind}, but none matched {wanted}", names.len())
        }
        _ => format!("x509: certificate is valid for {}, not {wanted}", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_of_others_are_told_by_their_names() {
        let names = |count: usize| -> Vec<String> {
            (0..count).map(|number| format!("DnsName(\"n{number}\")")).collect()
        };
        for (wanted, presented, expected) in [
            ("a", vec!["DnsName(\"b\")".to_owned()], "x509: certificate is valid for b, not a"),
            ("a", names(2), "x509: certificate is valid for n0, n1, not a"),
            ("a", names(100), "x509: certificate is valid for 100 names, but none matched a"),
            (
                "a",
                vec!["IpAddress(10.0.0.1)".to_owned()],
                "x509: certificate is not valid for any names, but wanted to match a",
            ),
            (
                "10.0.0.2",
                vec!["IpAddress(10.0.0.1)".to_owned(), "DnsName(\"b\")".to_owned()],
                "x509: certificate is valid for 10.0.0.1, not 10.0.0.2",
            ),
            (
                "10.0.0.2",
                names(1),
                "x509: cannot validate certificate for 10.0.0.2 because it doesn't contain any IP SANs",
            ),
        ] {
            let expected_name = ServerName::try_from(wanted).unwrap().to_owned();
            let fault = CertificateError::NotValidForNameContext { expected: expected_name, presented };
            assert_eq!(refusal(&fault), expected);
        }
    }

    #[test]
    fn times_are_told_in_whole_seconds() {
        let at = |second| UnixTime::since_unix_epoch(std::time::Duration::from_secs(second));
        assert_eq!(
            refusal(&CertificateError::ExpiredContext { time: at(86_401), not_after: at(86_400) }),
            "x509: certificate has expired or is not yet valid: current time 1970-01-02T00:00:01Z is after 1970-01-02T00:00:00Z"
        );
        assert_eq!(
            refusal(&CertificateError::NotValidYetContext { time: at(0), not_before: at(u64::MAX) }),
            "x509: certificate has expired or is not yet valid: current time 1970-01-01T00:00:00Z is before 9999-12-30T22:00:00.999999999Z"
        );
        assert!(
            has_ended("2026-01-01T00:00:00.5Z".parse().unwrap(), Timestamp::UNIX_EPOCH)
                .contains(" 2026-01-01T00:00:00Z ")
        );
    }
}
