//! Chapter "namespaces and access": the page, and what a page cannot show of network policies.

#![allow(clippy::unwrap_used)]

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

use cluster_tests::{Cluster, Shell, page};

/// A change of a policy is in force on every node within this.
const ENFORCED: Duration = Duration::from_secs(1);

#[test]
fn the_chapter_on_namespaces_and_access_works_as_printed() {
    let cluster = Cluster::start("access", 1).unwrap();
    page::walk_with_both(&cluster, "docs/tutorials/access.md");
    quotas_hold_when_many_ask_at_once(&cluster.shell());
    signers_sign_only_what_is_theirs(&cluster.shell());
    cluster.end().unwrap();
}

#[test]
fn network_policies_decide_who_talks_to_whom() {
    let cluster = Cluster::start("policies", 1).unwrap();
    let shell = cluster.shell();
    let net = Net::new(&cluster, &shell);
    net.policies_are_in_force_within_a_second_on_every_node();
    net.peers_are_pods_namespaces_and_ranges();
    net.ports_are_numbers_names_and_ranges();
    net.established_connections_go_on();
    net.new_pods_are_isolated_from_their_first_packet();
    net.nodes_and_their_network_are_not_kept_out();
    net.rules_come_back_and_go();
    cluster.end().unwrap();
}

/// Forty at once want the three places that there are.
fn quotas_hold_when_many_ask_at_once(shell: &Shell<'_>) {
    shell.types("kubectl create namespace crowd").ok();
    shell.types("kubectl create quota three -n crowd --hard=count/configmaps=4").ok();
    // One is there already: the authority's certificate.
    shell.until("kubectl get quota three -n crowd", |seen| seen.out.contains("count/configmaps: 1/4"));
    let many = "for i in $(seq 40); do kubectl create configmap c$i -n crowd & done 2>refusals; wait";
    shell.types(many);
    let refused = "exceeded quota: three, requested: count/configmaps=1, used: count/configmaps=4, limited: count/configmaps=4";
    let refusals = shell.types(&format!("grep -c '{refused}' refusals"));
    assert_eq!(refusals.out.trim(), "37", "{}", shell.types("cat refusals").out);
    let there = shell.types("kubectl get configmaps -n crowd -o name");
    assert_eq!(there.ok().lines().count(), 4, "{}", there.out);
    shell.types("kubectl delete namespace crowd; rm refusals").ok();
}

/// A node's server certificate is asked for by somebody who is no node, and approved by mistake.
fn signers_sign_only_what_is_theirs(shell: &Shell<'_>) {
    let request = "openssl req -newkey rsa:2048 -nodes -keyout bob.key -out bob.csr -subj /CN=bob 2>/dev/null
kubectl create -f - <<END
{apiVersion: certificates.k8s.io/v1, kind: CertificateSigningRequest, metadata: {name: bob},
 spec: {request: $(base64 -w0 bob.csr), signerName: kubernetes.io/kubelet-serving,
 usages: [digital signature, server auth]}}
END";
    shell.types(request).shows(&["certificatesigningrequest.certificates.k8s.io/bob created"]);
    shell.types("kubectl certificate approve bob").ok();
    shell.until("kubectl get csr bob", |seen| seen.out.contains("Approved,Failed"));
    let reason = "kubectl get csr bob -o jsonpath='{.status.conditions[?(@.type==\"Failed\")].message}'";
    shell.types(reason).shows(&["subject organization is not system:nodes"]);
    shell.types("kubectl get csr bob -o jsonpath='{.status.certificate}' | grep .").refused(&[]);
    // Who may approve must be allowed to do so for the signer too.
    shell
        .types("kubectl certificate approve bob --as=jane --as-group=developers")
        .refused(&["User \"jane\" cannot get resource \"certificatesigningrequests\""]);
    shell.types("kubectl delete csr bob").ok();
}

/// Whether a pod gets an answer of a server: one that should come is waited for longer than a busy machine takes.
fn reaches(shell: &Shell<'_>, from: &str, url: &str, wanted: bool) -> bool {
    let (namespace, pod) = from.split_once('/').unwrap();
    let seconds = if wanted { "3" } else { "0.5" };
    let ask = format!("kubectl exec -n {namespace} {pod} -- curl -s -o /dev/null -m {seconds} {url}");
    shell.types(&ask).code == 0
}

