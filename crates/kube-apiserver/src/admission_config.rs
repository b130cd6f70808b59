//! `--enable-admission-plugins`, `--disable-admission-plugins` and `--admission-control-config-file`: which plugins there
//! are, and what they are told.

use std::path::{Path, PathBuf};

use admission::configuration::{self, Kinds};
use admission::{Chain, Configurations, image_policy, quota};
use anyhow::{Context as _, anyhow, bail};
use serde::Deserialize;
use serde_json::{Value, json};
use webhooks::Users;

use crate::flags::Flags;
use crate::image_policy::ImagePolicy;
use crate::webhook_admission::Webhooks;

const KINDS: &Kinds = &[
    ("apiserver.config.k8s.io/v1", "AdmissionConfiguration"),
    ("apiserver.k8s.io/v1alpha1", "AdmissionConfiguration"),
];
const WEBHOOK_KINDS: &Kinds = &[
    ("apiserver.config.k8s.io/v1", "WebhookAdmissionConfiguration"),
    ("apiserver.config.k8s.io/v1alpha1", "WebhookAdmission"),
];
/// Plugins whose own files were once given in place of an AdmissionConfiguration, and what tells these files.
const OLDER: [(&str, &str); 2] =
    [("ImagePolicyWebhook", "imagePolicy"), ("PodNodeSelector", "podNodeSelectorPluginConfig")];

/// The file as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct File {
    plugins: Vec<Plugin>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Plugin {
    name: String,
    path: PathBuf,
    configuration: Value,
}

/// What the flags and the file come to.
pub struct Configured {
    /// The plugins that are on.
    pub chain: Chain,
    /// What may only be used where a quota covers it.
    pub limited: quota::Limited,
    /// No webhooks yet, but as whom they are called, and who is asked about images.
    pub webhooks: Webhooks,
}

/// Reads the flags and the file.
pub fn load(flags: &Flags) -> anyhow::Result<Configured> {
    let mut configurations = match &flags.admission_control_config_file {
        Some(path) => {
            read(path).with_context(|| format!("failed to read plugin config: {}", path.display()))?
        }
        None => Configurations::default(),
    };
    let seconds = json!({
        "notReady": flags.default_not_ready_toleration_seconds,
        "unreachable": flags.default_unreachable_toleration_seconds,
    });
    configurations.insert("DefaultTolerationSeconds".to_owned(), seconds);
    let (on, off) = (names(&flags.enable_admission_plugins), names(&flags.disable_admission_plugins));
    let chain = Chain::new(&on, &off, &configurations)?;
    let told = |plugin: &'static str| Told { plugin, on: chain.has(plugin), configurations: &configurations };
    let limited = told("ResourceQuota").read(quota::Limited::parse)?;
    let users = |plugin| told(plugin).read(users).map(Option::flatten);
    let webhooks = Webhooks {
        users: [users("MutatingAdmissionWebhook")?, users("ValidatingAdmissionWebhook")?],
        images: told(image_policy::NAME).read(|configuration| {
            ImagePolicy::new(image_policy::Settings::parse(configuration)?).map_err(|error| error.to_string())
        })?,
        ..Webhooks::default()
    };
    Ok(Configured { chain, limited: limited.unwrap_or_default(), webhooks })
}

/// What a flag names; one that is given empty names nothing.
fn names(given: &[String]) -> Vec<&str> {
    given.iter().map(String::as_str).filter(|name| !name.is_empty()).collect()
}

/// What a plugin that the server carries out itself was told.
struct Told<'a> {
    plugin: &'static str,
    on: bool,
    configurations: &'a Configurations,
}

impl Told<'_> {
    /// Reads it, if the plugin is on.
    fn read<T>(&self, read: impl FnOnce(Option<&Value>) -> Result<T, String>) -> anyhow::Result<Option<T>> {
        if !self.on {
            return Ok(None);
        }
        let read = read(self.configurations.of(self.plugin));
        read.map(Some).map_err(|why| anyhow!("couldn't init admission plugin {:?}: {why}", self.plugin))
    }
}

/// Reads a WebhookAdmissionConfiguration and the kubeconfig that it names.
fn users(configuration: Option<&Value>) -> Result<Option<Users>, String> {
    let Some(configuration) = configuration else { return Ok(None) };
    configuration::expect(configuration, WEBHOOK_KINDS)?;
    let text = configuration["kubeConfigFile"].as_str().unwrap_or_default();
    let path = Path::new(text);
    if !path.is_absolute() {
        return Err(format!("kubeConfigFile: Invalid value: {text:?}: must be an absolute file path"));
    }
    Users::of_kubeconfig(path).map(Some).map_err(|error| error.to_string())
}

