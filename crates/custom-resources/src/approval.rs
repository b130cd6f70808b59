//! Groups of the Kubernetes project are protected: who defines something in one says where that was approved.

/// The annotation that says it.
pub const ANNOTATION: &str = "api-approved.kubernetes.io";

/// Whether a definition in a protected group was approved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Approval {
    /// There, at a URL.
    Approved(String),
    /// It was not, and its author says so.
    Bypassed(String),
    /// Nothing is said.
    Missing,
    /// What is said is neither a URL nor begins with `unapproved`.
    Invalid(String),
}

impl Approval {
    /// What the annotation of a definition says; nothing where its group is not protected.
    pub fn of(group: &str, annotation: Option<&str>) -> Option<Self> {
        let is_within = |domain: &str| {
            group.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        };
        if !is_within("k8s.io") && !is_within("kubernetes.io") {
            return None;
        }
        let text = annotation.unwrap_or_default();
        let is_url = text.split_once("://").is_some_and(|(scheme, rest)| {
            !scheme.is_empty() && !rest.split('/').next().unwrap_or_default().is_empty()
        });
        Some(match text {
            "" => Self::Missing,
            text if text.starts_with("unapproved") => Self::Bypassed(text.to_owned()),
            text if is_url => Self::Approved(text.to_owned()),
            text => Self::Invalid(text.to_owned()),
        })
    }

    /// Reason and message of the condition `KubernetesAPIApprovalPolicyConformant`.
    pub fn words(&self) -> (&'static str, String) {
        const SEE: &str = "see https://github.com/kubernetes/enhancements/pull/1111";
        match self {
            Self::Approved(url) => ("ApprovedAnnotation", format!("approved in {url}")),
            Self::Bypassed(why) => ("UnapprovedAnnotation", format!("not approved: {why:?}")),
            Self::Missing => (
                "MissingAnnotation",
                format!("protected groups must have approval annotation {ANNOTATION:?}, {SEE}"),
            ),
            Self::Invalid(_) => (
                "InvalidAnnotation",
                format!(
                    "protected groups must have approval annotation {ANNOTATION:?} with either a URL or a reason starting with \"unapproved\", {SEE}"
                ),
            ),
        }
    }

    /// Whether the policy is kept.
    pub fn is_approved(&self) -> bool {
        matches!(self, Self::Approved(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_of_the_project_need_an_approval() {
        let of = |group: &str, text: &str| Approval::of(group, Some(text)).map(|approval| approval.words().0);
        assert_eq!(of("example.com", ""), None);
        assert_eq!(of("notk8s.io", ""), None);
        assert_eq!(of("x.k8s.io", ""), Some("MissingAnnotation"));
        assert_eq!(
            of("k8s.io", "https://github.com/kubernetes/kubernetes/pull/1"),
            Some("ApprovedAnnotation")
        );
        assert_eq!(of("a.kubernetes.io", "unapproved, an experiment"), Some("UnapprovedAnnotation"));
        assert_eq!(of("a.kubernetes.io", "yes"), Some("InvalidAnnotation"));
    }
}
