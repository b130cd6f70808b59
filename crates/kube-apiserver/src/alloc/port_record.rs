//! The node ports that are taken, as all servers over one etcd see them: one bit for each port of the range, in the
//! RangeAllocation that upstream's servers keep too. A port is given to who sets its bit.

use std::collections::HashMap;

use apimachinery::{ObjectExt, Status};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use storage::{Cache, Change, Query, Store};

use super::PortRange;
use super::fields;
use crate::refusal::Refusal;

/// Where RangeAllocations are, as upstream.
pub const RANGES: &str = "ranges";
/// The one of node ports.
const NODE_PORTS: &str = "servicenodeports";
/// In how many rounds a port must be found without a Service before it is free again, as upstream: its Service may be
/// about to be stored.
const ROUNDS: u32 = 3;

/// The bits of a range: the number whose lowest bit is the first port, its most significant byte first.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Bits(Vec<u8>);

impl Bits {
    fn none(range: PortRange) -> Self {
        Self(vec![0; usize::from(range.last - range.first) / 8 + 1])
    }

    fn read(range: PortRange, object: &Value) -> Option<Self> {
        if object.get("range").and_then(Value::as_str) != Some(&range.to_string()) {
            return None;
        }
        let data = object.get("data").and_then(Value::as_str).unwrap_or_default();
        let bytes = BASE64_STANDARD.decode(data).ok()?;
        let mut bits = Self::none(range);
        for (bit, byte) in bits.0.iter_mut().zip(bytes.iter().rev()) {
            *bit = *byte;
        }
        Some(bits)
    }

    fn write(&self, range: PortRange) -> Value {
        let significant = self.0.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        let bytes: Vec<u8> = self.0[..significant].iter().rev().copied().collect();
        json!({
            "kind": "RangeAllocation", "apiVersion": "v1", "metadata": {},
            "range": range.to_string(), "data": BASE64_STANDARD.encode(bytes),
        })
    }

    fn has(&self, range: PortRange, port: u16) -> bool {
        let at = usize::from(port - range.first);
        self.0.get(at / 8).is_some_and(|byte| byte & (1 << (at % 8)) != 0)
    }

    fn set(&mut self, range: PortRange, port: u16, taken: bool) {
        let at = usize::from(port - range.first);
        if let Some(byte) = self.0.get_mut(at / 8) {
            if taken { *byte |= 1 << (at % 8) } else { *byte &= !(1 << (at % 8)) }
        }
    }
}

/// Takes ports; gives the first that somebody has, and takes none then.
pub(super) async fn take(store: &Store, range: PortRange, ports: &[u16]) -> Result<Option<u16>, Status> {
    let mut lost = None;
    change(store, range, |bits| {
        lost = ports.iter().copied().find(|port| bits.has(range, *port));
        if lost.is_none() {
            ports.iter().for_each(|port| bits.set(range, *port, true));
        }
    })
    .await?;
    Ok(lost)
}

/// Gives ports back.
pub(super) async fn give_back(store: &Store, range: PortRange, ports: &[u16]) {
    let given =
        change(store, range, |bits| ports.iter().for_each(|port| bits.set(range, *port, false))).await;
    if let Err(status) = given {
        tracing::warn!(%status, ?ports, "cannot give node ports back: they are found later");
    }
}

