//! What is to happen at which point, and when: a text such as `record.commit.before=2:kill;heartbeat.before=1+:error`.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

/// What happens at a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// The process is killed.
    Kill,
    /// It is stopped until somebody lets it go on.
    Stop,
    /// The call fails, and is not made.
    Error,
    /// The call is made, and its answer is lost.
    Lost,
    /// The call waits.
    Pause(Duration),
}

/// At which time that the point is passed, and whether at each after it as well.
#[derive(Debug)]
struct Step {
    nth: u64,
    onwards: bool,
    action: Action,
}

#[derive(Debug, Default)]
pub(super) struct Plan {
    steps: HashMap<String, Vec<Step>>,
    passed: HashMap<String, u64>,
}

impl Plan {
    pub(super) fn read(text: &str) -> Result<Plan, String> {
        let mut plan = Plan::default();
        for part in text.split(';').filter(|part| !part.trim().is_empty()) {
            let wrong = || format!("{part:?}: expected POINT=NTH:ACTION or POINT=NTH+:ACTION");
            let (point, rest) = part.trim().split_once('=').ok_or_else(wrong)?;
            let (nth, action) = rest.split_once(':').ok_or_else(wrong)?;
            let (nth, onwards) = nth.strip_suffix('+').map_or((nth, false), |nth| (nth, true));
            let nth = nth.parse().map_err(|_| wrong())?;
            let action = Action::read(action).ok_or_else(wrong)?;
            plan.steps.entry(point.to_owned()).or_default().push(Step { nth, onwards, action });
        }
        Ok(plan)
    }

    /// What is to happen now that this point is passed once more.
    pub(super) fn pass(&mut self, point: &str) -> Option<Action> {
        let steps = self.steps.get(point)?;
        let passed = self.passed.entry(point.to_owned()).or_default();
        *passed += 1;
        let now = |step: &&Step| step.nth == *passed || (step.onwards && step.nth <= *passed);
        steps.iter().find(now).map(|step| step.action)
    }
}

impl Action {
    fn read(text: &str) -> Option<Action> {
        Some(match text {
            "kill" => Action::Kill,
            "stop" => Action::Stop,
            "error" => Action::Error,
            "lost" => Action::Lost,
            pause => Action::Pause(Duration::from_millis(pause.strip_prefix("pause:")?.parse().ok()?)),
        })
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::Kill => f.write_str("kill"),
            Action::Stop => f.write_str("stop"),
            Action::Error => f.write_str("error"),
            Action::Lost => f.write_str("lost"),
            Action::Pause(pause) => write!(f, "pause:{}", pause.as_millis()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_says_what_happens_the_nth_time() {
        let mut plan = Plan::read("a.before=2:kill; b=1+:error;b=3:pause:20;").unwrap();
        assert_eq!(
            [plan.pass("a.before"), plan.pass("a.before"), plan.pass("a.before")],
            [None, Some(Action::Kill), None]
        );
        assert_eq!([plan.pass("b"), plan.pass("b")], [Some(Action::Error); 2]);
        assert_eq!(plan.pass("c"), None);
        for wrong in ["a", "a=1", "a=x:kill", "a=1:die", "a=1:pause:soon"] {
            assert!(Plan::read(wrong).is_err(), "{wrong}");
        }
    }
}
