//! What is counted of a simulated run, wherever its process ended and at its end: every line, every batch, all that is paid.

use std::{fs, sync::PoisonError};

use serde_json::Value;

use super::{life::Play, nature::List, service, setup::Scenario};
use crate::run::{
    Report,
    folder::{Folder, Seen},
    state::Phase,
};

impl Play<'_> {
    /// What the log must not say, wherever a process ended: that a shard has a batch of other lines, or waits for one of a
    /// gateway that has ended.
    pub(super) fn check_log(&self) -> Result<(), String> {
        let Ok(Seen { state, .. }) = Folder::look(&self.folder) else { return Ok(()) };
        let gateway = state.opened.as_ref().and_then(|opened| opened.gateway.as_deref());
        let ended = gateway.is_some_and(|gateway| gateway == format!("gateway {}", self.process));
        let world = self.wire.world();
        for (number, shard) in &state.shards {
            let Ok(requests) = fs::read_to_string(self.folder.join(format!("shards/{number:04}/requests.jsonl")))
            else {
                continue;
            };
            let own = service::custom_ids(&requests);
            let surplus = shard.surplus.iter().map(|surplus| &surplus.batch);
            for id in shard.batches.iter().chain(surplus) {
                match world.services[0].lines_of(id.as_str()) {
                    Some(lines) if lines != own => return Err(format!("shard {number} has {id}, of {lines:?}")),
                    None if ended && shard.phase == Phase::Created => {
                        return Err(format!("shard {number} waits for {id} of a gateway that has ended"));
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// Whether every line has one result, and that is the one that was paid for.
    pub(super) fn count(&self, report: &Report) -> Result<(), String> {
        let text = fs::read_to_string(&report.results).map_err(|error| error.to_string())?;
        let results: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let ids: Vec<&str> = results.iter().filter_map(|result| result["custom_id"].as_str()).collect();
        let asked: Vec<String> = self.setup.requests().into_iter().map(|(id, _)| id).collect();
        if ids != asked {
            return Err(format!("the results are those of {ids:?}"));
        }
        let answers = self.wire.world().services[0].answers();
        for result in &results {
            let id = result["custom_id"].as_str().unwrap_or_default();
            let content = result["response"]["body"]["choices"][0]["message"]["content"].as_str();
            // One that equals another was not sent: that one's answer is its own.
            let sent = id.rsplit_once('=').map_or(id, |(_, sent)| sent);
            let paid = answers.get(sent).map(Vec::as_slice).unwrap_or_default();
            match content {
                // Of a gateway that has ended nobody knows what it answered.
                _ if self.setup.scenario == Scenario::Embedded => {}
                Some(content) if !paid.iter().any(|batch| batch == content) => {
                    return Err(format!("{id} has an answer of {content}, and was answered by {paid:?}"));
                }
                None if self.knows_of(paid) && !self.setup.nature.loses_lines => {
                    return Err(format!("{id} was answered by {paid:?}, and its result is {result}"));
                }
                _ => {}
            }
        }
        self.count_money(Some(report))
    }

    /// Whether the run must have what one of these batches has answered: it is in its log, or the list showed it, said
    /// whose it is, and was read to its end.
    fn knows_of(&self, batches: &[String]) -> bool {
        let known = Folder::look(&self.folder).map(|seen| seen.state.batches()).unwrap_or_default();
        batches.iter().any(|batch| known.iter().any(|known| known.as_str() == batch))
    }

    /// Whether nothing was paid twice that need not have been, and all that was is told.
    pub(super) fn count_money(&self, report: Option<&Report>) -> Result<(), String> {
        let world = self.wire.world();
        // What was in flight when a process ended, or whose answer was lost, is told.
        let sent_again = report.and_then(|report| report.synchronous).map_or(0, |lines| lines.sent_again);
        let asked_again = world.services[0].asked_again() as u64;
        if asked_again > sent_again && !self.setup.forgets() && self.setup.scenario != Scenario::Embedded {
            return Err(format!(
                "{asked_again} lines were sent again, and {sent_again} are told: {:?}",
                world.services[0].asked
            ));
        }
        let doubled = &world.services[0].doubled;
        // What was in halves when the folder was lost, and is whole now, is not known again.
        let cut_anew = self.setup.scenario == Scenario::Lost && world.found_too_big;
        if !doubled.is_empty() && self.setup.is_within() && !world.lied && !cut_anew {
            return Err(format!("paid twice: {doubled:?}"));
        }
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let known = Folder::look(&self.folder).map(|seen| seen.state.batches()).unwrap_or_default();
        let is_known = |id: &str| told.contains(id) || known.iter().any(|known| known.as_str() == id);
        let nature = &self.setup.nature;
        let shown = nature.metadata && matches!(nature.list, List::Whole | List::NoEnd);
        let forgotten = matches!(self.setup.scenario, Scenario::Lost | Scenario::Embedded);
        if shown
            && !forgotten
            && let Some(silent) = world.services[0].listed(world.list_read).find(|batch| !is_known(&batch.id))
        {
            return Err(format!("nobody was told of {}", silent.id));
        }
        if !world.services[1].batches.iter().all(|batch| batch.lines.is_empty()) {
            return Err("lines of one account were sold by another".to_owned());
        }
        Ok(())
    }
}
