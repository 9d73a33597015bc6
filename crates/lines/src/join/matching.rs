//! Brings answers and request lines together by the hashes of their custom_ids, and decides which of several answers is
//! taken.

use std::io;

use super::answers::{Answers, Entry};
use super::facts::{FACTS, Facts, Found, Worth};
use super::requests::{CustomIds, Requests};
use super::{Bounds, JoinError};
use crate::sorter::{Ahead, Sorted, Sorter, TOGETHER};
use crate::spent::{Spending, Spent, SpentOn};

/// The number of a request line, what there is for it, and what is kept of that.
type Entered = [u64; 2 + FACTS];

/// What there is for a request line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    /// Another request line before it has the same custom_id.
    Before,
    /// No answer.
    Nothing,
    /// An answer.
    Answer,
    /// Several answers, one of which may be that to another request.
    Doubtful,
    /// A line that cannot be read.
    Unreadable,
}

/// An answer that is not taken, since another one to the same request is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Duplicate {
    /// How many answers were read before it was seen.
    pub(super) at: u64,
    pub(super) loser: Found,
    /// The file and the line of the other.
    pub(super) winner: (u32, u64),
}

/// Request lines with what there is for each, and the answers that are left over.
pub(super) struct Matched {
    requests: Asked,
    /// What is kept of the answers, if all of it is held.
    entries: Vec<Entry>,
    pub(super) custom_ids: CustomIds,
    pub(super) refused: Option<JoinError>,
    /// In the order in which they were seen.
    duplicates: Sorted<7>,
    /// Answers that no request line asked for, in the order of the files.
    foreign: Sorted<4>,
    pub(super) foreign_count: u64,
    /// The tokens of answers that no result is written of.
    pub(super) extra: Vec<Spent>,
}

impl Matched {
    /// The next request line: its number, what there is for it, and which answer that is.
    pub(super) fn request(&mut self) -> io::Result<Option<(u64, Taken, Facts)>> {
        let Some(entered) = self.requests.next(&self.entries)? else { return Ok(None) };
        let taken = match entered[1] {
            0 => Taken::Before,
            1 => Taken::Nothing,
            2 => Taken::Answer,
            3 => Taken::Doubtful,
            _ => Taken::Unreadable,
        };
        Ok(Some((entered[0], taken, Facts::of(&facts(&entered)))))
    }

    pub(super) fn duplicate(&mut self) -> io::Result<Option<Duplicate>> {
        let Some([at, file, line, offset, length, winner, winner_line]) = self.duplicates.next()? else {
            return Ok(None);
        };
        let loser = Found { file: file as u32, line, offset, length };
        Ok(Some(Duplicate { at, loser, winner: (winner as u32, winner_line) }))
    }

    /// The next answer that nobody asked for.
    pub(super) fn foreign(&mut self) -> io::Result<Option<Found>> {
        let Some([file, offset, line, length]) = self.foreign.next()? else { return Ok(None) };
        Ok(Some(Found { file: file as u32, line, offset, length }))
    }
}

/// Request lines in their order, with what there is for each.
enum Asked {
    /// With the place of the answer among those that are held, and with the next ones looked up together.
    Held(Sorted<3>, Ahead<Entered>),
    /// With what is kept of the answer.
    Copied(Sorted<{ 2 + FACTS }>),
}

impl Asked {
    fn next(&mut self, entries: &[Entry]) -> io::Result<Option<Entered>> {
        let (lines, ahead) = match self {
            Self::Copied(sorted) => return sorted.next(),
            Self::Held(lines, ahead) => (lines, ahead),
        };
        ahead.next(|found| {
            while found.len() < TOGETHER
                && let Some([line, taken, at]) = lines.next()?
            {
                let mut entered: Entered = [0; _];
                (entered[0], entered[1]) = (line, taken);
                if let Some(entry) = entries.get(at as usize) {
                    entered[2..].copy_from_slice(&facts(entry));
                }
                found.push(entered);
            }
            Ok(())
        })
    }
}

/// The same while they are matched, in the order of their hashes.
enum Asking {
    Held(Sorter<3>),
    Copied(Sorter<{ 2 + FACTS }>),
}

/// No answer is held for a request line.
const NOWHERE: u64 = u64::MAX;

/// The facts at the end of an entry.
fn facts<const N: usize>(entry: &[u64; N]) -> [u64; FACTS] {
    entry.last_chunk().copied().unwrap_or([0; FACTS])
}

