//! The rules of the gateway's state by name, each by a scenario that would break without it.

use std::sync::{Arc, LazyLock, Weak};
use std::time::Duration;

use lote_cluster_tests::consistency::{Kind, Place, Report, Scenario, Servers, lote, run};
use tokio::runtime::Runtime;
use tokio::sync::Mutex;

/// The S3 server serves on, whichever test started it.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());

/// The servers of the tests that run at this moment: what nobody uses is stopped, since no static is ever dropped.
static SERVERS: Mutex<Weak<Servers>> = Mutex::const_new(Weak::new());

/// Where the state is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    Data,
    Shared,
}

/// Servers that this scenario shares with others; or of its own, where it lets the database crash. None where PostgreSQL
/// is not installed.
async fn servers(kind: Kind) -> Option<Arc<Servers>> {
    if kind == Kind::Crash {
        return Servers::start().await;
    }
    let mut running = SERVERS.lock().await;
    if let Some(servers) = running.upgrade() {
        return Some(servers);
    }
    let servers = RUNTIME.spawn(Servers::start()).await.unwrap()?;
    *running = Arc::downgrade(&servers);
    Some(servers)
}

/// Runs a scenario, and fails where a promise was broken or nothing of the plan has happened. None where it cannot run.
async fn kept(at: At, kind: Kind, plan: &str, stop_for: Option<Duration>) -> Option<Report> {
    if !lote().is_file() {
        eprintln!("skipped: {} is not there", lote().display());
        assert!(
            std::env::var_os("CI").is_none(),
            "build it: cargo build --workspace --features lote-cli/full --bin lote --test full"
        );
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let place = match at {
        At::Data => Place::Folder(folder.path().join("data")),
        At::Shared => servers(kind).await?.place(None),
    };
    let plan = (!plan.is_empty()).then(|| plan.to_owned());
    let report = run(Scenario { place, kind, plan, folder: folder.path().to_owned(), stop_for }).await;
    assert!(report.violations.is_empty(), "{}\n{}", report.violations.join("\n"), report.logs);
    assert!(report.is_hit, "no point of the plan was passed");
    Some(report)
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_1_a_commit_whose_answer_is_lost() {
    for at in [At::Data, At::Shared] {
        // Found out at once, and after it could not be found out for a while.
        for plan in ["create_batch.commit.after=2:lost", "create_batch.commit.after=1:lost;withdraw.before=1:error"] {
            let Some(report) = kept(at, Kind::Plain, plan, None).await else { return };
            assert_eq!(report.refused, 0, "it was made: {plan}");
        }
        // Several times: of the clients some do not wait for their answers.
        let times = |point: &str, action: &str| {
            (1..=5).map(|nth| format!("{point}={nth}:{action}")).collect::<Vec<_>>().join(";")
        };
        // Not made, and said so.
        let plan =
            format!("{};{}", times("create_batch.before", "error"), times("create_batch.commit.before", "error"));
        assert!(kept(at, Kind::Plain, &plan, None).await.unwrap().refused > 0);
        // Never found out: the client is left without an answer.
        let plan = format!("{};withdraw.before=1+:error", times("create_batch.commit.after", "lost"));
        let report = kept(at, Kind::Plain, &plan, None).await.unwrap();
        assert_eq!(report.refused, 0, "nobody knew");
        assert!(report.unknown > 3, "a client was told what nobody knew");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_2_answers_are_recorded_as_they_come() {
    for at in [At::Data, At::Shared] {
        let Some(report) = kept(at, Kind::Kill, "", None).await else { return };
        assert!(report.deaths > 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_3_ids_survive_a_restart() {
    // Idempotency keys of lines that are sent again are compared, and those of all lines told apart.
    let plan = "send.after=6:kill";
    let Some(report) = kept(At::Data, Kind::Plain, plan, None).await else { return };
    assert!(report.deaths == 1 && report.surplus > 0, "nothing was sent again");
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_4_shutdown_deletes_nothing() {
    for at in [At::Data, At::Shared] {
        let Some(report) = kept(at, Kind::Term, "", None).await else { return };
        assert_eq!(report.surplus, 0, "what was in flight was waited for");
        kept(at, Kind::TermTwice, "", None).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_5_a_dead_process_that_wakes_and_claims() {
    for plan in ["claim.before=4:stop", "claim.execute=2:stop", "send.before=3:stop", "record.before=2:stop"] {
        let Some(report) = kept(At::Shared, Kind::Plain, plan, None).await else { return };
        assert!(report.stops > 0);
    }
    // It works, and its heartbeats do not come through.
    kept(At::Shared, Kind::Plain, "heartbeat.before=1+:error", None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_6_a_process_that_stops_inside_a_transaction() {
    for plan in ["record.commit.before=2:stop", "claim.commit.before=3:stop", "create_batch.commit.before=1:stop"] {
        let Some(report) = kept(At::Shared, Kind::Plain, plan, Some(Duration::from_secs(9))).await else { return };
        assert!(report.stops > 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_7_the_last_two_slices_at_once() {
    // Each of two processes holds its commits back, so that they overtake each other.
    let plan = (1..40).map(|nth| format!("record.commit.before={nth}:pause:{}", nth * 7 % 60)).collect::<Vec<_>>();
    kept(At::Shared, Kind::Plain, &plan.join(";"), None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_8_a_claim_sees_what_was_committed_while_it_waited() {
    kept(At::Shared, Kind::Stop, "claim.begin=2+:pause:30", None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_9_a_record_that_is_tried_again_counts_once() {
    for at in [At::Data, At::Shared] {
        let plan = "record.commit.after=2:lost;record.after=4:lost;record.commit.after=6:lost";
        let Some(report) = kept(at, Kind::Plain, plan, None).await else { return };
        assert_eq!(report.surplus, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_10_counts_are_those_of_the_files() {
    for at in [At::Data, At::Shared] {
        kept(at, Kind::Expiry, "finish.commit.before=1:kill", None).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_11_lists_never_skip() {
    for at in [At::Data, At::Shared] {
        let plan = "create_batch.commit.before=2:pause:700;create_batch.begin=4:pause:300;create_batch.commit.before=6:pause:500";
        kept(at, Kind::Plain, plan, None).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_12_work_that_kills_its_process() {
    let Some(report) = kept(At::Data, Kind::Poison, "", None).await else { return };
    assert!((4..=6).contains(&report.deaths), "{} deaths", report.deaths);
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_13_a_rotated_key() {
    // Every scenario repeats a create, and reads the lists, with another key of the same account.
    kept(At::Data, Kind::Plain, "create_batch.after=1:kill", None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_14_bytes_go_before_rows() {
    for at in [At::Data, At::Shared] {
        for plan in ["blob.finish.after=2:lost", "blob.finish.before=3:kill", "blob.write.before=2:error"] {
            if kept(at, Kind::Plain, plan, None).await.is_none() {
                return;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_full_for_a_while() {
    let Some(report) = kept(At::Data, Kind::Full, "", None).await else { return };
    assert!(report.troubles > 0, "it was never full");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_crashes_and_comes_back() {
    let Some(report) = kept(At::Shared, Kind::Crash, "", None).await else { return };
    assert!(report.troubles > 0, "nobody noticed");
}
