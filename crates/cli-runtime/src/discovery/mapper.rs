//! Finds resources by plural, singular, short name, kind, group and category.

use std::rc::Rc;

use super::Resource;
use super::cache::Cache;
use super::fetch;
use crate::cli::Invocation;
use crate::client::Client;
use crate::error::{Error, Result};

/// The server's resources, fetched when first asked for.
pub struct Mapper {
    client: Client,
    cache: Cache,
    resources: std::cell::RefCell<Option<Known>>,
}

#[derive(Clone)]
struct Known {
    resources: Rc<Vec<Rc<Resource>>>,
    fresh: bool,
}

impl Mapper {
    /// A mapper for one server.
    pub fn new(invocation: &Invocation, client: Client) -> Self {
        let cache = Cache::of(invocation, client.host());
        Self { client, cache, resources: Default::default() }
    }

    /// All resources.
    pub async fn all(&self) -> Result<Rc<Vec<Rc<Resource>>>> {
        Ok(self.known().await?.resources)
    }

    /// All resources, asked from the server now.
    pub async fn refreshed(&self) -> Result<Rc<Vec<Rc<Resource>>>> {
        let resources = fetch::resources(&self.client).await?;
        self.cache.write(&resources);
        Ok(self.keep(resources, true).resources)
    }

    /// The resource that a typed word means: `po`, `pods`, `deployments.v1.apps`.
    pub async fn resource(&self, word: &str) -> Result<Rc<Resource>> {
        if let Some(found) = find(&self.all().await?, word) {
            return Ok(found);
        }
        // A kind that is newer than the cache: ask once more before saying no.
        if !self.known().await?.fresh
            && let Some(found) = find(&self.refreshed().await?, word)
        {
            return Ok(found);
        }
        Err(Error::message(format!("the server doesn't have a resource type \"{word}\"")))
    }

    /// The resources of a typed word, which may be a category.
    pub async fn expand(&self, word: &str) -> Result<Vec<Rc<Resource>>> {
        let all = self.all().await?;
        let category: Vec<_> = all
            .iter()
            .filter(|resource| {
                resource.categories.iter().any(|category| category == word) && resource.can("list")
            })
            .cloned()
            .collect();
        if category.is_empty() { Ok(vec![self.resource(word).await?]) } else { Ok(preferred(category)) }
    }

    /// The resource of an object's `apiVersion` and `kind`.
    pub async fn of_kind(&self, api_version: &str, kind: &str) -> Result<Rc<Resource>> {
        let matches =
            |resource: &&Rc<Resource>| resource.kind == kind && resource.api_version() == api_version;
        if let Some(found) = self.all().await?.iter().find(matches) {
            return Ok(found.clone());
        }
        if !self.known().await?.fresh
            && let Some(found) = self.refreshed().await?.iter().find(matches)
        {
            return Ok(found.clone());
        }
        Err(Error::message(format!(
            "no matches for kind \"{kind}\" in version \"{api_version}\"\nensure CRDs are installed first"
        )))
    }

    async fn known(&self) -> Result<Known> {
        if let Some(known) = self.resources.borrow().as_ref() {
            return Ok(known.clone());
        }
        if let Some(resources) = self.cache.read() {
            return Ok(self.keep(resources, false));
        }
        self.refreshed().await?;
        self.resources.borrow().clone().ok_or_else(|| Error::message("discovery was not kept"))
    }

    fn keep(&self, resources: Vec<Resource>, fresh: bool) -> Known {
        let known = Known { resources: Rc::new(resources.into_iter().map(Rc::new).collect()), fresh };
        *self.resources.borrow_mut() = Some(known.clone());
        known
    }
}

/// Keeps the first version of each resource of a group.
fn preferred(resources: Vec<Rc<Resource>>) -> Vec<Rc<Resource>> {
    let mut kept: Vec<Rc<Resource>> = Vec::new();
    for resource in resources {
        if !kept.iter().any(|known| known.group == resource.group && known.plural == resource.plural) {
            kept.push(resource);
        }
    }
    kept
}

/// Finds the first resource, in the server's order of preference, that a word names.
fn find(resources: &[Rc<Resource>], word: &str) -> Option<Rc<Resource>> {
    let word = word.to_lowercase();
    let (name, rest) = word.split_once('.').unwrap_or((&word, ""));
    let in_group = |resource: &Resource| {
        rest.is_empty()
            || resource.group == rest
            || rest == resource.version
            || rest.strip_prefix(resource.version.as_str()).and_then(|group| group.strip_prefix('.')) == Some(&resource.group)
            // A prefix of the group's name is enough (`ingresses.networking`).
            || resource.group.split('.').next() == Some(rest)
    };
    type Test = fn(&Resource, &str) -> bool;
    let tests: [Test; 3] = [
        |resource, name| resource.plural == name,
        |resource, name| resource.singular == name || resource.kind.to_lowercase() == name,
        |resource, name| resource.short_names.iter().any(|short| short == name),
    ];
    tests.iter().find_map(|test| {
        resources.iter().find(|resource| test(resource, name) && in_group(resource)).cloned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Vec<Rc<Resource>> {
        let make = |group: &str, version: &str, plural: &str, kind: &str, short: &str| {
            Rc::new(Resource {
                group: group.into(),
                version: version.into(),
                plural: plural.into(),
                singular: kind.to_lowercase(),
                kind: kind.into(),
                short_names: vec![short.into()],
                ..Resource::default()
            })
        };
        vec![
            make("", "v1", "events", "Event", "ev"),
            make("", "v1", "pods", "Pod", "po"),
            make("apps", "v1", "deployments", "Deployment", "deploy"),
            make("events.k8s.io", "v1", "events", "Event", "ev"),
            make("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler", "hpa"),
            make("autoscaling", "v1", "horizontalpodautoscalers", "HorizontalPodAutoscaler", "hpa"),
        ]
    }

    #[test]
    fn words_name_resources() {
        for (word, expected) in [
            ("po", "v1 pods"),
            ("Pod", "v1 pods"),
            ("deploy", "apps/v1 deployments"),
            ("deployments.apps", "apps/v1 deployments"),
            ("deployment.v1.apps", "apps/v1 deployments"),
            ("ev", "v1 events"),
            ("events.events.k8s.io", "events.k8s.io/v1 events"),
            ("events.events", "events.k8s.io/v1 events"),
            ("hpa", "autoscaling/v2 horizontalpodautoscalers"),
            ("hpa.v1.autoscaling", "autoscaling/v1 horizontalpodautoscalers"),
            ("foo", ""),
            ("pods.apps", ""),
        ] {
            let found =
                find(&known(), word).map(|r| format!("{} {}", r.api_version(), r.plural)).unwrap_or_default();
            assert_eq!(found, expected, "{word}");
        }
    }
}
