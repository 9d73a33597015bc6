//! Requests and answers of about 1 KB, a part of whose text is not ASCII.

/// How a text is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// As it is.
    Utf8,
    /// What is not ASCII as `\uXXXX`, as Python writes it.
    Escaped,
}

impl Style {
    /// Both.
    pub(crate) const ALL: [Self; 2] = [Self::Utf8, Self::Escaped];

    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Utf8 => "utf8",
            Self::Escaped => "escaped",
        }
    }

    fn text(self) -> String {
        let sentence = match self {
            Self::Utf8 => "größer 🙂 \\\"a\\\" words of a text.\\n",
            Self::Escaped => "gr\\u00f6\\u00dfer \\ud83d\\ude42 \\\"a\\\" words of a text.\\n",
        };
        sentence.repeat(20)
    }

    /// So many requests.
    pub(crate) fn requests(self, count: usize) -> String {
        let text = self.text();
        let request = |number| {
            format!(
                r#"{{"custom_id":"row-{number}","method":"POST","url":"/v1/chat/completions","body":{{"model":"m","messages":[{{"role":"user","content":"{text}"}}],"temperature":0.2}}}}"#
            )
        };
        (0..count).map(|number| request(number) + "\n").collect()
    }

    /// An answer to each of so many requests, in another order; `count` is no multiple of 7.
    pub(crate) fn answers(self, count: usize) -> String {
        let text = self.text();
        let answer = |number| {
            format!(
                r#"{{"id":"r","custom_id":"row-{number}","response":{{"status_code":200,"request_id":"q","body":{{"id":"c","object":"chat.completion","model":"m","choices":[{{"index":0,"message":{{"role":"assistant","content":"{text}"}},"finish_reason":"stop"}}],"usage":{{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}}}}},"error":null}}"#
            )
        };
        (0..count).map(|at| answer(at * 7 % count) + "\n").collect()
    }
}
