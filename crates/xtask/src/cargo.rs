//! Cargo and the programs it builds.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, bail};

/// How things are built: one profile for the lab and the tests, another for what is measured and shipped.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// Dependencies optimised, own code quick to rebuild.
    Dev,
    /// Everything optimised.
    Release,
}

/// The workspace's directory.
pub fn root() -> &'static Path {
    // crates/xtask lies two levels below it.
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap_or(Path::new("."))
}

/// Runs cargo in the workspace.
pub fn run(arguments: &[&str]) -> anyhow::Result<()> {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // What Cargo says of this package to the program it runs: build scripts look at the same variables, and all that
    // hangs on them would be built anew whenever Cargo is called by hand and from here in turns.
    for (name, _) in env::vars_os() {
        let name = name.to_string_lossy();
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&*name);
        }
    }
    succeed(command.args(arguments).current_dir(root()))
}

fn succeed(command: &mut Command) -> anyhow::Result<()> {
    let words: Vec<_> = command.get_args().map(|word| word.to_string_lossy()).collect();
    let line = format!("{} {}", command.get_program().to_string_lossy(), words.join(" "));
    let status = command.status().with_context(|| format!("running {line}"))?;
    if !status.success() {
        bail!("{line}: {status}");
    }
    Ok(())
}

/// Builds the programs of a release, and those named besides: all of developers' would take long for nothing. Those
/// whose order of functions is known are linked in it.
pub fn build_release(besides: &[&str]) -> anyhow::Result<()> {
    let tools = binaries(Profile::Dev)?;
    build_one("dist")?;
    build_one("link-order")?;
    let output = Command::new(tools.join("dist")).arg("--programs").output()?;
    let programs = String::from_utf8(output.stdout)?;
    let target =
        tools.parent().and_then(Path::file_name).context("programs lie below their target's name")?;
    let target = format!("target.{}", target.to_string_lossy());
    let linker = format!("{target}.linker={:?}", tools.join("link-order").to_string_lossy());
    // Names that are the same from compiler to compiler but for the hashes of crates.
    let mangling = format!("{target}.rustflags=[\"-Csymbol-mangling-version=v0\"]");
    let mut arguments = vec!["build", "--workspace", "--release", "--config", &linker, "--config", &mangling];
    arguments.extend(programs.lines().chain(besides.iter().copied()).flat_map(|program| ["--bin", program]));
    run(&arguments)
}

/// Builds every binary of the development profile.
pub fn build() -> anyhow::Result<()> {
    run(&["build", "--workspace", "--bins"])
}

/// Builds one program, with the workspace's features: those of its package alone would build dependencies again.
pub fn build_one(program: &str) -> anyhow::Result<()> {
    run(&["build", "--quiet", "--workspace", "--bin", program])
}

/// Refuses code that rustfmt would change.
pub fn formatted() -> anyhow::Result<()> {
    run(&["fmt", "--all", "--check"]).context("run: cargo fmt --all")
}

/// Refuses warnings of the compiler and of clippy.
pub fn lint() -> anyhow::Result<()> {
    run(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])
}

/// Refuses dependencies of other licences or sources and second versions, where cargo-deny is installed.
pub fn deny() -> anyhow::Result<()> {
    if !is_installed("cargo-deny") {
        eprintln!("cargo-deny is not installed: licences and sources of dependencies are not checked");
        return Ok(());
    }
    run(&["deny", "check", "bans", "licenses", "sources"])
}

fn is_installed(program: &str) -> bool {
    let asked = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    asked.is_ok_and(|status| status.success())
}

/// Runs the tests: by nextest where it is installed, else by cargo itself.
pub fn test(arguments: &[String]) -> anyhow::Result<()> {
    let mut words: Vec<&str> = if is_installed("cargo-nextest") {
        vec!["nextest", "run", "--workspace"]
    } else {
        vec!["test", "--workspace"]
    };
    words.extend(arguments.iter().map(String::as_str));
    run(&words)
}

/// Directory of a profile's binaries.
fn binaries(profile: Profile) -> anyhow::Result<PathBuf> {
    // This program lies where every other is built, or beside it for the other profile.
    let own = env::current_exe()?;
    let dev = own.parent().context("a program has a directory")?;
    Ok(match profile {
        Profile::Dev => dev.to_owned(),
        Profile::Release => dev.with_file_name("release"),
    })
}

/// Runs the bench of a release; programs of a directory come before the machine's own.
pub fn bench(before: Option<&Path>, arguments: &[String]) -> anyhow::Result<()> {
    let mut command = Command::new(binaries(Profile::Release)?.join("bench"));
    if let Some(before) = before {
        let path = env::var_os("PATH").unwrap_or_default();
        let all = std::iter::once(before.to_owned()).chain(env::split_paths(&path));
        command.env("PATH", env::join_paths(all)?);
    }
    succeed(command.args(arguments))
}

/// Records the order in which a release's API server uses its functions.
pub fn record_order() -> anyhow::Result<()> {
    let output = Command::new(binaries(Profile::Release)?.join("bench"))
        .args(["order", "--objects=500"])
        .stderr(Stdio::inherit())
        .output()
        .context("running bench")?;
    if !output.status.success() {
        bail!("bench order: {}", output.status);
    }
    let file = root().join("crates/link-order/orders/kube-apiserver.txt");
    std::fs::write(&file, output.stdout).with_context(|| format!("writing {}", file.display()))
}

/// Runs a built program for one of its tasks.
pub fn program(profile: Profile, name: &str, verb: &str, arguments: &[String]) -> anyhow::Result<()> {
    succeed(Command::new(binaries(profile)?.join(name)).arg(verb).args(arguments))
}

/// Runs a built program that has one task.
pub fn program_alone(profile: Profile, name: &str, arguments: &[String]) -> anyhow::Result<()> {
    succeed(Command::new(binaries(profile)?.join(name)).args(arguments))
}
