//! Owns the damage of compressed data: its words, how it travels in an [`io::Error`], and the reading of all that comes
//! before it.

use std::io::{self, BufRead, Read};
use std::{error, fmt};

/// What is wrong with compressed data, as the inside of an [`io::Error`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Damage {
    message: String,
    kind: io::ErrorKind,
}

impl Damage {
    /// The damage that an error is about; `None` when it is about something else, such as the disk.
    pub(crate) fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }

    /// Whether what comes before is as it was written: the data ends too early, and nothing else is wrong.
    pub(crate) fn is_cut(&self) -> bool {
        self.kind == io::ErrorKind::UnexpectedEof
    }

    #[cfg(feature = "compressed")]
    pub(super) fn into_error(self) -> io::Error {
        io::Error::new(self.kind, self)
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl error::Error for Damage {}

/// The errors of compressed data, in words for people.
#[cfg(feature = "compressed")]
pub(super) mod words {
    use super::{Damage, fmt, io};

    pub(in crate::open) fn cut_off(format: &str) -> io::Error {
        let message = format!("the {format} data ends too early: was the file cut off? Fetch it again");
        Damage { message, kind: io::ErrorKind::UnexpectedEof }.into_error()
    }

    pub(in crate::open) fn damaged(format: &str, why: impl fmt::Display) -> io::Error {
        let message = format!("the {format} data is damaged ({why}): fetch the file again");
        Damage { message, kind: io::ErrorKind::InvalidData }.into_error()
    }

    pub(in crate::open) fn trailing(format: &str) -> io::Error {
        let message =
            format!("after the {format} data stands something that is no {format}: was the file appended to?");
        Damage { message, kind: io::ErrorKind::InvalidData }.into_error()
    }
}

/// Fails with the same damage at each read.
#[cfg(feature = "compressed")]
pub(super) struct Failing(pub(super) Damage);

#[cfg(feature = "compressed")]
impl Read for Failing {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(self.0.clone().into_error())
    }
}

#[cfg(feature = "compressed")]
impl BufRead for Failing {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        Err(self.0.clone().into_error())
    }

    fn consume(&mut self, _: usize) {}
}

/// Ends where the damage begins, and keeps it. For answers alone: requests that were cut are not to be sent as if they
/// were whole.
pub(crate) struct Salvage<R> {
    inner: R,
    damage: Option<Damage>,
}

impl<R> Salvage<R> {
    pub(crate) fn new(inner: R) -> Self {
        Self { inner, damage: None }
    }

    /// The reader, and the damage, if it was come to.
    #[cfg(feature = "compressed")]
    pub(super) fn into_parts(self) -> (R, Option<Damage>) {
        (self.inner, self.damage)
    }

    /// The damage, if it was come to.
    pub(crate) fn into_damage(self) -> Option<Damage> {
        self.damage
    }
}

impl<R: BufRead> BufRead for Salvage<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.damage.is_some() {
            return Ok(&[]);
        }
        match self.inner.fill_buf() {
            Ok(_) => self.inner.fill_buf(),
            Err(error) => {
                self.damage = Some(Damage::of(&error).cloned().ok_or(error)?);
                Ok(&[])
            }
        }
    }

    fn consume(&mut self, count: usize) {
        self.inner.consume(count);
    }
}

impl<R: BufRead> Read for Salvage<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}
