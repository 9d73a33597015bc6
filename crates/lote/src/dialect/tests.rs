//! Tests of the tables and of their format; what services answer is tested in tests/facade/conformance.rs.

use std::fs;

use serde_json::json;

use super::*;
use crate::{Client, Status, UploadPurpose};

fn sent(name: &str) -> ChosenDialect {
    ChosenDialect { dialect: Dialect::named(name).unwrap(), choice: DialectChoice::Given }
}

#[test]
fn every_known_table_is_read_and_has_its_name() {
    for &name in Dialect::KNOWN {
        let dialect = Dialect::named(name).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(dialect.name(), name);
        let text = Dialect::toml(name).unwrap();
        assert!(text.starts_with("# ") && text.contains('['), "{name} cites no source");
        // What is said of an answer is said in the contract's words.
        let rules = &dialect.0.answer;
        for (ours, fields) in [(&rules.batch, crate::Batch::FIELDS), (&rules.file, crate::File::FIELDS)] {
            for field in ours.rename.values().chain(ours.values.keys()) {
                assert!(fields.contains(&field.as_str()), "{name}: {field}");
            }
        }
        for status in rules.batch.values.get("status").iter().flat_map(|spellings| spellings.values()) {
            assert!(!matches!(Status::from(status.as_str()), Status::Other(_)), "{name}: {status}");
        }
        for endpoint in dialect.0.create.spelling.keys() {
            assert!(dialect.endpoints().contains(endpoint), "{name}: {endpoint}");
        }
    }
}

#[test]
fn a_faulty_table_names_file_line_and_key() {
    for (text, parts) in [
        ("name = \"x\"\nhost = [\"a\"]\n", &["line 2, at host: unknown field `host`"][..]),
        ("name = \"x\"\n\n[auth]\nscheme = 7\n", &["line 4, at scheme: invalid type: integer `7`"]),
        ("name = \"x\"\nbase_path = \"v1\"", &["line 2, at base_path: it is no path such as \"/v1\""]),
        ("name = \"x\"\nauth.header = \"a b\"", &["line 2, at auth.header: it is no name of a header"]),
        ("name = \"x\"\n[create]\nwindows = [\"a day\"]", &["line 3, at windows: \"a day\" is no completion window"]),
        ("name = \"x\"\n[create]\nwindows = []", &["create.windows: it is missing or empty"]),
        ("name = \"x\"\nlimits.lines = 0", &["line 2, at limits.lines: ", "a number of at least 1"]),
        ("name = \"x\"\nlimits.lines = \"few\"", &["line 2, at limits.lines: ", "or \"none\""]),
        ("name = \"x\"\ncreate.idempotency = { cookie = \"k\" }", &["line 2", "unknown variant `cookie`"]),
        ("name = \"x\"\nextends = \"y\"", &["extends: \"y\" is none of mka1, openai"]),
        ("extends = \"openai\"", &["name: it is missing or empty"]),
        ("name = \"x", &["line 1, at name"]),
        ("", &["name: it is missing or empty"]),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mine.toml");
        fs::write(&path, text).unwrap();
        let error = Dialect::load(path.to_str().unwrap()).unwrap_err();
        assert!(error.is_invalid(), "{error}");
        let error = error.to_string();
        let at = format!("dialect {}", path.display());
        assert!(error.starts_with(&at) && parts.iter().all(|part| error.contains(part)), "{text}\n{error}");
    }
    let error = Dialect::load("./not-there.toml").unwrap_err().to_string();
    assert!(error.starts_with("dialect ./not-there.toml: "), "{error}");
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in [("huge.toml", vec![b'#'; 2 << 20]), ("binary.toml", vec![0xff; 9]), ("null.toml", vec![0; 9])]
    {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        assert!(Dialect::from_file(&path).unwrap_err().to_string().contains(name));
    }
    assert!(Dialect::from_file(folder.path()).unwrap_err().is_invalid());
    let error = Dialect::load("opeanai").unwrap_err().to_string();
    assert!(error.contains("is none of mka1, openai") && error.contains("./opeanai.toml"), "{error}");
    // A header may hold a secret.
    let error = Dialect::from_toml("name = \"x\"\nheaders = { x-key = \"hunter22\\n\" }").unwrap_err().to_string();
    assert!(error.contains("line 2, at headers") && !error.contains("hunter22"), "{error}");
}

