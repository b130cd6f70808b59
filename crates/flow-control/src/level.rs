//! A priority level: its share of the server's seats, and what becomes of requests when they are taken.

use serde_json::Value;

use crate::Dealer;

/// A PriorityLevelConfiguration.
#[derive(Debug, Clone, PartialEq)]
pub struct Level {
    /// Its name.
    pub name: String,
    /// Its uid, told to clients.
    pub uid: String,
    /// Shares of the server's seats.
    pub shares: u32,
    /// How much of its seats others may use, in per cent.
    pub lendable: u32,
    /// How much it may use of others', in per cent of its own; no limit if none is given.
    pub borrowing: Option<u32>,
    /// What becomes of requests when seats are taken.
    pub when_full: WhenFull,
}

/// What becomes of requests when a level's seats are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenFull {
    /// They run all the same: the level is exempt.
    Run,
    /// They are turned away.
    Reject,
    /// They wait.
    Queue(Queuing),
}

/// The queues of a level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Queuing {
    /// Deals the queues of a flow.
    pub dealer: Dealer,
    /// How many may wait in each.
    pub length: usize,
}

impl Level {
    /// Reads an object that was validated; `None` if it is none.
    pub fn read(object: &Value) -> Option<Self> {
        let metadata = &object["metadata"];
        let spec = &object["spec"];
        let number = |value: &Value, default: u32| {
            value.as_i64().map_or(default, |number| u32::try_from(number).unwrap_or(0))
        };
        let (part, when_full) = if spec["type"] == "Exempt" {
            (&spec["exempt"], WhenFull::Run)
        } else {
            let response = &spec["limited"]["limitResponse"];
            let queuing = &response["queuing"];
            let when_full = if response["type"] == "Queue" {
                let dealer = Dealer::new(number(&queuing["queues"], 64), number(&queuing["handSize"], 8));
                WhenFull::Queue(Queuing { dealer, length: number(&queuing["queueLengthLimit"], 50) as usize })
            } else {
                WhenFull::Reject
            };
            (&spec["limited"], when_full)
        };
        Some(Self {
            name: metadata["name"].as_str()?.to_owned(),
            uid: metadata["uid"].as_str().unwrap_or_default().to_owned(),
            shares: number(
                &part["nominalConcurrencyShares"],
                if when_full == WhenFull::Run { 0 } else { 30 },
            ),
            lendable: number(&part["lendablePercent"], 0).min(100),
            borrowing: part["borrowingLimitPercent"]
                .as_i64()
                .map(|percent| u32::try_from(percent).unwrap_or(0)),
            when_full,
        })
    }

    /// Whether its requests never wait.
    pub fn is_exempt(&self) -> bool {
        self.when_full == WhenFull::Run
    }
}
