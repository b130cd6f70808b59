//! Packages and archive on a Debian of their own: install, upgrade, remove, purge; lintian; the units.

#![allow(clippy::unwrap_used)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use dist::{Options, build};

/// Where the workspace's programs are.
fn binaries() -> PathBuf {
    // The test's own program lies in `deps` beside them.
    std::env::current_exe().unwrap().ancestors().nth(2).unwrap().to_owned()
}

fn options(binaries: &Path, out: &Path, build: u32) -> Options {
    Options {
        sources: Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_owned(),
        binaries: binaries.to_owned(),
        out: out.to_owned(),
        build,
        time: 1_700_000_000,
        small: false,
    }
}

/// A directory with one small program under the name of each: what packages do with programs needs no real ones.
fn stand_ins(directory: &Path) {
    fs::create_dir_all(directory).unwrap();
    for name in dist::programs() {
        let to = directory.join(name);
        if !to.exists() {
            fs::hard_link(binaries().join("pause"), to).unwrap();
        }
    }
}

fn said(output: &Output) -> String {
    let parts = [&output.stdout, &output.stderr];
    parts.map(|part| String::from_utf8_lossy(part).into_owned()).concat()
}

/// Runs a script as root of a Debian machine's root, in namespaces of its own; nothing it changes is kept.
fn on_debian(work: &Path, releases: &[(&str, &Path)], script: &str) -> String {
    let root = machines::base::root(&machines::home(&binaries())).unwrap();
    for directory in ["upper", "work", "root"] {
        fs::create_dir_all(work.join(directory)).unwrap();
    }
    let mut prepare = format!(
        "set -eu\nmount -t overlay overlay -o lowerdir={},upperdir={w}/upper,workdir={w}/work {w}/root\ncd {w}/root\nmount -t proc proc proc\nmount -t sysfs sys sys\nmount -t tmpfs tmpfs run\nmount -t tmpfs tmpfs tmp\nmount --rbind /dev dev\n",
        root.display(),
        w = work.display(),
    );
    for (name, release) in releases {
        prepare.push_str(&format!("mkdir tmp/{name}\nmount --bind -o ro {} tmp/{name}\n", release.display()));
    }
    fs::write(work.join("script"), script).unwrap();
    prepare.push_str(&format!("cp {}/script tmp/script\nexec chroot . sh -eu /tmp/script\n", work.display()));
    let output = machines::base::contained(&["--uts", "--ipc", "--net"])
        .args(["sh", "-c", &prepare])
        .env_clear()
        .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        .env("DEBIAN_FRONTEND", "noninteractive")
        .output()
        .unwrap();
    let seen = said(&output);
    assert!(output.status.success(), "{}\n{seen}", output.status);
    seen
}

const LINTIAN: &str = "/usr/bin/lintian";

/// Errors of lintian, which looks at the files of packages.
fn lintian(release: &Path) -> Vec<String> {
    let mut command = Command::new(LINTIAN);
    command.args(["--fail-on", "none"]);
    for entry in fs::read_dir(release).unwrap().flatten() {
        if entry.path().extension().is_some_and(|extension| extension == "deb") {
            command.arg(entry.path());
        }
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    said(&output).lines().filter(|line| line.starts_with("E:")).map(str::to_owned).collect()
}

#[test]
fn packages_install_upgrade_and_go_and_leave_state_alone() {
    let work = tempfile::tempdir_in(binaries()).unwrap();
    let work = work.path();
    let (first, again, second) = (work.join("first"), work.join("again"), work.join("second"));
    let small = work.join("programs");
    stand_ins(&small);
    build(&options(&small, &first, 1)).unwrap();
    build(&options(&small, &again, 1)).unwrap();
    let sums = |release: &Path| fs::read_to_string(release.join("SHA256SUMS")).unwrap();
    assert_eq!(sums(&first), sums(&again), "the same input gives the same bytes");
    build(&options(&binaries(), &second, 2)).unwrap();
    let releases = [("first", first.as_path()), ("second", second.as_path())];
    std::thread::scope(|scope| {
        let lintian = scope.spawn(|| lintian(&second));
        let packages = scope.spawn(|| on_debian(&work.join("a"), &releases, include_str!("packages.sh")));
        let archive = scope.spawn(|| on_debian(&work.join("b"), &releases, include_str!("archive.sh")));
        for (what, done) in [("packages", packages), ("archive", archive)] {
            let seen = done.join().unwrap();
            assert!(seen.contains("all is well\n"), "{what}: {seen}");
        }
        assert_eq!(lintian.join().unwrap(), Vec::<String>::new());
    });
}
