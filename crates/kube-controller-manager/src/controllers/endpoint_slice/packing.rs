//! Fits endpoints into slices so that as few slices as possible change.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use controller_runtime::objects::EndpointSlice;
use controller_runtime::objects::endpoint_slice::{Endpoint, Port};

use super::desired::Groups;

/// The most endpoints in one slice; upstream's default.
pub const FULL: usize = 100;

/// The content of a slice.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Slice {
    /// The address family.
    pub address_type: String,
    /// The ports.
    pub ports: Vec<Port>,
    /// The endpoints.
    pub endpoints: Vec<Endpoint>,
}

/// What is to be written.
#[derive(Debug, Default)]
pub struct Packing {
    /// New slices.
    pub create: Vec<Slice>,
    /// Slices whose content or labels change.
    pub update: Vec<(Arc<EndpointSlice>, Slice)>,
    /// Slices of which nothing is left.
    pub delete: Vec<Arc<EndpointSlice>>,
}

/// Packs.
pub fn pack(present: &[Arc<EndpointSlice>], desired: Groups, labels: &BTreeMap<String, String>) -> Packing {
    let mut packing = Packing::default();
    let mut by_group: HashMap<(String, Vec<Port>), Vec<Arc<EndpointSlice>>> = HashMap::new();
    let mut strangers = Vec::new();
    let mut ordered = present.to_vec();
    ordered.sort_by(|a, b| a.metadata.name.cmp(&b.metadata.name));
    for slice in ordered {
        let mut ports = slice.ports.clone();
        ports.sort();
        let group = (slice.address_type.clone(), ports);
        if desired.keys().any(|(family, ports)| *family == group.0 && sorted(ports) == group.1) {
            by_group.entry(group).or_default().push(slice);
        } else {
            strangers.push(slice);
        }
    }
    for ((family, ports), endpoints) in desired {
        let slices = by_group.remove(&(family.clone(), sorted(&ports))).unwrap_or_default();
        pack_group(&family, &ports, endpoints, slices, labels, &mut packing);
    }
    packing.delete.extend(strangers);
    recycle(&mut packing);
    packing
}

fn sorted(ports: &[Port]) -> Vec<Port> {
    let mut ports = ports.to_vec();
    ports.sort();
    ports
}

/// What identifies an endpoint from one version to the next.
pub fn identity(endpoint: &Endpoint) -> (String, String) {
    let uid = endpoint.target_ref.as_ref().map(|target| target.uid.clone()).unwrap_or_default();
    (endpoint.addresses.first().cloned().unwrap_or_default(), uid)
}

struct Draft {
    slice: Arc<EndpointSlice>,
    endpoints: Vec<Endpoint>,
    changed: bool,
}

fn pack_group(
    family: &str,
    ports: &[Port],
    endpoints: Vec<Endpoint>,
    slices: Vec<Arc<EndpointSlice>>,
    labels: &BTreeMap<String, String>,
    packing: &mut Packing,
) {
    let was_empty = endpoints.is_empty();
    let order: Vec<(String, String)> = endpoints.iter().map(identity).collect();
    let mut left: HashMap<(String, String), Endpoint> =
        endpoints.into_iter().map(|endpoint| (identity(&endpoint), endpoint)).collect();
    let mut drafts: Vec<Draft> = slices.into_iter().map(|slice| draft(slice, &mut left)).collect();
    // In the order of the pods' names, so that the same pods always make the same slices.
    let mut left: Vec<Endpoint> = order.iter().filter_map(|identity| left.remove(identity)).collect();
    for draft in drafts.iter_mut().filter(|draft| draft.changed) {
        fill(draft, &mut left);
    }
    while !left.is_empty() {
        // The fullest slice that takes all that is left changes one slice and leaves the others for later.
        let fitting = drafts.iter_mut().filter(|draft| draft.endpoints.len() + left.len() <= FULL);
        match fitting.max_by_key(|draft| draft.endpoints.len()) {
            Some(draft) => fill(draft, &mut left),
            None => {
                let count = left.len().min(FULL);
                let endpoints = left.drain(..count).collect();
                packing.create.push(Slice {
                    address_type: family.to_owned(),
                    ports: ports.to_vec(),
                    endpoints,
                });
            }
        }
    }
    // A service without pods keeps one empty slice, which says that it has none.
    let mut keep_one = was_empty;
    for draft in drafts {
        if draft.endpoints.is_empty() && !std::mem::take(&mut keep_one) {
            packing.delete.push(draft.slice);
        } else if draft.changed || draft.slice.metadata.labels != *labels {
            let content =
                Slice { address_type: family.to_owned(), ports: ports.to_vec(), endpoints: draft.endpoints };
            packing.update.push((draft.slice, content));
        }
    }
    if keep_one {
        packing.create.push(Slice {
            address_type: family.to_owned(),
            ports: ports.to_vec(),
            endpoints: Vec::new(),
        });
    }
}

/// Keeps of a slice what is still desired, in its present form.
fn draft(slice: Arc<EndpointSlice>, left: &mut HashMap<(String, String), Endpoint>) -> Draft {
    let mut changed = false;
    let mut endpoints = Vec::with_capacity(slice.endpoints.len());
    for present in &slice.endpoints {
        match left.remove(&identity(present)) {
            Some(desired) => {
                changed |= desired != *present;
                endpoints.push(desired);
            }
            None => changed = true,
        }
    }
    Draft { slice, endpoints, changed }
}

fn fill(draft: &mut Draft, left: &mut Vec<Endpoint>) {
    let room = FULL.saturating_sub(draft.endpoints.len()).min(left.len());
    if room > 0 {
        draft.endpoints.extend(left.drain(..room));
        draft.changed = true;
    }
}

/// Writes new content over slices that would go, one write in place of two. The address family cannot change.
fn recycle(packing: &mut Packing) {
    let mut index = 0;
    while index < packing.create.len() {
        let family = &packing.create[index].address_type;
        match packing.delete.iter().position(|slice| slice.address_type == *family) {
            Some(spare) => {
                let slice = packing.delete.swap_remove(spare);
                packing.update.push((slice, packing.create.remove(index)));
            }
            None => index += 1,
        }
    }
}
