//! The names in a certificate, octet by octet: a subject may hold several values of one attribute (a user in two
//! groups), and several in one part of the name, as Go writes them; rcgen's own names hold neither.

use rcgen::{KeyPair, SigningKey as _};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::files::Error;

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OBJECT_IDENTIFIER: u8 = 0x06;
const UTF8_STRING: u8 = 0x0c;
const BIT_STRING: u8 = 0x03;

/// `id-at-organizationName` and `id-at-commonName` (RFC 5280, appendix A.1).
const ORGANIZATION: &[u8] = &[0x55, 0x04, 0x0a];
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];

/// Encodes a subject: its organisations in order, then its common name.
pub(crate) fn subject(common_name: &str, organizations: &[String]) -> Vec<u8> {
    let attributes = organizations
        .iter()
        .map(|organization| (ORGANIZATION, organization.as_str()))
        .chain([(COMMON_NAME, common_name)]);
    let mut name = Vec::new();
    for (kind, value) in attributes.filter(|(_, value)| !value.is_empty()) {
        let attribute = [element(OBJECT_IDENTIFIER, kind), element(UTF8_STRING, value.as_bytes())].concat();
        name.extend(element(SET, &element(SEQUENCE, &attribute)));
    }
    element(SEQUENCE, &name)
}

/// Puts an issuer and a subject in the place of those that a certificate has, and signs it again with its issuer's
/// key. Everything else stays as it is, to the octet.
pub(crate) fn rename(
    certificate: &[u8],
    issuer: &[u8],
    subject: &[u8],
    key: &KeyPair,
) -> Result<Vec<u8>, Error> {
    let (_, parsed) = X509Certificate::from_der(certificate).map_err(Error::make)?;
    let tbs = &parsed.tbs_certificate;
    if tbs.issuer.as_raw() == issuer && tbs.subject.as_raw() == subject {
        return Ok(certificate.to_vec());
    }
    let whole: &[u8] = tbs.as_ref();
    let cut = || Error::make("the certificate is not laid out as it should be");
    let end_of_serial = place(whole, tbs.raw_serial()).ok_or_else(cut)?.end;
    let old_issuer = place(whole, tbs.issuer.as_raw()).ok_or_else(cut)?;
    let old_subject = place(whole, tbs.subject.as_raw()).ok_or_else(cut)?;
    // Between the serial number and the issuer stands the algorithm of the signature, which the outside repeats.
    let algorithm = whole.get(end_of_serial..old_issuer.start).ok_or_else(cut)?;
    let head = header_length(whole).ok_or_else(cut)?;
    let (before, between, after) = (
        whole.get(head..old_issuer.start).ok_or_else(cut)?,
        whole.get(old_issuer.end..old_subject.start).ok_or_else(cut)?,
        whole.get(old_subject.end..).ok_or_else(cut)?,
    );
    let renamed = element(SEQUENCE, &[before, issuer, between, subject, after].concat());
    let mut signature = vec![0];
    signature.extend(key.sign(&renamed).map_err(Error::make)?);
    Ok(element(SEQUENCE, &[&renamed, algorithm, &element(BIT_STRING, &signature)].concat()))
}

/// One element of DER: a tag, a length in as few octets as there can be, the content.
fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut der = vec![tag];
    let length = content.len();
    if let Ok(short @ 0..0x80) = u8::try_from(length) {
        der.push(short);
    } else {
        let octets = length.to_be_bytes();
        let octets = &octets[octets.iter().take_while(|octet| **octet == 0).count()..];
        der.push(0x80 | octets.len() as u8);
        der.extend(octets);
    }
    der.extend(content);
    der
}

/// How many octets the tag and the length of an element take; its tag has one.
fn header_length(element: &[u8]) -> Option<usize> {
    let length = *element.get(1)?;
    Some(if length < 0x80 { 2 } else { 2 + usize::from(length & 0x7f) })
}

/// Where in `whole` the slice `part` of it stands.
fn place(whole: &[u8], part: &[u8]) -> Option<std::ops::Range<usize>> {
    let start = (part.as_ptr() as usize).checked_sub(whole.as_ptr() as usize)?;
    let end = start.checked_add(part.len())?;
    (end <= whole.len()).then_some(start..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_as_short_as_they_can_be() {
        let head = |length: usize| {
            element(SEQUENCE, &vec![0; length])[1..].iter().take(3).copied().collect::<Vec<_>>()
        };
        assert_eq!(head(127)[0], 127);
        assert_eq!(head(128)[..2], [0x81, 128]);
        assert_eq!(head(256), [0x82, 1, 0]);
        assert_eq!(header_length(&element(SEQUENCE, &[0; 300])), Some(4));
    }
}
