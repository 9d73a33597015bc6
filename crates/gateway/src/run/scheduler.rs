//! Takes what there is to do from a state that outlives the process, perhaps beside other processes, and keeps this
//! worker's claim on it.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::task::{Id, JoinError, JoinSet};

use crate::app::App;
use crate::lease::both_clocks;
use crate::notices::Notice;
use crate::run::{Run, Trouble, full, held_in};
use crate::state::{Beat, Holding, StateError, Work, Worker};

/// How often the state is asked for work that nobody here has heard of, and swept.
const POLL: Duration = Duration::from_secs(1);

/// Lines in flight at once over all batches, at the least: so many that batches which wait for a server that is away
/// leave room for others. Who waits holds no line in memory.
const SLOTS: usize = 1024;

/// So many times what one batch may have in flight may all have.
const BATCHES: usize = 4;

/// How long nothing is taken after the state or the storage was in trouble.
const RECOVERY: Duration = Duration::from_secs(1);

/// What was done: how many slots it had.
struct Done {
    slots: usize,
    is_troubled: bool,
    /// Whether it may still be held, though nobody works on it any more.
    is_doubtful: bool,
}

/// All that this worker is at.
#[derive(Default)]
struct Works {
    tasks: JoinSet<Done>,
    holdings: HashMap<Id, Holding>,
}

impl Works {
    fn begin(&mut self, app: &Arc<App>, me: &Worker, work: Work) {
        let holding = holding(&work);
        let task = self.tasks.spawn(perform(Arc::clone(app), me.clone(), work));
        self.holdings.insert(task.id(), holding);
    }

    /// The next that is over; none when there is none.
    async fn next(&mut self) -> Option<Result<Done, JoinError>> {
        let ended = self.tasks.join_next_with_id().await?;
        self.holdings.remove(&ended.as_ref().map_or_else(JoinError::id, |(id, _)| *id));
        Some(ended.map(|(_, done)| done))
    }

    async fn give_up(&mut self) {
        self.tasks.abort_all();
        while self.next().await.is_some() {}
    }

    fn known(&self) -> Vec<Holding> {
        self.holdings.values().cloned().collect()
    }
}

/// Works until the gateway drains and all is done, or until it stops; then gives back what is left.
pub(crate) async fn schedule(app: Arc<App>) {
    let beats = tokio::spawn(beat(Arc::clone(&app)));
    let sweeps = tokio::spawn(sweep(Arc::clone(&app)));
    let most_of_one = app.settings.lines_at_once().max(1);
    let all = (most_of_one * BATCHES).max(SLOTS);
    let most_works = app.settings.max_running_batches.min(app.shares.batches);
    let mut free = all;
    let mut works = Works::default();
    // Whether this worker may hold something that it does not know of.
    let mut is_doubtful = false;
    let mut rest_until: Option<tokio::time::Instant> = None;
    let mut me = app.lease.me();
    loop {
        if app.lease.me() != me {
            // This worker was given up: nothing that it did is its own any more.
            works.give_up().await;
            free = all;
            me = app.lease.me();
        }
        let mut is_resting = rest_until.is_some_and(|until| until > tokio::time::Instant::now());
        if is_doubtful && !is_resting {
            match app.state.hold_only(&me, &works.known()).await {
                Ok(()) => is_doubtful = false,
                Err(error) => {
                    trouble(&app, "hold_only", &error);
                    rest_until = Some(tokio::time::Instant::now() + RECOVERY);
                    is_resting = true;
                }
            }
        }
        while !app.drain.is_cancelled() && !is_resting && works.tasks.len() < most_works {
            let slots = free.min(most_of_one);
            match app.state.claim(&me, u32::try_from(slots).unwrap_or(u32::MAX), None).await {
                Ok(Some(work)) => {
                    let slots = slots_of(&work);
                    free = free.saturating_sub(slots);
                    works.begin(&app, &me, work);
                }
                Ok(None) => break,
                Err(error) => {
                    trouble(&app, "claim", &error);
                    is_doubtful |= matches!(error, StateError::Unknown(_));
                    rest_until = Some(tokio::time::Instant::now() + RECOVERY);
                    break;
                }
            }
        }
        if app.drain.is_cancelled() && works.tasks.is_empty() {
            break;
        }
        tokio::select! {
            biased;
            () = app.stop.cancelled() => break,
            Some(done) = works.next() => {
                // A work never breaks, but may be aborted.
                let Ok(done) = done else { continue };
                free = (free + done.slots).min(all);
                is_doubtful |= done.is_doubtful;
                if done.is_troubled {
                    rest_until = Some(tokio::time::Instant::now() + RECOVERY);
                }
            }
            () = app.wake.notified() => {}
            () = app.drain.cancelled(), if !app.drain.is_cancelled() => {}
            () = tokio::time::sleep(POLL) => {}
        }
    }
    works.give_up().await;
    if let Some(recorder) = &app.recorder {
        recorder.flush().await;
    }
    beats.abort();
    sweeps.abort();
    if let Err(error) = app.state.leave(&app.lease.me()).await {
        trouble(&app, "leave", &error);
    }
}

