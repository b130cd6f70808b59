//! Certificate requests: what they ask for, and the certificates made from them.

use std::net::IpAddr;

use jiff::Timestamp;
use rcgen::{
    CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose, SanType, SubjectPublicKeyInfo,
};
use rustls_pki_types::{CertificateDer, CertificateSigningRequestDer, pem::PemObject as _};
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::FromDer as _;
use x509_parser::x509::AttributeTypeAndValue;

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
    /// Whether there are email addresses.
    pub has_emails: bool,
    /// Whether there are URIs.
    pub has_uris: bool,
    /// The subject as it is encoded in the request: a certificate has it whole.
    subject: Vec<u8>,
    names: Vec<SanType>,
    key: SubjectPublicKeyInfo,
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
        let (_, parsed) = X509CertificationRequest::from_der(&der).map_err(Error::make)?;
        verify(&parsed)?;
        let asked = &parsed.certification_request_info;
        let text = |attribute: &AttributeTypeAndValue<'_>| attribute.as_str().unwrap_or_default().to_owned();
        let mut request = Request {
            common_name: asked.subject.iter_common_name().next().map(text).unwrap_or_default(),
            organizations: asked.subject.iter_organization().map(text).collect(),
            dns_names: Vec::new(),
            addresses: Vec::new(),
            has_emails: false,
            has_uris: false,
            subject: asked.subject.as_raw().to_vec(),
            names: Vec::new(),
            key: SubjectPublicKeyInfo::from_der(asked.subject_pki.raw).map_err(Error::make)?,
        };
        for extension in parsed.requested_extensions().into_iter().flatten() {
            // What else a request asks for (a use, being an authority) is not its to say.
            let ParsedExtension::SubjectAlternativeName(alternatives) = extension else { continue };
            for name in &alternatives.general_names {
                request.names.push(alternative(name)?);
            }
        }
        for name in &request.names {
            match name {
                SanType::DnsName(name) => request.dns_names.push(name.to_string()),
                SanType::IpAddress(address) => request.addresses.push(*address),
                SanType::Rfc822Name(_) => request.has_emails = true,
                SanType::URI(_) => request.has_uris = true,
                // `alternative` makes no others.
                _ => {}
            }
        }
        Ok(request)
    }
}

/// Checks that a request was signed with its own key.
fn verify(request: &X509CertificationRequest<'_>) -> Result<(), Error> {
    let info = &request.certification_request_info;
    let key = &info.subject_pki;
    let curve = key.algorithm.parameters.as_ref().and_then(|parameters| parameters.as_oid().ok());
    let checked = ecdsa_p521::pairs::has_signed(
        &curve.map(|curve| curve.to_id_string()).unwrap_or_default(),
        &request.signature_algorithm.algorithm.to_id_string(),
        &key.subject_public_key.data,
        info.raw,
        &request.signature_value.data,
    );
    match checked {
        Some(true) => Ok(()),
        Some(false) => Err(Error::make("x509: ECDSA verification failure")),
        None => request.verify_signature().map_err(Error::make),
    }
}

fn alternative(name: &GeneralName<'_>) -> Result<SanType, Error> {
    Ok(match name {
        GeneralName::DNSName(name) => SanType::DnsName((*name).try_into().map_err(Error::make)?),
        GeneralName::RFC822Name(name) => SanType::Rfc822Name((*name).try_into().map_err(Error::make)?),
        GeneralName::URI(name) => SanType::URI((*name).try_into().map_err(Error::make)?),
        GeneralName::IPAddress(octets) => SanType::IpAddress(
            <[u8; 4]>::try_from(*octets)
                .map(IpAddr::from)
                .or_else(|_| <[u8; 16]>::try_from(*octets).map(IpAddr::from))
                .map_err(|_| Error::make(format!("an IP address of {} octets", octets.len())))?,
        ),
        other => return Err(Error::make(format!("alternative name {other:?} is of a form not signed for"))),
    })
}

