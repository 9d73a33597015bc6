//! Owns the trials of where documents come from, and of what is no document: each ends with 100 and says why.

use std::{
    fs,
    io::{Read, Write},
    net::TcpListener,
    thread,
    time::Duration,
};

use serde_json::{Value, json};
use xtask::drift::{
    Request,
    fetch::{Limits, fetch},
};

use crate::{drift, pair, root};

/// The smallest document with one of our operations.
const SMALL: &str = "openapi: 3.1.0\npaths: { /batches: { get: { responses: { 200: { description: Yes. } } } } }\n";

/// What is said of a document that cannot be compared, and that it is said as text and as JSON.
fn refused(text: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("document");
    fs::write(&path, text).unwrap();
    let small = folder.path().join("small");
    fs::write(&small, SMALL).unwrap();
    let sources = vec![small.to_str().unwrap().to_owned(), path.to_str().unwrap().to_owned()];
    let limits = Limits { bytes: 1 << 20, ..Limits::default() };
    let (code, printed) = drift(&root(), &Request { sources: sources.clone(), limits, ..Request::default() });
    assert_eq!(code, 100, "{printed}");
    assert!(printed.contains("problem: ") && printed.contains("\nfix: "), "{printed}");
    let (code, object) = drift(&root(), &Request { sources, limits, json: true, ..Request::default() });
    let object: Value = serde_json::from_str(&object).unwrap();
    assert_eq!((code, &object["exit"]), (100, &json!(100)));
    assert!(object["error"]["problem"].is_string() || object["not_compared"][0]["problem"].is_string(), "{object}");
    printed
}

#[test]
fn what_is_no_document_is_refused_by_name() {
    let cases: [(&[u8], &str); 14] = [
        (b"", "is not an OpenAPI document"),
        (b"[]", "is not an OpenAPI document"),
        (b"just: yaml", "is not an OpenAPI document"),
        (b"a: [", "is neither JSON nor YAML"),
        (b"<html><body>Not: found</body></html>", "is not an OpenAPI document"),
        (b"{\"openapi\": \"3.0.0\", \"paths\": ", "is neither JSON nor YAML"),
        (b"swagger: '2.0'\npaths: {}", "is Swagger 2.0"),
        (b"swagger: 2.0\npaths: {}", "is Swagger 2"),
        (b"openapi: 4.0.0\npaths: {}", "is OpenAPI 4.0.0"),
        (b"openapi: 3.0.3", "has no paths"),
        (b"openapi: 3.0.3\npaths: { /other: { get: {} } }", "has none of our 9 operations"),
        (b"\x1f\x8b\x08\x00", "is compressed with gzip"),
        (b"\xff\xfeo\0p\0", "is not UTF-8"),
        (b"? [a]\n: b", "a key that is a list or a map"),
    ];
    for (text, expected) in cases {
        let printed = refused(text);
        assert!(printed.contains(expected), "{expected}: {printed}");
    }
    let large = format!("{SMALL}# {}", "x".repeat(1 << 20));
    assert!(refused(large.as_bytes()).contains("is larger than 1048576 bytes"));
    let deep = format!("{SMALL}x: {}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(refused(deep.as_bytes()).contains("is neither JSON nor YAML"));
    // Aliases that double at each step.
    let mut bomb = format!("{SMALL}a0: &a0 [x, x]\n");
    for step in 1..40 {
        bomb.push_str(&format!("a{step}: &a{step} [*a{}, *a{}]\n", step - 1, step - 1));
    }
    assert!(refused(bomb.as_bytes()).contains("is neither JSON nor YAML"), "an alias bomb is not blown up");
}

/// A document whose one answer has this schema, with components.
fn answering(schema: &str, components: &str) -> String {
    format!(
        "openapi: 3.0.3\npaths:\n  /batches:\n    get:\n      responses:\n        '200':\n          content:\n            \
         application/json:\n              schema: {schema}\ncomponents:\n  schemas:\n{components}"
    )
}

#[test]
fn what_cannot_be_compared_is_named_and_the_rest_is_compared() {
    let reference = "{ $ref: '#/components/schemas/A' }";
    let cases = [
        ("    A: { $ref: '#/components/schemas/A' }\n", "is cyclic"),
        ("    A: { $ref: '#/components/schemas/B' }\n    B: { $ref: '#/components/schemas/A' }\n", "is cyclic"),
        ("    A: { type: object, properties: { next: { $ref: '#/components/schemas/A' } } }\n", "is cyclic"),
        ("    A: { type: object, properties: { a: { $ref: '#/components/schemas/B' } } }\n", "which is not there"),
        ("    A: { type: object, properties: { a: { $ref: 'b.yaml#/B' } } }\n", "leads to another document"),
        ("    A: { type: object, properties: { a: { $ref: 7 } } }\n", "is not a text"),
        ("    A: { type: object, properties: { a: [] } }\n", "not a schema"),
        ("    A: { type: object, properties: { a: {}, a: { type: string } } }\n", "is there twice"),
        ("    A: { type: object, type: string }\n", "is there twice"),
    ];
    for (components, expected) in cases {
        let document = answering(reference, components);
        let printed = refused(document.as_bytes());
        assert!(printed.contains(expected) && printed.contains("not everything could be compared"), "{printed}");
        assert!(printed.contains("new answer: media-type-added"), "the rest is compared: {printed}");
    }
    // References that double at each step, and ones that go down without end.
    let mut doubling = String::new();
    let mut deep = String::new();
    for step in 0..400 {
        let next = format!("{{ $ref: '#/components/schemas/A{}' }}", step + 1);
        doubling.push_str(&format!("    A{step}: {{ properties: {{ a: {next}, b: {next} }} }}\n"));
        deep.push_str(&format!("    A{step}: {{ items: {next} }}\n"));
    }
    let first = "{ $ref: '#/components/schemas/A0' }";
    for (components, expected) in [(doubling, "too"), (deep, "nested too deeply")] {
        let document = answering(first, &format!("{components}    A400: {{}}\n"));
        assert!(refused(document.as_bytes()).contains(expected));
    }
    // A key that is there twice on the way to what is covered: the path, the method, a response, a component.
    let once = answering("{ $ref: '#/components/schemas/A' }", "    A: {}\n");
    for (key, again) in [
        ("components:\n", "paths: { /files: {} }\ncomponents:\n"),
        ("components:\n", "  /batches: { get: { responses: { '200': { description: a } } } }\ncomponents:\n"),
        ("    get:\n", "    get: {}\n    get:\n"),
        ("      responses:\n", "      responses: {}\n      responses:\n"),
        ("        '200':\n", "        '200': {}\n        '200':\n"),
        ("          content:\n", "          content: {}\n          content:\n"),
        ("            application/json:\n", "            application/json: {}\n            application/json:\n"),
        ("    A: {}\n", "    A: {}\n    A: { type: string }\n"),
    ] {
        let document = once.replacen(key, again, 1);
        assert_ne!(document, once, "{key}");
        let printed = refused(document.as_bytes());
        assert!(printed.contains("is there twice") || printed.contains("none of our 9 operations"), "{key}: {printed}");
    }
    // What is not covered may be as it likes.
    let other = answering("{}", "    A: { $ref: '#/components/schemas/A' }\n    B: { type: a, type: b }\n");
    assert_eq!(pair(&other, &other).0, 0);
}

/// The address of a server on loopback that gives each caller `answer`, and then holds the line when asked.
fn server(answer: impl Fn(&mut dyn Write) -> std::io::Result<()> + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut request = [0; 4096];
            let _ = stream.read(&mut request);
            // The caller may have hung up.
            let _ = answer(&mut stream);
        }
    });
    format!("http://{address}/a/openapi.yaml?token=secret")
}

