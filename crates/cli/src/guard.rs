//! Calls into crates that may panic on files that are damaged, with no word of the panic on the screen.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    /// Whether this thread is within [`guarded`].
    static WITHIN: Cell<bool> = const { Cell::new(false) };
}

/// Does this; none when it panicked. Panics of other threads, and of this one elsewhere, are told as ever.
pub(crate) fn guarded<T>(work: impl FnOnce() -> T) -> Option<T> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = take_hook();
        set_hook(Box::new(move |panic| {
            if !WITHIN.get() {
                usual(panic);
            }
        }));
    });
    let outer = WITHIN.replace(true);
    let done = catch_unwind(AssertUnwindSafe(work));
    WITHIN.set(outer);
    done.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_within_is_an_answer_and_none_after_it_is_silent() {
        assert_eq!(guarded(|| 7), Some(7));
        assert_eq!(guarded(|| -> u8 { panic!("a damaged page") }), None);
        assert_eq!(
            guarded(|| guarded(|| -> u8 { panic!("inner") }).or_else(|| WITHIN.get().then_some(1))),
            Some(Some(1))
        );
        assert!(!WITHIN.get());
    }
}