impl Authority {
    /// Returns when the authority's own certificate ends.
    pub fn expires(&self) -> Result<Timestamp, Error> {
        let der = CertificateDer::from_pem_slice(self.certificate().as_bytes()).map_err(Error::make)?;
        let (_, parsed) = x509_parser::parse_x509_certificate(&der).map_err(Error::make)?;
        Ok(crate::moment(parsed.validity().not_after.timestamp()))
    }

    /// Makes the certificate that a request asks for, PEM. It is never an authority itself and never outlives this one.
    pub fn sign(
        &self,
        request: &Request,
        uses: &[KeyUse],
        not_before: Timestamp,
        not_after: Timestamp,
    ) -> Result<String, Error> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::NoCa;
        params.subject_alt_names.clone_from(&request.names);
        for one in uses {
            match one {
                KeyUse::DigitalSignature => params.key_usages.push(KeyUsagePurpose::DigitalSignature),
                KeyUse::KeyEncipherment => params.key_usages.push(KeyUsagePurpose::KeyEncipherment),
                KeyUse::ClientAuth => params.extended_key_usages.push(ExtendedKeyUsagePurpose::ClientAuth),
                KeyUse::ServerAuth => params.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth),
            }
        }
        let date = |time: Timestamp| time::OffsetDateTime::from_unix_timestamp(time.as_second());
        params.not_before = date(not_before).map_err(Error::make)?;
        params.not_after = date(not_after.min(self.expires()?)).map_err(Error::make)?;
        params.use_authority_key_identifier_extension = true;
        self.certify(&params, &request.subject, &request.key)
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD;
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
        assert_eq!(request.dns_names, ["w1"]);
        assert!(!request.has_emails && !request.has_uris);
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

    /// Made with `openssl req -subj '/O=system:masters+O=developers/CN=jane' -multivalue-rdn`: both groups in one part
    /// of the name, as Go's `crypto/x509` writes them too; with an extension that nobody knows.
    const TWO_GROUPS: &str = "\
-----BEGIN CERTIFICATE REQUEST-----
MIIBUjCB+QIBADA7MSowEQYDVQQKDApkZXZlbG9wZXJzMBUGA1UECgwOc3lzdGVt
Om1hc3RlcnMxDTALBgNVBAMMBGphbmUwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNC
AAS7x8O/z3hkKCQkVi9ZR3pAZPAgcLvRhsDKLepHFT4WwPMAW1bxzlVDU4LBdI+5
ApQIM4elS5Kal2LHK/NVI5bDoFwwWgYJKoZIhvcNAQkOMU0wSzAvBgNVHREEKDAm
ggxqYW5lLmV4YW1wbGWHBAoAAAGBEGphbmVAZXhhbXBsZS5vcmcwGAYDVR0lBBEw
DwYIKwYBBQUHAwIGAyoDBDAKBggqhkjOPQQDAgNIADBFAiEA8BqXu/c6rhJLcaAL
8mhd+3dBTYf6NOeHUGzIgvIUft8CIDA7pfA3UKTMaEPjnbGrozZXEr9venGRwSUZ
+Mjd/aKW
-----END CERTIFICATE REQUEST-----
";

    #[test]
    fn a_requests_subject_is_kept_whole() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let authority = Authority::new("kubernetes", 1, now).unwrap();
        let request = Request::from_pem(TWO_GROUPS).unwrap();
        assert_eq!(request.organizations, ["developers", "system:masters"]);
        assert_eq!(request.addresses, ["10.0.0.1".parse::<IpAddr>().unwrap()]);
        assert!(request.has_emails && !request.has_uris);
        let certificate =
            authority.sign(&request, &[KeyUse::ClientAuth], now, authority.expires().unwrap()).unwrap();
        let der = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
        let (_, parsed) = x509_parser::parse_x509_certificate(&der).unwrap();
        let asked = CertificateSigningRequestDer::from_pem_slice(TWO_GROUPS.as_bytes()).unwrap();
        let (_, asked) = X509CertificationRequest::from_der(&asked).unwrap();
        let asked = &asked.certification_request_info;
        assert_eq!(parsed.subject().as_raw(), asked.subject.as_raw());
        assert_eq!(parsed.public_key().raw, asked.subject_pki.raw);
        let names = &parsed.subject_alternative_name().unwrap().unwrap().value.general_names;
        assert_eq!(names.len(), 3);
        let root = CertificateDer::from_pem_slice(authority.certificate().as_bytes()).unwrap();
        let (_, root) = x509_parser::parse_x509_certificate(&root).unwrap();
        parsed.verify_signature(Some(root.public_key())).unwrap();
    }

    /// Made with `openssl req -new -sha512`, of keys on P-256 and P-384: pairs of curve and hash that ring lacks.
    const OVER_SHA512: [&str; 2] = [
        "\
-----BEGIN CERTIFICATE REQUEST-----
MIHqMIGSAgEAMDAxFTATBgNVBAoMDHN5c3RlbTpub2RlczEXMBUGA1UEAwwOc3lz
dGVtOm5vZGU6dzEwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAARYNSdewsHBFIQc
FIjMUfa5Vlglx8QV+2C2BUYsvloDPOla2bNC3BPEXsXh/1A5PP2Uk44BrgPywBTK
BZoWQm0SoAAwCgYIKoZIzj0EAwQDRwAwRAIgAyegcn4qNL+FViNaRgWG+Aykufc1
wT9GZA/RYwvyBikCIDsmYzSdwWd7pIBXpq5YfNS+s2bRXDfPoXiD99EVtMFq
-----END CERTIFICATE REQUEST-----
",
        "\
-----BEGIN CERTIFICATE REQUEST-----
MIIBKTCBrwIBADAwMRUwEwYDVQQKDAxzeXN0ZW06bm9kZXMxFzAVBgNVBAMMDnN5
c3RlbTpub2RlOncxMHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEaRDGd1HiuKcvnAaZ
X8/GFkD0QfJoC8aq8fcX2jwPFd1DxWHRcgDB+rDwP43KyDkSUbMWuGVGUm2j8Wxe
JkNd6dvAoeKtDwTd9vmS8jCJoAlcIlJf6FvMYYBRXcmQtJyooAAwCgYIKoZIzj0E
AwQDaQAwZgIxAJzS+lFbTK8SwKRTOsZYj1WUq0VXIbyCMFwPKwIqQcsHYRnIP7Rc
3oOC1XawEvmQewIxAKTCNLYEFgU7iEtlONU0aq2t3gNrDUDl0lp8sYcddFenJTYb
ZEehXKCwAWFKnxSpiw==
-----END CERTIFICATE REQUEST-----
",
    ];

    #[test]
    fn requests_are_checked_over_hashes_that_ring_does_not_pair() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let authority = Authority::new("kubernetes", 1, now).unwrap();
        for pem in OVER_SHA512 {
            let request = Request::from_pem(pem).unwrap();
            assert_eq!(request.common_name, "system:node:w1");
            authority.sign(&request, &[KeyUse::ClientAuth], now, authority.expires().unwrap()).unwrap();
            let mut der = CertificateSigningRequestDer::from_pem_slice(pem.as_bytes()).unwrap().to_vec();
            let place = der.windows(2).position(|pair| pair == b"w1").unwrap();
            der[place + 1] = b'2';
            let body = BASE64_STANDARD.encode(&der);
            let broken =
                format!("-----BEGIN CERTIFICATE REQUEST-----\n{body}\n-----END CERTIFICATE REQUEST-----\n");
            let Err(error) = Request::from_pem(&broken) else { panic!("taken with a broken signature") };
            assert!(error.to_string().contains("ECDSA verification failure"), "{error}");
        }
    }
}
