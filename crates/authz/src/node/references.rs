//! What a pod or a persistent volume refers to, read from its JSON without what else is in it: every change of every pod
//! comes by here.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IgnoredAny;

/// The kinds that pods refer to by name in their own namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Target {
    Secret,
    ConfigMap,
    Claim,
    ServiceAccount,
    ResourceClaim,
}

/// A pod on a node, with the objects of its namespace that it needs.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PlacedPod {
    pub node: Box<str>,
    pub needs: Box<[(Target, Box<str>)]>,
}

/// A bound persistent volume: the claim it is bound to, and the secrets it needs.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BoundVolume {
    pub claim: (Box<str>, Box<str>),
    pub secrets: Box<[(Box<str>, Box<str>)]>,
}

/// A text, taken from where it is read.
#[derive(Deserialize, Default)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// A list; `null` is an empty one.
type List<T> = Option<Vec<T>>;

/// What every object says of itself.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Metadata<'a> {
    #[serde(borrow)]
    pub name: Cow<'a, str>,
    #[serde(borrow)]
    pub namespace: Cow<'a, str>,
    annotations: Option<Annotations>,
}

#[derive(Deserialize)]
struct Annotations {
    #[serde(rename = "kubernetes.io/config.mirror")]
    mirror: Option<IgnoredAny>,
}

#[derive(Deserialize)]
pub(super) struct Pod<'a> {
    #[serde(borrow, default)]
    pub metadata: Metadata<'a>,
    #[serde(borrow, default)]
    spec: PodSpec<'a>,
    #[serde(borrow, default)]
    status: PodStatus<'a>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct PodSpec<'a> {
    #[serde(borrow)]
    node_name: Option<Text<'a>>,
    #[serde(borrow)]
    service_account_name: Option<Text<'a>>,
    #[serde(borrow)]
    image_pull_secrets: List<Named<'a>>,
    #[serde(borrow)]
    containers: List<Container<'a>>,
    #[serde(borrow)]
    init_containers: List<Container<'a>>,
    #[serde(borrow)]
    ephemeral_containers: List<Container<'a>>,
    #[serde(borrow)]
    volumes: List<Source<'a>>,
    #[serde(borrow)]
    resource_claims: List<ClaimReference<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct PodStatus<'a> {
    #[serde(borrow)]
    resource_claim_statuses: List<ClaimReference<'a>>,
    #[serde(borrow)]
    extended_resource_claim_status: Option<ClaimReference<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Named<'a> {
    #[serde(borrow)]
    name: Option<Text<'a>>,
    #[serde(borrow)]
    namespace: Option<Text<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClaimReference<'a> {
    #[serde(borrow)]
    resource_claim_name: Option<Text<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Container<'a> {
    #[serde(borrow)]
    env_from: List<EnvFrom<'a>>,
    #[serde(borrow)]
    env: List<Variable<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct EnvFrom<'a> {
    #[serde(borrow)]
    secret_ref: Option<Named<'a>>,
    #[serde(borrow)]
    config_map_ref: Option<Named<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Variable<'a> {
    #[serde(borrow)]
    value_from: Option<ValueFrom<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ValueFrom<'a> {
    #[serde(borrow)]
    secret_key_ref: Option<Named<'a>>,
    #[serde(borrow)]
    config_map_key_ref: Option<Named<'a>>,
}

