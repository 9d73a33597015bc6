//! What the descriptions of fields say of single models, and of two fields together.

use serde_json::Value;

use crate::contract::Endpoint;
use crate::model::Refusal;
use crate::model::body::bounds::{is_longer, out};
use crate::model::body::{Body, given};

/// A model, the most images that it makes at once, the most characters of its prompt (CreateImageRequest).
const IMAGES: [(&str, Option<f64>, usize); 2] = [("dall-e-2", None, 1_000), ("dall-e-3", Some(1.0), 4_000)];

pub(super) fn check(endpoint: Endpoint, body: &Body) -> Result<(), Refusal> {
    match endpoint {
        Endpoint::ImageGenerations => images(body),
        Endpoint::Completions => tries(body),
        _ => Ok(()),
    }
}

fn images(body: &Body) -> Result<(), Refusal> {
    let Some((model, most, longest)) =
        IMAGES.iter().find(|(model, ..)| given(body, "model").is_some_and(|m| m == model))
    else {
        return Ok(());
    };
    if let (Some(most), Some(n)) = (most, given(body, "n").and_then(Value::as_f64))
        && n > *most
    {
        return Err(out("n", format!("'n' must be {most} with the model '{model}'.")));
    }
    match given(body, "prompt") {
        Some(Value::String(prompt)) if is_longer(prompt, *longest) => {
            Err(out("prompt", format!("'prompt' must have at most {longest} characters with the model '{model}'.")))
        }
        _ => Ok(()),
    }
}

/// The best are taken of no fewer tries than there are to be answers (CreateCompletionRequest).
fn tries(body: &Body) -> Result<(), Refusal> {
    let number = |name| given(body, name).and_then(Value::as_f64);
    match (number("best_of"), number("n")) {
        (Some(best_of), Some(n)) if best_of < n => Err(out("best_of", "'best_of' must be at least 'n'.".to_owned())),
        _ => Ok(()),
    }
}
