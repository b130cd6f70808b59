//! `kubectl cp`: files to and from containers, by tar at both ends.

use std::path::Path;
use std::process::Stdio;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::stream;
use cli_runtime::cli::{Command, Flag, Invocation};
use cli_runtime::client::{Channels, Frame, Signal, escape, with_query};
use cli_runtime::error::{Error, Result};
use cli_runtime::resource::{Item, Session, pods};

/// Copies files.
pub static COMMAND: Command = Command {
    name: "cp",
    short: "Copy files and directories to and from containers",
    long: "Copy files and directories to and from containers.\n\nThe container needs a 'tar' program.",
    examples: "
# A directory into a pod
kubectl cp /tmp/conf web:/etc/conf

# A file out of a chosen container, in another namespace
kubectl cp team-a/web:/tmp/dump /tmp/dump -c app",
    usage: "cp <file-spec-src> <file-spec-dest>",
    flags: &[&[
        Flag::text("container", "", "Container; the default one, or the first, if not given.").short('c'),
        Flag::switch("no-preserve", "Do not keep owners and permissions."),
        Flag::int("retries", "0", "Accepted for compatibility."),
    ]],
    run: Some(|invocation| Box::pin(run(invocation))),
    ..Command::NONE
};

#[derive(Debug, PartialEq, Eq)]
struct Place<'a> {
    namespace: Option<&'a str>,
    pod: Option<&'a str>,
    path: &'a str,
}

fn place(text: &str) -> Result<Place<'_>> {
    match text.split_once(':') {
        None => Ok(Place { namespace: None, pod: None, path: text }),
        Some((pod, path)) => match pod.split('/').collect::<Vec<_>>().as_slice() {
            [pod] if !pod.is_empty() => Ok(Place { namespace: None, pod: Some(pod), path }),
            [namespace, pod] => Ok(Place { namespace: Some(namespace), pod: Some(pod), path }),
            _ => Err(Error::message("filespec must match the canonical format: [[namespace/]pod:]file/path")),
        },
    }
}

async fn run(invocation: Invocation) -> Result<()> {
    let [from, to] = invocation.args.as_slice() else {
        return Err(invocation.usage("source and destination are required"));
    };
    let (from, to) = (place(from)?, place(to)?);
    if from.path.is_empty() || to.path.is_empty() {
        return Err(Error::message("filepath can not be empty"));
    }
    let session = Session::open(&invocation).await?;
    match (from.pod, to.pod) {
        (Some(_), Some(_)) => Err(Error::message("one of src or dest must be a local file specification")),
        (None, None) => Err(Error::message("one of src or dest must be a remote file specification")),
        (None, Some(pod)) => {
            if !Path::new(from.path).exists() {
                return Err(Error::message(format!("{} doesn't exist in local filesystem", from.path)));
            }
            let (pod, container) = target(&session, &invocation, to.namespace, pod).await?;
            upload(&session, &invocation, &pod, &container, from.path, to.path).await
        }
        (Some(pod), None) => {
            let (pod, container) = target(&session, &invocation, from.namespace, pod).await?;
            download(&session, &pod, &container, from.path, to.path).await
        }
    }
}

async fn target(
    session: &Session,
    invocation: &Invocation,
    namespace: Option<&str>,
    name: &str,
) -> Result<(Item, String)> {
    let namespace = namespace.unwrap_or(&session.namespace);
    let object = session.client.get(&pods().object_path(Some(namespace), name)).await?;
    let container = stream::container(&object, invocation.text("container"), false)?;
    Ok((Item::of(pods(), object), container))
}

async fn open(
    session: &Session,
    pod: &Item,
    container: &str,
    command: &[&str],
    stdin: bool,
) -> Result<Channels> {
    let mut path = format!("{}/exec?container={}", pod.path(), escape(container));
    for word in command {
        path.push_str(&format!("&command={}", escape(word)));
    }
    let query = [("stdin", if stdin { "true" } else { "" }), ("stdout", "true"), ("stderr", "true")];
    session.client.websocket(&with_query(&path, &query)).await
}

fn parts(path: &str) -> (String, String) {
    let trimmed = path.trim_end_matches('/');
    match trimmed.rsplit_once('/') {
        Some(("", name)) => ("/".into(), name.into()),
        Some((parent, name)) => (parent.into(), name.into()),
        None => (".".into(), trimmed.into()),
    }
}

