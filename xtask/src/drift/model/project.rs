//! Owns the projection: from a document to the model of what we cover in it, our operations matched by method and path
//! after each server's prefix, and the schemas that the mapping names besides. It never reads a schema itself.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::drift::{
    document::{Document, TWICE, UNREAD, UNSAID},
    keywords::{combine, plain},
    node::{self, Node, Origin, Step, escape},
    schema::{Schemas, Uncompared, texts},
};
use crate::report::Failure;

const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

/// An operation of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ours {
    /// Its operationId in openapi.yaml.
    pub id: String,
    /// In lower case.
    pub method: String,
    /// After our prefix, as in openapi.yaml.
    pub path: String,
}

/// The operations of our contract, in its order.
#[must_use]
pub fn operations(contract: &Document) -> Vec<Ours> {
    let mut operations = Vec::new();
    for (path, item) in contract.root["paths"].as_object().into_iter().flatten() {
        for (method, operation) in item.as_object().into_iter().flatten() {
            if let (true, Some(id)) = (METHODS.contains(&method.as_str()), operation["operationId"].as_str()) {
                operations.push(Ours { id: id.to_owned(), method: method.clone(), path: path.clone() });
            }
        }
    }
    operations
}

/// What of a document is covered.
#[derive(Debug, Clone, Default)]
pub struct Mapping {
    /// The prefix of upstream's paths before ours, such as `/v1`; none to find it.
    pub prefix: Option<String>,
    /// Schemas that no operation refers to, and the names under which the model has them.
    pub roots: BTreeMap<String, String>,
}

/// What is covered of one document.
#[derive(Debug, Clone)]
pub struct Projection {
    /// The operations and roots.
    pub model: Node,
    /// The prefix under which the operations are.
    pub prefix: String,
    /// How many of our operations there are.
    pub operations: usize,
    /// What could not be read.
    pub uncompared: Vec<Uncompared>,
}

/// Projects a document.
///
/// # Errors
///
/// When none of our operations is in it.
pub fn project(document: &Document, ours: &[Ours], mapping: &Mapping) -> Result<Projection, Failure> {
    let schemas = Schemas::new(document);
    let sites = sites(&schemas);
    let prefix = prefix(&sites, ours, mapping.prefix.as_deref());
    let mut model = Node::default();
    let unread: Vec<&Value> = document.root.get(UNREAD).and_then(Value::as_array).into_iter().flatten().collect();
    for reason in &unread {
        schemas.note("#", reason.as_str().unwrap_or_default());
    }
    for Ours { id, method, path } in ours {
        let full = template(&format!("{prefix}{path}"));
        // A path without parameters before one with, as routers have it.
        let found = sites.iter().find(|site| site.template == full && site.method == method);
        if let Some(site) = found {
            schemas.along(&site.place);
            model.children.insert(Step::Operation(id.clone()), operation(&schemas, site));
        }
    }
    let operations = model.children.len();
    // What could not be read may be one of those that were not found.
    for Ours { id, .. } in ours.iter().filter(|_| !unread.is_empty()) {
        let facts = [(node::UNREAD.to_owned(), json!(true))].into();
        model.children.entry(Step::Operation(id.clone())).or_insert(Node { facts, ..Node::default() });
    }
    if operations == 0 {
        let problem = format!("{} has none of our {} operations", document.source, ours.len());
        let example = ours.first().map_or(String::new(), |one| format!(", such as {} {}", one.method, one.path));
        return Err(Failure::new(problem, format!("give a document that describes batches and files{example}")));
    }
    for (theirs, name) in &mapping.roots {
        let place = format!("#/components/schemas/{}", escape(theirs));
        if let Some(schema) = document.root.pointer(&place[1..]) {
            schemas.along(&place);
            model.children.insert(Step::Root(name.clone()), schemas.schema(schema, &place));
        }
    }
    Ok(Projection { model, prefix, operations, uncompared: schemas.uncompared() })
}

/// An operation in a document, whichever it is.
struct Site<'a> {
    /// The path from the host on, with its parameters numbered.
    template: String,
    /// The names of the parameters of the path.
    names: Vec<String>,
    method: &'a str,
    object: &'a Map<String, Value>,
    item: &'a Value,
    place: String,
    item_place: String,
}

