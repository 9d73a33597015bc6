//! Transactions of PostgreSQL, and connections that break.

use std::time::Duration;

use lote_cluster_tests::{Fault, Postgres, Proxy};
use lote_gateway::trial::{Database, Failure, Value};
use tokio::time::timeout;

/// A table of its own.
const TABLE: &str = "CREATE TABLE t (id TEXT PRIMARY KEY, n BIGINT, b BYTEA)";

async fn database(url: &str) -> Database {
    let database = Database::connect(url).await.unwrap();
    database.run(&["CREATE TABLE IF NOT EXISTS t (id TEXT PRIMARY KEY, n BIGINT, b BYTEA)"]).await.unwrap();
    database
}

/// The ids that are in the table.
async fn ids(database: &Database) -> Vec<String> {
    let mut begun = database.begin(true).await.unwrap();
    let rows = begun.query("SELECT id FROM t ORDER BY id", Vec::new()).await.unwrap();
    rows.into_iter().map(|row| if let Value::Text(id) = &row[0] { id.clone() } else { panic!("{row:?}") }).collect()
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn values_come_back_as_they_were() {
    let Some(postgres) = Postgres::start() else { return };
    let database = database(&postgres.url()).await;
    let bytes: Vec<u8> = (0..=255).collect();
    for (id, n, b) in [
        ("plain", Value::Int(i64::MAX), Value::Bytes(bytes)),
        ("ünï\u{1f600}", Value::Int(i64::MIN), Value::Bytes(Vec::new())),
        ("", Value::Null, Value::Null),
    ] {
        let mut begun = database.begin(false).await.unwrap();
        let insert = "INSERT INTO t (id, n, b) VALUES ($1, $2, $3)";
        assert_eq!(begun.execute(insert, vec![text(id), n.clone(), b.clone()]).await.unwrap(), 1);
        let rows = begun.query("SELECT n, b, id, NULL FROM t WHERE id = $1", vec![text(id)]).await.unwrap();
        assert_eq!(rows, [vec![n, b, text(id), Value::Null]]);
        begun.commit().await.unwrap();
    }
    let mut begun = database.begin(true).await.unwrap();
    let sums = "SELECT sum(CASE WHEN n > 0 THEN 123456789 ELSE 0 END), sum(n % 1000 * 100000000), count(*), max(n) < 0, \
                coalesce($1, 'x'), sum(n) FILTER (WHERE n IS NULL) FROM t";
    let rows = begun.query(sums, vec![Value::Null]).await.unwrap();
    let sum = (i64::MAX % 1000 + i64::MIN % 1000) * 100_000_000;
    let want = [Value::Int(123_456_789), Value::Int(sum), Value::Int(3), Value::Int(0), text("x"), Value::Null];
    assert_eq!(rows, [want]);
    // No text has a NUL, so there is none with this id; and it is no error.
    assert!(begun.query("SELECT 1 FROM t WHERE id = $1", vec![text("pl\0ain")]).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_dropped_leaves_nothing() {
    let Some(postgres) = Postgres::start() else { return };
    let database = database(&postgres.url()).await;
    for round in 0..30 {
        let mut begun = database.begin(round % 2 == 0).await.unwrap();
        begun.execute("INSERT INTO t (id) VALUES ('dropped')", Vec::new()).await.unwrap();
        match round % 3 {
            0 => {}
            // In the middle of a statement.
            1 => assert!(
                timeout(Duration::from_millis(5), begun.query("SELECT pg_sleep(0.2)::text", Vec::new())).await.is_err()
            ),
            _ => {
                let refused = begun.execute("INSERT INTO t (id) VALUES ('dropped')", Vec::new()).await.unwrap_err();
                assert!(matches!(&refused, Failure::NotDone(said) if said.contains("23505")), "{refused:?}");
                // What has failed cannot be used, nor committed.
                assert!(matches!(begun.query("SELECT 1", Vec::new()).await, Err(Failure::NotDone(_))));
                if round % 2 == 0 {
                    assert!(matches!(begun.commit().await, Err(Failure::NotDone(_))));
                }
            }
        }
    }
    assert!(ids(&database).await.is_empty());
    database.run(&["INSERT INTO t (id) VALUES ('kept')"]).await.unwrap();
    assert_eq!(ids(&database).await, ["kept"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_answer_is_lost_is_unknown() {
    let Some(postgres) = Postgres::start() else { return };
    let direct = database(&postgres.url()).await;
    let proxy = Proxy::before(postgres.port()).await;
    let database = database(&proxy.postgres()).await;
    for (id, fault) in [("sent", Fault::After("COMMIT")), ("not-sent", Fault::Before("COMMIT"))] {
        let mut begun = database.begin(true).await.unwrap();
        begun.execute("INSERT INTO t (id) VALUES ($1)", vec![text(id)]).await.unwrap();
        proxy.fault(fault);
        let lost = begun.commit().await.unwrap_err();
        assert!(matches!(lost, Failure::Unknown(_)), "{lost:?}");
        assert!(proxy.has_failed());
        assert_eq!(ids(&direct).await, ["sent"]);
    }
    // The same ids again: that is how it is found out.
    let mut begun = database.begin(true).await.unwrap();
    for (id, rows) in [("sent", 0), ("not-sent", 1)] {
        let insert = "INSERT INTO t (id) VALUES ($1) ON CONFLICT DO NOTHING";
        assert_eq!(begun.execute(insert, vec![text(id)]).await.unwrap(), rows);
    }
    begun.commit().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_connection_before_the_commit_has_done_nothing() {
    let Some(postgres) = Postgres::start() else { return };
    let direct = database(&postgres.url()).await;
    let proxy = Proxy::before(postgres.port()).await;
    let database = database(&proxy.postgres()).await;
    for after in [false, true] {
        let mut begun = database.begin(false).await.unwrap();
        proxy.fault(if after { Fault::After("INSERT") } else { Fault::Before("INSERT") });
        let lost = begun.execute("INSERT INTO t (id) VALUES ('lost')", Vec::new()).await.unwrap_err();
        assert!(matches!(lost, Failure::NotDone(_)), "{lost:?}");
        assert!(matches!(begun.commit().await, Err(Failure::NotDone(_))));
    }
    // Cut while they are in their pools: whoever begins notices nothing.
    for _ in 0..3 {
        let held = [database.begin(false).await.unwrap(), database.begin(false).await.unwrap()];
        for begun in held {
            begun.commit().await.unwrap();
        }
        proxy.cut();
        database.run(&["SELECT 1"]).await.unwrap();
        database.begin(false).await.unwrap().commit().await.unwrap();
    }
    assert!(ids(&direct).await.is_empty());
}

/// Ends all connections but the one that asks.
const TERMINATE: &str = "SELECT pg_terminate_backend(pid)::int FROM pg_stat_activity \
                         WHERE pid <> pg_backend_pid() AND application_name = 'lote-gateway'";

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_ends_connections_is_survived() {
    let Some(postgres) = Postgres::start() else { return };
    let database = database(&postgres.url()).await;
    let other = Database::connect(&postgres.url()).await.unwrap();
    let mut begun = database.begin(true).await.unwrap();
    begun.execute("INSERT INTO t (id) VALUES ('ended')", Vec::new()).await.unwrap();
    other.begin(true).await.unwrap().query(TERMINATE, Vec::new()).await.unwrap();
    // COMMIT may have been sent before its end was heard of.
    let ended = begun.commit().await.unwrap_err();
    assert!(matches!(ended, Failure::NotDone(_) | Failure::Unknown(_)), "{ended:?}");
    assert!(ids(&database).await.is_empty());

    postgres.crash();
    let gone = database.begin(true).await.unwrap_err();
    assert!(matches!(gone, Failure::NotDone(_)), "{gone:?}");
    postgres.run();
    database.run(&["INSERT INTO t (id) VALUES ('again')"]).await.unwrap();
    postgres.crash();
    postgres.run();
    assert_eq!(ids(&database).await, ["again"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_stops_in_a_transaction_loses_its_locks() {
    let Some(postgres) = Postgres::start() else { return };
    let stopped = database(&postgres.url()).await;
    let other = Database::connect(&postgres.url()).await.unwrap();
    other.run(&["INSERT INTO t (id, n) VALUES ('row', 0)"]).await.unwrap();
    let add = "UPDATE t SET n = n + 1 WHERE id = 'row'";
    let mut begun = stopped.begin(true).await.unwrap();
    begun.execute(add, Vec::new()).await.unwrap();
    // 3 seconds for a lock, and after 5 it is free.
    let waited = other.run(&[add]).await.unwrap_err();
    assert!(matches!(&waited, Failure::NotDone(said) if said.contains("55P03")), "{waited:?}");
    other.run(&[add]).await.unwrap();
    let late = begun.commit().await.unwrap_err();
    assert!(matches!(late, Failure::NotDone(_) | Failure::Unknown(_)), "{late:?}");
    let rows = other.begin(true).await.unwrap().query("SELECT n FROM t", Vec::new()).await.unwrap();
    assert_eq!(rows, [[Value::Int(1)]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_that_wait_for_each_other_both_come_through() {
    let Some(postgres) = Postgres::start() else { return };
    let database = database(&postgres.url()).await;
    database.run(&["INSERT INTO t (id, n) VALUES ('a', 0), ('b', 0)"]).await.unwrap();
    let (a, b) = ("UPDATE t SET n = n + 1 WHERE id = 'a'", "UPDATE t SET n = n + 1 WHERE id = 'b'");
    let (mut one, mut two) = (database.begin(true).await.unwrap(), database.begin(true).await.unwrap());
    one.execute(a, Vec::new()).await.unwrap();
    two.execute(b, Vec::new()).await.unwrap();
    let met = tokio::join!(one.execute(b, Vec::new()), two.execute(a, Vec::new()));
    let failed = met.0.err().or(met.1.err()).unwrap();
    assert!(matches!(failed, Failure::Collision(_)), "{failed:?}");
    drop((one, two));

    let rest = "SELECT pg_sleep(0.01)::text";
    for _ in 0..10 {
        let (forth, back) = ([a, rest, b], [b, rest, a]);
        let (one, two) = tokio::join!(database.run(&forth), database.run(&back));
        one.unwrap();
        two.unwrap();
    }
    let rows = database.begin(true).await.unwrap().query("SELECT sum(n) FROM t", Vec::new()).await.unwrap();
    assert_eq!(rows, [[Value::Int(40)]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_of_clients_leave_the_work_its_connections() {
    let Some(postgres) = Postgres::start() else { return };
    let database = database(&postgres.url()).await;
    let mut held = Vec::new();
    let full = loop {
        match database.begin(false).await {
            Ok(begun) => held.push(begun),
            Err(full) => break full,
        }
    };
    assert!(matches!(full, Failure::NotDone(_)), "{full:?}");
    database.run(&["INSERT INTO t (id) VALUES ('work')"]).await.unwrap();
    held.pop();
    database.begin(false).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_says_nothing_is_not_waited_for() {
    let Some(postgres) = Postgres::start() else { return };
    let proxy = Proxy::before(postgres.port()).await;
    let database = database(&proxy.postgres()).await;
    proxy.fault(Fault::Silence);
    for is_work in [true, false] {
        let silent = database.begin(is_work).await.unwrap_err();
        assert!(matches!(silent, Failure::NotDone(_)), "{silent:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_changes_does_not_stop_old_statements() {
    let Some(postgres) = Postgres::start() else { return };
    let (database, other) = (database(&postgres.url()).await, Database::connect(&postgres.url()).await.unwrap());
    database.run(&["SELECT * FROM t"]).await.unwrap();
    other.run(&["ALTER TABLE t ADD COLUMN more BIGINT"]).await.unwrap();
    database.run(&["SELECT * FROM t"]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn its_time_is_the_database_s_and_its_settings_are_ours() {
    let Some(postgres) = Postgres::start() else { return };
    let first = Database::connect(&postgres.url()).await.unwrap();
    first.run(&["ALTER ROLE lote SET synchronous_commit = off", TABLE]).await.unwrap();
    first.run(&["ALTER ROLE lote SET default_transaction_isolation = serializable"]).await.unwrap();
    let database = Database::connect(&postgres.url()).await.unwrap();
    let mut begun = database.begin(true).await.unwrap();
    let now_ms = "SELECT (extract(epoch FROM transaction_timestamp()) * 1000)::BIGINT";
    let Value::Int(told) = begun.query(now_ms, Vec::new()).await.unwrap()[0][0] else { panic!("no time") };
    assert!((0..1000).contains(&(begun.now_ms() - told)), "{told} {}", begun.now_ms());
    let settings = "SELECT current_setting('synchronous_commit'), current_setting('lock_timeout'), \
                    current_setting('statement_timeout'), current_setting('idle_in_transaction_session_timeout'), \
                    current_setting('transaction_isolation')";
    let rows = begun.query(settings, Vec::new()).await.unwrap();
    assert_eq!(rows, [["on", "3s", "15s", "5s", "read committed"].map(text)]);
}

#[tokio::test]
async fn what_is_no_database_is_refused_without_the_password() {
    for url in ["postgres://me:hush@127.0.0.1:1/x", "postgres://me:hu/sh@127.0.0.1/x"] {
        let error = Database::connect(url).await.unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hu"), "{error:?}");
    }
}