#[test]
fn a_table_has_what_it_extends_but_for_what_it_says() {
    let mine =
        "name = \"mine\"\nextends = \"azure\"\n[auth]\nscheme = \"Key\"\n[create]\nendpoints = [\"/v1/embeddings\"]";
    let mine = Dialect::from_toml(mine).unwrap();
    let azure = Dialect::named("azure").unwrap();
    assert_eq!(mine.limits(), azure.limits());
    assert_eq!(mine.0.auth.header, azure.0.auth.header);
    assert_eq!((mine.0.auth.scheme.0.as_str(), mine.endpoints()), ("Key", vec!["/v1/embeddings".to_owned()]));
    assert_eq!(mine.url(), None);
    assert!(mine.0.hosts.is_empty());
}

#[test]
fn a_key_is_kept_for_as_long_as_the_table_says() {
    let (key, minutes) = ("create.idempotency = { header = \"K\" }\n", Duration::from_secs(600));
    for (table, kept) in [
        ("", Duration::ZERO),
        ("create.idempotency_kept = 60\n", Duration::ZERO),
        (key, minutes),
        (&format!("{key}create.idempotency_kept = 60\n"), Duration::from_secs(60)),
        (&format!("{key}create.idempotency_kept = \"none\"\n"), Duration::MAX),
        ("extends = \"ogx\"\n", Duration::MAX),
    ] {
        let dialect = Dialect::from_toml(&format!("name = \"mine\"\n{table}")).unwrap();
        assert_eq!(dialect.idempotency_keys_kept(), kept, "{table}");
    }
    assert!(Dialect::from_toml("name = \"mine\"\ncreate.idempotency_kept = 0\n").is_err());
}

#[test]
fn an_idempotency_key_goes_to_one_place() {
    let mine = "name = \"mine\"\nextends = \"ogx\"\ncreate.idempotency = ";
    for (idempotency, headers, fields) in
        [("\"none\"", 0, 0), ("{ header = \"x-key\" }", 1, 0), ("{ field = \"k\" }", 0, 1)]
    {
        let dialect = Dialect::from_toml(&format!("{mine}{idempotency}")).unwrap();
        assert_eq!(dialect.honours_idempotency_keys(), headers + fields > 0);
        let sent = ChosenDialect { dialect, choice: DialectChoice::Given };
        let (in_headers, in_body) = sent.idempotency("run-7").unwrap();
        assert_eq!((in_headers.len(), in_body.len()), (headers, fields), "{idempotency}");
    }
}

#[test]
fn files_are_held_against_the_limits_that_are_known() {
    let limits = |name: &str| {
        let limits = Dialect::named(name).unwrap().check_options().limits;
        (limits.max_lines, limits.max_bytes)
    };
    assert_eq!(limits("mka1"), (50_000, 200_000_000));
    assert_eq!(limits("azure"), (100_000, 200_000_000));
    assert_eq!(limits("groq"), (50_000, 100_000_000));
    assert_eq!(limits("vllm"), (u64::MAX, u64::MAX));
    for (name, bytes, taken) in
        [("groq", 100_000_000, true), ("groq", 100_000_001, false), ("mka1", u64::MAX, true), ("vllm", u64::MAX, true)]
    {
        assert_eq!(sent(name).input_bytes(bytes).is_ok(), taken, "{name}: {bytes}");
    }
    let limited = Dialect::from_toml("name = \"x\"\nlimits.custom_id = 7").unwrap();
    assert_eq!(limited.check_options().max_custom_id, Some(7));
}

