//! Who a request is from: client certificates, service-account tokens, bootstrap tokens.