/// Every operation, once for each server.
fn sites<'a>(schemas: &Schemas<'a>) -> Vec<Site<'a>> {
    let root = &schemas.document.root;
    let mut sites = Vec::new();
    for (path, item) in root["paths"].as_object().into_iter().flatten() {
        let place = format!("#/paths/{}", escape(path));
        // References of paths that are not ours may lead anywhere: they are followed without a note.
        let quiet = Schemas::new(schemas.document);
        let Some((item, item_place)) = quiet.follow(item, &place) else { continue };
        for (method, operation) in item.as_object().into_iter().flatten() {
            let (true, Some(object)) = (METHODS.contains(&method.as_str()), operation.as_object()) else { continue };
            let servers = [operation.get("servers"), item.get("servers"), root.get("servers")];
            let servers = servers.into_iter().flatten().filter_map(Value::as_array).find(|list| !list.is_empty());
            let prefixes: BTreeSet<String> = match servers {
                Some(list) => list.iter().map(server_path).collect(),
                None => [String::new()].into(),
            };
            for prefix in prefixes {
                let full = format!("{prefix}{path}");
                let names = full.split('{').skip(1).filter_map(|rest| Some(rest.split_once('}')?.0.to_owned()));
                sites.push(Site {
                    template: template(&full),
                    names: names.collect(),
                    method,
                    object,
                    item,
                    place: format!("{item_place}/{method}"),
                    item_place: item_place.clone(),
                });
            }
        }
    }
    sites
}

/// The path of a server's URL, its variables at their defaults, without a slash at its end.
fn server_path(server: &Value) -> String {
    let mut url = server["url"].as_str().unwrap_or_default().to_owned();
    for (name, variable) in server["variables"].as_object().into_iter().flatten() {
        url = url.replace(&format!("{{{name}}}"), variable["default"].as_str().unwrap_or_default());
    }
    let path = match url.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("", |at| &rest[at..]),
        None => &url,
    };
    let path = path.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/');
    if path.is_empty() || path.starts_with('/') { path.to_owned() } else { format!("/{path}") }
}

/// A path with `{}` for each of its parameters.
fn template(path: &str) -> String {
    let mut template = String::new();
    for (index, part) in path.split('{').enumerate() {
        match part.split_once('}') {
            Some((_, rest)) if index > 0 => template.push_str(&format!("{{}}{rest}")),
            _ => template.push_str(part),
        }
    }
    template
}

/// The prefix under which our operations are: the one that is known when anything is there, or else the one under which
/// most of them are.
fn prefix(sites: &[Site<'_>], ours: &[Ours], known: Option<&str>) -> String {
    let covers = |prefix: &str| {
        let there = |own: &&Ours| {
            let full = template(&format!("{prefix}{}", own.path));
            sites.iter().any(|site| site.template == full && site.method == own.method)
        };
        ours.iter().filter(there).count()
    };
    if let Some(known) = known
        && covers(known) > 0
    {
        return known.to_owned();
    }
    let mut candidates = BTreeSet::new();
    for own in ours {
        let end = template(&own.path);
        for site in sites.iter().filter(|site| site.method == own.method) {
            if let Some(before) = site.template.strip_suffix(&end) {
                candidates.insert(before.to_owned());
            }
        }
    }
    let best = candidates.into_iter().max_by_key(|candidate| (covers(candidate), std::cmp::Reverse(candidate.len())));
    best.or_else(|| known.map(str::to_owned)).unwrap_or_default()
}

fn operation<'a>(schemas: &Schemas<'a>, site: &Site<'a>) -> Node {
    let Site { object, place, .. } = site;
    let mut node = Node { wording: texts(object), origin: Origin(place.clone()), ..Node::default() };
    if let Some(unsaid) = schemas.document.root.get(UNSAID) {
        node.facts.insert(node::UNSAID.to_owned(), unsaid.clone());
    }
    if let Some(reason) = object.get(UNREAD) {
        schemas.unread(place, reason, &mut node);
        return node;
    }
    schemas.follow(site.item, &site.item_place);
    if object.get("deprecated") == Some(&json!(true)) {
        node.facts.insert("deprecated".to_owned(), json!(true));
    }
    let security = object.get("security").or_else(|| schemas.document.root.get("security"));
    node.facts.insert("security".to_owned(), requirements(schemas, security, place));
    for (step, parameter) in parameters(schemas, site) {
        node.children.insert(step, parameter);
    }
    if let Some(written) = object.get("requestBody")
        && let Some((body, at)) = schemas.follow(written, &format!("{place}/requestBody"))
    {
        let mut request = request(schemas, body, at);
        schemas.beside(written, &mut request);
        node.children.insert(Step::Request, request);
    }
    // Never seen in what we follow: told when it comes, as it is written.
    if let Some(callbacks) = object.get("callbacks") {
        node.facts.insert("callbacks".to_owned(), plain(callbacks));
    }
    if let Some(responses) = object.get("responses") {
        schemas.twice(responses, &format!("{place}/responses"));
    }
    if let Some(keys) = object.get(TWICE) {
        schemas.twice(&json!({ TWICE: keys }), place);
    }
    for (status, written) in object.get("responses").and_then(Value::as_object).into_iter().flatten() {
        if status.starts_with("x-") {
            continue;
        }
        let at = format!("{place}/responses/{}", escape(status));
        if let Some((target, at)) = schemas.follow(written, &at) {
            let status = if status == "default" { status.clone() } else { status.to_uppercase() };
            let mut response = response(schemas, target, &at);
            schemas.beside(written, &mut response);
            node.children.insert(Step::Response(status), response);
        }
    }
    node
}

