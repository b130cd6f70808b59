//! An error with all its causes on one line, for logs: "client error (Connect)" alone says nothing.

use std::error::Error;

/// Shows an error and, after colons, each cause that the text before does not hold already. What the API server
/// refused is shown in its own words.
pub fn whole(error: &(dyn Error + 'static)) -> String {
    let mut said = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        next = error.source();
        let text = match error.downcast_ref::<kube::Error>() {
            Some(kube::Error::Api(status)) => {
                next = None;
                if status.message.is_empty() {
                    format!("{} ({})", status.reason, status.code)
                } else {
                    status.message.clone()
                }
            }
            // Their own text is the name of the variant before that of the cause.
            Some(kube::Error::Service(_) | kube::Error::HyperError(_)) if next.is_some() => continue,
            _ => error.to_string(),
        };
        // One line in the log, whatever an answer's body held.
        let text = text.lines().map(str::trim).collect::<Vec<_>>().join(" ");
        if said.contains(&text) {
            continue;
        }
        if !said.is_empty() {
            said.push_str(": ");
        }
        said.push_str(&text);
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot write the lease")]
    struct Outer(#[source] kube::Error);

    fn check(error: kube::Error, shown: &str) {
        assert_eq!(whole(&Outer(error)), format!("cannot write the lease: {shown}"));
    }

    #[test]
    fn every_cause_is_said_once_and_a_refusal_in_the_servers_words() {
        let refused =
            std::io::Error::new(std::io::ErrorKind::ConnectionRefused, "Connection refused\n(os error 111)");
        check(kube::Error::Service(Box::new(refused)), "Connection refused (os error 111)");
        let status = serde_json::json!({"status": "Failure", "message": "pods \"web\" not found", "reason": "NotFound", "code": 404});
        let status: kube::core::Status = serde_json::from_value(status).unwrap();
        check(kube::Error::Api(Box::new(status)), "pods \"web\" not found");
        let unreadable = serde_json::from_str::<u8>("x").unwrap_err();
        check(
            kube::Error::SerdeError(unreadable),
            "Error deserializing response: expected value at line 1 column 1",
        );
    }
}
