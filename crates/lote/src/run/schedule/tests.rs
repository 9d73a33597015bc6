//! Which shard goes next, and what is learned of a service.

use super::*;
use crate::run::event::Event;

const NOW: i64 = 1_800_000_000;

fn at(seconds: i64) -> UnixSeconds {
    UnixSeconds::new(NOW + seconds).unwrap()
}

fn plan(number: u32, model: &str, tokens: u64) -> ShardPlan {
    serde_json::from_value(serde_json::json!({
        "number": number, "endpoint": "/v1/chat/completions", "model": model, "lines": 10, "bytes": tokens.saturating_mul(4),
        "inputs": 0, "tokens": tokens, "sha256": format!("{number}"),
    }))
    .unwrap()
}

/// Shards of these models and tokens, numbered from 1.
fn state(shards: &[(&str, u64)]) -> State {
    let plans = (1..).zip(shards).map(|(number, (model, tokens))| plan(number, model, *tokens));
    State::new(&plans.collect::<Vec<_>>())
}

fn create(state: &mut State, shard: u32, when: UnixSeconds) {
    let file = format!("f{shard}").parse().unwrap();
    let batch = format!("b{shard}").parse().unwrap();
    for event in [
        Event::Uploaded { shard, file },
        Event::Creating { shard, nonce: "n".to_owned(), at: when },
        Event::Created { shard, batch, adopted: false, said: false },
    ] {
        state.apply(&event).unwrap();
    }
}

fn end(state: &mut State, shard: u32) {
    let batch = format!("b{shard}").parse().unwrap();
    state.apply(&Event::Over { shard, batch, status: "completed".to_owned() }).unwrap();
}

fn bounds() -> Bounds {
    Bounds { max_open: usize::MAX, max_enqueued_tokens: None, creates_per_hour: None }
}

fn schedule(bounds: Bounds) -> Schedule {
    Schedule::new(bounds, Learned::default())
}

#[test]
fn so_many_batches_are_open_and_no_more() {
    let mut state = state(&[("m", 5), ("m", 5), ("m", 5)]);
    let two = schedule(Bounds { max_open: 2, ..bounds() });
    for shard in [1, 2] {
        assert_eq!(two.turn(&state, at(0)), Turn::Submit(shard));
        create(&mut state, shard, at(0));
    }
    assert_eq!(two.turn(&state, at(0)), Turn::Wait(Why::Open { most: 2, learned: false }));
    assert_eq!(schedule(bounds()).turn(&state, at(0)), Turn::Submit(3));
    end(&mut state, 1);
    assert_eq!(two.turn(&state, at(0)), Turn::Submit(3));
    // Nothing is left.
    create(&mut state, 3, at(0));
    assert_eq!(two.turn(&state, at(0)), Turn::None);
}

#[test]
fn tokens_are_bounded_for_each_model_and_one_that_waits_holds_up_no_other() {
    let mut state = state(&[("a", 60), ("a", 50), ("b", 90), ("a", 40), ("c", 101)]);
    let hundred = schedule(Bounds { max_enqueued_tokens: Some(100), ..bounds() });
    create(&mut state, 1, at(0));
    // Shard 2 has no room beside shard 1; shard 3 is of another model.
    assert_eq!(hundred.turn(&state, at(0)), Turn::Submit(3));
    create(&mut state, 3, at(0));
    assert_eq!(hundred.turn(&state, at(0)), Turn::Submit(4));
    create(&mut state, 4, at(0));
    // More by itself than may be at work.
    assert_eq!(hundred.turn(&state, at(0)), Turn::Halve(5, Than::Tokens(100)));
    state.shards.get_mut(&5).unwrap().plan.lines = 1;
    assert_eq!(hundred.turn(&state, at(0)), Turn::Submit(5), "one line goes alone");
    create(&mut state, 5, at(0));
    let why = Why::Tokens { model: "a".to_owned(), enqueued: 100, most: 100, learned: false };
    assert_eq!(hundred.turn(&state, at(0)), Turn::Wait(why.clone()));
    assert_eq!(why.to_string(), "about 100 of 100 tokens for a at work, as was asked for");
    end(&mut state, 4);
    let why = Why::Tokens { model: "a".to_owned(), enqueued: 60, most: 100, learned: false };
    assert_eq!(hundred.turn(&state, at(0)), Turn::Wait(why));
    end(&mut state, 1);
    assert_eq!(hundred.turn(&state, at(0)), Turn::Submit(2));
}

