//! Owns what a source leaves unsaid or open: when it means nothing that a thing is on one side alone.

use serde_json::Value;

use super::{Comparison, Moved};
use crate::drift::{
    change::Class,
    node::{EITHER, Node},
};

impl Comparison<'_> {
    /// Whether it means nothing that a thing is on one side alone: the other side never says it. Of two that are silent
    /// in the same way, what one says all the same counts.
    pub(super) fn muted(&self, what: &str, there: [bool; 2]) -> bool {
        let [old, new] = [0, 1].map(|at| self.silence[at].contains(what));
        old != new && ((old && !there[0]) || (new && !there[1]))
    }

    /// A side says only that the field may be missing or null, or both.
    pub(super) fn either(&mut self, old: &Node, new: &Node) {
        let allows = |node: &Node| !node.is("required") || node.is("nullable") || node.is(EITHER);
        let same_way = self.silence[0] == self.silence[1];
        if old.is(EITHER) != new.is(EITHER) && (same_way || allows(old) != allows(new)) {
            let words = |node: &Node| {
                let null = if node.is("nullable") { ", may be null" } else { "" };
                let must = if node.is("required") { "required" } else { "optional" };
                Some(if node.is(EITHER) { "may be missing or null".to_owned() } else { format!("{must}{null}") })
            };
            let moved = if new.is(EITHER) { Moved::Wider } else { Moved::Narrower };
            self.push(EITHER, "", self.class(moved), words(old), words(new));
        }
    }

    /// Whether one side names values and takes any other, where the other side names none: the same values are allowed,
    /// and some of them are known. It is told then.
    pub(super) fn named(&mut self, old: &Node, new: &Node) -> bool {
        let names = |node: &Node| node.is("open") && node.facts.contains_key("enum");
        let any = |node: &Node| !node.facts.contains_key("enum");
        let text = |node: &Node| node.facts.get("enum").map(Value::to_string);
        if any(old) && names(new) {
            self.push("enum", "", Class::NewAbility, None, text(new));
        } else if names(old) && any(new) {
            self.push("enum", "", Class::Removed, text(old), None);
        } else {
            return false;
        }
        true
    }
}
