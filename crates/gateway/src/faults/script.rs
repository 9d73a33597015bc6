//! A plan of faults at work: which calls were seen, which faults they met, which faults were not used.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sha2::{Digest, Sha256};

use crate::faults::{Effect, Fault, Faults, Operation, Stage, When};

/// The plan of one gateway.
#[derive(Debug)]
pub(crate) struct Script {
    seed: u64,
    acts: Vec<Fault>,
    counts: Mutex<Vec<Count>>,
    forgiven: AtomicBool,
}

/// What one fault has met.
#[derive(Debug, Default)]
struct Count {
    seen: u64,
    /// Calls that it struck, without those on which nothing happened.
    used: Arc<AtomicU64>,
    /// Calls on which it happened.
    happened: Arc<AtomicU64>,
}

/// An effect that strikes a call, and a number to draw from.
#[derive(Clone, Debug)]
pub(crate) struct Strike {
    pub(crate) effect: Effect,
    pub(crate) draw: u64,
    turn: Arc<Turn>,
}

/// One use of a fault. It is given back when the call ends and nothing happened.
#[derive(Debug)]
struct Turn {
    used: Arc<AtomicU64>,
    /// On this call.
    happened: AtomicBool,
    /// On all calls.
    all_happened: Arc<AtomicU64>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        if !self.happened.load(Ordering::SeqCst) {
            self.used.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

impl Strike {
    /// Says that the effect changed something. To be called before a client can know.
    pub(crate) fn happened(&self) {
        if !self.turn.happened.swap(true, Ordering::SeqCst) {
            self.turn.all_happened.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// All effects on one call. It is among the extensions of its request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fired(Arc<[Strike]>);

impl Script {
    pub(crate) fn new(faults: Faults, seed: u64) -> Script {
        let acts = faults.faults;
        Script {
            seed: faults.seed.unwrap_or(seed),
            counts: Mutex::new(acts.iter().map(|_| Count::default()).collect()),
            acts,
            forgiven: AtomicBool::new(false),
        }
    }

    /// Whether nothing goes wrong.
    pub(crate) fn is_empty(&self) -> bool {
        self.acts.is_empty()
    }

    /// Counts a call, and returns what happens to it.
    pub(crate) fn fire(&self, operation: Operation) -> Fired {
        if self.is_empty() {
            return Fired::default();
        }
        let mut counts = self.counts();
        let mut strikes: Vec<Strike> = Vec::new();
        for (at, (act, count)) in self.acts.iter().zip(counts.iter_mut()).enumerate() {
            let When { operation: on, first, last, probability, times } = act.on;
            if !on.covers(operation) {
                continue;
            }
            count.seen += 1;
            let draw = self.draw(at, count.seen);
            let meant = (first..=last).contains(&count.seen)
                && times.is_none_or(|times| count.used.load(Ordering::SeqCst) < times)
                && probability.is_none_or(|probability| unit(draw) < probability);
            let is_answer = |effect: &Effect| effect.stage() == Stage::Answer;
            let taken = is_answer(&act.effect) && strikes.iter().any(|strike| is_answer(&strike.effect));
            if meant && !taken {
                strikes.push(Strike { effect: act.effect.clone(), draw, turn: count.turn() });
            }
        }
        if operation == Operation::Connection {
            // Nothing but its reset strikes a connection, and nothing comes before that.
            strikes.iter().for_each(Strike::happened);
        }
        Fired(strikes.into())
    }

    /// A number that depends on the seed, the fault and the number of the call, and on nothing else.
    fn draw(&self, at: usize, call: u64) -> u64 {
        let mut digest = Sha256::new();
        digest.update(self.seed.to_le_bytes());
        digest.update((at as u64).to_le_bytes());
        digest.update(call.to_le_bytes());
        digest.finalize().first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
    }

    pub(crate) fn forgive(&self) {
        self.forgiven.store(true, Ordering::Relaxed);
    }

    /// What should have happened and did not, in words; nothing once that is forgiven.
    pub(crate) fn leftovers(&self) -> Vec<String> {
        if self.forgiven.load(Ordering::Relaxed) {
            return Vec::new();
        }
        let counts = self.counts();
        let mut leftovers = Vec::new();
        for (at, (act, count)) in self.acts.iter().zip(counts.iter()).enumerate() {
            let (happened, wanted) = (count.happened.load(Ordering::SeqCst), act.on.wanted());
            if happened >= wanted {
                continue;
            }
            let line = act.line.map(|line| format!(", line {line}")).unwrap_or_default();
            let used = match happened {
                0 => "was never used".to_owned(),
                _ => format!("was used on {happened} of its {wanted} calls"),
            };
            let (name, on, seen) = (act.effect.name(), act.on.operation, count.seen);
            leftovers.push(format!("fault {} ('{name}' on '{on}'{line}) {used}; calls seen: {seen}", at + 1));
        }
        leftovers
    }

    fn counts(&self) -> MutexGuard<'_, Vec<Count>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Count {
    fn turn(&self) -> Arc<Turn> {
        self.used.fetch_add(1, Ordering::SeqCst);
        Arc::new(Turn {
            used: Arc::clone(&self.used),
            happened: AtomicBool::new(false),
            all_happened: Arc::clone(&self.happened),
        })
    }
}

/// From 0 to 1, without 1.
fn unit(draw: u64) -> f64 {
    (draw >> 11) as f64 / (1_u64 << 53) as f64
}

impl Fired {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn at(&self, stage: Stage) -> impl Iterator<Item = &Strike> {
        self.0.iter().filter(move |strike| strike.effect.stage() == stage)
    }

    /// What decides the answer as a whole.
    pub(crate) fn answer(&self) -> Option<&Strike> {
        self.at(Stage::Answer).next()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether anything strikes a call; then it happens.
    fn happens(script: &Script) -> bool {
        let fired = script.fire(Operation::GetBatch);
        fired.0.iter().for_each(Strike::happened);
        !fired.is_empty()
    }

    fn used(fault: Fault, calls: u64) -> Vec<u64> {
        let script = Script::new(Faults::new().fault(fault), 7);
        (1..=calls).filter(|_| happens(&script)).collect()
    }

    #[test]
    fn selectors_narrow_down_together() {
        let on = || Fault::on(Operation::GetBatch);
        let reset = || Effect::Reset;
        for (fault, expected) in [
            (on().then(reset()), vec![1, 2, 3, 4, 5, 6]),
            (on().nth(3).then(reset()), vec![3]),
            (on().calls(2..=3).then(reset()), vec![2, 3]),
            (on().calls(2..4).then(reset()), vec![2, 3]),
            (on().calls(5..).then(reset()), vec![5, 6]),
            (on().times(2).then(reset()), vec![1, 2]),
            (on().calls(2..).times(2).then(reset()), vec![2, 3]),
            (on().probability(0.0).then(reset()), vec![]),
            (on().probability(1.0).times(1).then(reset()), vec![1]),
            (Fault::on(Operation::Any).nth(2).then(reset()), vec![2]),
            (Fault::on(Operation::ListBatches).then(reset()), vec![]),
        ] {
            assert_eq!(used(fault.clone(), 6), expected, "{fault:?}");
        }
    }

    #[test]
    fn probability_is_drawn_from_the_seed_alone() {
        let struck = |seed| {
            let on = Fault::on(Operation::GetBatch).probability(0.25).then(Effect::Reset);
            let script = Script::new(Faults::new().seed(seed).fault(on), 0);
            (0..2_000).map(|_| !script.fire(Operation::GetBatch).is_empty()).collect::<Vec<bool>>()
        };
        assert_eq!(struck(1), struck(1));
        assert_ne!(struck(1), struck(2));
        let hits = struck(1).iter().filter(|hit| **hit).count();
        assert!((400..600).contains(&hits), "{hits}");
    }

    #[test]
    fn one_effect_decides_an_answer_and_the_other_waits() {
        let faults = Faults::new()
            .fault(Fault::on(Operation::GetBatch).times(1).then(Effect::Reset))
            .fault(Fault::on(Operation::GetBatch).times(1).then(Effect::AnswerLost))
            .fault(Fault::on(Operation::GetBatch).nth(1).then(Effect::CountsZero));
        let script = Script::new(faults, 0);
        let mut calls = (0..3).map(|_| {
            let fired = script.fire(Operation::GetBatch);
            fired.0.iter().for_each(Strike::happened);
            fired.0.iter().map(|strike| strike.effect.name()).collect::<Vec<_>>()
        });
        assert_eq!(calls.next().unwrap(), ["reset", "counts-zero"]);
        assert_eq!(calls.next().unwrap(), ["answer-lost"]);
        assert!(calls.next().unwrap().is_empty());
    }

    #[test]
    fn a_strike_without_effect_is_given_back_when_the_call_ends() {
        let on = Fault::on(Operation::GetBatch).times(1).then(Effect::CountsZero);
        let script = Script::new(Faults::new().fault(on), 0);
        let first = script.fire(Operation::GetBatch);
        assert!(!first.is_empty());
        assert!(script.fire(Operation::GetBatch).is_empty(), "the first call has it as long as it lasts");
        drop(first);
        assert_eq!(script.leftovers().len(), 1);
        assert!(happens(&script));
        assert!(!happens(&script));
        assert!(script.leftovers().is_empty());
    }

    #[test]
    fn leftovers_are_what_was_not_left_to_chance_and_never_happened() {
        let on = || Fault::on(Operation::GetBatch);
        let faults = Faults::new()
            .fault(on().nth(9).then(Effect::Reset))
            .fault(on().probability(0.0).nth(1).then(Effect::Reset))
            .fault(Fault::on(Operation::ListFiles).then(Effect::Reset))
            .fault(on().times(5).then(Effect::CountsZero));
        let script = Script::new(faults, 0);
        let unused = ["fault 1 ('reset' on 'get-batch') was never used; calls seen: 1"];
        let list = "fault 3 ('reset' on 'list-files') was never used; calls seen: 0";
        drop(script.fire(Operation::GetBatch));
        let counts = "fault 4 ('counts-zero' on 'get-batch') was never used; calls seen: 1";
        assert_eq!(script.leftovers(), [unused[0], list, counts]);
        assert!(happens(&script));
        assert_eq!(script.leftovers(), [&unused[0].replace("seen: 1", "seen: 2"), list]);
        script.forgive();
        assert!(script.leftovers().is_empty());
    }

    #[test]
    fn a_fault_is_used_up_when_it_happened_on_every_call_that_it_names() {
        let on = || Fault::on(Operation::GetBatch);
        for (fault, wanted) in [
            (on().nth(2).then(Effect::Reset), 1),
            (on().calls(1..=3).then(Effect::Reset), 3),
            (on().calls(2..4).then(Effect::Reset), 2),
            // A ceiling, and an end that nobody names, ask for no number.
            (on().times(3).then(Effect::Reset), 1),
            (on().calls(2..).then(Effect::Reset), 1),
            (on().calls(1..=3).times(2).then(Effect::Reset), 2),
            (on().calls(1..=3).probability(0.5).then(Effect::Reset), 0),
        ] {
            assert_eq!(fault.on.wanted(), wanted, "{fault:?}");
            let probability = fault.on.probability;
            let script = Script::new(Faults::new().fault(fault), 0);
            let mut happened = 0;
            while happened < wanted {
                assert_eq!(script.leftovers().len(), usize::from(probability.is_none()));
                happened += u64::from(happens(&script));
            }
            assert_eq!(script.leftovers(), Vec::<String>::new());
        }
        let script = Script::new(Faults::new().fault(on().calls(1..=3).then(Effect::Reset)), 0);
        happens(&script);
        drop(script.fire(Operation::GetBatch));
        let expected = "fault 1 ('reset' on 'get-batch') was used on 1 of its 3 calls; calls seen: 2";
        assert_eq!(script.leftovers(), [expected]);
    }
}
