//! How long plugins take, at each point of a try. A decision has no clock: whoever wants to know brings one.

use std::time::{Duration, Instant};

use crate::framework::Rejection;

/// Where plugins are run, as upstream names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// Before nodes are looked at.
    PreFilter,
    /// At each node.
    Filter,
    /// When no node will do.
    PostFilter,
    /// Before nodes are scored.
    PreScore,
    /// At each node that will do.
    Score,
    /// Over the scores of all nodes.
    ScoreExtensionNormalize,
    /// Between the choice and the binding.
    PreBind,
    /// The binding.
    Bind,
}

impl Point {
    /// The value of the label `extension_point`.
    pub fn name(self) -> &'static str {
        match self {
            Self::PreFilter => "PreFilter",
            Self::Filter => "Filter",
            Self::PostFilter => "PostFilter",
            Self::PreScore => "PreScore",
            Self::Score => "Score",
            Self::ScoreExtensionNormalize => "ScoreExtensionNormalize",
            Self::PreBind => "PreBind",
            Self::Bind => "Bind",
        }
    }
}

/// How it came out, as upstream names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Nothing stands in the way.
    Success,
    /// The plugin has nothing to say.
    Skip,
    /// Not here, but removing others may help.
    Unschedulable,
    /// Not here, whoever goes.
    UnschedulableAndUnresolvable,
    /// It failed.
    Error,
}

impl Status {
    /// The value of the label `status`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Success => "Success",
            Self::Skip => "Skip",
            Self::Unschedulable => "Unschedulable",
            Self::UnschedulableAndUnresolvable => "UnschedulableAndUnresolvable",
            Self::Error => "Error",
        }
    }

    /// What a refusal comes to.
    pub fn of(rejection: &Rejection) -> Self {
        if rejection.unresolvable { Self::UnschedulableAndUnresolvable } else { Self::Unschedulable }
    }
}

/// Who wants to know how long things take.
pub trait Stopwatch {
    /// The time.
    fn now(&self) -> Instant;
    /// Takes in how long a profile's plugins took at a point together.
    fn point(&self, profile: &str, point: Point, status: Status, took: Duration);
    /// Takes in how long one plugin took.
    fn plugin(&self, plugin: &'static str, point: Point, status: Status, took: Duration);
}

/// The times of one try, for whoever wants to know; by default nobody does.
#[derive(Clone, Copy, Default)]
pub struct Laps<'a> {
    stopwatch: Option<&'a dyn Stopwatch>,
    each: bool,
}

impl<'a> Laps<'a> {
    /// Tells a stopwatch of the points, and of each plugin too if it is to know `each`.
    pub fn told_to(stopwatch: &'a dyn Stopwatch, each: bool) -> Self {
        Laps { stopwatch: Some(stopwatch), each }
    }

    /// A point begins.
    pub fn begin(self) -> Option<Instant> {
        self.stopwatch.map(Stopwatch::now)
    }

    /// A plugin begins.
    pub fn begin_each(self) -> Option<Instant> {
        if self.each { self.begin() } else { None }
    }

    /// A point has ended.
    pub fn point(self, began: Option<Instant>, profile: &str, point: Point, status: Status) {
        if let (Some(stopwatch), Some(began)) = (self.stopwatch, began) {
            stopwatch.point(profile, point, status, stopwatch.now().saturating_duration_since(began));
        }
    }

    /// A plugin has ended.
    pub fn plugin(self, began: Option<Instant>, plugin: &'static str, point: Point, status: Status) {
        if let (Some(stopwatch), Some(began)) = (self.stopwatch, began) {
            stopwatch.plugin(plugin, point, status, stopwatch.now().saturating_duration_since(began));
        }
    }
}
