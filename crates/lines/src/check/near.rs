//! Names what a faulty line is near to: a key that is written otherwise, an endpoint with a slip in it, and the formats
//! that are taken for request lines. Only lines with a fault come here.

use super::CheckOptions;
use crate::error_text;
use crate::fields::{Walk, fields};
use crate::raw::{Kind, clip, text};

/// What people write in place of each key, in the spelling of [`fold`].
const SYNONYMS: [(&str, &[&str]); 4] = [
    ("custom_id", &["id", "requestid", "recordid", "key"]),
    ("method", &["httpmethod", "verb"]),
    ("url", &["endpoint", "path", "uri"]),
    ("body", &["params", "request", "payload", "data", "modelinput"]),
];

/// A key of the object in `json` that is near to `wanted`, quoted and with what is odd about it; `known` keys have a
/// meaning of their own.
pub(super) fn key_in(json: &str, wanted: &str, known: &dyn Fn(&str) -> bool) -> Option<String> {
    let mut found: Option<(usize, String)> = None;
    fields(json, &mut |key, _| {
        if let Some(rank) = (!known(&key)).then(|| rank(&key, wanted)).flatten()
            && found.as_ref().is_none_or(|(best, _)| rank < *best)
        {
            found = Some((rank, key.into_owned()));
        }
    });
    found.map(|(_, key)| named(&key, wanted))
}

/// How near a key is, the nearest being 0.
fn rank(key: &str, wanted: &str) -> Option<usize> {
    let (folded, right) = (fold(key), fold(wanted));
    if folded == right {
        return Some(0);
    }
    let synonyms = SYNONYMS.iter().find(|(key, _)| *key == wanted).map(|(_, synonyms)| *synonyms);
    if synonyms.is_some_and(|synonyms| synonyms.contains(&folded.as_str())) {
        return Some(1);
    }
    let slips = if right.len() < 5 { 1 } else { 2 };
    (folded.len() > 2 && strsim::osa_distance(&folded, &right) <= slips).then_some(2)
}

/// The letters and digits of a key, in lower case.
fn fold(key: &str) -> String {
    key.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).take(100).collect()
}

/// A key as a message shows it.
fn named(key: &str, wanted: &str) -> String {
    let shown = clip(key, 60);
    let odd = if key.trim() != key {
        ", with a blank in it"
    } else if key.chars().any(|c| c.is_control() || matches!(c, '\u{feff}' | '\u{200b}'..='\u{200f}' | '\u{2060}')) {
        ", with a character in it that is not seen"
    } else if wanted == "body" && key == "params" {
        ", as lines of Anthropic's have it"
    } else {
        ""
    };
    format!("{shown:?}{odd}: write {wanted:?}")
}

/// The endpoint that was probably meant.
pub(super) fn endpoint<'o>(url: &str, options: &'o CheckOptions) -> Option<&'o str> {
    let path = url.split_once("://").map_or(url, |(_, rest)| rest.find('/').map_or("", |at| &rest[at..]));
    let path = path.split(['?', '#']).next().unwrap_or_default().trim().trim_matches('/').to_lowercase();
    let meant = |known: &&String| {
        let known = known.trim_start_matches('/');
        let short = known.strip_prefix("v1/").unwrap_or(known);
        path == known || path == short || path.ends_with(&format!("/{known}")) || path.ends_with(&format!("/{short}"))
    };
    let known = || options.known_endpoints.iter();
    let slip = || {
        let distance = |known: &String| strsim::osa_distance(known.trim_start_matches('/'), &path);
        known().map(|known| (distance(known), known)).filter(|(distance, _)| *distance <= 3).min()
    };
    if path.is_empty() || path.len() > 200 {
        return None;
    }
    known().find(meant).or_else(|| slip().map(|(_, known)| known)).map(String::as_str)
}