/// Brings answers and request lines together. `answers` keeps its files.
pub(super) fn matched(answers: &mut Answers, requests: Requests, bounds: &Bounds) -> io::Result<Matched> {
    let entries = std::mem::replace(&mut answers.entries, Sorter::new(bounds.spill(0)));
    let (mut entries, mut asked) = (entries.finish()?, requests.entries.finish()?);
    let mut matching = Matching {
        answers,
        asking: match &entries {
            Sorted::Held(_) => Asking::Held(Sorter::new(bounds.spill(bounds.requests))),
            Sorted::Merged(_) => Asking::Copied(Sorter::new(bounds.spill(bounds.answers))),
        },
        duplicates: Sorter::new(bounds.spill(bounds.requests)),
        foreign: Sorter::new(bounds.spill(bounds.requests)),
        foreign_count: 0,
        extra: Spending::apart(bounds.apart.clone()),
    };
    let (mut entry, mut request) = (next(&mut entries)?, asked.next()?);
    loop {
        let hash = match (&entry, &request) {
            (Some((_, [one, other, ..])), Some([this, that, _])) => [*one, *other].min([*this, *that]),
            (Some((_, [one, other, ..])), None) | (None, Some([one, other, _])) => [*one, *other],
            (None, None) => break,
        };
        let mut best: Option<Best> = None;
        while let Some((at, next_one)) = entry.filter(|(_, entry)| entry[..2] == hash) {
            match &mut best {
                Some(best) => matching.compete(best, (at, next_one))?,
                None => best = Some(Best { at, entry: next_one, worth: Worth::of(&facts(&next_one)), twice: false }),
            }
            entry = next(&mut entries)?;
        }
        let mut is_asked = false;
        while let Some([_, _, line]) = request.filter(|request| request[..2] == hash) {
            matching.enter(line, best.as_ref().filter(|_| !is_asked), is_asked)?;
            is_asked = true;
            request = asked.next()?;
        }
        if let Some(best) = best.filter(|best| !is_asked && best.worth != Worth::Unreadable) {
            matching.leave(&best)?;
        }
    }
    drop(asked);
    let entries = match entries {
        Sorted::Held(held) => held.entries,
        Sorted::Merged(_) => Vec::new(),
    };
    Ok(Matched {
        requests: match matching.asking {
            Asking::Held(lines) => Asked::Held(lines.finish()?, Ahead::new()),
            Asking::Copied(entered) => Asked::Copied(entered.finish()?),
        },
        entries,
        custom_ids: requests.custom_ids.finish()?,
        refused: requests.refused,
        duplicates: matching.duplicates.finish()?,
        foreign: matching.foreign.finish()?,
        foreign_count: matching.foreign_count,
        extra: matching.extra.finish(),
    })
}

/// The next entry, and where it stands among those that are held.
fn next(entries: &mut Sorted<{ 3 + FACTS }>) -> io::Result<Option<(u64, Entry)>> {
    match entries {
        Sorted::Held(held) => Ok(held.next().map(|(at, entry)| (at.into(), entry))),
        Sorted::Merged(merged) => Ok(merged.next().transpose()?.map(|entry| (NOWHERE, entry))),
    }
}

/// The best answer to a custom_id so far.
struct Best {
    at: u64,
    entry: Entry,
    worth: Worth,
    /// Whether several whole lines answer it.
    twice: bool,
}

struct Matching<'a> {
    answers: &'a Answers,
    asking: Asking,
    duplicates: Sorter<7>,
    foreign: Sorter<4>,
    foreign_count: u64,
    extra: Spending,
}

impl Matching<'_> {
    /// What an answer has used that no result is written of.
    fn extra(&mut self, Facts { usage, model, .. }: Facts) {
        if let Some(usage) = usage {
            let model = model.and_then(|model| self.answers.models.get(usize::from(model)));
            self.extra.add(model.map(String::as_str), SpentOn::Extra, usage);
        }
    }

    /// One more answer to the same custom_id, which stands behind the others.
    fn compete(&mut self, best: &mut Best, (mut place, entry): (u64, Entry)) -> io::Result<()> {
        let at = entry[2];
        let worth = Worth::of(&facts(&entry));
        let (mut loser, mut lost) = (entry, worth);
        if worth > best.worth {
            std::mem::swap(&mut loser, &mut best.entry);
            std::mem::swap(&mut place, &mut best.at);
            std::mem::swap(&mut lost, &mut best.worth);
        }
        // An unreadable line is among the anomalies already.
        if lost == Worth::Unreadable {
            return Ok(());
        }
        best.twice = true;
        self.extra(Facts::of(&facts(&loser)));
        let loser = Found::of(&facts(&loser));
        let winner = Found::of(&facts(&best.entry));
        let Found { file, line, offset, length } = loser;
        self.duplicates.push([at, file.into(), line, offset, length, winner.file.into(), winner.line])
    }

    /// A request line, and the best answer to it.
    fn enter(&mut self, line: u64, best: Option<&Best>, before: bool) -> io::Result<()> {
        let taken = match best {
            _ if before => Taken::Before,
            None => Taken::Nothing,
            Some(best) => {
                let is_doubtful = || {
                    let file = Found::of(&facts(&best.entry)).file;
                    self.answers.files.get(file).is_some_and(|file| file.is_doubtful)
                };
                match best.worth {
                    Worth::Unreadable => Taken::Unreadable,
                    _ if best.twice && is_doubtful() => Taken::Doubtful,
                    Worth::Whole | Worth::Short | Worth::Succeeded => Taken::Answer,
                }
            }
        };
        let best = best.filter(|_| !before);
        if let Some(best) = best.filter(|_| taken == Taken::Doubtful) {
            self.extra(Facts::of(&facts(&best.entry)));
        }
        match &mut self.asking {
            Asking::Held(lines) => lines.push([line, taken as u64, best.map_or(NOWHERE, |best| best.at)]),
            Asking::Copied(sorter) => {
                let mut entered: Entered = [0; _];
                (entered[0], entered[1]) = (line, taken as u64);
                if let Some(best) = best {
                    entered[2..].copy_from_slice(&facts(&best.entry));
                }
                sorter.push(entered)
            }
        }
    }

    /// An answer that nobody asked for.
    fn leave(&mut self, best: &Best) -> io::Result<()> {
        let Found { file, line, offset, length } = Found::of(&facts(&best.entry));
        self.foreign_count += 1;
        self.extra(Facts::of(&facts(&best.entry)));
        self.foreign.push([file.into(), offset, line, length])
    }
}
