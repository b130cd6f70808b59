//! HTTP: connections, what requests ask for, and how answers are put.

pub mod body;
pub mod connection;
pub mod cors;
pub mod headers;
pub mod inbound;
pub mod input;
pub mod negotiate;
pub mod repeated;
pub mod request;
pub mod response;
pub mod service;

pub use body::Body;
pub use inbound::Inbound;
pub use negotiate::{Format, Negotiated, Shape};
pub use request::{Query, RequestInfo};
pub use response::Response;

/// A request as its connection hands it over.
pub type Request = http::Request<Inbound>;
