//! A sample of what libFuzzer would try: each target is given its corpus, the files that it begins with, and hundreds
//! or thousands of seeded changes of them. It needs no other toolchain and is the same every time. `LOTE_CHANGES=100000`
//! tries more of them, and `LOTE_SEED=2` others.
//!
//! An input at which a target panics is left in `fuzz/artifacts/TARGET`. What lies there is tried first.

#![expect(clippy::unwrap_used, reason = "helpers of tests, where a panic is the report")]

mod changes;

use std::{
    env, fs,
    hash::{DefaultHasher, Hash, Hasher},
    io::{self, Seek, Write},
    panic::catch_unwind,
    path::{Path, PathBuf},
};

use xtask::night::TARGETS;

use crate::changes::Changes;

/// The file with the input that is being tried. It is only seen where a trial ends the process, as a stack that
/// overflows does.
const TRYING: &str = "trying";

macro_rules! sample {
    ($($target:ident: $changes:literal),* $(,)?) => {
        $(
            #[test]
            fn $target() {
                sample(stringify!($target), lote_fuzz::$target, $changes);
            }
        )*

        #[test]
        fn every_target_of_libfuzzer_is_sampled() {
            let mut sampled = [$(stringify!($target)),*];
            sampled.sort_unstable();
            let mut targets = TARGETS.map(|(name, _)| name);
            targets.sort_unstable();
            assert_eq!(sampled, targets);
            let mut programs: Vec<_> = files(&fuzz().join("fuzz_targets")).into_iter().map(|file| stem(&file)).collect();
            programs.sort_unstable();
            assert_eq!(programs, targets);
        }
    };
}

// How many changes of each, so that it takes a few seconds.
sample! {
    answers: 600,
    check: 10_000,
    dialect: 10_000,
    drift: 3000,
    gateway: 2000,
    join: 1000,
    open: 10_000,
    prices: 10_000,
    webhook: 20_000,
}

fn fuzz() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn stem(file: &Path) -> String {
    file.file_stem().unwrap().to_str().unwrap().to_owned()
}

/// The files of a folder and of those in it, by name; none of a folder that is not there.
fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort_unstable();
    paths.into_iter().flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

fn variable(name: &str) -> Option<u64> {
    let text = env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|error| panic!("{name}={text}: {error}")))
}

/// Tries a target; what it panics at is written down, with the panic as it was printed.
fn sample(name: &'static str, target: fn(&[u8]), changes: u64) {
    let (_, seeds) = TARGETS.into_iter().find(|(target, _)| *target == name).unwrap();
    let artifacts = fuzz().join("artifacts").join(name);
    for file in files(&artifacts) {
        // Where it panics, or ends the process, the name of the file says all; libtest captures other ways of printing.
        io::stderr().write_all(format!("{name}: trying {}\n", file.display()).as_bytes()).unwrap();
        target(&fs::read(&file).unwrap());
    }

    let mut trials = Trials::new(name, target, artifacts);
    let root = fuzz().parent().unwrap();
    let corpus = fuzz().join("corpus").join(name);
    let folders = std::iter::once(corpus).chain(seeds.iter().map(|folder| root.join(folder)));
    let mut inputs = Vec::new();
    for folder in folders {
        let files = files(&folder);
        assert!(!files.is_empty(), "{} holds nothing to begin with", folder.display());
        inputs.extend(files.iter().map(|file| fs::read(file).unwrap()));
    }
    trials.one(&[]);
    for input in &inputs {
        trials.one(input);
    }
    let mut made = Changes::new(&inputs, variable("LOTE_SEED").unwrap_or(1));
    for _ in 0..variable("LOTE_CHANGES").unwrap_or(changes) {
        trials.one(&made.next());
    }
    trials.end();
}

struct Trials {
    name: &'static str,
    target: fn(&[u8]),
    artifacts: PathBuf,
    /// One file that stays open: a disk would be waited for if it was made anew for each input.
    trying: fs::File,
}

impl Trials {
    fn new(name: &'static str, target: fn(&[u8]), artifacts: PathBuf) -> Self {
        fs::create_dir_all(&artifacts).unwrap();
        let trying = fs::File::create(artifacts.join(TRYING)).unwrap();
        Self { name, target, artifacts, trying }
    }

    fn one(&mut self, input: &[u8]) {
        self.trying.rewind().unwrap();
        self.trying.write_all(input).unwrap();
        self.trying.set_len(input.len() as u64).unwrap();
        let target = self.target;
        if catch_unwind(|| target(input)).is_ok() {
            return;
        }
        let mut hash = DefaultHasher::new();
        input.hash(&mut hash);
        let path = self.artifacts.join(format!("sample-{:016x}", hash.finish()));
        fs::write(&path, input).unwrap();
        fs::remove_file(self.artifacts.join(TRYING)).unwrap();
        let name = self.name;
        panic!(
            "the target {name} panicked at {}\nfix: correct what it found, and make the input a test; what lies there is \
             tried first by\ncargo test --workspace --test sample {name}",
            path.display()
        );
    }

    /// Nothing was found.
    fn end(self) {
        fs::remove_file(self.artifacts.join(TRYING)).unwrap();
        // It stays where something lies in it.
        let _ = fs::remove_dir(&self.artifacts);
    }
}
