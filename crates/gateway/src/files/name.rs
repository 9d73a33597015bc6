//! What an uploaded file is called: the name in the head of its part. It is shown, and no path is made of it.

use axum::http::header;
use multer::Field;
use percent_encoding::percent_decode_str;

/// The name of the file in a part. `filename*` wins over `filename`, as RFC 6266 has it: RFC 7578 wants it in no form,
/// and clients send it alone all the same when a name is not ASCII.
pub(super) fn of(part: &Field<'_>) -> Option<String> {
    let disposition = part.headers().get(header::CONTENT_DISPOSITION)?;
    let extended = extended(&String::from_utf8_lossy(disposition.as_bytes()));
    extended.or_else(|| part.file_name().map(str::to_owned))
}

/// The decoded value of `filename*` (RFC 8187), if it can be.
fn extended(disposition: &str) -> Option<String> {
    let (mut quoted, mut escaped) = (false, false);
    let mut parameters = disposition.split(|c| {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ => return c == ';' && !quoted,
        }
        false
    });
    let value = parameters.find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("filename*").then(|| value.trim().trim_matches('"'))
    })?;
    let (charset, rest) = value.split_once('\'')?;
    let (_language, text) = rest.split_once('\'')?;
    let bytes = percent_decode_str(text);
    match charset.to_ascii_lowercase().as_str() {
        "utf-8" => bytes.decode_utf8().ok().map(Into::into),
        "iso-8859-1" => Some(bytes.map(char::from).collect()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extended_names() {
        for (disposition, expected) in [
            (r"form-data; name=file; filename*=UTF-8''na%C3%AFve%20r.jsonl", Some("naïve r.jsonl")),
            (r#"form-data; filename="a.txt"; FileName* = utf-8'en'b%3B.txt"#, Some("b;.txt")),
            (r"form-data; filename*=iso-8859-1''%E9t%E9", Some("été")),
            (r#"form-data; filename*="UTF-8''quoted""#, Some("quoted")),
            (r#"form-data; filename="; filename*=UTF-8''x""#, None),
            (r#"form-data; filename="\"; filename*=UTF-8''x""#, None),
            (r"form-data; filename*=UTF-8''%FF", None),
            (r"form-data; filename*=koi8-r''x", None),
            (r"form-data; filename*=x", None),
            (r"form-data; filename=plain", None),
            ("", None),
        ] {
            assert_eq!(extended(disposition).as_deref(), expected, "{disposition}");
        }
    }
}
