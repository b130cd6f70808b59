//! `kubectl kustomize`.

use std::path::Path;

use cli_runtime::cli::{Command, Flag, Invocation};
use cli_runtime::error::{Error, Result};
use formats::yaml;

/// Builds a kustomization.
pub static COMMAND: Command = Command {
    name: "kustomize",
    short: "Build a kustomization target from a directory or URL",
    long: "Build a set of KRM resources using a 'kustomization.yaml' file.\n\nThe argument is a local directory that holds the file; without one, the current directory.",
    examples: "
# This directory
kubectl kustomize

# Another
kubectl kustomize overlays/production",
    usage: "kustomize DIR [flags]",
    flags: &[&[
        Flag::switch("enable-helm", "Accepted for compatibility."),
        Flag::text(
            "load-restrictor",
            "LoadRestrictionsRootOnly",
            "Which files a kustomization may read: those below its directory, or any with LoadRestrictionsNone.",
        ),
        Flag::text("output", "", "File to write to.").short('o'),
    ]],
    run: Some(|invocation| Box::pin(async move { run(&invocation) })),
    ..Command::NONE
};

fn run(invocation: &Invocation) -> Result<()> {
    let directory = match invocation.args.as_slice() {
        [] => ".",
        [directory] => directory,
        _ => return Err(Error::message("specify one path to kustomization.yaml")),
    };
    let restriction = kustomize::Restriction::named(invocation.text("load-restrictor"))?;
    let text: Vec<String> =
        kustomize::build(Path::new(directory), restriction)?.iter().map(yaml::text).collect();
    let text = text.join("---\n");
    match invocation.text("output") {
        "" => out!("{text}"),
        path => std::fs::write(path, text)?,
    }
    Ok(())
}
