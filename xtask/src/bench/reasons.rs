//! Why a bound does not hold: what a profile showed, what was tried, and what the limit is.

/// For a work, in words that follow its name on the page.
pub(super) const REASONS: [(&str, &str); 4] = [
    (
        "upload",
        "nine tenths of the time are the kernel's, and half of all is its two copies: from the file's pages to the block, \
         and from the block to the socket. The bare socket does both by one thread, whose cache still has the block; a \
         client that is not to hold up its runtime reads by another thread, as reqwest beside it does, and hands over a \
         block. Tried: blocks of 128, 256, 512 and 1024 KiB (no difference that stands out of the noise), no copy in this \
         process, one thread for all of the runtime, blocks that are not given back to the system in between. What is left \
         of our own is the start of the process and 64 KiB pieces, which show that something moves.",
    ),
    (
        "download",
        "the bound is a tenth more than what the bare socket takes. What is left above that is to hand batches to the \
         thread that writes, and to sync the file, which no peer does. Tried: to write on the runtime's own thread (as \
         good as the socket, but a slow disk would hold up whatever else the user's runtime does), batches of 384 KiB to \
         4 MiB, memory that is kept and not asked for again (without that, half of the time is empty pages), no hash. Where the \
         service tells a hash, a third of the time is SHA-256, by the processor's own instructions, beside the network.",
    ),
    (
        "run",
        "a fifth of the time is SHA-256 of what is uploaded and fetched, a quarter to prove, check and join lines, a tenth \
         to read files again. Waits, polls and syncs take no time that shows. Tried: one thread for the runtime, which halves the switches \
         between threads; a checksum where only damage is to be found.",
    ),
    (
        "version",
        "half of the time is to start any process of Rust that says a word (some 70 pages), and much of the rest to put \
         17,000 addresses of the program in their places, as in any program that may be loaded anywhere. Tried: to spell out \
         the arguments of the one command that is given and not of all, which saves 80 pages of 280.",
    ),
];

#[cfg(test)]
mod tests {
    use super::super::{limits, work};
    use super::*;

    #[test]
    fn every_reason_is_of_a_bound() {
        for (name, reason) in REASONS {
            assert!(work::names().any(|work| work == name) && limits::are_of(name), "{name}");
            assert!(reason.ends_with('.') && !reason.contains("  "), "{name}");
        }
    }
}
