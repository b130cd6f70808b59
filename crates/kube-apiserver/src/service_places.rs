//! Where Services are, for webhooks: their ready endpoints, straight from the watch cache.

use std::sync::Arc;

use rand::seq::IndexedRandom as _;
use storage::{Query, Store};
use webhooks::{Place, Service, Services};

use crate::aggregation::places;

const SERVICE_LABEL: &str = "kubernetes.io/service-name";

/// The Services of the cluster. It holds the store alone, since the server is made of what needs it.
pub struct ServicePlaces {
    /// Where it looks.
    pub store: Arc<Store>,
}

impl Services for ServicePlaces {
    fn place(&self, wanted: Service<'_>) -> Result<Place, String> {
        let Service { namespace, name, port } = wanted;
        let key = format!("{namespace}/{name}");
        let service = self.store.cache("services/specs").and_then(|cache| cache.value(&key));
        let mut slices = Vec::new();
        if let Some(cache) = self.store.cache("endpointslices") {
            let query = Query { namespace: namespace.to_owned(), ..Query::default() };
            cache.visit(&query, |slice| {
                if slice.label(SERVICE_LABEL) == Some(name) {
                    slices.extend(slice.value());
                }
                true
            });
        }
        match places(wanted, service.as_deref(), &slices) {
            // One of them, by chance, as upstream's resolver.
            Ok(places) => places
                .choose(&mut rand::rng())
                .cloned()
                .ok_or_else(|| format!("no endpoints available for service {name:?}")),
            Err(verdict) => Err(match verdict.reason {
                "ServiceNotFound" => format!("service {name:?} not found"),
                "ServicePortError" => format!("no service port {port} found for service {name:?}"),
                _ => format!("no endpoints available for service {name:?}"),
            }),
        }
    }
}
