//! Tokens of other issuers, of a file and of a webhook, against small servers of the test's own.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::{Value, json};

use crate::cluster::{Answer, Client, Cluster};
use crate::outside::Outside;

const WHO: &str = "/apis/authentication.k8s.io/v1/selfsubjectreviews";

/// Signs tokens as an issuer does.
struct Signer {
    id: String,
    pair: EcdsaKeyPair,
}

impl Signer {
    fn new(id: &str) -> Self {
        let random = SystemRandom::new();
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let pair =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref(), &random).unwrap();
        Self { id: id.to_owned(), pair }
    }

    fn jwk(&self) -> Value {
        let (x, y) = self.pair.public_key().as_ref()[1..].split_at(32);
        let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        json!({"kty": "EC", "crv": "P-256", "kid": self.id, "x": encode(x), "y": encode(y)})
    }

    fn token(&self, claims: &Value) -> String {
        let header = json!({"alg": "ES256", "kid": self.id}).to_string();
        let encode = |text: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(text);
        let signed = format!("{}.{}", encode(header.as_bytes()), encode(claims.to_string().as_bytes()));
        let mac = self.pair.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", encode(mac.as_ref()))
    }
}

fn claims(issuer: &str, more: Value) -> Value {
    let mut claims = json!({
        "iss": issuer, "sub": "jane", "aud": ["cluster"], "exp": jiff::Timestamp::now().as_second() + 600,
        "groups": ["dev"], "jti": "t-1",
    });
    for (key, value) in more.as_object().unwrap() {
        claims[key] = value.clone();
    }
    claims
}

/// An issuer whose keys can be changed, and how often they were asked for.
async fn issuer(keys: Arc<parking_lot::Mutex<Vec<Value>>>) -> (Outside, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = asked.clone();
    let outside = Outside::start(move |path, _, url| match path {
        "/.well-known/openid-configuration" => {
            Some(json!({"issuer": url, "jwks_uri": format!("{url}/keys")}))
        }
        "/keys" => {
            counted.fetch_add(1, Ordering::SeqCst);
            Some(json!({"keys": *keys.lock()}))
        }
        _ => None,
    })
    .await;
    (outside, asked)
}

async fn ask_as(client: &Client, token: &str) -> Answer {
    let headers = [("authorization", &*format!("Bearer {token}")), ("content-type", "application/json")];
    let review = json!({"kind": "SelfSubjectReview", "apiVersion": "authentication.k8s.io/v1"});
    client.ask(http::Method::POST, WHO, &headers, review.to_string()).await
}

/// Who the server takes the bearer for; the code of a refusal.
async fn who(client: &Client, token: &str) -> String {
    let answer = ask_as(client, token).await;
    match answer.code {
        201 => {
            let user = answer.json()["status"]["userInfo"].clone();
            format!("{} {} {}", user["username"], user["groups"], user["extra"])
        }
        code => code.to_string(),
    }
}

const JANE: &str = r#""oidc:jane" ["dev","system:authenticated"] {"authentication.kubernetes.io/credential-id":["JTI=t-1"]}"#;

