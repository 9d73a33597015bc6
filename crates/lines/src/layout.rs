//! Owns how lines deviate from one object a line, for all that reads a file of lines: an array around
//! them, commas and objects after an object, an object over several lines, Git's conflict markers.
//! Each is told once for a file.

use std::ops::Range;

use serde_json::value::RawValue;

use crate::scan::BOM;

/// How a file deviates. The words are the same for [`check`](crate::check()) and for all that reads
/// answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deviation {
    Array,
    /// From this line to that.
    OverLines(u64, u64),
    /// From this column on; and what to do about it.
    AfterObject(usize, &'static str),
    /// A comma before an object.
    CommaBefore,
    /// Carriage returns stand between objects, and no line feed.
    CarriageReturns,
    Markers,
}

impl Deviation {
    /// What is said of an object over several lines when its end is not seen.
    pub(crate) fn some_lines() -> &'static str {
        "an object stands over several lines: each is to stand on one line (`jq -c . FILE` does that for all)"
    }

    pub(crate) fn message(self) -> String {
        match self {
            Self::Array => {
                "the lines stand in a JSON array: write one object a line, without brackets around them and \
                            commas between (`jq -c '.[]' FILE` does)"
                    .to_owned()
            }
            Self::OverLines(first, last) => format!(
                "one object stands on the lines {first} to {last}: each is to stand on one line (`jq -c . FILE` does \
                 that for all)"
            ),
            Self::AfterObject(column, advice) => {
                format!("text after the object, at column {column}: {advice} (this is told once)")
            }
            Self::CommaBefore => {
                "a comma stands before the object: take it out, since the lines are no list (this is told once)"
                    .to_owned()
            }
            Self::CarriageReturns => {
                "the lines end with a carriage return alone, as on old Macs: end each with a line feed \
                 (`tr '\\r' '\\n' < FILE` does)"
                    .to_owned()
            }
            Self::Markers => {
                "a conflict marker of Git: two versions of the file stand in it; resolve the conflict".to_owned()
            }
        }
    }
}

/// What a line that is not one whole object is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Nothing of the content, or told together with lines that follow.
    Nothing,
    /// One object or several, with what is left of the line.
    Objects(Objects),
    /// The last line of an object over several lines: here it is, if it is one.
    Record(Block),
    /// A faulty line.
    Faulty,
}

/// The objects that stand whole on one line.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Objects {
    pub(crate) whole: Vec<Range<usize>>,
    /// What follows them and is neither a comma nor a bracket.
    pub(crate) rest: Option<Range<usize>>,
}

/// Lines that seem to be one object.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) first: u64,
    pub(crate) last: u64,
    /// Where its first byte stands in the stream.
    pub(crate) offset: u64,
    /// Where the byte after its last stands.
    pub(crate) end: u64,
    /// Its lines, with LF between them.
    pub(crate) bytes: Vec<u8>,
    /// Where in its last line another object begins, which is to be judged on its own.
    pub(crate) rest: Option<usize>,
    depth: Depth,
}

/// What is remembered from line to line.
#[derive(Debug)]
pub(crate) struct Layout {
    /// The longest object over several lines, in bytes.
    most: usize,
    block: Option<Block>,
    array: bool,
    told_lines: bool,
    told_after: bool,
    told_before: bool,
    told_returns: bool,
    told_markers: bool,
    news: Vec<(u64, Deviation)>,
}

impl Default for Layout {
    fn default() -> Self {
        Self::of_at_most(crate::DEFAULT_MAX_LINE_BYTES)
    }
}

impl Layout {
    /// Nothing is known yet. Objects over several lines have fewer bytes than this.
    fn of_at_most(most: usize) -> Self {
        Self {
            most,
            block: None,
            array: false,
            told_lines: false,
            told_after: false,
            told_before: false,
            told_returns: false,
            told_markers: false,
            news: Vec::new(),
        }
    }

    /// Deviations that were found since this was asked last, each with its line.
    pub(crate) fn news(&mut self) -> impl Iterator<Item = (u64, Deviation)> + use<> {
        std::mem::take(&mut self.news).into_iter()
    }

    /// Whether lines are held back that seem to be one object.
    pub(crate) fn is_open(&self) -> bool {
        self.block.is_some()
    }

