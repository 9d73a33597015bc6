//! The suite over what needs no server.

use std::sync::Arc;

use crate::blobs::{Accounts, Disk};
use crate::clock::Clock;
use crate::state::conformance::{Place, failures};
use crate::state::{Memory, Options, State};

#[cfg(feature = "data")]
#[tokio::test]
async fn sqlite_does_what_a_state_has_to() {
    let failed = failures(async |_| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_owned();
        let open = move |options: Options| {
            let path = path.clone();
            let opening: futures_util::future::BoxFuture<'static, Arc<dyn State>> =
                Box::pin(async move { crate::state::sqlite::open(&path, options).await.unwrap() });
            opening
        };
        Place { clock: Clock::at(1_700_000_000), open: Box::new(open), keep: Box::new(folder) }
    });
    assert_eq!(failed.await, [""; 0]);
}

#[tokio::test]
async fn memory_does_what_a_state_has_to() {
    let failed = failures(async |_| {
        let open = |options: Options| {
            let accounts = Arc::new(Accounts::new(options.bounds));
            let state: Arc<dyn State> = Arc::new(Memory::new(options, Disk::new().unwrap(), accounts));
            let opening: futures_util::future::BoxFuture<'static, Arc<dyn State>> = Box::pin(std::future::ready(state));
            opening
        };
        Place { clock: Clock::at(1_700_000_000), open: Box::new(open), keep: Box::new(()) }
    });
    assert_eq!(failed.await, [""; 0]);
}
