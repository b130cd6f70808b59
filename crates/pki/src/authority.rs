//! Certificate authorities and what they issue. Keys are ECDSA P-256.

use std::{net::IpAddr, path::Path};

use jiff::{SignedDuration, Timestamp, Unit};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyIdMethod, KeyPair, KeyUsagePurpose, PublicKeyData, SanType,
};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use x509_parser::extensions::ParsedExtension;

use crate::files::{Error, pem, write_private, write_public};
use crate::names;

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

    /// The same, good for one more name or address.
    #[must_use]
    pub fn also(mut self, name: &str) -> Self {
        match name.parse() {
            Ok(address) if !self.addresses.contains(&address) => self.addresses.push(address),
            Err(_) if !self.dns_names.iter().any(|known| known == name) => self.dns_names.push(name.into()),
            _ => {}
        }
        self
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
    /// Its subject as its certificate has it, octet by octet: what it issues must name it so.
    name: Vec<u8>,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// Makes a new authority, good for `years`.
    pub fn new(common_name: &str, years: i64, now: Timestamp) -> Result<Self, Error> {
        let key = KeyPair::generate().map_err(Error::make)?;
        let mut params = validity(Vec::new(), 365 * years, now)?;
        params.distinguished_name.push(DnType::CommonName, common_name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![
            KeyUsagePurpose::DigitalSignature,
            KeyUsagePurpose::KeyEncipherment,
            KeyUsagePurpose::KeyCertSign,
        ];
        params.subject_alt_names = vec![SanType::DnsName(common_name.try_into().map_err(Error::make)?)];
        let certificate = params.self_signed(&key).map_err(Error::make)?.pem();
        Self::from_pem(&certificate, &key.serialize_pem())
    }

    /// Reads an authority from PEM text; the key may be PKCS#8 ECDSA, or RSA.
    pub fn from_pem(certificate: &str, key: &str) -> Result<Self, Error> {
        let pair = KeyPair::from_pem(key).map_err(Error::make)?;
        let der = CertificateDer::from_pem_slice(certificate.as_bytes()).map_err(Error::make)?;
        let (_, parsed) = x509_parser::parse_x509_certificate(&der).map_err(Error::make)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        let identifier = parsed.iter_extensions().find_map(|extension| match extension.parsed_extension() {
            ParsedExtension::SubjectKeyIdentifier(identifier) => Some(identifier.0.to_vec()),
            _ => None,
        });
        if let Some(identifier) = identifier {
            params.key_identifier_method = KeyIdMethod::PreSpecified(identifier);
        }
        Ok(Self {
            certificate: certificate.into(),
            key: key.into(),
            name: parsed.subject().as_raw().to_vec(),
            issuer: Issuer::new(params, pair),
        })
    }

    /// Signs for a subject, which is taken as it is encoded; gives PEM.
    pub(crate) fn certify(
        &self,
        params: &CertificateParams,
        subject: &[u8],
        key: &impl PublicKeyData,
    ) -> Result<String, Error> {
        let certificate = params.signed_by(key, &self.issuer).map_err(Error::make)?;
        let renamed = names::rename(certificate.der(), &self.name, subject, self.issuer.key())?;
        Ok(pem("CERTIFICATE", &renamed))
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
        let mut params = validity(leaf.dns_names.clone(), leaf.days, now)?;
        params.subject_alt_names.extend(leaf.addresses.iter().map(|address| SanType::IpAddress(*address)));
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
        params.extended_key_usages = match leaf.usage {
            Usage::Server => vec![ExtendedKeyUsagePurpose::ServerAuth],
            Usage::Client => vec![ExtendedKeyUsagePurpose::ClientAuth],
            Usage::Both => vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth],
        };
        params.use_authority_key_identifier_extension = true;
        let subject = names::subject(&leaf.common_name, &leaf.organizations);
        let certificate = self.certify(&params, &subject, &key)?;
        Ok(Issued { certificate, key: key.serialize_pem() })
    }
}

/// Parameters without a subject, for these names, from a little before now until so many days after.
fn validity(names: Vec<String>, days: i64, now: Timestamp) -> Result<CertificateParams, Error> {
    let mut params = CertificateParams::new(names).map_err(Error::make)?;
    params.distinguished_name = DistinguishedName::new();
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

    #[test]
    fn issues_what_was_asked_for() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let authority = Authority::new("kubernetes", 10, now).unwrap();
        let again = Authority::from_pem(authority.certificate(), &authority.issued().key).unwrap();
        let mut leaf = Leaf::server("kube-apiserver", &["kubernetes"], &["10.96.0.1".parse().unwrap()]);
        leaf.organizations = vec!["system:masters".into(), "kubeadm:cluster-admins".into()];
        let issued = again.issue(&leaf, now).unwrap();
        let der = CertificateDer::from_pem_slice(issued.certificate.as_bytes()).unwrap();
        let (_, parsed) = x509_parser::parse_x509_certificate(&der).unwrap();
        assert_eq!(
            parsed.subject().to_string(),
            "O=system:masters, O=kubeadm:cluster-admins, CN=kube-apiserver"
        );
        assert_eq!(parsed.validity().not_after.timestamp(), now.as_second() + 365 * DAY);
        let authority_der = CertificateDer::from_pem_slice(authority.certificate().as_bytes()).unwrap();
        let (_, root) = x509_parser::parse_x509_certificate(&authority_der).unwrap();
        assert_eq!(parsed.issuer(), root.subject());
        parsed.verify_signature(Some(root.public_key())).unwrap();
        let key_id = |certificate: &x509_parser::certificate::X509Certificate<'_>, subject: bool| {
            certificate.iter_extensions().find_map(|extension| match extension.parsed_extension() {
                ParsedExtension::SubjectKeyIdentifier(id) if subject => Some(id.0.to_vec()),
                ParsedExtension::AuthorityKeyIdentifier(id) if !subject => {
                    Some(id.key_identifier.as_ref()?.0.to_vec())
                }
                _ => None,
            })
        };
        assert_eq!(key_id(&parsed, false), key_id(&root, true));
        assert!(root.is_ca() && !parsed.is_ca());
        assert!(parsed.subject_alternative_name().unwrap().unwrap().value.general_names.len() == 2);
    }
}
