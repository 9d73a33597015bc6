//! Owns the proof that a client takes its dialect from the environment; the other settings are the README's proof.

use std::{env, process::Command};

use lote::{Client, DialectChoice};

#[test]
fn the_environment_names_a_dialect() {
    if env::var_os("LOTE_ENVIRONMENT_CHILD").is_some() {
        let client = Client::from_env().map_err(|error| error.to_string());
        match env::var("LOTE_EXPECTED").expect("set by the parent").as_str() {
            "error" => assert!(client.expect_err("no such dialect").contains("\"nothing\" is none of mka1")),
            expected => {
                let client = client.expect("a client");
                assert_eq!((client.dialect().name(), client.dialect_choice()), (expected, &DialectChoice::Given));
            }
        }
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let mine = folder.path().join("mine.toml");
    std::fs::write(&mine, "name = \"mine\"\nextends = \"ogx\"").expect("written");
    let mine = mine.to_str().expect("UTF-8");
    for (dialect, expected) in [("groq", "groq"), (mine, "mine"), ("nothing", "error")] {
        let mut child = Command::new(env::current_exe().expect("this program"));
        child
            .args(["--exact", "environment::the_environment_names_a_dialect"])
            .env("LOTE_ENVIRONMENT_CHILD", "1")
            .env("LOTE_EXPECTED", expected)
            .env("LOTE_BASE_URL", "http://127.0.0.1:9/v1")
            .env("LOTE_API_KEY", "mk-test")
            .env("LOTE_DIALECT", dialect)
            .env_remove("LOTE_ON_BEHALF_OF");
        let output = child.output().expect("it runs");
        assert!(output.status.success(), "{dialect}: {}", String::from_utf8_lossy(&output.stdout));
    }
}
