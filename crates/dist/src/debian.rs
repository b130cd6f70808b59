//! Debian packages.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Command};

use anyhow::{Context as _, bail};

use crate::{Options, Package, Release, tree::Tree};

/// Whom a package names where its maker does not say: nobody in particular, at a domain that is nobody's (RFC 2606).
const MAINTAINER: (&str, &str) = ("Magnetite Maintainers", "magnetite@example.org");

/// Who answers for the packages: as Debian's own tools, by `DEBFULLNAME` and `DEBEMAIL`.
fn maintainer() -> String {
    let told = |name: &str, default: &str| {
        std::env::var(name).ok().filter(|text| !text.trim().is_empty()).unwrap_or_else(|| default.to_owned())
    };
    format!("{} <{}>", told("DEBFULLNAME", MAINTAINER.0), told("DEBEMAIL", MAINTAINER.1))
}

/// Puts a package's files in a directory of its own.
pub fn stage(release: &Release<'_>, package: &Package, work: &Path) -> anyhow::Result<Tree> {
    let options = release.options;
    let tree = Tree::new(work.to_owned())?;
    (package.fill)(release, &tree)?;
    let documents = format!("usr/share/doc/{}", package.name);
    tree.copy(&release.deploy("debian/copyright"), &format!("{documents}/copyright"), 0o644)?;
    tree.gzip(&format!("{documents}/changelog.Debian.gz"), &changelog(options)?)?;
    let overrides = release.deploy("debian/lintian-overrides");
    let overrides = fs::read_to_string(&overrides).with_context(|| overrides.display().to_string())?;
    let own: String = overrides
        .lines()
        .filter(|line| line.starts_with('#') || line.starts_with(package.name))
        .fold(String::new(), |mut text, line| {
            text.push_str(line);
            text.push('\n');
            text
        });
    tree.write(&format!("usr/share/lintian/overrides/{}", package.name), 0o644, own.as_bytes())?;
    let (mut size, mut configuration) = (0, String::new());
    for file in tree.files()? {
        size += fs::symlink_metadata(tree.root().join(&file))?.len().div_ceil(1024);
        if file.starts_with("etc") {
            configuration.push_str(&format!("/{}\n", file.display()));
        }
    }
    if !configuration.is_empty() {
        tree.write("DEBIAN/conffiles", 0o644, configuration.as_bytes())?;
    }
    for (name, text) in scripts(package) {
        tree.write(&format!("DEBIAN/{name}"), 0o755, text.as_bytes())?;
    }
    tree.write("DEBIAN/control", 0o644, control(options, package, size).as_bytes())?;
    directories(work)?;
    Ok(tree)
}

/// Debian's name of this machine's architecture.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn control(options: &Options, package: &Package, size: u64) -> String {
    let version = options.version();
    let own = package.needs.iter().map(|name| format!("{name} (= {version})"));
    let depends: Vec<String> = own.chain(package.depends.iter().map(|name| (*name).to_owned())).collect();
    let mut text = format!(
        "Package: {}\nSource: magnetite\nVersion: {version}\nArchitecture: {}\nMaintainer: {}\nInstalled-Size: {size}\n",
        package.name,
        architecture(),
        maintainer(),
    );
    for (field, packages) in [("Depends", depends.join(", ")), ("Recommends", package.recommends.join(", "))]
    {
        if !packages.is_empty() {
            text.push_str(&format!("{field}: {packages}\n"));
        }
    }
    text.push_str(&format!("Section: admin\nPriority: optional\nDescription: {}\n", package.summary));
    package.description.lines().for_each(|line| text.push_str(&format!(" {line}\n")));
    text
}

/// What dpkg runs. Nothing is started, also by an upgrade: `kubeadm upgrade` restarts units one at a time. Of a machine's
/// state nothing is removed, also by a purge: `kubeadm reset` does that.
fn scripts(package: &Package) -> Vec<(&'static str, String)> {
    const RELOAD: &str =
        "if [ -d /run/systemd/system ]; then\n    systemctl --system daemon-reload >/dev/null || true\nfi\n";
    let units = package.units.join(" ");
    let mut configured = String::new();
    if package.users {
        configured.push_str("    systemd-sysusers magnetite.conf\n");
    }
    if !package.units.is_empty() {
        configured.push_str(&indented(RELOAD));
    }
    let purge = format!(
        "if [ \"$1\" = purge ]; then\n    for unit in {units}; do\n        rm -f /etc/systemd/system/*.wants/\"$unit\"\n    done\nfi\n"
    );
    vec![
        ("postinst", script(&format!("if [ \"$1\" = configure ]; then\n{configured}fi\n"))),
        (
            "prerm",
            script(&format!(
                "if [ \"$1\" = remove ] && [ -d /run/systemd/system ]; then\n    systemctl --system stop {units} >/dev/null || true\nfi\n"
            )),
        ),
        ("postrm", script(&format!("{purge}{RELOAD}"))),
    ]
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("    {line}\n")).collect()
}

fn script(body: &str) -> String {
    format!("#!/bin/sh\nset -e\n{body}")
}

fn changelog(options: &Options) -> anyhow::Result<String> {
    let date = jiff::Timestamp::from_second(options.time)?.strftime("%a, %d %b %Y %H:%M:%S +0000");
    Ok(format!(
        "magnetite ({}) unstable; urgency=medium\n\n  * Build {} of Kubernetes {}.\n\n -- {}  {date}\n",
        options.version(),
        options.build,
        crate::VERSION,
        maintainer(),
    ))
}

/// Directories have the mode that Debian wants, whatever this process's mask is.
fn directories(directory: &Path) -> anyhow::Result<()> {
    fs::set_permissions(directory, fs::Permissions::from_mode(0o755))?;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            directories(&entry.path())?;
        }
    }
    Ok(())
}

/// Makes the package out of its files.
pub fn pack(options: &Options, tree: &Tree) -> anyhow::Result<()> {
    // Every dpkg reads both; the first is a third smaller and twenty times slower.
    let compression: &[&str] = if options.small { &["-Zxz"] } else { &["-Zgzip", "-z1"] };
    let output = Command::new("dpkg-deb")
        .args(["--root-owner-group"])
        .args(compression)
        .arg("--build")
        .arg(tree.root())
        .arg(&options.out)
        .env("SOURCE_DATE_EPOCH", options.time.to_string())
        .output()
        .context("running dpkg-deb, of the package dpkg")?;
    if !output.status.success() {
        bail!("dpkg-deb: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PACKAGES;

    #[test]
    fn no_script_starts_anything_or_touches_state() {
        for package in PACKAGES {
            for (name, text) in scripts(package) {
                for word in ["start ", "restart", "enable", "rm -r", "/var/lib", "/etc/kubernetes", "userdel"]
                {
                    assert!(!text.contains(word), "{} {name}: {word}\n{text}", package.name);
                }
            }
        }
    }

    #[test]
    fn packages_of_one_release_go_together() {
        let options = Options {
            sources: "/".into(),
            binaries: "/".into(),
            out: "/".into(),
            build: 7,
            time: 0,
            small: false,
        };
        let text = control(&options, &PACKAGES[2], 1);
        assert!(text.contains("Version: 1.36.0-7\n"), "{text}");
        assert!(text.contains("Depends: magnetite-node (= 1.36.0-7), etcd-client | etcd,"), "{text}");
        assert!(changelog(&options).unwrap().contains("  Thu, 01 Jan 1970 00:00:00 +0000\n"));
    }
}
