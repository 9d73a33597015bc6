//! What is done to every answer before the rest of the crate sees it: the contract's shape, and no secrets.

use std::{fmt, sync::Arc};

use serde_json::Value;

use super::clock::ServiceClock;
use crate::{Dialect, secrets::Secrets};

/// The border between a service and us.
pub(super) struct Border {
    pub(super) dialect: Dialect,
    pub(super) secrets: Secrets,
    pub(super) clock: Arc<ServiceClock>,
}

impl fmt::Debug for Border {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Border").field("dialect", &self.dialect).finish_non_exhaustive()
    }
}

impl lote_client::Answers for Border {
    fn to_contract(&self, operation: &str, answer: &mut Value) {
        self.dialect.to_contract(operation, answer);
        self.secrets.blank(answer);
    }

    fn told_date(&self, date: &str) {
        self.clock.told(date);
    }

    fn without_secrets(&self, text: &str) -> String {
        self.secrets.blanked(text)
    }
}
