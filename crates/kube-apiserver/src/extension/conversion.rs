//! Objects of custom resources in other versions, by the webhook that their definition names.

use std::sync::Arc;
use std::time::Duration;

use apimachinery::{ObjectExt as _, Status};
use bytes::Bytes;
use custom_resources::{Definition, review};
use serde_json::Value;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::Semaphore;
use webhooks::Client;

use crate::http::headers::random_id;
use crate::server::Server;
use crate::service_places::ServicePlaces;

/// How long a webhook may take, as upstream.
const PATIENCE: Duration = Duration::from_secs(30);
/// How many requests may wait for webhooks on threads of their own. There are far fewer of these than the runtime may
/// have, so that it never waits for one itself.
static WAITING: Semaphore = Semaphore::const_new(64);

/// Who converts the objects of a definition.
pub struct Conversion {
    client: Result<Client, String>,
    /// The version of reviews.
    version: String,
}

impl Conversion {
    /// Reads who that is; nothing where versions differ in their name only.
    pub fn of(server: &Server, definition: &Definition) -> Option<Arc<Self>> {
        if !definition.converts() {
            return None;
        }
        let webhook = &definition.conversion.webhook;
        let services = Arc::new(ServicePlaces { store: server.store.clone() });
        let client = Client::of_client_config(&webhook.client_config, services);
        let version = review::version(&webhook.conversion_review_versions).to_owned();
        Some(Arc::new(Self { client: client.map_err(|error| error.to_string()), version }))
    }

    /// Converts those objects that are not in a version yet, all in one call.
    pub async fn convert(&self, objects: &mut [Value], desired: &str) -> Result<(), Status> {
        let places: Vec<usize> =
            (0..objects.len()).filter(|at| objects[*at].api_version() != desired).collect();
        if places.is_empty() {
            return Ok(());
        }
        let sent: Vec<Value> = places.iter().map(|at| objects[*at].take()).collect();
        // Upstream gives these failures no reason of their own.
        let refuse = |why: String| Status::new(500, "", why);
        let uid = random_id().to_string();
        let request = review::request(&self.version, &uid, desired, &sent);
        let client = self.client.as_ref().map_err(|why| refuse(review::failed(&sent, why)))?;
        let body = Bytes::from(serde_json::to_vec(&request).map_err(Status::internal)?);
        drop(request);
        let answer = client.post("timeout=30s", body, PATIENCE).await;
        let answer = answer.map_err(|error| refuse(review::failed(&sent, &error)))?;
        let converted = review::answer(&answer, &self.version, &uid, desired, &sent).map_err(refuse)?;
        for (at, object) in places.into_iter().zip(converted) {
            objects[at] = object;
        }
        Ok(())
    }

    /// Converts one object where nothing can be awaited: the thread waits, and another serves meanwhile.
    pub fn convert_here(&self, object: &mut Value, desired: &str) -> Result<(), Status> {
        if object.api_version() == desired {
            return Ok(());
        }
        let busy = |_| Status::too_many_requests("too many requests wait for conversion webhooks", 1);
        let _waiting = WAITING.try_acquire().map_err(busy)?;
        let handle = Handle::try_current().map_err(Status::internal)?;
        if handle.runtime_flavor() != RuntimeFlavor::MultiThread {
            return Err(Status::internal("objects are converted on a runtime of many threads only"));
        }
        tokio::task::block_in_place(|| handle.block_on(self.convert(std::slice::from_mut(object), desired)))
    }
}