#[test]
fn request_lines_have_the_shape_that_the_dialect_says() {
    let options = |name: &str| Dialect::named(name).unwrap().check_options();
    let needs = |name: &str| (options(name).needs_method, options(name).needs_url);
    assert_eq!((needs("mka1"), needs("openai"), needs("together")), ((true, true), (true, true), (false, false)));
    let spelled = options("azure").spellings;
    assert_eq!(spelled.get("/chat/completions").map(String::as_str), Some("/v1/chat/completions"));
    let limits = |name: &str| (options(name).max_models, options(name).max_line_inputs, options(name).max_inputs);
    assert_eq!(limits("openai"), (Some(1), Some(2_048), Some(50_000)));
    // No source says so of any other.
    assert_eq!(limits("mka1"), (None, None, None));
    let strict: Vec<_> = Dialect::KNOWN.iter().filter(|name| options(name).strict).collect();
    assert_eq!(strict, [&"openai"]);
    assert!(Dialect::from_toml("name = \"x\"\nextends = \"openai\"").unwrap().check_options().strict);
    assert_eq!(limits("vllm"), (None, None, None));

    let mine = "name = \"x\"\nextends = \"together\"\nlines.keys = [\"body\", \"url\", \"custom_id\"]\n\
                lines.own.\"/v1/chat/completions\" = [\"n\"]\nlines.optional.\"/v1/embeddings\" = [\"model\"]\n\
                limits = { models = 2, line_inputs = 9, inputs = \"none\" }";
    let options = Dialect::from_toml(mine).unwrap().check_options();
    assert_eq!((options.needs_method, options.needs_url), (false, true));
    assert_eq!((options.max_models, options.max_line_inputs, options.max_inputs), (Some(2), Some(9), None));
    assert_eq!(options.own_fields["/v1/chat/completions"], ["n"]);
    assert_eq!(options.optional_fields["/v1/embeddings"], ["model"]);
    for (keys, expected) in [
        ("[\"body\"]", "lines.keys: custom_id is not among them"),
        ("[\"custom_id\", \"url\"]", "lines.keys: body is not among them"),
        ("[\"customid\", \"body\"]", "line 2, at lines.keys"),
    ] {
        let error = Dialect::from_toml(&format!("name = \"x\"\nlines.keys = {keys}")).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn a_wrapper_that_is_declared_may_have_an_id_of_its_own() {
    let dialect = Dialect::from_toml("name = \"x\"\nanswer.created_in = \"result\"").unwrap();
    let mut answer = json!({"id": "request_1", "result": {"id": "b"}, "note": "x", "none": null});
    assert!(dialect.to_contract("create_batch", &mut answer));
    assert_eq!(answer, json!({"id": "b", "note": "x"}));
}

#[test]
fn dialects_are_guessed_from_known_hosts_and_from_nothing_else() {
    for (url, name, choice) in [
        ("https://api.openai.com/v1", "openai", "guessed from the host api.openai.com"),
        ("https://API.Groq.com", "groq", "guessed from the host api.groq.com"),
        ("https://mine.openai.azure.com/openai/v1", "azure", "guessed from the host mine.openai.azure.com"),
        ("https://api.together.ai/v1", "together", "guessed from the host api.together.ai"),
        ("https://api.doubleword.ai/v1", "doubleword", "guessed from the host api.doubleword.ai"),
        ("https://apigw.mka1.com", "mka1", "the default"),
        ("https://openai.azure.com/", "mka1", "the default"),
        ("https://api.openai.com.example.org/", "mka1", "the default"),
        ("http://127.0.0.1:8787", "mka1", "the default"),
        ("http://localhost:8787/api/v1/llm", "mka1", "the default"),
        ("https://llm.example.org/batch", "mka1", "the default"),
        ("http://localhost:4000/v1/", "openai", "guessed from a base URL that ends in /v1"),
    ] {
        let (dialect, chosen) = Dialect::guess(url).unwrap();
        assert_eq!((dialect.name(), chosen.to_string().as_str()), (name, choice), "{url}");
        let client = Client::builder().base_url(url).api_key("k").build().unwrap();
        assert_eq!((client.dialect().name(), client.dialect_choice()), (name, &chosen));
    }
    let given = Client::builder().base_url("https://api.openai.com/v1").dialect(Dialect::named("ogx").unwrap());
    let given = given.api_key("k").build().unwrap();
    assert_eq!((given.dialect().name(), given.dialect_choice()), ("ogx", &DialectChoice::Given));
}

#[test]
fn a_dialect_brings_its_service_and_its_path() {
    let url = |dialect: &str, base: Option<&str>| {
        let mut builder = Client::builder().dialect(Dialect::named(dialect).unwrap()).api_key("k");
        if let Some(base) = base {
            builder = builder.base_url(base);
        }
        builder.build().map(|client| client.base_url().to_owned()).map_err(|error| error.to_string())
    };
    assert_eq!(url("together", None).unwrap(), "https://api.together.xyz/v1");
    assert_eq!(url("azure", Some("https://mine.openai.azure.com")).unwrap(), "https://mine.openai.azure.com/openai/v1");
    assert_eq!(url("ogx", Some("http://127.0.0.1:8321/")).unwrap(), "http://127.0.0.1:8321/v1");
    assert!(url("ogx", None).unwrap_err().starts_with("no base URL: dialect ogx has no service of its own"));
    assert!(url("vllm", Some("http://127.0.0.1:1")).unwrap_err().contains("has no service to talk to"));
}

#[test]
fn keys_and_headers_of_a_table_are_secret() {
    let mine = "name = \"mine\"\nauth = { header = \"api-key\", scheme = \"\" }\nheaders = { x-other = \"hunter33\" }";
    let builder = Client::builder().base_url("http://127.0.0.1:1").dialect(Dialect::from_toml(mine).unwrap());
    let builder = builder.api_key("hunter22");
    let client = builder.clone().build().unwrap();
    for text in [format!("{builder:?}"), format!("{client:?}"), format!("{:?}", crate::raw::client(&client))] {
        assert!(!text.contains("hunter"), "{text}");
    }
    let sent = ChosenDialect { dialect: Dialect::from_toml(mine).unwrap(), choice: DialectChoice::Given };
    let (name, value) = sent.authorization("hunter22").unwrap();
    assert_eq!((name.as_str(), value.as_bytes(), value.is_sensitive()), ("api-key", &b"hunter22"[..], true));
    assert!(sent.headers(None).unwrap().values().all(reqwest::header::HeaderValue::is_sensitive));
}

#[test]
fn names_that_services_take() {
    for (dialect, name, purpose, expected) in [
        ("mka1", "a.jsonl", UploadPurpose::Batch, "a.jsonl"),
        ("mka1", "upload", UploadPurpose::Batch, "upload.jsonl"),
        ("mka1", "blob", UploadPurpose::Batch, "blob.jsonl"),
        ("mka1", "blob", UploadPurpose::UserData, "blob.bin"),
        ("openai", "blob", UploadPurpose::UserData, "blob"),
        ("mka1", "a\r\nb", UploadPurpose::UserData, "a__b"),
    ] {
        assert_eq!(sent(dialect).upload(name, purpose, None).unwrap().file_name, expected);
    }
    assert!(sent("mka1").upload(" ", UploadPurpose::Batch, None).err().unwrap().is_invalid());
}

#[test]
fn answers_that_are_right_or_no_objects_stay_as_they_are() {
    let operations = ["create_batch", "get_batch", "cancel_batch", "list_batches", "get_file", "delete_file", "?"];
    for &name in Dialect::KNOWN {
        let dialect = Dialect::named(name).unwrap();
        for operation in operations {
            for answer in [
                json!({"id": "b", "object": "batch", "status": "in_progress", "created_at": 5, "job": {"name": "c"}}),
                json!({"object": "list", "data": [{"id": "b", "created_at": null}], "value": [], "has_more": true}),
                json!({"data": "x"}),
                json!({"job": 5}),
                json!(null),
                json!("text"),
                json!(5),
            ] {
                let mut after = answer.clone();
                let changed = dialect.to_contract(operation, &mut after);
                assert_eq!((changed, &after), (false, &answer), "{name} {operation}");
            }
        }
    }
}