    /// The lines that were held back and are no object, since another begins or the file ends.
    pub(crate) fn take_block(&mut self) -> Option<Block> {
        self.block.take()
    }

    /// Judges a line that is not one whole object with a custom_id. While a block
    /// [is open](Self::is_open), and the answer is [`Part::Faulty`], the block is to be taken.
    pub(crate) fn judge(&mut self, number: u64, offset: u64, line: &[u8]) -> Part {
        if is_marker(line, self.told_markers) {
            // What is put together of lines is to stand in the file as it is.
            if self.block.is_some() {
                return Part::Faulty;
            }
            if !self.told_markers {
                self.told_markers = true;
                self.news.push((number, Deviation::Markers));
            }
            return Part::Nothing;
        }
        if self.block.is_some() {
            return self.go_on(number, offset, line);
        }
        let trimmed = line.trim_ascii();
        match trimmed {
            b"[" => {
                self.array(number);
                return Part::Nothing;
            }
            b"]" | b"]," | b"," if self.array => return Part::Nothing,
            _ => {}
        }
        let at = line.len() - line.trim_ascii_start().len();
        match trimmed.first() {
            Some(b'[') => {
                let objects = objects(line, at + 1);
                // An array of something else, or the inner one of an object.
                let begins = objects.rest.as_ref().is_some_and(|rest| line[rest.start] == b'{');
                if objects.whole.is_empty() && !begins {
                    return Part::Faulty;
                }
                self.array(number);
                self.rest_of_line(number, offset, line, objects)
            }
            // In an array, the comma may stand before its object.
            Some(b'{' | b',') => {
                let objects = objects(line, at);
                self.rest_of_line(number, offset, line, objects)
            }
            _ => Part::Faulty,
        }
    }

    fn array(&mut self, number: u64) {
        if !self.array {
            self.array = true;
            self.news.push((number, Deviation::Array));
        }
    }

    /// A line of which these objects are whole: what is left may be the beginning of another.
    fn rest_of_line(&mut self, number: u64, offset: u64, line: &[u8], mut objects: Objects) -> Part {
        let after = objects.whole.last().map_or(&[][..], |last| &line[last.end..]);
        let between = objects.whole.len() > 1 || (!objects.whole.is_empty() && !after.trim_ascii().is_empty());
        let end = objects.whole.first().map_or(0, |first| first.end);
        let blank = line[end..].len() - line[end..].trim_ascii_start().len();
        if between && line[end..end + blank].contains(&b'\r') {
            if !self.told_returns {
                self.told_returns = true;
                self.news.push((number, Deviation::CarriageReturns));
            }
        } else if between && !self.array && !self.told_after {
            self.told_after = true;
            let column = end + blank + 1;
            self.news.push((number, Deviation::AfterObject(column, advice(&line[column - 1..]))));
        }
        let begun = objects.rest.as_ref().is_some_and(|rest| line[rest.start] == b'{');
        if line.trim_ascii_start().starts_with(b",")
            && (begun || !objects.whole.is_empty())
            && !self.array
            && !self.told_before
        {
            self.told_before = true;
            self.news.push((number, Deviation::CommaBefore));
        }
        if let Some(rest) = &objects.rest
            && line[rest.start] == b'{'
        {
            let mut depth = Depth::default();
            let bytes = &line[rest.clone()];
            if depth.closes(bytes).is_none() && !depth.in_string {
                let offset = offset + rest.start as u64;
                let end = offset + bytes.len() as u64;
                self.block =
                    Some(Block { first: number, last: number, offset, end, bytes: bytes.to_vec(), rest: None, depth });
                objects.rest = None;
            }
        }
        match (objects.whole.is_empty(), objects.rest.is_none()) {
            (true, true) if self.array || self.block.is_some() => Part::Nothing,
            // A comma and nothing else, with no array around it.
            (true, true) => Part::Faulty,
            (true, false) => Part::Faulty,
            _ => Part::Objects(objects),
        }
    }

