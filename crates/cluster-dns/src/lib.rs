//! DNS for Services and pods.
//!
//! Watches feed an index of slim records; `answer` is the pure function from it and a question to a
//! response; everything outside the cluster's zones is forwarded.
