//! Who may do what, as the API tells and is told: reviews, tokens, acting for others.
//!
//! The handlers take what the generic engine has decoded and give back the object to answer with. They read no
//! clock and do no I/O; only a token request reads objects, through [`Objects`].

pub mod attributes;
pub mod impersonation;
pub mod rules_review;
pub mod self_review;
pub mod subject_access;
pub mod token_request;
pub mod token_review;

use std::sync::Arc;

use apimachinery::Status;
use futures::future::BoxFuture;
use serde_json::Value;

/// Objects as handlers read them: as new as the last write that anybody was told of.
pub trait Objects: Send + Sync {
    /// One object, or the 404 that upstream's clients expect. The namespace is empty at the cluster scope.
    fn get<'a>(
        &'a self,
        group: &'a str,
        resource: &'a str,
        namespace: &'a str,
        name: &'a str,
    ) -> BoxFuture<'a, Result<Arc<Value>, Status>>;
}
