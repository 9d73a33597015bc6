//! Text laid out for a terminal: how wide that is, and text cut or wrapped to a width. What is laid out was made visible
//! before, so that each character takes the columns that it is counted for.

use std::io::{self, IsTerminal};
use std::time::Duration;

use lote::text::visible;
use terminal_size::{Width, terminal_size_of};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// The columns of a terminal that does not say how many it has.
pub(crate) const COLUMNS: usize = 80;

/// How many columns the terminal has that stdout is; none when it is no terminal.
pub(crate) fn columns() -> Option<usize> {
    let stdout = io::stdout();
    stdout.is_terminal().then(|| terminal_size_of(&stdout).map_or(COLUMNS, wide))
}

/// How many columns the terminal has that stderr is.
pub(crate) fn columns_of_stderr() -> usize {
    terminal_size_of(io::stderr()).map_or(COLUMNS, wide)
}

fn wide((Width(columns), _): (Width, terminal_size::Height)) -> usize {
    if columns == 0 { COLUMNS } else { columns.into() }
}

/// How many columns a text takes.
pub(crate) fn width(text: &str) -> usize {
    text.width()
}

/// A text in at most so many columns, with `…` where it is cut.
pub(crate) fn cut(text: &str, most: usize) -> String {
    if width(text) <= most {
        return text.to_owned();
    }
    let (mut taken, mut end) = (0, 0);
    for (at, c) in text.char_indices() {
        taken += c.width().unwrap_or(0);
        if taken >= most {
            break;
        }
        end = at + c.len_utf8();
    }
    match most {
        0 => String::new(),
        _ => format!("{}…", text.get(..end).unwrap_or_default()),
    }
}

/// A text of others in one line of at most so many columns: what stands on several lines stands on one.
pub(crate) fn one_line(text: &str, most: usize) -> String {
    // More than any terminal shows is not looked at.
    let words = text.split_whitespace().flat_map(|word| [" ", word]).skip(1);
    let mut line = String::new();
    for word in words {
        if line.len() > most.saturating_mul(8) {
            break;
        }
        line.push_str(word);
    }
    cut(&visible(&line), most)
}

/// A text of others in lines of at most so many columns; as many lines as it has when there is no limit.
pub(crate) fn wrapped(text: &str, most: Option<usize>) -> Vec<String> {
    let mut lines = Vec::new();
    for line in text.trim_end().split('\n') {
        let line = line.strip_suffix('\r').unwrap_or(line).replace('\t', "    ");
        let line = visible(&line);
        match most {
            None => lines.push(line.into_owned()),
            Some(most) => lines.extend(textwrap::wrap(&line, most.max(1)).into_iter().map(|line| line.into_owned())),
        }
    }
    lines
}

/// A line of ours that is too long for the terminal, in several: no id of it is broken.
pub(crate) fn parted(line: &str, most: usize) -> Vec<String> {
    if width(line) <= most {
        return vec![line.to_owned()];
    }
    line.split("; ").map(str::to_owned).collect()
}

/// A line of several things, in as many lines as the terminal needs: those that follow stand further in. Between things a
/// line ends sooner than within one, and within a word never.
pub(crate) fn listed(line: &str, most: usize) -> Vec<String> {
    let further = line.chars().take_while(|c| *c == ' ').count() + 4;
    let mut lines = vec![String::new()];
    for thing in line.split_inclusive(", ") {
        if let Some(last) = lines.last_mut() {
            if last.trim().is_empty() || width(last) + width(thing.trim_end()) <= most {
                last.push_str(thing);
                continue;
            }
            last.truncate(last.trim_end().len());
        }
        lines.push(format!("{}{thing}", " ".repeat(further)));
    }
    lines.iter().flat_map(|line| worded(line, &" ".repeat(further), most)).collect()
}

/// A line of ours in as many lines as the terminal needs, each of whole words: a terminal would break an id or a URL where
/// its last column is. Those that follow begin with this.
pub(crate) fn worded(line: &str, following: &str, most: usize) -> Vec<String> {
    // What others have said has no ends of lines of its own.
    let line = visible(line);
    if width(&line) <= most {
        return vec![line.into_owned()];
    }
    let text = line.trim_start_matches(' ');
    let options = textwrap::Options::new(most)
        .initial_indent(&line[..line.len() - text.len()])
        .break_words(false)
        .word_separator(textwrap::WordSeparator::AsciiSpace)
        .word_splitter(textwrap::WordSplitter::NoHyphenation)
        .wrap_algorithm(textwrap::WrapAlgorithm::FirstFit)
        .subsequent_indent(following);
    textwrap::wrap(text, options).into_iter().map(|line| line.into_owned()).collect()
}