/// What security asks for, without the names of the schemes.
fn requirements(schemas: &Schemas<'_>, security: Option<&Value>, place: &str) -> Value {
    let defined = &schemas.document.root["components"]["securitySchemes"];
    let mut alternatives = BTreeSet::new();
    for alternative in security.and_then(Value::as_array).into_iter().flatten() {
        let mut all: Vec<String> = Vec::new();
        for (name, scopes) in alternative.as_object().into_iter().flatten().filter(|(name, _)| !name.starts_with("x-"))
        {
            let at = format!("#/components/securitySchemes/{}", escape(name));
            let Some((scheme, _)) = defined.get(name).and_then(|scheme| schemas.follow(scheme, &at)) else {
                schemas.note(place, format!("security asks for {name}, which is not there"));
                continue;
            };
            let words = ["type", "scheme", "in", "name", "openIdConnectUrl"];
            let mut words: Vec<String> = words
                .iter()
                .filter_map(|word| scheme.get(*word)?.as_str())
                .map(str::to_lowercase)
                .chain(scopes.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned))
                .collect();
            words.dedup();
            all.push(words.join(" "));
        }
        all.sort();
        alternatives.insert(if all.is_empty() { "nothing".to_owned() } else { all.join(" and ") });
    }
    if alternatives.is_empty() { json!(["nothing"]) } else { json!(alternatives) }
}

/// The parameters of the path and of the operation; of two with one name that of the operation.
fn parameters<'a>(schemas: &Schemas<'a>, site: &Site<'a>) -> BTreeMap<Step, Node> {
    let lists = [(site.item.get("parameters"), &site.item_place), (site.object.get("parameters"), &site.place)];
    let mut parameters = BTreeMap::new();
    for (list, place) in lists {
        for (index, written) in list.and_then(Value::as_array).into_iter().flatten().enumerate() {
            let at = format!("{place}/parameters/{index}");
            let Some((parameter, at)) = schemas.follow(written, &at) else { continue };
            let (Some(name), Some(kind)) = (parameter["name"].as_str(), parameter["in"].as_str()) else {
                schemas.note(&at, "a parameter without a name or without a place");
                continue;
            };
            let name = match kind {
                // Its name means nothing on the wire, its position does.
                "path" => match site.names.iter().position(|known| known == name) {
                    Some(position) => (site.names.len() - position).to_string(),
                    None => escape(name),
                },
                "header" => escape(&name.to_lowercase()),
                _ => escape(name),
            };
            if kind == "header" && ["accept", "content-type", "authorization"].contains(&name.as_str()) {
                continue; // OpenAPI says so
            }
            let mut node = valued(schemas, parameter, &at, kind);
            schemas.beside(written, &mut node);
            parameters.insert(Step::Parameter(format!("{kind} {name}")), node);
        }
    }
    parameters
}

