//! DNS for Services and pods.