fn configuration(issuers: &[&Outside]) -> String {
    let jwt: Vec<Value> = issuers
        .iter()
        .map(|issuer| {
            json!({
                "issuer": {"url": issuer.url, "audiences": ["cluster"], "certificateAuthority": issuer.authority},
                "claimMappings": {
                    "username": {"expression": "'oidc:' + claims.sub"},
                    "groups": {"claim": "groups", "prefix": ""},
                },
                "userValidationRules": [{
                    "expression": "!user.username.endsWith('root')", "message": "no roots",
                }],
            })
        })
        .collect();
    json!({"apiVersion": "apiserver.config.k8s.io/v1", "kind": "AuthenticationConfiguration", "jwt": jwt})
        .to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_of_other_issuers_are_believed_while_their_keys_change() {
    let signer = Signer::new("one");
    let keys = Arc::new(parking_lot::Mutex::new(vec![signer.jwk()]));
    let (issuer_one, asked) = issuer(keys.clone()).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("authentication.yaml");
    std::fs::write(&file, configuration(&[&issuer_one])).unwrap();
    let flag = format!("--authentication-config={}", file.display());
    let cluster = Cluster::start_with(&[&flag]).await;
    let client = cluster.stranger().await;
    let url = issuer_one.url.as_str();

    let token = signer.token(&claims(url, json!({})));
    for _ in 0..20 {
        assert_eq!(who(&client, &token).await, JANE);
    }
    for number in 0..20 {
        let token = signer.token(&claims(url, json!({"jti": number.to_string()})));
        assert_eq!(ask_as(&client, &token).await.code, 201);
    }
    assert_eq!(asked.load(Ordering::SeqCst), 1, "keys are not fetched for each request");
    for wrong in [
        json!({"exp": 1}),
        json!({"aud": "another"}),
        json!({"sub": "root"}),
        json!({"iss": "https://127.0.0.1:1"}),
    ] {
        assert_eq!(who(&client, &signer.token(&claims(url, wrong))).await, "401");
    }
    let review = json!({"spec": {"token": signer.token(&claims(url, json!({"sub": "root"})))}});
    let admin = cluster.admin().await;
    let answer = admin.post("/apis/authentication.k8s.io/v1/tokenreviews", &review).await.ok();
    let error = answer["status"]["error"].as_str().unwrap();
    assert!(error.contains("no roots"), "{error}");

    // A new key: the first token that names it makes the server ask again, after a while.
    let next = Signer::new("two");
    keys.lock().push(next.jwk());
    let token = next.token(&claims(url, json!({})));
    testkit::eventually(|| async {
        match who(&client, &token).await {
            seen if seen == JANE => Ok(()),
            seen => Err(seen),
        }
    })
    .await;
    assert_eq!(asked.load(Ordering::SeqCst), 2);

    // Another issuer joins, without a restart.
    let other = Signer::new("other");
    let (issuer_two, _) = issuer(Arc::new(parking_lot::Mutex::new(vec![other.jwk()]))).await;
    let token = other.token(&claims(&issuer_two.url, json!({})));
    assert_eq!(who(&client, &token).await, "401");
    std::fs::write(&file, configuration(&[&issuer_one, &issuer_two])).unwrap();
    testkit::eventually(|| async {
        match who(&client, &token).await {
            seen if seen == JANE => Ok(()),
            seen => Err(seen),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_and_a_webhook_know_tokens_and_audiences() {
    let questions = Arc::new(parking_lot::Mutex::new(Vec::<Value>::new()));
    let seen = questions.clone();
    let webhook = Outside::start(move |_, question, _| {
        seen.lock().push(question.clone());
        Some(match question["spec"]["token"].as_str() {
            Some("good") => json!({"kind": "TokenReview", "apiVersion": "authentication.k8s.io/v1",
                "status": {"authenticated": true,
                    "user": {"username": "hook", "uid": "7", "groups": ["ops"], "extra": {"k": ["v"]}}}}),
            _ => json!({"status": {"authenticated": false, "error": "who is this"}}),
        })
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let tokens = folder.path().join("tokens.csv");
    std::fs::write(&tokens, "filed,clerk,3,\"desk,hall\"\n").unwrap();
    let kubeconfig = webhook.kubeconfig(folder.path());
    let cluster = Cluster::start_with(&[
        &format!("--token-auth-file={}", tokens.display()),
        &format!("--authentication-token-webhook-config-file={kubeconfig}"),
        "--authentication-token-webhook-version=v1",
    ])
    .await;
    let client = cluster.stranger().await;
    assert_eq!(who(&client, "filed").await, r#""clerk" ["desk","hall","system:authenticated"] null"#);
    for _ in 0..5 {
        assert_eq!(who(&client, "good").await, r#""hook" ["ops","system:authenticated"] {"k":["v"]}"#);
        assert_eq!(who(&client, "bad").await, "401");
    }
    let asked = questions.lock().clone();
    let good = asked.iter().filter(|question| question["spec"]["token"] == "good").count();
    assert_eq!(good, 1, "answers are remembered");
    assert_eq!(asked[0]["apiVersion"], "authentication.k8s.io/v1");
    assert_eq!(asked[0]["spec"]["audiences"], json!(["https://kubernetes.default.svc.cluster.local"]));
    assert!(asked.iter().all(|question| question["spec"]["token"] != "filed"), "the file knew it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_use_of_a_secrets_token_is_written_down() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin().await;
    let namespace = "/api/v1/namespaces/default";
    let account = json!({"metadata": {"name": "robot"}});
    let account = admin.post(&format!("{namespace}/serviceaccounts"), &account).await.ok();
    let signer = Signer { id: String::new(), pair: own_key(&cluster) };
    let token = signer.token(&json!({
        "iss": "kubernetes/serviceaccount", "sub": "system:serviceaccount:default:robot",
        "kubernetes.io/serviceaccount/namespace": "default",
        "kubernetes.io/serviceaccount/secret.name": "robot-token",
        "kubernetes.io/serviceaccount/service-account.name": "robot",
        "kubernetes.io/serviceaccount/service-account.uid": account["metadata"]["uid"],
    }));
    let secret = json!({
        "metadata": {"name": "robot-token", "annotations": {"kubernetes.io/service-account.name": "robot"}},
        "type": "kubernetes.io/service-account-token", "stringData": {"token": token},
    });
    admin.post(&format!("{namespace}/secrets"), &secret).await.ok();
    let robot = cluster.stranger().await;
    assert_eq!(ask_as(&robot, &token).await.code, 201);
    let path = format!("{namespace}/secrets/robot-token");
    testkit::eventually(|| async {
        let found = admin.get(&path).await.ok()["metadata"]["labels"].clone();
        let used = found["kubernetes.io/legacy-token-last-used"].as_str().is_some_and(|day| day.len() == 10);
        if used { Ok(()) } else { Err(found) }
    })
    .await;
    // What keeps the record of it comes back when it is taken away.
    let since =
        "/api/v1/namespaces/kube-system/configmaps/kube-apiserver-legacy-service-account-token-tracking";
    admin.delete(since).await.ok();
    testkit::eventually(|| async {
        let answer = admin.get(since).await;
        if answer.code == 200 { Ok(()) } else { Err(answer.code) }
    })
    .await;
}

/// The key that the server's own tokens are checked by.
fn own_key(cluster: &Cluster) -> EcdsaKeyPair {
    let pem = std::fs::read(cluster.file("sa.key")).unwrap();
    let key = PrivateKeyDer::from_pem_slice(&pem).unwrap();
    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key.secret_der(), &SystemRandom::new())
        .unwrap()
}
