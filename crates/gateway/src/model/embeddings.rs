//! The answers of `/v1/embeddings`: unit vectors drawn by a digest of each input. Similar inputs have no similar
//! vectors.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::executor::LineAnswer;
use crate::model::text::digest;
use crate::model::{Ask, Refusal, room, whole};

/// Numbers in a vector, unless fewer are asked for: by OpenAI's models.
const DIMENSIONS: u64 = 1_536;
const LARGE_DIMENSIONS: u64 = 3_072;

/// The most that one answer may take in memory. OpenAI's 2,048 inputs with the most numbers of its models have room.
const MOST_KIB: u64 = 128 * 1024;

/// `all_room` is what all answers may take together.
pub(super) async fn answer(ask: &Ask<'_>, all_room: &Arc<Semaphore>) -> Result<LineAnswer, Refusal> {
    let of_model = if ask.model.ends_with("-large") { LARGE_DIMENSIONS } else { DIMENSIONS };
    let dimensions = ask.body.get("dimensions").and_then(whole).unwrap_or(of_model);
    let base64 = ask.body.get("encoding_format").is_some_and(|format| format == "base64");
    // A number takes about twelve characters.
    let kib = (ask.prompt.inputs.len() as u64).saturating_mul(dimensions).saturating_mul(12) / 1024 + 1;
    if kib > MOST_KIB {
        let message = format!("The answer would take {} MiB; at most {} may be.", kib / 1024, MOST_KIB / 1024);
        return Err(Refusal::param("input", message));
    }
    let room = room(all_room, kib).await;
    let usage = json!({"prompt_tokens": ask.prompt.tokens, "total_tokens": ask.prompt.tokens});
    let body = write(ask, dimensions, base64, &usage)
        .map_err(|error| Refusal::new(format!("The answer could not be written: {error}.")))?;
    Ok(LineAnswer { status_code: 200, body, usage, _room: room, again_after: None, retry_after: None })
}

/// The answer as text, vector by vector.
fn write(ask: &Ask<'_>, dimensions: u64, base64: bool, usage: &Value) -> serde_json::Result<Box<RawValue>> {
    let mut text = String::from(r#"{"object":"list","data":["#);
    for (index, input) in ask.prompt.inputs.iter().enumerate() {
        let vector = vector(input, dimensions);
        let embedding = if base64 { packed(&vector) } else { serde_json::to_string(&vector)? };
        let comma = if index == 0 { "" } else { "," };
        text.push_str(&format!(r#"{comma}{{"object":"embedding","index":{index},"embedding":{embedding}}}"#));
    }
    text.push_str(&format!(r#"],"model":{},"usage":{usage}}}"#, serde_json::to_string(ask.model)?));
    RawValue::from_string(text)
}

/// A vector of length 1; its numbers have eight decimals.
fn vector(text: &str, dimensions: u64) -> Vec<f64> {
    let seed = digest(text, dimensions);
    let mut state = seed.iter().take(8).fold(0_u64, |state, byte| state << 8 | u64::from(*byte));
    let raw: Vec<f64> = (0..dimensions).map(|_| draw(&mut state)).collect();
    let length = raw.iter().map(|x| x * x).sum::<f64>().sqrt();
    raw.iter().map(|x| (x / length * 1e8).round() / 1e8).collect()
}

/// SplitMix64, as a number between -1 and 1 that is never 0.
fn draw(state: &mut u64) -> f64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^= z >> 31;
    let half = u32::try_from(z >> 32).unwrap_or_default();
    (f64::from(half) + 0.5) / f64::from(u32::MAX) * 2.0 - 1.0
}

/// Base64 of 32-bit floats, little end first, in quotes.
fn packed(vector: &[f64]) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "the format is 32 bits")]
    let bytes: Vec<u8> = vector.iter().flat_map(|x| (*x as f32).to_le_bytes()).collect();
    format!("\"{}\"", STANDARD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_have_length_one_and_differ() {
        for dimensions in [1, 2, 256, 3072] {
            let vector = vector("text", dimensions);
            let length: f64 = vector.iter().map(|x| x * x).sum();
            assert!((length - 1.0).abs() < 1e-4, "{dimensions}: {length}");
        }
        assert_ne!(vector("one", 8), vector("two", 8));
    }
}
