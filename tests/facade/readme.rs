//! Owns the proof that the README's Rust code runs as it is printed; never another example.

use std::{env, error::Error, fs, process::Command};

use lote_gateway::Gateway;

type Ended = Result<(), Box<dyn Error>>;

#[expect(clippy::print_stdout, reason = "what the README shows prints")]
mod as_a_library {
    // readme:begin
    use std::error::Error;

    use lote::{Client, Endpoint, UploadPurpose};

    #[tokio::main]
    async fn main() -> Result<(), Box<dyn Error>> {
        let client = Client::from_env()?;
        let input = client.files().upload("requests.jsonl", UploadPurpose::Batch).send().await?;
        let batch = client.batches().create(&input.id, Endpoint::ChatCompletions).metadata("run", "7").send().await?;

        // An error when the wait gave up or could not ask, or when the batch failed, expired or was cancelled.
        let batch = client.batches().wait(&batch.id).until_over().await.ended()?.completed()?;
        for outcome in client.batches().outcomes(&batch, "requests.jsonl").folder("answers").fetch().await? {
            let outcome = outcome?;
            match outcome.text() {
                Ok(text) => println!("{}: {text}", outcome.custom_id()),
                Err(error) => println!("{error}"),
            }
        }
        Ok(())
    }
    // readme:end

    /// Runs it in a thread without a runtime, as a program has one.
    pub(super) fn run() {
        let ended = std::thread::spawn(|| main().map_err(|error| error.to_string())).join();
        assert_eq!(ended.ok(), Some(Ok(())));
    }
}

async fn in_a_test() -> Ended {
    // readme:begin
    let gateway = lote_gateway::Gateway::builder().start().await?;
    let client = lote::Client::builder().base_url(gateway.url()).api_key("any").build()?;
    // readme:end
    assert!(client.batches().list().page().await?.data.is_empty());
    Ok(())
}

/// The code between the marks of this file, without its indentation.
fn shown() -> Vec<String> {
    let source = include_str!("readme.rs");
    let parts = source.split("    // readme:begin\n").skip(1);
    parts
        .map(|part| {
            let code = part.split("    // readme:end\n").next().unwrap_or_default();
            code.lines().map(|line| format!("{}\n", line.strip_prefix("    ").unwrap_or(line))).collect()
        })
        .collect()
}

#[test]
fn the_readme_prints_what_runs_here() {
    let readme = include_str!("../../README.md");
    let printed: Vec<&str> =
        readme.split("```rust\n").skip(1).map(|part| part.split("```").next().unwrap_or_default()).collect();
    // The last two pieces are this function's own words for the marks.
    assert_eq!(printed, shown()[..2]);
}

#[tokio::test]
async fn the_readmes_code_runs() -> Ended {
    if env::var_os("LOTE_README_CHILD").is_some() {
        as_a_library::run();
        return Ok(());
    }
    in_a_test().await?;

    // The settings come from the environment, which only another process can be given.
    let gateway = Gateway::builder().key("mk-readme").start().await?;
    let folder = tempfile::tempdir()?;
    fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/requests.jsonl"), folder.path().join("requests.jsonl"))?;
    let mut child = Command::new(env::current_exe()?);
    child
        .args(["--exact", "readme::the_readmes_code_runs"])
        .current_dir(folder.path())
        .env("LOTE_README_CHILD", "1")
        .env("LOTE_BASE_URL", gateway.url())
        .env("LOTE_API_KEY", "mk-readme")
        .env_remove("LOTE_DIALECT")
        .env_remove("LOTE_ON_BEHALF_OF");
    let output = tokio::task::spawn_blocking(move || child.output()).await??;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert_eq!(fs::read_to_string(folder.path().join("answers/results.jsonl"))?.lines().count(), 60);
    Ok(())
}
