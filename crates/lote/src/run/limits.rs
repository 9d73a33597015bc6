//! What a service was seen to take, kept for the next run of the same account.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{plan::hex, schedule::Learned};
use crate::{
    Client, UnixSeconds,
    save::{Access, AtomicFile},
};

/// The number of the format.
const FORMAT: u32 = 1;

/// More bytes than any such file has.
const LONGEST: u64 = 1 << 20;

/// For how long it counts, in seconds: a week. An account that was full once is not full for ever.
const COUNTS: i64 = 7 * 24 * 60 * 60;

/// The file of one account: its service, end user and key.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    path: PathBuf,
    base_url: String,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    format: u32,
    at: UnixSeconds,
    base_url: String,
    #[serde(flatten)]
    learned: Learned,
}

impl Kept {
    /// The file of this client's account in a folder.
    pub(super) fn of(folder: &Path, client: &Client) -> Self {
        let (base_url, account) = (client.base_url().to_owned(), client.shared().account());
        let mut hash = Sha256::new();
        for part in [base_url.as_str(), account.key.as_str(), account.user.as_deref().unwrap_or_default()] {
            hash.update(part);
            hash.update(b"\n");
        }
        let name: String = hex(hash).chars().take(16).collect();
        Self { path: folder.join(name).with_extension("json"), base_url }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What was kept and still counts. A file that is not there says nothing.
    ///
    /// # Errors
    /// Why there is one that cannot be used.
    pub(super) fn read(&self, now: UnixSeconds) -> Result<Learned, String> {
        let mut text = Vec::new();
        match File::open(&self.path).and_then(|file| file.take(LONGEST).read_to_end(&mut text)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Learned::default()),
            Err(error) => return Err(error.to_string()),
            Ok(_) => {}
        }
        let stored: Stored = serde_json::from_slice(&text).map_err(|error| error.to_string())?;
        if stored.format != FORMAT {
            return Err(format!("it has format {}, and this lote knows {FORMAT}", stored.format));
        }
        // What is of the future was written by a clock that was wrong.
        let counts = (0..COUNTS).contains(&now.get().saturating_sub(stored.at.get()));
        Ok(if counts { stored.learned } else { Learned::default() })
    }

    /// Keeps what was learned, in place of what was kept. Of two processes the last one is believed, whole.
    pub(super) fn write(&self, learned: &Learned, now: UnixSeconds) -> io::Result<()> {
        if let Some(folder) = self.path.parent() {
            make_private(folder)?;
        }
        let stored = Stored { format: FORMAT, at: now, base_url: self.base_url.clone(), learned: learned.clone() };
        let mut text = serde_json::to_vec_pretty(&stored)?;
        text.push(b'\n');
        let mut atomic = AtomicFile::with(&self.path, Access::private())?;
        atomic.file().write_all(&text)?;
        atomic.commit()
    }
}

fn make_private(folder: &Path) -> io::Result<()> {
    #[cfg_attr(not(unix), expect(unused_mut, reason = "only Unix has modes"))]
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> UnixSeconds {
        UnixSeconds::new(seconds).unwrap()
    }

    fn client(key: &str) -> Client {
        Client::builder().base_url("http://127.0.0.1:9/v1").api_key(key).build().unwrap()
    }

    fn learned() -> Learned {
        Learned { open: Some(3), tokens: [("m".to_owned(), 5_000)].into() }
    }

    #[test]
    fn what_was_learned_is_kept_for_the_account_and_for_a_week() {
        let folder = tempfile::tempdir().unwrap();
        let kept = Kept::of(&folder.path().join("a/b"), &client("sk-hunter22"));
        assert_eq!(kept.read(at(9)), Ok(Learned::default()));
        kept.write(&learned(), at(1_000)).unwrap();
        kept.write(&learned(), at(1_000)).unwrap();
        assert_eq!(kept.read(at(1_000)), Ok(learned()));
        assert_eq!(kept.read(at(1_000 + COUNTS - 1)), Ok(learned()));
        for other in [1_000 + COUNTS, 999] {
            assert_eq!(kept.read(at(other)), Ok(Learned::default()), "{other}");
        }
        let other = Kept::of(&folder.path().join("a/b"), &client("sk-hunter23"));
        assert_eq!(other.read(at(1_000)), Ok(Learned::default()));
        let text = fs::read_to_string(kept.path()).unwrap();
        assert!(!text.contains("hunter22"), "{text}");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!((mode(kept.path()), mode(kept.path().parent().unwrap())), (0o600, 0o700));
        }
        assert_eq!(fs::read_dir(kept.path().parent().unwrap()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn a_file_that_cannot_be_used_says_why() {
        let folder = tempfile::tempdir().unwrap();
        let kept = Kept::of(folder.path(), &client("sk-hunter22"));
        for (text, part) in [
            ("", "EOF"),
            ("{", "EOF"),
            (r#"{"format":2,"at":1,"base_url":"u"}"#, "format 2"),
            (r#"{"format":1,"at":1,"base_url":"u","open":-1}"#, "-1"),
        ] {
            fs::write(kept.path(), text).unwrap();
            let why = kept.read(at(2)).unwrap_err();
            assert!(why.contains(part), "{why}");
        }
        fs::remove_file(kept.path()).unwrap();
        fs::create_dir(kept.path()).unwrap();
        assert!(kept.read(at(2)).is_err());
    }

    #[test]
    fn of_two_that_write_at_once_one_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let kept = Kept::of(folder.path(), &client("sk-hunter22"));
        let wrote =
            |open: u64| Learned { open: Some(open), tokens: (0..open).map(|at| (at.to_string(), at)).collect() };
        std::thread::scope(|scope| {
            for open in [1, 400] {
                let kept = &kept;
                scope.spawn(move || (0..40).for_each(|_| kept.write(&wrote(open), at(1)).unwrap()));
            }
            for _ in 0..200 {
                let read = kept.read(at(1)).unwrap();
                assert!(read == Learned::default() || [wrote(1), wrote(400)].contains(&read));
            }
        });
    }
}
