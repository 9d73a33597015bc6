//! A service without a batch API, as vLLM, Ollama and LM Studio answer: it is told as such, with the ways out.

use crate::common::{folder, lote_in};
use crate::service::{Odd, answer, ask, at, requests};

#[test]
fn an_upload_or_a_create_that_finds_no_batch_api_says_what_makes_one() {
    let place = folder(&[("requests.jsonl", &requests(&["a"]))]);
    let path = place.path().join("requests.jsonl").display().to_string();
    let upload = ["files", "upload", &path];
    let create = ["batches", "create", "file-1", "--endpoint", "chat"];
    for (status, body, args, lacks) in [
        ("404 Not Found", r#"{"detail":"Not Found"}"#, &upload[..], true),
        ("404 Not Found", "404 page not found", &upload, true),
        ("405 Method Not Allowed", r#"{"detail":"Method Not Allowed"}"#, &upload, true),
        ("200 OK", r#"{"error":"Unexpected endpoint or method. (POST /v1/files)"}"#, &upload, true),
        ("404 Not Found", r#"{"detail":"Not Found"}"#, &create, true),
        ("501 Not Implemented", "", &create, true),
        // The file is not there, or the service says what else is wrong.
        ("404 Not Found", r#"{"error":{"message":"no file with id file-1"}}"#, &create, false),
        ("404 Not Found", r#"{"error":{"message":"no","code":"not_found"}}"#, &create, false),
        ("403 Forbidden", "{}", &upload, false),
        ("200 OK", "no JSON", &upload, false),
    ] {
        let odd = Odd::answering([answer(status, "application/json", body)]);
        let url = format!("{}/v1", odd.url());
        let ended = ask(&url, args);
        assert_eq!(ended.code, 4, "{status} {body}: {ended:?}");
        let said = format!(
            "\n  the service seems to have no batch API, if that is its base URL\n  lote run REQUESTS --sync sends the lines \
             one by one, each answered at once, without a batch\n  lote gateway --upstream {url}  # makes a batch API of it, \
             at http://127.0.0.1:8787/v1\n"
        );
        assert_eq!(ended.stderr.ends_with(&said), lacks, "{status} {body}: {ended:?}");
        assert_eq!(ended.stderr.contains("batch API"), lacks, "{status} {body}: {ended:?}");
    }
}

/// As LM Studio answers: a success that says what it is not.
#[test]
fn a_run_at_a_service_that_knows_no_files_names_the_ways_out() {
    let place = folder(&[("requests.jsonl", &requests(&["a"]))]);
    let said = answer("200 OK", "application/json", r#"{"error":"Unexpected endpoint or method. (POST /v1/files)"}"#);
    let odd = Odd::answering([said]);
    let url = format!("{}/v1", odd.url());
    let ended = lote_in(at(&url), place.path(), &["run", "requests.jsonl"]);
    assert_eq!(ended.code, 4, "{ended:?}");
    let lines = format!(
        "\n  the service seems to have no batch API, if that is its base URL\n  the same command with --sync sends the lines \
         one by one, each answered at once, without a batch\n  lote gateway --upstream {url}  # makes a batch API of it, \
         at http://127.0.0.1:8787/v1\n"
    );
    assert!(ended.stderr.contains(&lines), "{ended:?}");
}
