//! One request for a resource on its way through the server.

use std::sync::Arc;

use apimachinery::Status;
use authn::UserInfo;
use http::HeaderMap;
use parking_lot::Mutex;

use super::outside::Outside;
use crate::http::{Negotiated, Query, RequestInfo};
use crate::registry::Entry;
use crate::server::Server;

/// One request for a resource.
pub struct Call<'a> {
    /// The server.
    pub server: &'a Arc<Server>,
    /// The resource.
    pub entry: Arc<Entry>,
    /// What is asked for.
    pub info: &'a RequestInfo,
    /// The query parameters.
    pub query: &'a Query<'a>,
    /// The headers.
    pub headers: &'a HeaderMap,
    /// Who asks.
    pub user: &'a Arc<UserInfo>,
    /// The form of the answer.
    pub form: Negotiated,
    /// What the client is told besides the answer.
    pub warnings: Mutex<Vec<String>>,
    /// A change that webhooks are asked about.
    pub outside: Mutex<Option<Outside>>,
}

impl Call<'_> {
    /// Tells the client something besides the answer, once.
    pub fn warn(&self, warnings: impl IntoIterator<Item = String>) {
        let mut known = self.warnings.lock();
        for warning in warnings {
            if !known.contains(&warning) {
                known.push(warning);
            }
        }
    }

    /// Whether nothing is to be stored (`dryRun=All`).
    pub fn dry_run(&self) -> Result<bool, Status> {
        let mut dry_run = false;
        for value in self.query.all("dryRun") {
            match value {
                "All" => dry_run = true,
                "" => {}
                other => {
                    return Err(Status::invalid(
                        "meta.k8s.io",
                        options_kind(self.info.verb),
                        "",
                        vec![apimachinery::FieldError::not_supported("dryRun", other, &["All"])],
                    ));
                }
            }
        }
        Ok(dry_run)
    }

    /// The store's failure as an answer about the object of this request.
    pub fn refuse(&self, error: storage::Error) -> Status {
        crate::refusal::of_object(error, &self.entry, &self.info.name)
    }

    /// The namespace of the objects, empty where the resource has none.
    pub fn namespace(&self) -> &str {
        if self.entry.row.namespaced { &self.info.namespace } else { "" }
    }

    /// The store's key of the object that the path names.
    pub fn key(&self) -> String {
        self.entry.key(&self.info.namespace, &self.info.name)
    }
}

/// The kind of the options of a verb, for refusals of them.
pub fn options_kind(verb: &str) -> &'static str {
    match verb {
        "create" => "CreateOptions",
        "update" => "UpdateOptions",
        "patch" => "PatchOptions",
        "delete" | "deletecollection" => "DeleteOptions",
        _ => "ListOptions",
    }
}
