//! The catalogue of built-in kinds and the schemas their objects are decoded, pruned and described by.
