//! Eviction thresholds: what is measured, and below how much of it pods must go.

use std::{collections::BTreeMap, fmt, time::Duration};

use anyhow::Context;
use apimachinery::{Quantity, quantity::Format};

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Signal {
    /// The node's memory.
    Memory,
    /// The memory that pods may use together.
    AllocatableMemory,
    /// The filesystem of the kubelet's folder.
    Nodefs,
    /// Its inodes.
    NodefsInodes,
    /// The filesystem of the runtime's images and layers.
    Imagefs,
    /// Its inodes.
    ImagefsInodes,
    /// Processes.
    Pids,
}

/// What pods are short of, in the words of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    /// Memory.
    Memory,
    /// Disk.
    EphemeralStorage,
    /// Files.
    Inodes,
    /// Processes.
    Pids,
}

const SIGNALS: [(Signal, &str); 7] = [
    (Signal::Memory, "memory.available"),
    (Signal::AllocatableMemory, "allocatableMemory.available"),
    (Signal::Nodefs, "nodefs.available"),
    (Signal::NodefsInodes, "nodefs.inodesFree"),
    (Signal::Imagefs, "imagefs.available"),
    (Signal::ImagefsInodes, "imagefs.inodesFree"),
    (Signal::Pids, "pid.available"),
];

impl Signal {
    fn read(name: &str) -> anyhow::Result<Self> {
        let known = SIGNALS.iter().find(|(_, known)| *known == name);
        known.map(|(signal, _)| *signal).with_context(|| format!("unsupported eviction signal {name}"))
    }

    /// As upstream names it.
    pub fn name(self) -> &'static str {
        SIGNALS.iter().find(|(known, _)| *known == self).map_or("", |(_, name)| name)
    }

    /// What pods are short of when it is low.
    pub fn resource(self) -> Resource {
        match self {
            Self::Memory | Self::AllocatableMemory => Resource::Memory,
            Self::Nodefs | Self::Imagefs => Resource::EphemeralStorage,
            Self::NodefsInodes | Self::ImagefsInodes => Resource::Inodes,
            Self::Pids => Resource::Pids,
        }
    }

    /// The notation its amounts are written in.
    pub fn format(self) -> Format {
        match self {
            Self::Memory | Self::AllocatableMemory | Self::Nodefs | Self::Imagefs => Format::BinarySi,
            Self::NodefsInodes | Self::ImagefsInodes | Self::Pids => Format::DecimalSi,
        }
    }
}

impl Resource {
    /// Its name among a container's requests.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::EphemeralStorage => "ephemeral-storage",
            Self::Inodes => "inodes",
            Self::Pids => "pids",
        }
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An amount, or a share of the whole in percent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Amount {
    /// So much.
    Whole(Quantity),
    /// So many hundredths of all.
    Percent(f64),
}

impl Amount {
    /// Reads one; none where a share says nothing: of 0 % there is always enough, of 100 % never.
    fn read(text: &str) -> anyhow::Result<Option<Self>> {
        let Some(percent) = text.strip_suffix('%') else {
            let quantity: Quantity =
                text.parse().with_context(|| format!("eviction threshold {text:?} is no quantity"))?;
            anyhow::ensure!(quantity.sign() > 0, "eviction threshold {text} must be positive");
            return Ok(Some(Self::Whole(quantity)));
        };
        let percent: f64 =
            percent.parse().with_context(|| format!("eviction threshold {text:?} is no share"))?;
        anyhow::ensure!(percent >= 0.0, "eviction percentage threshold {text} must be >= 0%");
        anyhow::ensure!(percent <= 100.0, "eviction percentage threshold {text} must be <= 100%");
        Ok((percent > 0.0 && percent < 100.0).then_some(Self::Percent(percent)))
    }

    /// How much it is of this whole.
    pub fn of(self, whole: u64, format: Format) -> Quantity {
        match self {
            Self::Whole(quantity) => quantity,
            #[expect(
                clippy::cast_precision_loss,
                clippy::cast_possible_truncation,
                reason = "shares are whole percents in practice; a byte more or less is nothing"
            )]
            Self::Percent(percent) => Quantity::from_value((whole as f64 * percent / 100.0) as i64, format),
        }
    }
}

/// One threshold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Threshold {
    /// What is measured.
    pub signal: Signal,
    /// Below this pods must go.
    pub least: Amount,
    /// How long it may be so; zero for a hard threshold.
    pub grace: Duration,
    /// How much more than the least must be there before it is enough again.
    pub reclaim: Option<Amount>,
}

impl Threshold {
    /// Whether pods go at once.
    pub fn is_hard(&self) -> bool {
        self.grace.is_zero()
    }
}

/// When and how pods are evicted.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules {
    /// The thresholds.
    pub thresholds: Vec<Threshold>,
    /// How long the node's conditions say that it is short after it no longer is.
    pub transition: Duration,
    /// The seconds a pod gets to end in when a soft threshold has it evicted.
    pub max_grace: i64,
    /// As they were given: hard and soft.
    pub given: [BTreeMap<String, String>; 2],
}

