//! What a certificate says, for those who renew it.

use std::net::IpAddr;

use jiff::Timestamp;
use rustls_pki_types::CertificateDer;
use x509_parser::extensions::GeneralName;

use crate::{Error, Leaf, Usage};

/// What a certificate says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// Subject common name.
    pub common_name: String,
    /// Subject organisations.
    pub organizations: Vec<String>,
    /// DNS names that it is good for.
    pub dns_names: Vec<String>,
    /// Addresses that it is good for.
    pub addresses: Vec<IpAddr>,
    /// What it may be used for; a server's certificate where it does not say.
    pub usage: Usage,
    /// The common name of who signed it.
    pub issuer: String,
    /// When its life begins.
    pub not_before: Timestamp,
    /// When its life ends.
    pub not_after: Timestamp,
}

/// A time of a certificate, of the seconds since 1970. That of one without an end (RFC 5280, 4.1.2.5) is later than a timestamp can be, and is read
/// as the latest there is.
pub fn moment(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX)
}

impl Described {
    /// Reads a certificate.
    pub fn of(certificate: &CertificateDer<'_>) -> Result<Self, Error> {
        let (_, parsed) = x509_parser::parse_x509_certificate(certificate).map_err(Error::make)?;
        let (mut dns_names, mut addresses) = (Vec::new(), Vec::new());
        let names = parsed.subject_alternative_name().map_err(Error::make)?;
        for name in names.iter().flat_map(|extension| &extension.value.general_names) {
            match name {
                GeneralName::DNSName(name) => dns_names.push((*name).to_owned()),
                GeneralName::IPAddress(octets) => addresses.extend(address(octets)),
                _ => {}
            }
        }
        let extended = parsed.extended_key_usage().map_err(Error::make)?.map(|extension| extension.value);
        let usage = match extended.map(|usage| (usage.server_auth, usage.client_auth)) {
            Some((true, true)) => Usage::Both,
            Some((false, true)) => Usage::Client,
            _ => Usage::Server,
        };
        let subject = parsed.subject();
        let first = |mut names: Vec<String>| if names.is_empty() { String::new() } else { names.remove(0) };
        let text = |attribute: &x509_parser::x509::AttributeTypeAndValue<'_>| {
            attribute.as_str().unwrap_or_default().to_owned()
        };
        Ok(Self {
            common_name: first(subject.iter_common_name().map(text).collect()),
            organizations: subject.iter_organization().map(text).collect(),
            dns_names,
            addresses,
            usage,
            issuer: first(parsed.issuer().iter_common_name().map(text).collect()),
            not_before: moment(parsed.validity().not_before.timestamp()),
            not_after: moment(parsed.validity().not_after.timestamp()),
        })
    }

    /// Reads the first certificate of a PEM text, which may hold a key too.
    pub fn of_pem(text: &str) -> Result<Self, Error> {
        let certificates = crate::certificates_of(text)?;
        Self::of(certificates.first().ok_or_else(|| Error::make("no certificate"))?)
    }

    /// What a certificate that takes its place is to say.
    pub fn leaf(&self, days: i64) -> Leaf {
        Leaf {
            common_name: self.common_name.clone(),
            organizations: self.organizations.clone(),
            dns_names: self.dns_names.clone(),
            addresses: self.addresses.clone(),
            usage: self.usage,
            days,
        }
    }

    /// Whether its time has come and is not over.
    pub fn is_current(&self, now: Timestamp) -> bool {
        self.not_before <= now && now < self.not_after
    }

    /// The share of its life that is left: 1 at its beginning, 0 when it is over.
    pub fn left(&self, now: Timestamp) -> f64 {
        let (begin, end) = (self.not_before.as_second(), self.not_after.as_second());
        if end <= begin {
            return 0.0;
        }
        ((end - now.as_second()) as f64 / (end - begin) as f64).clamp(0.0, 1.0)
    }
}

fn address(octets: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(octets).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Authority;

    #[test]
    fn says_what_was_issued() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let authority = Authority::new("kubernetes", 1, now).unwrap();
        let mut leaf = Leaf::server("w1", &["w1", "localhost"], &["10.0.0.1".parse().unwrap()]);
        leaf.organizations = vec!["system:nodes".to_owned()];
        let issued = authority.issue(&leaf, now).unwrap();
        let described = Described::of_pem(&format!("{}{}", issued.certificate, issued.key)).unwrap();
        assert_eq!(described.common_name, "w1");
        assert_eq!(described.organizations, ["system:nodes"]);
        assert_eq!(described.dns_names, ["w1", "localhost"]);
        assert_eq!(described.addresses, ["10.0.0.1".parse::<IpAddr>().unwrap()]);
        assert_eq!((described.issuer.as_str(), described.usage), ("kubernetes", Usage::Server));
        let again = authority.issue(&described.leaf(365), now).unwrap();
        assert_eq!(Described::of_pem(&again.certificate).unwrap(), described);
        assert!(described.is_current(now) && !described.is_current(described.not_after));
        let middle =
            Timestamp::from_second((described.not_before.as_second() + described.not_after.as_second()) / 2)
                .unwrap();
        assert!((described.left(middle) - 0.5).abs() < 0.01);
        assert_eq!(described.left(described.not_after), 0.0);
        assert!(Described::of_pem("nothing").is_err());
    }

    #[test]
    fn a_certificate_may_have_no_end() {
        let mut params = rcgen::CertificateParams::new(vec!["w1".to_owned()]).unwrap();
        params.not_after = rcgen::date_time_ymd(9999, 12, 31);
        let certificate = params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
        let described = Described::of_pem(&certificate.pem()).unwrap();
        assert_eq!(described.not_after, Timestamp::MAX);
        assert!(described.is_current("2026-01-01T00:00:00Z".parse().unwrap()));
    }
}
