//! Holds what a batch says of itself against what came of it: counts and tokens that differ are anomalies.

use crate::{
    Batch,
    late::ended,
    lines::{Anomaly, AnomalyCode, Joined, MAX_ANOMALIES},
};

/// Holds the counts and the usage of a batch against what came, and names what differs before all other anomalies. How many
/// those are.
pub(super) fn hold_against(batch: &Batch, joined: &mut Joined) -> usize {
    let differing = [counts_differ(batch, joined), usage_differs(batch, joined)];
    let place = format!("batch {}", batch.id);
    let mut found = 0;
    for (code, message) in differing.into_iter().flatten() {
        joined.anomalies.insert(found, Anomaly::new(&place, 0, code, message));
        found += 1;
    }
    let kept = joined.anomalies.len().min(MAX_ANOMALIES);
    joined.anomalies_omitted += (joined.anomalies.len() - kept) as u64;
    joined.anomalies.truncate(kept);
    found
}

fn counts_differ(batch: &Batch, joined: &Joined) -> Option<(AnomalyCode, String)> {
    // Counts of nothing are no counts: some services never fill them in.
    let counts = batch.request_counts.filter(|counts| counts.total > 0 || ended(*counts) > 0)?;
    let unrun = joined.expired + joined.cancelled;
    let came = joined.answers.saturating_sub(unrun);
    // Some services count a line that expired as one that failed.
    let unrun_failed = counts.failed >= unrun && ended(counts) == came.saturating_add(unrun);
    if ended(counts) == came || unrun_failed {
        return None;
    }
    let message = format!(
        "its counts say that {} of {} lines ended ({} completed, {} failed), but its files hold {came}",
        ended(counts),
        counts.total.max(ended(counts)),
        counts.completed,
        counts.failed,
    );
    Some((AnomalyCode::CountsDiffer, message))
}

fn usage_differs(batch: &Batch, joined: &Joined) -> Option<(AnomalyCode, String)> {
    let (all, sum) = (batch.usage?, joined.usage);
    let pairs = [
        (all.input_tokens, sum.input_tokens),
        (all.output_tokens, sum.output_tokens),
        (all.total_tokens, sum.total_tokens),
    ];
    // 0 is what a batch says that does not say.
    if pairs.iter().all(|(all, sum)| *all == 0 || all == sum) {
        return None;
    }
    let tokens = |usage: crate::Usage| {
        format!("{} tokens ({} in, {} out)", usage.total_tokens, usage.input_tokens, usage.output_tokens)
    };
    let message = format!("it says that it used {}, but its lines say {}", tokens(all), tokens(sum));
    Some((AnomalyCode::UsageDiffers, message))
}
