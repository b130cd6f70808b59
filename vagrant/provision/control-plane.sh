#!/bin/sh
# Makes the cluster, and gives kubectl to root and to the user vagrant.
set -eu
address=$1

if [ ! -e /etc/kubernetes/admin.conf ]; then
    # The token is of a network that only this computer reaches; it lasts, so that a machine can be added at any time.
    kubeadm init --token 123456.1234567890123456 --token-ttl 0 --pod-network-cidr=172.16.0.0/16 \
        --apiserver-advertise-address="$address" --load-balancer-addresses=192.168.1.11-192.168.1.19
fi

for home in /root /home/vagrant; do
    mkdir -p "$home/.kube"
    cp /etc/kubernetes/admin.conf "$home/.kube/config"
    chmod 0600 "$home/.kube/config"
done
chown -R vagrant:vagrant /home/vagrant/.kube
