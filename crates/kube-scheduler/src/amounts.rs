//! Amounts of resources as integers, in the units the scheduler counts in.

use std::collections::BTreeMap;

use apimachinery::Quantity;

/// What a container without a CPU request counts as when nodes are scored (upstream's value).
pub const SCORED_MILLI_CPU: i64 = 100;
/// What a container without a memory request counts as when nodes are scored (upstream's value).
pub const SCORED_MEMORY: i64 = 200 * 1024 * 1024;

/// Amounts of resources.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Amounts {
    /// Thousandths of a core.
    pub milli_cpu: i64,
    /// Bytes.
    pub memory: i64,
    /// Bytes.
    pub ephemeral_storage: i64,
    /// Pods.
    pub pods: i64,
    /// Huge pages and extended resources.
    pub extended: BTreeMap<Box<str>, i64>,
}

impl Amounts {
    /// Reads a resource list.
    pub fn from_list<'a>(list: impl IntoIterator<Item = (&'a String, &'a Quantity)>) -> Self {
        let mut amounts = Amounts::default();
        for (name, quantity) in list {
            match name.as_str() {
                "cpu" => amounts.milli_cpu = quantity.milli_value(),
                "memory" => amounts.memory = quantity.value(),
                "ephemeral-storage" => amounts.ephemeral_storage = quantity.value(),
                "pods" => amounts.pods = quantity.value(),
                other => {
                    amounts.extended.insert(other.into(), quantity.value());
                }
            }
        }
        amounts
    }

    /// The amount of a resource by its API name.
    pub fn get(&self, name: &str) -> i64 {
        match name {
            "cpu" => self.milli_cpu,
            "memory" => self.memory,
            "ephemeral-storage" => self.ephemeral_storage,
            "pods" => self.pods,
            other => self.extended.get(other).copied().unwrap_or(0),
        }
    }

    /// Adds all of `other`.
    pub fn add(&mut self, other: &Amounts) {
        self.change(other, i64::saturating_add);
    }

    /// Takes all of `other` away.
    pub fn subtract(&mut self, other: &Amounts) {
        self.change(other, i64::saturating_sub);
    }

    fn change(&mut self, other: &Amounts, operation: fn(i64, i64) -> i64) {
        self.milli_cpu = operation(self.milli_cpu, other.milli_cpu);
        self.memory = operation(self.memory, other.memory);
        self.ephemeral_storage = operation(self.ephemeral_storage, other.ephemeral_storage);
        self.pods = operation(self.pods, other.pods);
        for (name, amount) in &other.extended {
            let entry = self.extended.entry(name.clone()).or_default();
            *entry = operation(*entry, *amount);
        }
    }
}
