//! The program of the guide's page "parts": one input in several runs, and their results in its order.
//! It runs against an embedded gateway, whatever LOTE_API_KEY says. `cargo run --example parts`

#![expect(clippy::print_stdout, reason = "printing is what an example does")]

use std::{error::Error, fs::File, io::BufWriter};

use lote::{
    Client, Outcomes,
    request::{ChatCompletion, RequestFile},
    run::{Partition, Run, join_parts},
};
use lote_gateway::Gateway;

#[tokio::main]
pub(crate) async fn main() -> Result<(), Box<dyn Error>> {
    let place = tempfile::tempdir()?;
    let (requests, results) = (place.path().join("requests.jsonl"), place.path().join("results.jsonl"));
    let gateway = Gateway::builder().start().await?;
    let client = Client::builder().base_url(gateway.url()).api_key("any").build()?;

    let mut file = RequestFile::create(&requests)?;
    for id in ["a", "b", "c", "d", "e"] {
        file.push(&ChatCompletion::new("auto").user("1 + 1?").line(id)?)?;
    }
    file.finish()?;

    let mut folders = Vec::new();
    for part in 1..=3 {
        // Each of these could be a process of its own, on a machine of its own.
        let report = Run::new(&client, &requests).partition(Partition::new(part, 3)?).execute().await?;
        println!("{}: {} lines", report.folder.display(), report.joined.lines);
        folders.push(report.folder);
    }

    let joined = join_parts(&folders, &mut BufWriter::new(File::create(&results)?))?;
    println!("{} of {} succeeded", joined.succeeded, joined.lines);

    assert_eq!((joined.succeeded, joined.lines), (5, 5));
    let ids = Outcomes::open(&results)?.map(|outcome| Ok(outcome?.custom_id().to_owned()));
    assert_eq!(ids.collect::<Result<Vec<_>, lote::Error>>()?, ["a", "b", "c", "d", "e"]);
    Ok(())
}
