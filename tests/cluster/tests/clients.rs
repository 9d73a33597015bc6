//! The official clients against the command, with its state in PostgreSQL and S3, and with `LOTE_POINTS=all` schemathesis as
//! well: what they are told of a gateway in memory, they are told of this one.

use std::path::Path;
use std::process::Command;

use lote_cluster_tests::consistency::lote;
use lote_cluster_tests::{BUCKET, Postgres, S3};

/// What the script ends with when this machine has no client.
const SKIPPED: i32 = 77;

#[tokio::test(flavor = "multi_thread")]
async fn official_clients_are_content_with_a_shared_state() {
    let Some(postgres) = Postgres::start() else { return };
    let s3 = S3::start().await;
    let blobs = format!("s3://{BUCKET}/clients");
    let flags = format!(r#"["--database", "{}", "--blobs", "{blobs}"]"#, postgres.url());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../clients/run.py");
    let is_all = std::env::var("LOTE_POINTS").is_ok_and(|points| points == "all");
    for step in if is_all { &["clients", "schemathesis"][..] } else { &["clients"] } {
        let mut python = Command::new("python3");
        python.arg(&script).arg(step).arg("--lote").arg(lote());
        python.env("LOTE_CLIENTS_STATE", &flags).envs(S3::environment(s3.port()));
        let status = tokio::task::spawn_blocking(move || python.status()).await.unwrap().unwrap();
        match status.code() {
            Some(0) => {}
            Some(SKIPPED) if std::env::var_os("CI").is_none() => eprintln!("skipped: {step}"),
            code => panic!("{step} ended with {code:?}"),
        }
    }
}
