//! From flags, kubeconfig files and the environment to a client and a namespace.

use serde_json::{Value, json};

use super::kubeconfig;
use super::{Client, kubeconfig::entry};
use crate::cli::Invocation;
use crate::error::{Error, Result};

/// Where to connect to, as whom, and in which namespace.
pub struct Connection {
    /// The client.
    pub client: Client,
    /// The namespace of this request.
    pub namespace: String,
    /// Whether `--namespace` was given.
    pub namespace_given: bool,
}

impl Connection {
    /// Builds the client that the flags and the kubeconfig describe.
    pub async fn open(invocation: &Invocation) -> Result<Self> {
        let config = kubeconfig::merged(invocation)?;
        let chosen = Chosen::from(invocation, &config)?;
        let namespace_given = invocation.changed("namespace");
        let mut namespace = chosen.namespace.clone();
        let timeout = match invocation.text("request-timeout") {
            "0" | "" => None,
            text => Some(crate::cli::duration(text).ok_or_else(|| {
                Error::message(format!(
                    "Invalid timeout value. Timeout must be a single integer in seconds, or an integer followed by a corresponding time unit (e.g. 1s | 2m | 3h): {text}"
                ))
            })?),
        };
        let in_cluster =
            chosen.cluster.get("server").is_none() && std::env::var_os("KUBERNETES_SERVICE_HOST").is_some();
        let mut kube_config = if in_cluster {
            let config = kube::Config::incluster().map_err(|error| Error::message(error.to_string()))?;
            if namespace.is_empty() {
                namespace.clone_from(&config.default_namespace);
            }
            config
        } else {
            chosen.kube_config().await?
        };
        kube_config.default_retry = false;
        kube_config.connect_timeout = Some(std::time::Duration::from_secs(30));
        let server = kube_config.cluster_url.to_string().trim_end_matches('/').to_string();
        let inner = kube::Client::try_from(kube_config).map_err(|error| Error::message(deepest(&error)))?;
        if namespace.is_empty() {
            namespace = "default".into();
        }
        Ok(Self { client: Client::new(inner, server, timeout), namespace, namespace_given })
    }
}

/// The cluster, user and namespace that the flags and the current context pick.
struct Chosen {
    cluster: Value,
    user: Value,
    namespace: String,
}

impl Chosen {
    fn from(invocation: &Invocation, config: &Value) -> Result<Self> {
        let flag =
            |name: &str| Some(invocation.global(name)).filter(|value| !value.is_empty()).map(str::to_string);
        let context_name = flag("context").or_else(|| config["current-context"].as_str().map(str::to_string));
        let context = match context_name.filter(|name| !name.is_empty()) {
            None => Value::Null,
            Some(name) => match entry(config, "contexts", "context", &name) {
                Some(context) => context.clone(),
                None if flag("context").is_some() => {
                    return Err(Error::message(format!("context \"{name}\" does not exist")));
                }
                None => Value::Null,
            },
        };
        let named = |flag_value: Option<String>, list: &str, field: &str, what: &str| -> Result<Value> {
            let given = flag_value.is_some();
            let name = flag_value.or_else(|| context[field].as_str().map(str::to_string)).unwrap_or_default();
            if name.is_empty() {
                return Ok(json!({}));
            }
            match entry(config, list, field, &name) {
                Some(found) => Ok(found.clone()),
                None if given || list == "clusters" => {
                    Err(Error::message(format!("{what} \"{name}\" does not exist")))
                }
                None => Ok(json!({})),
            }
        };
        let mut cluster = named(flag("cluster"), "clusters", "cluster", "cluster")?;
        let mut user = named(flag("user"), "users", "user", "auth info")?;
        if let Some(server) = flag("server") {
            let server = if server.contains("://") { server } else { format!("http://{server}") };
            cluster["server"] = server.into();
        }
        if let Some(file) = flag("certificate-authority") {
            cluster["certificate-authority"] = file.into();
            remove(&mut cluster, &["certificate-authority-data", "insecure-skip-tls-verify"]);
        }
        if invocation.changed("insecure-skip-tls-verify") {
            cluster["insecure-skip-tls-verify"] = invocation.is("insecure-skip-tls-verify").into();
            if invocation.is("insecure-skip-tls-verify") {
                remove(&mut cluster, &["certificate-authority", "certificate-authority-data"]);
            }
        }
        if let Some(name) = flag("tls-server-name") {
            cluster["tls-server-name"] = name.into();
        }
        if let Some(token) = flag("token") {
            user["token"] = token.into();
            remove(
                &mut user,
                &[
                    "tokenFile",
                    "exec",
                    "auth-provider",
                    "username",
                    "password",
                    "client-certificate",
                    "client-certificate-data",
                    "client-key",
                    "client-key-data",
                ],
            );
        }
        for (name, data) in
            [("client-certificate", "client-certificate-data"), ("client-key", "client-key-data")]
        {
            if let Some(file) = flag(name) {
                user[name] = file.into();
                remove(&mut user, &[data]);
            }
        }
        for (name, field) in
            [("username", "username"), ("password", "password"), ("as", "as"), ("as-uid", "as-uid")]
        {
            if let Some(value) = flag(name) {
                user[field] = value.into();
            }
        }
        if !invocation.list("as-group").is_empty() {
            user["as-groups"] = invocation.list("as-group").into();
        }
        for extra in invocation.list("as-user-extra") {
            if let Some((key, value)) = extra.split_once('=') {
                if !user["as-user-extra"].is_object() {
                    user["as-user-extra"] = json!({});
                }
                user["as-user-extra"][key] = json!([value]);
            }
        }
        let namespace =
            flag("namespace").unwrap_or_else(|| context["namespace"].as_str().unwrap_or("").to_string());
        Ok(Self { cluster, user, namespace })
    }

    async fn kube_config(self) -> Result<kube::Config> {
        let mut cluster = self.cluster;
        // Upstream's default where nothing is configured.
        if cluster["server"].as_str().unwrap_or("").is_empty() {
            cluster["server"] = "http://localhost:8080".into();
        }
        if cluster["insecure-skip-tls-verify"].is_null() {
            remove(&mut cluster, &["insecure-skip-tls-verify"]);
        }
        let config = json!({
            "clusters": [{"name": "chosen", "cluster": cluster}],
            "users": [{"name": "chosen", "user": self.user}],
            "contexts": [{"name": "chosen", "context": {"cluster": "chosen", "user": "chosen"}}],
            "current-context": "chosen",
        });
        let config: kube::config::Kubeconfig = serde_json::from_value(config)
            .map_err(|error| Error::message(format!("invalid configuration: {error}")))?;
        kube::Config::from_custom_kubeconfig(config, &kube::config::KubeConfigOptions::default())
            .await
            .map_err(|error| Error::message(format!("invalid configuration: {}", deepest(&error))))
    }
}

fn remove(object: &mut Value, fields: &[&str]) {
    if let Some(object) = object.as_object_mut() {
        object.retain(|name, _| !fields.contains(&name.as_str()));
    }
}

fn deepest(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let more = inner.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = inner.source();
    }
    text
}
