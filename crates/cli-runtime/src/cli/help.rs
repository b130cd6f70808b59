//! Help texts, in upstream's layout, made from the table of commands.

use super::Command;
use super::flag::{Flag, Kind};
use super::globals::GLOBALS;

/// The help of the last command of a path.
pub fn text(path: &[&'static Command]) -> String {
    let command = path[path.len() - 1];
    let root = path.len() == 1;
    let dotted = path.iter().map(|command| command.name).collect::<Vec<_>>().join(" ");
    let mut text = String::new();
    let long = if command.long.is_empty() { command.short } else { command.long };
    for (index, paragraph) in long.split("\n\n").enumerate() {
        let lead = if index == 0 { "" } else { " " };
        let ending = if index == 0 && command.long.is_empty() && !long.ends_with('.') { "." } else { "" };
        text.push_str(&format!("{lead}{}{ending}\n\n", paragraph.replace('\n', " ")));
    }
    if !command.aliases.is_empty() {
        text.push_str(&format!("Aliases:\n{}, {}\n\n", command.name, command.aliases.join(", ")));
    }
    if !command.examples.is_empty() {
        text.push_str("Examples:\n");
        for line in command.examples.trim().lines() {
            text.push_str(&format!("  {}\n", line.trim()));
        }
        text.push('\n');
    }
    if root {
        for (title, names) in command.groups {
            text.push_str(&format!("{title}:\n"));
            for name in *names {
                if let Some(found) = command.subcommand(name) {
                    text.push_str(&format!("  {:<15} {}\n", found.name, found.short));
                }
            }
            text.push('\n');
        }
    } else if !command.subcommands.is_empty() {
        let width =
            command.subcommands.iter().map(|command| command.name.len()).max().unwrap_or(0).max(11) + 2;
        text.push_str("Available Commands:\n");
        for found in command.subcommands {
            text.push_str(&format!("  {:<width$} {}\n", found.name, found.short));
        }
        text.push('\n');
    }
    let flags = command.sorted_flags();
    if !flags.is_empty() {
        text.push_str("Options:\n");
        text.push_str(&list(&flags));
    }
    let parents = path[..path.len() - 1].iter().map(|command| command.name).collect::<Vec<_>>().join(" ");
    let usage = if root { "kubectl [flags]".to_string() } else { format!("{parents} {}", command.usage) };
    let suffix = if command.usage.contains("[options]") { "" } else { " [options]" };
    text.push_str(&format!("Usage:\n  {usage}{suffix}\n\n"));
    if !command.subcommands.is_empty() {
        text.push_str(&format!(
            "Use \"{dotted} <command> --help\" for more information about a given command.\n"
        ));
    }
    text.push_str(
        "Use \"kubectl options\" for a list of global command-line options (applies to all commands).\n",
    );
    text
}

/// What `kubectl options` prints.
pub fn options() -> String {
    let flags: Vec<&Flag> = GLOBALS.iter().collect();
    format!("The following options can be passed to any command:\n\n{}", list(&flags))
}

fn list(flags: &[&Flag]) -> String {
    let mut text = String::new();
    for flag in flags {
        let short = flag.short.map(|short| format!("-{short}, ")).unwrap_or_default();
        let default = match flag.kind {
            Kind::Text if flag.name == "vmodule" => String::new(),
            Kind::Text => format!("'{}'", flag.default),
            Kind::List | Kind::Array => format!("[{}]", flag.default),
            _ => flag.default.to_string(),
        };
        text.push_str(&format!("    {short}--{}={default}:\n\t{}\n\n", flag.name, flag.help));
    }
    text
}
