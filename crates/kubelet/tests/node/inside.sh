# The first process of the namespaces: the network, containerd, its images.
set -e
mount --make-rprivate /
mkdir -p /run/netns
mount -t tmpfs tmpfs /run/netns
ip link set lo up
ip link add node0 type bridge
ip addr add 192.168.77.1/24 dev node0
ip link set node0 up
ip route add default via 192.168.77.254 dev node0
containerd --config ROOT/containerd.toml >ROOT/containerd.log 2>&1 &
until ctr -a ROOT/containerd.sock version >/dev/null 2>&1; do sleep 0.05; done
ctr -a ROOT/containerd.sock -n k8s.io images import ROOT/busybox.tar
ctr -a ROOT/containerd.sock -n k8s.io images import ROOT/pause.tar
touch ROOT/ready
wait
