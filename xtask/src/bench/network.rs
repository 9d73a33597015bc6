//! The works that need a service, and the starts of the command.

use std::io::Write;

use super::{
    data::Set,
    service::{KEY, Needs},
    text::Style,
    work::{Contender, Scene, Work, requests, thousands, word},
};
use crate::report::Failure;

/// The file that goes and comes: nearly as much as one batch takes.
fn transferred(scene: &Scene<'_>, out: &mut dyn Write) -> Result<(String, u64), Failure> {
    requests(scene, Set { lines: scene.scale.lines, kilobytes: 1, style: Style::Utf8 }, out)
}

fn curl(scene: &Scene<'_>, words: &[&str]) -> Option<Contender> {
    let bearer = format!("Authorization: Bearer {KEY}");
    let all = ["curl", "--silent", "--show-error", "--fail", "--header", &bearer];
    scene.peers.curl.then(|| Contender::new("curl", all.into_iter().chain(words.iter().copied())))
}

pub(super) fn upload(scene: &Scene<'_>, name: &'static str, out: &mut dyn Write) -> Result<Work, Failure> {
    let (file, bytes) = transferred(scene, out)?;
    let says = [format!("\"bytes\":{bytes}")];
    let ours = Contender::new("lote files upload", [&word(scene.lote), "files", "upload", &file]);
    let mut contenders = vec![ours.says([format!("\"bytes\": {bytes}")])];
    for (name, client, lacks) in [
        ("socket", "socket", "no retry, no watch, no JSON read, no TLS"),
        ("reqwest, blocking reads of 256 KiB", "reqwest", "no retry, no watch, no JSON read, no TLS"),
        ("async-openai", "async-openai", "no watch, built without TLS"),
    ] {
        if let Some(words) = scene.peers.rust(&[client, "upload", "{url}/v1", &file]) {
            contenders.push(Contender::new(name, words).says([format!("{bytes} bytes")]).lacks(lacks));
        }
    }
    let form = format!("file=@{file}");
    let words = ["--form", "purpose=batch", "--form", &form, "{url}/v1/files"];
    contenders.extend(curl(scene, &words).map(|curl| curl.says(says).lacks("no retry, no JSON read")));
    for (name, client) in [("openai-python", "openai"), ("meetkai-mka1", "mka1")] {
        if let Some(words) = scene.peers.python("client.py", &[client, "upload", "{url}", &file]) {
            contenders.push(Contender::new(name, words).says([format!("{bytes} bytes")]));
        }
    }
    let title = format!("Upload {} MB, loopback", bytes / 1_000_000);
    Ok(Work { name, title, needs: Needs::Fresh, rounds: scene.scale.rounds, contenders })
}

pub(super) fn download(scene: &Scene<'_>, name: &'static str, out: &mut dyn Write) -> Result<Work, Failure> {
    let (file, bytes) = transferred(scene, out)?;
    let came = scene.scratch.join("came.jsonl");
    let to = word(&came);
    let lote = word(scene.lote);
    let words = ["files", "content", "{file}", "-o", &to, "--force"];
    let all = |rest: &[&'static str]| {
        let words = [lote.as_str()].into_iter().chain(words).chain(rest.iter().copied());
        words.map(str::to_owned).collect::<Vec<_>>()
    };
    let mut contenders = vec![
        Contender::new("lote files content, with a hash (MKA1)", all(&[])),
        Contender::new("lote files content, without (OpenAI)", all(&["--base-url", "{url}/v1"])),
    ];
    for (name, client) in [("socket", "socket"), ("reqwest, into a file", "reqwest"), ("async-openai", "async-openai")]
    {
        if let Some(words) = scene.peers.rust(&[client, "download", "{url}/v1", "{file}", &to]) {
            contenders.push(Contender::new(name, words).lacks("no hash, no going on, no file that appears whole"));
        }
    }
    let words = ["--output", &to, "{url}/v1/files/{file}/content"];
    let lacks = "no hash, no going on, no file that appears whole";
    contenders.extend(curl(scene, &words).map(|curl| curl.lacks(lacks)));
    for (name, client) in [("openai-python", "openai"), ("meetkai-mka1", "mka1")] {
        if let Some(words) = scene.peers.python("client.py", &[client, "download", "{url}", "{file}", &to]) {
            contenders.push(Contender::new(name, words).lacks(lacks));
        }
    }
    for contender in &mut contenders {
        contender.leaves = Some((came.clone(), Some(bytes)));
    }
    let title = format!("Download {} MB to a file, loopback", bytes / 1_000_000);
    Ok(Work { name, title, needs: Needs::File(file.into()), rounds: scene.scale.rounds, contenders })
}

