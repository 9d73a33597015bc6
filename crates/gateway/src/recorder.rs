//! Records answers as they come, those of all slices together: whatever has gathered while the last were on their way is
//! recorded next. So dear lines are recorded one by one and cheap ones by the hundred, without a timer.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use crate::notices::{Notice, Notices};
use crate::state::{Fate, Segment, State, Worker};

/// Most bytes that are recorded at once, unless a single answer is longer.
const MOST_BYTES: usize = 4 * 1024 * 1024;

/// Most answers that are recorded at once.
const MOST_ANSWERS: usize = 4096;

/// What cannot be recorded is tried again after a pause between these two.
const PAUSES: [Duration; 2] = [Duration::from_millis(50), Duration::from_secs(5)];

/// How long the end of a gateway waits for what is not recorded.
const FLUSH: Duration = Duration::from_secs(10);

/// One answer on its way.
pub(crate) struct Entry {
    /// Of one answer. Its number is given here.
    pub(crate) segment: Segment,
    /// The room in memory that a large answer takes, until it is recorded.
    pub(crate) room: Option<OwnedSemaphorePermit>,
    pub(crate) ack: mpsc::UnboundedSender<Ack>,
    pub(crate) me: Worker,
}

/// What became of so many answers of a slice.
pub(crate) struct Ack {
    pub(crate) fate: Fate,
    pub(crate) sent: u32,
    pub(crate) entries: u32,
}

/// The way to the state for answers.
#[derive(Clone, Debug)]
pub(crate) struct Recorder(mpsc::UnboundedSender<Item>);

enum Item {
    // Boxed: flushes are small and rare.
    Answer(Box<Entry>),
    /// Tells when all before it is recorded.
    Flush(oneshot::Sender<()>),
}

/// A slice in the hands of somebody.
type Place = (Arc<str>, u32, i64);

impl Recorder {
    /// One that records until the last of it is dropped. What waits is bounded by the lines that may be in flight.
    pub(crate) fn start(state: Arc<dyn State>, notices: Notices) -> Recorder {
        let (entries, coming) = mpsc::unbounded_channel();
        tokio::spawn(record(state, notices, coming));
        Recorder(entries)
    }

    pub(crate) fn push(&self, entry: Entry) {
        // Its end is only there when the runtime is gone.
        let _ = self.0.send(Item::Answer(Box::new(entry)));
    }

    /// Waits until all that was pushed is recorded, or long enough.
    pub(crate) async fn flush(&self) {
        let (done, is_done) = oneshot::channel();
        if self.0.send(Item::Flush(done)).is_ok() {
            let _ = tokio::time::timeout(FLUSH, is_done).await;
        }
    }
}

async fn record(state: Arc<dyn State>, notices: Notices, mut coming: mpsc::UnboundedReceiver<Item>) {
    let mut numbers: HashMap<Place, u32> = HashMap::new();
    while let Some(first) = coming.recv().await {
        let first = match first {
            Item::Answer(first) => *first,
            Item::Flush(done) => {
                let _ = done.send(());
                continue;
            }
        };
        let mut flushed = Vec::new();
        let group = gather(first, &mut coming, &mut flushed);
        let me = group.me;
        let segments: Vec<Segment> = group
            .segments
            .into_iter()
            .map(|mut gathered| {
                let place = (Arc::clone(&gathered.segment.batch), gathered.segment.slice, gathered.segment.epoch);
                let number = numbers.entry(place).or_default();
                gathered.segment.number = *number;
                *number += 1;
                gathered.segment.lines = gathered.lines.freeze();
                gathered.segment
            })
            .collect();
        let fates = until_recorded(&*state, &notices, &me, &segments).await;
        let fates = fates.into_iter().chain(std::iter::repeat(Fate::Fenced));
        for ((segment, fate), (ack, entries)) in segments.iter().zip(fates).zip(group.acks) {
            if segment.is_last || matches!(fate, Fate::Fenced) {
                numbers.remove(&(Arc::clone(&segment.batch), segment.slice, segment.epoch));
            }
            // Who no longer listens has lost the slice, or stops.
            let _ = ack.send(Ack { fate, sent: segment.sent, entries });
        }
        drop(group.rooms);
        for done in flushed {
            let _ = done.send(());
        }
    }
}

struct Group {
    me: Worker,
    segments: Vec<Gathered>,
    acks: Vec<(mpsc::UnboundedSender<Ack>, u32)>,
    rooms: Vec<OwnedSemaphorePermit>,
}

struct Gathered {
    segment: Segment,
    lines: BytesMut,
}

/// All that is there, slice by slice.
fn gather(first: Entry, coming: &mut mpsc::UnboundedReceiver<Item>, flushed: &mut Vec<oneshot::Sender<()>>) -> Group {
    let mut group = Group { me: first.me.clone(), segments: Vec::new(), acks: Vec::new(), rooms: Vec::new() };
    let mut places: HashMap<Place, usize> = HashMap::new();
    let (mut bytes, mut answers) = (0, 0);
    let mut entry = Some(first);
    while let Some(Entry { segment, room, ack, me }) = entry.take() {
        bytes += segment.lines.len();
        answers += 1;
        group.rooms.extend(room);
        // After a worker was given up there is another: what the old one brings is refused whoever brings it.
        group.me = me;
        let place = (Arc::clone(&segment.batch), segment.slice, segment.epoch);
        match places.get(&place).copied().and_then(|at| Some((group.segments.get_mut(at)?, group.acks.get_mut(at)?))) {
            Some((gathered, (_, entries))) => {
                gathered.lines.extend_from_slice(&segment.lines);
                gathered.segment.answered.extend(segment.answered);
                gathered.segment.usage.merge(segment.usage);
                gathered.segment.sent = gathered.segment.sent.max(segment.sent);
                gathered.segment.is_last |= segment.is_last;
                *entries += 1;
            }
            None => {
                places.insert(place, group.segments.len());
                let lines = BytesMut::from(&*segment.lines);
                group.segments.push(Gathered { segment: Segment { lines: Bytes::new(), ..segment }, lines });
                group.acks.push((ack, 1));
            }
        }
        if bytes < MOST_BYTES && answers < MOST_ANSWERS {
            entry = loop {
                match coming.try_recv() {
                    Ok(Item::Answer(entry)) => break Some(*entry),
                    Ok(Item::Flush(done)) => flushed.push(done),
                    Err(_) => break None,
                }
            };
        }
    }
    group
}

/// Tells the same again until it is known what became of it: answers were paid for.
async fn until_recorded(state: &dyn State, notices: &Notices, me: &Worker, segments: &[Segment]) -> Vec<Fate> {
    let [mut pause, longest] = PAUSES;
    loop {
        match state.record(me, segments).await {
            Ok(fates) => return fates,
            Err(error) => notices.tell(|| Notice::StateTrouble { what: "record", problem: error.kind() }),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(longest);
    }
}