/// What a line is that is an object, but no request line at all.
pub(super) fn other_format(json: &str) -> Option<String> {
    let mut keys: Vec<String> = Vec::new();
    fields(json, &mut |key, _| {
        if keys.len() < 100 {
            keys.push(key.into_owned());
        }
    });
    let has = |key: &str| keys.iter().any(|own| own == key);
    let ours = "a request line has custom_id, method, url and body";
    if has("recordId") && has("modelInput") {
        return Some(format!("the line is one of Amazon Bedrock's (recordId, modelInput): {ours}"));
    }
    if has("request") && !has("body") && !has("custom_id") {
        return Some(format!("the line is one of Gemini's (key, request): {ours}"));
    }
    if has("params") && has("custom_id") && !has("body") && !has("url") {
        return Some(format!(
            "the line is one of Anthropic's (custom_id, params): {ours}; what is in params stands in body"
        ));
    }
    if has("custom_id") && !has("body") && (has("response") || has("result")) {
        return Some("the line is a result line, not a request line: `lote inspect` reads those".to_owned());
    }
    if let Some(what) = answer(json) {
        return Some(what);
    }
    let known = |_: &str| false;
    let near = SYNONYMS.iter().filter(|(key, _)| has(key) || key_in(json, key, &known).is_some()).count();
    if has("body") || has("custom_id") || near > 1 {
        return None;
    }
    if ["messages", "input", "prompt", "contents"].iter().any(|key| has(key)) && (has("model") || has("messages")) {
        return Some(format!("the line is a body without its request line: {ours}, and this stands under body"));
    }
    if keys.is_empty() {
        return None;
    }
    let shown: Vec<_> = keys.iter().take(5).map(|key| format!("{:?}", clip(key, 40))).collect();
    let more = if keys.len() > 5 { ", …" } else { "" };
    Some(format!(
        "the line is no request line but a row with {}{more}: `lote prepare` makes request lines of rows",
        shown.join(", ")
    ))
}

/// What an object is that a service answers with, or that has a list of lines in it.
pub(super) fn answer(json: &str) -> Option<String> {
    let (mut own, mut list, mut object, mut error, mut keys) = (false, None, None, None, 0);
    fields(json, &mut |key, value| {
        keys += 1;
        match key.as_ref() {
            "custom_id" | "body" => own = true,
            "object" => object = text(value),
            "error" if matches!(Kind::of(value), Kind::Object | Kind::String) => error = Some(value),
            "detail" if matches!(Kind::of(value), Kind::String | Kind::Array) => error = error.or(Some(value)),
            "data" | "requests" | "lines" | "items" | "batch" if list.is_none() => {
                list = first_of(value).map(|first| (key.into_owned(), first));
            }
            _ => {}
        }
    });
    if own {
        return None;
    }
    if let Some((name, first)) = list {
        let mut is_line = false;
        fields(first, &mut |key, _| is_line |= key == "custom_id");
        let then = if is_line { "" } else { ", and `lote prepare` makes request lines of them if they are rows" };
        return Some(format!(
            "the file is one object with a list under {name:?}: write the entries one a line, without what is around them \
             (`jq -c '.{name}[]' FILE` does){then}"
        ));
    }
    if let Some(error) = error.filter(|_| keys == 1 || object.as_deref() == Some("error")) {
        let said = error_text::read(error).message.unwrap_or_default();
        return Some(format!(
            "the file is the error of a service, {:?}, and no request line: is it what came in place of a file? Fetch it \
             again",
            clip(&said, 200)
        ));
    }
    let object = object.filter(|object| {
        let known = ["batch", "file", "list", "error", "model", "response", "chat.completion", "embedding"];
        known.contains(&object.as_ref())
    })?;
    Some(format!(
        "the line is an answer of a service (\"object\": {object:?}) and no request line: is it the right file?"
    ))
}

/// The first entry of a list, when it is an object.
fn first_of(json: &str) -> Option<&str> {
    let mut first = None;
    Walk::new(json).items(&mut |walk| {
        let value = walk.value();
        first.get_or_insert(value);
    });
    first.filter(|first| Kind::of(first) == Kind::Object)
}