/// A length of time in one unit, such as `45s`, `12m`, `3h` or `2d`.
pub(crate) fn age(time: Duration) -> String {
    let span = span(time);
    span.split(' ').next().unwrap_or_default().to_owned()
}

/// A length of time in one or two units, such as `45s`, `12m`, `3h 20m` or `2d 4h`.
pub(crate) fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    let two = |large: u64, unit: &str, small: u64, of: &str| match small {
        0 => format!("{large}{unit}"),
        small => format!("{large}{unit} {small}{of}"),
    };
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, minutes) => format!("{minutes}m"),
        (0, hours, minutes) => two(hours, "h", minutes % 60, "m"),
        (days, hours, _) => two(days, "d", hours % 24, "h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_text_takes_no_more_columns_than_it_may() {
        for (text, most, expected) in [
            ("abc", 3, "abc"),
            ("abcd", 3, "ab…"),
            ("abcd", 1, "…"),
            ("abcd", 0, ""),
            // Each takes two columns.
            ("日本語", 6, "日本語"),
            ("日本語", 5, "日本…"),
            ("日本語", 4, "日…"),
            ("e\u{301}e\u{301}e\u{301}", 2, "e\u{301}…"),
        ] {
            assert_eq!(cut(text, most), expected, "{text} {most}");
            assert!(width(&cut(text, most)) <= most, "{text} {most}");
        }
        assert_eq!(one_line(" a\n\n  b\tc\u{1b}[2J ", 80), "a b c\\u{1b}[2J");
        assert_eq!(one_line(&"word ".repeat(100_000), 9), "word wor…");
    }

    #[test]
    fn things_of_a_line_stand_further_in_when_it_is_too_long() {
        let line = "  shard 1: settled, batch b (completed), 20 of 20 lines succeeded";
        assert_eq!(listed(line, 80), [line]);
        let parts = ["  shard 1: settled, batch b (completed),", "      20 of 20 lines succeeded"];
        assert_eq!(listed(line, 45), parts);
        // What is longer than the terminal by itself is whole.
        assert_eq!(listed("a, bb-and-long, c", 4), ["a,", "    bb-and-long,", "    c"]);
        assert_eq!(listed("", 4), [""]);
        let line = "  shard 1: created, batch batch_1234567890 (in_progress), 1 of 2 lines";
        let parts =
            ["  shard 1: created,", "      batch batch_1234567890", "      (in_progress),", "      1 of 2 lines"];
        assert_eq!(listed(line, 30), parts);
    }

    #[test]
    fn a_line_ends_between_words_and_every_word_is_there() {
        let line = "error: the batch batch_1234567890 is not  there, at http://127.0.0.1:8787/v1; look-for another";
        for most in 1..100 {
            let lines = worded(line, "", most);
            assert_eq!(
                lines.join(" ").split_whitespace().collect::<Vec<_>>(),
                line.split_whitespace().collect::<Vec<_>>()
            );
            assert!(lines.iter().all(|line| width(line) <= most || !line.contains(' ')), "{most}: {lines:?}");
        }
        assert_eq!(worded(line, "", 99), [line]);
        assert_eq!(worded("a b\n\u{1b}c d", "  ", 10), ["a", "  b\\n\\u{1b}c", "  d"]);
    }

    #[test]
    fn a_wrapped_text_keeps_its_lines_and_hides_nothing() {
        let text = "one two three\r\n\n  indented\n日本語日本語\n\u{1b}[2J\n\n";
        let expected = ["one two", "three", "", "  indented", "日本語日本", "語", "\\u{1b}[2J"];
        assert_eq!(wrapped(text, Some(10)), expected);
        assert_eq!(wrapped("one two three\n", None), ["one two three"]);
        assert_eq!(wrapped("a\tb", Some(80)), ["a    b"]);
    }

    #[test]
    fn a_line_of_ours_is_parted_only_where_it_does_not_fit() {
        let line = "4 of 4 lines succeeded; batch batch_1 completed";
        assert_eq!(parted(line, 47), [line]);
        assert_eq!(parted(line, 46), ["4 of 4 lines succeeded", "batch batch_1 completed"]);
    }

    #[test]
    fn times_are_told_in_two_units_at_most() {
        for (seconds, expected) in
            [(0, "0s"), (59, "59s"), (61, "1m"), (3_600, "1h"), (12_000, "3h 20m"), (86_400, "1d"), (187_300, "2d 4h")]
        {
            assert_eq!(span(Duration::from_secs(seconds)), expected);
        }
    }
}
