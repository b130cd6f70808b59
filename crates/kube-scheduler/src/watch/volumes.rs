//! Volumes, claims, storage classes and nodes' drivers, watched into what decides about nodes.

use apimachinery::Quantity;
use apimachinery::labels::Selector;
use informer::{Change, Metadata, Object as _, Store, Watch};
use k8s_openapi::api::{core::v1 as core, storage::v1 as storage};

use super::{Facts, Kept, Nothing, Rest, Watches};
use crate::framework::Event;
use crate::term;
use crate::volumes::{AccessModes, Claim, ClaimRef, Class, CsiVolume, Kind, Limits, Volume, Volumes};

/// Says on a claim that its binding is complete: a volume that is only named may turn out to be another's.
const COMPLETE: &str = "pv.kubernetes.io/bind-completed";
/// The node that a claim's volume is to be made for.
pub const SELECTED_NODE: &str = "volume.kubernetes.io/selected-node";
/// Named an object's class before there was a field for it; it still comes first.
const OLD_CLASS: &str = "volume.beta.kubernetes.io/storage-class";

type Amounts = std::collections::BTreeMap<String, k8s_openapi::apimachinery::pkg::api::resource::Quantity>;

fn size(amounts: Option<&Amounts>) -> Quantity {
    let amount = amounts.and_then(|amounts| amounts.get("storage")?.0.parse().ok());
    amount.unwrap_or(Quantity::ZERO)
}

fn version(metadata: &Metadata) -> u64 {
    metadata.resource_version.parse().unwrap_or(0)
}

fn kind(metadata: &Metadata, class: Option<String>, attributes: Option<String>, mode: Option<&str>) -> Kind {
    let class = metadata.annotations.get(OLD_CLASS).cloned().or(class);
    Kind {
        class: class.unwrap_or_default().into(),
        attributes: attributes.unwrap_or_default().into(),
        block: mode == Some("Block"),
    }
}

impl Facts for Claim {
    type Spec = core::PersistentVolumeClaimSpec;
    type Status = core::PersistentVolumeClaimStatus;
    fn read(metadata: Metadata, wire: Rest<Self::Spec, Self::Status>) -> Self {
        let spec = wire.spec.unwrap_or_default();
        let phase = wire.status.and_then(|status| status.phase);
        Claim {
            version: version(&metadata),
            bound: metadata.annotations.contains_key(COMPLETE),
            selected_node: metadata.annotations.get(SELECTED_NODE).map(|node| node.as_str().into()),
            controller: metadata.controller().map(|owner| owner.uid.as_str().into()),
            deleting: metadata.is_deleting(),
            lost: phase.as_deref() == Some("Lost"),
            kind: kind(
                &metadata,
                spec.storage_class_name,
                spec.volume_attributes_class_name,
                spec.volume_mode.as_deref(),
            ),
            modes: AccessModes::read(spec.access_modes.iter().flatten()),
            size: size(spec.resources.as_ref().and_then(|resources| resources.requests.as_ref())),
            selector: spec
                .selector
                .map_or_else(Selector::everything, |selector| term::selector(Some(&selector))),
            volume: spec.volume_name.filter(|name| !name.is_empty()).map(Into::into),
            uid: metadata.uid.into(),
        }
    }
}

impl Facts for Volume {
    type Spec = core::PersistentVolumeSpec;
    type Status = core::PersistentVolumeStatus;
    fn read(metadata: Metadata, wire: Rest<Self::Spec, Self::Status>) -> Self {
        let spec = wire.spec.unwrap_or_default();
        let phase = wire.status.and_then(|status| status.phase);
        Volume {
            version: version(&metadata),
            deleting: metadata.is_deleting(),
            available: phase.as_deref() == Some("Available"),
            kind: kind(
                &metadata,
                spec.storage_class_name,
                spec.volume_attributes_class_name,
                spec.volume_mode.as_deref(),
            ),
            modes: AccessModes::read(spec.access_modes.iter().flatten()),
            size: size(spec.capacity.as_ref()),
            claim: spec.claim_ref.map(|claim| ClaimRef {
                key: format!("{}/{}", claim.namespace.unwrap_or_default(), claim.name.unwrap_or_default())
                    .into(),
                uid: claim.uid.unwrap_or_default().into(),
            }),
            nodes: spec.node_affinity.and_then(|affinity| affinity.required),
            csi: spec.csi.map(|csi| {
                Box::new(CsiVolume { driver: csi.driver.into(), handle: csi.volume_handle.into() })
            }),
            labels: metadata.labels,
        }
    }
}

