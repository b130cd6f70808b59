//! Leases that let objects end by themselves (events), each shared by the writes of about a minute.

use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use crate::{Error, Etcd};

/// How long one lease takes new objects, as upstream; an object may live that much longer than asked.
const SHARED: Duration = Duration::from_secs(60);
/// Shorter lives than this are kept to the second, each by a lease of its own.
const LONG: Duration = Duration::from_secs(600);
/// How many objects one lease takes, as upstream: revoking deletes them in one go.
const OBJECTS: usize = 1000;

struct Current {
    id: i64,
    lifetime: Duration,
    granted: Instant,
    objects: usize,
}

/// Hands out leases.
#[derive(Default)]
pub(crate) struct Leases {
    current: Mutex<Option<Current>>,
}

impl Leases {
    /// A lease that ends after at least `lifetime`.
    pub(crate) async fn lease(&self, etcd: &Etcd, lifetime: Duration) -> Result<i64, Error> {
        if lifetime < LONG {
            return etcd.grant(lifetime.as_secs().max(1) as i64).await;
        }
        // Held while a new lease is asked for on purpose: everybody else would ask for the same.
        let mut current = self.current.lock().await;
        if let Some(lease) = current.as_mut()
            && lease.lifetime == lifetime
            && lease.granted.elapsed() < SHARED
            && lease.objects < OBJECTS
        {
            lease.objects += 1;
            return Ok(lease.id);
        }
        let seconds = (lifetime + SHARED).as_secs() as i64;
        let id = etcd.grant(seconds).await?;
        *current = Some(Current { id, lifetime, granted: Instant::now(), objects: 1 });
        Ok(id)
    }
}
