//! A profile in pprof's protobuf form (`perftools.profiles.Profile`, github.com/google/pprof/proto/profile.proto).

use std::collections::HashMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::sampler::Stacks;
use super::symbols::Symbols;

/// A message that is written field by field.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn number(&mut self, field: u64, value: u64) -> &mut Self {
        self.varint(field << 3);
        self.varint(value);
        self
    }

    fn bytes(&mut self, field: u64, bytes: &[u8]) -> &mut Self {
        self.varint(field << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
        self
    }

    fn message(&mut self, field: u64, fill: impl FnOnce(&mut Self)) -> &mut Self {
        let mut inner = Self::default();
        fill(&mut inner);
        self.bytes(field, &inner.0)
    }
}

/// Strings by their place in the table, the empty one first.
struct Table {
    strings: Vec<String>,
    places: HashMap<String, u64>,
}

impl Table {
    fn new() -> Self {
        let mut table = Self { strings: Vec::new(), places: HashMap::new() };
        table.place("");
        table
    }

    fn place(&mut self, text: &str) -> u64 {
        if let Some(place) = self.places.get(text) {
            return *place;
        }
        let place = self.strings.len() as u64;
        self.strings.push(text.to_owned());
        self.places.insert(text.to_owned(), place);
        place
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Writes stacks as a profile of processor time.
pub(super) fn profile(
    stacks: &Stacks,
    symbols: Option<&Symbols>,
    period: Duration,
    lasts: Duration,
) -> Vec<u8> {
    let mut table = Table::new();
    let mut profile = Message::default();
    let (samples, count) = (table.place("samples"), table.place("count"));
    let (cpu, nanoseconds) = (table.place("cpu"), table.place("nanoseconds"));
    profile.message(1, |kind| {
        kind.number(1, samples).number(2, count);
    });
    profile.message(1, |kind| {
        kind.number(1, cpu).number(2, nanoseconds);
    });
    let mut locations: HashMap<usize, u64> = HashMap::new();
    for (stack, seen) in stacks {
        let mut ids = Message::default();
        for (depth, address) in stack.iter().enumerate() {
            // All but the innermost are where a call returns to: the call is before.
            let address = if depth == 0 { *address } else { address - 1 };
            let next = locations.len() as u64 + 1;
            ids.varint(*locations.entry(address).or_insert(next));
        }
        let mut values = Message::default();
        values.varint(*seen);
        values.varint(seen.saturating_mul(nanos(period)));
        profile.message(2, |sample| {
            sample.bytes(1, &ids.0).bytes(2, &values.0);
        });
    }
    if let Some(mapping) = symbols.map(|symbols| &symbols.mapping) {
        let file = table.place(&mapping.file);
        profile.message(3, |message| {
            message.number(1, 1).number(2, mapping.start as u64).number(3, mapping.end as u64);
            message.number(5, file).number(7, 1);
        });
    }
    let mut functions: HashMap<String, u64> = HashMap::new();
    for (address, id) in &locations {
        let name = symbols.and_then(|symbols| symbols.name(*address));
        let function = name.map(|name| {
            let next = functions.len() as u64 + 1;
            *functions.entry(name).or_insert(next)
        });
        let is_mapped =
            symbols.is_some_and(|symbols| (symbols.mapping.start..symbols.mapping.end).contains(address));
        profile.message(4, |location| {
            location.number(1, *id);
            if is_mapped {
                location.number(2, 1);
            }
            location.number(3, *address as u64);
            if let Some(function) = function {
                location.message(4, |line| {
                    line.number(1, function);
                });
            }
        });
    }
    for (name, id) in &functions {
        let name = table.place(name);
        profile.message(5, |function| {
            function.number(1, *id).number(2, name).number(3, name);
        });
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    profile.number(9, nanos(now.saturating_sub(lasts))).number(10, nanos(lasts));
    profile.message(11, |kind| {
        kind.number(1, cpu).number(2, nanoseconds);
    });
    profile.number(12, nanos(period));
    for text in &table.strings {
        profile.bytes(6, text.as_bytes());
    }
    profile.0
}