#[test]
fn a_url_is_fetched() {
    let address = server(|stream| {
        write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{SMALL}", SMALL.len())
    });
    assert_eq!(fetch(&address, Limits::default()).unwrap(), SMALL.as_bytes());
    // What may be secret in the address is not told.
    let sources = vec![address.clone(), address.replace("http://", "http://me:secret@")];
    let (code, printed) = drift(&root(), &Request { sources, ..Request::default() });
    assert!(code == 0 && printed.contains("/a/openapi.yaml\n") && !printed.contains("secret"), "{printed}");
}

#[test]
fn a_server_without_an_end_is_left_and_no_secret_is_told() {
    type Answer = fn(&mut dyn Write) -> std::io::Result<()>;
    let endless: Answer = |stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n")?;
        loop {
            stream.write_all(&[b'#'; 65536])?;
        }
    };
    let huge: Answer = |stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 500000000\r\n\r\n#").and_then(|()| {
            loop {
                stream.write_all(&[b'#'; 65536])?;
            }
        })
    };
    // The thread waits for the test to end; nobody waits for the thread.
    let silent: Answer = |stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n")?;
        stream.flush()?;
        loop {
            thread::park();
        }
    };
    let missing: Answer = |stream| stream.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n");
    let cut: Answer = |stream| stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc");
    let long = Duration::from_secs(60);
    let cases = [
        (endless, long, "is larger than 1048576 bytes"),
        (huge, long, "is larger than 1048576 bytes"),
        (silent, Duration::from_millis(200), "did not come to an end within 0.2 seconds"),
        (missing, long, "answers 404 Not Found"),
        (cut, long, "cannot be fetched"),
    ];
    for (answer, time, expected) in cases {
        let failure = fetch(&server(answer), Limits { bytes: 1 << 20, time }).unwrap_err().to_string();
        assert!(failure.contains(expected) && !failure.contains("secret"), "{expected}: {failure}");
    }
    let nobody = { TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap() };
    let failure = fetch(&format!("http://me:secret@{nobody}/"), Limits::default()).unwrap_err().to_string();
    assert!(failure.contains("cannot be fetched") && !failure.contains("secret"), "{failure}");
    assert!(fetch("no such file", Limits::default()).unwrap_err().to_string().contains("cannot be read"));
    #[cfg(unix)]
    {
        let failure = fetch("/dev/zero", Limits { bytes: 1 << 20, ..Limits::default() }).unwrap_err().to_string();
        assert!(failure.contains("is larger than"), "{failure}");
    }
}

#[test]
fn json_and_yaml_are_one() {
    let json = "{\"openapi\": \"3.1.0\", \"paths\": {\"/batches\": {\"get\": {\"responses\": {\"200\": {\"description\": \"Yes.\"}}}}}}";
    assert_eq!(pair(SMALL, json).0, 0);
    assert_eq!(pair(&format!("\u{feff}{SMALL}"), &format!("  \n{json}")).0, 0);
}