pub(super) fn get(scene: &Scene<'_>, name: &'static str, out: &mut dyn Write) -> Result<Work, Failure> {
    let (file, _) = requests(scene, Set { lines: 10, kilobytes: 1, style: Style::Utf8 }, out)?;
    let says = ["\"batch\"", "{batch}"];
    let ours = [&word(scene.lote), "batches", "get", "{batch}"];
    let mut contenders = vec![Contender::new("lote batches get", ours).says(says)];
    contenders.extend(curl(scene, &["{url}/v1/batches/{batch}"]).map(|curl| curl.says(says).lacks("no JSON read")));
    if let Some(words) = scene.peers.rust(&["async-openai", "get", "{url}/v1", "{batch}"]) {
        contenders.push(Contender::new("async-openai", words).says(["{batch}"]).lacks("built without TLS"));
    }
    for (name, client) in [("openai-python", "openai"), ("meetkai-mka1", "mka1")] {
        if let Some(words) = scene.peers.python("client.py", &[client, "get", "{url}", "{batch}"]) {
            contenders.push(Contender::new(name, words).says(["{batch}"]));
        }
    }
    let rounds = scene.scale.rounds * 3;
    Ok(Work { name, title: "Get a batch".to_owned(), needs: Needs::Batch(file.into()), rounds, contenders })
}

pub(super) fn version(scene: &Scene<'_>, name: &'static str, _: &mut dyn Write) -> Result<Work, Failure> {
    let mut contenders = vec![Contender::new("lote --version", [&word(scene.lote), "--version"]).says(["lote "])];
    if scene.peers.curl {
        contenders.push(Contender::new("curl --version", ["curl", "--version"]).says(["curl "]));
    }
    let rounds = scene.scale.rounds * 3;
    Ok(Work { name, title: "Start and end".to_owned(), needs: Needs::Nothing, rounds, contenders })
}

pub(super) fn run(scene: &Scene<'_>, name: &'static str, out: &mut dyn Write) -> Result<Work, Failure> {
    let many = name == "run-many";
    let (lines, rounds) = if many { (scene.scale.many, 1) } else { (scene.scale.run, scene.scale.few) };
    let (file, bytes) = requests(scene, Set { lines, kilobytes: 1, style: Style::Utf8 }, out)?;
    let folder = scene.scratch.join("bench.run");
    let words = [&word(scene.lote), "run", &file, "--dir", &word(&folder), "--json"];
    let ours = Contender::new("lote run", words).says([format!("\"succeeded\":{lines},")]).leaves(folder, None);
    let mut contenders = vec![ours];
    let came = word(&scene.scratch.join("came.jsonl"));
    if !many && let Some(words) = scene.peers.python("client.py", &["openai", "run", "{url}", &file, &came]) {
        let lacks = "one batch; no check, no state on disk, no join: what came is left as it came";
        contenders.push(
            Contender::new("openai-python", words)
                .says([format!("{lines} completed")])
                .lacks(lacks)
                .leaves(came.into(), None),
        );
    }
    let title = format!("A run of {} lines ({} MB), gateway in another process", thousands(lines), bytes / 1_000_000);
    Ok(Work { name, title, needs: Needs::Fresh, rounds, contenders })
}
