//! Certificate authorities and what they issue. Keys are ECDSA P-256.

use std::{net::IpAddr, path::Path};

use jiff::{SignedDuration, Timestamp, Unit};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};

use crate::files::{Error, write_private, write_public};

const DAY: i64 = 24 * 3600;
/// How far before now a certificate starts, so that clocks a little behind accept it (upstream's one hour).
const BACKDATE: i64 = 3600;

/// What a certificate may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Usage {
    /// TLS server.
    Server,
    /// TLS client.
    Client,
    /// Both, as etcd's members need.
    Both,
}

/// What to put into a certificate.
#[derive(Debug, Clone)]
pub struct Leaf {
    /// Subject common name: the user of a client certificate.
    pub common_name: String,
    /// Subject organisations: the groups of a client certificate.
    pub organizations: Vec<String>,
    /// DNS names it is good for.
    pub dns_names: Vec<String>,
    /// Addresses it is good for.
    pub addresses: Vec<IpAddr>,
    /// What it may be used for.
    pub usage: Usage,
    /// Days until it expires.
    pub days: i64,
}

impl Leaf {
    /// A client certificate of a user in groups, good for a year.
    pub fn client(user: &str, groups: &[&str]) -> Self {
        Self {
            common_name: user.into(),
            organizations: groups.iter().map(|group| (*group).into()).collect(),
            dns_names: Vec::new(),
            addresses: Vec::new(),
            usage: Usage::Client,
            days: 365,
        }
    }

    /// A server certificate for names and addresses, good for a year.
    pub fn server(common_name: &str, dns_names: &[&str], addresses: &[IpAddr]) -> Self {
        Self {
            common_name: common_name.into(),
            organizations: Vec::new(),
            dns_names: dns_names.iter().map(|name| (*name).into()).collect(),
            addresses: addresses.to_vec(),
            usage: Usage::Server,
            days: 365,
        }
    }

    /// The same for other usage.
    pub fn usage(self, usage: Usage) -> Self {
        Self { usage, ..self }
    }
}

/// A certificate with its key, both PEM.
pub struct Issued {
    /// The certificate.
    pub certificate: String,
    /// The private key (PKCS#8).
    pub key: String,
}

impl Issued {
    /// Writes `<name>.crt` (0644) and `<name>.key` (0600) into a directory.
    pub fn write(&self, directory: &Path, name: &str) -> Result<(), Error> {
        write_public(&directory.join(format!("{name}.crt")), &self.certificate)?;
        write_private(&directory.join(format!("{name}.key")), &self.key)
    }
}

/// A certificate authority: a self-signed certificate and the key it signs with.
pub struct Authority {
    certificate: String,
    key: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// Makes a new authority, good for `years`.
    pub fn new(common_name: &str, years: i64, now: Timestamp) -> Result<Self, Error> {
        let key = KeyPair::generate().map_err(Error::make)?;
        let mut params = params(Vec::new(), common_name, &[], 365 * years, now)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![
            KeyUsagePurpose::DigitalSignature,
            KeyUsagePurpose::KeyEncipherment,
            KeyUsagePurpose::KeyCertSign,
        ];
        params.subject_alt_names = vec![SanType::DnsName(common_name.try_into().map_err(Error::make)?)];
        let certificate = params.self_signed(&key).map_err(Error::make)?.pem();
        let key_pem = key.serialize_pem();
        Ok(Self { certificate, key: key_pem, issuer: Issuer::new(params, key) })
    }

    /// Reads an authority from PEM text; the key may be PKCS#8 ECDSA, or RSA.
    pub fn from_pem(certificate: &str, key: &str) -> Result<Self, Error> {
        let pair = KeyPair::from_pem(key).map_err(Error::make)?;
        let issuer = Issuer::from_ca_cert_pem(certificate, pair).map_err(Error::make)?;
        Ok(Self { certificate: certificate.into(), key: key.into(), issuer })
    }

    pub(crate) fn issuer(&self) -> &Issuer<'static, KeyPair> {
        &self.issuer
    }

    /// Its certificate, PEM.
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// Its certificate and key, to be written.
    pub fn issued(&self) -> Issued {
        Issued { certificate: self.certificate.clone(), key: self.key.clone() }
    }

    /// Issues a certificate for a new key.
    pub fn issue(&self, leaf: &Leaf, now: Timestamp) -> Result<Issued, Error> {
        let key = KeyPair::generate().map_err(Error::make)?;
        let mut params =
            params(leaf.dns_names.clone(), &leaf.common_name, &leaf.organizations, leaf.days, now)?;
        params.subject_alt_names.extend(leaf.addresses.iter().map(|address| SanType::IpAddress(*address)));
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
        params.extended_key_usages = match leaf.usage {
            Usage::Server => vec![ExtendedKeyUsagePurpose::ServerAuth],
            Usage::Client => vec![ExtendedKeyUsagePurpose::ClientAuth],
            Usage::Both => vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth],
        };
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&key, &self.issuer).map_err(Error::make)?.pem();
        Ok(Issued { certificate, key: key.serialize_pem() })
    }
}

fn params(
    names: Vec<String>,
    common_name: &str,
    organizations: &[String],
    days: i64,
    now: Timestamp,
) -> Result<CertificateParams, Error> {
    let mut params = CertificateParams::new(names).map_err(Error::make)?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    for organization in organizations {
        params.distinguished_name.push(DnType::OrganizationName, organization.as_str());
    }
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.not_before = date(now, -BACKDATE)?;
    params.not_after = date(now, days * DAY)?;
    Ok(params)
}

fn date(now: Timestamp, seconds: i64) -> Result<time::OffsetDateTime, Error> {
    let at = now
        .checked_add(SignedDuration::from_secs(seconds))
        .and_then(|at| at.round(Unit::Second))
        .map_err(Error::make)?;
    time::OffsetDateTime::from_unix_timestamp(at.as_second()).map_err(Error::make)
}

/// Makes a key pair that signs service-account tokens: the private key (`sa.key`) and the public key (`sa.pub`),
/// both PEM.
pub fn signing_key() -> Result<(String, String), Error> {
    let key = KeyPair::generate().map_err(Error::make)?;
    Ok((key.serialize_pem(), key.public_key_pem()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls_pki_types::{CertificateDer, pem::PemObject as _};

    #[test]
    fn issues_what_was_asked_for() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let authority = Authority::new("kubernetes", 10, now).unwrap();
        let again = Authority::from_pem(authority.certificate(), &authority.issued().key).unwrap();
        let mut leaf = Leaf::server("kube-apiserver", &["kubernetes"], &["10.96.0.1".parse().unwrap()]);
        leaf.organizations = vec!["system:masters".into()];
        let issued = again.issue(&leaf, now).unwrap();
        let der = CertificateDer::from_pem_slice(issued.certificate.as_bytes()).unwrap();
        let (_, parsed) = x509_parser::parse_x509_certificate(&der).unwrap();
        assert_eq!(parsed.subject().to_string(), "O=system:masters, CN=kube-apiserver");
        assert_eq!(parsed.validity().not_after.timestamp(), now.as_second() + 365 * DAY);
        let authority_der = CertificateDer::from_pem_slice(authority.certificate().as_bytes()).unwrap();
        let (_, root) = x509_parser::parse_x509_certificate(&authority_der).unwrap();
        assert_eq!(parsed.issuer(), root.subject());
        assert!(root.is_ca() && !parsed.is_ca());
        assert!(parsed.subject_alternative_name().unwrap().unwrap().value.general_names.len() == 2);
    }
}
