//! What each node runs, with which flags: the same as the systemd units of a real machine.

use std::fs;

use anyhow::Context as _;
use serde_json::json;

use crate::{
    containerd,
    init::{Plan, Unit},
    topology::{DNS_SERVICE, Node, POD_CIDR, SERVICE_CIDR, Topology},
};

const PKI: &str = "/etc/kubernetes/pki";

/// Writes a node's configuration files and returns what its init is to run.
pub fn plan(topology: &Topology, node: &Node) -> anyhow::Result<Plan> {
    write_configuration(topology, node)?;
    let images = topology.state.join("images").to_string_lossy().into_owned();
    let mut units = vec![
        Unit {
            name: "containerd".into(),
            command: words(&["containerd", "--config", "/etc/containerd/config.toml"]),
        },
        component(topology, "lab", vec!["registry".into(), images, containerd::REGISTRY.into()])
            .named("registry"),
    ];
    if topology.etcd_nodes().contains(node) {
        units.push(Unit { name: "etcd".into(), command: etcd(topology, node) });
    }
    if node.control_plane {
        units.push(component(topology, "kube-apiserver", apiserver(topology, node)));
        units.push(component(topology, "kube-controller-manager", controller_manager()));
        units.push(component(topology, "cloud-controller-manager", cloud_controller_manager()));
        units.push(component(topology, "kube-scheduler", scheduler()));
    }
    units.push(component(topology, "kubelet", kubelet(topology, node)));
    units.push(component(topology, "kube-proxy", kube_proxy(node)));
    units.push(component(topology, "podnet", podnet(node)));
    Ok(Plan {
        hostname: node.name.clone(),
        state: topology.node_state(node),
        socket: topology.control_socket(node),
        units,
    })
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn component(topology: &Topology, name: &str, flags: Vec<String>) -> Unit {
    let mut command = vec![topology.binaries.join(name).to_string_lossy().into_owned()];
    command.extend(flags);
    Unit { name: name.into(), command }
}

impl Unit {
    fn named(self, name: &str) -> Self {
        Self { name: name.into(), ..self }
    }
}

fn etcd(topology: &Topology, node: &Node) -> Vec<String> {
    let address = node.address;
    let cluster: Vec<String> = topology
        .etcd_nodes()
        .iter()
        .map(|node| format!("{}=https://{}:2380", node.name, node.address))
        .collect();
    vec![
        "etcd".into(),
        format!("--name={}", node.name),
        "--data-dir=/var/lib/etcd".into(),
        format!("--listen-client-urls=https://127.0.0.1:2379,https://{address}:2379"),
        format!("--advertise-client-urls=https://{address}:2379"),
        format!("--listen-peer-urls=https://{address}:2380"),
        format!("--initial-advertise-peer-urls=https://{address}:2380"),
        format!("--initial-cluster={}", cluster.join(",")),
        format!("--cert-file={PKI}/etcd/server.crt"),
        format!("--key-file={PKI}/etcd/server.key"),
        format!("--trusted-ca-file={PKI}/etcd/ca.crt"),
        "--client-cert-auth=true".into(),
        // As kubeadm sets it.
        "--backend-batch-interval=25ms".into(),
        format!("--peer-cert-file={PKI}/etcd/peer.crt"),
        format!("--peer-key-file={PKI}/etcd/peer.key"),
        format!("--peer-trusted-ca-file={PKI}/etcd/ca.crt"),
        "--peer-client-cert-auth=true".into(),
        "--log-level=warn".into(),
        "--logger=zap".into(),
    ]
}

/// What a login shell needs so that etcdctl may read what the API server has written.
fn etcdctl_profile() -> String {
    let settings = [
        ("API", "3".to_owned()),
        ("ENDPOINTS", "https://127.0.0.1:2379".to_owned()),
        ("CACERT", format!("{PKI}/etcd/ca.crt")),
        ("CERT", format!("{PKI}/apiserver-etcd-client.crt")),
        ("KEY", format!("{PKI}/apiserver-etcd-client.key")),
    ];
    settings.iter().map(|(name, value)| format!("export ETCDCTL_{name}={value}\n")).collect()
}

fn apiserver(topology: &Topology, node: &Node) -> Vec<String> {
    let etcd: Vec<String> =
        topology.etcd_nodes().iter().map(|node| format!("https://{}:2379", node.address)).collect();
    vec![
        format!("--advertise-address={}", node.address),
        "--allow-privileged=true".into(),
        "--authorization-mode=Node,RBAC".into(),
        format!("--client-ca-file={PKI}/ca.crt"),
        "--enable-admission-plugins=NodeRestriction".into(),
        "--enable-bootstrap-token-auth=true".into(),
        format!("--etcd-cafile={PKI}/etcd/ca.crt"),
        format!("--etcd-certfile={PKI}/apiserver-etcd-client.crt"),
        format!("--etcd-keyfile={PKI}/apiserver-etcd-client.key"),
        format!("--etcd-servers={}", etcd.join(",")),
        format!("--kubelet-certificate-authority={PKI}/ca.crt"),
        format!("--kubelet-client-certificate={PKI}/apiserver-kubelet-client.crt"),
        format!("--kubelet-client-key={PKI}/apiserver-kubelet-client.key"),
        "--kubelet-preferred-address-types=InternalIP,ExternalIP,Hostname".into(),
        format!("--proxy-client-cert-file={PKI}/front-proxy-client.crt"),
        format!("--proxy-client-key-file={PKI}/front-proxy-client.key"),
        "--requestheader-allowed-names=front-proxy-client".into(),
        format!("--requestheader-client-ca-file={PKI}/front-proxy-ca.crt"),
        "--requestheader-extra-headers-prefix=X-Remote-Extra-".into(),
        "--requestheader-group-headers=X-Remote-Group".into(),
        "--requestheader-username-headers=X-Remote-User".into(),
        "--secure-port=6443".into(),
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local".into(),
        format!("--service-account-key-file={PKI}/sa.pub"),
        format!("--service-account-signing-key-file={PKI}/sa.key"),
        format!("--service-cluster-ip-range={SERVICE_CIDR}"),
        format!("--tls-cert-file={PKI}/apiserver.crt"),
        format!("--tls-private-key-file={PKI}/apiserver.key"),
    ]
}

fn controller_manager() -> Vec<String> {
    let config = "/etc/kubernetes/controller-manager.conf";
    vec![
        "--allocate-node-cidrs=true".into(),
        format!("--authentication-kubeconfig={config}"),
        format!("--authorization-kubeconfig={config}"),
        "--bind-address=127.0.0.1".into(),
        format!("--client-ca-file={PKI}/ca.crt"),
        format!("--cluster-cidr={POD_CIDR}"),
        "--cluster-name=kubernetes".into(),
        format!("--cluster-signing-cert-file={PKI}/ca.crt"),
        format!("--cluster-signing-key-file={PKI}/ca.key"),
        format!("--kubeconfig={config}"),
        "--leader-elect=true".into(),
        // What courses teach; the default is 50 s since 1.32.
        "--node-monitor-grace-period=40s".into(),
        format!("--root-ca-file={PKI}/ca.crt"),
        format!("--service-account-private-key-file={PKI}/sa.key"),
        format!("--service-cluster-ip-range={SERVICE_CIDR}"),
        "--use-service-account-credentials=true".into(),
    ]
}

fn cloud_controller_manager() -> Vec<String> {
    let config = "/etc/kubernetes/cloud-controller-manager.conf";
    vec![
        format!("--authentication-kubeconfig={config}"),
        format!("--authorization-kubeconfig={config}"),
        "--bind-address=127.0.0.1".into(),
        format!("--kubeconfig={config}"),
        "--leader-elect=true".into(),
        "--use-service-account-credentials=true".into(),
    ]
}

fn scheduler() -> Vec<String> {
    let config = "/etc/kubernetes/scheduler.conf";
    vec![
        format!("--authentication-kubeconfig={config}"),
        format!("--authorization-kubeconfig={config}"),
        "--bind-address=127.0.0.1".into(),
        format!("--kubeconfig={config}"),
        "--leader-elect=true".into(),
    ]
}

fn kubelet(topology: &Topology, node: &Node) -> Vec<String> {
    let mut flags = vec![
        "--config=/var/lib/kubelet/config.yaml".into(),
        "--kubeconfig=/etc/kubernetes/kubelet.conf".into(),
        format!("--hostname-override={}", node.name),
        format!("--node-ip={}", node.address),
        format!("--cgroup-root={}", topology.cgroup(node)),
    ];
    if node.control_plane {
        flags.push("--register-with-taints=node-role.kubernetes.io/control-plane=:NoSchedule".into());
    }
    flags
}

fn kube_proxy(node: &Node) -> Vec<String> {
    vec![
        "--kubeconfig=/etc/kubernetes/kube-proxy.conf".into(),
        format!("--hostname-override={}", node.name),
        format!("--cluster-cidr={POD_CIDR}"),
        "--proxy-mode=iptables".into(),
    ]
}

fn podnet(node: &Node) -> Vec<String> {
    vec![
        "--kubeconfig=/etc/kubernetes/podnet.conf".into(),
        format!("--node-name={}", node.name),
        format!("--cluster-cidr={POD_CIDR}"),
    ]
}

fn write_configuration(topology: &Topology, node: &Node) -> anyhow::Result<()> {
    let state = topology.node_state(node);
    let write = |path: &str, text: &str| -> anyhow::Result<()> {
        let path = state.join(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(&path, text).with_context(|| format!("writing {}", path.display()))
    };
    let hosts: String =
        topology.nodes.iter().map(|node| format!("{} {}\n", node.address, node.name)).collect();
    write("etc/hosts", &format!("127.0.0.1 localhost\n::1 localhost\n{hosts}"))?;
    write("etc/hostname", &format!("{}\n", node.name))?;
    write("etc/resolv.conf", "# No name server outside the lab can be reached from a node.\n")?;
    // crictl's own file, for who brings one.
    write("etc/crictl.yaml", "runtime-endpoint: unix:///run/containerd/containerd.sock\n")?;
    if node.control_plane {
        write("etc/profile.d/etcdctl.sh", &etcdctl_profile())?;
    }
    write("etc/containerd/config.toml", containerd::CONFIG)?;
    write("etc/containerd/certs.d/_default/hosts.toml", containerd::HOSTS)?;
    write("etc/kubernetes/manifests/.keep", "")?;
    fs::create_dir_all(state.join("etc/cni/net.d"))?;
    let config = json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": false},
            "webhook": {"enabled": true},
            "x509": {"clientCAFile": format!("{PKI}/ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "cgroupDriver": "cgroupfs",
        "clusterDNS": [DNS_SERVICE],
        "clusterDomain": "cluster.local",
        "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
        // The nodes share a disk that is not theirs: how full it is must not stop a lesson.
        "evictionHard": {
            "memory.available": "100Mi", "nodefs.available": "0%", "nodefs.inodesFree": "0%",
            "imagefs.available": "0%",
        },
        "imageGCHighThresholdPercent": 100,
        "failSwapOn": false,
        "resolvConf": "/etc/resolv.conf",
        "staticPodPath": "/etc/kubernetes/manifests",
        "tlsCertFile": format!("{PKI}/kubelet-server.crt"),
        "tlsPrivateKeyFile": format!("{PKI}/kubelet-server.key"),
    });
    write("kubelet/config.yaml", &serde_json::to_string_pretty(&config)?)
}