impl Facts for Limits {
    type Spec = storage::CSINodeSpec;
    type Status = Nothing;
    fn read(_: Metadata, wire: Rest<Self::Spec, Nothing>) -> Self {
        let drivers = wire.spec.into_iter().flat_map(|spec| spec.drivers);
        let limited = drivers.filter_map(|driver| {
            let count = driver.allocatable?.count?;
            Some((driver.name.into(), usize::try_from(count).ok()?))
        });
        limited.collect()
    }
}

impl Facts for Class {
    type Spec = Nothing;
    type Status = Nothing;
    fn read(_: Metadata, wire: Rest<Nothing, Nothing>) -> Self {
        let class = wire.class;
        Class {
            waits: class.volume_binding_mode.as_deref() == Some("WaitForFirstConsumer"),
            provisioner: class.provisioner.unwrap_or_default().into(),
            topologies: class.allowed_topologies.unwrap_or_default().into(),
        }
    }
}

fn put<T: Clone>(into: &mut std::collections::BTreeMap<Box<str>, T>, key: Box<str>, value: Option<&T>) {
    match value {
        Some(value) => into.insert(key, value.clone()),
        None => into.remove(&key),
    };
}

impl Watches<'_> {
    /// Watches volumes, claims, storage classes and nodes' drivers.
    pub(super) fn volumes(&mut self) {
        self.binding::<core::PersistentVolumeClaim, Claim>(
            |key| Event::Claim(key),
            |volumes, key, claim| put(&mut volumes.claims, key, claim),
            |key, _| Some(key.into()),
        );
        self.binding::<core::PersistentVolume, Volume>(
            |_| Event::Volumes("PersistentVolumeUpdate"),
            |volumes, key, volume| put(&mut volumes.volumes, key, volume),
            |_, volume| volume.claim.as_ref().map(|claim| claim.key.clone()),
        );
        self.binding::<storage::StorageClass, Class>(
            |_| Event::Volumes("storage.k8s.io/StorageClassUpdate"),
            |volumes, key, class| put(&mut volumes.classes, key, class),
            |_, _| None,
        );
        self.binding::<storage::CSINode, Limits>(
            |_| Event::Volumes("storage.k8s.io/CSINodeUpdate"),
            |volumes, key, limits| {
                put(&mut volumes.limits, key, limits.filter(|limits| !limits.is_empty()));
            },
            |_, _| None,
        );
    }

    /// `event` is what a change may help, `put` keeps it, and `claim` says whose pods may wait for it.
    fn binding<K: k8s_openapi::Resource, T: Facts>(
        &mut self,
        event: fn(&str) -> Event<'_>,
        put: fn(&mut Volumes, Box<str>, Option<&T>),
        claim: fn(&str, &T) -> Option<Box<str>>,
    ) {
        let store: Store<Kept<T>> = Store::new();
        let shared = self.shared.clone();
        store.on_change(move |change| {
            let key = change.object().key();
            let facts = match change {
                Change::Applied { new, .. } => Some(&*new.facts),
                Change::Deleted(_) => None,
            };
            let claim = claim(key.as_str(), &change.object().facts);
            shared.surroundings(Some(event(key.as_str())), |around| {
                put(&mut around.volumes, key.as_str().into(), facts);
                let assumed = claim.and_then(|claim| around.volumes.assumed.get(&claim));
                shared.bells.ring(assumed.into_iter().flat_map(|assumed| &assumed.pods));
            });
        });
        self.spawn(Watch::all::<K>(), &store);
    }
}
