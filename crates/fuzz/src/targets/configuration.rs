//! Decoders of the files by which components are configured.

use std::cell::RefCell;
use std::io::{Seek as _, Write as _};
use std::path::Path;

use clap::Parser as _;
use kube_apiserver::Flags;
use serde_json::Value;
use tempfile::NamedTempFile;

use super::{seeds, text};

thread_local! {
    /// The file that is read, over and over.
    static FILE: RefCell<NamedTempFile> = RefCell::new(NamedTempFile::new().expect("a temporary file can be made"));
}

fn from_file<T>(input: &[u8], read: impl FnOnce(&Path) -> T) -> T {
    FILE.with_borrow_mut(|file| {
        let written =
            file.as_file().set_len(0).and_then(|()| file.rewind()).and_then(|()| file.write_all(input));
        written.expect("a temporary file can be written");
        read(file.path())
    })
}

pub fn kubeconfigs() -> Vec<Vec<u8>> {
    seeds(&[
        "apiVersion: v1\nkind: Config\ncurrent-context: a\ncontexts:\n- {name: a, context: {cluster: c, user: u}}\n\
         clusters:\n- {name: c, cluster: {server: 'https://10.0.0.1:6443', certificate-authority: ca.crt}}\n\
         users:\n- {name: u, user: {client-certificate: c.crt, client-key: c.key}}\n",
        "{\"users\": [{\"name\": \"u\", \"user\": {\"exec\": {\"apiVersion\": \"client.authentication.k8s.io/v1\", \
         \"command\": \"x\", \"args\": [\"a\"], \"env\": [{\"name\": \"A\", \"value\": \"b\"}]}}}]}",
        "users:\n- name: u\n  user: {tokenFile: /t, auth-provider: {name: oidc, config: {a: b}}}\nextensions: []\n",
    ])
}

pub fn kubeconfig(input: &[u8]) -> bool {
    let components = from_file(input, component::client::read_kubeconfig);
    let kubectl = from_file(input, cli_runtime::client::kubeconfig::read);
    drop(kubeadm::discovery::target(&text(input)));
    components.is_ok() || kubectl.is_ok()
}

pub fn kubeadms() -> Vec<Vec<u8>> {
    seeds(&[
        "apiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfiguration\nbootstrapTokens:\n- token: 123456.1234567890123456\n  \
         ttl: 24h0m0s\nlocalAPIEndpoint: {advertiseAddress: 192.168.1.10, bindPort: 6443}\nnodeRegistration: {taints: []}\n",
        "apiVersion: kubeadm.k8s.io/v1beta3\nkind: ClusterConfiguration\nnetworking: {podSubnet: 172.16.0.0/16}\n\
         apiServer: {extraArgs: {a: b}, certSANs: [x]}\n---\napiVersion: kubeproxy.config.k8s.io/v1alpha1\n\
         kind: KubeProxyConfiguration\nmode: nftables\n",
    ])
}

pub fn kubeadm(input: &[u8]) -> bool {
    kubeadm::configuration::Documents::parse(&text(input)).is_ok()
}

pub fn kubelets() -> Vec<Vec<u8>> {
    seeds(&[
        "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nevictionHard: {memory.available: 100Mi}\n\
         maxPods: 110\nsyncFrequency: 1m0s\nreservedMemory: [{numaNode: 0, limits: {memory: 1Gi}}]\n",
        "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nauthentication: {anonymous: {enabled: false}}\n",
    ])
}

pub fn kubelet(input: &[u8]) -> bool {
    let read = |path: &Path| {
        component::flags::config_file::<kubelet::KubeletConfiguration>(
            path,
            "kubelet.config.k8s.io",
            "KubeletConfiguration",
        )
    };
    let read = from_file(input, read);
    if read.is_ok() {
        let flags = |path: &Path| kubelet::Flags::parse_from(with_config("kubelet", path));
        let _ = from_file(input, |path| kubelet::Config::new(flags(path)));
    }
    read.is_ok()
}

