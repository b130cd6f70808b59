use clap::Parser as _;

use super::*;

const HEAD: &str = "apiVersion: apiserver.config.k8s.io/v1\nkind: AuthenticationConfiguration\n";

fn check(fields: &str, expected: Result<Option<Anonymous>, &str>) {
    let found = read(format!("{HEAD}{fields}"), &[]).map_err(|error| format!("{error:#}"));
    match (found, expected) {
        (Ok(found), Ok(expected)) => assert_eq!(found.anonymous, expected, "{fields}"),
        (Err(found), Err(expected)) => assert!(found.contains(expected), "{found}"),
        (found, expected) => panic!("{fields}: {:?}, not {expected:?}", found.map(|read| read.anonymous)),
    }
}

#[test]
fn conditions_name_exact_paths() {
    check("", Ok(None));
    check("jwt: []", Ok(None));
    check("anonymous: {enabled: true}", Ok(Some(Anonymous::Enabled)));
    check("anonymous: {enabled: false}", Ok(Some(Anonymous::Disabled)));
    check("anonymous: {conditions: []}", Ok(Some(Anonymous::Disabled)));
    // No request has this path.
    let odd = Anonymous::Paths(vec!["livez".into()]);
    check("anonymous: {enabled: true, conditions: [{path: livez}]}", Ok(Some(odd)));
    let paths = Anonymous::Paths(vec!["/livez".into(), "/readyz".into()]);
    check(
        "anonymous:\n  enabled: true\n  conditions:\n  - path: /livez\n  - path: /readyz\n",
        Ok(Some(paths)),
    );
}

#[test]
fn what_cannot_be_meant_is_refused() {
    let odd = r#"anonymous.conditions: Invalid value: [{"Path":"/livez"}]: enabled should be set to true when conditions are defined"#;
    check("anonymous: {enabled: false, conditions: [{path: /livez}]}", Err(odd));
    let both = format!(
        "[jwt[0].issuer.url: Required value: URL is required, jwt[0].issuer.audiences: Required value: at least one jwt[0].issuer.audiences is required, jwt[0].claimMappings.username: Required value: claim or expression is required, {odd}]"
    );
    check("jwt: [{}]\nanonymous: {conditions: [{path: /livez}]}", Err(&both));
    check("anonymus: {enabled: true}", Err("unknown field `anonymus`"));
    check("jwt: [{issuer: {url: 'http://issuer.example.org'}}]", Err("URL scheme must be https"));
    check("jwt: [{isuer: {url: 'https://issuer.example.org'}}]", Err("unknown field `isuer`"));
    let read = |text: &str| read(text.to_owned(), &[]);
    let other = read("apiVersion: apiserver.config.k8s.io/v1\nkind: AuthorizationConfiguration\n");
    let other = other.err().unwrap();
    assert!(other.to_string().starts_with("no kind \"AuthorizationConfiguration\""), "{other}");
    assert!(read("apiVersion: apiserver.config.k8s.io/v9\nkind: AuthenticationConfiguration\n").is_err());
    let beta = read("apiVersion: apiserver.config.k8s.io/v1beta1\nkind: AuthenticationConfiguration\n");
    assert_eq!(beta.unwrap().anonymous, None);
}

/// The flags of a server with these besides the ones that it needs.
fn flags(extra: &[&str]) -> Flags {
    let needed = ["kube-apiserver", "--etcd-servers=x", "--tls-cert-file=c", "--tls-private-key-file=k"];
    Flags::parse_from(needed.iter().chain(extra))
}

fn refusal(extra: &[&str]) -> String {
    match load(&flags(extra), &[]) {
        Ok(_) => String::new(),
        Err(error) => format!("{error:#}"),
    }
}

#[test]
fn the_flag_and_the_file_exclude_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("authentication.yaml");
    let file = format!("--authentication-config={}", path.display());
    std::fs::write(&path, HEAD).unwrap();
    let found = load(&flags(&[&file, "--anonymous-auth=false"]), &[]).unwrap();
    assert_eq!(found.anonymous, Anonymous::Disabled);
    assert!(found.issuers.is_some(), "the file may name issuers later");
    assert_eq!(load(&flags(&[]), &[]).unwrap().anonymous, Anonymous::default());
    std::fs::write(&path, format!("{HEAD}anonymous: {{enabled: true}}\n")).unwrap();
    let refused = refusal(&[&file, "--anonymous-auth=true"]);
    assert!(refused.starts_with("--anonymous-auth flag cannot be set"), "{refused}");
    let refused = refusal(&[&file, "--oidc-issuer-url=https://i", "--oidc-client-id=c"]);
    assert_eq!(refused, "authentication-config file and oidc-* flags are mutually exclusive");
}

#[test]
fn the_oidc_flags_go_together() {
    for extra in [&["--oidc-issuer-url=https://i"][..], &["--oidc-client-id=c"], &["--oidc-groups-claim=g"]] {
        assert_eq!(
            refusal(extra),
            "oidc-issuer-url and oidc-client-id must be specified together when any oidc-* flags are set"
        );
    }
    let refused = refusal(&["--oidc-issuer-url=http://i", "--oidc-client-id=c"]);
    assert!(refused.contains("URL scheme must be https"), "{refused}");
    assert_eq!(refusal(&["--oidc-issuer-url=https://i", "--oidc-client-id=c"]), "");
}