/// A volume of a pod, or the spec of a persistent volume: what it comes from.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Source<'a> {
    #[serde(borrow)]
    name: Option<Text<'a>>,
    #[serde(borrow)]
    claim_ref: Option<Named<'a>>,
    #[serde(borrow)]
    secret: Option<SecretSource<'a>>,
    #[serde(borrow)]
    config_map: Option<Named<'a>>,
    #[serde(borrow)]
    persistent_volume_claim: Option<ClaimSource<'a>>,
    ephemeral: Option<IgnoredAny>,
    #[serde(borrow)]
    projected: Option<Projected<'a>>,
    #[serde(borrow)]
    csi: Option<Driver<'a>>,
    #[serde(borrow)]
    azure_file: Option<SecretSource<'a>>,
    #[serde(borrow)]
    cephfs: Option<WithSecret<'a>>,
    #[serde(borrow)]
    cinder: Option<WithSecret<'a>>,
    #[serde(borrow)]
    flex_volume: Option<WithSecret<'a>>,
    #[serde(borrow)]
    iscsi: Option<WithSecret<'a>>,
    #[serde(borrow)]
    rbd: Option<WithSecret<'a>>,
    #[serde(borrow, rename = "scaleIO")]
    scale_io: Option<WithSecret<'a>>,
    #[serde(borrow)]
    storageos: Option<WithSecret<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SecretSource<'a> {
    #[serde(borrow)]
    secret_name: Option<Text<'a>>,
    #[serde(borrow)]
    secret_namespace: Option<Text<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClaimSource<'a> {
    #[serde(borrow)]
    claim_name: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Projected<'a> {
    #[serde(borrow)]
    sources: List<ProjectedSource<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ProjectedSource<'a> {
    #[serde(borrow)]
    secret: Option<Named<'a>>,
    #[serde(borrow)]
    config_map: Option<Named<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Driver<'a> {
    #[serde(borrow)]
    controller_expand_secret_ref: Option<Named<'a>>,
    #[serde(borrow)]
    controller_publish_secret_ref: Option<Named<'a>>,
    #[serde(borrow)]
    node_expand_secret_ref: Option<Named<'a>>,
    #[serde(borrow)]
    node_publish_secret_ref: Option<Named<'a>>,
    #[serde(borrow)]
    node_stage_secret_ref: Option<Named<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WithSecret<'a> {
    #[serde(borrow)]
    secret_ref: Option<Named<'a>>,
}

/// A persistent volume.
#[derive(Deserialize)]
pub(super) struct Volume<'a> {
    #[serde(borrow, default)]
    pub metadata: Metadata<'a>,
    #[serde(borrow, default)]
    spec: Source<'a>,
}

/// A volume attachment or a resource slice.
#[derive(Deserialize)]
pub(super) struct OfNode<'a> {
    #[serde(borrow, default)]
    pub metadata: Metadata<'a>,
    #[serde(borrow, default)]
    spec: NodeSpec<'a>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct NodeSpec<'a> {
    #[serde(borrow)]
    node_name: Option<Text<'a>>,
}

impl OfNode<'_> {
    /// The node that it is for; empty for those of none.
    pub(super) fn node(&self) -> &str {
        text(&self.spec.node_name)
    }
}

