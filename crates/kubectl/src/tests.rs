//! Tables for the command line.

use crate::commands::ROOT;
use cli_runtime::cli::{Command, Invocation, Parsed, parse};
use cli_runtime::error::Error;

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_string).collect()
}

fn parsed(text: &str) -> Invocation {
    match parse(&ROOT, &words(text)) {
        Ok(Parsed::Run(invocation)) => *invocation,
        Ok(Parsed::Help(_) | Parsed::Incomplete(_)) => panic!("{text}: help"),
        Err(error) => panic!("{text}: {}", error.text()),
    }
}

fn error(text: &str) -> Error {
    match parse(&ROOT, &words(text)) {
        Err(error) => error,
        Ok(_) => panic!("{text}: no error"),
    }
}

#[test]
fn flags_stand_anywhere() {
    let invocation = parsed("-n team get -owide pods -l app=web --watch=false web -A");
    assert_eq!(invocation.args, ["pods", "web"]);
    assert_eq!(invocation.text("namespace"), "team");
    assert_eq!(invocation.text("output"), "wide");
    assert_eq!(invocation.text("selector"), "app=web");
    assert!(invocation.is("all-namespaces") && !invocation.is("watch"));
}

#[test]
fn words_after_two_dashes_are_not_flags() {
    let invocation = parsed("exec -it web -c a -- ls -l");
    assert_eq!((invocation.args.as_slice(), invocation.dash_at), (&words("web ls -l")[..], Some(1)));
    assert!(invocation.is("stdin") && invocation.is("tty"));
}

#[test]
fn lists_split_at_commas_and_arrays_do_not() {
    assert_eq!(parsed("get po -L a,b -L c").list("label-columns"), ["a", "b", "c"]);
    assert_eq!(parsed("run x --image=y --env=A=1,2 --env=B=3").list("env"), ["A=1,2", "B=3"]);
}

#[test]
fn errors_are_upstreams() {
    expect_test::expect![[r#"
        error: unknown command "gett" for "kubectl"

        Did you mean this?
        	set
        	get
    "#]]
    .assert_eq(&error("gett").text());
    assert_eq!(
        error("get pods --foo").text(),
        "error: unknown flag: --foo\nSee 'kubectl get --help' for usage."
    );
    assert_eq!(
        error("get pods -Z").text(),
        "error: unknown shorthand flag: 'Z' in -Z\nSee 'kubectl get --help' for usage."
    );
    assert_eq!(
        error("get -n").text(),
        "error: flag needs an argument: 'n' in -n\nSee 'kubectl get --help' for usage."
    );
    assert_eq!(
        error("scale deploy x --replicas=a").text(),
        "error: invalid argument \"a\" for \"--replicas\" flag: strconv.ParseInt: parsing \"a\": invalid syntax\nSee 'kubectl scale --help' for usage."
    );
}

#[test]
fn every_flag_has_one_meaning_in_its_command() {
    fn walk(command: &'static Command) {
        let flags = command.sorted_flags();
        for pair in flags.windows(2) {
            assert_ne!(pair[0].name, pair[1].name, "{} has --{} twice", command.name, pair[0].name);
        }
        let mut shorts: Vec<char> = flags.iter().filter_map(|flag| flag.short).collect();
        shorts.sort_unstable();
        assert!(
            shorts.windows(2).all(|pair| pair[0] != pair[1]),
            "{} has a shorthand twice: {shorts:?}",
            command.name
        );
        command.subcommands.iter().copied().for_each(walk);
    }
    walk(&ROOT);
}