/// A command line with a configuration file.
fn with_config(program: &str, path: &Path) -> [String; 2] {
    [program.to_owned(), format!("--config={}", path.display())]
}

pub fn schedulers() -> Vec<Vec<u8>> {
    seeds(&[
        "apiVersion: kubescheduler.config.k8s.io/v1\nkind: KubeSchedulerConfiguration\nclientConnection: {kubeconfig: /etc/k}\n\
         leaderElection: {leaderElect: true, leaseDuration: 15s, renewDeadline: 10s, retryPeriod: 2s}\npodInitialBackoffSeconds: 1\n\
         podMaxBackoffSeconds: 10\npercentageOfNodesToScore: 50\nprofiles:\n- schedulerName: a\n  plugins:\n    \
         score: {disabled: [{name: NodeResourcesFit}], enabled: [{name: ImageLocality, weight: 5}]}\n    \
         multiPoint: {disabled: [{name: TaintToleration}]}\n  pluginConfig:\n  - name: NodeResourcesFit\n    args: {scoringStrategy: \
         {type: RequestedToCapacityRatio, resources: [{name: cpu, weight: 3}], requestedToCapacityRatio: {shape: \
         [{utilization: 0, score: 0}, {utilization: 100, score: 10}]}}}\n  - name: PodTopologySpread\n    args: {defaultingType: List, \
         defaultConstraints: [{maxSkew: 1, topologyKey: z, whenUnsatisfiable: ScheduleAnyway}]}\n- schedulerName: b\n",
        "apiVersion: kubescheduler.config.k8s.io/v1\nkind: KubeSchedulerConfiguration\nprofiles: [{schedulerName: x, \
         plugins: {score: {disabled: [{name: '*'}]}, filter: {disabled: [{name: '*'}], enabled: [{name: NodeName}]}}}]\n",
    ])
}

/// What a component shows of its configuration is one that means the same.
fn shows_itself(input: &[u8], shown: impl Fn(&Path) -> Option<Value>) -> bool {
    let Some(first) = from_file(input, &shown) else { return false };
    let text = serde_saphyr::to_string(&first).expect("a configuration is written");
    assert_eq!(from_file(text.as_bytes(), &shown).as_ref(), Some(&first), "{text}");
    true
}

pub fn scheduler(input: &[u8]) -> bool {
    shows_itself(input, |path| {
        let flags = kube_scheduler::config::Flags::parse_from(with_config("kube-scheduler", path));
        Some(kube_scheduler::Config::new(flags).ok()?.shown())
    })
}

pub fn proxies() -> Vec<Vec<u8>> {
    seeds(&[
        "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\nmode: iptables\nbindAddress: 0.0.0.0\n\
         clusterCIDR: 172.16.0.0/16,fd00::/64\nhealthzBindAddress: 0.0.0.0:10256\nmetricsBindAddress: '[::1]:10249'\n\
         nodePortAddresses: [10.0.0.0/8]\niptables: {masqueradeBit: 14, masqueradeAll: true, syncPeriod: 30s, minSyncPeriod: 1s}\n\
         conntrack: {maxPerCore: 32768, min: 131072, tcpCloseWaitTimeout: 1h0m0s, tcpEstablishedTimeout: 24h0m0s}\n",
        "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\ndetectLocalMode: BridgeInterface\n\
         detectLocal: {bridgeInterface: cni0}\nnodePortAddresses: [primary]\nhostnameOverride: N1\n",
    ])
}

pub fn proxy(input: &[u8]) -> bool {
    shows_itself(input, |path| {
        let flags = kube_proxy::config::Flags::parse_from(with_config("kube-proxy", path));
        Some(kube_proxy::Config::new(&flags, "node-1").ok()?.shown())
    })
}