fn read(path: &Path) -> anyhow::Result<Configurations> {
    let value = parse(path)?;
    let mut configurations = Configurations::default();
    if let Err(why) = configuration::expect(&value, KINDS) {
        if !OLDER.iter().any(|(_, mark)| value.get(*mark).is_some()) {
            bail!(why);
        }
        for (plugin, _) in OLDER {
            configurations.insert(plugin.to_owned(), value.clone());
        }
        return Ok(configurations);
    }
    let File { plugins } = File::deserialize(&value)?;
    let directory = path.parent().unwrap_or(Path::new("."));
    for Plugin { name, path, configuration } in plugins {
        // As upstream, of two sections for one plugin the first counts.
        if configurations.of(&name).is_some() {
            continue;
        }
        if !configuration.is_null() {
            configurations.insert(name, configuration);
        } else if !path.as_os_str().is_empty() {
            let path = directory.join(path);
            let told = parse(&path).with_context(|| {
                format!("Couldn't open admission plugin configuration {}", path.display())
            })?;
            configurations.insert(name, told);
        }
    }
    Ok(configurations)
}

fn parse(path: &Path) -> anyhow::Result<Value> {
    let text = std::fs::read_to_string(path).with_context(|| {
        format!("unable to read admission control configuration from {:?}", path.display().to_string())
    })?;
    let mut value = serde_saphyr::from_str(&text)?;
    drop_nulls(&mut value);
    Ok(value)
}

/// To upstream, a field without a value is one that was left out.
fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, value| !value.is_null());
            fields.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    /// What comes of a file, with others beside it.
    fn load_file(text: &str, on: &str, beside: &[(&str, &str)]) -> Result<Configured, String> {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in beside {
            std::fs::write(directory.path().join(name), text).unwrap();
        }
        let file = directory.path().join("admission.yaml");
        std::fs::write(&file, text).unwrap();
        let flags = Flags::parse_from([
            "kube-apiserver".as_ref(),
            "--etcd-servers=http://127.0.0.1:1".as_ref(),
            "--tls-cert-file=c".as_ref(),
            "--tls-private-key-file=k".as_ref(),
            format!("--enable-admission-plugins={on}").as_ref(),
            "--admission-control-config-file".as_ref(),
            file.as_os_str(),
        ]);
        let shown = directory.path().display().to_string();
        load(&flags).map_err(|error| format!("{error:#}").replace(&shown, "…"))
    }

    const RATE: &str = "apiVersion: eventratelimit.admission.k8s.io/v1alpha1
kind: Configuration
limits:
- {type: Server, qps: 50, burst: 100}
";

    fn with(plugins: &str) -> String {
        format!("apiVersion: apiserver.config.k8s.io/v1\nkind: AdmissionConfiguration\nplugins:\n{plugins}")
    }

    #[test]
    fn plugins_are_told_inline_or_in_files_beside() {
        let inline = "- name: PodSecurity
  configuration:
    apiVersion: pod-security.admission.config.k8s.io/v1
    kind: PodSecurityConfiguration
    defaults: {enforce: baseline}
- name: EventRateLimit
  path: rate.yaml
- name: ResourceQuota
  configuration:
    apiVersion: apiserver.config.k8s.io/v1
    kind: ResourceQuotaConfiguration
    limitedResources: [{resource: pods}]
";
        let configured = load_file(&with(inline), "EventRateLimit", &[("rate.yaml", RATE)]).unwrap();
        assert!(configured.chain.has("EventRateLimit") && !configured.limited.is_empty());
        let older = with("").replace("apiserver.config.k8s.io/v1", "apiserver.k8s.io/v1alpha1");
        assert!(load_file(&older, "", &[]).is_ok());
    }

    #[test]
    fn the_files_that_came_before_are_read_too() {
        let file = "podNodeSelectorPluginConfig: {a: pool}";
        assert!(load_file(file, "", &[]).is_ok(), "a plugin that is off is told nothing");
        let refused = load_file(file, "PodNodeSelector", &[]).err().unwrap();
        assert_eq!(refused, "couldn't init admission plugin \"PodNodeSelector\": invalid selector: [pool]");
    }

    #[test]
    fn what_is_wrong_is_said_at_the_start() {
        let refused = |text: &str, on: &str| load_file(text, on, &[]).err().unwrap_or_default();
        assert_eq!(
            refused("kind: Pod\napiVersion: v1\n", ""),
            "failed to read plugin config: …/admission.yaml: no kind \"Pod\" is registered for version \"v1\""
        );
        let missing = refused(&with("- {name: EventRateLimit, path: none.yaml}\n"), "EventRateLimit");
        assert!(missing.contains("Couldn't open admission plugin configuration …/none.yaml"), "{missing}");
        assert_eq!(
            refused(&with(""), "EventRateLimit"),
            "couldn't init admission plugin \"EventRateLimit\": limits: Invalid value: []: must not be empty"
        );
        let hooks = "- name: ValidatingAdmissionWebhook
  configuration:
    apiVersion: apiserver.config.k8s.io/v1
    kind: WebhookAdmissionConfiguration
    kubeConfigFile: hooks.kubeconfig
";
        assert_eq!(
            refused(&with(hooks), ""),
            "couldn't init admission plugin \"ValidatingAdmissionWebhook\": kubeConfigFile: Invalid value: \"hooks.kubeconfig\": must be an absolute file path"
        );
        assert_eq!(
            refused(&with(""), "ImagePolicyWebhook"),
            "couldn't init admission plugin \"ImagePolicyWebhook\": no config specified"
        );
    }
}
