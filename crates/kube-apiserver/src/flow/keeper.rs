//! Follows schemas and levels, and keeps those that a cluster has from the start.
//!
//! Keeps true: requests are judged by the stored schemas and levels; the mandatory ones are as they must be, the
//! suggested ones as suggested unless an operator took them over; each schema says whether its level is there; seats
//! are where the demand is.
//! Woken by: changes of both kinds; every ten seconds for the seats, every minute for the objects.
//! Reads and writes: FlowSchemas, PriorityLevelConfigurations. Gives up when: the server stops.

use std::sync::Arc;
use std::time::Duration;

use apimachinery::{ObjectExt, Status};
use flow_control::bootstrap::{Made, Upkeep, levels, schemas, upkeep, upkeep_of_other};
use flow_control::{Level, Schema, status};
use serde_json::Value;
use storage::{Cache, Change, Filter, Query, WatchStart};

use super::{Flows, Gate};
use crate::bootstrap::{change, create_missing};
use crate::server::Server;

const GROUP: &str = "flowcontrol.apiserver.k8s.io";
const LEVELS: &str = "prioritylevelconfigurations";
const SCHEMAS: &str = "flowschemas";

/// How often seats are shared out anew, as upstream.
const PERIOD: Duration = Duration::from_secs(10);
/// How often the objects are looked after besides when they change, in periods.
const ROUNDS: u32 = 6;

fn objects(cache: &Cache) -> Vec<Value> {
    let mut objects = Vec::new();
    cache.visit(&Query::default(), |object| {
        objects.extend(object.value().ok());
        true
    });
    objects
}

/// Makes and mends what a cluster has from the start.
pub async fn ensure(server: &Server) -> Result<(), Status> {
    if matches!(server.gate, Gate::Limits(_)) {
        return Ok(());
    }
    keep(server, LEVELS, &levels()).await?;
    keep(server, SCHEMAS, &schemas()).await
}

async fn keep(server: &Server, plural: &str, wanted: &[Made]) -> Result<(), Status> {
    let Some(entry) = server.registry.stored(GROUP, plural) else { return Ok(()) };
    let found = objects(entry.cache());
    let writes = wanted.iter().map(|made| {
        let found = found.iter().find(|found| found.name() == made.object.name());
        async move {
            match upkeep(made, found) {
                Upkeep::Nothing | Upkeep::Delete => Ok(()),
                Upkeep::Create(object) => create_missing(server, GROUP, plural, object).await.map(drop),
                Upkeep::Update(_) => {
                    change(server, GROUP, plural, made.object.name(), |old| match upkeep(made, Some(old)) {
                        Upkeep::Update(mut new) => {
                            if new["spec"] != old["spec"] {
                                new.set_at(&["metadata", "generation"], (old.generation() + 1).into());
                            }
                            Some(new)
                        }
                        Upkeep::Nothing | Upkeep::Create(_) | Upkeep::Delete => None,
                    })
                    .await
                }
            }
        }
    });
    futures::future::try_join_all(writes).await?;
    for other in &found {
        let is_wanted = wanted.iter().any(|made| made.object.name() == other.name());
        if !is_wanted && upkeep_of_other(other) == Upkeep::Delete {
            let gone = server
                .store
                .update::<storage::Error, _>(entry.cache(), other.name(), None, |_| Ok(Change::Delete))
                .await;
            match gone {
                Ok(_) | Err(storage::Error::NotFound) => {}
                Err(error) => return Err(crate::refusal::of_object(error, &entry, other.name())),
            }
        }
    }
    Ok(())
}

/// Reads the stored schemas and levels into the gate, and says of each schema whether its level is there.
async fn look(server: &Server, flows: &Flows, schemas: &Cache, levels: &Cache) -> Result<(), Status> {
    let (schemas, levels) = (objects(schemas), objects(levels));
    flows.configure(
        schemas.iter().filter_map(Schema::read).collect(),
        levels.iter().filter_map(Level::read).collect(),
    );
    let exists = |schema: &Value| {
        let name = &schema["spec"]["priorityLevelConfiguration"]["name"];
        levels.iter().any(|level| level.name() == name)
    };
    let now = apimachinery::time::rfc3339(jiff::Timestamp::now());
    for schema in &schemas {
        if status::dangling(schema, exists(schema), &now).is_none() {
            continue;
        }
        let written = change(server, GROUP, SCHEMAS, schema.name(), |old| {
            status::dangling(old, exists(old), &now).map(|condition| status::with_condition(old, condition))
        })
        .await;
        match written {
            Ok(()) => {}
            // It went meanwhile.
            Err(status) if status.code == 404 => {}
            Err(status) => return Err(status),
        }
    }
    Ok(())
}

/// Runs until the server stops.
pub async fn run(server: Arc<Server>) {
    let stored = |plural| server.registry.stored(GROUP, plural);
    let (Gate::Fair(flows), Some(schemas), Some(levels)) = (&server.gate, stored(SCHEMAS), stored(LEVELS))
    else {
        return std::future::pending().await;
    };
    let mut period = tokio::time::interval(PERIOD);
    period.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    period.tick().await;
    let mut rounds = 0;
    loop {
        let begin = |cache: &Arc<Cache>| {
            let (mut watch, _) = cache.watch(WatchStart::Objects, Filter::default()).ok()?;
            while watch.next_first().is_some() {}
            Some(watch)
        };
        let (Some(mut schema_events), Some(mut level_events)) =
            (begin(schemas.cache()), begin(levels.cache()))
        else {
            period.tick().await;
            continue;
        };
        let mut changed = true;
        loop {
            if changed {
                let result = match look(&server, flows, schemas.cache(), levels.cache()).await {
                    Ok(()) => ensure(&server).await,
                    Err(status) => Err(status),
                };
                if let Err(status) = result {
                    tracing::warn!(%status, "cannot keep the objects of priority and fairness");
                }
            }
            changed = tokio::select! {
                event = schema_events.next() => if event.is_some() { true } else { break },
                event = level_events.next() => if event.is_some() { true } else { break },
                _ = period.tick() => {
                    flows.share_out();
                    rounds = (rounds + 1) % ROUNDS;
                    rounds == 0
                }
            };
            // What came meanwhile is looked at with it.
            while schema_events.try_next().is_some() || level_events.try_next().is_some() {}
        }
    }
}
