//! Lines of answers that are damaged, and whose they are all the same: what is sure is that request's, and no more.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

use std::fs;

use lote_lines::OutcomeKind::{self, Missing, Succeeded, Unreadable};
use lote_lines::{Answer, Joined, join};

/// What comes of request lines with these custom_ids.
fn joined_of(requests: &[u8], answers: &[u8]) -> (Joined, Vec<OutcomeKind>) {
    let folder = tempfile::tempdir().unwrap();
    let [input, output] = ["input", "output"].map(|name| folder.path().join(name));
    fs::write(&input, requests).unwrap();
    fs::write(&output, answers).unwrap();
    let mut out = Vec::new();
    let joined = join(&input, &[&output], &mut out).unwrap();
    let lines = out.trim_ascii_end().split(|byte| *byte == b'\n');
    let outcomes = lines.map(|line| Answer::parse(line).unwrap().outcome()).collect();
    (joined, outcomes)
}

fn joined(ids: &[&str], answers: impl AsRef<[u8]>) -> (Joined, Vec<OutcomeKind>) {
    let requests: String = ids.iter().map(|id| format!("{{\"custom_id\":\"{id}\"}}\n")).collect();
    joined_of(requests.as_bytes(), answers.as_ref())
}

fn answer(id: &str) -> String {
    format!(
        "{{\"id\":\"i\",\"custom_id\":\"{id}\",\"response\":{{\"status_code\":200,\"body\":{{\"model\":\"m\",\
         \"text\":\"h\u{e9}llo \\u00e9 \\\" [1,{{2}}]\",\"n\":[1,true,null]}}}},\"error\":null}}"
    )
}

/// Codes and lines of the anomalies.
fn odd(joined: &Joined) -> Vec<String> {
    joined.anomalies.iter().map(|anomaly| format!("{}:{}", anomaly.line, anomaly.code)).collect()
}

#[test]
fn a_line_that_was_cut_off_anywhere_takes_nothing_from_the_one_that_is_glued_to_it() {
    let whole = answer("first");
    let named = whole.find("\"first\"").unwrap() + "\"first\"".len();
    let text = (whole.find("llo").unwrap(), whole.find("\",\"n\"").unwrap());
    for next in [answer("b"), answer("b").replace("{\"id\":\"i\",", "{"), answer("b").replace("{\"id\"", "{ \"id\"")] {
        for cut in 1..whole.len() {
            let glued = [&whole.as_bytes()[..cut], next.as_bytes(), b"\n", answer("c").as_bytes()].concat();
            let (joined, outcomes) = joined(&["first", "b", "c"], &glued);
            // Behind a colon, and behind a bracket or a comma of an array, it may as well be a part of the first.
            let may_be_a_value = ["\":", "\"n\":[", "[1,", "[1,true,"]
                .iter()
                .any(|end| whole.as_bytes()[..cut].ends_with(end.as_bytes()));
            let is_in_the_text = cut > text.0 && cut <= text.1;
            assert_eq!(outcomes[2], Succeeded, "{cut}");
            if cut > named {
                assert_eq!(outcomes[0], Unreadable, "{}: {:?}", &String::from_utf8_lossy(&glued), joined.anomalies);
            }
            if !may_be_a_value || is_in_the_text {
                assert_eq!(outcomes[1], Succeeded, "{}: {:?}", &String::from_utf8_lossy(&glued), joined.anomalies);
            }
        }
    }
}

#[test]
fn several_lines_that_were_glued_together_are_told_apart() {
    let cut = |id: &str| answer(id)[..90].to_owned();
    let glued = cut("a") + &cut("b") + &answer("c") + "\n" + &answer("d");
    let (joined, outcomes) = joined(&["a", "b", "c", "d"], &glued);
    assert_eq!(outcomes, [Unreadable, Unreadable, Succeeded, Succeeded], "{:?}", joined.anomalies);
    assert_eq!(odd(&joined), ["1:unreadable_line", "1:unreadable_line"]);
    let place = &joined.anomalies[1];
    assert_eq!((place.custom_id.as_deref(), place.offset, place.length), (Some("b"), Some(90), Some(90)));
}

#[test]
fn an_answer_inside_a_text_is_nobodys() {
    // A service that does not escape quotes, and a text about answers.
    let inner = answer("b");
    for line in [
        answer("a").replace("llo", &inner),
        answer("a").replace("llo", &format!("{inner} and so on")),
        answer("a").replace("null]", &format!("{inner}]")),
        answer("a").replace("null]", &inner)[..260].to_owned(),
    ] {
        let (joined, outcomes) = joined(&["a", "b"], &line);
        assert_eq!(outcomes[1], Missing, "{line}: {:?}", joined.anomalies);
    }
}

#[test]
fn one_wrong_byte_behind_a_custom_id_leaves_no_doubt_whose_the_line_is() {
    for wrong in [&b"\xff"[..], b"\0", b"\x1b", b"\xc3"] {
        // In the place of the comma, and in that of the quote.
        for from in ["\"a\",", "\"a\""] {
            let line = answer("a").replace("\"id\":\"i\",", "");
            let at = line.find(from).unwrap() + from.len() - 1;
            let line = [&line.as_bytes()[..at], wrong, &line.as_bytes()[at + 1..]].concat();
            let (joined, outcomes) = joined(&["a", "b"], &line);
            assert_eq!(outcomes, [Unreadable, Missing], "{}: {:?}", String::from_utf8_lossy(&line), joined.anomalies);
        }
    }
    // What may be a part of it leaves the doubt.
    for line in [answer("a").replace("\"a\",", "\"ab,"), answer("a").replace("\"a\",", "\"a\"b\",")] {
        assert_eq!(joined(&["a", "b"], &line).1, [Missing, Missing], "{line}");
    }
}