/// Makes sure that every Service's ports are taken, and that ports without a Service are free after a while.
/// `leaked` remembers in how many rounds a port was without one.
pub async fn repair(store: &Store, range: PortRange, leaked: &mut HashMap<u16, u32>) -> Result<(), Status> {
    let (Some(services), Some(cache)) = (store.cache("services/specs"), store.cache(RANGES)) else {
        return Ok(());
    };
    let used = used(&services, range);
    let exists = cache.get(NODE_PORTS).is_some();
    if !exists && used.is_empty() {
        return Ok(());
    }
    let mut missing = Vec::new();
    change(store, range, |bits| {
        missing = used.iter().copied().filter(|port| !bits.has(range, *port)).collect();
        missing.iter().for_each(|port| bits.set(range, *port, true));
        let free: Vec<u16> = (range.first..=range.last)
            .filter(|port| bits.has(range, *port) && !used.contains(port))
            .collect();
        leaked.retain(|port, _| free.contains(port));
        for port in free {
            let rounds = leaked.get(&port).copied().unwrap_or(0);
            if rounds >= ROUNDS {
                bits.set(range, port, false);
            }
        }
    })
    .await?;
    for rounds in leaked.values_mut() {
        *rounds += 1;
    }
    let bits = cache.get(NODE_PORTS).and_then(|object| object.value().ok());
    if let Some(bits) = bits.and_then(|object| Bits::read(range, &object)) {
        for port in range.first..=range.last {
            if bits.has(range, port) && !used.contains(&port) {
                leaked.entry(port).or_insert(1);
            }
        }
    }
    if !missing.is_empty() && exists {
        tracing::warn!(ports = ?missing, "node ports of Services were free: taken again");
    }
    Ok(())
}

fn used(services: &Cache, range: PortRange) -> Vec<u16> {
    let mut used = Vec::new();
    services.visit(&Query::default(), |object| {
        if let Ok(service) = object.value() {
            used.extend(fields::node_ports(&service).into_iter().filter(|port| range.contains(*port)));
        }
        true
    });
    used.sort_unstable();
    used.dedup();
    used
}

/// Changes the bits. What is stored for another range is read anew from the Services.
async fn change(store: &Store, range: PortRange, mut decide: impl FnMut(&mut Bits)) -> Result<(), Status> {
    let Some(cache) = store.cache(RANGES) else { return Ok(()) };
    let services = store.cache("services/specs");
    let result = store
        .update::<Refusal, _>(&cache, NODE_PORTS, None, |current| {
            let stored = match current {
                Some(object) => Some(object.value().map_err(Status::internal)?),
                None => None,
            };
            let known = stored.as_ref().and_then(|object| Bits::read(range, object));
            let mut bits = match &known {
                Some(bits) => bits.clone(),
                None => {
                    let mut bits = Bits::none(range);
                    for port in services.as_deref().map(|services| used(services, range)).unwrap_or_default()
                    {
                        bits.set(range, port, true);
                    }
                    bits
                }
            };
            decide(&mut bits);
            if known.as_ref() == Some(&bits) {
                return Ok(Change::Keep);
            }
            let mut object = bits.write(range);
            if let Some(metadata) = stored.and_then(|mut stored| stored.remove_at(&["metadata"])) {
                object["metadata"] = metadata;
            }
            Ok(Change::Write(crate::handlers::write::stored_bytes(&mut object)))
        })
        .await;
    result.map(drop).map_err(|refusal| match refusal {
        Refusal::Status(status) => status,
        Refusal::Store(error) => crate::refusal::of_collection(error),
        Refusal::Unasked => Status::internal("nobody is asked about a record"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const RANGE: PortRange = PortRange { first: 30000, last: 32767 };

    #[test]
    fn bits_are_written_as_upstream_writes_them() {
        let mut bits = Bits::none(RANGE);
        assert_eq!(bits.write(RANGE)["data"], "");
        bits.set(RANGE, 30000, true);
        bits.set(RANGE, 30009, true);
        let object = bits.write(RANGE);
        // 0b10_0000_0001: the first port is the lowest bit, the highest byte comes first.
        assert_eq!(object["data"], BASE64_STANDARD.encode([2, 1]));
        assert_eq!(object["range"], "30000-32767");
        let read = Bits::read(RANGE, &object).unwrap();
        assert_eq!(read, bits);
        assert!(read.has(RANGE, 30009) && !read.has(RANGE, 30008) && !read.has(RANGE, 32767));
        bits.set(RANGE, 32767, true);
        bits.set(RANGE, 30009, false);
        let read = Bits::read(RANGE, &bits.write(RANGE)).unwrap();
        assert!(read.has(RANGE, 32767) && read.has(RANGE, 30000) && !read.has(RANGE, 30009));
        assert_eq!(Bits::read(PortRange { first: 1, last: 9 }, &object), None);
    }
}