/// Two namespaces of pods on two nodes, and policies between them.
struct Net<'a> {
    cluster: &'a Cluster,
    shell: &'a Shell<'a>,
    web: String,
    /// When a policy last changed.
    changed: Cell<Instant>,
}

impl<'a> Net<'a> {
    fn new(cluster: &'a Cluster, shell: &'a Shell<'a>) -> Self {
        let mut objects = String::new();
        let mut pod = |namespace: &str, name: &str, node: &str, image: &str, rest: &str| {
            objects += &format!(
                "---\napiVersion: v1\nkind: Pod\nmetadata: {{namespace: {namespace}, name: {name}, labels: {{app: {name}}}}}\n\
                 spec:\n  nodeName: {node}\n  terminationGracePeriodSeconds: 0\n  containers:\n  - name: main\n    \
                 image: {image}\n{rest}"
            );
        };
        let probed = "    ports: [{name: http, containerPort: 80}]\n    readinessProbe: {httpGet: {path: /, port: 80}, \
                      periodSeconds: 1, failureThreshold: 1}\n";
        pod("red", "web", "w1-k8s", "nginx", probed);
        // The same beside it: a second server, which a policy of the first leaves alone.
        pod("red", "free", "w1-k8s", "nginx", "");
        let idle = "    args: [sleep, infinity]\n";
        pod("red", "near", "w1-k8s", "curlimages/curl", idle);
        pod("red", "far", "w2-k8s", "curlimages/curl", idle);
        pod("blue", "near", "w1-k8s", "curlimages/curl", idle);
        pod("blue", "far", "w2-k8s", "curlimages/curl", idle);
        objects += "---\napiVersion: v1\nkind: Service\nmetadata: {namespace: red, name: web}\nspec:\n  type: NodePort\n  \
                    externalTrafficPolicy: Local\n  selector: {app: web}\n  ports: [{name: http, port: 8080, targetPort: 80}]\n";
        cluster.file("net.yaml", &objects).unwrap();
        for namespace in ["red", "blue"] {
            shell.types(&format!("kubectl create namespace {namespace}")).ok();
        }
        shell.types("kubectl apply -f net.yaml").ok();
        for namespace in ["red", "blue"] {
            shell
                .types(&format!("kubectl wait -n {namespace} --for=condition=Ready pod --all --timeout=60s"))
                .ok();
        }
        let web = shell.types("kubectl get pod web -n red -o jsonpath={.status.podIP}").ok().to_owned();
        Net { cluster, shell, web, changed: Cell::new(Instant::now()) }
    }

    fn reaches(&self, from: &str, url: &str) -> bool {
        reaches(self.shell, from, url, false)
    }

    fn answers(&self, from: &str, url: &str) -> bool {
        reaches(self.shell, from, url, true)
    }

    /// Sees what is wanted, at the latest when the last change has to be in force.
    #[track_caller]
    fn sees<T: PartialEq + std::fmt::Debug>(&self, what: &str, wanted: &T, look: impl Fn() -> T) {
        loop {
            let late = self.changed.get().elapsed() > ENFORCED;
            let seen = look();
            if seen == *wanted {
                return;
            }
            assert!(!late, "{what}: {seen:?} instead of {wanted:?}");
        }
    }

    #[track_caller]
    fn reach(&self, url: &str, who: [(&str, bool); 4]) {
        let shell = self.shell;
        self.sees(url, &who, || {
            std::thread::scope(|scope| {
                let asked =
                    who.map(|(from, wanted)| (from, scope.spawn(move || reaches(shell, from, url, wanted))));
                asked.map(|(from, asked)| (from, asked.join().unwrap()))
            })
        });
    }

    /// Writes a policy of the namespace `red`.
    fn policy(&self, name: &str, spec: &str) {
        let policy = format!(
            "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{namespace: red, name: {name}}}\nspec: {spec}\n"
        );
        self.cluster.file("policy.yaml", &policy).unwrap();
        self.shell.types("kubectl apply -f policy.yaml").ok();
        self.changed.set(Instant::now());
    }

    fn without_policies(&self) {
        self.shell.types("kubectl delete networkpolicy --all -n red").ok();
        self.changed.set(Instant::now());
        self.sees("no policy", &true, || self.answers("red/far", &self.web()));
    }

