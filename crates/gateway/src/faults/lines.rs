//! Owns what becomes of a result file. Never works without a fault on it; then it holds the whole
//! file in memory.

use std::io;

use serde_json::{Value, json};
use tokio::io::AsyncReadExt;

use crate::faults::{Effect, Fired, Stage};
use crate::store::{Disk, Spool};

/// A result file as a batch names it.
#[derive(Debug)]
pub(crate) enum ResultFile {
    /// With null.
    None,
    /// With `""`.
    EmptyId,
    File(Box<Spool>),
}

/// Distorts a result file; without a spool there were no lines for it.
pub(crate) async fn distort(disk: &Disk, fired: &Fired, spool: Option<Spool>) -> io::Result<ResultFile> {
    let effects = || fired.at(Stage::ResultFile).map(|strike| &strike.effect);
    // Whether one of them is this; then it happens.
    let happens = |effect: Effect| {
        let strike = fired.at(Stage::ResultFile).find(|strike| strike.effect == effect);
        strike.inspect(|strike| strike.happened()).is_some()
    };
    let Some(spool) = spool else {
        if happens(Effect::EmptyFile) {
            return Ok(ResultFile::File(Box::new(disk.spool().await?)));
        }
        return Ok(if happens(Effect::EmptyFileId) { ResultFile::EmptyId } else { ResultFile::None });
    };
    if happens(Effect::NoFile) {
        return Ok(ResultFile::None);
    }
    if effects().all(|effect| matches!(effect, Effect::EmptyFile | Effect::EmptyFileId)) {
        return Ok(ResultFile::File(Box::new(spool)));
    }
    let mut text = Vec::new();
    spool.seal().await?.open(0).await?.read_to_end(&mut text).await?;
    let mut lines: Vec<Vec<u8>> = text.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    for strike in fired.at(Stage::ResultFile) {
        let before = lines.clone();
        change(&strike.effect, strike.draw, &mut lines)?;
        if lines != before {
            strike.happened();
        }
    }
    let mut spool = disk.spool().await?;
    for line in lines {
        spool.write(&line).await?;
    }
    Ok(ResultFile::File(Box::new(spool)))
}

fn change(effect: &Effect, draw: u64, lines: &mut Vec<Vec<u8>>) -> io::Result<()> {
    match effect {
        Effect::ShuffledLines => shuffle(lines, draw),
        Effect::DuplicatedLines { lines: most } => {
            let again: Vec<Vec<u8>> = lines.iter().take(*most).cloned().collect();
            lines.extend(again);
        }
        Effect::MissingLines { lines: most } => lines.truncate(lines.len().saturating_sub(*most)),
        Effect::ForeignLines { lines: many } => {
            for at in (1..=*many).rev() {
                lines.insert(0, foreign(at)?);
            }
        }
        Effect::TruncatedLine => {
            if let Some(last) = lines.last_mut() {
                last.truncate(last.len() / 2);
            }
        }
        Effect::UndecodableLines { lines: most } => {
            lines.iter_mut().take(*most).for_each(|line| *line = b"{\"custom_id\": \"\xff\xfe, not json\n".to_vec());
        }
        Effect::NoFinalNewline => {
            if let Some(last) = lines.last_mut().filter(|last| last.ends_with(b"\n")) {
                last.pop();
            }
        }
        Effect::BothSet | Effect::HalfLines | Effect::BodyAsText | Effect::NullRequestId => {
            for line in lines {
                // One that another effect has made unreadable stays so.
                if let Ok(mut value) = serde_json::from_slice(line) {
                    reshape(effect, &mut value);
                    *line = serde_json::to_vec(&value)?;
                    line.push(b'\n');
                }
            }
        }
        _ => {}
    }
    Ok(())
}

fn reshape(effect: &Effect, line: &mut Value) {
    match effect {
        Effect::BothSet => {
            if line["response"].is_null() {
                line["response"] = json!({"status_code": 500, "request_id": null, "body": null});
            }
            if line["error"].is_null() {
                line["error"] = json!({"code": "processing_error", "message": "The request could not be processed."});
            }
        }
        Effect::HalfLines => {
            if let Some(line) = line.as_object_mut() {
                line.retain(|name, value| !(value.is_null() && (name == "response" || name == "error")));
            }
        }
        Effect::BodyAsText => {
            if let Some(body) = line.pointer_mut("/response/body") {
                *body = json!(body.to_string());
            }
        }
        Effect::NullRequestId => {
            if let Some(id) = line.pointer_mut("/response/request_id") {
                *id = Value::Null;
            }
        }
        _ => {}
    }
}

fn foreign(at: usize) -> io::Result<Vec<u8>> {
    let body = json!({"id": "chatcmpl-foreign", "object": "chat.completion", "choices": []});
    let mut line = serde_json::to_vec(&json!({
        "id": format!("batch_req_foreign{at}"),
        "custom_id": format!("foreign-{at}"),
        "response": {"status_code": 200, "request_id": format!("req_foreign{at}"), "body": body},
        "error": null,
    }))?;
    line.push(b'\n');
    Ok(line)
}

/// Never the order that it was, if there is another.
fn shuffle(lines: &mut [Vec<u8>], draw: u64) {
    let before = lines.to_vec();
    let mut state = draw;
    for at in (1..lines.len()).rev() {
        // Knuth's generator; its high bits are the random ones.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let other = usize::try_from(state >> 33).unwrap_or(0) % (at + 1);
        lines.swap(at, other);
    }
    if lines == before && lines.len() > 1 {
        lines.rotate_left(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shuffle_moves_something_and_loses_nothing() {
        for (many, draw) in [(0, 1), (1, 1), (2, 1), (2, 2), (2, 3), (50, 4)] {
            let lines: Vec<Vec<u8>> = (0..many).map(|n: u8| vec![n]).collect();
            let mut shuffled = lines.clone();
            shuffle(&mut shuffled, draw);
            assert_eq!(shuffled == lines, many < 2, "{many} {draw}");
            shuffled.sort();
            assert_eq!(shuffled, lines);
        }
    }
}