async fn upload(
    session: &Session,
    invocation: &Invocation,
    pod: &Item,
    container: &str,
    from: &str,
    to: &str,
) -> Result<()> {
    let (parent, name) = parts(from);
    let is_directory = open(session, pod, container, &["test", "-d", to], false).await?;
    let (remote_parent, remote_name) = match finish(is_directory, None).await {
        Ok(_) => (to.to_string(), name.clone()),
        Err(_) => parts(to),
    };
    let rename = format!("s,^{},{},", name.replace(['.', ',', '*', '[', '\\'], "\\$0"), remote_name);
    let mut tar = tokio::process::Command::new("tar");
    tar.args(["-C", &parent, "-cf", "-"]);
    if remote_name != name {
        tar.args(["--transform", &rename]);
    }
    let mut tar = tar
        .arg(&name)
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| Error::message(format!("tar: {error}")))?;
    let mut output = tar.stdout.take().ok_or_else(|| Error::message("tar has no output"))?;
    let mut command = vec!["tar", "-xmf", "-"];
    if invocation.is("no-preserve") {
        command = vec!["tar", "--no-same-permissions", "--no-same-owner", "-xmf", "-"];
    }
    command.extend(["-C", &remote_parent]);
    let mut channels = open(session, pod, container, &command, true).await?;
    let mut buffer = vec![0; 64 << 10];
    loop {
        let count = output.read(&mut buffer).await?;
        if count == 0 {
            break;
        }
        channels.send(Signal::Data(0, Bytes::copy_from_slice(&buffer[..count]))).await?;
    }
    channels.send(Signal::Close(0)).await?;
    finish(channels, None).await?;
    let status = tar.wait().await?;
    if status.success() { Ok(()) } else { Err(Error::message("tar could not read the local files")) }
}

async fn download(session: &Session, pod: &Item, container: &str, from: &str, to: &str) -> Result<()> {
    let (parent, name) = parts(from);
    let channels = open(session, pod, container, &["tar", "-C", &parent, "-cf", "-", &name], false).await?;
    let destination = Path::new(to);
    let target = if destination.is_dir() { destination.join(&name) } else { destination.to_path_buf() };
    // Unpacked beside the target first: what a container sends must not reach other places.
    let beside = target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(beside)?;
    let staging = tempfile::Builder::new().prefix(".kubectl-cp-").tempdir_in(beside)?;
    let mut tar = tokio::process::Command::new("tar")
        .args(["-xf", "-", "-C"])
        .arg(staging.path())
        .stdin(Stdio::piped())
        .spawn()
        .map_err(|error| Error::message(format!("tar: {error}")))?;
    let input = tar.stdin.take();
    finish(channels, input).await?;
    let status = tar.wait().await?;
    if !status.success() {
        return Err(Error::message("tar could not unpack what the container sent"));
    }
    let unpacked = staging.path().join(&name);
    skip_links(&unpacked, &target)?;
    if !unpacked.exists() {
        return Ok(());
    }
    if target.is_dir() && unpacked.is_dir() {
        for entry in std::fs::read_dir(&unpacked)?.flatten() {
            std::fs::rename(entry.path(), target.join(entry.file_name()))?;
        }
    } else {
        std::fs::rename(&unpacked, &target)?;
    }
    Ok(())
}

/// Takes symbolic links out of what a container sent: they could lead anywhere.
fn skip_links(unpacked: &Path, target: &Path) -> Result<()> {
    let Ok(metadata) = std::fs::symlink_metadata(unpacked) else { return Ok(()) };
    if metadata.is_symlink() {
        let leads_to = std::fs::read_link(unpacked)?;
        errln!("warning: skipping symlink: \"{}\" -> \"{}\"", target.display(), leads_to.display());
        std::fs::remove_file(unpacked)?;
    } else if metadata.is_dir() {
        for entry in std::fs::read_dir(unpacked)?.flatten() {
            skip_links(&entry.path(), &target.join(entry.file_name()))?;
        }
    }
    Ok(())
}

/// Reads to the end: output goes into the sink, errors to standard error, the status decides.
async fn finish(mut channels: Channels, mut sink: Option<tokio::process::ChildStdin>) -> Result<()> {
    loop {
        match channels.next().await? {
            Frame::Data(1, bytes) => {
                if let Some(sink) = &mut sink {
                    sink.write_all(&bytes).await?;
                }
            }
            Frame::Data(2, bytes) => errln!("{}", String::from_utf8_lossy(&bytes).trim_end()),
            Frame::Data(3, bytes) => return Channels::outcome(&bytes),
            Frame::Data(..) => {}
            Frame::Closed => return Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_from_a_container_are_left_out() {
        let directory = tempfile::tempdir().unwrap();
        let sent = directory.path().join("sent");
        std::fs::create_dir_all(sent.join("deep")).unwrap();
        std::fs::write(sent.join("deep/file"), "x").unwrap();
        std::os::unix::fs::symlink("/etc", sent.join("deep/link")).unwrap();
        skip_links(&sent, Path::new("out")).unwrap();
        assert!(sent.join("deep/file").exists());
        assert!(!sent.join("deep/link").is_symlink());
    }

    #[test]
    fn places_are_local_or_in_a_pod() {
        assert_eq!(place("/tmp/a").unwrap(), Place { namespace: None, pod: None, path: "/tmp/a" });
        assert_eq!(place("web:/a").unwrap(), Place { namespace: None, pod: Some("web"), path: "/a" });
        assert_eq!(place("ns/web:a").unwrap(), Place { namespace: Some("ns"), pod: Some("web"), path: "a" });
        assert!(place("a/b/c:d").is_err());
        assert_eq!(parts("/etc/conf/"), ("/etc".into(), "conf".into()));
        assert_eq!(parts("/etc"), ("/".into(), "etc".into()));
        assert_eq!(parts("a"), (".".into(), "a".into()));
    }
}
