//! What goes wrong, and when: drawn under a seed, or as a script says, so that all ways can be gone one after another.

use fastrand::Rng;

/// Chooses among what may happen at a step. The first choice is that nothing is wrong.
pub(super) struct Choices {
    how: How,
    /// How many more choices may be other than the first.
    left: usize,
    /// Of each step, how many choices there were and which was taken.
    pub(super) taken: Vec<(usize, usize)>,
}

enum How {
    /// Something is wrong once in so many steps.
    Drawn(Rng, usize),
    Scripted(Vec<usize>),
}

impl Choices {
    /// Drawn under a seed, at most so many faults.
    pub(super) fn drawn(seed: u64, faults: usize, once_in: usize) -> Self {
        Self { how: How::Drawn(Rng::with_seed(seed), once_in), left: faults, taken: Vec::new() }
    }

    /// As a script says, and after its end the first of each.
    pub(super) fn scripted(script: Vec<usize>) -> Self {
        Self { how: How::Scripted(script), left: usize::MAX, taken: Vec::new() }
    }

    /// One of so many choices.
    pub(super) fn take(&mut self, choices: usize) -> usize {
        let taken = match &mut self.how {
            _ if self.left == 0 || choices < 2 => 0,
            How::Drawn(rng, once_in) => match rng.usize(..*once_in) {
                0 => rng.usize(1..choices),
                _ => 0,
            },
            How::Scripted(script) => script.get(self.taken.len()).copied().unwrap_or(0),
        };
        if taken > 0 {
            self.left -= 1;
        }
        self.taken.push((choices, taken));
        taken
    }
}

/// All scripts that come after this one: each differs from what it took in one step after its end.
pub(super) fn next_scripts(script: &[usize], taken: &[(usize, usize)]) -> Vec<Vec<usize>> {
    let mut next = Vec::new();
    for at in script.len()..taken.len() {
        let before = || taken.iter().take(at).map(|(_, taken)| *taken);
        next.extend((1..taken[at].0).map(|choice| before().chain([choice]).collect()));
    }
    next
}
