//! The list of controllers, and which of them run.

use component::events::Recorder;
use controller_runtime::Running;
use controller_runtime::api::Api;
use controller_runtime::context::Stores;

use crate::cloud::CloudConfiguration;
use crate::service_lb;

/// What a controller is given.
pub struct Context {
    /// The stores.
    pub stores: Stores,
    /// Requests in the controller's name.
    pub api: Api,
    /// Events in the controller's name.
    pub events: Recorder,
    /// The provider's configuration.
    pub cloud: CloudConfiguration,
    /// Services worked on at the same time.
    pub concurrent_service_syncs: usize,
}

/// One controller.
pub struct Controller {
    /// The name in `--controllers`.
    pub name: &'static str,
    /// The older name that `--controllers` also takes.
    pub alias: &'static str,
    /// The service account in `kube-system`.
    pub account: &'static str,
    /// Starts it.
    pub start: fn(Context) -> Running,
}

const ALL: &[Controller] = &[Controller {
    name: "service-lb-controller",
    alias: "service",
    account: "service-controller",
    start: service_lb::start,
}];

/// Upstream controllers that may be named but have nothing to do here: machines of one's own have no cloud that knows
/// their addresses and lives, and their routes are podnet's.
const ABSENT: &[&str] = &[
    "cloud-node",
    "cloud-node-controller",
    "cloud-node-lifecycle",
    "cloud-node-lifecycle-controller",
    "node-route-controller",
    "route",
];

/// Reads `--controllers`.
pub fn choose(names: &[String]) -> anyhow::Result<Vec<&'static Controller>> {
    let named = |controller: &Controller, name: &str| name == controller.name || name == controller.alias;
    for name in names.iter().map(|name| name.strip_prefix('-').unwrap_or(name)) {
        let known = name == "*" || ABSENT.contains(&name) || ALL.iter().any(|one| named(one, name));
        anyhow::ensure!(known, "--controllers: {name:?} is not in the list of known controllers");
    }
    let is_on = |controller: &&Controller| {
        let without = |name: &String| name.strip_prefix('-').is_some_and(|name| named(controller, name));
        !names.iter().any(without) && names.iter().any(|name| named(controller, name) || name == "*")
    };
    Ok(ALL.iter().filter(is_on).collect())
}

#[cfg(test)]
mod tests {
    #[test]
    fn chooses_by_star_name_and_minus() {
        let choose = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            super::choose(&names).map(|chosen| chosen.len()).ok()
        };
        assert_eq!(choose(&["*"]), Some(1));
        assert_eq!(choose(&["service"]), Some(1));
        assert_eq!(choose(&["*", "-service-lb-controller"]), Some(0));
        assert_eq!(choose(&["*", "-cloud-node-controller", "-node-route-controller"]), Some(1));
        assert_eq!(choose(&["nonsense"]), None);
    }
}
