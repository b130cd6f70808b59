//! Pages of the documents, typed on the machine of the control plane as its reader does.

use std::{
    path::Path,
    process::Output,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use cluster_tests::{
    docs::{Step, Typed, agrees, document},
    page::{is_error, only_looks, workspace},
};

use crate::vagrant::Vagrant;

/// Emulated processors are five times slower than what they are emulated on.
const PATIENCE: Duration = Duration::from_secs(300);

/// Types every line of a page and holds it to what it shows.
pub fn walk(vagrant: &Vagrant, page: &str) -> anyhow::Result<()> {
    for step in document(&workspace(), Path::new(page))?.steps {
        match step {
            Step::Save { name, text } => {
                let saved =
                    vagrant.types("m-k8s", &format!("cat > {name} <<'END'\n{}\nEND", text.trim_end()))?;
                if !saved.status.success() {
                    bail!("saving {name}: {}", String::from_utf8_lossy(&saved.stderr));
                }
            }
            Step::Type(typed) => {
                follow(vagrant, &typed).with_context(|| format!("{page}:{}", typed.line))?;
            }
            Step::TypeOn { typed, .. } => bail!("{page}:{}: the page is for the control plane", typed.line),
        }
    }
    Ok(())
}

fn follow(vagrant: &Vagrant, typed: &Typed) -> anyhow::Result<()> {
    let refused = typed.shown.iter().any(|line| is_error(line));
    let begun = Instant::now();
    loop {
        let terminal = typed.command.contains(" -it ");
        let output = vagrant.shell("m-k8s", terminal, &format!("{{ {}\n}} 2>&1", typed.command)).output()?;
        let seen = shown(&output);
        let agreed = typed.shown.is_empty() || agrees(&typed.shown, &seen);
        if agreed && output.status.success() != refused {
            println!("   $ {} ({:.1?})", typed.command, begun.elapsed());
            return Ok(());
        }
        if !only_looks(&typed.command) || begun.elapsed() > PATIENCE {
            bail!("$ {}\n{seen}", typed.command);
        }
        // What only looks is asked again: nothing tells when a cluster on other machines shows what a page does.
        std::thread::sleep(Duration::from_millis(300));
    }
}

/// What was printed, as a terminal without carriage returns would show it.
fn shown(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).replace('\r', "")
}
