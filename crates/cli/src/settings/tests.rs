//! The whole table of what comes first, and where keys go.

use super::*;

/// A setting of each kind from the command line or the `LOTE_*` variables.
fn given(source: Source, base_url: &str, dialect: &str) -> Given {
    let text = |value: &str| Some(Made { value: value.to_owned(), source: source.clone() });
    let with = |value: &str| text(value).filter(|made| !made.value.is_empty());
    Given { base_url: with(base_url), dialect: with(dialect), ..Given::default() }
}

fn profile(base_url: &str, dialect: &str, key: bool) -> Profile {
    let with = |value: &str| Some(At { value: value.to_owned(), line: 1 }).filter(|at| !at.value.is_empty());
    let kept = key.then(|| At { value: KeyFrom::File("/nowhere".into()), line: 1 });
    Profile { base_url: with(base_url), dialect: with(dialect), key: kept, ..Profile::default() }
}

const FLAG: Source = Source::Flag { name: "--base-url" };

fn settle(given: &Given, profile: Option<&Profile>, openai: (&str, &str)) -> Settings {
    let set = |value: &str| Some(value.to_owned()).filter(|value| !value.is_empty());
    let openai = OpenAi { key: set(openai.0), base_url: set(openai.1) };
    let name = profile.map(|_| Made { value: "p".to_owned(), source: FLAG });
    Settings::of(given, name, profile, &openai)
}

fn said<T>(made: &Option<Made<T>>) -> String {
    made.as_ref().map_or("-".to_owned(), |made| made.source.to_string())
}

/// Of each setting the first source that has it counts. Which of a flag and its variable counts is clap's, and tested
/// with the whole command.
#[test]
fn what_is_given_comes_before_the_profile_and_that_before_the_default() {
    let text = |value: &str| Some(At { value: value.to_owned(), line: 1 });
    let full = Profile {
        base_url: text("https://api.openai.com/v1"),
        dialect: text("openai"),
        key: Some(At { value: KeyFrom::File("/nowhere".into()), line: 1 }),
        on_behalf_of: text("ana"),
        ca_cert: Some(At { value: "/nowhere.pem".into(), line: 1 }),
        retries: Some(At { value: 7, line: 1 }),
    };
    let made = |value: &str| Some(Made { value: value.to_owned(), source: FLAG });
    let all = Given {
        profile: None,
        base_url: made("https://api.openai.com/v2"),
        dialect: made("openai"),
        api_key: Some(Made { value: Key::Text("k".to_owned()), source: FLAG }),
        on_behalf_of: made("ben"),
        ca_cert: Some(Made { value: "/flag.pem".into(), source: FLAG }),
        retries: Some(Made { value: 1, source: FLAG }),
    };
    for (given, profile, expected, retries) in [
        (&all, Some(&full), "--base-url", 1),
        (&Given::default(), Some(&full), "profile p", 7),
        (&all, None, "--base-url", 1),
        (&Given::default(), None, "-", RETRIES),
    ] {
        let settled = settle(given, profile, ("sk-openai", "https://other.example/v1"));
        let Settings { base_url, dialect, key, on_behalf_of, ca_cert, .. } = &settled;
        assert_eq!([said(base_url), said(dialect), said(key), said(on_behalf_of)], [expected; 4]);
        assert_eq!(said(ca_cert), expected);
        assert_eq!(settled.retries.value, retries);
    }
}

