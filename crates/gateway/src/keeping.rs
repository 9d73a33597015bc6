//! Where a gateway keeps its state, as its operator says.

use std::io;
use std::sync::Arc;

use crate::blobs::{Accounts, Disk};
use crate::state::{Memory, Options, State};

/// Where the state is.
#[derive(Clone, Debug, Default)]
pub(crate) enum Keeping {
    /// In memory: it ends with the process.
    #[default]
    Memory,
}

impl Keeping {
    pub(crate) async fn open(
        self,
        options: Options,
        disk: &Disk,
        accounts: &Arc<Accounts>,
    ) -> io::Result<Arc<dyn State>> {
        match self {
            Keeping::Memory => Ok(Arc::new(Memory::new(options, disk.clone(), Arc::clone(accounts)))),
        }
    }
}
