//! Clients that others wrote, installed from their registries below the build's directory.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, bail};

use crate::page::workspace;

/// A language's clients, installed, beside the programs of `tests/clients` that use them.
pub struct Installed {
    /// Where the programs are.
    pub programs: PathBuf,
    /// What runs them.
    pub interpreter: PathBuf,
}

/// The clients in Python: a virtual environment of what `requirements.txt` pins.
pub fn python() -> anyhow::Result<Installed> {
    let programs = workspace().join("tests/clients/python");
    let home = home()?.join("python");
    let interpreter = home.join("bin/python");
    once(&home, &[&programs.join("requirements.txt")], || {
        run("python3-venv", Command::new("/usr/bin/python3").args(["-m", "venv"]).arg(&home))?;
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"];
        run("PyPI", Command::new(&interpreter).args(pip).arg(programs.join("requirements.txt")))
    })?;
    Ok(Installed { programs, interpreter })
}

/// The clients in JavaScript: what `package-lock.json` pins. The programs find them by where they are themselves.
pub fn node() -> anyhow::Result<Installed> {
    let from = workspace().join("tests/clients/node");
    let home = home()?.join("node");
    let pins = ["package.json", "package-lock.json"].map(|name| from.join(name));
    once(&home, &[&pins[0], &pins[1]], || {
        for pin in &pins {
            copy_into(pin, &home)?;
        }
        let quiet = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
        run("npm", Command::new("npm").args(quiet).current_dir(&home))
    })?;
    for program in fs::read_dir(&from)?.flatten() {
        if program.path().extension().is_some_and(|extension| extension == "mjs") {
            copy_into(&program.path(), &home)?;
        }
    }
    Ok(Installed { programs: home, interpreter: "node".into() })
}

/// Directory of what is installed.
fn home() -> anyhow::Result<PathBuf> {
    Ok(crate::binaries()?.join("clients"))
}

/// Installs into an empty directory, once for each state of the files that pin the versions.
fn once(home: &Path, pins: &[&Path], install: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<()> {
    let wanted = pins.iter().map(fs::read_to_string).collect::<Result<String, _>>()?;
    let stamp = home.join(".installed");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    let _ = fs::remove_dir_all(home);
    fs::create_dir_all(home)?;
    install()?;
    fs::write(stamp, wanted).context("noting what is installed")
}

fn copy_into(file: &Path, directory: &Path) -> anyhow::Result<()> {
    let name = file.file_name().context("a file has a name")?;
    fs::copy(file, directory.join(name)).with_context(|| format!("copying {}", file.display()))?;
    Ok(())
}

fn run(source: &str, command: &mut Command) -> anyhow::Result<()> {
    let output = command.output().with_context(|| format!("running {:?}", command.get_program()))?;
    if !output.status.success() {
        let said = [output.stdout, output.stderr].concat();
        bail!(
            "other people's clients cannot be installed: is {source} reachable from here?\n{}",
            String::from_utf8_lossy(&said)
        );
    }
    Ok(())
}
