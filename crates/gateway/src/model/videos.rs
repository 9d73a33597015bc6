//! The answers of `/v1/videos`: the object of a finished video.

use serde_json::{Value, json};

use crate::model::text::id;
use crate::model::{Ask, Refusal};

pub(super) fn answer(ask: &Ask<'_>) -> Result<Value, Refusal> {
    let given = |name: &str, default: &str| {
        let value = ask.body.get(name).filter(|value| !value.is_null());
        value.cloned().unwrap_or_else(|| json!(default))
    };
    Ok(json!({
        "id": format!("video_{}", id(&ask.prompt.text, 0)),
        "object": "video",
        "model": ask.model,
        "status": "completed",
        "progress": 100,
        "created_at": ask.now,
        "completed_at": ask.now,
        "expires_at": null,
        "size": given("size", "720x1280"),
        "seconds": given("seconds", "4"),
        "prompt": ask.prompt.text,
        "remixed_from_video_id": null,
        "error": null,
    }))
}
