//! Documents taken apart.

use super::*;

fn typed(line: usize, command: &str, shown: &[&str]) -> Step {
    Step::Type(Typed {
        line,
        command: command.into(),
        shown: shown.iter().map(|line| (*line).to_owned()).collect(),
    })
}

#[test]
fn transcripts_have_commands_and_what_they_print() {
    let text =
        "Type:\n\n```console\n$ kubectl get nodes\nNAME   STATUS\nm-k8s  Ready\n\n$ cat <<E\n> x\n> E\n```\n";
    let (steps, _) = read(text).expect("a good document");
    assert_eq!(
        steps,
        [typed(4, "kubectl get nodes", &["NAME   STATUS", "m-k8s  Ready"]), typed(8, "cat <<E\nx\nE", &[])]
    );
}

#[test]
fn shell_blocks_have_only_commands() {
    let (steps, _) =
        read("```sh\n# first\ncargo xtask up\n\nkubectl get \\\n  pods\n```\n").expect("a good document");
    assert_eq!(steps, [typed(3, "cargo xtask up", &[]), typed(5, "kubectl get \\\n  pods", &[])]);
}

#[test]
fn a_named_block_is_a_file() {
    let (steps, _) =
        read("```yaml\n# pod.yaml\nkind: Pod\n```\n```yaml\nkind: Pod\n```\n").expect("a good document");
    let saved = Step::Save { name: "pod.yaml".into(), text: "# pod.yaml\nkind: Pod\n".into() };
    assert_eq!(steps, [saved]);
}

#[test]
fn what_nobody_would_check_is_refused() {
    for (text, why) in [
        ("```\nkubectl get pods\n```\n", "language \"\""),
        ("```bash\nkubectl get pods\n```\n", "language \"bash\""),
        ("```text\n$ kubectl get pods\n```\n", "fenced as console"),
        ("Type:\n\n    kubectl get pods\n", "by indentation"),
        ("```console\nkubectl get pods\n```\n", "begins with `$ `"),
        ("```sh\nkubectl get pods\n", "without an end"),
    ] {
        let error = read(text).expect_err(text).to_string();
        assert!(error.contains(why), "{text:?}: {error}");
    }
}

#[test]
fn prose_names_code_and_links() {
    let (_, references) =
        read("See `cargo xtask up` and [this](a.md), then `b`.\n").expect("a good document");
    let named: Vec<Named> = references.into_iter().map(|reference| reference.what).collect();
    assert_eq!(
        named,
        [Named::Code("cargo xtask up".into()), Named::Code("b".into()), Named::Link("a.md".into())]
    );
}
