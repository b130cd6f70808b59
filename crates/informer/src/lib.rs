//! Shared informers, listers and rate-limited work queues over kube watches.
