//! Lifecycle hooks.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, HTTPGetAction, LifecycleHandler};

use crate::{kubelet::Kubelet, probe::check};

/// Runs a hook to its end, or to the end of its time. An error is what failed.
pub(super) async fn run(
    kubelet: &Kubelet,
    container: &Container,
    id: &str,
    ip: &str,
    handler: &LifecycleHandler,
    limit: Option<Duration>,
) -> Result<(), String> {
    let work = async {
        if let Some(exec) = &handler.exec {
            let command = exec.command.clone().unwrap_or_default();
            let shown = command.join(" ");
            return match kubelet.runtime.exec_sync(id, command, 0).await {
                Ok(answer) if answer.exit_code == 0 => Ok(()),
                Ok(answer) => Err(format!(
                    "Exec lifecycle hook ([{shown}]) for Container {:?} failed - error: command '{shown}' exited with {}: {}, message: {:?}",
                    container.name,
                    answer.exit_code,
                    String::from_utf8_lossy(&answer.stderr),
                    String::from_utf8_lossy(&answer.stdout),
                )),
                Err(error) => Err(error.to_string()),
            };
        }
        if let Some(get) = &handler.http_get {
            return http(kubelet, container, id, ip, get).await;
        }
        if let Some(sleep) = &handler.sleep {
            tokio::time::sleep(Duration::from_secs(u64::try_from(sleep.seconds).unwrap_or_default())).await;
            return Ok(());
        }
        Err("invalid handler: no action".to_owned())
    };
    match limit {
        None => work.await,
        Some(limit) => match tokio::time::timeout(limit, work).await {
            Ok(result) => result,
            Err(_) => Err(format!("the hook did not end within {}s", limit.as_secs())),
        },
    }
}

async fn http(
    kubelet: &Kubelet,
    container: &Container,
    id: &str,
    ip: &str,
    get: &HTTPGetAction,
) -> Result<(), String> {
    let target = check::Target { runtime: &*kubelet.runtime, container_id: id, container, ip };
    match check::http_get(get, &target).await {
        // Upstream takes any answer of the server for done.
        Ok(_) => Ok(()),
        Err(failure) => Err(failure.message),
    }
}
