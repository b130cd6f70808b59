//! What `--admission-control-config-file` says of each plugin, and which kinds of configurations there are.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_json::Value;
use strategy::read::Read;

/// Configurations by the names of the plugins that they are for.
#[derive(Clone, Debug, Default)]
pub struct Configurations(BTreeMap<String, Value>);

impl Configurations {
    /// Notes what one plugin was told.
    pub fn insert(&mut self, plugin: String, configuration: Value) {
        self.0.insert(plugin, configuration);
    }

    /// What a plugin was told, if anything.
    pub fn of(&self, plugin: &str) -> Option<&Value> {
        self.0.get(plugin)
    }
}

/// `apiVersion` and `kind` of configurations that are read by the same rules.
pub type Kinds = [(&'static str, &'static str)];

/// Reads a configuration of one of these kinds.
pub(crate) fn read<T: DeserializeOwned>(configuration: &Value, kinds: &Kinds) -> Result<T, String> {
    expect(configuration, kinds)?;
    let mut fields = configuration.clone();
    if let Some(fields) = fields.as_object_mut() {
        fields.remove("apiVersion");
        fields.remove("kind");
    }
    T::deserialize(fields).map_err(|error| error.to_string())
}

/// Refuses a configuration of any other kind, in upstream's words.
pub fn expect(configuration: &Value, kinds: &Kinds) -> Result<(), String> {
    let (api_version, kind) = (configuration.text("apiVersion"), configuration.text("kind"));
    if kind.is_empty() {
        return Err(format!("Object 'Kind' is missing in '{configuration}'"));
    }
    if api_version.is_empty() {
        return Err(format!("Object 'apiVersion' is missing in '{configuration}'"));
    }
    match kinds.contains(&(api_version, kind)) {
        true => Ok(()),
        false => Err(format!("no kind {kind:?} is registered for version {api_version:?}")),
    }
}

/// Errors as upstream joins them.
pub(crate) fn joined<E: ToString>(errors: &[E]) -> Result<(), String> {
    match errors {
        [] => Ok(()),
        [one] => Err(one.to_string()),
        many => {
            let many: Vec<String> = many.iter().map(ToString::to_string).collect();
            Err(format!("[{}]", many.join(", ")))
        }
    }
}