    fn web(&self) -> String {
        format!("http://{}", self.web)
    }

    /// A client on each node asks many times a second; it sees the change within one.
    fn policies_are_in_force_within_a_second_on_every_node(&self) {
        let deny = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {namespace: red, name: deny}\n\
                    spec: {podSelector: {matchLabels: {app: web}}}\n";
        self.cluster.file("deny.yaml", deny).unwrap();
        let lines = [("kubectl apply -f deny.yaml", "no"), ("kubectl delete -f deny.yaml", "yes")];
        for from in ["near", "far"] {
            for (line, wanted) in lines {
                // When each was asked, by the kernel's clock, and whether there was an answer.
                let ask = format!(
                    "while read at rest < /proc/uptime; do curl -s -o /dev/null -m 0.5 {} && echo $at yes || echo $at no; sleep 0.02; done",
                    self.web()
                );
                let begin = format!("exec kubectl exec -n red {from} -- timeout 30 sh -c '{ask}' > asked");
                let mut asking = self.shell.starts(&format!("bash -c \"{}\"", begin.replace('$', "\\$")));
                let before = if wanted == "no" { "yes" } else { "no" };
                self.shell.until("cat asked", |seen| seen.out.contains(before));
                self.shell.types(line).ok();
                let due = uptime() + ENFORCED;
                let asked =
                    self.shell.until("cat asked", |seen| answers(&seen.out).any(|(at, _)| at > due)).out;
                asking.kill().and_then(|()| asking.wait()).unwrap();
                let wrong = answers(&asked).filter(|(at, answer)| *at > due && *answer != wanted);
                assert_eq!(wrong.count(), 0, "{line}: {from} should see {wanted:?} after {due:?}:\n{asked}");
            }
        }
    }

    fn peers_are_pods_namespaces_and_ranges(&self) {
        let all = |near: bool, far: bool, blue_near: bool, blue_far: bool| {
            [("red/near", near), ("red/far", far), ("blue/near", blue_near), ("blue/far", blue_far)]
        };
        self.reach(&self.web(), all(true, true, true, true));
        let of = |from: &str| {
            format!("{{podSelector: {{matchLabels: {{app: web}}}}, ingress: [{{from: {from}}}]}}")
        };
        self.policy("web", &of("[{podSelector: {}}]"));
        self.reach(&self.web(), all(true, true, false, false));
        assert!(self.answers("blue/far", &self.free()), "a pod that no policy selects is open to all");
        self.policy("web", &of("[{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: blue}}}]"));
        self.reach(&self.web(), all(false, false, true, true));
        self.policy("web", &of("[{namespaceSelector: {}, podSelector: {matchLabels: {app: far}}}]"));
        self.reach(&self.web(), all(false, true, false, true));
        // The pods of one node's part of the pod network, and all but those.
        self.policy("web", &of("[{ipBlock: {cidr: 172.16.0.0/16, except: [172.16.1.0/24]}}]"));
        let (near, far) = (self.is_in_the_first_range("near"), self.is_in_the_first_range("far"));
        self.reach(&self.web(), all(!near, !far, !near, !far));
        assert_ne!(near, far, "each node has a range of its own");
        // By way of the Service, whose address the client knows: the pods' own addresses are judged.
        let service = "http://web.red:8080";
        self.reach(service, all(!near, !far, !near, !far));
        // From outside, by way of a node's port: the client's address is kept.
        let port = self.node_port();
        let outside = || {
            let url = format!("http://192.168.1.101:{port}");
            self.shell.outside(&["curl", "-s", "-o", "/dev/null", "-m", "0.5", &url]).code == 0
        };
        self.sees("a client outside", &false, outside);
        self.policy("web", &of("[{ipBlock: {cidr: 192.168.1.1/32}}]"));
        self.sees("a client outside", &true, outside);
        self.reach(&self.web(), all(false, false, false, false));

        // Egress: to the web server and nowhere else, not to its own node either.
        let egress = "{podSelector: {matchLabels: {app: near}}, policyTypes: [Egress], egress: [{to: [{podSelector: {matchLabels: \
                      {app: web}}}]}]}";
        self.without_policies();
        self.policy("near", egress);
        self.reach(&self.free(), all(false, true, true, true));
        self.reach(&self.web(), all(true, true, true, true));
        self.reach("http://192.168.1.101:10248/healthz", all(false, false, false, false));
        self.reach("-k https://192.168.1.101:10250/healthz", all(false, true, true, true));
        self.reach("-k https://192.168.1.102:10250/healthz", all(false, true, true, true));
        self.without_policies();
    }

