//! The kernel's word that something in a folder has changed.

use std::{os::fd::OwnedFd, path::Path};

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use tokio::{io::AsyncReadExt, net::unix::pipe};

/// A folder that is listened to. The kernel's events are read like a pipe: that they come is all that counts.
pub(crate) struct Listener(pipe::Receiver);

fn listen(folder: &Path, events: AddWatchFlags) -> Option<Listener> {
    let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC).ok()?;
    match inotify.add_watch(folder, events) {
        Ok(_) => pipe::Receiver::from_owned_fd_unchecked(OwnedFd::from(inotify)).ok().map(Listener),
        Err(error) => {
            tracing::debug!(folder = %folder.display(), %error, "cannot listen for changes");
            None
        }
    }
}

/// Listens for files that come, go or have been written.
pub(crate) fn replaced(folder: &Path) -> Option<Listener> {
    let events = AddWatchFlags::IN_CLOSE_WRITE
        | AddWatchFlags::IN_MOVED_TO
        | AddWatchFlags::IN_MOVED_FROM
        | AddWatchFlags::IN_DELETE;
    listen(folder, events)
}

/// Listens for sockets and other files that come and go.
pub(crate) fn appearing(folder: &Path) -> Option<Listener> {
    let events = AddWatchFlags::IN_CREATE
        | AddWatchFlags::IN_MOVED_TO
        | AddWatchFlags::IN_MOVED_FROM
        | AddWatchFlags::IN_DELETE;
    listen(folder, events)
}

/// Listens for files that grow.
pub(crate) fn modified(folder: &Path) -> Option<Listener> {
    listen(folder, AddWatchFlags::IN_MODIFY | AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO)
}

/// Waits for a change; for ever where nothing can be heard.
pub(crate) async fn changed(listener: Option<&mut Listener>) {
    let Some(Listener(events)) = listener else { return std::future::pending().await };
    // Many events fit; more of them wake once more.
    let mut buffer = [0; 4096];
    if !matches!(events.read(&mut buffer).await, Ok(1..)) {
        std::future::pending().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_written_file_is_heard_of() {
        let folder = tempfile::tempdir().unwrap();
        let mut listener = replaced(folder.path());
        std::fs::write(folder.path().join("a"), "x").unwrap();
        changed(listener.as_mut()).await;
    }
}
