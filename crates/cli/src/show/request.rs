//! What was asked, whatever the endpoint: messages by their role, other texts by their name, and settings in one line.

use serde_json::{Map, Value};

use super::{Block, brief, numbers, pretty};

/// How many texts to embed are shown one by one.
const TEXTS: usize = 10;

/// The parts of a request line.
pub(super) fn blocks(request: &str) -> Vec<Block> {
    let Ok(Value::Object(mut line)) = serde_json::from_str::<Value>(request) else {
        return vec![Block::new("request", request)];
    };
    let Some(Value::Object(mut body)) = line.shift_remove("body") else {
        return vec![Block::new("request", pretty(request))];
    };
    let mut told = Vec::new();
    // What is said first is what is asked of whom.
    told.extend(line.get("url").map(brief));
    told.extend(body.shift_remove("model").map(|model| format!("model {}", brief(&model))));
    let mut said = Vec::new();
    instructions(&mut body, &mut said);
    match (body.shift_remove("messages"), body.shift_remove("input"), body.shift_remove("prompt")) {
        (Some(Value::Array(messages)), input, prompt) => {
            messages.iter().for_each(|message| self::message(message, &mut said));
            said.extend(input.iter().flat_map(|input| texts("input", input)));
            said.extend(prompt.iter().flat_map(|prompt| texts("prompt", prompt)));
        }
        (messages, input, prompt) => {
            said.extend(messages.iter().flat_map(|messages| texts("messages", messages)));
            match &input {
                Some(Value::Array(items)) if items.iter().any(Value::is_object) => {
                    items.iter().for_each(|item| message(item, &mut said));
                }
                input => said.extend(input.iter().flat_map(|input| texts("input", input))),
            }
            said.extend(prompt.iter().flat_map(|prompt| texts("prompt", prompt)));
        }
    }
    told.extend(body.iter().map(|(name, value)| setting(name, value)));
    let mut blocks = vec![Block::head(format!("request: {}", told.join(", ")))];
    blocks.append(&mut said);
    blocks
}

fn instructions(body: &mut Map<String, Value>, said: &mut Vec<Block>) {
    if let Some(Value::String(text)) = body.get("instructions") {
        said.push(Block::new("instructions", text.as_str()));
        body.shift_remove("instructions");
    }
}

/// A setting, such as `temperature 0.2`. Tools and schemas are told by their names.
fn setting(name: &str, value: &Value) -> String {
    let named = |value: &Value| {
        let inner = value.get("function").or_else(|| value.get("json_schema")).or_else(|| value.get("format"));
        let found =
            inner.and_then(|inner| inner.get("name")).or_else(|| value.get("name")).or_else(|| value.get("type"));
        found.and_then(Value::as_str).map(str::to_owned)
    };
    let names = match value {
        Value::Array(items) => items.iter().map(named).collect::<Option<Vec<_>>>().map(|names| names.join(" ")),
        Value::Object(_) => named(value),
        _ => None,
    };
    let names = names.filter(|names| !names.is_empty()).map(Value::String);
    format!("{name} {}", brief(names.as_ref().unwrap_or(value)))
}

/// A message of a chat, or what stands in the place of one.
fn message(message: &Value, said: &mut Vec<Block>) {
    let text = |name: &str| message.get(name).and_then(Value::as_str);
    let head = match (text("role"), text("name"), text("type")) {
        (Some(role), Some(name), _) => format!("{role} ({name})"),
        (Some(role), None, _) => match text("tool_call_id") {
            Some(call) => format!("{role} ({call})"),
            None => role.to_owned(),
        },
        (None, _, Some(kind)) => kind.to_owned(),
        (None, _, None) => "message".to_owned(),
    };
    let calls = message.get("tool_calls").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    match message.get("content") {
        Some(Value::String(content)) => said.push(Block::new(head, content.as_str())),
        Some(Value::Array(parts)) => {
            let parts: Vec<String> = parts.iter().map(part).collect();
            said.push(Block::new(head, parts.join("\n")));
        }
        _ if !calls.is_empty() => {}
        _ if message.get("role").is_some() && message.get("content").is_none_or(Value::is_null) => {
            said.push(Block::head(format!("{head}: nothing")));
        }
        _ => said.push(Block::new(head, pretty(&message.to_string()))),
    }
    for call in calls {
        let function = call.get("function").or_else(|| call.get("custom")).unwrap_or(call);
        let name = function.get("name").and_then(Value::as_str).unwrap_or("a tool");
        let arguments = function.get("arguments").or_else(|| function.get("input"));
        let arguments = arguments.and_then(Value::as_str).unwrap_or_default();
        said.push(Block::new(format!("call of {name}"), pretty(arguments)));
    }
}

/// A part of a message: a text as it is, and of everything else what it is.
fn part(part: &Value) -> String {
    let text = |name: &str| part.get(name).and_then(Value::as_str);
    if let Some(text) = text("text").or_else(|| text("refusal")).or_else(|| part.as_str()) {
        return text.to_owned();
    }
    let url = part.get("image_url").map(|image| image.get("url").unwrap_or(image));
    let url = url.or_else(|| part.get("file_data")).or_else(|| part.get("file").and_then(|file| file.get("file_data")));
    match url.and_then(Value::as_str) {
        Some(url) if url.starts_with("data:") => {
            let kind = url.get(5..url.find([';', ',']).unwrap_or(5)).unwrap_or_default();
            format!("[{kind}: {} bytes as base64]", url.len())
        }
        Some(url) => format!("[{}: {url}]", text("type").unwrap_or("image")),
        None => format!("[{}]", brief(part)),
    }
}

/// Texts, or numbers that stand for them.
fn texts(name: &str, value: &Value) -> Vec<Block> {
    match value {
        Value::String(text) => vec![Block::new(name, text.as_str())],
        Value::Array(all) if all.iter().all(Value::is_number) && !all.is_empty() => {
            vec![Block::head(format!("{name}: {}", numbers(all.len())))]
        }
        Value::Array(all) => {
            let one = |(at, value): (usize, &Value)| {
                let name = format!("{name} {}", at + 1);
                match value {
                    Value::String(text) => Block::new(name, text.as_str()),
                    Value::Array(tokens) => Block::head(format!("{name}: {}", numbers(tokens.len()))),
                    other => Block::head(format!("{name}: {}", brief(other))),
                }
            };
            let mut blocks: Vec<Block> = all.iter().enumerate().take(TEXTS).map(one).collect();
            if all.len() > TEXTS {
                blocks.push(Block::head(format!("… and {} more of {name} (--json)", all.len() - TEXTS)));
            }
            blocks
        }
        Value::Null => Vec::new(),
        other => vec![Block::new(name, pretty(&other.to_string()))],
    }
}
