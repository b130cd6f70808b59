//! Names of images: the default tag, the default pull policy, and which registry one is in.

/// Adds `:latest` to a name without tag and digest. A name that is none is an error with upstream's word for it.
pub fn with_default_tag(name: &str) -> Result<String, &'static str> {
    let (path, digest) = match name.split_once('@') {
        Some((path, digest)) => (path, Some(digest)),
        None => (name, None),
    };
    let (repository, tag) = split_tag(path);
    if repository.is_empty() || !repository_is_valid(repository) {
        let upper = repository.chars().any(|character| character.is_ascii_uppercase());
        return Err(match upper && repository_is_valid(&repository.to_lowercase()) {
            true => "repository name must be lowercase",
            false => "invalid reference format",
        });
    }
    let tag_is_valid = tag.is_none_or(|tag| {
        !tag.is_empty()
            && tag.len() <= 128
            && !tag.starts_with(['.', '-'])
            && tag.chars().all(|character| character.is_ascii_alphanumeric() || "._-".contains(character))
    });
    let digest_is_valid = digest.is_none_or(|digest| {
        digest.split_once(':').is_some_and(|(algorithm, hex)| {
            !algorithm.is_empty()
                && hex.len() >= 32
                && hex.chars().all(|character| character.is_ascii_hexdigit())
        })
    });
    if !tag_is_valid || !digest_is_valid {
        return Err("invalid reference format");
    }
    Ok(if tag.is_none() && digest.is_none() { format!("{name}:latest") } else { name.to_owned() })
}

/// Splits the tag off; a colon before a slash is a port.
fn split_tag(path: &str) -> (&str, Option<&str>) {
    match path.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => (repository, Some(tag)),
        _ => (path, None),
    }
}

fn repository_is_valid(repository: &str) -> bool {
    let mut parts = repository.split('/').peekable();
    if let Some(first) = repository.split('/').next()
        && repository.contains('/')
        && is_registry(first)
    {
        parts.next();
    }
    parts.all(|part| {
        let edge = |character: char| character.is_ascii_lowercase() || character.is_ascii_digit();
        part.starts_with(edge)
            && part.ends_with(edge)
            && part.chars().all(|character| edge(character) || "._-".contains(character))
    })
}

/// Tells a registry's host from the first part of a path: it has a dot or a port, or is localhost.
fn is_registry(part: &str) -> bool {
    part.contains(['.', ':', '[']) || part == "localhost"
}

/// The pull policy of a container that names none: always for `:latest`.
pub fn default_policy(name: &str) -> &'static str {
    let latest = !name.contains('@') && split_tag(name).1 == Some("latest");
    if latest { "Always" } else { "IfNotPresent" }
}

/// Tells whether a credential kept under `registry` is for an image. A path in it must lead to the image, and a `*`
/// stands for one part of the host's name.
pub fn matches_registry(name: &str, registry: &str) -> bool {
    let registry = registry.trim_start_matches("https://").trim_start_matches("http://");
    let registry = registry.trim_end_matches('/').trim_end_matches("/v1").trim_end_matches("/v2");
    let (host, path) = registry.split_once('/').unwrap_or((registry, ""));
    let (image_host, image_path) = match name.split_once('/') {
        Some((first, rest)) if is_registry(first) => (first, rest),
        // The hub has several names.
        _ => ("index.docker.io", name),
    };
    let canonical =
        |host: &str| if host == "docker.io" { "index.docker.io".to_owned() } else { host.to_owned() };
    let (host, image_host) = (canonical(host), canonical(image_host));
    let (globs, parts): (Vec<&str>, Vec<&str>) = (host.split('.').collect(), image_host.split('.').collect());
    let same_host = globs.len() == parts.len()
        && globs.iter().zip(&parts).all(|(glob, part)| match glob.split_once('*') {
            Some((before, after)) => {
                part.len() >= before.len() + after.len() && part.starts_with(before) && part.ends_with(after)
            }
            None => glob == part,
        });
    let below = path.is_empty() || image_path == path || image_path.starts_with(&format!("{path}/"));
    same_host && (below || image_path.starts_with(&format!("{path}:")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_tag_goes_where_none_is() {
        for (name, expected) in [
            ("busybox", Ok("busybox:latest")),
            ("busybox:1", Ok("busybox:1")),
            ("localhost:5000/a/b", Ok("localhost:5000/a/b:latest")),
            ("registry.k8s.io/pause:3.10", Ok("registry.k8s.io/pause:3.10")),
            ("Busybox", Err("repository name must be lowercase")),
            ("a b", Err("invalid reference format")),
            ("", Err("invalid reference format")),
            ("a:", Err("invalid reference format")),
            ("a/:x", Err("invalid reference format")),
        ] {
            assert_eq!(with_default_tag(name), expected.map(str::to_owned), "{name}");
        }
        let digest = format!("a@sha256:{}", "0".repeat(64));
        assert_eq!(with_default_tag(&digest), Ok(digest.clone()));
    }

    #[test]
    fn only_latest_is_always_pulled() {
        assert_eq!(default_policy("a:latest"), "Always");
        assert_eq!(default_policy("a:1"), "IfNotPresent");
        assert_eq!(default_policy("a:latest@sha256:0"), "IfNotPresent");
    }

    #[test]
    fn credentials_match_host_and_path() {
        for (name, registry, expected) in [
            ("busybox", "https://index.docker.io/v1/", true),
            ("docker.io/library/busybox", "docker.io", true),
            ("quay.io/a/b:1", "quay.io", true),
            ("quay.io/a/b:1", "quay.io/a", true),
            ("quay.io/a/b:1", "quay.io/a/b", true),
            ("quay.io/ab/b:1", "quay.io/a", false),
            ("x.quay.io/a", "*.quay.io", true),
            ("x.y.quay.io/a", "*.quay.io", false),
            ("localhost:5000/a", "localhost:5000", true),
            ("gcr.io/a", "quay.io", false),
        ] {
            assert_eq!(matches_registry(name, registry), expected, "{name} {registry}");
        }
    }
}
