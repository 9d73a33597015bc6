//! The answers of `/v1/images/generations` and `/v1/images/edits`: small valid pictures whose colours differ by prompt.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::model::png::png;
use crate::model::text::digest;
use crate::model::{Ask, Refusal};

/// Most pictures of one prompt (`n`).
const MOST_PICTURES: u64 = 10;

/// Tokens that one picture counts as.
const PICTURE_TOKENS: u64 = 272;

pub(super) fn answer(ask: &Ask<'_>) -> Result<Value, Refusal> {
    let pictures = ask.choices(MOST_PICTURES)?;
    let data: Vec<Value> = (0..pictures)
        .map(|index| {
            let digest = digest(&ask.prompt.text, index);
            json!({"b64_json": STANDARD.encode(png(&digest))})
        })
        .collect();
    let written = pictures * PICTURE_TOKENS;
    Ok(json!({
        "created": ask.now,
        "data": data,
        "output_format": "png",
        "size": "4x4",
        "usage": {
            "input_tokens": ask.prompt.tokens,
            "input_tokens_details": {"text_tokens": ask.prompt.tokens, "image_tokens": 0},
            "output_tokens": written,
            "total_tokens": ask.prompt.tokens + written,
        },
    }))
}
