//! What scheduler, controllers and kubelet must agree on about pods and nodes: tolerations, affinity, requests, conditions.
