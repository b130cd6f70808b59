//! The short notation of the hand-owned tables, `core.v1.Container+EphemeralContainer`, as definition names.

const PREFIXES: &[(&str, &str)] = &[
    ("apiextensions", "io.k8s.apiextensions-apiserver.pkg.apis."),
    ("apiregistration", "io.k8s.kube-aggregator.pkg.apis."),
    ("meta", "io.k8s.apimachinery.pkg.apis."),
];

/// Lists the definition names that a short notation stands for.
pub fn expand(short: &str) -> Vec<String> {
    let mut parts = short.splitn(3, '.');
    let (group, versions, names) = (
        parts.next().unwrap_or_default(),
        parts.next().unwrap_or_default(),
        parts.next().unwrap_or_default(),
    );
    let prefix =
        PREFIXES.iter().find(|(known, _)| *known == group).map_or("io.k8s.api.", |(_, prefix)| prefix);
    versions
        .split('+')
        .flat_map(|version| names.split('+').map(move |name| format!("{prefix}{group}.{version}.{name}")))
        .collect()
}

/// Gives the short notation of a definition name, for comments.
pub fn short(name: &str) -> &str {
    let prefixes = PREFIXES.iter().map(|(_, prefix)| *prefix).chain(["io.k8s.api."]);
    prefixes.into_iter().find_map(|prefix| name.strip_prefix(prefix)).unwrap_or(name)
}
