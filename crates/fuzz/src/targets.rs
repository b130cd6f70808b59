//! The decoders, and inputs to begin with.

mod answers;
mod binary;
mod configuration;
mod definitions;
mod discovery;
mod expressions;
mod identity;
mod machines;
mod objects;
mod patches;
mod stored;
mod streams;
mod text;

/// A decoder of what comes from outside.
pub struct Target {
    /// Its name.
    pub name: &'static str,
    /// Inputs to begin with.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Decodes, and does with what was decoded what the project does; tells whether it was understood.
    pub run: fn(&[u8]) -> bool,
}

/// All of them.
pub static TARGETS: &[Target] = &[
    // What clients send.
    Target { name: "json", seeds: objects::texts, run: objects::json },
    Target { name: "yaml", seeds: text::yamls, run: text::yaml },
    Target { name: "validation", seeds: objects::choices, run: objects::validation },
    Target { name: "protobuf", seeds: binary::bodies, run: binary::protobuf },
    Target { name: "protobuf-writing", seeds: objects::texts, run: binary::protobuf_writing },
    Target { name: "json-patch", seeds: patches::json_patches, run: patches::json_patch },
    Target { name: "merge-patch", seeds: patches::merge_patches, run: patches::merge_patch },
    Target { name: "strategic-patch", seeds: patches::strategic_patches, run: patches::strategic_patch },
    Target { name: "managed-fields", seeds: patches::managed, run: patches::managed_fields },
    Target { name: "label-selector", seeds: text::selectors, run: text::label_selector },
    Target { name: "field-selector", seeds: text::selectors, run: text::field_selector },
    Target { name: "quantity", seeds: text::quantities, run: text::quantity },
    Target { name: "duration", seeds: text::durations, run: text::duration },
    Target { name: "continue-token", seeds: text::tokens, run: text::continue_token },
    Target { name: "request-line", seeds: text::request_lines, run: text::request_line },
    Target { name: "headers", seeds: text::headers, run: text::identity_headers },
    Target { name: "remote-user", seeds: identity::remote_headers, run: identity::remote_user },
    Target {
        name: "client-certificate",
        seeds: identity::client_certificates,
        run: identity::client_certificate,
    },
    Target { name: "account-claims", seeds: identity::account_claims, run: identity::service_account_claims },
    Target { name: "issuer-claims", seeds: identity::issuer_claims, run: identity::other_issuer_claims },
    Target { name: "jwt", seeds: binary::jwts, run: binary::jwt },
    Target { name: "der", seeds: binary::certificates, run: binary::der },
    Target { name: "pem", seeds: binary::pems, run: binary::pem },
    Target { name: "image-name", seeds: text::image_names, run: text::image_name },
    // What is evaluated.
    Target { name: "cel", seeds: expressions::expressions, run: expressions::cel },
    Target { name: "cel-types", seeds: expressions::expressions, run: expressions::typed },
    Target { name: "policy", seeds: expressions::policies, run: expressions::policy },
    Target { name: "jsonpath", seeds: expressions::paths, run: expressions::jsonpath },
    Target { name: "columns", seeds: expressions::columns, run: expressions::column },
    Target { name: "go-template", seeds: expressions::templates, run: expressions::template },
    Target { name: "schedule", seeds: expressions::schedules, run: expressions::schedule },
    Target { name: "definition", seeds: definitions::definitions, run: definitions::definition },
    Target { name: "custom-object", seeds: definitions::objects, run: definitions::object },
    // What others answer.
    Target { name: "webhook-answer", seeds: answers::reviews, run: answers::review },
    Target { name: "conversion-answer", seeds: answers::conversions, run: answers::conversion },
    Target { name: "key-set", seeds: answers::key_sets, run: answers::key_set },
    Target { name: "openapi", seeds: answers::documents, run: answers::document },
    Target { name: "discovery", seeds: discovery::documents, run: discovery::discovery },
    Target { name: "html", seeds: discovery::pages, run: discovery::page },
    Target { name: "watch-event", seeds: answers::watch_events, run: answers::watch_event },
    Target { name: "exec-credential", seeds: answers::credentials, run: answers::credential },
    Target { name: "exit-status", seeds: answers::ends, run: answers::end },
    Target { name: "kms", seeds: stored::service_answers, run: stored::service_answer },
    Target { name: "sealed-value", seeds: stored::sealed_values, run: stored::sealed_value },
    Target { name: "stored-object", seeds: stored::objects, run: stored::object },
    Target { name: "etcd-frames", seeds: stored::frames, run: stored::frame },
    Target { name: "exposition", seeds: answers::expositions, run: answers::exposition },
    // What streams carry.
    Target { name: "spdy", seeds: streams::conversations, run: streams::spdy },
    Target { name: "spdy-headers", seeds: streams::blocks, run: streams::spdy_headers },
    Target { name: "websocket", seeds: streams::messages, run: streams::channels },
    Target { name: "dns", seeds: streams::questions, run: streams::dns },
    Target { name: "dns-reply", seeds: streams::replies, run: streams::dns_reply },
    // What machines say.
    Target { name: "log-line", seeds: machines::log_lines, run: machines::log_line },
    Target { name: "log", seeds: machines::logs, run: machines::log },
    Target { name: "manifest", seeds: machines::manifests, run: machines::manifest },
    Target { name: "pull-secret", seeds: machines::pull_secrets, run: machines::pull_secret },
    Target { name: "mount-table", seeds: machines::mount_tables, run: machines::mount_table },
    Target { name: "task-event", seeds: machines::task_events, run: machines::task_event },
    Target { name: "network-note", seeds: machines::network_notes, run: machines::network_note },
    Target { name: "backup", seeds: machines::backups, run: machines::backup },
    Target { name: "resolv-conf", seeds: machines::resolver_files, run: machines::resolver_file },
    Target { name: "cgroup", seeds: machines::cgroup_files, run: machines::cgroup },
    Target { name: "systemd", seeds: machines::systemd_messages, run: machines::systemd },
    Target { name: "iptables-save", seeds: machines::saved_rules, run: machines::rules },
    // What components are configured by.
    Target { name: "kubeconfig", seeds: configuration::kubeconfigs, run: configuration::kubeconfig },
    Target { name: "kubeadm-config", seeds: configuration::kubeadms, run: configuration::kubeadm },
    Target { name: "kubelet-config", seeds: configuration::kubelets, run: configuration::kubelet },
    Target { name: "scheduler-config", seeds: configuration::schedulers, run: configuration::scheduler },
    Target { name: "proxy-config", seeds: configuration::proxies, run: configuration::proxy },
    Target { name: "kustomization", seeds: configuration::kustomizations, run: configuration::kustomization },
    Target { name: "audit-policy", seeds: configuration::audits, run: configuration::audit },
    Target { name: "authentication", seeds: configuration::issuers, run: configuration::authentication },
    Target { name: "authorization", seeds: configuration::authorizers, run: configuration::authorization },
    Target { name: "admission", seeds: configuration::plugins, run: configuration::admission },
    Target { name: "encryption", seeds: configuration::providers, run: configuration::encryption },
    Target { name: "token-file", seeds: configuration::tokens, run: configuration::token_file },
];

fn seeds(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

fn text(input: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(input)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_understands_its_seeds_and_bears_pieces_of_them() {
        let mut deaf = Vec::new();
        for target in TARGETS {
            let seeds = (target.seeds)();
            if !seeds.iter().any(|seed| (target.run)(seed)) {
                deaf.push(target.name);
            }
            for seed in seeds.iter().take(8) {
                for at in [0, 1, seed.len() / 2, seed.len().saturating_sub(1)] {
                    (target.run)(&seed[..at.min(seed.len())]);
                    (target.run)(&seed[at.min(seed.len())..]);
                }
            }
        }
        assert!(deaf.is_empty(), "understand none of their seeds: {deaf:?}");
    }
}
