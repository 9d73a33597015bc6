//! Tests of the filters of lists: what is found, and how far is looked for it.

use serde_json::{Value, json};

use crate::common::{ended, folder};
use crate::service::{Embedded, Steady, ask, at, json, json_lines, requests};

/// A service with so many batches, the newest first, each an hour older than the one before; every third has failed. The
/// pages have as many as are asked for.
fn hourly(count: usize, newest_first: bool) -> Steady {
    let now =
        i64::try_from(std::time::SystemTime::UNIX_EPOCH.elapsed().expect("after 1970").as_secs()).expect("a time");
    Steady::answering(move |head| {
        let query = |name: &str| {
            let (_, rest) = head.split_once(&format!("{name}="))?;
            Some(rest.split(['&', ' ']).next().unwrap_or_default().to_owned())
        };
        let limit = query("limit").map_or(20, |limit| limit.parse().expect("a number"));
        let from = query("after").map_or(0, |id| id["batch_".len()..].parse::<usize>().expect("a number") + 1);
        let batch = |at: usize| {
            let hours = i64::try_from(if newest_first { at } else { count - at }).expect("few");
            let status = if at.is_multiple_of(3) { "failed" } else { "completed" };
            json!({"id": format!("batch_{at}"), "status": status, "created_at": now - hours * 3_600 - 60})
        };
        let data: Vec<Value> = (from..count.min(from + limit)).map(batch).collect();
        json!({"data": data, "has_more": from + limit < count})
    })
}

#[test]
fn a_list_is_filtered_by_status_and_age_and_says_how_many_were_looked_at() {
    let service = hourly(250, true);
    let ids = |listed: &Value| -> Vec<String> {
        let data = listed["data"].as_array().expect("a list");
        data.iter().map(|batch| batch["id"].as_str().expect("an id").to_owned()).collect()
    };
    // As many as a page has, and that there are more.
    let failed = ask(service.url(), ["batches", "list", "--status", "failed"]);
    let page = json(&failed);
    assert_eq!((failed.code, ids(&page).len(), &page["has_more"]), (0, 20, &json!(true)), "{failed:?}");
    assert!(ids(&page).iter().all(|id| id["batch_".len()..].parse::<u32>().expect("a number").is_multiple_of(3)));
    assert_eq!((&page["first_id"], &page["last_id"]), (&json!("batch_0"), &json!("batch_57")));
    assert!(
        failed.stderr.ends_with("looked at 58 batches, 20 of them as wanted; there are more, which --all looks at\n"),
        "{failed:?}"
    );
    // Of a list that is newest first no more is asked for than is young enough.
    let young = ask(service.url(), ["batches", "list", "--since", "5h", "--status", "failed,expired"]);
    assert_eq!(
        (ids(&json(&young)), &json(&young)["has_more"]),
        (vec!["batch_0".to_owned(), "batch_3".to_owned()], &json!(false))
    );
    assert!(young.stderr.ends_with("looked at 6 batches, 2 of them as wanted\n"), "{young:?}");
    // All of them, a line each; and where the oldest come first every page is looked at.
    let all = ask(service.url(), ["batches", "list", "--status", "failed", "--all"]);
    assert_eq!((all.code, json_lines(&all).len()), (0, 84), "{all:?}");
    let young = ask(hourly(250, false).url(), ["batches", "list", "--since", "5h", "--limit", "100"]);
    assert_eq!(ids(&json(&young)).len(), 4, "{young:?}");
    assert!(young.stderr.ends_with("looked at 250 batches, 4 of them as wanted\n"), "{young:?}");
    // A word that no service is known to say is told, and looked for all the same.
    let odd = ask(service.url(), ["batches", "list", "--status", "done"]);
    assert!(ids(&json(&odd)).is_empty() && odd.stderr.contains("known are validating, failed, "), "{odd:?}");
}

#[test]
fn a_batch_of_a_run_says_which_requests_it_is_of() {
    let gateway = Embedded::start();
    let more = String::from_utf8(requests(&["c"])).expect("UTF-8").replace("row-1", "more-1").into_bytes();
    let place = folder(&[("tickets.jsonl", &requests(&["a"])), ("more.jsonl", &more)]);
    for (args, stdin) in [
        (&["run", "tickets.jsonl"][..], &b""[..]),
        (&["run", "tickets.jsonl", "more.jsonl", "--dir", "both.run", "--new"], b""),
        (&["run", "-", "--new"], &requests(&["b"])),
    ] {
        let ran = ended(at(gateway.url()).current_dir(&place).args(args), stdin);
        assert_eq!(ran.code, 0, "{args:?}: {ran:?}");
    }
    let batches = json_lines(&gateway.lote(["batches", "list", "--all"]));
    let mut names: Vec<&str> =
        batches.iter().map(|batch| batch["metadata"]["lote_requests"].as_str().expect("a name")).collect();
    names.sort_unstable();
    assert_eq!(names, ["stdin", "tickets.jsonl", "tickets.jsonl and 1 more"]);
}
