//! `kubectl auth can-i|whoami`.

use serde_json::{Value, json};

use cli_runtime::cli::{Command, Flag, Invocation, flag};
use cli_runtime::error::{Error, Result};
use cli_runtime::print::Printer;
use cli_runtime::resource::Session;
use formats::tabwriter;

/// Asks about permissions.
pub static COMMAND: Command = Command {
    name: "auth",
    short: "Inspect authorization",
    usage: "auth [flags]",
    subcommands: &[&CAN_I, &WHOAMI],
    ..Command::NONE
};

static CAN_I: Command = Command {
    name: "can-i",
    short: "Check whether an action is allowed",
    long: "Check whether an action is allowed.\n\nThe verb is one of the API's (get, list, watch, create, delete, …); the type is a resource, or a path of the server that begins with '/'.",
    examples: "
# May I create pods in any namespace?
kubectl auth can-i create pods --all-namespaces

# What may I do in this one?
kubectl auth can-i --list

# May a service account?
kubectl auth can-i get pods --as=system:serviceaccount:default:robot",
    usage: "can-i VERB [TYPE | TYPE/NAME | NONRESOURCEURL]",
    flags: &[
        flag::ALL_NAMESPACES,
        &[
            Flag::switch("list", "List all that is allowed."),
            Flag::switch("no-headers", "Leave out the headers."),
            Flag::switch("quiet", "Say it by the exit code only.").short('q'),
            Flag::text("subresource", "", "Subresource, such as log or scale."),
        ],
    ],
    run: Some(|invocation| Box::pin(can_i(invocation))),
    ..Command::NONE
};

static WHOAMI: Command = Command {
    name: "whoami",
    short: "Experimental: Check self subject attributes",
    examples: "
# Who the server takes me for
kubectl auth whoami",
    usage: "whoami",
    flags: &[flag::PRINT],
    run: Some(|invocation| Box::pin(whoami(invocation))),
    ..Command::NONE
};

const REVIEWS: &str = "/apis/authorization.k8s.io/v1";

async fn can_i(invocation: Invocation) -> Result<()> {
    let session = Session::open(&invocation).await?;
    if invocation.is("list") {
        return list(&session, &invocation).await;
    }
    let (verb, word) = match invocation.args.as_slice() {
        [verb, word] => (verb, word),
        [verb, word, _name] if !word.contains('/') => (verb, word),
        _ => {
            return Err(Error::message(
                "you must specify two arguments: verb resource or verb resource/resourceName.\nSee 'kubectl auth can-i -h' for help and examples.",
            ));
        }
    };
    let mut spec = json!({});
    if word.starts_with('/') {
        spec["nonResourceAttributes"] = json!({"path": word, "verb": verb});
    } else {
        let (kind, name) =
            word.split_once('/').unwrap_or((word, invocation.args.get(2).map_or("", String::as_str)));
        let (group, plural, namespaced) = match session.mapper.resource(kind).await {
            Ok(resource) => (resource.group.clone(), resource.plural.clone(), resource.namespaced),
            Err(_) if kind == "*" => ("*".into(), "*".into(), true),
            Err(_) => {
                errln!("Warning: the server doesn't have a resource type '{kind}'\n");
                (String::new(), kind.to_string(), true)
            }
        };
        if !namespaced && !invocation.is("all-namespaces") {
            errln!(
                "Warning: resource '{plural}' is not namespace scoped{}\n",
                if group.is_empty() { String::new() } else { format!(" in group '{group}'") }
            );
        }
        let namespace = if invocation.is("all-namespaces") { "" } else { &session.namespace };
        spec["resourceAttributes"] =
            json!({"verb": verb, "group": group, "resource": plural, "namespace": namespace});
        for (field, value) in [("name", name), ("subresource", invocation.text("subresource"))] {
            if !value.is_empty() {
                spec["resourceAttributes"][field] = value.into();
            }
        }
    }
    let review =
        json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": spec});
    let reply = session.client.post(&format!("{REVIEWS}/selfsubjectaccessreviews"), &review).await?;
    let allowed = reply["status"]["allowed"] == true;
    if !invocation.is("quiet") {
        let mut answer = if allowed { "yes" } else { "no" }.to_string();
        for (field, title) in [("reason", ""), ("evaluationError", "")] {
            let text = reply["status"][field].as_str().unwrap_or("");
            if !allowed && !text.is_empty() {
                answer.push_str(&format!(" - {title}{text}"));
            }
        }
        outln!("{answer}");
    }
    if allowed { Ok(()) } else { Err(Error::Exit(1, String::new())) }
}