    /// One more line of the block, which stays as it is when the line is faulty.
    fn go_on(&mut self, number: u64, offset: u64, line: &[u8]) -> Part {
        let Some(block) = &mut self.block else {
            return Part::Faulty;
        };
        let mut depth = block.depth;
        let closes = depth.closes(line);
        let taken = closes.unwrap_or(line.len());
        let fits = block.bytes.len() + taken < self.most;
        let after = &line[taken..];
        let other = after.iter().position(|byte| !(byte.is_ascii_whitespace() || matches!(byte, b',' | b']')));
        let rest = other.map(|at| taken + at).filter(|at| line[*at] == b'{');
        let ends_well = closes.is_none() || other.is_none() || rest.is_some();
        if !fits || depth.in_string || !ends_well || !block.depth.may_go_on_with(line) {
            return Part::Faulty;
        }
        block.depth = depth;
        block.bytes.push(b'\n');
        block.bytes.extend_from_slice(&line[..taken]);
        block.last = number;
        block.end = offset + taken as u64;
        if closes.is_none() {
            return Part::Nothing;
        }
        let Some(mut block) = self.block.take() else {
            return Part::Faulty;
        };
        block.rest = rest;
        // An array is taken apart by the same command.
        if !self.told_lines && !self.array && serde_json::from_slice::<&RawValue>(&block.bytes).is_ok() {
            self.told_lines = true;
            self.news.push((block.first, Deviation::OverLines(block.first, block.last)));
        }
        if let Some(rest) = rest
            && !self.array
            && !self.told_after
        {
            self.told_after = true;
            self.news.push((number, Deviation::AfterObject(rest + 1, advice(&line[rest..]))));
        }
        Part::Record(block)
    }
}

/// What to do about text after an object.
fn advice(after: &[u8]) -> &'static str {
    if after.trim_ascii() == b"," {
        "a comma stands after the object: take it out, since the lines are no list"
    } else if after.starts_with(b"//") || after.starts_with(b"/*") || after.starts_with(b"#") {
        "JSON has no comments: take them out"
    } else if after.strip_prefix(BOM).unwrap_or(after).trim_ascii_start().starts_with(b"{") || after.starts_with(b",") {
        "another object follows: put it on a line of its own"
    } else {
        "each line is one JSON object, with nothing between the lines"
    }
}

/// The whole objects from `at` on, with commas between them.
fn objects(line: &[u8], mut at: usize) -> Objects {
    let mut objects = Objects::default();
    // What stands before a byte that is no UTF-8 may be whole.
    let valid = match std::str::from_utf8(line) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&line[..error.valid_up_to()]).unwrap_or_default(),
    };
    loop {
        let skipped = line[at..].iter().take_while(|byte| byte.is_ascii_whitespace() || **byte == b',').count();
        at += skipped;
        // A mark, where files were put together and the first was not ended.
        at += if line[at..].starts_with(BOM) && at > 0 { BOM.len() } else { 0 };
        let rest = &line[at..];
        if rest.is_empty() || rest.trim_ascii() == b"]" || rest.trim_ascii() == b"]," {
            return objects;
        }
        let length = valid.get(at..).filter(|rest| rest.starts_with('{')).and_then(|rest| {
            let mut values = serde_json::Deserializer::from_str(rest).into_iter::<&RawValue>();
            values.next()?.ok().map(|value| value.get().len())
        });
        let Some(length) = length else {
            objects.rest = Some(at..line.len());
            return objects;
        };
        objects.whole.push(at..at + length);
        at += length;
    }
}

/// Whether a line is one of Git's conflict markers. The one in the middle is so short that it counts
/// only after another.
fn is_marker(line: &[u8], after_another: bool) -> bool {
    let begins = |marker: &[u8]| line.starts_with(marker) && matches!(line.get(7), None | Some(b' '));
    begins(b"<<<<<<<") || begins(b">>>>>>>") || begins(b"|||||||") || (after_another && line == b"=======")
}

/// How deep a walk through the bytes of JSON is, from line to line, and where in an object or array it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Depth {
    brackets: usize,
    pub(crate) in_string: bool,
    /// The last byte that is neither white space nor in a text.
    last: u8,
    /// A bit for each of the innermost brackets, the last one the lowest: whether it is an object's.
    objects: u64,
}

