//! The program of the guide's page "rescue": lines that are sent one by one, because there are no batches or no time for them.
//! It runs against an embedded gateway whose clock is virtual. `cargo run --example rescue`

#![expect(clippy::print_stdout, reason = "printing is what an example does")]

use std::{error::Error, time::Duration};

use lote::{
    Client,
    request::{ChatCompletion, RequestFile},
    run::{Pace, Progress, Run},
};
use lote_gateway::Gateway;

const HOUR: Duration = Duration::from_secs(60 * 60);

#[tokio::main]
pub(crate) async fn main() -> Result<(), Box<dyn Error>> {
    let place = tempfile::tempdir()?;
    let (now, tonight) = (place.path().join("now.jsonl"), place.path().join("tonight.jsonl"));
    let gateway = Gateway::builder().virtual_clock().window(HOUR * 12).start().await?;
    let client = Client::builder().base_url(gateway.url()).api_key("any").build()?;

    let mut file = RequestFile::create(&now)?;
    for (id, text) in [("q1", "1 + 1?"), ("q2", "2 + 2?")] {
        file.push(&ChatCompletion::new("auto").user(text).line(id)?)?;
    }
    file.finish()?;

    let run = Run::new(&client, &now).synchronous(true).pace(Pace::new().max_in_flight(8).requests_per_minute(600));
    let report = run.execute().await?;
    if let Some(lines) = report.synchronous {
        println!("{} lines sent one by one, {} of them again", lines.lines, lines.sent_again);
    }
    assert!(report.all_succeeded() && report.batches.is_empty());

    // The second takes longer than the window of a batch.
    let mut file = RequestFile::create(&tonight)?;
    for (id, text) in [("q1", "1 + 1?"), ("q2", "[[sleep=80000000]] 2 + 2?")] {
        file.push(&ChatCompletion::new("auto").user(text).line(id)?)?;
    }
    file.finish()?;
    Run::new(&client, &tonight).submit().await?;
    gateway.advance(HOUR * 11).await;

    let run = Run::new(&client, &tonight).rescue_before(HOUR * 2).on_progress(|progress| match progress {
        Progress::Rescued { batch, .. } => println!("batch {batch} is stopped: its window is nearly over"),
        Progress::Rest { lines, .. } => println!("{lines} lines are left, and sent one by one"),
        _ => {}
    });
    let time_passes = async {
        loop {
            gateway.advance(HOUR / 6).await;
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let report = tokio::select! {
        report = run.execute() => report?,
        () = time_passes => unreachable!(),
    };
    for batch in &report.batches {
        println!("batch {} {}", batch.id, batch.status);
    }
    assert!(report.all_succeeded());
    assert_eq!(report.synchronous.map(|lines| lines.lines), Some(1));
    Ok(())
}