#[test]
fn creates_are_counted_by_the_hour_and_by_the_log() {
    let mut state = state(&[("m", 5), ("m", 5), ("m", 5), ("m", 5)]);
    let two = schedule(Bounds { creates_per_hour: Some(2), ..bounds() });
    create(&mut state, 1, at(0));
    assert_eq!(two.turn(&state, at(60)), Turn::Submit(2));
    create(&mut state, 2, at(60));
    let until = |seconds| Turn::Wait(Why::Creates { most: 2, until: at(seconds) });
    assert_eq!(two.turn(&state, at(61)), until(HOUR));
    assert_eq!(two.turn(&state, at(HOUR - 1)), until(HOUR));
    assert_eq!(two.turn(&state, at(HOUR)), Turn::Submit(3));
    create(&mut state, 3, at(HOUR));
    assert_eq!(two.turn(&state, at(HOUR)), until(HOUR + 60));
    // A clock that was set back by a day does not stop the run for a day.
    assert_eq!(two.turn(&state, at(-24 * HOUR)), Turn::Submit(4));
    // And one that was set ahead lets go of what was before it.
    assert_eq!(two.turn(&state, at(24 * HOUR)), Turn::Submit(4));
    // A create that was refused counts as well.
    let four = schedule(Bounds { creates_per_hour: Some(4), ..bounds() });
    state.apply(&Event::Uploaded { shard: 4, file: "f".parse().unwrap() }).unwrap();
    for _ in 0..2 {
        let (nonce, why) = ("n".to_owned(), "no".to_owned());
        state.apply(&Event::Creating { shard: 4, nonce: nonce.clone(), at: at(HOUR + 5) }).unwrap();
        state.apply(&Event::Refused { shard: 4, nonce, why }).unwrap();
    }
    assert_eq!(four.turn(&state, at(HOUR + 5)), Turn::Wait(Why::Creates { most: 4, until: at(HOUR + 60) }));
    assert!(state.creates.len() <= 5, "what is long ago is forgotten");
    create(&mut state, 4, at(9 * HOUR));
    assert_eq!(state.creates, [at(9 * HOUR)]);
}

#[test]
fn after_a_refusal_less_is_tried_and_then_a_little_more() {
    let mut state = state(&[("m", 100); 9]);
    let mut learning = schedule(bounds());
    for shard in 1..=4 {
        create(&mut state, shard, at(0));
    }
    learning.refused(&state, &plan(5, "m", 100), Lack::Batches);
    assert_eq!(learning.learned().open, Some(3));
    assert_eq!(learning.turn(&state, at(0)), Turn::Wait(Why::Open { most: 3, learned: true }));
    end(&mut state, 1);
    learning.ended(&plan(1, "m", 100));
    assert_eq!(learning.turn(&state, at(0)), Turn::Submit(5));
    // Refused again and again, it never tries none at all.
    for _ in 0..9 {
        learning.refused(&state, &plan(5, "m", 100), Lack::Batches);
    }
    assert_eq!(learning.learned().open, Some(2));
    for shard in 2..=4 {
        end(&mut state, shard);
    }
    learning.refused(&state, &plan(5, "m", 100), Lack::Batches);
    assert_eq!((learning.learned().open, learning.turn(&state, at(0))), (Some(1), Turn::Submit(5)));
    // What the user allows is never passed.
    let mut asked = schedule(Bounds { max_open: 1, ..bounds() });
    (0..9).for_each(|shard| asked.ended(&plan(shard, "m", 100)));
    create(&mut state, 5, at(0));
    assert_eq!(asked.turn(&state, at(0)), Turn::Wait(Why::Open { most: 1, learned: false }));
}

#[test]
fn tokens_are_learned_for_the_model_that_was_refused() {
    let mut state = state(&[("m", 100), ("m", 100), ("m", 100), ("n", 100)]);
    let mut learning = schedule(bounds());
    create(&mut state, 1, at(0));
    create(&mut state, 2, at(0));
    learning.refused(&state, &plan(3, "m", 100), Lack::Tokens { limit: None });
    assert_eq!(learning.learned().tokens, [("m".to_owned(), 225)].into());
    assert_eq!(learning.turn(&state, at(0)), Turn::Submit(4), "the other model has room");
    create(&mut state, 4, at(0));
    let Turn::Wait(why) = learning.turn(&state, at(0)) else { panic!("there is no room") };
    assert_eq!(why.to_string(), "about 200 of 225 tokens for m at work, as far as the service was seen to take");
    learning.ended(&plan(1, "m", 100));
    learning.ended(&plan(4, "n", 100));
    assert_eq!(learning.learned().tokens, [("m".to_owned(), 237)].into());
    // A limit that is stated is not passed, and what is more than it by itself is not waited for.
    learning.refused(&state, &plan(3, "m", 100), Lack::Tokens { limit: Some(90) });
    assert_eq!(learning.learned().tokens["m"], 90);
    let lack = Lack::Tokens { limit: Some(90) };
    assert!(!learning.is_over(&state, &plan(3, "m", 100), lack), "others are at work");
    end(&mut state, 1);
    end(&mut state, 2);
    assert!(learning.is_over(&state, &plan(3, "m", 100), lack));
    assert!(!learning.is_over(&state, &plan(3, "m", 90), lack));
    assert!(!learning.is_over(&state, &ShardPlan { lines: 1, ..plan(3, "m", 100) }, lack));
    assert!(!learning.is_over(&state, &plan(3, "m", 100), Lack::Batches));
    // Alone it is tried all the same.
    assert_eq!(learning.turn(&state, at(0)), Turn::Submit(3));
    let mut paused = learning.clone();
    paused.paused = true;
    assert_eq!(paused.turn(&state, at(0)), Turn::Wait(Why::Paused));
}

#[test]
fn numbers_at_their_bounds_do_not_wrap() {
    let mut state = state(&[("m", u64::MAX), ("m", u64::MAX)]);
    let mut learning = schedule(Bounds { creates_per_hour: Some(u32::MAX), ..bounds() });
    create(&mut state, 1, at(0));
    learning.refused(&state, &plan(2, "m", u64::MAX), Lack::Tokens { limit: None });
    learning.refused(&state, &plan(2, "m", u64::MAX), Lack::Batches);
    (0..9).for_each(|_| learning.ended(&plan(1, "m", u64::MAX)));
    assert!(matches!(learning.turn(&state, at(0)), Turn::Submit(2) | Turn::Wait(_)));
    assert!(learning.learned().tokens["m"] > u64::MAX / 2);
}
