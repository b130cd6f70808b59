//! A contract served on a unix socket.

use std::io;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::Path;

use tokio::net::UnixListener;
use tokio_stream::wrappers::UnixListenerStream;

/// Binds a socket that only the owner may connect to. What a process that is gone has left there is replaced; its
/// directory is made.
pub fn listen(socket: &Path) -> io::Result<UnixListenerStream> {
    if let Some(directory) = socket.parent() {
        std::fs::create_dir_all(directory)?;
    }
    remove(socket)?;
    let listener = UnixListener::bind(socket)?;
    std::fs::set_permissions(socket, std::fs::Permissions::from_mode(0o600))?;
    Ok(UnixListenerStream::new(listener))
}

/// Removes a socket; anything else in its place is an error, nothing is not.
pub fn remove(socket: &Path) -> io::Result<()> {
    match std::fs::symlink_metadata(socket) {
        Ok(found) if found.file_type().is_socket() => std::fs::remove_file(socket),
        Ok(_) => Err(io::Error::new(io::ErrorKind::AlreadyExists, "something that is not a socket is there")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}
