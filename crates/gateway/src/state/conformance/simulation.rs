//! Workers that claim, answer, give back, leave and die in any order, under seeds. Whatever happens, a line that is answered
//! is never given out again, and every batch comes to its end with exactly the answers that were kept.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::contract::Status;
use crate::state::conformance::bench::{Bench, ONE, cut, end, file, is_kept, new_batch, results, segment};
use crate::state::{Claim, Created, Fate, NewBatch, Segment, State, Work, Worker};

super::checks!(every_line_is_answered_once);

/// So many steps of each of so many seeds.
const STEPS: usize = 150;
const SEEDS: u64 = 4;

const MAX_CONCURRENCY: usize = 5;

struct Chance(u64);

impl Chance {
    /// A number below this one.
    fn below(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % most
    }
}

/// A slice in the hands of a worker, and how far that is.
struct Holding {
    me: Worker,
    claim: Claim,
    answered: Vec<bool>,
    sent: u32,
    segments: u32,
    last: Option<Segment>,
}

#[derive(Default)]
struct World {
    batches: usize,
    me: Option<Worker>,
    holdings: Vec<Holding>,
    /// Claims that are no longer held.
    stale: Vec<(Worker, Claim)>,
    /// Of each batch the result lines that were kept.
    kept: BTreeMap<String, BTreeSet<String>>,
    ended: usize,
}

async fn every_line_is_answered_once(mut bench: Bench) {
    let mut state = bench.open().await;
    if !state.is_durable() {
        return;
    }
    file(&*state, "input", "line\n").await;
    let mut world = World::default();
    for seed in 0..SEEDS {
        let mut chance = Chance(seed);
        for _ in 0..STEPS {
            match chance.below(60) {
                0 => state = world.kill(&mut bench, state).await,
                1..5 => world.create(&*state, &mut chance).await,
                5 => bench.pass(Duration::from_secs(1)).await,
                6 => world.cancel(&*state, &mut chance).await,
                7 => state.sweep(&world.worker(&*state).await).await.unwrap(),
                8 => world.leave(&*state).await,
                9..12 => world.give_back(&*state, &mut chance).await,
                12..15 => world.wake(&*state, &mut chance).await,
                15..30 => drop(world.claim(&*state, &mut chance).await),
                _ => world.answer(&*state, &mut chance).await,
            }
        }
    }
    // In the end everything is answered, or ended.
    let mut chance = Chance(SEEDS);
    while world.ended < world.batches {
        while world.claim(&*state, &mut chance).await {}
        assert!(
            !world.holdings.is_empty() || world.ended == world.batches,
            "nobody holds anything, and not all is over"
        );
        while !world.holdings.is_empty() {
            world.answer(&*state, &mut chance).await;
        }
    }
    let me = world.worker(&*state).await;
    assert!(state.claim(&me, 9, None).await.unwrap().is_none());
    assert!(state.census().await.unwrap().waiting.values().all(|lines| *lines == 0));
}

impl World {
    async fn worker(&mut self, state: &dyn State) -> Worker {
        if self.me.is_none() {
            self.me = Some(state.join().await.unwrap());
        }
        self.me.clone().unwrap()
    }

    async fn create(&mut self, state: &dyn State, chance: &mut Chance) {
        let id = format!("b{}", self.batches);
        let max_concurrency = 1 + chance.below(MAX_CONCURRENCY);
        let made = state.create_batch(&NewBatch { max_concurrency, ..new_batch(&id) }).await.unwrap();
        assert!(matches!(made, Created::Made(_)));
        self.batches += 1;
        self.kept.insert(id, BTreeSet::new());
    }

    async fn kill(&mut self, bench: &mut Bench, state: Arc<dyn State>) -> Arc<dyn State> {
        self.me = None;
        self.stale.extend(self.holdings.drain(..).map(|holding| (holding.me, holding.claim)));
        bench.killed(state).await
    }

    async fn leave(&mut self, state: &dyn State) {
        let me = self.worker(state).await;
        state.leave(&me).await.unwrap();
        self.me = None;
        self.stale.extend(self.holdings.drain(..).map(|holding| (holding.me, holding.claim)));
    }

    async fn cancel(&mut self, state: &dyn State, chance: &mut Chance) {
        if self.batches > 0 {
            let id = format!("b{}", chance.below(self.batches));
            assert!(state.cancel(ONE, &id, false).await.unwrap().is_some());
        }
    }

    async fn give_back(&mut self, state: &dyn State, chance: &mut Chance) {
        if !self.holdings.is_empty() {
            let holding = self.holdings.swap_remove(chance.below(self.holdings.len()));
            let place = (holding.claim.slice.number, holding.claim.epoch);
            state.give_back(&holding.me, &holding.claim.held, Some(place)).await.unwrap();
            self.stale.push((holding.me, holding.claim));
        }
    }