#[test]
fn a_wrapped_list_of_answers_is_told_by_name_and_what_to_do() {
    let list = [answer("a"), answer("b")].join(",");
    for (file, path) in [
        (format!("{{\"data\":[{list}]}}"), ".data[]"),
        (format!("{{\"object\":\"list\",\"data\":[{list}],\"has_more\":false}}"), ".data[]"),
        (format!("{{\"batch\":{{\"out put\":[{list}]}}}}"), ".batch.\"out put\"[]"),
        (format!("[[{list}]]"), ".[][]"),
        (format!("[[{list}],[{}]]", answer("c")), ".[][]"),
        ("{\n  \"data\": [\n    {\n\"custom_id\": \"a\"},\n{\n\"custom_id\": \"b\"}\n]\n}".to_owned(), ".data[]"),
    ] {
        let (joined, outcomes) = joined(&["a", "b"], &file);
        assert_eq!(outcomes, [Unreadable, Unreadable], "{file}: {:?}", joined.anomalies);
        let told = joined.anomalies.iter().find(|anomaly| anomaly.code.as_str() == "wrapped_list").unwrap();
        assert!(
            told.message.contains("a wrapped list: ") && told.message.contains(&format!("`jq -c '{path}' FILE`")),
            "{told}"
        );
    }
    // Other lists are no answers, and a single one is that of its request.
    for file in ["{\"data\":[{\"id\":\"x\"}]}", "{\"data\":[]}", "[[]]", "[[1]]", "{\"data\":{\"custom_id\":7}}"] {
        let (joined, outcomes) = joined(&["a"], file);
        assert_eq!(
            (outcomes[0], joined.anomalies.iter().any(|a| a.code.as_str() == "wrapped_list")),
            (Missing, false),
            "{file}"
        );
    }
    let (joined, outcomes) = joined(&["a", "b"], format!("{{\"data\":[{}]}}", answer("a")));
    assert_eq!((outcomes, odd(&joined)), (vec![Unreadable, Missing], vec!["1:wrapped_list".to_owned()]));
}

#[test]
fn an_answer_that_begins_behind_the_end_of_another_is_read() {
    let pretty = |id: &str| {
        let value: serde_json::Value = serde_json::from_str(&answer(id)).unwrap();
        serde_json::to_string_pretty(&value).unwrap()
    };
    for file in [
        pretty("a") + &answer("b") + "\n" + &answer("c"),
        pretty("a") + &pretty("b") + &pretty("c"),
        pretty("a") + "," + &pretty("b") + "\n" + &pretty("c"),
        pretty("a") + &answer("b") + &answer("c"),
        pretty("a") + &answer("b") + &pretty("c"),
    ] {
        let (joined, outcomes) = joined(&["a", "b", "c"], &file);
        assert_eq!(outcomes, [Succeeded; 3], "{file}: {:?}", joined.anomalies);
        assert!(joined.anomalies.iter().any(|anomaly| anomaly.code.as_str() == "text_after_object"), "{file}");
    }
    // Where the first is damaged, the second is read all the same.
    let (joined, outcomes) = joined(&["a", "b"], pretty("a").replace("\"n\":", "\"n\"") + &answer("b"));
    assert_eq!(outcomes, [Unreadable, Succeeded], "{:?}", joined.anomalies);
}

#[test]
fn an_object_with_conflict_markers_in_it_is_no_file_that_was_changed() {
    let response = "\"response\":{\"status_code\":200,\"body\":{\"x\":\"y\"}}\n}\n";
    for (file, of_a) in [
        (format!("{{\n\"custom_id\":\"a\",\n<<<<<<< ours\n{response}"), Unreadable),
        (
            format!(
                "{{\n<<<<<<< ours\n\"custom_id\":\"a\",\n=======\n\"custom_id\":\"b\",\n>>>>>>> theirs\n{response}"
            ),
            Missing,
        ),
        (format!("{{\n\"id\":1,\n<<<<<<< ours\n{{\"x\":\n\"custom_id\":\"a\",\n{response}"), Unreadable),
    ] {
        let (joined, outcomes) = joined(&["a", "b"], &file);
        assert_eq!(outcomes, [of_a, Missing], "{file}: {:?}", joined.anomalies);
        let is_told = |code: &str| joined.anomalies.iter().any(|anomaly| anomaly.code.as_str() == code);
        assert!(is_told("conflict_markers") && !is_told("changed_while_reading"), "{file}: {:?}", joined.anomalies);
    }
}

#[test]
fn byte_order_marks_are_passed_over_wherever_files_were_put_together() {
    let request = |id: &str| format!("{{\"custom_id\":\"{id}\"}}\n");
    let mark = "\u{feff}";
    let requests = format!("{mark}{}{mark}{}{mark}\n{}", request("a"), request("b"), request("c"));
    for answers in [
        format!("{mark}{}\n{mark}{}\n{mark}\n{mark}{}", answer("c"), answer("b"), answer("a")),
        format!("{mark}{}{mark}{}{mark}\r\n{}", answer("c"), answer("b"), answer("a")),
    ] {
        let (joined, outcomes) = joined_of(requests.as_bytes(), answers.as_bytes());
        assert_eq!(outcomes, [Succeeded; 3], "{:?}", joined.anomalies);
        assert_eq!(odd(&joined)[0], "1:bom");
        assert!(joined.anomalies.len() == 2, "{:?}", joined.anomalies);
    }
}