/// A parameter or a header: its schema, and its own facts with those of the schema.
fn valued<'a>(schemas: &Schemas<'a>, value: &'a Value, place: &str, kind: &str) -> Node {
    let empty = Map::new();
    let object = value.as_object().unwrap_or(&empty);
    let mut node = Node { wording: texts(object), origin: Origin(place.to_owned()), ..Node::default() };
    for flag in ["required", "deprecated", "allowReserved", "allowEmptyValue"] {
        if object.get(flag) == Some(&json!(true)) && !(flag == "required" && kind == "path") {
            node.facts.insert(flag.to_owned(), json!(true));
        }
    }
    let usual = if ["query", "cookie"].contains(&kind) { "form" } else { "simple" };
    let style = object.get("style").and_then(Value::as_str).unwrap_or(usual);
    let explode = object.get("explode").and_then(Value::as_bool).unwrap_or(style == "form");
    if style != usual {
        node.facts.insert("style".to_owned(), json!(style));
    }
    let explodes = explode != (style == "form");
    if let Some(schema) = object.get("schema") {
        let inner = schemas.schema(schema, &format!("{place}/schema"));
        let scalar = inner.text("type").is_some_and(|kind| kind != "object" && kind != "array");
        // Of a single value it says nothing.
        if explodes && !scalar {
            node.facts.insert("explode".to_owned(), json!(if explode { "yes" } else { "no" }));
        }
        node.origin = inner.origin.clone();
        combine(&mut node, inner);
    }
    content(schemas, object, place, &mut node);
    node
}

fn request<'a>(schemas: &Schemas<'a>, body: &'a Value, place: String) -> Node {
    let empty = Map::new();
    let object = body.as_object().unwrap_or(&empty);
    let mut node = Node { wording: texts(object), ..Node::default() };
    if object.get("required") == Some(&json!(true)) {
        node.facts.insert("required".to_owned(), json!(true));
    }
    content(schemas, object, &place, &mut node);
    node.origin = Origin(place);
    node
}

fn response<'a>(schemas: &Schemas<'a>, response: &'a Value, place: &str) -> Node {
    let empty = Map::new();
    let object = response.as_object().unwrap_or(&empty);
    let mut node = Node { wording: texts(object), origin: Origin(place.to_owned()), ..Node::default() };
    for (name, header) in object.get("headers").and_then(Value::as_object).into_iter().flatten() {
        let at = format!("{place}/headers/{}", escape(name));
        let name = name.to_lowercase();
        if name == "content-type" || name == TWICE {
            continue; // the media types say it
        }
        if let Some((target, at)) = schemas.follow(header, &at) {
            let mut valued_node = valued(schemas, target, &at, "header");
            schemas.beside(header, &mut valued_node);
            node.children.insert(Step::Header(escape(&name)), valued_node);
        }
    }
    if let Some(links) = object.get("links") {
        node.facts.insert("links".to_owned(), plain(links));
    }
    if let Some(headers) = object.get("headers") {
        schemas.twice(headers, &format!("{place}/headers"));
    }
    content(schemas, object, place, &mut node);
    node
}

/// The bodies by media type, without the parameters of the types.
fn content<'a>(schemas: &Schemas<'a>, object: &'a Map<String, Value>, place: &str, node: &mut Node) {
    if let Some(content) = object.get("content") {
        schemas.twice(content, &format!("{place}/content"));
    }
    for (media, value) in object.get("content").and_then(Value::as_object).into_iter().flatten() {
        if media.starts_with("x-") {
            continue;
        }
        let at = format!("{place}/content/{}", escape(media));
        schemas.follow(value, &at);
        let mut body = match value.get("schema") {
            Some(schema) => schemas.schema(schema, &format!("{at}/schema")),
            None => Node { origin: Origin(at), ..Node::default() },
        };
        if let Some(encoding) = value.get("encoding").and_then(Value::as_object).filter(|map| !map.is_empty()) {
            body.facts.insert("encoding".to_owned(), plain(&json!(encoding)));
        }
        let media = media.split(';').next().unwrap_or_default().trim().to_lowercase().replace(' ', "");
        combine(node.children.entry(Step::Content(media)).or_default(), body);
    }
}
