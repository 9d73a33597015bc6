//! What becomes of a result file that a fault strikes. It is held in memory as a whole.

use std::io;

use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;

use crate::blobs::{Blob, Spool};
use crate::faults::{Effect, Fired, Stage};

/// A result file as a batch names it.
#[derive(Debug)]
pub(super) enum Distorted {
    /// As it was.
    Not,
    /// With null.
    None,
    /// With `""`.
    EmptyId,
    File(Box<Spool>),
}

/// Distorts a result file; without one there were no lines for it. What is distorted is written to another.
pub(super) async fn distort<'a>(
    another: impl Fn() -> BoxFuture<'a, io::Result<Spool>>,
    fired: &Fired,
    file: Option<&Blob>,
) -> io::Result<Distorted> {
    let effects = || fired.at(Stage::ResultFile).map(|strike| &strike.effect);
    // Whether one of them is this; then it happens.
    let happens = |effect: Effect| {
        let strike = fired.at(Stage::ResultFile).find(|strike| strike.effect == effect);
        strike.inspect(|strike| strike.happened()).is_some()
    };
    let Some(file) = file else {
        if happens(Effect::EmptyFile) {
            return Ok(Distorted::File(Box::new(another().await?)));
        }
        return Ok(if happens(Effect::EmptyFileId) { Distorted::EmptyId } else { Distorted::Not });
    };
    if happens(Effect::NoFile) {
        return Ok(Distorted::None);
    }
    if effects().all(|effect| matches!(effect, Effect::EmptyFile | Effect::EmptyFileId)) {
        return Ok(Distorted::Not);
    }
    let mut text = Vec::new();
    file.open(0).await?.read_to_end(&mut text).await?;
    let mut lines: Vec<Vec<u8>> = text.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    for strike in fired.at(Stage::ResultFile) {
        if change(&strike.effect, strike.draw, &mut lines)? {
            strike.happened();
        }
    }
    let mut spool = another().await?;
    for line in lines {
        spool.write(&line).await?;
    }
    Ok(Distorted::File(Box::new(spool)))
}

/// Returns whether anything is different now.
fn change(effect: &Effect, draw: u64, lines: &mut Vec<Vec<u8>>) -> io::Result<bool> {
    let many = lines.len();
    match effect {
        Effect::ShuffledLines => return Ok(shuffle(lines, draw)),
        Effect::DuplicatedLines { lines: most } => lines.extend_from_within(..many.min(*most)),
        Effect::MissingLines { lines: most } => lines.truncate(many.saturating_sub(*most)),
        Effect::ForeignLines { lines: more } => {
            let foreign: Vec<Vec<u8>> = (1..=*more).map(foreign).collect::<io::Result<_>>()?;
            lines.splice(..0, foreign);
        }
        Effect::TruncatedLine => {
            return Ok(lines.last_mut().is_some_and(|last| {
                last.truncate(last.len() / 2);
                true
            }));
        }
        Effect::UndecodableLines { lines: most } => {
            lines.iter_mut().take(*most).for_each(|line| *line = b"{\"custom_id\": \"\xff\xfe, not json\n".to_vec());
            return Ok(many > 0);
        }
        Effect::NoFinalNewline => {
            return Ok(lines.last_mut().is_some_and(|last| last.pop_if(|byte| *byte == b'\n').is_some()));
        }
        Effect::BothSet | Effect::HalfLines | Effect::BodyAsText | Effect::NullRequestId => {
            let mut changed = false;
            for line in lines {
                // One that another effect has made unreadable stays so.
                let Ok(mut value) = serde_json::from_slice(line) else { continue };
                if reshape(effect, &mut value) {
                    *line = serde_json::to_vec(&value)?;
                    line.push(b'\n');
                    changed = true;
                }
            }
            return Ok(changed);
        }
        _ => {}
    }
    Ok(lines.len() != many)
}

/// Returns whether the line is different now.
fn reshape(effect: &Effect, line: &mut Value) -> bool {
    match effect {
        Effect::BothSet => {
            if line["response"].is_null() {
                line["response"] = json!({"status_code": 500, "request_id": null, "body": null});
                true
            } else if line["error"].is_null() {
                line["error"] = json!({"code": "processing_error", "message": "The request could not be processed."});
                true
            } else {
                false
            }
        }
        Effect::HalfLines => line.as_object_mut().is_some_and(|line| {
            let before = line.len();
            line.retain(|name, value| !(value.is_null() && (name == "response" || name == "error")));
            line.len() != before
        }),
        Effect::BodyAsText => match line.pointer_mut("/response/body") {
            Some(body) if !body.is_string() => {
                *body = json!(body.to_string());
                true
            }
            _ => false,
        },
        Effect::NullRequestId => {
            line.pointer_mut("/response/request_id").is_some_and(|id| !std::mem::take(id).is_null())
        }
        _ => false,
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

/// Never the order that it was, if there is another; returns whether there is.
fn shuffle(lines: &mut [Vec<u8>], draw: u64) -> bool {
    let mut order: Vec<usize> = (0..lines.len()).collect();
    let mut state = draw;
    for at in (1..lines.len()).rev() {
        // Knuth's generator; its high bits are the random ones.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let other = usize::try_from(state >> 33).unwrap_or(0) % (at + 1);
        order.swap(at, other);
    }
    if order.is_sorted() && lines.len() > 1 {
        order.rotate_left(1);
    }
    let mut shuffled: Vec<Vec<u8>> = order.iter().map(|from| std::mem::take(&mut lines[*from])).collect();
    lines.swap_with_slice(&mut shuffled);
    lines.len() > 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shuffle_moves_something_and_loses_nothing() {
        for (many, draw) in [(0, 1), (1, 1), (2, 1), (2, 2), (2, 3), (50, 4)] {
            let lines: Vec<Vec<u8>> = (0..many).map(|n: u8| vec![n]).collect();
            let mut shuffled = lines.clone();
            assert_eq!(shuffle(&mut shuffled, draw), many > 1);
            assert_eq!(shuffled == lines, many < 2, "{many} {draw}");
            shuffled.sort();
            assert_eq!(shuffled, lines);
        }
    }
}
