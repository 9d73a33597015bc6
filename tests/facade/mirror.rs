//! The blocking client has what the async one has: every operation and every setter, with parameters of the same types.
//! Both are read with syn, macros included, since a twin whose parameter takes less compiles as well.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use quote::ToTokens;
use syn::{
    Attribute, FnArg, ImplItem, Item, ItemImpl, ItemMacro, Signature, TraitItemFn, Type, Visibility,
    parse::{Parse, ParseStream},
};

/// The types that the blocking client has twins of. What makes another one is a method of one of these.
const TWINS: [&str; 12] = [
    "Batches",
    "Client",
    "Content",
    "CreateBatch",
    "FetchOutcomes",
    "Files",
    "ListBatches",
    "ListFiles",
    "Run",
    "Upload",
    "Wait",
    "WaitAll",
];

/// What stands for another on the blocking side, on purpose: readers and writers are those of the standard library.
const STANDARD: [(&str, &str); 2] = [("AsyncWrite + Unpin", "Write"), ("AsyncRead", "Read")];

/// The types of the parameters, without `self` and without the modules before a name.
type Parameters = Vec<String>;

/// The methods of each type.
#[derive(Default)]
struct Methods(BTreeMap<String, BTreeMap<String, Parameters>>);

/// The macros that are defined somewhere, by the file and the name.
type Macros = BTreeMap<(PathBuf, String), TokenStream>;

impl Methods {
    fn add(&mut self, of: &str, signature: &Signature) {
        let parameters = signature.inputs.iter().filter_map(|input| match input {
            FnArg::Receiver(_) => None,
            FnArg::Typed(typed) => Some(spelled(typed.ty.to_token_stream())),
        });
        self.0.entry(of.to_owned()).or_default().insert(signature.ident.to_string(), parameters.collect());
    }

    fn read(&mut self, items: &[Item], file: &Path, macros: &Macros) {
        for item in items {
            match item {
                Item::Impl(item) => self.read_impl(item),
                Item::Macro(item) if item.ident.is_none() => self.read_macro(item, file, macros),
                _ => {}
            }
        }
    }

    fn read_impl(&mut self, item: &ItemImpl) {
        let Type::Path(of) = item.self_ty.as_ref() else { return };
        let of = of.path.segments.last().expect("a name").ident.to_string();
        let iterated = match &item.trait_ {
            None => false,
            Some((name, _)) if name.is_ident("IntoIterator") => true,
            Some(_) => return,
        };
        for method in &item.items {
            if let ImplItem::Fn(method) = method
                && (iterated || matches!(method.vis, Visibility::Public(_)))
            {
                self.add(&of, &method.sig);
            }
        }
    }

    /// A macro of this crate that gives methods to the type that it is called with.
    fn read_macro(&mut self, item: &ItemMacro, file: &Path, macros: &Macros) {
        let name = item.mac.path.segments.last().expect("a name").ident.to_string();
        if name == "mirror" {
            let twin: Twin = syn::parse2(item.mac.tokens.clone()).expect("a twin");
            twin.setters.iter().for_each(|setter| self.add(&twin.name, &setter.sig));
            return;
        }
        // One of the same file, or of the module that its path names.
        let module = item.mac.path.segments.iter().rev().nth(1).map(|module| module.ident.to_string());
        let found = macros.iter().find(|((at, known), _)| match &module {
            _ if *known != name => false,
            None => at == file,
            Some(module) => at.file_stem().is_some_and(|stem| stem == module.as_str()),
        });
        let (Some(body), Some(TokenTree::Ident(of))) =
            (found.map(|(_, body)| body), item.mac.tokens.clone().into_iter().next())
        else {
            return;
        };
        // One that makes whole types, or no items at all, gives none of its own methods to a twin.
        if let Ok(made) = syn::parse2::<syn::File>(filled(body.clone(), &of.to_string())) {
            self.read(&made.items, file, macros);
        }
    }
}

/// What `mirror!` is called with.
struct Twin {
    name: String,
    setters: Vec<TraitItemFn>,
}

