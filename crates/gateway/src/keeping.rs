//! Where a gateway keeps its state, as its operator says.

use std::io;
use std::sync::Arc;

use crate::blobs::{Accounts, Disk};
use crate::state::{Memory, Options, State};

/// Where the state is.
#[derive(Clone, Default)]
pub(crate) enum Keeping {
    /// In memory: it ends with the process.
    #[default]
    Memory,
    /// In a folder, which belongs to one process at a time.
    #[cfg(feature = "data")]
    Folder(std::path::PathBuf),
    /// In a database and a store for files, which any number of processes share.
    #[cfg(feature = "cluster")]
    Shared {
        /// With the password, if it has one.
        database: String,
        blobs: String,
        lease: std::time::Duration,
    },
}

impl Keeping {
    pub(crate) fn is_durable(&self) -> bool {
        !matches!(self, Keeping::Memory)
    }

    pub(crate) async fn open(
        self,
        options: Options,
        disk: &Disk,
        accounts: &Arc<Accounts>,
    ) -> io::Result<Arc<dyn State>> {
        match self {
            Keeping::Memory => Ok(Arc::new(Memory::new(options, disk.clone(), Arc::clone(accounts)))),
            #[cfg(feature = "data")]
            Keeping::Folder(folder) => crate::state::sqlite::open(&folder, options).await,
            #[cfg(feature = "cluster")]
            Keeping::Shared { database, blobs, lease } => {
                #[cfg(debug_assertions)]
                let lease = crate::points::duration("LEASE", lease);
                let blobs = crate::blobs::object::open(&blobs)?;
                crate::state::postgres::open(&database, blobs, lease, options).await
            }
        }
    }
}

impl std::fmt::Debug for Keeping {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.is_durable() { "kept" } else { "in memory" })
    }
}
