//! The sum of what several joins wrote, and of lines taken from their results.

use crate::anomaly::{Anomaly, MAX_ANOMALIES};
use crate::answer::Answer;
use crate::join::Joined;
use crate::tally::Tally;
use crate::usage::Usage;

/// Counts over the results of several joins, such as those of the batches of one run.
#[derive(Debug, Clone, Default)]
pub struct Sum {
    tally: Tally,
    lines: u64,
    answers: u64,
    damaged_files: u64,
    anomalies: Vec<Anomaly>,
    anomalies_omitted: u64,
}

impl Sum {
    /// Nothing yet. Tokens of requests with more input tokens than each of these are counted apart.
    #[must_use]
    pub fn apart(at: Vec<u64>) -> Self {
        Self { tally: Tally::apart(at), ..Self::default() }
    }

    /// Adds all that a join wrote.
    pub fn add(&mut self, joined: &Joined) {
        self.lines += joined.lines;
        self.tally.add_joined(joined);
        self.add_found(joined);
    }

    /// Adds what was odd about the answers of a join, whose lines are added one by one.
    pub fn add_found(&mut self, joined: &Joined) {
        self.answers += joined.answers;
        self.damaged_files += joined.damaged_files;
        let room = MAX_ANOMALIES.saturating_sub(self.anomalies.len());
        self.anomalies.extend(joined.anomalies.iter().take(room).cloned());
        let left_out = joined.anomalies.len().saturating_sub(room) as u64;
        self.anomalies_omitted += joined.anomalies_omitted + left_out;
    }

    /// Adds one result line.
    pub fn add_line(&mut self, line: &Answer<'_>) {
        self.lines += 1;
        self.tally.add(line);
    }

    /// Adds a result line that repeats another, as of a request that was sent once for several: its tokens are not its own.
    pub fn add_copy(&mut self, line: &Answer<'_>) {
        let usage = self.tally.usage;
        self.add_line(line);
        self.tally.usage = usage;
    }

    /// Adds tokens that lines have used, beside those of the lines that are added.
    pub fn add_usage(&mut self, usage: Usage) {
        self.tally.usage += usage;
    }

    /// The sum.
    #[must_use]
    pub fn finish(self) -> Joined {
        let Self { tally, lines, answers, damaged_files, anomalies, anomalies_omitted } = self;
        Joined { damaged_files, ..Joined::of(tally, lines, answers, anomalies, anomalies_omitted) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::anomaly::AnomalyCode;

    /// What a join found, with anomalies whose lines are counted from this one on.
    fn found(first: u64, anomalies: usize, omitted: u64) -> Joined {
        let anomaly = |line| Anomaly::new("f", line, AnomalyCode::Bom, "m");
        let anomalies: Vec<_> = (first..).take(anomalies).map(anomaly).collect();
        Joined { damaged_files: first, ..Joined::of(Tally::default(), 7, 2 * first, anomalies, omitted) }
    }

    #[test]
    fn what_was_found_is_added_and_stays_bounded() {
        let added = |parts: &[Joined], whole: bool| {
            let mut sum = Sum::default();
            for part in parts {
                if whole { sum.add(part) } else { sum.add_found(part) }
            }
            sum.finish()
        };
        for whole in [true, false] {
            let sum = added(&[found(1, 600, 3), found(1_001, 600, 4), found(2_001, 5, 0)], whole);
            assert_eq!((sum.lines, sum.answers, sum.damaged_files), (if whole { 21 } else { 0 }, 6_006, 3_003));
            assert_eq!((sum.anomalies.len(), sum.anomalies_omitted), (MAX_ANOMALIES, 7 + 200 + 5));
            assert_eq!((sum.anomalies[599].line, sum.anomalies[600].line), (600, 1_001));
        }
        let sum = added(&[found(1, 2, 1), found(3, 3, 1)], false);
        assert_eq!((sum.anomalies.len(), sum.anomalies_omitted), (5, 2));
    }

    #[test]
    fn a_copy_is_a_line_whose_tokens_are_not_its_own() {
        let line = br#"{"custom_id":"a","response":{"status_code":200,"body":{"model":"m","text":"x","usage":{"total_tokens":5}}}}"#;
        let failed = br#"{"custom_id":"b","response":{"status_code":429,"body":{"usage":{"total_tokens":7}}}}"#;
        let mut sum = Sum::default();
        for line in [&line[..], failed] {
            let answer = Answer::parse(line).unwrap();
            sum.add_line(&answer);
            sum.add_copy(&answer);
        }
        let mut more = sum.clone();
        let sum = sum.finish();
        assert_eq!((sum.lines, sum.succeeded, sum.failed, sum.models["m"], sum.errors[0].count), (4, 2, 2, 2, 2));
        assert_eq!(sum.usage.total_tokens, 12);
        more.add_usage(sum.usage);
        assert_eq!(more.finish(), Joined { usage: Usage { total_tokens: 24, ..sum.usage }, ..sum });
    }

    #[test]
    fn the_sum_of_parts_is_the_whole() {
        let body = |more: &str| format!(r#""response":{{"status_code":200,"body":{{"model":"m",{more}}}}}"#);
        let choice = |reason: &str, message: &str| {
            body(&format!(r#""choices":[{{"finish_reason":"{reason}","message":{{{message}}}}}]"#))
        };
        let mut missing = Vec::new();
        crate::write_missing("d", &mut missing).unwrap();
        let mut unreadable = Vec::new();
        crate::answer::write_unreadable("d", "f, line 1", "x", &mut unreadable).unwrap();
        let mut lines: Vec<String> = [
            body(r#""text":"x","usage":{"prompt_tokens":2,"completion_tokens":3,"total_tokens":5}"#),
            choice("length", r#""content":"x""#),
            choice("content_filter", r#""content":"x""#),
            choice("stop", r#""refusal":"no""#),
            r#""response":{"status_code":500,"body":{"error":{"message":"no"}}}"#.to_owned(),
            r#""error":{"code":"batch_expired","message":"late"}"#.to_owned(),
            r#""error":{"code":"batch_cancelled","message":"late"}"#.to_owned(),
        ]
        .map(|fields| format!(r#"{{"custom_id":"a",{fields}}}"#))
        .to_vec();
        lines.extend([missing, unreadable].map(|line| String::from_utf8(line.trim_ascii_end().to_vec()).unwrap()));
        let mut whole = Sum::default();
        let (mut first, mut second) = (Sum::default(), Sum::default());
        // Each of them is in both parts.
        for line in &lines {
            let answer = Answer::parse(line.as_bytes()).unwrap();
            first.add_line(&answer);
            second.add_line(&answer);
            whole.add_line(&answer);
            whole.add_line(&answer);
        }
        let mut sum = Sum::default();
        sum.add(&first.finish());
        sum.add(&second.finish());
        let (sum, whole) = (sum.finish(), whole.finish());
        assert_eq!(sum, whole);
        assert_eq!((sum.lines, sum.succeeded, sum.failed, sum.expired, sum.cancelled), (18, 8, 2, 2, 2));
        assert_eq!((sum.missing, sum.unreadable), (2, 2));
        assert_eq!((sum.cut_off, sum.filtered, sum.refused), (2, 2, 2));
        assert_eq!((sum.usage.total_tokens, sum.models["m"]), (10, 8));
        assert!(sum.errors.len() == 5 && sum.errors.iter().all(|error| error.count == 2), "{:?}", sum.errors);
    }
}
