//! What came of a request line, whatever the endpoint: texts, refusals, calls of tools, vectors, images, or an error.

use lote::{Image, ImageData, Outcome};

use super::{Block, numbers, pretty};
use crate::export::answer::Answer;

/// How many vectors and images are told one by one.
const SHOWN: usize = 5;

/// The parts of an answer.
pub(super) fn blocks(outcome: &Outcome) -> Vec<Block> {
    if !outcome.is_succeeded() {
        return error(outcome);
    }
    let answer = Answer::of(outcome);
    let mut told: Vec<String> = Vec::new();
    told.extend(outcome.model().map(|model| format!("model {model}")));
    told.extend(outcome.finish_reason().ok().map(|reason| format!("finish {reason}")));
    let head = |what: &str| match told.as_slice() {
        [] => what.to_owned(),
        told => format!("{what}: {}", told.join(", ")),
    };
    let mut blocks = Vec::new();
    let several = answer.texts.len() > 1;
    for (at, text) in answer.texts.iter().enumerate() {
        let what = if several { format!("answer {}", at + 1) } else { "answer".to_owned() };
        blocks.push(Block::new(head(&what), text.as_str()));
    }
    blocks.extend(answer.refusal.iter().map(|text| Block::new(head("refusal"), text.as_str())));
    for call in outcome.tool_calls().unwrap_or_default() {
        let id = if call.id.is_empty() { String::new() } else { format!(" ({})", call.id) };
        blocks.push(Block::new(format!("call of {}{id}", call.name), pretty(&call.arguments)));
    }
    let vectors: Vec<String> = answer.vectors.iter().map(|vector| numbers(vector.len())).collect();
    blocks.extend(listed(&vectors).map(|vectors| Block::new(head("answer"), vectors)));
    let images: Vec<String> = answer.images.iter().map(image).collect();
    blocks.extend(listed(&images).map(|images| Block::new(head("answer"), images)));
    blocks.extend(answer.other.iter().map(|body| Block::new(head("answer"), pretty(body))));
    if blocks.is_empty() {
        blocks.push(Block::head(head("answer, which is empty")));
    }
    blocks
}

fn error(outcome: &Outcome) -> Vec<Block> {
    let status = outcome.status_code().map(|code| format!(" (status {code})")).unwrap_or_default();
    let code = outcome.error_code().unwrap_or("no code");
    let head = format!("error: {code}{status}");
    let message = outcome.error_message().filter(|message| !message.is_empty());
    match (message, outcome.body()) {
        (Some(message), _) => vec![Block::new(head, message)],
        (None, Some(body)) => vec![Block::new(head, pretty(body))],
        (None, None) => vec![Block::head(head)],
    }
}

fn image(image: &Image) -> String {
    match &image.data {
        ImageData::Url(url) => format!("[image: {url}]"),
        ImageData::Bytes(bytes) => format!("[image of {} bytes]", bytes.len()),
        _ => "[image]".to_owned(),
    }
}

/// The first of them, one a line.
fn listed(all: &[String]) -> Option<String> {
    let mut lines: Vec<String> = all.iter().take(SHOWN).cloned().collect();
    if all.len() > SHOWN {
        lines.push(format!("and {} more", all.len() - SHOWN));
    }
    (!lines.is_empty()).then(|| lines.join("\n"))
}