    /// Somebody who no longer holds a slice believes that it does.
    async fn wake(&mut self, state: &dyn State, chance: &mut Chance) {
        if !self.stale.is_empty() {
            let (me, claim) = &self.stale[chance.below(self.stale.len())];
            let late = segment(claim, 1_000, &[0], true);
            assert!(matches!(state.record(me, &[late]).await.unwrap()[..], [Fate::Fenced]));
        }
    }

    /// Whether there was anything to do.
    async fn claim(&mut self, state: &dyn State, chance: &mut Chance) -> bool {
        let me = self.worker(state).await;
        let slots = u32::try_from(1 + chance.below(4)).unwrap();
        match state.claim(&me, slots, None).await.unwrap() {
            None => return false,
            Some(Work::Validate(held)) => {
                if chance.below(4) == 0 {
                    state.give_back(&me, &held, None).await.unwrap();
                } else {
                    let lines: Vec<u32> = (0..=chance.below(3)).map(|n| u32::try_from(n * 3 + 1).unwrap()).collect();
                    state.validated(&me, &held, &cut(&lines), None).await.unwrap().unwrap();
                }
            }
            Some(Work::Execute(claim)) => self.take(me, *claim),
            Some(Work::Finish(held)) => {
                let (output, error) = results(state, &held).await;
                let written: Vec<String> = output.lines().chain(error.lines()).map(str::to_owned).collect();
                let kept = &self.kept[&held.batch.id];
                assert_eq!(written.len(), kept.len(), "a line is in the results twice, or not at all");
                assert!(written.iter().all(|line| kept.contains(line)));
                assert_eq!(held.batch.counts.completed + held.batch.counts.failed, kept.len() as u64);
                let status =
                    if held.batch.status == Status::Finalizing { Status::Completed } else { Status::Cancelled };
                assert!(status == Status::Cancelled || held.batch.counts.total == kept.len() as u64);
                let end = end(state, &held, status, (&output, &error)).await;
                assert_eq!(state.finish(&me, &held, end).await.unwrap().unwrap().status, status);
                self.ended += 1;
            }
        }
        true
    }

    fn take(&mut self, me: Worker, claim: Claim) {
        let id = &claim.held.batch.id;
        let others = self.holdings.iter().filter(|holding| holding.claim.held.batch.id == *id);
        let slots: u32 = others.map(|holding| holding.claim.slots).sum();
        assert!((slots + claim.slots) as usize <= claim.held.batch.max_concurrency, "too many lines at once");
        for (line, answered) in claim.answered.iter().enumerate() {
            let result = format!("result of {}.{line}", claim.slice.number);
            assert_eq!(*answered, self.kept[id].contains(&result), "{result}");
        }
        let (answered, sent) = (claim.answered.clone(), claim.sent);
        self.holdings.push(Holding { me, claim, answered, sent, segments: 0, last: None });
    }

    /// Some lines of a slice are answered, perhaps told twice.
    async fn answer(&mut self, state: &dyn State, chance: &mut Chance) {
        if self.holdings.is_empty() {
            return;
        }
        let at = chance.below(self.holdings.len());
        let holding = &mut self.holdings[at];
        if let (Some(last), 0) = (&holding.last, chance.below(4)) {
            let fates = state.record(&holding.me, std::slice::from_ref(last)).await.unwrap();
            assert!(matches!(fates[..], [Fate::Kept(None)]));
            return;
        }
        let most = 1 + chance.below(3);
        let open = (0..holding.sent).filter(|line| !holding.answered[*line as usize]);
        let lines: Vec<u32> = open.take(most).collect();
        let claim = &holding.claim;
        for line in &lines {
            holding.answered[*line as usize] = true;
            let result = format!("result of {}.{line}", claim.slice.number);
            let is_new = self.kept.get_mut(&claim.held.batch.id).unwrap().insert(result);
            assert!(is_new, "a line was answered twice");
        }
        holding.sent = (holding.sent + u32::try_from(lines.len()).unwrap()).min(claim.slice.lines);
        let is_last = holding.answered.iter().all(|answered| *answered);
        let segment = Segment { sent: holding.sent, ..segment(claim, holding.segments, &lines, is_last) };
        holding.segments += 1;
        assert!(is_kept(&state.record(&holding.me, std::slice::from_ref(&segment)).await.unwrap()[0]));
        holding.last = Some(segment);
        if is_last {
            let holding = self.holdings.swap_remove(at);
            self.stale.push((holding.me, holding.claim));
        }
    }
}