impl Parse for Twin {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        Attribute::parse_outer(input)?;
        let name = input.parse::<syn::Ident>()?.to_string();
        // A lifetime, a field that is added, and the module of the async one.
        while !input.peek(syn::token::Brace) {
            input.parse::<TokenTree>()?;
        }
        let body;
        syn::braced!(body in input);
        let mut setters = Vec::new();
        while !body.is_empty() {
            setters.push(body.parse()?);
        }
        Ok(Self { name, setters })
    }
}

/// The body of a macro's only rule.
fn body(definition: TokenStream) -> Option<TokenStream> {
    let groups: Vec<Group> = definition
        .into_iter()
        .filter_map(|token| match token {
            TokenTree::Group(group) => Some(group),
            _ => None,
        })
        .collect();
    match groups.as_slice() {
        [_matched, made] => Some(made.stream()),
        _ => None,
    }
}

/// The body of a macro as it is for the type `of`: every variable is the type, and what is repeated is left out.
fn filled(body: TokenStream, of: &str) -> TokenStream {
    let (mut made, mut tokens) = (Vec::new(), body.into_iter().peekable());
    let is = |token: &TokenTree, marks: &str| matches!(token, TokenTree::Punct(mark) if marks.contains(mark.as_char()));
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Group(group) => {
                made.push(Group::new(group.delimiter(), filled(group.stream(), of)).into());
            }
            dollar if is(&dollar, "$") => match tokens.next() {
                Some(TokenTree::Ident(name)) if name == "crate" => made.push(name.into()),
                Some(TokenTree::Ident(name)) => made.push(proc_macro2::Ident::new(of, name.span()).into()),
                Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Parenthesis => {
                    // A separator may stand before the sign of repetition.
                    while tokens.next().is_some_and(|token| !is(&token, "*+?")) {}
                }
                _ => {}
            },
            token => made.push(token),
        }
    }
    made.into_iter().collect()
}

/// A type as text, without the modules before its names.
fn spelled(of: TokenStream) -> String {
    fn names(tokens: TokenStream) -> TokenStream {
        let mut kept: Vec<TokenTree> = Vec::new();
        for token in tokens {
            let colon =
                |token: Option<&TokenTree>| matches!(token, Some(TokenTree::Punct(mark)) if mark.as_char() == ':');
            match token {
                TokenTree::Ident(name) if colon(kept.last()) => {
                    // `module`, `:`, `:`.
                    kept.truncate(kept.len() - 3);
                    kept.push(name.into());
                }
                TokenTree::Group(group) => kept.push(Group::new(group.delimiter(), names(group.stream())).into()),
                token => kept.push(token),
            }
        }
        kept.into_iter().collect()
    }
    names(of).to_string()
}

fn sources(folder: &Path, found: &mut Vec<(PathBuf, syn::File)>) {
    for entry in fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("a source");
            found.push((path, syn::parse_file(&text).expect("Rust")));
        }
    }
}

/// The methods of the async client and of the blocking one.
fn both() -> (Methods, Methods) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("crates/lote/src");
    let mut files = Vec::new();
    sources(&folder, &mut files);
    let mut macros = Macros::new();
    for (path, file) in &files {
        for item in &file.items {
            if let Item::Macro(ItemMacro { ident: Some(name), mac, .. }) = item
                && let Some(body) = body(mac.tokens.clone())
            {
                macros.insert((path.clone(), name.to_string()), body);
            }
        }
    }
    let (mut theirs, mut own) = (Methods::default(), Methods::default());
    for (path, file) in &files {
        let side = if path.starts_with(folder.join("blocking")) { &mut own } else { &mut theirs };
        side.read(&file.items, path, &macros);
    }
    (theirs, own)
}