    fn ports_are_numbers_names_and_ranges(&self) {
        let of = |port: &str| {
            format!("{{podSelector: {{matchLabels: {{app: web}}}}, ingress: [{{ports: [{port}]}}]}}")
        };
        for (port, wanted) in [
            ("{port: 81}", false),
            ("{port: 80}", true),
            ("{port: other}", false),
            ("{port: http}", true),
            ("{port: 81, endPort: 90}", false),
            ("{port: 70, endPort: 90}", true),
            ("{protocol: UDP}", false),
            ("{protocol: UDP, port: 80}, {protocol: TCP}", true),
            ("{protocol: SCTP, port: 80}", false),
        ] {
            self.policy("web", &of(port));
            let both = || (self.reaches("red/near", &self.web()), self.reaches("red/far", &self.web()));
            self.sees(port, &(wanted, wanted), both);
        }
        self.without_policies();
        // Names are resolved only where UDP to the DNS is allowed.
        let of = |protocol: &str| {
            format!(
                "{{podSelector: {{matchLabels: {{app: far}}}}, policyTypes: [Egress], egress: [{{ports: [{{protocol: {protocol}, port: \
                 53}}, {{port: 80}}]}}]}}"
            )
        };
        for (protocol, wanted) in [("TCP", false), ("UDP", true)] {
            self.policy("far", &of(protocol));
            self.sees(protocol, &wanted, || self.reaches("red/far", "http://web.red:8080"));
        }
        self.without_policies();
    }

    /// A conversation that goes on while a policy forbids new ones.
    fn established_connections_go_on(&self) {
        let address = &self.web;
        let mut server = self.shell.starts("kubectl exec -n red web -- nc -ll -p 7000 -e cat");
        let talk = "(echo before; until test -e /tmp/go; do sleep 0.1; done; echo after; sleep 1)";
        // The server listens a moment after it was asked for, and a conversation begins only once.
        let echoed = format!("kubectl exec -n red far -- sh -c 'echo up | timeout 1 nc {address} 7000'");
        self.shell.until(&echoed, |seen| seen.out.starts_with("up"));
        let client = format!("kubectl exec -n red far -- sh -c '{talk} | nc {address} 7000'");
        let mut client = self.shell.starts(&format!("{client} > said"));
        self.shell.until("cat said", |seen| seen.out == "before\n");
        self.policy("web", "{podSelector: {matchLabels: {app: web}}}");
        self.sees("a new connection", &false, || self.reaches("red/far", &self.web()));
        self.shell.types("kubectl exec -n red far -- touch /tmp/go").ok();
        self.shell.until("cat said", |seen| seen.out == "before\nafter\n");
        client.wait().unwrap();
        server.kill().and_then(|()| server.wait()).unwrap();
        self.shell.types("rm said").ok();
        self.without_policies();
    }

    /// The first thing that each of these does is to ask for what it may not have.
    fn new_pods_are_isolated_from_their_first_packet(&self) {
        self.policy("new", "{podSelector: {matchLabels: {app: new}}, policyTypes: [Ingress, Egress]}");
        let ask = format!("curl -s -o /dev/null -m 0.5 {} && echo leaked; echo asked", self.web());
        let job = format!(
            "apiVersion: batch/v1\nkind: Job\nmetadata: {{namespace: red, name: new}}\nspec:\n  completions: 10\n  parallelism: 10\n  \
             template:\n    metadata: {{labels: {{app: new}}}}\n    spec:\n      restartPolicy: Never\n      containers:\n      \
             - name: curl\n        image: curlimages/curl\n        command: [sh, -c, '{ask}']\n"
        );
        self.cluster.file("job.yaml", &job).unwrap();
        self.shell.types("kubectl apply -f job.yaml").ok();
        self.shell.types("kubectl wait -n red --for=condition=Complete job/new --timeout=60s").ok();
        let logs = self.shell.types("kubectl logs -n red -l app=new --tail=-1 --max-log-requests=10");
        assert_eq!(logs.ok().lines().filter(|line| *line == "asked").count(), 10, "{}", logs.out);
        assert!(!logs.out.contains("leaked"), "{}", logs.out);
        self.shell.types("kubectl delete job new -n red").ok();
        self.without_policies();
    }

