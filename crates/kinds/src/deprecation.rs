//! Kinds whose every use is answered with a warning.

use std::borrow::Cow;

/// Versions that are on their way out, with the release since which they are and the one in which they go, if that is
/// known. Of a version without a kind it is all of them.
const GOING: [(&str, &str, &str, &str, &str); 12] = [
    ("certificates.k8s.io", "v1alpha1", "ClusterTrustBundle", "1.34", "1.37"),
    ("certificates.k8s.io", "v1beta1", "ClusterTrustBundle", "1.36", "1.39"),
    ("coordination.k8s.io", "v1alpha2", "LeaseCandidate", "1.35", ""),
    ("coordination.k8s.io", "v1beta1", "LeaseCandidate", "1.36", "1.39"),
    ("networking.k8s.io", "v1beta1", "", "1.34", "1.37"),
    ("resource.k8s.io", "v1alpha3", "DeviceTaintRule", "1.36", ""),
    ("resource.k8s.io", "v1beta1", "", "1.35", "1.38"),
    ("resource.k8s.io", "v1beta2", "DeviceClass", "1.36", "1.39"),
    ("resource.k8s.io", "v1beta2", "ResourceClaim", "1.36", "1.39"),
    ("resource.k8s.io", "v1beta2", "ResourceClaimTemplate", "1.36", "1.39"),
    ("resource.k8s.io", "v1beta2", "ResourceSlice", "1.36", "1.39"),
    ("storage.k8s.io", "v1beta1", "VolumeAttributesClass", "1.34", "1.37"),
];

/// Since when a kind is on its way out, and when it goes.
fn going(group: &str, version: &str, kind: &str) -> Option<(&'static str, &'static str)> {
    GOING
        .iter()
        .find(|row| row.0 == group && row.1 == version && (row.2.is_empty() || row.2 == kind))
        .map(|row| (row.3, row.4))
}

/// The warning for a kind that is on its way out.
pub fn warning(group: &str, version: &str, kind: &str) -> Option<Cow<'static, str>> {
    match (group, version, kind) {
        ("", "v1", "ComponentStatus") => Some("v1 ComponentStatus is deprecated in v1.19+".into()),
        ("", "v1", "Endpoints") => {
            Some("v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice".into())
        }
        _ => {
            let (since, gone) = going(group, version, kind)?;
            let end = if gone.is_empty() { String::new() } else { format!(", unavailable in v{gone}+") };
            Some(format!("{group}/{version} {kind} is deprecated in v{since}+{end}").into())
        }
    }
}

/// The release in which a kind that is on its way out goes; empty where none is known.
pub fn removed_release(group: &str, version: &str, kind: &str) -> &'static str {
    going(group, version, kind).map_or("", |(_, gone)| gone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_that_go_are_told_of() {
        for (group, version, kind, told) in [
            ("", "v1", "ComponentStatus", Some("v1 ComponentStatus is deprecated in v1.19+")),
            (
                "",
                "v1",
                "Endpoints",
                Some("v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"),
            ),
            (
                "resource.k8s.io",
                "v1beta1",
                "ResourceClaim",
                Some("resource.k8s.io/v1beta1 ResourceClaim is deprecated in v1.35+, unavailable in v1.38+"),
            ),
            (
                "resource.k8s.io",
                "v1beta2",
                "DeviceClass",
                Some("resource.k8s.io/v1beta2 DeviceClass is deprecated in v1.36+, unavailable in v1.39+"),
            ),
            ("resource.k8s.io", "v1beta2", "DeviceTaintRule", None),
            (
                "resource.k8s.io",
                "v1alpha3",
                "DeviceTaintRule",
                Some("resource.k8s.io/v1alpha3 DeviceTaintRule is deprecated in v1.36+"),
            ),
            ("resource.k8s.io", "v1", "ResourceClaim", None),
            (
                "networking.k8s.io",
                "v1beta1",
                "IPAddress",
                Some("networking.k8s.io/v1beta1 IPAddress is deprecated in v1.34+, unavailable in v1.37+"),
            ),
            ("certificates.k8s.io", "v1beta1", "PodCertificateRequest", None),
        ] {
            assert_eq!(warning(group, version, kind).as_deref(), told, "{group} {version} {kind}");
        }
        assert_eq!(removed_release("resource.k8s.io", "v1beta1", "ResourceSlice"), "1.38");
        assert_eq!(removed_release("", "v1", "Endpoints"), "");
    }
}