pub fn kustomizations() -> Vec<Vec<u8>> {
    seeds(&[
        "resources: [web.yaml]\nnamespace: n\nnamePrefix: p-\nnameSuffix: -s\ncommonLabels: {a: b}\nlabels: [{pairs: {c: d}, includeSelectors: true}]\n\
         commonAnnotations: {x: y}\nimages: [{name: nginx, newName: other, newTag: v2}]\nreplicas: [{name: web, count: 3}]\n\
         patches:\n- target: {kind: Deployment}\n  patch: |-\n    - {op: replace, path: /spec/replicas, value: 5}\n\
         configMapGenerator:\n- {name: settings, literals: [a=b, 'c=\"d\"'], files: [key=web.yaml]}\n\
         secretGenerator:\n- {name: hidden, envs: [web.yaml], type: Opaque, options: {disableNameSuffixHash: true}}\n\
         \0apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {replicas: 1, selector: {matchLabels: {a: b}}, template: {metadata: \
         {labels: {a: b}}, spec: {containers: [{name: c, image: 'nginx:1', envFrom: [{configMapRef: {name: settings}}]}]}}}\n",
        "resources: [web.yaml]\npatchesStrategicMerge:\n- |-\n  kind: Service\n  metadata: {name: web}\n  spec: {$patch: replace, type: NodePort}\n\
         generatorOptions: {labels: {a: b}, disableNameSuffixHash: true}\n\0kind: Service\nmetadata: {name: web}\nspec: {ports: [{port: 80}]}\n",
    ])
}

/// A kustomization and, behind a zero byte, the file beside it.
pub fn kustomization(input: &[u8]) -> bool {
    let text = text(input);
    let (file, resource) = text.split_once('\0').unwrap_or((&text, ""));
    DIRECTORY.with(|directory| {
        let written = [("kustomization.yaml", file), ("web.yaml", resource)]
            .map(|(name, content)| std::fs::write(directory.path().join(name), content));
        assert!(written.iter().all(Result::is_ok), "files can be written");
        let Ok(objects) = kustomize::build(directory.path(), kustomize::Restriction::RootOnly) else {
            return false;
        };
        let again = kustomize::build(directory.path(), kustomize::Restriction::RootOnly)
            .expect("what was built is built again");
        assert_eq!(again, objects, "a kustomization builds one thing");
        !objects.is_empty()
    })
}

thread_local! {
    static DIRECTORY: tempfile::TempDir = tempfile::tempdir().expect("a temporary directory can be made");
}

pub fn audits() -> Vec<Vec<u8>> {
    seeds(&[
        "apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\nrules:\n- level: Metadata\n  \
         resources: [{group: '', resources: [secrets, pods/*]}]\n- {level: None, nonResourceURLs: ['/healthz*']}\n",
    ])
}

pub fn audit(input: &[u8]) -> bool {
    audit::Policy::read(&text(input)).is_ok()
}

/// The API server's flags, of which one names the file.
fn flags(name: &str, path: &Path) -> Flags {
    let needed = [
        "kube-apiserver",
        "--etcd-servers=http://127.0.0.1:1",
        "--tls-cert-file=c",
        "--tls-private-key-file=k",
    ];
    let named = format!("{name}={}", path.display());
    Flags::parse_from(needed.into_iter().map(str::to_owned).chain([named]))
}

thread_local! {
    static AUTHENTICATION: Flags = FILE.with_borrow(|file| flags("--authentication-config", file.path()));
    static ADMISSION: Flags = FILE.with_borrow(|file| flags("--admission-control-config-file", file.path()));
}

pub fn issuers() -> Vec<Vec<u8>> {
    seeds(&[
        "apiVersion: apiserver.config.k8s.io/v1\nkind: AuthenticationConfiguration\njwt:\n- issuer:\n    \
         url: https://issuer.example.com\n    audiences: [a]\n  claimMappings:\n    username: {expression: 'claims.sub'}\n    \
         groups: {claim: groups, prefix: 'g:'}\n    extra: [{key: example.com/a, valueExpression: 'claims.a'}]\n  \
         claimValidationRules: [{claim: hd, requiredValue: x}, {expression: 'claims.b == true', message: m}]\n  \
         userValidationRules: [{expression: '!user.username.startsWith(\"system:\")', message: m}]\n\
         anonymous: {enabled: true, conditions: [{path: /livez}]}\n",
        "apiVersion: apiserver.config.k8s.io/v1beta1\nkind: AuthenticationConfiguration\nanonymous: {enabled: false}\n",
    ])
}

