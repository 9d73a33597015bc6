//! Owns the passing over of what is in JSON that is already known to be valid: it looks only for quotes and brackets. Of
//! broken JSON it may pass over anything, but it always ends and never panics.

/// The place after the white space from here on.
pub(crate) fn after_space(bytes: &[u8], mut at: usize) -> usize {
    while matches!(bytes.get(at), Some(b' ' | b'\t' | b'\r' | b'\n')) {
        at += 1;
    }
    at
}

/// The place of the next quote.
#[inline]
fn quote(bytes: &[u8], at: usize) -> Option<usize> {
    match near(bytes, at, |word| with(word, b'"')) {
        Ok(found) => Some(found),
        Err(at) => memchr::memchr(b'"', bytes.get(at..)?).map(|found| at + found),
    }
}

/// The place of the first backslash.
#[inline]
pub(crate) fn backslash(bytes: &[u8]) -> Option<usize> {
    match near(bytes, 0, |word| with(word, b'\\')) {
        Ok(found) => Some(found),
        Err(at) => memchr::memchr(b'\\', bytes.get(at..)?).map(|found| at + found),
    }
}

const ONES: u64 = u64::MAX / 0xFF;

/// The high bit of each byte that is this one; above the first of them, of some others too.
fn with(word: u64, byte: u8) -> u64 {
    let zeros = word ^ (ONES * u64::from(byte));
    zeros.wrapping_sub(ONES) & !zeros & (ONES << 7)
}

/// The place of the first byte that `found` marks among the next few, or the place behind them. Most texts are short: the
/// search that is faster in long ones takes longer to begin.
#[inline]
fn near(bytes: &[u8], at: usize, found: impl Fn(u64) -> u64) -> Result<usize, usize> {
    const WORDS: usize = 3;
    let (words, _) = bytes.get(at..).unwrap_or_default().as_chunks();
    for (number, word) in words.iter().take(WORDS).enumerate() {
        let found = found(u64::from_le_bytes(*word));
        if found != 0 {
            return Ok(at + 8 * number + (found.trailing_zeros() / 8) as usize);
        }
    }
    Err(at + 8 * words.len().min(WORDS))
}

/// The place after the string whose opening quote is at `at`.
pub(crate) fn after_string(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(found) = quote(bytes, at) {
        at = found + 1;
        let backslashes = bytes[start + 1..found].iter().rev().take_while(|byte| **byte == b'\\').count();
        if backslashes % 2 == 0 {
            return at;
        }
    }
    bytes.len()
}

/// The place after the value that begins at `at`.
pub(crate) fn after_value(bytes: &[u8], at: usize) -> usize {
    match bytes.get(at) {
        Some(b'"') => after_string(bytes, at),
        Some(b'{') => after_brackets(bytes, at, b'{', b'}'),
        Some(b'[') => after_brackets(bytes, at, b'[', b']'),
        _ => {
            let rest = bytes.get(at..).unwrap_or_default();
            let ends = |byte: &u8| matches!(byte, b',' | b'}' | b']' | b' ' | b'\t' | b'\r' | b'\n');
            at + rest.iter().position(ends).unwrap_or(rest.len())
        }
    }
}

/// The place after the bracket that closes the one at `at`. In valid JSON brackets of the other
/// kind need no counting.
fn after_brackets(bytes: &[u8], mut at: usize, open: u8, close: u8) -> usize {
    let mut depth = 0_usize;
    while let Some(found) = bytes.get(at..).and_then(|rest| memchr::memchr3(b'"', open, close, rest)) {
        at += found;
        let byte = bytes[at];
        if byte == b'"' {
            at = after_string(bytes, at);
            continue;
        }
        at += 1;
        if byte == open {
            depth += 1;
        } else {
            depth -= 1;
            if depth == 0 {
                return at;
            }
        }
    }
    bytes.len()
}
