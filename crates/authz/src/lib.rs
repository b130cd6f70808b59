//! What a request may do: RBAC and the Node authoriser over an index fed by watches.
