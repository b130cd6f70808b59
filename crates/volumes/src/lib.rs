//! Pod volumes: their payloads, atomic updates and mounts.