impl Pod<'_> {
    /// A pod's node and needs; `None` while it is not placed.
    ///
    /// A mirror pod needs nothing: the kubelet wrote it, and must not give itself rights by what it writes there.
    pub(super) fn placed(&self) -> Option<PlacedPod> {
        let node = text(&self.spec.node_name);
        if node.is_empty() {
            return None;
        }
        let mirror = self.metadata.annotations.as_ref().is_some_and(|known| known.mirror.is_some());
        let mut needs = Needs::default();
        if !mirror {
            self.collect(&mut needs);
        }
        let mut needs = needs.0;
        needs.sort();
        needs.dedup();
        Some(PlacedPod { node: node.into(), needs: needs.into() })
    }

    fn collect(&self, needs: &mut Needs) {
        let Self { metadata, spec, status } = self;
        needs.add(Target::ServiceAccount, text(&spec.service_account_name));
        for secret in spec.image_pull_secrets.iter().flatten() {
            needs.add(Target::Secret, text(&secret.name));
        }
        let lists = [&spec.containers, &spec.init_containers, &spec.ephemeral_containers];
        for container in lists.into_iter().flatten().flatten() {
            for from in container.env_from.iter().flatten() {
                needs.named(Target::Secret, &from.secret_ref);
                needs.named(Target::ConfigMap, &from.config_map_ref);
            }
            let variables = container.env.iter().flatten();
            for from in variables.filter_map(|variable| variable.value_from.as_ref()) {
                needs.named(Target::Secret, &from.secret_key_ref);
                needs.named(Target::ConfigMap, &from.config_map_key_ref);
            }
        }
        for volume in spec.volumes.iter().flatten() {
            if let Some(source) = &volume.secret {
                needs.add(Target::Secret, text(&source.secret_name));
            }
            needs.named(Target::ConfigMap, &volume.config_map);
            if let Some(source) = &volume.persistent_volume_claim {
                needs.add(Target::Claim, text(&source.claim_name));
            }
            if volume.ephemeral.is_some() {
                needs.add(Target::Claim, &format!("{}-{}", metadata.name, text(&volume.name)));
            }
            let projected = volume.projected.iter().filter_map(|projected| projected.sources.as_ref());
            for source in projected.flatten() {
                needs.named(Target::Secret, &source.secret);
                needs.named(Target::ConfigMap, &source.config_map);
            }
            for (_, name) in volume.secrets() {
                needs.add(Target::Secret, name);
            }
        }
        let of_spec = spec.resource_claims.iter().flatten();
        let of_status = status.resource_claim_statuses.iter().flatten();
        for claim in of_spec.chain(of_status).chain(&status.extended_resource_claim_status) {
            needs.add(Target::ResourceClaim, text(&claim.resource_claim_name));
        }
    }
}

impl Source<'_> {
    /// The secrets that the volume's plugin needs, with their namespace where it says one.
    fn secrets(&self) -> impl Iterator<Item = (&str, &str)> {
        let drivers = self.csi.iter().flat_map(|csi| {
            [
                &csi.controller_expand_secret_ref,
                &csi.controller_publish_secret_ref,
                &csi.node_expand_secret_ref,
                &csi.node_publish_secret_ref,
                &csi.node_stage_secret_ref,
            ]
        });
        let others = [
            &self.cephfs,
            &self.cinder,
            &self.flex_volume,
            &self.iscsi,
            &self.rbd,
            &self.scale_io,
            &self.storageos,
        ];
        let references =
            drivers.flatten().chain(others.into_iter().flatten().filter_map(|with| with.secret_ref.as_ref()));
        let azure =
            self.azure_file.iter().map(|file| (text(&file.secret_namespace), text(&file.secret_name)));
        references
            .map(|reference| (text(&reference.namespace), text(&reference.name)))
            .chain(azure)
            .filter(|(_, name)| !name.is_empty())
    }
}

impl Volume<'_> {
    /// The volume's claim and secrets; `None` while it is not claimed.
    pub(super) fn bound(&self) -> Option<BoundVolume> {
        let claim = self.spec.claim_ref.as_ref()?;
        let (namespace, name) = (text(&claim.namespace), claim.name.as_ref().map(|name| &*name.0)?);
        let secrets = self
            .spec
            .secrets()
            .map(|(of, secret)| (if of.is_empty() { namespace } else { of }.into(), secret.into()))
            .collect();
        Some(BoundVolume { claim: (namespace.into(), name.into()), secrets })
    }
}

/// What a pod needs, as it is collected.
#[derive(Default)]
struct Needs(Vec<(Target, Box<str>)>);

impl Needs {
    fn add(&mut self, target: Target, name: &str) {
        if !name.is_empty() {
            self.0.push((target, name.into()));
        }
    }

    fn named(&mut self, target: Target, reference: &Option<Named<'_>>) {
        if let Some(reference) = reference {
            self.add(target, text(&reference.name));
        }
    }
}

fn text<'a>(text: &'a Option<Text<'_>>) -> &'a str {
    text.as_ref().map_or("", |text| &text.0)
}
