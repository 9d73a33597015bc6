//! What a person says of shards: all of it is held against the run and the service before any of it is written down.

use std::collections::BTreeMap;

use super::{
    Run, RunError, adopt,
    builder::Word,
    event::Event,
    folder::Folder,
    state::{Phase, Shard, State},
};
use crate::{BatchId, deadline::Deadline};

/// What is to be written down of each shard.
type Words<'a> = BTreeMap<u32, &'a Word>;

impl Run {
    /// The words of a person as events, for a run whose state is this by then.
    ///
    /// # Errors
    /// One that [`is_place`](RunError::is_place) when they contradict each other, the run, or what the service says of a
    /// batch; that of the service when it cannot be asked.
    pub(super) async fn check_words(
        &self,
        folder: &Folder,
        state: &State,
        deadline: Deadline,
    ) -> Result<Vec<Event>, RunError> {
        let refuse = |why| RunError::place(folder.path(), why);
        let words = agreeing(&self.words).map_err(refuse)?;
        let mut events = Vec::new();
        for (number, word) in words {
            let shard = state.shards.get(&number).ok_or_else(|| refuse(format!("the run has no shard {number}")))?;
            may_be_said(shard, word).map_err(refuse)?;
            match word {
                Word::NoBatch(_) => {
                    events.push(Event::NoBatch { shard: number, why: "a person said so".to_owned() });
                }
                // It was said before.
                Word::Adopt(_, id) if shard.batch() == Some(id) => {}
                Word::Adopt(_, id) => {
                    not_anothers(state, number, id).map_err(refuse)?;
                    self.check_batch(folder, shard, state, id, deadline).await?;
                    events.push(Event::Created { shard: number, batch: id.clone(), adopted: true, said: true });
                }
            }
        }
        Ok(events)
    }

    /// Refuses a batch that the service does not know, or that is one of other lines.
    async fn check_batch(
        &self,
        folder: &Folder,
        shard: &Shard,
        state: &State,
        id: &BatchId,
        deadline: Deadline,
    ) -> Result<(), RunError> {
        let number = shard.plan.number;
        let refuse = |why: String| Err(RunError::place(folder.path(), why));
        match deadline.bound(self.client.batches().get(id)).await {
            Ok(batch) => match adopt::misfit(&batch, shard, state) {
                Some(why) => refuse(format!("batch {id} cannot be that of shard {number}: it {why}")),
                None => Ok(()),
            },
            Err(error) if error.is_not_found() => {
                refuse(format!("shard {number} was not given a batch: the service does not know {id} ({error})"))
            }
            Err(error) => Err(RunError::refused(error).at(folder.path()).of(&folder.state)),
        }
    }
}

/// The words of each shard, once. Two that differ are refused, whichever came first.
fn agreeing(words: &[Word]) -> Result<Words<'_>, String> {
    let mut of: Words<'_> = BTreeMap::new();
    let mut batches: BTreeMap<&BatchId, u32> = BTreeMap::new();
    for word in words {
        let (Word::NoBatch(number) | Word::Adopt(number, _)) = word;
        match (of.insert(*number, word), word) {
            (None, _) | (Some(Word::NoBatch(_)), Word::NoBatch(_)) => {}
            (Some(Word::Adopt(_, one)), Word::Adopt(_, other)) if one == other => {}
            (Some(Word::Adopt(_, one)), Word::Adopt(_, other)) => {
                return Err(format!("shard {number} is said to have two batches, {one} and {other}: name one"));
            }
            (Some(Word::Adopt(_, id)), _) | (Some(Word::NoBatch(_)), Word::Adopt(_, id)) => {
                return Err(format!("shard {number} is said to have batch {id} and to have none: say one of both"));
            }
        }
        if let Word::Adopt(_, id) = word
            && batches.insert(id, *number).is_some_and(|other| other != *number)
        {
            return Err(format!("batch {id} is said to be that of two shards"));
        }
    }
    Ok(of)
}

/// Whether anything can be said of a shard: not when it is known what became of its create.
fn may_be_said(shard: &Shard, word: &Word) -> Result<(), String> {
    let number = shard.plan.number;
    match shard.phase {
        Phase::Creating => Ok(()),
        // No create was sent: the batch is that of a run whose folder is lost.
        Phase::Planned | Phase::Uploaded if matches!(word, Word::Adopt(..)) => Ok(()),
        // Its batch is not known to the service any more, or cannot be fetched; or a person has named it.
        _ if shard.held.is_some() => Ok(()),
        Phase::Created | Phase::Over if shard.said => Ok(()),
        _ => match shard.batch() {
            Some(id) => Err(format!("shard {number} has its batch, {id}: there is nothing to be said of it")),
            None => Err(format!("shard {number} has no create whose answer was lost")),
        },
    }
}

/// Refuses a batch of which the log knows that it is another's. One that was this shard's before may be so again.
fn not_anothers(state: &State, number: u32, id: &BatchId) -> Result<(), String> {
    let is_of = |shard: &&Shard| shard.batches.contains(id) && shard.plan.number != number;
    if let Some(other) = state.shards.values().find(is_of) {
        return Err(format!("batch {id} is that of shard {} already", other.plan.number));
    }
    let surplus = |shard: &&Shard| shard.surplus.iter().any(|surplus| surplus.batch == *id);
    match state.shards.values().find(surplus) {
        Some(shard) => Err(format!("batch {id} is a second one of shard {}, and was stopped", shard.plan.number)),
        None => Ok(()),
    }
}
