//! A path of the node itself, checked or created as its type says.

use std::{
    fs,
    os::unix::fs::{FileTypeExt, OpenOptionsExt, PermissionsExt},
    path::Path,
};

use crate::Error;

/// What a host path must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostPathType {
    /// Anything; a missing path is left to the runtime.
    Unset,
    /// A folder, made where nothing is.
    DirectoryOrCreate,
    /// A folder.
    Directory,
    /// A file, made where nothing is.
    FileOrCreate,
    /// A file.
    File,
    /// A unix socket.
    Socket,
    /// A character device.
    CharDevice,
    /// A block device.
    BlockDevice,
}

impl HostPathType {
    /// Reads the API's word.
    pub fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "" => Self::Unset,
            "DirectoryOrCreate" => Self::DirectoryOrCreate,
            "Directory" => Self::Directory,
            "FileOrCreate" => Self::FileOrCreate,
            "File" => Self::File,
            "Socket" => Self::Socket,
            "CharDevice" => Self::CharDevice,
            "BlockDevice" => Self::BlockDevice,
            _ => return None,
        })
    }
}

/// Checks or creates a host path.
pub fn host_path(path: &Path, kind: HostPathType) -> Result<(), Error> {
    let found = fs::metadata(path).map(|metadata| metadata.file_type()).ok();
    let expect = |holds: bool, expected: &'static str| {
        if holds { Ok(()) } else { Err(Error::HostPathType { path: path.to_owned(), expected }) }
    };
    match kind {
        HostPathType::Unset => Ok(()),
        HostPathType::DirectoryOrCreate if found.is_none() => create_directory(path),
        HostPathType::FileOrCreate if found.is_none() => create_file(path),
        HostPathType::DirectoryOrCreate | HostPathType::Directory => {
            expect(found.is_some_and(|kind| kind.is_dir()), "a directory")
        }
        HostPathType::FileOrCreate | HostPathType::File => {
            expect(found.is_some_and(|kind| kind.is_file()), "a file")
        }
        HostPathType::Socket => expect(found.is_some_and(|kind| kind.is_socket()), "a socket file"),
        HostPathType::CharDevice => {
            expect(found.is_some_and(|kind| kind.is_char_device()), "a character device")
        }
        HostPathType::BlockDevice => {
            expect(found.is_some_and(|kind| kind.is_block_device()), "a block device")
        }
    }
}

fn create_directory(path: &Path) -> Result<(), Error> {
    fs::create_dir_all(path).map_err(Error::io("create", path))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).map_err(Error::io("chmod", path))
}

fn create_file(path: &Path) -> Result<(), Error> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true).mode(0o644).open(path).map(drop).map_err(Error::io("create", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_checked_and_created() {
        let root = tempfile::tempdir().unwrap();
        let (directory, file) = (root.path().join("d/e"), root.path().join("f"));
        host_path(&directory, HostPathType::DirectoryOrCreate).unwrap();
        host_path(&directory, HostPathType::Directory).unwrap();
        host_path(&file, HostPathType::FileOrCreate).unwrap();
        host_path(&file, HostPathType::File).unwrap();
        host_path(Path::new("/dev/null"), HostPathType::CharDevice).unwrap();
        let error = host_path(&file, HostPathType::Directory).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("hostPath type check failed: {} is not a directory", file.display())
        );
        assert!(host_path(&root.path().join("none"), HostPathType::Socket).is_err());
        assert!(host_path(&root.path().join("none"), HostPathType::Unset).is_ok());
    }
}
