//! Manual pages, made from the table of commands as help is.

use super::Command;
use super::flag::Flag;
use super::globals::GLOBALS;

/// The page of each command of the tree: its name, such as `kubectl-create-job`, and its text.
pub fn pages(root: &'static Command) -> Vec<(String, String)> {
    let mut pages = Vec::new();
    below(root, &[], &mut pages);
    pages
}

fn below(command: &'static Command, parents: &[&'static Command], pages: &mut Vec<(String, String)>) {
    let path: Vec<&'static Command> = parents.iter().copied().chain([command]).collect();
    pages.push((name(&path), page(&path)));
    for found in command.subcommands {
        below(found, &path, pages);
    }
}

fn name(path: &[&'static Command]) -> String {
    path.iter().map(|command| command.name).collect::<Vec<_>>().join("-")
}

/// Text as roff reads it: no control line begins by chance, no dash becomes a hyphen.
fn plain(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    let guarded = |line: &str| match line.chars().next() {
        Some('.' | '\'') => format!("\\&{line}"),
        _ => line.to_owned(),
    };
    text.lines().map(guarded).collect::<Vec<_>>().join("\n")
}

fn page(path: &[&'static Command]) -> String {
    let command = path[path.len() - 1];
    let root = path.len() == 1;
    let words = path.iter().map(|command| command.name).collect::<Vec<_>>().join(" ");
    let mut text = format!(".TH \"{}\" 1 \"\" Magnetite\n", name(path).to_uppercase());
    text.push_str(&format!(".SH NAME\n{} \\- {}\n", plain(&name(path)), plain(command.short)));
    let usage = if root {
        words
    } else {
        let parents = words.rsplit_once(' ').map_or("", |(parents, _)| parents);
        format!("{parents} {}", command.usage)
    };
    text.push_str(&format!(".SH SYNOPSIS\n{}\n.SH DESCRIPTION\n", plain(&usage)));
    let long = if command.long.is_empty() { command.short } else { command.long };
    text.push_str(&long.split("\n\n").map(plain).collect::<Vec<_>>().join("\n.PP\n"));
    text.push('\n');
    let flags = command.sorted_flags();
    section(&mut text, "OPTIONS", &flags);
    if root {
        section(&mut text, "OPTIONS OF EVERY COMMAND", &GLOBALS.iter().collect::<Vec<_>>());
    }
    if !command.examples.is_empty() {
        text.push_str(&format!(".SH EXAMPLES\n.nf\n{}\n.fi\n", plain(command.examples.trim())));
    }
    let parent = path[..path.len() - 1].iter().map(|command| command.name).collect::<Vec<_>>().join("-");
    let own = name(path);
    let children = command.subcommands.iter().map(|found| format!("{own}-{}", found.name));
    let others: Vec<String> =
        Some(parent).filter(|parent| !parent.is_empty()).into_iter().chain(children).collect();
    if !others.is_empty() {
        let others: Vec<String> = others.iter().map(|name| format!(".BR {} (1)", plain(name))).collect();
        text.push_str(&format!(".SH SEE ALSO\n{}\n", others.join(" ,\n")));
    }
    text
}

fn section(text: &mut String, title: &str, flags: &[&Flag]) {
    if flags.is_empty() {
        return;
    }
    text.push_str(&format!(".SH {title}\n"));
    for flag in flags {
        let short = flag.short.map(|short| format!("-{short}, ")).unwrap_or_default();
        text.push_str(&format!(".TP\n{}\n{}\n", plain(&format!("{short}--{}", flag.name)), plain(flag.help)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static ROOT: Command =
        Command { name: "kubectl", short: "controls it", subcommands: &[&GET], ..Command::NONE };
    static GET: Command = Command {
        name: "get",
        short: "Display one",
        usage: "get NAME",
        long: "Shows.\n\n.dots too",
        ..Command::NONE
    };

    #[test]
    fn each_command_has_a_page() {
        let pages = pages(&ROOT);
        let names: Vec<&str> = pages.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["kubectl", "kubectl-get"]);
        assert!(pages[1].1.contains(".SH SYNOPSIS\nkubectl get NAME\n"), "{}", pages[1].1);
        assert!(pages[1].1.contains("Shows.\n.PP\n\\&.dots too\n"), "{}", pages[1].1);
        assert!(pages[0].1.contains(".BR kubectl\\-get (1)"), "{}", pages[0].1);
    }
}
