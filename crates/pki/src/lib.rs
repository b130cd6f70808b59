//! Keys, certificates and kubeconfigs: made, read, and reloaded when their files change.