/// What the blocking side lacks, or takes otherwise.
fn differences(theirs: &Methods, own: &Methods) -> Vec<String> {
    let mut found = Vec::new();
    for twin in TWINS {
        for (method, parameters) in &theirs.0[twin] {
            let name = match (twin, method.as_str()) {
                // `Client::run`, `run_files` and `open_run` make one.
                ("Run", "new" | "of_files" | "open") => continue,
                (_, "stream" | "into_stream") => "into_iter",
                (_, name) => name,
            };
            let expected: Parameters = parameters
                .iter()
                .map(|of| STANDARD.iter().fold(of.clone(), |of, (theirs, ours)| of.replace(theirs, ours)))
                .collect();
            match own.0[twin].get(name) {
                None => found.push(format!("{twin}::{method} is missing")),
                Some(ours) if *ours != expected => {
                    found.push(format!("{twin}::{method} takes ({}), not ({})", ours.join(", "), expected.join(", ")));
                }
                Some(_) => {}
            }
        }
    }
    found
}

#[test]
fn the_blocking_client_has_what_the_async_one_has() {
    let (theirs, own) = both();
    let found = differences(&theirs, &own);
    assert!(found.is_empty(), "lote::blocking is not as the async client: {found:#?}");
}

#[test]
fn the_sources_are_read_with_their_macros() {
    let (theirs, own) = both();
    for (twin, method, parameters) in [
        ("Batches", "create", vec!["& FileId", "impl Into < String >"]),
        ("CreateBatch", "metadata", vec!["impl Into < String >", "impl Into < String >"]),
        ("CreateBatch", "options", vec!["BatchOptions"]),
        ("Run", "field", vec!["impl Into < String >", "impl Serialize"]),
        ("Run", "deadline", vec!["Duration"]),
        ("Wait", "deadline", vec!["Duration"]),
        ("Wait", "woken_by", vec!["& Receiver"]),
        ("WaitAll", "stop_when", vec!["impl Future < Output = () > + Send + 'a"]),
        ("WaitAll", "until_over", vec![]),
    ] {
        for (side, methods) in [("async", &theirs), ("blocking", &own)] {
            assert_eq!(
                methods.0[twin].get(method).map(Vec::as_slice),
                Some(parameters.iter().map(|of| (*of).to_owned()).collect::<Vec<String>>().as_slice()),
                "{side} {twin}::{method}"
            );
        }
    }
}

#[test]
fn a_parameter_that_takes_less_and_a_method_that_is_missing_are_found() {
    let methods = |text: &str| {
        let mut methods = Methods::default();
        for twin in TWINS {
            methods.0.insert(twin.to_owned(), BTreeMap::new());
        }
        methods.read(&syn::parse_file(text).expect("Rust").items, Path::new("x.rs"), &Macros::new());
        methods
    };
    let theirs = methods(
        "impl Batches { pub fn create(&self, input: &FileId, endpoint: impl Into<String>) {} }
         impl Content { pub async fn copy_to(self, writer: &mut (impl tokio::io::AsyncWrite + Unpin + ?Sized)) {} }
         impl<'a> Wait<'a> { pub fn cadence(mut self, cadence: Cadence) -> Self { self } fn own(self) {} }
         impl Wait<'_> { pub fn into_stream(self) {} }",
    );
    let same = methods(
        "impl Batches { pub fn create(&self, file: &crate::FileId, path: impl Into<String>) {} }
         impl Content { pub fn copy_to(self, writer: &mut (impl Write + ?Sized)) {} }
         mirror! { /// A wait.
             Wait<'a> of lote { fn cadence(cadence: crate::Cadence); } }
         impl<'a> IntoIterator for Wait<'a> { fn into_iter(self) {} }",
    );
    assert_eq!(differences(&theirs, &same), Vec::<String>::new());
    let less = methods("impl Batches { pub fn create(&self, input: &FileId, endpoint: Endpoint) {} }");
    assert_eq!(
        differences(&theirs, &less),
        [
            "Batches::create takes (& FileId, Endpoint), not (& FileId, impl Into < String >)",
            "Content::copy_to is missing",
            "Wait::cadence is missing",
            "Wait::into_stream is missing",
        ]
    );
}
