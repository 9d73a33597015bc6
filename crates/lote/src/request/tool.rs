//! Tools that a model may call, as chat completions and as responses write them.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{Wire, schema};
use crate::lines;

/// A tool that the model may call.
///
/// ```
/// use lote::request::{ChatCompletion, Tool, ToolChoice};
///
/// #[derive(serde::Deserialize, schemars::JsonSchema)]
/// struct Place {
///     /// A city and its country.
///     city: String,
/// }
///
/// let weather = Tool::function("get_weather")
///     .description("The weather now.")
///     .parameters_of::<Place>();
/// let line = ChatCompletion::new("gpt-4o-mini")
///     .user("Is it raining in Lima?")
///     .tool(weather)
///     .tool_choice(ToolChoice::Required)
///     .line("row-1")?;
/// assert_eq!(line.body["tools"][0]["function"]["parameters"]["required"][0], "city");
/// # Ok::<(), lote::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Tool(Repr);

#[derive(Clone, Debug, PartialEq)]
enum Repr {
    Function(Box<Function>),
    Raw(Result<Value, String>),
}

#[derive(Clone, Debug, PartialEq)]
struct Function {
    name: String,
    description: Option<String>,
    parameters: Option<Result<Value, String>>,
    strict: Option<bool>,
}

impl Tool {
    /// A function of the caller's, by its name: 1 to 64 of a–z, A–Z, 0–9, `_` and `-`. Without parameters it takes
    /// none.
    pub fn function(name: impl Into<String>) -> Self {
        let function = Function { name: name.into(), description: None, parameters: None, strict: None };
        Self(Repr::Function(Box::new(function)))
    }

    /// A tool in the wire form of its endpoint, sent as it is: one that the service itself runs, such as
    /// `{"type": "web_search"}` of responses. The setters of a function leave it unchanged.
    pub fn raw(tool: impl Serialize) -> Self {
        Self(Repr::Raw(lines::to_json(&tool).map_err(|error| error.to_string())))
    }

    /// What the function does, and when to call it.
    pub fn description(self, description: impl Into<String>) -> Self {
        self.function_with(|function| function.description = Some(description.into()))
    }

    /// The JSON Schema of what the function takes, sent as it is. A derived schema is sent as it is derived too;
    /// [`parameters_of`](Self::parameters_of) makes it strict.
    pub fn parameters(self, schema: impl Serialize) -> Self {
        let schema = lines::to_json(&schema).map_err(|error| error.to_string());
        self.function_with(|function| function.parameters = Some(schema))
    }

    /// What the function takes: a `T`, whose schema is made strict as for
    /// [`json_output`](super::ChatCompletion::json_output). Read the call back with
    /// [`ToolCall::arguments_as`](crate::ToolCall::arguments_as).
    #[cfg(feature = "schema")]
    pub fn parameters_of<T: schemars::JsonSchema>(self) -> Self {
        self.function_with(|function| {
            function.parameters = Some(schema::strict_schema_of::<T>());
            function.strict = Some(true);
        })
    }

    /// Whether calls are to keep exactly to the schema, which must then be in the strict subset. Chat completions
    /// leave it to the service when it is not said; responses, whose default is strict, are sent `false`.
    pub fn strict(self, strict: bool) -> Self {
        self.function_with(|function| function.strict = Some(strict))
    }

    fn function_with(mut self, change: impl FnOnce(&mut Function)) -> Self {
        if let Repr::Function(function) = &mut self.0 {
            change(function);
        }
        self
    }

    pub(super) fn write(&self, wire: Wire) -> Result<Value, String> {
        let Function { name, description, parameters, strict } = match &self.0 {
            Repr::Raw(tool) => return tool.clone(),
            Repr::Function(function) => function.as_ref(),
        };
        if !schema::is_name(name) {
            let rule = "it must be 1 to 64 of a-z, A-Z, 0-9, _ and -; rename it";
            return Err(format!("function name {name:?}: {rule}"));
        }
        let mut function = Map::from_iter([("name".to_owned(), json!(name))]);
        if let Some(description) = description {
            function.insert("description".to_owned(), json!(description));
        }
        let parameters = parameters.clone().transpose().map_err(|problem| format!("function {name:?}: {problem}"))?;
        let strict = match wire {
            Wire::Chat => *strict,
            Wire::Responses => Some(strict.unwrap_or(false)),
        };
        if let Some(parameters) = parameters {
            function.insert("parameters".to_owned(), parameters);
        } else if wire == Wire::Responses || strict == Some(true) {
            let none = json!({"type": "object", "properties": {}, "required": [], "additionalProperties": false});
            function.insert("parameters".to_owned(), none);
        }
        if let Some(strict) = strict {
            function.insert("strict".to_owned(), json!(strict));
        }
        Ok(match wire {
            Wire::Chat => json!({"type": "function", "function": function}),
            Wire::Responses => {
                let mut tool = Map::from_iter([("type".to_owned(), json!("function"))]);
                tool.extend(function);
                Value::Object(tool)
            }
        })
    }
}

/// Whether, and which, tool the model calls.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ToolChoice {
    /// As the model thinks best.
    Auto,
    /// None.
    None,
    /// At least one.
    Required,
    /// The function of this name.
    Function(String),
}

impl ToolChoice {
    pub(super) fn write(&self, wire: Wire) -> Value {
        match (self, wire) {
            (Self::Auto, _) => json!("auto"),
            (Self::None, _) => json!("none"),
            (Self::Required, _) => json!("required"),
            (Self::Function(name), Wire::Chat) => json!({"type": "function", "function": {"name": name}}),
            (Self::Function(name), Wire::Responses) => json!({"type": "function", "name": name}),
        }
    }
}