fn slots_of(work: &Work) -> usize {
    match work {
        Work::Execute(claim) => claim.slots as usize,
        Work::Validate(_) | Work::Finish(_) => 0,
    }
}

fn holding(work: &Work) -> Holding {
    match work {
        Work::Execute(claim) => {
            Holding { batch: claim.held.batch.id.clone(), slice: Some(claim.slice.number), epoch: claim.epoch }
        }
        Work::Validate(held) | Work::Finish(held) => {
            Holding { batch: held.batch.id.clone(), slice: None, epoch: held.epoch }
        }
    }
}

/// Does one thing, and gives it back when that cannot be done now.
async fn perform(app: Arc<App>, me: Worker, work: Work) -> Done {
    let slots = slots_of(&work);
    let held = held_in(&work);
    let slice = match &work {
        Work::Execute(claim) => Some((claim.slice.number, claim.epoch)),
        _ => None,
    };
    let id = held.batch.id.clone();
    let run = Run::new(&app, me, &id);
    let _forget = Forget { app: &app, id: &id };
    let came = AssertUnwindSafe(run.perform(work)).catch_unwind().await;
    let trouble = match came {
        Ok(Ok(())) => None,
        Ok(Err(trouble)) => Some(trouble),
        Err(_) => Some(Trouble::Io(std::io::Error::other("the gateway itself broke on it"))),
    };
    let (is_troubled, is_doubtful) = match trouble {
        None | Some(Trouble::Lost) => (false, false),
        Some(trouble) => {
            let is_gone = matches!(&trouble, Trouble::Io(error) if error.kind() == std::io::ErrorKind::NotFound);
            app.notices.tell(|| Notice::StateTrouble { what: "work", problem: trouble.kind() });
            let settled = if full(&trouble).is_some() || is_gone {
                run.break_down(&held, &trouble).await
            } else {
                app.state.give_back(&run.me, &held, slice).await.map_err(Trouble::from)
            };
            (settled.is_err() || full(&trouble).is_none(), settled.is_err())
        }
    };
    // What is done makes way for what comes after it, and others may want to know.
    app.wake.notify_one();
    Done { slots, is_troubled, is_doubtful }
}

/// Forgets the batch's cancellation when a work on it ends, however it ends.
struct Forget<'a> {
    app: &'a App,
    id: &'a str,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.app.forget_cancel(self.id);
    }
}

/// Keeps the worker alive for the state, where others would take its work.
async fn beat(app: Arc<App>) {
    let Some(lease) = app.state.lease() else { return };
    loop {
        tokio::time::sleep(lease / 4).await;
        let asked = both_clocks();
        match app.state.heartbeat(&app.lease.me()).await {
            Ok(Beat::Alive(ending)) => {
                app.lease.renew(asked);
                ending.iter().for_each(|id| app.cancel(id));
            }
            Ok(Beat::Lost) => {
                app.notices.tell(|| Notice::WorkerLost);
                let asked = both_clocks();
                match app.state.join().await {
                    Ok(me) => {
                        app.lease.change(me);
                        app.lease.renew(asked);
                        app.wake.notify_one();
                    }
                    Err(error) => trouble(&app, "join", &error),
                }
            }
            Err(error) => trouble(&app, "heartbeat", &error),
        }
    }
}

async fn sweep(app: Arc<App>) {
    loop {
        tokio::time::sleep(POLL).await;
        match app.state.sweep(&app.lease.me()).await {
            Ok(()) => app.wake.notify_one(),
            Err(error) => trouble(&app, "sweep", &error),
        }
    }
}

fn trouble(app: &App, what: &'static str, error: &StateError) {
    app.notices.tell(|| Notice::StateTrouble { what, problem: error.kind() });
}
