//! Table columns of the built-in kinds, as the server prints them.