async fn list(session: &Session, invocation: &Invocation) -> Result<()> {
    let namespace = if invocation.is("all-namespaces") { "" } else { &session.namespace };
    let review = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview", "spec": {"namespace": namespace}});
    let reply = session.client.post(&format!("{REVIEWS}/selfsubjectrulesreviews"), &review).await?;
    let status = &reply["status"];
    if status["incomplete"] == true {
        errln!("warning: the list may be incomplete: {}", status["evaluationError"].as_str().unwrap_or(""));
    }
    let mut rules: Vec<Rule> = Vec::new();
    for rule in list_of(status, "resourceRules") {
        for group in texts(rule, "apiGroups") {
            for resource in texts(rule, "resources") {
                Rule::take(&mut rules, group, resource, texts(rule, "resourceNames"), &texts(rule, "verbs"));
            }
        }
    }
    for rule in list_of(status, "nonResourceRules") {
        let verbs = texts(rule, "verbs");
        rules.extend(texts(rule, "nonResourceURLs").into_iter().map(|url| Rule {
            verbs: verbs.clone(),
            url,
            ..Rule::default()
        }));
    }
    rules.sort_by_cached_key(Rule::in_go);
    let rows: String = rules.iter().map(Rule::row).collect();
    let header = if invocation.is("no-headers") {
        ""
    } else {
        "Resources\tNon-Resource URLs\tResource Names\tVerbs\n"
    };
    out!("{}", tabwriter::align(&format!("{header}{rows}"), tabwriter::TABLE));
    Ok(())
}

/// What may be done with one resource or one path.
#[derive(Debug, Default)]
struct Rule<'a> {
    verbs: Vec<&'a str>,
    group: &'a str,
    resource: &'a str,
    names: Vec<&'a str>,
    url: &'a str,
}

impl<'a> Rule<'a> {
    /// Takes up verbs for a resource, beside those that earlier rules gave for the same.
    fn take(
        rules: &mut Vec<Self>,
        group: &'a str,
        resource: &'a str,
        names: Vec<&'a str>,
        verbs: &[&'a str],
    ) {
        let same = |rule: &&mut Self| rule.group == group && rule.resource == resource && rule.names == names;
        match rules.iter_mut().find(same) {
            Some(rule) => {
                for verb in verbs {
                    if !rule.verbs.contains(verb) {
                        rule.verbs.push(verb);
                    }
                }
            }
            None => rules.push(Self { verbs: verbs.to_vec(), group, resource, names, url: "" }),
        }
    }

    /// What upstream sorts by: the rule as Go prints it.
    fn in_go(&self) -> String {
        let Self { group, resource, url, .. } = self;
        let [verbs, names] = [&self.verbs, &self.names].map(|list| list.join(" "));
        format!(
            "Verbs:[{verbs}],APIGroups:[{group}],Resources:[{resource}],ResourceNames:[{names}],NonResourceURLs:[{url}]"
        )
    }

    fn row(&self) -> String {
        let (base, sub) = self.resource.split_at(self.resource.find('/').unwrap_or(self.resource.len()));
        let dot = if self.group.is_empty() { "" } else { "." };
        let [names, verbs] = [&self.names, &self.verbs].map(|list| list.join(" "));
        format!("{base}{dot}{}{sub}\t[{}]\t[{names}]\t[{verbs}]\n", self.group, self.url)
    }
}

fn list_of<'a>(object: &'a Value, field: &str) -> impl Iterator<Item = &'a Value> {
    object[field].as_array().into_iter().flatten()
}

fn texts<'a>(rule: &'a Value, field: &str) -> Vec<&'a str> {
    list_of(rule, field).filter_map(Value::as_str).collect()
}

async fn whoami(invocation: Invocation) -> Result<()> {
    invocation.no_args()?;
    let session = Session::open(&invocation).await?;
    let review = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
    let reply = session.client.post("/apis/authentication.k8s.io/v1/selfsubjectreviews", &review).await?;
    if let Some(mut printer) = Printer::from_flags(&invocation)? {
        return printer.print(&reply);
    }
    let user = &reply["status"]["userInfo"];
    let mut text = "ATTRIBUTE\tVALUE\n".to_string();
    for (title, field) in [("Username", "username"), ("UID", "uid")] {
        if let Some(value) = user[field].as_str().filter(|value| !value.is_empty()) {
            text.push_str(&format!("{title}\t{value}\n"));
        }
    }
    let bracket = |list: &Value| {
        let words: Vec<&str> = list.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        format!("[{}]", words.join(" "))
    };
    if user["groups"].is_array() {
        text.push_str(&format!("Groups\t{}\n", bracket(&user["groups"])));
    }
    for (key, values) in user["extra"].as_object().into_iter().flatten() {
        text.push_str(&format!("Extra: {key}\t{}\n", bracket(values)));
    }
    out!("{}", tabwriter::align(&text, tabwriter::TABLE));
    Ok(())
}
