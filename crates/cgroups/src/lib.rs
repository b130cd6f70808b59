//! Resource limits and usage in cgroup v1 and v2.
