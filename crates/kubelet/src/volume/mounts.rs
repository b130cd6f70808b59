//! A container's mounts: its volumes, or parts of them, and the files the kubelet makes for it.

use std::path::{Path, PathBuf};

use cri::v1;
use k8s_openapi::api::core::v1::{Container, Pod};
use volumes::sub_path;

use super::{Mounted, MountedVolumes, blocking};
use crate::{container::expansion, pod, settings::Settings};

/// Files the kubelet itself mounts into a container.
pub struct Extra {
    /// The pod's hosts file, unless the container mounts its own.
    pub hosts: Option<PathBuf>,
    /// The file behind the termination message path.
    pub message: PathBuf,
}

/// Lists a container's mounts and makes what they need. An error is the message of `CreateContainerConfigError`.
pub async fn mounts(
    pod: &Pod,
    container: &Container,
    volumes: &MountedVolumes,
    env: &[(String, String)],
    settings: &Settings,
    extra: Extra,
) -> Result<Vec<v1::Mount>, String> {
    let mut mounts = Vec::new();
    for (index, wanted) in container.volume_mounts.iter().flatten().enumerate() {
        let Some(volume) = volumes.get(&wanted.name) else {
            return Err(format!(
                "cannot find volume {:?} to mount into container {:?}",
                wanted.name, container.name
            ));
        };
        let propagation = match wanted.mount_propagation.as_deref() {
            Some("HostToContainer") => v1::MountPropagation::PropagationHostToContainer,
            Some("Bidirectional") => v1::MountPropagation::PropagationBidirectional,
            _ => v1::MountPropagation::PropagationPrivate,
        };
        let sub_path = part(wanted.sub_path.as_deref(), wanted.sub_path_expr.as_deref(), env)?;
        let mut mount = v1::Mount {
            container_path: absolute(&wanted.mount_path),
            readonly: wanted.read_only.unwrap_or_default() || volume.read_only,
            propagation: propagation.into(),
            ..v1::Mount::default()
        };
        mount.recursive_read_only =
            mount.readonly && wanted.recursive_read_only.as_deref() == Some("Enabled");
        if let Some((image, _)) = &volume.image {
            mount.image = Some(v1::ImageSpec { image: image.clone(), ..v1::ImageSpec::default() });
            mount.image_sub_path = sub_path.unwrap_or_default();
            mounts.push(mount);
            continue;
        }
        mount.host_path = match sub_path {
            None => volume.path.display().to_string(),
            Some(sub_path) => {
                let target = settings
                    .pod_dir(pod::uid(pod))
                    .join("volume-subpaths")
                    .join(&wanted.name)
                    .join(&container.name)
                    .join(index.to_string());
                bind(volume, PathBuf::from(sub_path), target.clone()).await.map_err(|error| {
                    format!(
                        "failed to prepare subPath for volumeMount {:?} of container {:?}: {error}",
                        wanted.name, container.name
                    )
                })?;
                target.display().to_string()
            }
        };
        mounts.push(mount);
    }
    let taken = |path: &str| mounts.iter().any(|mount| mount.container_path == path);
    let message_path = container.termination_message_path.as_deref().unwrap_or("/dev/termination-log");
    let hosts = extra.hosts.filter(|_| !taken("/etc/hosts"));
    let message = (!taken(message_path) && !message_path.is_empty()).then_some(extra.message);
    mounts.extend(hosts.map(|file| plain("/etc/hosts", &file)));
    mounts.extend(message.map(|file| plain(message_path, &file)));
    Ok(mounts)
}

fn plain(container_path: &str, host_path: &Path) -> v1::Mount {
    v1::Mount {
        container_path: container_path.to_owned(),
        host_path: host_path.display().to_string(),
        ..v1::Mount::default()
    }
}

fn absolute(path: &str) -> String {
    if path.starts_with('/') { path.to_owned() } else { format!("/{path}") }
}

/// The part of the volume to mount; in an expression every variable must be known.
fn part(
    plain: Option<&str>,
    expression: Option<&str>,
    env: &[(String, String)],
) -> Result<Option<String>, String> {
    if let Some(expression) = expression.filter(|expression| !expression.is_empty()) {
        let missing = std::cell::RefCell::new(None);
        let expanded = expansion::expand(expression, |name| {
            let found = env.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
            if found.is_none() {
                missing.replace(Some(name.to_owned()));
            }
            found
        });
        return match missing.into_inner() {
            Some(name) => Err(format!("missing value for {name:?}")),
            None => Ok(Some(expanded)),
        };
    }
    Ok(plain.filter(|plain| !plain.is_empty()).map(str::to_owned))
}

async fn bind(volume: &Mounted, part: PathBuf, target: PathBuf) -> anyhow::Result<()> {
    let volume = volume.path.clone();
    blocking(move || Ok(sub_path(&volume, &part, &target)?)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_needs_all_its_variables() {
        let env = [("POD".to_owned(), "web-0".to_owned())];
        assert_eq!(part(None, Some("logs/$(POD)"), &env), Ok(Some("logs/web-0".into())));
        assert_eq!(part(None, Some("$(NONE)"), &env), Err("missing value for \"NONE\"".into()));
        assert_eq!(part(Some("a"), None, &env), Ok(Some("a".into())));
        assert_eq!(part(Some(""), None, &env), Ok(None));
    }
}