/// What OpenAI's variables are worth, by dialect and base URL.
#[test]
fn openais_key_goes_to_openai_or_its_own_base_url_alone() {
    const OWN: &str = "https://proxy.example/v1";
    let variable = Source::Variable { name: "LOTE_BASE_URL" };
    for (base_url, dialect, openai_url, key, url) in [
        // Nothing says OpenAI.
        ("", "", "", "-", "-"),
        ("", "", OWN, "-", "-"),
        ("", "groq", OWN, "-", "-"),
        ("http://127.0.0.1:1/v1", "", "", "-", "--base-url"),
        ("http://127.0.0.1:1/v1", "", "http://127.0.0.1:1/v1", "-", "--base-url"),
        // The dialect does.
        ("", "openai", "", "OPENAI_API_KEY", "-"),
        ("", "openai", OWN, "OPENAI_API_KEY", "OPENAI_BASE_URL"),
        ("http://127.0.0.1:1/v1", "openai", "", "-", "--base-url"),
        ("http://127.0.0.1:1/v1", "openai", OWN, "-", "--base-url"),
        ("https://proxy.example/v1/", "openai", OWN, "OPENAI_API_KEY", "--base-url"),
        ("https://proxy.example/v2", "openai", OWN, "-", "--base-url"),
        ("http://proxy.example/v1", "openai", OWN, "-", "--base-url"),
        // The host does.
        ("https://api.openai.com/v1", "", "", "OPENAI_API_KEY", "--base-url"),
        ("https://api.openai.com/v1", "", OWN, "OPENAI_API_KEY", "--base-url"),
        ("https://api.openai.com/v1", "./mine.toml", OWN, "OPENAI_API_KEY", "--base-url"),
        ("http://api.openai.com/v1", "openai", OWN, "-", "--base-url"),
        ("https://api.openai.com.example.org/v1", "openai", OWN, "-", "--base-url"),
        ("https://api.openai.com@proxy.example/v1", "openai", "", "-", "--base-url"),
    ] {
        let what = format!("{base_url} {dialect} {openai_url}");
        let settled = settle(&given(FLAG, base_url, dialect), None, ("sk-openai", openai_url));
        assert_eq!((said(&settled.key).as_str(), said(&settled.base_url).as_str()), (key, url), "{what}");
        assert_eq!(settled.untaken.is_empty(), key != "-", "{what}: {:?}", settled.untaken);
        // The same of a variable and of a profile.
        let settled = settle(&given(variable.clone(), base_url, dialect), None, ("sk-openai", openai_url));
        assert_eq!(said(&settled.key), key, "{what}");
        let settled = settle(&Given::default(), Some(&profile(base_url, dialect, false)), ("sk-openai", openai_url));
        assert_eq!(said(&settled.key), key, "{what}");
        // Ours come first, whatever is meant.
        let ours = Given {
            api_key: Some(Made { value: Key::Text("mk-1".to_owned()), source: FLAG }),
            ..given(FLAG, base_url, dialect)
        };
        let settled = settle(&ours, None, ("sk-openai", openai_url));
        assert!(settled.untaken.is_empty() && said(&settled.key) == "--base-url", "{what}");
        // And it is said that theirs are used.
        let note = settle(&given(FLAG, base_url, dialect), None, ("sk-openai", openai_url)).openai_note();
        assert_eq!(note.is_some(), key != "-", "{what}: {note:?}");
        assert!(note.is_none_or(|note| !note.contains("sk-openai")), "{what}");
    }
}

#[test]
fn the_key_of_a_profile_goes_to_the_service_of_the_profile_alone() {
    for (own_url, own_dialect, base_url, dialect, goes) in [
        // The profile's own service, by whatever name.
        ("https://a.example/v1", "openai", "", "", true),
        ("https://a.example/v1", "openai", "https://A.example:443/v2", "", true),
        ("https://a.example/v1", "openai", "", "groq", true),
        ("", "openai", "https://api.openai.com/v1", "", true),
        ("", "", "", "", true),
        // Another one.
        ("https://a.example/v1", "", "https://b.example/v1", "", false),
        ("https://a.example/v1", "", "http://a.example/v1", "", false),
        ("https://a.example/v1", "", "https://a.example:8443/v1", "", false),
        ("https://a.example/v1", "", "https://a.example@b.example/v1", "", false),
        ("", "openai", "http://127.0.0.1:1/v1", "", false),
        ("", "openai", "", "groq", false),
        ("", "mka1", "http://127.0.0.1:1/v1", "", false),
        // One that says only who asks, or a dialect that leads nowhere by itself.
        ("", "", "http://127.0.0.1:1/v1", "", true),
        ("", "vllm", "http://127.0.0.1:1/v1", "", true),
    ] {
        let what = format!("{own_url} {own_dialect}, {base_url} {dialect}");
        let settled = settle(&given(FLAG, base_url, dialect), Some(&profile(own_url, own_dialect, true)), ("", ""));
        assert_eq!(said(&settled.key), if goes { "profile p" } else { "-" }, "{what}: {:?}", settled.untaken);
        assert_eq!(settled.untaken.is_empty(), goes, "{what}");
    }
    // Where OPENAI_BASE_URL leads elsewhere, the key of a profile of OpenAI does not follow.
    let settled = settle(&Given::default(), Some(&profile("", "openai", true)), ("", "https://proxy.example/v1"));
    assert_eq!((said(&settled.key).as_str(), said(&settled.base_url).as_str()), ("-", "OPENAI_BASE_URL"));
}
