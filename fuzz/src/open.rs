//! Any bytes are opened for reading, compressed ones among them: lines or an error, and no panic. Of answers damage is
//! an anomaly and no error.

use std::io::{Cursor, Read};

use lote_lines::{Inspection, decompressed};

/// A small input may hold a very large file.
const MOST: u64 = 4 << 20;

/// One trial.
pub fn open(data: &[u8]) {
    let Ok(reader) = decompressed(Cursor::new(data.to_vec())) else { return };
    let mut bytes = Vec::new();
    if reader.take(MOST).read_to_end(&mut bytes).is_ok() {
        let _ = Inspection::default().read("a file", &bytes[..]);
    }
    let reader = decompressed(Cursor::new(data.to_vec())).expect("what was opened before");
    Inspection::default().read("a file", reader.take(MOST)).expect("memory can be read");
}
