//! The plugins in upstream's order: first all that change the object, later all that judge the result.

use std::fmt;

use apimachinery::status::Status;
use serde_json::Value;

use crate::attributes::Attributes;
use crate::plugin::{Context, Plugin, View};

/// The plugins that are switched on, in order.
pub struct Chain {
    plugins: Vec<Box<dyn Plugin>>,
}

/// A plugin name that upstream does not have or that is not part of this server.
#[derive(Debug, PartialEq, Eq)]
pub struct UnknownPlugin(pub String);

impl fmt::Display for UnknownPlugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "admission plugin \"{}\" is unknown", self.0)
    }
}

impl std::error::Error for UnknownPlugin {}

/// Every plugin in the order in which it runs, and whether upstream switches it on by default.
///
/// Webhooks and CEL policies belong between `PodTopologyLabels` and the quota charges.
fn all() -> Vec<(bool, Box<dyn Plugin>)> {
    vec![]
}

impl Chain {
    /// The plugins that upstream switches on by default, with some switched on or off by name.
    pub fn new(enable: &[&str], disable: &[&str]) -> Result<Chain, UnknownPlugin> {
        let all = all();
        for name in enable.iter().chain(disable) {
            if !all.iter().any(|(_, plugin)| plugin.name() == *name) {
                return Err(UnknownPlugin((*name).to_owned()));
            }
        }
        let plugins = all
            .into_iter()
            .filter(|(default, plugin)| {
                let name = plugin.name();
                !disable.contains(&name) && (*default || enable.contains(&name))
            })
            .map(|(_, plugin)| plugin)
            .collect();
        Ok(Chain { plugins })
    }

    /// Names of the plugins that are switched on, in order.
    pub fn names(&self) -> Vec<&'static str> {
        self.plugins.iter().map(|plugin| plugin.name()).collect()
    }

    /// Lets each plugin change the object; gives the warnings for the client.
    pub fn admit(
        &self,
        attributes: &Attributes,
        object: &mut Value,
        old: Option<&Value>,
        view: &dyn View,
    ) -> Result<Vec<String>, Status> {
        let mut context = Context { attributes, old, view, warnings: Vec::new() };
        for plugin in self.plugins.iter().filter(|plugin| plugin.handles(attributes.operation)) {
            plugin.admit(&mut context, object)?;
        }
        Ok(context.warnings)
    }

    /// Lets each plugin judge the object in the form in which it will be stored.
    pub fn validate(
        &self,
        attributes: &Attributes,
        object: &Value,
        old: Option<&Value>,
        view: &dyn View,
    ) -> Result<Vec<String>, Status> {
        let mut context = Context { attributes, old, view, warnings: Vec::new() };
        for plugin in self.plugins.iter().filter(|plugin| plugin.handles(attributes.operation)) {
            plugin.validate(&mut context, object)?;
        }
        Ok(context.warnings)
    }
}
