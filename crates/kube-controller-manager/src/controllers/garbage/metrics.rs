//! What keeps the collector from seeing everything, under upstream's name.

use std::sync::LazyLock;

use component::metrics::{IntCounter, register_int_counter};

/// `None` if the registry refused it, which a second registry in one process may.
static ERRORS: LazyLock<Option<IntCounter>> = LazyLock::new(|| {
    register_int_counter!(
        "garbagecollector_controller_resources_sync_error_total",
        "Number of garbage collector resources sync errors"
    )
    .ok()
});

/// Has the counter there from the start: that nothing failed is told too.
pub fn begin() {
    LazyLock::force(&ERRORS);
}

/// Notes that it could not be found out what there is to collect.
pub fn not_synced() {
    if let Some(errors) = &*ERRORS {
        errors.inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_counted() {
        let told = |count: u32| {
            let text = String::from_utf8(component::metrics::text()).unwrap();
            text.contains(&format!("garbagecollector_controller_resources_sync_error_total {count}\n"))
        };
        begin();
        assert!(told(0));
        not_synced();
        assert!(told(1));
    }
}