impl Depth {
    /// Goes over one more line. The place after the bracket that closes the first one, if it is there.
    pub(crate) fn closes(&mut self, line: &[u8]) -> Option<usize> {
        let mut at = 0;
        while let Some(byte) = line.get(at) {
            match (self.in_string, byte) {
                (true, b'\\') => at += 1,
                (_, b'"') => self.in_string = !self.in_string,
                (false, b'{' | b'[') => {
                    self.brackets += 1;
                    self.objects = self.objects << 1 | u64::from(*byte == b'{');
                }
                (false, b'}' | b']') => {
                    self.brackets = self.brackets.saturating_sub(1);
                    self.objects >>= 1;
                    if self.brackets == 0 {
                        return Some(at + 1);
                    }
                }
                _ => {}
            }
            if !self.in_string && !byte.is_ascii_whitespace() {
                self.last = *byte;
            }
            at += 1;
        }
        None
    }

    /// Whether the next line may belong to the same object. A line that begins as an object, an array, a number or a name
    /// does not, where no value can stand; the others do, whatever is wrong with them.
    fn may_go_on_with(&self, line: &[u8]) -> bool {
        let first = line.iter().find(|byte| !byte.is_ascii_whitespace());
        if !first.is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'{' | b'[' | b'-')) {
            return true;
        }
        match self.last {
            b':' | b'[' => true,
            b',' => self.objects & 1 == 0,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What each of these lines is, one after the other.
    fn parts(layout: &mut Layout, lines: &[&str]) -> Vec<Part> {
        (1..).zip(lines).map(|(number, line)| layout.judge(number, 0, line.as_bytes())).collect()
    }

    #[test]
    fn an_object_over_lines_has_a_longest_length() {
        let lines = ["{", "\"a\":1234", "}"];
        let length = lines.join("\n").len();
        let parts_of = |most| parts(&mut Layout::of_at_most(most), &lines);
        assert!(
            matches!(&parts_of(length)[..], [Part::Nothing, Part::Nothing, Part::Record(block)] if block.last == 3)
        );
        assert_eq!(parts_of(length - 1), [Part::Nothing, Part::Nothing, Part::Faulty]);
        assert_eq!(parts_of(9)[..2], [Part::Nothing, Part::Faulty]);
    }

    #[test]
    fn what_does_not_go_on_with_an_object_leaves_it_as_it_is() {
        let mut layout = Layout::default();
        // A text that is not ended on its line, and something after the last bracket.
        let lines = ["{", "\"a\":\"x", "\"a\":[1", "]} x", "]"];
        assert_eq!(
            parts(&mut layout, &lines),
            [Part::Nothing, Part::Faulty, Part::Nothing, Part::Faulty, Part::Nothing]
        );
        let block = layout.take_block().unwrap();
        assert_eq!((block.first, block.last, &block.bytes[..]), (1, 5, &b"{\n\"a\":[1\n]"[..]));
        assert!(!layout.is_open() && layout.news().next().is_none());
    }

    #[test]
    fn only_what_is_an_object_is_told_as_one() {
        let mut layout = Layout::default();
        assert!(matches!(parts(&mut layout, &["{", "\"a\" 1", "}"])[2], Part::Record(_)));
        assert_eq!(layout.news().collect::<Vec<_>>(), []);
        assert!(matches!(parts(&mut layout, &["{", "\"a\": 1", "},"])[2], Part::Record(_)));
        assert_eq!(layout.news().collect::<Vec<_>>(), [(1, Deviation::OverLines(1, 3))]);
        // Once.
        parts(&mut layout, &["{", "\"a\": 1", "}"]);
        assert_eq!(layout.news().collect::<Vec<_>>(), []);
    }

    #[test]
    fn advice_goes_by_what_stands_after_the_object() {
        let comma = "a comma stands after the object: take it out, since the lines are no list";
        let comments = "JSON has no comments: take them out";
        let another = "another object follows: put it on a line of its own";
        let nothing = "each line is one JSON object, with nothing between the lines";
        for (after, expected) in [
            (",", comma),
            (" , ", comma),
            ("// first", comments),
            ("/* first */", comments),
            ("# first", comments),
            ("{\"a\":1}", another),
            (" {", another),
            (",{}", another),
            ("x", nothing),
            ("/", nothing),
        ] {
            assert_eq!(advice(after.as_bytes()), expected, "{after}");
        }
    }
}
