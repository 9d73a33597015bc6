//! The suite of all states over PostgreSQL.

use lote_cluster_tests::{BUCKET, Postgres, S3};
use lote_gateway::trial::{Store, state_failures};

#[tokio::test(flavor = "multi_thread")]
async fn postgresql_and_a_folder_do_what_a_state_has_to() {
    let Some(postgres) = Postgres::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let store = |name: &str| Store::open(&format!("file://{}/{name}", folder.path().display()), &[]).unwrap();
    assert_eq!(state_failures(&postgres.url(), store).await.unwrap(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn postgresql_and_s3_do_what_a_state_has_to() {
    let Some(postgres) = Postgres::start() else { return };
    let s3 = S3::start().await;
    let environment = S3::environment(s3.port());
    let environment = environment.each_ref().map(|(name, value)| (*name, value.as_str()));
    let store = |name: &str| Store::open(&format!("s3://{BUCKET}/{name}"), &environment).unwrap();
    assert_eq!(state_failures(&postgres.url(), store).await.unwrap(), [""; 0]);
}
