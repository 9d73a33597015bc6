//! Reads and writes of a file at any place, without a seek where the system can do that.

use std::fs::File;
use std::io;

/// Fills the buffer with what stands from this place on. Nobody else is to read the file by its cursor, which may move.
pub(crate) fn read_exact_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileExt as _;
        file.read_exact_at(buffer, offset)
    }
    #[cfg(not(unix))]
    {
        use std::io::{Read as _, Seek as _, SeekFrom};
        let mut file = file;
        file.seek(SeekFrom::Start(offset))?;
        file.read_exact(buffer)
    }
}

/// Writes these bytes at this place. Nobody else is to use the file by its cursor, which may move.
pub(crate) fn write_all_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileExt as _;
        file.write_all_at(bytes, offset)
    }
    #[cfg(not(unix))]
    {
        use std::io::{Seek as _, SeekFrom, Write as _};
        let mut file = file;
        file.seek(SeekFrom::Start(offset))?;
        file.write_all(bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn reads_what_stands_there_or_fails() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"0123456789").unwrap();
        let mut four = [0; 4];
        for (offset, expected) in [(6, b"6789"), (0, b"0123"), (3, b"3456")] {
            read_exact_at(&file, &mut four, offset).unwrap();
            assert_eq!(&four, expected);
        }
        assert_eq!(read_exact_at(&file, &mut four, 7).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        write_all_at(&file, b"ab", 3).unwrap();
        read_exact_at(&file, &mut four, 2).unwrap();
        assert_eq!(&four, b"2ab5");
    }
}
