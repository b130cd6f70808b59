//! What is attached and what should be, under upstream's names.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use component::metrics::{
    Error, IntCounterVec, IntGaugeVec, opts, register_int_counter_vec, register_int_gauge_vec,
};

/// `None` if the registry refused one, which a second registry in one process may.
static METRICS: LazyLock<Option<(IntGaugeVec, IntCounterVec)>> = LazyLock::new(|| register().ok());

fn register() -> Result<(IntGaugeVec, IntCounterVec), Error> {
    let volumes = register_int_gauge_vec!(
        opts!("attachdetach_controller_total_volumes", "Number of volumes in A/D Controller"),
        &["plugin_name", "state"]
    )?;
    let forced = register_int_counter_vec!(
        opts!(
            "attach_detach_controller_attachdetach_controller_forced_detaches",
            "Number of times the A/D Controller performed a forced detach"
        ),
        &["reason"]
    )?;
    Ok((volumes, forced))
}

/// Why a volume is taken from a node that may still use it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forced {
    /// The node did not let go of it in time.
    TimeOut,
    /// The node is out of service.
    OutOfService,
}

/// Notes that a volume was taken from a node.
pub fn forced(why: Forced) {
    if let Some((_, forced)) = &*METRICS {
        let reason = match why {
            Forced::TimeOut => "timeout",
            Forced::OutOfService => "out-of-service",
        };
        forced.with_label_values(&[reason]).inc();
    }
}

/// Notes how many volumes of each driver should be attached, and how many are.
pub fn volumes(desired: &BTreeMap<String, usize>, actual: &BTreeMap<String, usize>) {
    let Some((volumes, _)) = &*METRICS else { return };
    volumes.reset();
    for (state, counts) in [("desired_state_of_world", desired), ("actual_state_of_world", actual)] {
        for (driver, count) in counts {
            let plugin = format!("kubernetes.io/csi:{driver}");
            let count = i64::try_from(*count).unwrap_or(i64::MAX);
            volumes.with_label_values(&[&plugin, state]).set(count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volumes_and_forced_detaches_are_told() {
        let counts = |count| BTreeMap::from([("disk.example.com".to_owned(), count)]);
        volumes(&BTreeMap::from([("gone.example.com".to_owned(), 9)]), &BTreeMap::new());
        volumes(&counts(3), &counts(2));
        forced(Forced::TimeOut);
        let text = String::from_utf8(component::metrics::text()).unwrap();
        let series =
            "attachdetach_controller_total_volumes{plugin_name=\"kubernetes.io/csi:disk.example.com\",state=";
        for line in [
            format!("{series}\"desired_state_of_world\"}} 3"),
            format!("{series}\"actual_state_of_world\"}} 2"),
            "attach_detach_controller_attachdetach_controller_forced_detaches{reason=\"timeout\"} 1"
                .to_owned(),
        ] {
            assert!(text.contains(&format!("{line}\n")), "{line}\n{text}");
        }
        assert!(!text.contains("gone.example.com"), "{text}");
    }
}
