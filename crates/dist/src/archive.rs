//! The archive for distributions without Debian's packages: the same files, and a script that puts them in place.

use std::{fs, io::BufWriter, os::unix::fs::PermissionsExt as _, path::Path};

use anyhow::Context as _;
use flate2::{Compression, GzBuilder};
use tar::{Builder, Header};

use crate::{Options, PACKAGES, Release, tree::Tree};

/// Puts the archive's files in a directory. Its parts are the packages by their short names (`cli`, `node`, …), each a
/// tree of files as the package has them.
pub fn stage(release: &Release<'_>, work: &Path) -> anyhow::Result<Tree> {
    let tree = Tree::new(work.to_owned())?;
    tree.copy(&release.deploy("install.sh"), "install.sh", 0o755)?;
    tree.write("release.json", 0o644, release.description.as_bytes())?;
    for package in PACKAGES {
        let short = package.name.trim_start_matches("magnetite-");
        (package.fill)(release, &Tree::new(work.join(short))?)?;
    }
    Ok(tree)
}

/// Makes the archive out of its files.
pub fn pack(options: &Options, tree: &Tree) -> anyhow::Result<()> {
    let name = format!("magnetite-{}-linux-{}", options.version(), std::env::consts::ARCH);
    let path = options.out.join(format!("{name}.tar.gz"));
    let file = fs::File::create(&path).with_context(|| path.display().to_string())?;
    let level = if options.small { Compression::best() } else { Compression::fast() };
    let mut archive = Builder::new(GzBuilder::new().mtime(0).write(BufWriter::new(file), level));
    for file in tree.files()? {
        let from = tree.root().join(&file);
        let metadata = fs::metadata(&from)?;
        let mut header = Header::new_gnu();
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(u64::try_from(options.time).unwrap_or(0));
        let to = format!("{name}/{}", file.display());
        header.set_mode(metadata.permissions().mode() & 0o777);
        header.set_size(metadata.len());
        archive.append_data(&mut header, to, fs::File::open(&from)?)?;
    }
    archive.into_inner()?.finish()?.into_inner().context("writing the archive")?;
    Ok(())
}