/// The settings of eviction as they are written: signals with amounts or durations.
#[derive(Debug, Clone, Default)]
pub struct Given {
    /// Hard thresholds; upstream's defaults when there are none.
    pub hard: BTreeMap<String, String>,
    /// Soft thresholds.
    pub soft: BTreeMap<String, String>,
    /// How long a soft threshold is borne.
    pub soft_grace: BTreeMap<String, String>,
    /// What more is to be freed.
    pub reclaim: BTreeMap<String, String>,
    /// Whether hard thresholds that are not given have upstream's defaults beside those that are.
    pub merge_defaults: bool,
    /// See [`Rules::transition`].
    pub transition: Option<Duration>,
    /// See [`Rules::max_grace`].
    pub max_grace: Option<i64>,
}

const DEFAULTS: [(&str, &str); 5] = [
    ("memory.available", "100Mi"),
    ("nodefs.available", "10%"),
    ("nodefs.inodesFree", "5%"),
    ("imagefs.available", "15%"),
    ("imagefs.inodesFree", "5%"),
];

impl Given {
    /// Reads the rules.
    pub fn rules(mut self) -> anyhow::Result<Rules> {
        if self.hard.is_empty() || self.merge_defaults {
            for (signal, amount) in DEFAULTS {
                self.hard.entry(signal.to_owned()).or_insert_with(|| amount.to_owned());
            }
        }
        let mut thresholds = Vec::new();
        let mut add = |name: &str, text: &str, grace: Duration| -> anyhow::Result<()> {
            let signal = Signal::read(name)?;
            let reclaim = self.reclaim.get(name).map(|text| Amount::read(text)).transpose()?.flatten();
            if let Some(least) = Amount::read(text)? {
                thresholds.push(Threshold { signal, least, grace, reclaim });
                // Pods together are bounded below the node's memory: short of their part they are evicted before
                // the kernel would kill one of them.
                if signal == Signal::Memory && grace.is_zero() {
                    thresholds.push(Threshold { signal: Signal::AllocatableMemory, least, grace, reclaim });
                }
            }
            Ok(())
        };
        for (name, text) in &self.hard {
            add(name, text, Duration::ZERO)?;
        }
        for (name, text) in &self.soft {
            let grace = self.soft_grace.get(name).with_context(|| {
                format!("grace period must be specified for the soft eviction threshold {name}")
            })?;
            let grace = component::flags::duration(grace).map_err(anyhow::Error::msg)?;
            anyhow::ensure!(!grace.is_zero(), "eviction grace period of {name} must be positive");
            add(name, text, grace)?;
        }
        Ok(Rules {
            thresholds,
            transition: self.transition.unwrap_or(Duration::from_secs(300)),
            max_grace: self.max_grace.unwrap_or(0),
            given: [self.hard, self.soft],
        })
    }
}

impl Rules {
    /// What a hard threshold keeps of this whole.
    pub fn kept(&self, signal: Signal, whole: u64) -> Option<Quantity> {
        let hard = self.thresholds.iter().find(|threshold| threshold.signal == signal && threshold.is_hard());
        hard.map(|hard| hard.least.of(whole, signal.format()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn what_is_not_given_is_upstreams() {
        let rules = Given::default().rules().unwrap();
        assert_eq!(rules.thresholds.len(), 6, "each of upstream's, and pods' own memory");
        assert_eq!(rules.transition, Duration::from_secs(300));
        let kept = |signal, whole| rules.kept(signal, whole).map(|kept| kept.to_string());
        assert_eq!(kept(Signal::Memory, 1 << 30).as_deref(), Some("100Mi"));
        assert_eq!(kept(Signal::Nodefs, 1000).as_deref(), Some("100"));
        assert_eq!(kept(Signal::Pids, 1000), None);
        let only = Given { hard: map(&[("pid.available", "10%")]), ..Given::default() };
        assert_eq!(only.clone().rules().unwrap().thresholds.len(), 1);
        let merged = Given { merge_defaults: true, ..only };
        assert_eq!(merged.rules().unwrap().thresholds.len(), 7);
    }

    #[test]
    fn soft_thresholds_need_their_grace() {
        let soft = map(&[("nodefs.available", "30%")]);
        let given = Given { soft: soft.clone(), ..Given::default() };
        let error = given.rules().unwrap_err().to_string();
        assert_eq!(error, "grace period must be specified for the soft eviction threshold nodefs.available");
        let soft_grace = map(&[("nodefs.available", "1m30s")]);
        let rules = Given { soft, soft_grace, ..Given::default() }.rules().unwrap();
        let soft = rules.thresholds.iter().find(|threshold| !threshold.is_hard()).unwrap();
        assert_eq!((soft.signal, soft.grace), (Signal::Nodefs, Duration::from_secs(90)));
    }

    #[test]
    fn what_says_nothing_is_left_out_and_what_is_wrong_refused() {
        let hard = |amount: &str| {
            let hard = map(&[("nodefs.available", amount)]);
            Given { hard, ..Given::default() }.rules().map(|rules| rules.thresholds.len())
        };
        assert_eq!((hard("0%").unwrap(), hard("100%").unwrap(), hard("1%").unwrap()), (0, 0, 1));
        for wrong in ["-1%", "101%", "0", "-5Mi", "x"] {
            assert!(hard(wrong).is_err(), "{wrong}");
        }
        let unknown = Given { hard: map(&[("disk.left", "1")]), ..Given::default() };
        assert_eq!(unknown.rules().unwrap_err().to_string(), "unsupported eviction signal disk.left");
    }
}
