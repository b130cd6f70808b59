//! Turns words into an invocation, with pflag's rules and messages.

use apimachinery::go::parse_bool;
use std::collections::BTreeMap;

use super::flag::{Flag, Kind};
use super::globals::GLOBALS;
use super::invocation::Invocation;
use super::{Command, suggestions};
use crate::error::{Error, Result};

/// What a command line asks for.
pub enum Parsed {
    /// Show the help of the last command of this path.
    Help(Vec<&'static Command>),
    /// Show the help of a group that was typed without a subcommand: that is an error.
    Incomplete(Vec<&'static Command>),
    /// Run a command.
    Run(Box<Invocation>),
}

/// Reads a command line against the tree of commands.
pub fn parse(root: &'static Command, words: &[String]) -> Result<Parsed> {
    let mut path = vec![root];
    let mut rest: Vec<String> = Vec::new();
    let mut index = 0;
    // Find the command: flags may stand before it, with their values.
    while index < words.len() {
        let word = &words[index];
        let command = path[path.len() - 1];
        if word == "--" || command.subcommands.is_empty() {
            break;
        }
        if word.starts_with('-') && word.len() > 1 {
            rest.push(word.clone());
            if takes_next(command, word)
                && let Some(value) = words.get(index + 1)
            {
                rest.push(value.clone());
                index += 1;
            }
        } else if command.name == "kubectl" && word == "help" {
            for name in &words[index + 1..] {
                if let Some(found) = path[path.len() - 1].subcommand(name) {
                    path.push(found);
                }
            }
            return Ok(Parsed::Help(path));
        } else if let Some(found) = command.subcommand(word) {
            path.push(found);
        } else if command.name == "kubectl" {
            return Err(unknown_command(root, word));
        } else {
            break;
        }
        index += 1;
    }
    rest.extend_from_slice(&words[index..]);
    let command = path[path.len() - 1];
    let dotted = path.iter().map(|command| command.name).collect::<Vec<_>>().join(" ");
    let mut flags: BTreeMap<&'static str, Vec<String>> = BTreeMap::new();
    let mut args = Vec::new();
    let mut dash_at = None;
    let mut words = rest.into_iter();
    while let Some(word) = words.next() {
        if word == "--" {
            dash_at = Some(args.len());
            args.extend(words.by_ref());
        } else if let Some(long) = word.strip_prefix("--") {
            let (name, value) = match long.split_once('=') {
                Some((name, value)) => (name, Some(value.to_string())),
                None => (long, None),
            };
            let Some(flag) = lookup(command, |flag| flag.name == name) else {
                if name == "help" {
                    return Ok(Parsed::Help(path));
                }
                return Err(flag_error(&dotted, format!("unknown flag: --{name}")));
            };
            let value = match (value, flag.bare) {
                (Some(value), _) => value,
                (None, Some(bare)) => bare.to_string(),
                (None, None) => words
                    .next()
                    .ok_or_else(|| flag_error(&dotted, format!("flag needs an argument: --{name}")))?,
            };
            store(&mut flags, flag, value, &dotted)?;
        } else if word.starts_with('-') && word.len() > 1 {
            let letters = word[1..].char_indices();
            for (at, letter) in letters {
                let Some(flag) = lookup(command, |flag| flag.short == Some(letter)) else {
                    if letter == 'h' {
                        return Ok(Parsed::Help(path));
                    }
                    return Err(flag_error(
                        &dotted,
                        format!("unknown shorthand flag: '{letter}' in -{}", &word[1 + at..]),
                    ));
                };
                let after = &word[1 + at + letter.len_utf8()..];
                if let Some(value) = after.strip_prefix('=') {
                    store(&mut flags, flag, value.to_string(), &dotted)?;
                    break;
                } else if let Some(bare) = flag.bare {
                    store(&mut flags, flag, bare.to_string(), &dotted)?;
                } else if !after.is_empty() {
                    store(&mut flags, flag, after.to_string(), &dotted)?;
                    break;
                } else {
                    let value = words.next().ok_or_else(|| {
                        flag_error(&dotted, format!("flag needs an argument: '{letter}' in {word}"))
                    })?;
                    store(&mut flags, flag, value, &dotted)?;
                }
            }
        } else {
            args.push(word);
        }
    }
    match command.run {
        None if command.name == "kubectl" => Ok(Parsed::Help(path)),
        None if args.is_empty() => Ok(Parsed::Incomplete(path)),
        None => Err(Error::usage(&dotted, format!("unknown command \"{}\"", args.join(" ")))),
        Some(run) => Ok(Parsed::Run(Box::new(Invocation::new(path, run, flags, args, dash_at)))),
    }
}

fn lookup(command: &Command, test: impl Fn(&Flag) -> bool) -> Option<&'static Flag> {
    let own = command.flags.iter().flat_map(|group| group.iter());
    own.chain(GLOBALS).find(|flag| test(flag))
}

fn takes_next(command: &'static Command, word: &str) -> bool {
    if let Some(long) = word.strip_prefix("--") {
        return !long.contains('=')
            && lookup(command, |flag| flag.name == long).is_some_and(|flag| flag.bare.is_none());
    }
    let last = word.chars().next_back();
    !word.contains('=')
        && word.chars().count() == 2
        && lookup(command, |flag| flag.short == last).is_some_and(|flag| flag.bare.is_none())
}

fn store(
    flags: &mut BTreeMap<&'static str, Vec<String>>,
    flag: &'static Flag,
    value: String,
    command: &str,
) -> Result<()> {
    let invalid = |reason: String| {
        let name = match flag.short {
            Some(short) => format!("-{short}, --{}", flag.name),
            None => format!("--{}", flag.name),
        };
        flag_error(command, format!("invalid argument \"{value}\" for \"{name}\" flag: {reason}"))
    };
    let values = flags.entry(flag.name).or_default();
    match flag.kind {
        Kind::Bool => {
            let truth = parse_bool(&value)
                .ok_or_else(|| invalid(format!("strconv.ParseBool: parsing \"{value}\": invalid syntax")))?;
            *values = vec![truth.to_string()];
        }
        Kind::Int => {
            value
                .parse::<i64>()
                .map_err(|_| invalid(format!("strconv.ParseInt: parsing \"{value}\": invalid syntax")))?;
            *values = vec![value];
        }
        Kind::Duration => {
            super::duration(&value).ok_or_else(|| invalid(format!("time: invalid duration \"{value}\"")))?;
            *values = vec![value];
        }
        Kind::Text => *values = vec![value],
        Kind::List => values.extend(value.split(',').map(str::to_string)),
        Kind::Array => values.push(value),
    }
    Ok(())
}

fn flag_error(command: &str, text: String) -> Error {
    Error::Plain(format!("error: {text}\nSee '{command} --help' for usage."))
}

fn unknown_command(root: &Command, word: &str) -> Error {
    let mut text = format!("error: unknown command \"{word}\" for \"{}\"", root.name);
    let near = suggestions(word, root.subcommands.iter().map(|command| command.name));
    if !near.is_empty() {
        text.push_str("\n\nDid you mean this?\n");
        for name in near {
            text.push_str(&format!("\t{name}\n"));
        }
    }
    Error::Plain(text)
}
