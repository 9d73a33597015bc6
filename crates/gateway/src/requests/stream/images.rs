//! The events of `/v1/images/generations` and `/v1/images/edits`: each picture as it is done. Of `partial_images` there are
//! none: a service may send fewer than were asked for.

use serde_json::{Value, json};

use crate::requests::stream::{Events, Streaming, list, named};

pub(super) fn generated(answer: Value, _: Streaming) -> Events {
    events(answer, "image_generation.completed")
}

pub(super) fn edited(answer: Value, _: Streaming) -> Events {
    events(answer, "image_edit.completed")
}

fn events(mut answer: Value, name: &'static str) -> Events {
    let pictures = list(&mut answer, "data");
    Box::new(pictures.into_iter().map(move |mut picture| {
        named(&json!({
            "type": name,
            "b64_json": picture["b64_json"].take(),
            "background": "opaque",
            "created_at": answer["created"],
            "output_format": answer["output_format"],
            "quality": "low",
            "size": answer["size"],
            "usage": answer["usage"],
        }))
    }))
}
