//! Owns the reading of zstd: all its frames, with their checksums compared.

use std::io::{self, BufRead, Read};

use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

use super::damage::{Damage, words};

const NAME: &str = "zstd";

/// Whether data with these first bytes is zstd: a frame, or one that is to be skipped.
pub(super) fn is(start: &[u8]) -> bool {
    start.starts_with(b"\x28\xb5\x2f\xfd") || matches!(start, [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..])
}

/// What is compressed in a stream of frames. After an error, and after the end, there is nothing.
pub(super) struct Zstd<R> {
    source: Source<R>,
    decoder: FrameDecoder,
    state: State,
    /// What is told once all before it is read.
    damage: Option<io::Error>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before a frame, or at the end.
    Between,
    Within,
    Over,
}

impl<R: BufRead> Zstd<R> {
    pub(super) fn new(inner: R) -> Self {
        let source = Source { inner, ended: false, error: None };
        Self { source, decoder: FrameDecoder::new(), state: State::Between, damage: None }
    }

    fn next(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.state {
                State::Over => return Ok(0),
                State::Between => self.begin()?,
                State::Within => {
                    while self.decoder.can_collect() == 0 && !self.decoder.is_finished() {
                        let decoded =
                            self.decoder.decode_blocks(&mut self.source, BlockDecodingStrategy::UptoBlocks(1));
                        if let Err(error) = decoded {
                            self.damage = Some(self.source.explained(error));
                            self.end_frame()?;
                        }
                    }
                    let count = self.decoder.read(buffer)?;
                    if count > 0 {
                        return Ok(count);
                    }
                    if let Some(damage) = self.damage.take() {
                        return Err(damage);
                    }
                    let wanted = self.decoder.get_checksum_from_data();
                    if wanted.is_some() && wanted != self.decoder.get_calculated_checksum() {
                        return Err(words::damaged(NAME, "its checksum differs"));
                    }
                    self.state = State::Between;
                }
            }
        }
    }

    /// Ends a frame that is damaged with a last block which holds nothing, and a checksum in case it has one: the decoder
    /// keeps what later blocks may refer to until then.
    fn end_frame(&mut self) -> io::Result<()> {
        const LAST: [u8; 7] = [1, 0, 0, 0, 0, 0, 0];
        let ended = self.decoder.decode_blocks(&LAST[..], BlockDecodingStrategy::UptoBlocks(1));
        match (ended, self.damage.take()) {
            (Ok(_), damage) => self.damage = damage,
            (Err(_), Some(damage)) => return Err(damage),
            (Err(error), None) => return Err(words::damaged(NAME, error)),
        }
        Ok(())
    }

    /// Reads the head of the next frame.
    fn begin(&mut self) -> io::Result<()> {
        if self.source.is_at_end()? {
            self.state = State::Over;
            return Ok(());
        }
        match self.decoder.reset(&mut self.source) {
            Ok(()) => self.state = State::Within,
            Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame { length, .. })) => {
                let skipped = io::copy(&mut (&mut self.source).take(u64::from(length)), &mut io::sink())?;
                if skipped < u64::from(length) {
                    return Err(words::cut_off(NAME));
                }
            }
            Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::BadMagicNumber(_))) => {
                return Err(words::trailing(NAME));
            }
            Err(error) => return Err(self.source.explained(error)),
        }
        Ok(())
    }
}

impl<R: BufRead> Read for Zstd<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let read = self.next(buffer);
        if read.is_err() {
            self.state = State::Over;
        }
        read
    }
}

/// The compressed bytes. It remembers what the decoder's errors do not tell apart: that they ended,
/// and that they could not be read.
struct Source<R> {
    inner: R,
    ended: bool,
    error: Option<io::Error>,
}

impl<R: BufRead> Source<R> {
    fn is_at_end(&mut self) -> io::Result<bool> {
        loop {
            match self.inner.fill_buf() {
                Ok(chunk) => return Ok(chunk.is_empty()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn explained(&mut self, error: FrameDecoderError) -> io::Error {
        match self.error.take() {
            Some(error) => error,
            None if self.ended => words::cut_off(NAME),
            None => words::damaged(NAME, error),
        }
    }
}

impl<R: BufRead> Read for Source<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer);
        match &read {
            Ok(0) if !buffer.is_empty() => self.ended = true,
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                self.error = Some(match Damage::of(error) {
                    Some(damage) => damage.clone().into_error(),
                    None => io::Error::new(error.kind(), error.to_string()),
                });
            }
            _ => {}
        }
        read
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives these, one after the other, and then nothing.
    struct Given(Vec<io::Result<&'static [u8]>>);

    impl Read for Given {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.0.is_empty() { Ok(0) } else { self.0.remove(0)?.read(buffer) }
        }
    }

    fn source(given: Vec<io::Result<&'static [u8]>>) -> Source<io::BufReader<Given>> {
        Source { inner: io::BufReader::new(Given(given)), ended: false, error: None }
    }

    #[test]
    fn the_end_of_the_bytes_is_remembered_and_no_other_read_of_none() {
        let mut source = source(vec![Ok(b"ab")]);
        let mut buffer = [0; 4];
        assert_eq!((source.read(&mut []).unwrap(), source.ended), (0, false));
        assert_eq!((source.read(&mut buffer).unwrap(), source.ended), (2, false));
        assert_eq!((source.read(&mut []).unwrap(), source.ended), (0, false));
        assert_eq!((source.read(&mut buffer).unwrap(), source.ended), (0, true));
    }

    #[test]
    fn an_error_of_the_bytes_is_remembered_and_no_interruption() {
        let errors = [io::ErrorKind::Interrupted, io::ErrorKind::ConnectionReset];
        let mut source = source(errors.map(|kind| Err(kind.into())).into());
        assert_eq!(source.read(&mut [0]).unwrap_err().kind(), io::ErrorKind::Interrupted);
        assert!(source.error.is_none());
        assert_eq!(source.read(&mut [0]).unwrap_err().kind(), io::ErrorKind::ConnectionReset);
        assert_eq!(source.error.map(|error| error.kind()), Some(io::ErrorKind::ConnectionReset));
        assert!(!source.ended);
    }
}
