//! What becomes of a script that is interrupted or killed while it waits.

use std::{
    env,
    io::Write,
    process::{Command, Stdio},
};

use super::*;

/// What the process does that is stopped by the test below.
fn watch_until_interrupted() {
    let client = Client::from_env().expect("a client");
    let id = batch_id(&env::var("LOTE_BLOCKING_CHILD").expect("an id"));
    let wait = client.batches().wait(&id).cadence(fast()).stop_when(async {
        tokio::signal::ctrl_c().await.expect("a signal");
    });
    let mut told = false;
    let wait = wait.on_progress(|_| {
        if !std::mem::replace(&mut told, true) {
            io::stderr().write_all(b"looking\n").expect("told");
        }
    });
    let waited = wait.until_over();
    assert!(matches!(&waited, Waited::GaveUp(Some(batch)) if batch.id == id), "{waited:?}");
}

#[test]
fn a_script_that_is_interrupted_loses_nothing() {
    if env::var_os("LOTE_BLOCKING_CHILD").is_some() {
        return watch_until_interrupted();
    }
    let running = Running::new();
    let client = running.client();
    let batch = create(&client, lines(&["[[sleep=60000]]"]));
    for (signal, ends_in_order) in [("-INT", true), ("-KILL", false)] {
        let mut child = Command::new(env::current_exe().expect("this program"))
            .args(["--exact", "blocking::signals::a_script_that_is_interrupted_loses_nothing", "--nocapture"])
            .env("LOTE_BLOCKING_CHILD", batch.id.as_str())
            .env("LOTE_BASE_URL", running.gateway.url())
            .env("LOTE_API_KEY", "any")
            .env_remove("LOTE_DIALECT")
            .env_remove("LOTE_ON_BEHALF_OF")
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("a child");
        let mut said = io::BufReader::new(child.stderr.take().expect("its words")).lines();
        assert!(said.any(|line| line.expect("a line").ends_with("looking")), "it never looked");
        let sent = Command::new("kill").args([signal, &child.id().to_string()]).status().expect("a signal");
        assert!(sent.success());
        assert_eq!(child.wait().expect("its end").success(), ends_in_order);
        assert!(!client.batches().get(&batch.id).expect("the batch").is_terminal());
    }
}
