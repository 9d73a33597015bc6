//! Owns the tests of many request lines: rows, names, and files of them; never of a single body (`requests`).

use std::fs;

use lote::{
    Endpoint,
    request::{
        ChatCompletion, CustomId, Embeddings, ImageGeneration, ModelResponse, RequestFile, RequestLine, RequestLines,
    },
};
use serde_json::{Value, json};

fn chat() -> ChatCompletion {
    ChatCompletion::new("m")
}

fn response() -> ModelResponse {
    ModelResponse::new("m")
}

#[test]
fn rows_share_their_settings_and_differ_in_their_content() {
    let chats = RequestLines::new(chat().system("s").temperature(0.0));
    let lines: Vec<_> =
        chats.for_rows([("a", "x".to_owned()), ("b", "y".to_owned())]).collect::<Result<_, _>>().expect("lines");
    let line = |id: &str, text: &str| {
        let messages = json!([{"role": "system", "content": "s"}, {"role": "user", "content": text}]);
        let body = json!({"model": "m", "messages": messages, "temperature": 0.0});
        json!({"custom_id": id, "method": "POST", "url": "/v1/chat/completions", "body": body}).to_string()
    };
    let written: Vec<_> = lines.iter().map(|line| serde_json::to_string(line).expect("JSON")).collect();
    assert_eq!(written, [line("a", "x"), line("b", "y")]);

    let embeddings = RequestLines::new(Embeddings::new("m").dimensions(8));
    let line = embeddings.line("e", ["one", "two"]).expect("a line");
    assert_eq!(
        serde_json::to_string(&line).expect("JSON"),
        r#"{"custom_id":"e","method":"POST","url":"/v1/embeddings","body":{"model":"m","input":["one","two"],"dimensions":8}}"#
    );
    assert_eq!(RequestLines::new(response()).line("r", "x").expect("a line").url, "/v1/responses");
    assert_eq!(
        RequestLines::new(ImageGeneration::new("m")).line("i", "a lake").expect("a line").body["prompt"],
        "a lake"
    );

    let errors: Vec<_> = embeddings.for_rows([("ok", "x"), ("bad", "")]).filter_map(Result::err).collect();
    assert_eq!(errors.len(), 1);
    assert!(
        errors[0].to_string().starts_with("request line \"bad\": embeddings: input: the text is empty"),
        "{}",
        errors[0]
    );
}

#[test]
fn lines_are_named_by_key_or_by_content() {
    let line = chat().user("hi").line(CustomId::from_key("a b")).expect("a line");
    assert!(line.custom_id.starts_with("a_b-h"), "{}", line.custom_id);
    let named = |text: &str| chat().user(text).line_by_content().expect("a line").custom_id;
    assert_eq!(named("hi"), named("hi"));
    assert_ne!(named("hi"), named("ho"));
    assert!(CustomId::portable(named("hi")).is_ok());
}

#[test]
fn a_body_of_any_type_makes_a_line() {
    #[derive(serde::Serialize)]
    struct Own {
        model: &'static str,
        temperature: f32,
    }
    let line = RequestLine::raw("a", Endpoint::ChatCompletions, &Own { model: "m", temperature: 0.2 }).expect("a line");
    assert_eq!(Value::Object(line.body).to_string(), r#"{"model":"m","temperature":0.2}"#);
    let error = RequestLine::raw("a", "/v1/embeddings", &Own { model: "m", temperature: f32::NAN }).unwrap_err();
    let error = lote::Error::from(error);
    assert!(error.is_invalid());
    assert_eq!(error.to_string(), "body: temperature: NaN is no number of JSON");
    let error = RequestLine::raw("a", "/v1/embeddings", "text").unwrap_err();
    assert_eq!(error.to_string(), "a string stands where an object must");
}

#[test]
fn a_file_of_lines_is_whole_or_not_there_and_takes_only_what_services_take() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("requests.jsonl");
    let line = |id: &str| Embeddings::new("m").input("x").line(id).expect("a line");
    let count = || fs::read_dir(&folder).expect("a folder").count();

    let mut file = RequestFile::create(&path).expect("a file");
    file.push(&line("a")).expect("written");
    let chat_line = chat().user("hi").line("c").expect("a line");
    for (refused, expected) in [
        (line("a"), "custom_id \"a\": it was used before; make it unique within the file"),
        (
            chat_line.clone(),
            "request line \"c\": url \"/v1/chat/completions\" differs from \"/v1/embeddings\" of the lines before; \
             write one file for each endpoint",
        ),
        (
            RequestLine { custom_id: String::new(), ..line("x") },
            "custom_id is empty; answers are told apart by it alone, so give each line its own",
        ),
    ] {
        assert_eq!(file.push(&refused).expect_err(expected).to_string(), expected);
    }
    // What was refused left no trace: the same id is free for another line.
    file.push(&line("c")).expect("written");
    file.push(&line("ä b")).expect("written");
    assert_eq!(file.written().lines, 3);
    assert!(!path.exists());
    let written = file.finish().expect("finished");
    let text = fs::read_to_string(&path).expect("the file");
    assert_eq!((written.lines, written.bytes), (3, text.len() as u64));
    assert_eq!(written.endpoint.as_deref(), Some("/v1/embeddings"));
    let ids: Vec<String> =
        text.lines().map(|line| serde_json::from_str::<RequestLine>(line).expect("a line").custom_id).collect();
    assert_eq!(ids, ["a", "c", "ä b"]);
    assert_eq!(count(), 1);

    // Dropped, it leaves nothing and what was there.
    let mut file = RequestFile::create(&path).expect("a file").portable_ids();
    let error = file.push(&line("ä b")).expect_err("not portable").to_string();
    assert_eq!(
        error,
        "custom_id \"ä b\": only printable ASCII without blanks is taken everywhere; derive one with CustomId::from_key"
    );
    file.push(&line("b")).expect("written");
    drop(file);
    assert_eq!((fs::read_to_string(&path).expect("the file"), count()), (text, 1));

    let empty = RequestFile::create(folder.path().join("none.jsonl")).expect("a file").finish();
    assert!(
        empty.expect_err("nothing in it").to_string().ends_with("there is no request line; push one before the end")
    );
    assert_eq!(count(), 1);
    assert!(RequestFile::create(folder.path()).expect_err("a folder").is_io());
}

#[test]
fn what_is_made_passes_the_check_of_lines() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("requests.jsonl");
    let mut file = RequestFile::create(&path).expect("a file");
    for key in ["one", "two words", "line\nbreak", "quote\"", "é"] {
        file.push(&chat().system("two\nlines \u{2028}").user(key).line(CustomId::from_key(key)).expect("a line"))
            .expect("written");
    }
    file.finish().expect("finished");
    let mut findings = Vec::new();
    let reader = std::io::BufReader::new(fs::File::open(&path).expect("the file"));
    let checked =
        lote::lines::check(reader, &lote::lines::CheckOptions::default(), &mut |found| findings.push(found), None);
    assert_eq!((checked.expect("read").lines, findings.len()), (5, 0), "{findings:?}");
}
