//! `check` judges any bytes without a panic, and what it passes on is what came: each line that is not blank, ended by
//! LF, with a CR between two values as a space.

use lote_lines::CheckOptions;

/// One trial.
pub fn check(data: &[u8]) {
    let (mut sink, mut findings) = (Vec::new(), 0_u64);
    let mut count = |_| findings += 1;
    let Ok(checked) = lote_lines::check(data, &CheckOptions::default(), &mut count, Some(&mut sink)) else {
        // Reading from memory fails only where bytes cannot be decompressed.
        return;
    };
    assert_eq!(checked.findings, findings);
    if findings > 0 {
        return;
    }
    assert_eq!(sink, canonical(data), "what is sent is what came");
    assert_eq!(checked.bytes, sink.len() as u64);
    assert_eq!(checked.lines, sink.iter().filter(|byte| **byte == b'\n').count() as u64);

    // What was found to be fit stays fit.
    let again = lote_lines::check(&sink[..], &CheckOptions::default(), &mut |finding| panic!("{finding}"), None);
    assert_eq!(again.expect("memory can be read").sha256, checked.sha256);
}

/// The same, slowly.
fn canonical(data: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for line in data.split(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.iter().all(|byte| matches!(byte, b' ' | b'\t' | b'\r')) {
            continue;
        }
        out.extend(line.iter().map(|byte| if *byte == b'\r' { b' ' } else { *byte }));
        out.push(b'\n');
    }
    out
}
