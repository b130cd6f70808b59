//! A tree of files that becomes a package.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use flate2::{Compression, GzBuilder};

/// Files below a directory, at the paths that a machine has them.
pub struct Tree {
    root: PathBuf,
}

impl Tree {
    /// An empty tree.
    pub fn new(root: PathBuf) -> anyhow::Result<Self> {
        fs::create_dir_all(&root).with_context(|| root.display().to_string())?;
        Ok(Self { root })
    }

    /// Its directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn place(&self, path: &str) -> anyhow::Result<PathBuf> {
        let place = self.root.join(path);
        let parent = place.parent().context("a file has a directory")?;
        fs::create_dir_all(parent).with_context(|| parent.display().to_string())?;
        Ok(place)
    }

    /// Adds a file with these bytes.
    pub fn write(&self, path: &str, mode: u32, bytes: &[u8]) -> anyhow::Result<()> {
        let place = self.place(path)?;
        fs::write(&place, bytes).with_context(|| place.display().to_string())?;
        set_mode(&place, mode)
    }

    /// Adds a copy of a file.
    pub fn copy(&self, from: &Path, path: &str, mode: u32) -> anyhow::Result<()> {
        let place = self.place(path)?;
        // The same bytes are in a package, an archive and an image: the file system may keep them once.
        if fs::hard_link(from, &place).is_err() || mode_of(from)? != mode {
            let _ = fs::remove_file(&place);
            fs::copy(from, &place).with_context(|| format!("copying {}", from.display()))?;
            set_mode(&place, mode)?;
        }
        Ok(())
    }

    /// Adds a text, compressed as Debian's documentation is.
    pub fn gzip(&self, path: &str, text: &str) -> anyhow::Result<()> {
        let mut packed = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
        packed.write_all(text.as_bytes())?;
        self.write(path, 0o644, &packed.finish()?)
    }

    /// Every file, relative to the root, sorted.
    pub fn files(&self) -> anyhow::Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        collect(&self.root, &mut files)?;
        let mut files: Vec<PathBuf> = files
            .into_iter()
            .filter_map(|path| path.strip_prefix(&self.root).ok().map(Path::to_owned))
            .collect();
        files.sort();
        Ok(files)
    }
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), files)?;
        } else {
            files.push(entry.path());
        }
    }
    Ok(())
}

fn mode_of(path: &Path) -> anyhow::Result<u32> {
    Ok(fs::metadata(path)?.permissions().mode() & 0o7777)
}

fn set_mode(path: &Path, mode: u32) -> anyhow::Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).with_context(|| path.display().to_string())
}
