//! Owns the form of a builder of the blocking client: one of the async client, what drives it, and its setters by name;
//! never what a setter does.

/// Makes the blocking twin of a builder. Each setter is that of the async one, with its parameters; a test (below)
/// notices when one is missing.
macro_rules! mirror {
    (
        $(#[$meta:meta])*
        $name:ident $(<$life:lifetime>)? $(($extra:ident: $extra_type:ty))? of $module:ident {
            $($(#[$on:meta])* fn $setter:ident($($argument:ident: $type:ty),*);)*
        }
    ) => {
        $(#[$meta])*
        pub struct $name $(<$life>)? {
            driver: $crate::blocking::driver::Driver,
            inner: $module::$name $(<$life>)?,
            $($extra: $extra_type,)?
        }

        impl $(<$life>)? std::fmt::Debug for $name $(<$life>)? {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.inner.fmt(f)
            }
        }

        impl $(<$life>)? $name $(<$life>)? {
            $(
                $(#[$on])*
                #[doc = concat!(
                    "As [`", stringify!($module), "::", stringify!($name), "::", stringify!($setter), "`](",
                    stringify!($module), "::", stringify!($name), "::", stringify!($setter), ").",
                )]
                pub fn $setter(self, $($argument: $type),*) -> Self {
                    Self { inner: self.inner.$setter($($argument),*), ..self }
                }
            )*
        }
    };
}

pub(super) use mirror;

#[cfg(test)]
mod tests {
    use std::{
        collections::{BTreeMap, BTreeSet},
        fs,
        path::{Path, PathBuf},
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

    type Methods = BTreeMap<String, BTreeSet<String>>;

    fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, found);
            } else {
                found.push(path);
            }
        }
    }

    /// The types that the block which begins in this line is about, in formatted source.
    fn owners(line: &str) -> Option<Vec<String>> {
        let head = line.strip_suffix('{')?.trim_end();
        let name = match head.strip_prefix("impl") {
            Some(head) => {
                let head = head.strip_prefix("<'a>").or(head.strip_prefix("<'_>")).unwrap_or(head);
                match head.trim().rsplit_once(" for ") {
                    Some(("IntoIterator", name)) => name,
                    Some(_) => return Some(Vec::new()),
                    None => head.trim(),
                }
            }
            None => head.split_once(" of ")?.0,
        };
        let name: String = name.chars().take_while(|c| c.is_alphanumeric() || matches!(c, '$' | ':')).collect();
        // The setters that both kinds of wait have are written once.
        Some(if name == "$wait" { vec!["Wait".to_owned(), "WaitAll".to_owned()] } else { vec![name] })
    }

    /// The methods of each type, as formatted source shows them.
    fn methods(text: &str, prefixes: &[&str], found: &mut Methods) {
        let (mut names, mut end) = (Vec::new(), String::new());
        for line in text.lines() {
            let trimmed = line.trim_start();
            if let Some(owners) = owners(trimmed) {
                names = owners;
                end = format!("{}}}", &line[..line.len() - trimmed.len()]);
            } else if line == end {
                names.clear();
            } else if let Some(rest) = prefixes.iter().find_map(|prefix| trimmed.strip_prefix(prefix)) {
                let method: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                for name in &names {
                    found.entry(name.clone()).or_default().insert(method.clone());
                }
            }
        }
    }

    #[test]
    fn the_blocking_client_has_what_the_async_one_has() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut files = Vec::new();
        sources(&folder, &mut files);
        let (mut own, mut theirs) = (Methods::new(), Methods::new());
        for file in files {
            let text = fs::read_to_string(&file).unwrap();
            if file.starts_with(folder.join("blocking")) {
                methods(&text, &["pub fn ", "fn "], &mut own);
            } else {
                methods(&text, &["pub fn ", "pub async fn "], &mut theirs);
            }
        }
        let mut missing = Vec::new();
        for twin in TWINS {
            for method in &theirs[twin] {
                let name = match (twin, method.as_str()) {
                    // `Client::run` makes one.
                    ("Run", "new") => continue,
                    (_, "stream" | "into_stream") => "into_iter",
                    (_, name) => name,
                };
                if !own[twin].contains(name) {
                    missing.push(format!("{twin}::{name}"));
                }
            }
        }
        assert!(missing.is_empty(), "give them to lote::blocking too: {missing:?}");

        // That the source is still read as it is written.
        for (twin, method) in [("CreateBatch", "metadata"), ("Wait", "deadline"), ("WaitAll", "until_over")] {
            assert!(theirs[twin].contains(method), "{twin}::{method}");
        }
    }
}