pub fn authentication(input: &[u8]) -> bool {
    from_file(input, |_| ());
    AUTHENTICATION.with(|flags| kube_apiserver::authentication_config::load(flags, &[]).is_ok())
}

pub fn authorizers() -> Vec<Vec<u8>> {
    seeds(&[
        "apiVersion: apiserver.config.k8s.io/v1\nkind: AuthorizationConfiguration\nauthorizers:\n- {type: Node, name: node}\n\
         - type: Webhook\n  name: w\n  webhook:\n    authorizedTTL: 5m\n    unauthorizedTTL: 30s\n    timeout: 3s\n    \
         subjectAccessReviewVersion: v1\n    matchConditionSubjectAccessReviewVersion: v1\n    failurePolicy: Deny\n    \
         connectionInfo: {type: KubeConfigFile, kubeConfigFile: /etc/w}\n    matchConditions:\n    \
         - expression: \"request.user == 'a'\"\n- {type: RBAC, name: rbac}\n",
        "apiVersion: apiserver.config.k8s.io/v1beta1\nkind: AuthorizationConfiguration\nauthorizers: [{type: RBAC, name: r}]\n",
    ])
}

pub fn authorization(input: &[u8]) -> bool {
    let text = text(input);
    drop(authz::Abac::read(&text));
    let Ok(value) = serde_saphyr::from_str::<Value>(&text) else { return false };
    authz::configuration::read(value, |_| Ok(true)).is_ok()
}

pub fn plugins() -> Vec<Vec<u8>> {
    seeds(&[
        "apiVersion: apiserver.config.k8s.io/v1\nkind: AdmissionConfiguration\nplugins:\n- name: PodSecurity\n  configuration:\n    \
         apiVersion: pod-security.admission.config.k8s.io/v1\n    kind: PodSecurityConfiguration\n    \
         defaults: {enforce: baseline, enforce-version: latest}\n    exemptions: {namespaces: [kube-system]}\n\
         - name: ResourceQuota\n  configuration:\n    apiVersion: apiserver.config.k8s.io/v1\n    kind: ResourceQuotaConfiguration\n    \
         limitedResources: [{resource: pods, matchContains: [cpu]}]\n",
        "apiVersion: apiserver.config.k8s.io/v1\nkind: AdmissionConfiguration\nplugins: []\n",
    ])
}

pub fn admission(input: &[u8]) -> bool {
    from_file(input, |_| ());
    ADMISSION.with(|flags| kube_apiserver::admission_config::load(flags).is_ok())
}

pub fn providers() -> Vec<Vec<u8>> {
    seeds(&[
        "kind: EncryptionConfiguration\napiVersion: apiserver.config.k8s.io/v1\nresources:\n- resources: [secrets, '*.apps']\n  \
         providers:\n  - aescbc: {keys: [{name: key1, secret: AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=}]}\n  \
         - secretbox: {keys: [{name: k, secret: AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=}]}\n  - identity: {}\n",
        "kind: EncryptionConfiguration\napiVersion: apiserver.config.k8s.io/v1\nresources:\n- resources: ['*.*']\n  \
         providers:\n  - aesgcm: {keys: [{name: key1, secret: AAECAwQFBgcICQoLDA0ODw==}]}\n  - identity: {}\n",
    ])
}

pub fn encryption(input: &[u8]) -> bool {
    let read = serde_saphyr::from_str::<storage::EncryptionConfiguration>(&text(input));
    read.is_ok_and(|configuration| storage::Encryption::new(&configuration).is_ok())
}

pub fn tokens() -> Vec<Vec<u8>> {
    seeds(&["token,user,uid,\"group1,group2\"\nother,u2,2\n"])
}

pub fn token_file(input: &[u8]) -> bool {
    authn::TokenFile::read(&text(input)).is_ok()
}
