//! The groups `authentication.k8s.io` and `authorization.k8s.io`: questions, never stored.

use super::Row;
use crate::kinds::*;
use crate::resource::{Resource, Verbs};

const AUTHENTICATION_V1: (&str, &str) = ("authentication.k8s.io", "v1");
const AUTHORIZATION_V1: (&str, &str) = ("authorization.k8s.io", "v1");

pub(super) const AUTHENTICATION: &[Resource] = &[
    Row::cluster(
        AUTHENTICATION_V1,
        "selfsubjectreviews",
        "selfsubjectreview",
        ("SelfSubjectReview", ""),
        AUTHENTICATION_V1_SELFSUBJECTREVIEW,
    )
    .virtual_only(Verbs::CREATE)
    .build(),
    Row::cluster(
        AUTHENTICATION_V1,
        "tokenreviews",
        "tokenreview",
        ("TokenReview", ""),
        AUTHENTICATION_V1_TOKENREVIEW,
    )
    .virtual_only(Verbs::CREATE)
    .build(),
];

pub(super) const AUTHORIZATION: &[Resource] = &[
    Row::namespaced(
        AUTHORIZATION_V1,
        "localsubjectaccessreviews",
        "localsubjectaccessreview",
        ("LocalSubjectAccessReview", ""),
        AUTHORIZATION_V1_LOCALSUBJECTACCESSREVIEW,
    )
    .virtual_only(Verbs::CREATE)
    .build(),
    Row::cluster(
        AUTHORIZATION_V1,
        "selfsubjectaccessreviews",
        "selfsubjectaccessreview",
        ("SelfSubjectAccessReview", ""),
        AUTHORIZATION_V1_SELFSUBJECTACCESSREVIEW,
    )
    .virtual_only(Verbs::CREATE)
    .build(),
    Row::cluster(
        AUTHORIZATION_V1,
        "selfsubjectrulesreviews",
        "selfsubjectrulesreview",
        ("SelfSubjectRulesReview", ""),
        AUTHORIZATION_V1_SELFSUBJECTRULESREVIEW,
    )
    .virtual_only(Verbs::CREATE)
    .build(),
    Row::cluster(
        AUTHORIZATION_V1,
        "subjectaccessreviews",
        "subjectaccessreview",
        ("SubjectAccessReview", ""),
        AUTHORIZATION_V1_SUBJECTACCESSREVIEW,
    )
    .virtual_only(Verbs::CREATE)
    .build(),
];
