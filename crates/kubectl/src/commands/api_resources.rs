//! `kubectl api-resources` and `kubectl api-versions`.

use serde_json::json;

use cli_runtime::cli::{Command, Flag, Invocation};
use cli_runtime::error::{Error, Result};
use cli_runtime::resource::Session;
use formats::tabwriter;

/// Lists the server's resources.
pub static RESOURCES: Command = Command {
    name: "api-resources",
    short: "Print the supported API resources on the server",
    examples: "
# All resources
kubectl api-resources

# With verbs and categories
kubectl api-resources -o wide

# Those that live in namespaces
kubectl api-resources --namespaced=true",
    usage: "api-resources [flags]",
    flags: &[FLAGS],
    run: Some(|invocation| Box::pin(resources(invocation))),
    ..Command::NONE
};

/// Lists the server's group versions.
pub static VERSIONS: Command = Command {
    name: "api-versions",
    short: "Print the supported API versions on the server, in the form of \"group/version\"",
    examples: "
# All versions
kubectl api-versions",
    usage: "api-versions",
    run: Some(|invocation| Box::pin(versions(invocation))),
    ..Command::NONE
};

const FLAGS: &[Flag] = &[
    Flag::text("api-group", "", "Resources of this group only."),
    Flag::switch("cached", "Do not ask the server again if it is known already."),
    Flag::list("categories", "Resources of these categories only."),
    Flag::bool(
        "namespaced",
        "true",
        "Resources in namespaces (true) or outside them (false); all if not given.",
    ),
    Flag::switch("no-headers", "Leave out the headers."),
    Flag::text("output", "", "Output format. One of: (json, yaml, name, wide).").short('o'),
    Flag::text("sort-by", "", "Sort by name or kind."),
    Flag::list("verbs", "Resources that take all these verbs only."),
];

async fn resources(invocation: Invocation) -> Result<()> {
    invocation.no_args()?;
    let output = invocation.text("output");
    if !matches!(output, "" | "wide" | "name" | "json" | "yaml") {
        return Err(Error::message(format!("--output {output} is not available")));
    }
    let session = Session::open(&invocation).await?;
    let all = match invocation.is("cached") {
        true => session.mapper.all().await?,
        false => session.mapper.refreshed().await?,
    };
    let mut seen: Vec<(String, String)> = Vec::new();
    let mut found: Vec<_> = all
        .iter()
        .filter(|resource| {
            // Each resource once, in its preferred version.
            let key = (resource.group.clone(), resource.plural.clone());
            let first = !seen.contains(&key);
            seen.push(key);
            first
                && !resource.verbs.is_empty()
                && (!invocation.changed("api-group") || resource.group == invocation.text("api-group"))
                && (!invocation.changed("namespaced") || resource.namespaced == invocation.is("namespaced"))
                && invocation.list("verbs").iter().all(|verb| resource.can(verb))
                && invocation.list("categories").iter().all(|category| resource.categories.contains(category))
        })
        .cloned()
        .collect();
    match invocation.text("sort-by") {
        "name" => found.sort_by(|a, b| a.plural.cmp(&b.plural)),
        "kind" => found.sort_by(|a, b| a.kind.cmp(&b.kind)),
        "" => found.sort_by(|a, b| (&a.group, &a.plural).cmp(&(&b.group, &b.plural))),
        other => return Err(Error::message(format!("--sort-by accepts only name or kind, got {other}"))),
    }
    if matches!(output, "json" | "yaml") {
        let list: Vec<_> = found
            .iter()
            .map(|resource| {
                let mut entry = json!({"name": resource.plural, "singularName": resource.singular, "kind": resource.kind,
                    "namespaced": resource.namespaced, "verbs": resource.verbs, "version": resource.version});
                if !resource.group.is_empty() {
                    entry["group"] = resource.group.clone().into();
                }
                if !resource.short_names.is_empty() {
                    entry["shortNames"] = resource.short_names.clone().into();
                }
                if !resource.categories.is_empty() {
                    entry["categories"] = resource.categories.clone().into();
                }
                entry
            })
            .collect();
        let list =
            json!({"apiVersion": "v1", "kind": "APIResourceList", "groupVersion": "", "resources": list});
        match output {
            "json" => outln!("{}", formats::json::text(&list)),
            _ => out!("{}", formats::yaml::text(&list)),
        }
        return Ok(());
    }
    let mut text = String::new();
    if output != "name" && !invocation.is("no-headers") {
        text.push_str("NAME\tSHORTNAMES\tAPIVERSION\tNAMESPACED\tKIND");
        text.push_str(if output == "wide" { "\tVERBS\tCATEGORIES\n" } else { "\n" });
    }
    for resource in &found {
        if output == "name" {
            text.push_str(&format!("{}\n", resource.qualified()));
            continue;
        }
        text.push_str(&format!(
            "{}\t{}\t{}\t{}\t{}",
            resource.plural,
            resource.short_names.join(","),
            resource.api_version(),
            resource.namespaced,
            resource.kind
        ));
        if output == "wide" {
            text.push_str(&format!("\t{}\t{}", resource.verbs.join(","), resource.categories.join(",")));
        }
        text.push('\n');
    }
    if !text.is_empty() {
        let aligned = if output == "name" { text } else { tabwriter::align(&text, tabwriter::TABLE) };
        out!("{aligned}");
    }
    Ok(())
}

async fn versions(invocation: Invocation) -> Result<()> {
    invocation.no_args()?;
    let session = Session::open(&invocation).await?;
    let mut versions: Vec<String> =
        session.mapper.refreshed().await?.iter().map(|resource| resource.api_version()).collect();
    versions.sort();
    versions.dedup();
    for version in versions {
        outln!("{version}");
    }
    Ok(())
}