/// What the first line of a file says, when it has the field names of a CSV file; the delimiter may be any of four.
pub(super) fn field_names(text: &str) -> Option<String> {
    let text = text.trim();
    let delimiter = [b'\t', b';', b'|', b','].into_iter().find(|delimiter| text.as_bytes().contains(delimiter))?;
    let names: Vec<_> = text.split(char::from(delimiter)).map(|name| name.trim().trim_matches('"')).collect();
    let is_name = |name: &&str| {
        !name.is_empty()
            && name.len() <= 60
            && !name.contains(['{', '}', '<', '>', '[', ']'])
            && !name.contains(char::is_control)
    };
    if text.len() > 10_000 || !names.iter().all(is_name) {
        return None;
    }
    let shown: Vec<_> = names.iter().take(5).map(|name| format!("{name:?}")).collect();
    let more = if names.len() > 5 { ", …" } else { "" };
    Some(format!("{}{more}", shown.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_near_by_case_blanks_signs_slips_and_by_what_others_call_them() {
        for (wanted, key) in [
            ("method", " method"),
            ("method", "method "),
            ("method", "Method"),
            ("method", "methd"),
            ("method", "\u{feff}method"),
            ("custom_id", "customId"),
            ("custom_id", "custom-id"),
            ("custom_id", "CUSTOM ID"),
            ("custom_id", "costum_id"),
            ("custom_id", "id"),
            ("custom_id", "request_id"),
            ("url", "URL"),
            ("url", "endpoint"),
            ("body", "Body"),
            ("body", "boddy"),
            ("body", "params"),
            ("messages", "message"),
            ("messages", "Messages"),
            ("input", "inputs"),
            // Two slips in a word of five letters.
            ("model", "molde"),
            ("input", "inpts"),
        ] {
            assert!(rank(key, wanted).is_some(), "{wanted} {key}");
        }
        for (wanted, key) in [
            ("method", "model"),
            ("url", "ur"),
            ("url", "earl"),
            ("body", "bytes"),
            ("body", "boot"),
            ("custom_id", "user"),
            ("messages", "metadata"),
        ] {
            assert!(rank(key, wanted).is_none(), "{wanted} {key}");
        }
        // The nearest one is named.
        let near = key_in(r#"{"id":1,"Custom_Id":2,"x":3}"#, "custom_id", &|_| false);
        assert_eq!(near.as_deref(), Some("\"Custom_Id\": write \"custom_id\""));
        let near = key_in(r#"{" method":"POST"}"#, "method", &|_| false);
        assert_eq!(near.as_deref(), Some("\" method\", with a blank in it: write \"method\""));
        assert_eq!(key_in(r#"{"id":1}"#, "custom_id", &|key| key == "id"), None);
        // Of those that are as near, the first.
        let near = key_in(r#"{"Body":1,"BODY":2}"#, "body", &|_| false);
        assert_eq!(near.as_deref(), Some("\"Body\": write \"body\""));
        // And what is odd about it.
        for (json, named) in [
            (r#"{"payload":{}}"#, "\"payload\": write \"body\""),
            (r#"{"params":{}}"#, "\"params\", as lines of Anthropic's have it: write \"body\""),
            (r#"{"bo\u200bdy":{}}"#, "\"bo\\u{200b}dy\", with a character in it that is not seen: write \"body\""),
            (r#"{"bo\u0007dy":{}}"#, "\"bo\\u{7}dy\", with a character in it that is not seen: write \"body\""),
            (r#"{"body\u00a0":{}}"#, "\"body\\u{a0}\", with a blank in it: write \"body\""),
        ] {
            assert_eq!(key_in(json, "body", &|_| false).as_deref(), Some(named));
        }
    }

    #[test]
    fn endpoints_are_near_by_host_slash_prefix_and_slips() {
        let options = CheckOptions::default();
        for (url, meant) in [
            ("https://api.openai.com/v1/chat/completions", Some("/v1/chat/completions")),
            ("http://localhost:8000/v1/embeddings?x=1", Some("/v1/embeddings")),
            ("/v1/chat/completions/", Some("/v1/chat/completions")),
            ("/chat/completions", Some("/v1/chat/completions")),
            ("v1/responses", Some("/v1/responses")),
            ("/V1/Responses", Some("/v1/responses")),
            ("/openai/v1/chat/completions", Some("/v1/chat/completions")),
            ("/openai/chat/completions", Some("/v1/chat/completions")),
            ("/v1/chat/completion", Some("/v1/chat/completions")),
            ("/v1/respones", Some("/v1/responses")),
            ("/v1/audio/transcriptions", None),
            ("", None),
            ("https://example.org", None),
        ] {
            assert_eq!(endpoint(url, &options), meant, "{url}");
        }
        // Of a path that is very long, or none, nothing is said.
        let long = |length: usize| format!("/{}/v1/responses", "x".repeat(length - "/v1/responses".len()));
        assert_eq!(endpoint(&long(200), &options), Some("/v1/responses"));
        assert_eq!(endpoint(&long(201), &options), None);
        let short = CheckOptions { known_endpoints: vec!["/a".to_owned()], ..CheckOptions::default() };
        assert_eq!((endpoint("/b", &short), endpoint("/", &short)), (Some("/a"), None));
    }

    #[test]
    fn other_formats_are_told_apart() {
        for (line, expected) in [
            (r#"{"key":"a","request":{"contents":[]}}"#, "one of Gemini's"),
            (r#"{"request":{"contents":[]}}"#, "one of Gemini's"),
            (r#"{"recordId":"a","modelInput":{}}"#, "one of Amazon Bedrock's"),
            (r#"{"custom_id":"a","params":{}}"#, "one of Anthropic's"),
            (r#"{"id":"r","custom_id":"a","response":null,"error":{}}"#, "a result line"),
            (r#"{"custom_id":"a","result":{}}"#, "a result line"),
            (r#"{"model":"m","input":"x"}"#, "a body without its request line"),
            (r#"{"messages":[]}"#, "a body without its request line"),
            (r#"{"data":[{"custom_id":"a"}]}"#, "with a list under \"data\""),
            (r#"{"object":"list","data":[{"id":"a"}],"has_more":false}"#, "with a list under \"data\""),
            (r#"{"requests":[{"custom_id":"a"}]}"#, "`jq -c '.requests[]' FILE` does)"),
            (r#"{"error":{"message":"no such file","type":"t"}}"#, "the error of a service, \"no such file\""),
            (r#"{"error":"no such file"}"#, "the error of a service, \"no such file\""),
            (r#"{"detail":"Not Found"}"#, "the error of a service, \"Not Found\""),
            (
                r#"{"id":"batch_1","object":"batch","status":"completed"}"#,
                "an answer of a service (\"object\": \"batch\")",
            ),
            // Rows may have fields of the same names.
            (r#"{"error":"E17","fix":"y"}"#, "a row with \"error\", \"fix\""),
            (r#"{"data":[1,2],"x":1}"#, "a row with \"data\", \"x\""),
            (r#"{"question":"x","answer":"y"}"#, "a row with \"question\", \"answer\": `lote prepare`"),
            // One sign of a format is not enough.
            (r#"{"recordId":"a","x":1}"#, "a row with \"recordId\", \"x\": `lote prepare`"),
            (r#"{"modelInput":{},"x":1}"#, "a row with \"modelInput\", \"x\": `lote prepare`"),
            (r#"{"params":{},"x":1}"#, "a row with \"params\", \"x\": `lote prepare`"),
            (r#"{"response":{},"x":1}"#, "a row with \"response\", \"x\": `lote prepare`"),
            (r#"{"prompt":"x","answer":"y"}"#, "a row with \"prompt\", \"answer\": `lote prepare`"),
            (r#"{"model":"m","x":1}"#, "a row with \"model\", \"x\": `lote prepare`"),
            (r#"{"id":"a","x":1}"#, "a row with \"id\", \"x\": `lote prepare`"),
            (r#"{"object":"thing","x":1}"#, "a row with \"object\", \"x\": `lote prepare`"),
            (r#"{"error":7}"#, "a row with \"error\": `lote prepare`"),
            (r#"{"detail":{"x":1}}"#, "a row with \"detail\": `lote prepare`"),
            (r#"{"a":1,"b":1,"c":1,"d":1,"e":1}"#, "\"d\", \"e\": `lote prepare`"),
            (r#"{"a":1,"b":1,"c":1,"d":1,"e":1,"f":1}"#, "\"d\", \"e\", …: `lote prepare`"),
            (r#"{"contents":[],"model":"m"}"#, "a body without its request line"),
            // The error of a service, whatever stands beside it, and the first of two.
            (r#"{"object":"error","detail":"no","message":"x"}"#, "the error of a service, \"no\""),
            (r#"{"object":"error","error":"no","detail":"other"}"#, "the error of a service, \"no\""),
            (r#"{"object":"error","detail":"other","error":"no"}"#, "the error of a service, \"no\""),
            (r#"{"detail":["no"]}"#, "the error of a service, \"no\""),
            // The first list that has objects.
            (r#"{"data":[1],"items":[{"x":1}],"batch":[{"y":1}]}"#, "with a list under \"items\""),
            (r#"{"lines":[{"custom_id":"a"},1]}"#, "`jq -c '.lines[]' FILE` does)"),
        ] {
            let told = other_format(line).unwrap_or_else(|| panic!("{line}"));
            assert!(told.contains(expected), "{line}: {told}");
        }
        // Rows in a list may be none of lines, which are as they are to be.
        let of_rows = other_format(r#"{"data":[{"x":1}]}"#).unwrap();
        assert!(of_rows.ends_with(", and `lote prepare` makes request lines of them if they are rows"), "{of_rows}");
        let of_lines = other_format(r#"{"data":[{"x":1,"custom_id":"a"}]}"#).unwrap();
        assert!(of_lines.ends_with("(`jq -c '.data[]' FILE` does)"), "{of_lines}");
        // Only so many keys are looked at.
        for (before, expected) in [(99, "one of Gemini's"), (100, "a row with \"0\", \"1\"")] {
            let fields: String = (0..before).map(|number| format!("\"{number}\":0,")).collect();
            let told = other_format(&format!("{{{fields}\"request\":{{}}}}")).unwrap();
            assert!(told.contains(expected), "{before}: {told}");
        }
        for line in [
            "{}",
            r#"{"request":{},"body":{}}"#,
            r#"{"request":{},"custom_id":"a"}"#,
            r#"{"custom_id":"a","params":{},"body":{}}"#,
            r#"{"custom_id":"a","params":{},"url":"u"}"#,
            r#"{"custom_id":"a","body":{},"response":{}}"#,
            r#"{"custom_id":"a","object":"batch"}"#,
            r#"{"body":{},"error":"x","object":"error"}"#,
            r#"{"body":{}}"#,
            r#"{"custom_id":"a"}"#,
            r#"{"id":"a","endpoint":"u","x":1}"#,
            r#"{"custom_id":"a","body":{}}"#,
            r#"{"custom_id":"a","url":"/v1/responses"}"#,
            r#"{"customId":"a","Method":"POST","url":"u","Body":{}}"#,
            r#"{"custom_id":"a","method":"POST","url":"u","params":{}}"#,
        ] {
            assert_eq!(other_format(line), None, "{line}");
        }
    }

    #[test]
    fn field_names_are_told_from_other_texts() {
        let long = "x".repeat(60);
        for (line, names) in [
            ("id,text", Some("\"id\", \"text\"")),
            ("id;text", Some("\"id\", \"text\"")),
            ("a\tb", Some("\"a\", \"b\"")),
            ("\"full name\",\"age\"", Some("\"full name\", \"age\"")),
            ("hello", None),
            ("<html>, a", None),
            ("{'a': 1, 'b': 2}", None),
            ("id,,text", None),
            ("a|b c", Some("\"a\", \"b c\"")),
            ("a,b,c,d,e", Some("\"a\", \"b\", \"c\", \"d\", \"e\"")),
            ("a,b,c,d,e,f", Some("\"a\", \"b\", \"c\", \"d\", \"e\", …")),
            ("a,b]", None),
            ("[a,b", None),
            ("<a,b", None),
            ("a,b\u{1}", None),
            (&format!("a,{long}"), Some(&format!("\"a\", {long:?}"))),
            (&format!("a,x{long}"), None),
        ] {
            assert_eq!(field_names(line).as_deref(), names, "{line}");
        }
        // A line that is very long is something else.
        let names = |length: usize| field_names(&("a,".repeat(length / 2 - 1) + &"b".repeat(length % 2 + 2)));
        assert!(names(10_000).is_some() && names(10_001).is_none());
    }
}
