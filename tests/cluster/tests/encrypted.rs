//! PostgreSQL that is spoken to by TLS alone: who vouches for it, and what is said where nobody does.

use lote_cluster_tests::{Encrypted, Postgres};
use lote_gateway::Gateway;
use serde_json::{Value, json};

async fn start(url: &str, folder: &std::path::Path) -> Result<Gateway, String> {
    let blobs = format!("file://{}", folder.display());
    let builder = Gateway::builder().key("sk-test").shared(url, &blobs);
    builder.start().await.map_err(|error| format!("{error} {error:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_is_spoken_to_by_tls_that_its_authority_vouches_for() {
    let Some(Encrypted { postgres, authority, other }) = Postgres::encrypted() else { return };
    // An error says that another test was faster.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let folder = tempfile::tempdir().unwrap();
    let url = |host: &str, parameters: &str| {
        format!("postgres://lote:hunter22@{host}:{}/postgres?{parameters}", postgres.port())
    };
    let ours = authority.display();
    for parameters in [format!("sslrootcert={ours}"), format!("sslmode=verify-full&sslrootcert={ours}")] {
        let gateway = start(&url("localhost", &parameters), folder.path()).await.unwrap();
        let file = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
        let asked = reqwest::Client::new().post(format!("{}/v1/chat/completions", gateway.url()));
        let answer: Value = asked.bearer_auth("sk-test").json(&file).send().await.unwrap().json().await.unwrap();
        assert!(answer["choices"][0]["message"]["content"].is_string(), "{answer}");
        // The connections are encrypted.
        let used = postgres.sql_at(&url("localhost", &format!("sslmode=require&sslrootcert={ours}")), USED);
        assert!(!used.is_empty() && used.lines().all(|line| line == "t"), "{used}");
        gateway.shutdown().await;
    }
    for (host, parameters, why) in [
        // Of another authority, of none that the machine knows, for another name, and without any.
        ("localhost", format!("sslrootcert={}", other.display()), "sslrootcert=FILE in its URL"),
        ("localhost", "sslmode=require".to_owned(), "sslrootcert=FILE in its URL"),
        ("127.0.0.1", format!("sslrootcert={ours}"), "sslrootcert=FILE in its URL"),
        ("localhost", "sslmode=disable".to_owned(), "no encryption"),
        ("localhost", "sslrootcert=/nowhere.pem".to_owned(), "sslrootcert /nowhere.pem: "),
    ] {
        let told = start(&url(host, &parameters), folder.path()).await.expect_err(&parameters);
        assert!(told.contains(why) && !told.contains("hunter22"), "{parameters}: {told}");
    }
}

/// Of each connection of a gateway whether it is encrypted.
const USED: &str =
    "SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'lote-gateway'";
