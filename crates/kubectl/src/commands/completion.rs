//! `kubectl completion`.

use crate::commands::ROOT;
use cli_runtime::cli::{Command, Invocation, complete};
use cli_runtime::error::{Error, Result};

/// Prints completion scripts.
pub static COMMAND: Command = Command {
    name: "completion",
    short: "Output shell completion code for the specified shell (bash, zsh, fish, or powershell)",
    long: "Output shell completion code for the specified shell (bash, zsh, or fish).\n\nThe shell must read the code to complete kubectl's commands, flags, types and names.",
    examples: "
# In this bash
source <(kubectl completion bash)

# In every zsh
kubectl completion zsh > \"${fpath[1]}/_kubectl\"

# In this fish
kubectl completion fish | source",
    usage: "completion SHELL",
    run: Some(|invocation| Box::pin(async move { run(&invocation) })),
    ..Command::NONE
};

fn run(invocation: &Invocation) -> Result<()> {
    let text = match invocation.args.as_slice() {
        [] => return Err(invocation.usage("Shell not specified.")),
        [shell] => match shell.as_str() {
            "bash" => complete::bash(&ROOT),
            "zsh" => complete::zsh(&ROOT),
            "fish" => complete::fish(&ROOT),
            other => return Err(invocation.usage(format!("Unsupported shell type \"{other}\"."))),
        },
        _ => {
            return Err(Error::usage(
                &invocation.command_path(),
                "Too many arguments. Expected only the shell type.",
            ));
        }
    };
    out!("{text}");
    Ok(())
}