    /// Probes succeed, the node reaches its own pods, and a pod in the node's network is the node.
    fn nodes_and_their_network_are_not_kept_out(&self) {
        self.policy("deny", "{podSelector: {}, policyTypes: [Ingress, Egress]}");
        let from =
            |node| self.shell.run_in(node, &["curl", "-s", "-o", "/dev/null", "-m", "0.5", &self.web()]);
        self.sees("another node is an address like any other", &false, || from("w2-k8s").code == 0);
        from("w1-k8s").ok();
        let host = "apiVersion: v1\nkind: Pod\nmetadata: {namespace: red, name: host}\nspec:\n  nodeName: w2-k8s\n  hostNetwork: true\n  \
                    terminationGracePeriodSeconds: 0\n  containers:\n  - {name: main, image: curlimages/curl, args: [sleep, infinity]}\n";
        self.cluster.file("host.yaml", host).unwrap();
        self.shell.types("kubectl apply -f host.yaml").ok();
        self.shell.types("kubectl wait -n red --for=condition=Ready pod/host --timeout=60s").ok();
        assert!(self.answers("red/host", "-k https://192.168.1.101:10250/healthz"), "no policy is about it");
        // A probe a second, each of which would have to fail but once: still ready.
        let ready =
            "kubectl get pod web -n red -o jsonpath='{.status.conditions[?(@.type==\"Ready\")].status}'";
        self.shell.types(ready).shows(&["True"]);
        self.shell.types("kubectl delete pod host -n red").ok();
    }

    /// podnet starts again with the policies in force all along, and puts back what somebody removed; without policies,
    /// there is no table.
    fn rules_come_back_and_go(&self) {
        assert!(!self.reaches("red/near", &self.web()), "the policy of before is there");
        let lab = self.cluster.lab();
        self.shell.run_in("w1-k8s", &["nft", "delete", "table", "inet", "podnet"]).ok();
        assert!(self.answers("red/near", &self.free()));
        lab.order("w1-k8s", "kill podnet").unwrap();
        self.shell.until("true", |_| !self.reaches("red/near", &self.free()));
        self.shell.types("kubectl delete namespace red blue").ok();
        for node in ["w1-k8s", "w2-k8s"] {
            let begun = Instant::now();
            while self.shell.run_in(node, &["nft", "list", "tables"]).out.contains("inet podnet") {
                assert!(begun.elapsed() < 2 * ENFORCED, "{node} still has the table");
                std::thread::sleep(Duration::from_millis(100));
            }
        }
    }

    fn free(&self) -> String {
        let address = self.shell.types("kubectl get pod free -n red -o jsonpath={.status.podIP}");
        format!("http://{}", address.ok())
    }

    fn node_port(&self) -> String {
        self.shell
            .types("kubectl get service web -n red -o jsonpath={.spec.ports[0].nodePort}")
            .ok()
            .to_owned()
    }

    /// Whether a pod of the namespace is in 172.16.1.0/24.
    fn is_in_the_first_range(&self, pod: &str) -> bool {
        let line = format!("kubectl get pod {pod} -n red -o jsonpath={{.status.podIP}}");
        self.shell.types(&line).ok().starts_with("172.16.1.")
    }
}

/// How long this machine has been up, its nodes and pods with it.
fn uptime() -> Duration {
    let text = std::fs::read_to_string("/proc/uptime").unwrap();
    seconds(&text).unwrap()
}

/// The lines that are complete: a time, and whether there was an answer then.
fn answers(asked: &str) -> impl Iterator<Item = (Duration, &str)> {
    let lines = asked.rsplit_once('\n').map_or("", |(lines, _)| lines).lines();
    lines.map(|line| (seconds(line).unwrap(), line.split_once(' ').unwrap().1))
}

fn seconds(line: &str) -> Option<Duration> {
    line.split(' ').next()?.parse().ok().map(Duration::from_secs_f64)
}
