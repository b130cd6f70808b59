//! Certificate requests: what they ask for, and the certificates made from them.

use std::net::IpAddr;

use jiff::Timestamp;
use rcgen::{CertificateSigningRequestParams, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose, SanType};
use rustls_pki_types::{CertificateDer, CertificateSigningRequestDer, pem::PemObject as _};
use x509_parser::prelude::FromDer as _;

use crate::authority::Authority;
use crate::files::Error;

/// A request whose signature was checked.
pub struct Request {
    /// Subject common name.
    pub common_name: String,
    /// Subject organisations.
    pub organizations: Vec<String>,
    /// DNS names.
    pub dns_names: Vec<String>,
    /// Addresses.
    pub addresses: Vec<IpAddr>,
    /// Whether there are names of other forms (email addresses, URIs).
    pub has_other_names: bool,
    params: CertificateSigningRequestParams,
}

/// What a certificate may be used for, as a request's `usages` say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyUse {
    /// `digital signature`.
    DigitalSignature,
    /// `key encipherment`.
    KeyEncipherment,
    /// `client auth`.
    ClientAuth,
    /// `server auth`.
    ServerAuth,
}

impl KeyUse {
    /// Reads one usage; others than these are not signed for.
    pub fn parse(text: &str) -> Option<KeyUse> {
        match text {
            "digital signature" => Some(KeyUse::DigitalSignature),
            "key encipherment" => Some(KeyUse::KeyEncipherment),
            "client auth" => Some(KeyUse::ClientAuth),
            "server auth" => Some(KeyUse::ServerAuth),
            _ => None,
        }
    }
}

impl Request {
    /// Reads a PEM request and checks that it was signed with its own key.
    pub fn from_pem(text: &str) -> Result<Request, Error> {
        let der = CertificateSigningRequestDer::from_pem_slice(text.as_bytes()).map_err(Error::make)?;
        let params = CertificateSigningRequestParams::from_der(&der).map_err(Error::make)?;
        let (_, parsed) = x509_parser::certification_request::X509CertificationRequest::from_der(&der)
            .map_err(Error::make)?;
        let subject = &parsed.certification_request_info.subject;
        let text = |attribute: &x509_parser::x509::AttributeTypeAndValue<'_>| {
            attribute.as_str().unwrap_or_default().to_owned()
        };
        let mut request = Request {
            common_name: subject.iter_common_name().next().map(text).unwrap_or_default(),
            organizations: subject.iter_organization().map(text).collect(),
            dns_names: Vec::new(),
            addresses: Vec::new(),
            has_other_names: false,
            params,
        };
        for name in &request.params.params.subject_alt_names {
            match name {
                SanType::DnsName(name) => request.dns_names.push(name.to_string()),
                SanType::IpAddress(address) => request.addresses.push(*address),
                _ => request.has_other_names = true,
            }
        }
        Ok(request)
    }
}

impl Authority {
    /// Returns when the authority's own certificate ends.
    pub fn expires(&self) -> Result<Timestamp, Error> {
        let der = CertificateDer::from_pem_slice(self.certificate().as_bytes()).map_err(Error::make)?;
        let (_, parsed) = x509_parser::parse_x509_certificate(&der).map_err(Error::make)?;
        Timestamp::from_second(parsed.validity().not_after.timestamp()).map_err(Error::make)
    }

    /// Makes the certificate that a request asks for, PEM. It is never an authority itself and never outlives this one.
    pub fn sign(
        &self,
        request: &Request,
        uses: &[KeyUse],
        not_before: Timestamp,
        not_after: Timestamp,
    ) -> Result<String, Error> {
        let mut params = request.params.clone();
        let inner = &mut params.params;
        inner.is_ca = IsCa::NoCa;
        inner.key_usages.clear();
        inner.extended_key_usages.clear();
        for one in uses {
            match one {
                KeyUse::DigitalSignature => inner.key_usages.push(KeyUsagePurpose::DigitalSignature),
                KeyUse::KeyEncipherment => inner.key_usages.push(KeyUsagePurpose::KeyEncipherment),
                KeyUse::ClientAuth => inner.extended_key_usages.push(ExtendedKeyUsagePurpose::ClientAuth),
                KeyUse::ServerAuth => inner.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth),
            }
        }
        let date = |time: Timestamp| time::OffsetDateTime::from_unix_timestamp(time.as_second());
        inner.not_before = date(not_before).map_err(Error::make)?;
        inner.not_after = date(not_after.min(self.expires()?)).map_err(Error::make)?;
        inner.use_authority_key_identifier_extension = true;
        Ok(params.signed_by(self.issuer()).map_err(Error::make)?.pem())
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};

    use super::*;

    #[test]
    fn signs_what_was_asked_for_and_no_more() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let authority = Authority::new("kubernetes", 1, now).unwrap();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["w1".to_owned()]).unwrap();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, "system:nodes");
        params.distinguished_name.push(DnType::CommonName, "system:node:w1");
        let pem = params.serialize_request(&key).unwrap().pem().unwrap();
        let request = Request::from_pem(&pem).unwrap();
        assert_eq!(
            (&*request.common_name, &*request.organizations),
            ("system:node:w1", &["system:nodes".to_owned()][..])
        );
        assert_eq!((&*request.dns_names, request.has_other_names), (&["w1".to_owned()][..], false));
        let later = "2036-01-01T00:00:00Z".parse().unwrap();
        let uses = [KeyUse::DigitalSignature, KeyUse::ClientAuth];
        let certificate = authority.sign(&request, &uses, now, later).unwrap();
        let der = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
        let (_, parsed) = x509_parser::parse_x509_certificate(&der).unwrap();
        assert_eq!(parsed.validity().not_after.timestamp(), authority.expires().unwrap().as_second());
        assert!(!parsed.is_ca());
        let usage = parsed.extended_key_usage().unwrap().unwrap().value;
        assert!(usage.client_auth && !usage.server_auth);
        assert!(Request::from_pem("nonsense").is_err());
    }
}
