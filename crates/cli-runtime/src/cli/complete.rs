//! Completion scripts for shells, made from the table of commands.

use super::Command;
use super::globals::GLOBALS;

/// The words that can follow each path of commands: subcommands and flags.
fn tables(root: &'static Command) -> Vec<(String, Vec<String>)> {
    let mut found = Vec::new();
    walk(root, String::new(), &mut found);
    found
}

fn walk(command: &'static Command, path: String, found: &mut Vec<(String, Vec<String>)>) {
    let mut words: Vec<String> = command.subcommands.iter().map(|sub| sub.name.to_string()).collect();
    words.extend(command.sorted_flags().iter().map(|flag| format!("--{}", flag.name)));
    found.push((path.clone(), words));
    for sub in command.subcommands {
        let path = if path.is_empty() { sub.name.to_string() } else { format!("{path} {}", sub.name) };
        walk(sub, path, found);
    }
}

/// The commands whose arguments are types and names.
const RESOURCES: &str =
    "get|describe|delete|edit|label|annotate|patch|scale|expose|wait|autoscale|rollout\\ *";
/// The commands whose arguments are pods.
const PODS: &str = "logs|exec|attach|port-forward|debug";

/// A script for bash.
pub fn bash(root: &'static Command) -> String {
    let mut cases = String::new();
    for (path, words) in tables(root) {
        cases.push_str(&format!("    \"{path}\") words=\"{}\" ;;\n", words.join(" ")));
    }
    let globals: Vec<String> = GLOBALS.iter().map(|flag| format!("--{}", flag.name)).collect();
    format!(
        r#"# bash completion for kubectl

_kubectl_words() {{
  local words=""
  case "$1" in
{cases}  esac
  echo "$words"
}}

_kubectl() {{
  local cur="${{COMP_WORDS[COMP_CWORD]}}" path="" args=0 word next known i
  for ((i = 1; i < COMP_CWORD; i++)); do
    word="${{COMP_WORDS[i]}}"
    [[ "$word" == -* ]] && continue
    next="${{path:+$path }}$word"
    known=$(_kubectl_words "$path")
    if ((args == 0)) && [[ " $known " == *" $word "* ]]; then path="$next"; else ((args++)); fi
  done
  local words
  words=$(_kubectl_words "$path")
  if [[ "$cur" == -* ]]; then
    words="$words {globals}"
  else
    case "$path" in
      {RESOURCES})
        if ((args == 0)); then
          words="$words $(kubectl api-resources --cached -o name 2>/dev/null)"
        else
          words=$(kubectl get "${{COMP_WORDS[COMP_CWORD-args]}}" -o 'jsonpath={{.items[*].metadata.name}}' 2>/dev/null)
        fi ;;
      {PODS}) words=$(kubectl get pods -o 'jsonpath={{.items[*].metadata.name}}' 2>/dev/null) ;;
    esac
  fi
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
}}

# What upstream's script calls it: `complete -o default -F __start_kubectl k` is in many a profile.
__start_kubectl() {{
  _kubectl "$@"
}}

complete -o default -F _kubectl kubectl
"#,
        globals = globals.join(" ")
    )
}

/// A script for zsh, which runs the one for bash.
pub fn zsh(root: &'static Command) -> String {
    format!(
        "#compdef kubectl\n\nautoload -U +X compinit && compinit\nautoload -U +X bashcompinit && bashcompinit\n\n{}",
        bash(root)
    )
}

/// A script for fish.
pub fn fish(root: &'static Command) -> String {
    let mut text = "# fish completion for kubectl\n\ncomplete -c kubectl -f\n".to_string();
    let quoted = |words: &str| words.replace('\'', "\\'");
    for sub in root.subcommands {
        text.push_str(&format!(
            "complete -c kubectl -n __fish_use_subcommand -a {} -d '{}'\n",
            sub.name,
            quoted(sub.short)
        ));
        for inner in sub.subcommands {
            text.push_str(&format!(
                "complete -c kubectl -n '__fish_seen_subcommand_from {}' -a {} -d '{}'\n",
                sub.name,
                inner.name,
                quoted(inner.short)
            ));
        }
        for flag in sub.sorted_flags() {
            text.push_str(&format!(
                "complete -c kubectl -n '__fish_seen_subcommand_from {}' -l {} -d '{}'\n",
                sub.name,
                flag.name,
                quoted(flag.help)
            ));
        }
    }
    text.push_str("complete -c kubectl -n '__fish_seen_subcommand_from get describe delete edit label annotate patch scale expose wait' -a '(kubectl api-resources --cached -o name 2>/dev/null)'\n");
    text
}
