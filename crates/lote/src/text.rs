//! What others wrote, made safe to print.

use std::borrow::Cow;

/// The text with everything visible that would steer a terminal, forge a line or hide: control characters, ends of
/// lines, controls of the writing direction, and characters without width become escapes such as `\n` and `\u{202e}`.
///
/// What a service says (a message, a status, a name) goes to people through here. Errors of this crate do so by
/// themselves where they are displayed.
///
/// ```
/// assert_eq!(lote::text::visible("all is well"), "all is well");
/// assert_eq!(lote::text::visible("\u{1b}[2Jbatch_1\n9 of 9 succeeded"), "\\u{1b}[2Jbatch_1\\n9 of 9 succeeded");
/// ```
pub fn visible(text: &str) -> Cow<'_, str> {
    if !text.contains(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_hidden(c) { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    Cow::Owned(shown)
}

/// The text, cut after so many characters.
pub(crate) fn shortened(text: &str, most: usize) -> Cow<'_, str> {
    match text.char_indices().nth(most) {
        Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
        None => Cow::Borrowed(text),
    }
}

/// Whether a character is none that people see where it stands: a control character, the end of a line, a control of
/// the writing direction, one without width, a private or unassigned one. Blanks of any width are seen.
pub fn is_hidden(c: char) -> bool {
    match c {
        ' '..='~' => false,
        '\0'..='\u{9f}' | '\u{2028}' | '\u{2029}' => true,
        // Letters and marks that show nothing: fillers, joiners, variation selectors.
        '\u{34f}'
        | '\u{115f}'
        | '\u{1160}'
        | '\u{17b4}'
        | '\u{17b5}'
        | '\u{180b}'..='\u{180f}'
        | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}'
        | '\u{ffa0}'
        | '\u{e0100}'..='\u{e01ef}' => true,
        _ => !c.is_whitespace() && !is_printable(c),
    }
}

/// What the standard library's tables say, which show a character as an escape when it is not printable. Behind a
/// letter, since a mark at the beginning is escaped too.
fn is_printable(c: char) -> bool {
    let mut behind_a_letter = [b'a'; 5];
    let end = 1 + c.encode_utf8(&mut behind_a_letter[1..]).len();
    std::str::from_utf8(&behind_a_letter[..end]).is_ok_and(|text| text.escape_debug().nth(1) != Some('\\'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write_stays() {
        for text in [
            "",
            "gpt-4.1 \"quoted\" \\ 'a' ~",
            "é naïve Ελληνικά עברית العربية हिन्दी 한국어 日本語\u{3000}中文",
            "1\u{a0}000 €",
            "cafe\u{301}",
            "😀 → ✓",
            "\u{fffd}",
        ] {
            assert_eq!(visible(text), text);
        }
    }

    #[test]
    fn what_hides_or_steers_is_seen() {
        for (text, shown) in [
            ("a\nb\r\tc", "a\\nb\\r\\tc"),
            ("\u{1b}]0;x\u{7}", "\\u{1b}]0;x\\u{7}"),
            ("\u{9b}2J\u{7f}", "\\u{9b}2J\\u{7f}"),
            ("a\u{2028}b\u{2029}c\u{85}", "a\\u{2028}b\\u{2029}c\\u{85}"),
        ] {
            assert_eq!(visible(text), shown);
        }
        // Writing direction, no width, fillers, tags, selectors, private use, no character at all.
        for c in "\u{61c}\u{200e}\u{200f}\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2066}\u{2067}\u{2068}\u{2069}\
                  \u{ad}\u{34f}\u{200b}\u{200c}\u{200d}\u{2060}\u{2061}\u{2064}\u{206a}\u{206f}\u{feff}\u{180e}\
                  \u{115f}\u{1160}\u{3164}\u{ffa0}\u{fff9}\u{fffb}\u{fe00}\u{fe0f}\u{1d173}\u{e0001}\u{e0020}\
                  \u{e007f}\u{e0100}\u{e01ef}\u{e000}\u{10ffff}\u{fdd0}"
            .chars()
        {
            assert!(is_hidden(c), "{}", c.escape_unicode());
            assert!(visible(&format!("a{c}b")).is_ascii(), "{}", c.escape_unicode());
        }
        for c in (0..=0xa0).filter_map(char::from_u32) {
            assert_eq!(is_hidden(c), c.is_control(), "{}", c.escape_unicode());
        }
    }
}
