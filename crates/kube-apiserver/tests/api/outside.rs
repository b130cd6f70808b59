//! Small HTTPS servers of the tests' own, which the server under test calls.

use std::path::Path;

use serde_json::{Value, json};
use testkit::HttpsServer;
use testkit::https_server::Answer;

/// A server on 127.0.0.1 that answers JSON; it ends with the test.
pub struct Outside {
    /// `https://127.0.0.1:port`
    pub url: String,
    /// Whose certificate it has, in PEM.
    pub authority: String,
    _server: HttpsServer,
}

impl Outside {
    /// Answers by a function of the path, the body and its own URL; `None` is 404.
    pub async fn start(answer: impl Fn(&str, &Value, &str) -> Option<Value> + Send + Sync + 'static) -> Self {
        let server = HttpsServer::start(&["localhost"], move |asked| {
            answer(asked.path(), &asked.json(), &asked.url).map_or(Answer::NotFound, Answer::Json)
        });
        let server = server.await.unwrap();
        Self { url: server.url.clone(), authority: server.authority.clone(), _server: server }
    }

    /// Writes a kubeconfig that names the server, and gives its path.
    pub fn kubeconfig(&self, folder: &Path) -> String {
        let authority = folder.join("outside-ca.crt");
        std::fs::write(&authority, &self.authority).unwrap();
        let path = folder.join("outside.kubeconfig");
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "outside",
            "clusters": [{"name": "outside", "cluster": {"server": self.url, "certificate-authority": authority}}],
            "users": [{"name": "api", "user": {"token": "of-the-server"}}],
            "contexts": [{"name": "outside", "context": {"cluster": "outside", "user": "api"}}],
        });
        std::fs::write(&path, config.to_string()).unwrap();
        path.display().to_string()
    }
}
