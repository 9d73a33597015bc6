//! SQLite in a folder. One thread has the connection and does one transaction after another; who wants the next one waits
//! for its turn. A lock on the folder keeps other processes out.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use fs4::FileExt;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, ErrorCode, params_from_iter};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::blobs::Folder;
use crate::clock::Clock;
use crate::state::sql::database::Sql;
use crate::state::sql::schema::Spelling;
use crate::state::sql::{Cell, Engine, Lane, Row, Transaction, Words};
use crate::state::{Ask, Options, State, StateError};

/// Distinct statements that stay compiled: there are fewer.
const STATEMENTS: usize = 256;

/// The state in this folder, which is made if need be: `lote.sqlite`, `blobs/` and `lock`.
pub(crate) async fn open(dir: &Path, options: Options) -> io::Result<Arc<dyn State>> {
    let (dir, clock) = (dir.to_owned(), options.clock.clone());
    let make = move || -> io::Result<(Sqlite, Folder)> {
        make_private(&dir)?;
        let lock = lock(&dir)?;
        let blobs = Folder::open(&dir.join("blobs"))?;
        let connection = connect(&dir.join("lote.sqlite")).map_err(io::Error::other)?;
        Ok((Sqlite::start(connection, lock, clock)?, blobs))
    };
    let (engine, blobs) = tokio::task::spawn_blocking(make).await.map_err(io::Error::other)??;
    Ok(Arc::new(Sql::open(Box::new(engine), Spelling::Sqlite, Arc::new(blobs), options).await?))
}

/// Makes a folder that nobody else may look into: there are prompts in it. One that is there stays as it is.
fn make_private(dir: &Path) -> io::Result<()> {
    let mut folder = fs::DirBuilder::new();
    folder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut folder, 0o700);
    folder.create(dir)
}

/// The lock of the folder. The system lets it go when this process ends, however it ends.
fn lock(dir: &Path) -> io::Result<File> {
    let file = File::options().create(true).truncate(false).write(true).open(dir.join("lock"))?;
    match FileExt::try_lock(&file) {
        Ok(()) => Ok(file),
        Err(fs4::TryLockError::WouldBlock) => {
            let message = format!("another process uses the folder {}", dir.display());
            Err(io::Error::new(io::ErrorKind::ResourceBusy, message))
        }
        Err(fs4::TryLockError::Error(error)) => Err(error),
    }
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    // What is committed survives a crash of the machine, not only one of the process.
    connection.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = OFF; PRAGMA temp_store = MEMORY; \
         PRAGMA journal_size_limit = 67108864;",
    )?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(connection)
}

/// What the thread is asked to do.
enum Job {
    Begin(oneshot::Sender<rusqlite::Result<()>>),
    Query(String, Vec<Cell>, oneshot::Sender<Result<Vec<Row>, StateError>>),
    Execute(String, Vec<Cell>, oneshot::Sender<rusqlite::Result<u64>>),
    Commit(oneshot::Sender<Result<(), StateError>>),
    RollBack,
}

/// The database of one process.
struct Sqlite {
    /// The way to the thread, and the thread; none when it is closed.
    thread: Mutex<Option<(mpsc::Sender<Job>, JoinHandle<()>)>>,
    /// Whose turn it is.
    turn: Arc<Semaphore>,
    clock: Clock,
}

impl Sqlite {
    fn start(connection: Connection, lock: File, clock: Clock) -> io::Result<Sqlite> {
        let (jobs, asked) = mpsc::channel();
        let thread = std::thread::Builder::new().name("lote-sqlite".to_owned()).spawn(move || {
            work(&connection, &asked);
            drop(connection);
            // Nobody else may come in before the database is closed.
            drop(lock);
        })?;
        Ok(Sqlite { thread: Mutex::new(Some((jobs, thread))), turn: Arc::new(Semaphore::new(1)), clock })
    }

    fn thread(&self) -> MutexGuard<'_, Option<(mpsc::Sender<Job>, JoinHandle<()>)>> {
        self.thread.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits until a thread has closed its database.
fn end(thread: Option<(mpsc::Sender<Job>, JoinHandle<()>)>) {
    if let Some((jobs, thread)) = thread {
        drop(jobs);
        // A thread that has panicked has told so already.
        let _ = thread.join();
    }
}

impl Drop for Sqlite {
    fn drop(&mut self) {
        let thread = self.thread().take();
        end(thread);
    }
}

impl Engine for Sqlite {
    fn lease(&self) -> Option<Duration> {
        None
    }

    fn words(&self) -> Words {
        Words { for_update: "", for_share: "", skip_locked: "" }
    }

    fn begin(&self, _: Lane) -> Ask<'_, Box<dyn Transaction>> {
        async move {
            let turn = Arc::clone(&self.turn).acquire_owned().await.map_err(|_| stopped())?;
            let jobs = self.thread().as_ref().map(|(jobs, _)| jobs.clone()).ok_or_else(stopped)?;
            let mut writing = Writing { jobs, now_ms: 0, open: true, _turn: turn };
            writing.ask(Job::Begin).await?.map_err(not_done)?;
            writing.now_ms = self.clock.now_ms();
            let transaction: Box<dyn Transaction> = Box::new(writing);
            Ok(transaction)
        }
        .boxed()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        async move {
            // Whose turn it is ends it first.
            let _turn = self.turn.acquire().await;
            let thread = self.thread().take();
            // It cannot fail but for a panic, which was told.
            let _ = tokio::task::spawn_blocking(move || end(thread)).await;
        }
        .boxed()
    }
}

/// A transaction, as long as it has the turn.
struct Writing {
    jobs: mpsc::Sender<Job>,
    now_ms: i64,
    open: bool,
    _turn: OwnedSemaphorePermit,
}

impl Writing {
    async fn ask<T>(&self, job: impl FnOnce(oneshot::Sender<T>) -> Job) -> Result<T, StateError> {
        let (answer, answered) = oneshot::channel();
        self.jobs.send(job(answer)).map_err(|_| stopped())?;
        answered.await.map_err(|_| stopped())
    }
}

impl Transaction for Writing {
    fn now_ms(&self) -> i64 {
        self.now_ms
    }

    fn query<'a>(&'a mut self, sql: &'a str, cells: &'a [Cell]) -> Ask<'a, Vec<Row>> {
        let asked = self.ask(|answer| Job::Query(sql.to_owned(), cells.to_vec(), answer));
        async move { asked.await? }.boxed()
    }

    fn execute<'a>(&'a mut self, sql: &'a str, cells: &'a [Cell]) -> Ask<'a, u64> {
        let asked = self.ask(|answer| Job::Execute(sql.to_owned(), cells.to_vec(), answer));
        async move { asked.await?.map_err(not_done) }.boxed()
    }

    fn commit(mut self: Box<Self>) -> Ask<'static, ()> {
        async move {
            // From here on it is the thread's to end.
            self.open = false;
            match self.ask(Job::Commit).await {
                Ok(done) => done,
                Err(StateError::NotDone(cause)) => Err(StateError::Unknown(cause)),
                Err(error) => Err(error),
            }
        }
        .boxed()
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        if self.open {
            // Before the turn goes: the next one begins after this.
            let _ = self.jobs.send(Job::RollBack);
        }
    }
}

/// The life of the thread: until nobody can ask any more. Who no longer waits for an answer needs none.
fn work(connection: &Connection, asked: &mpsc::Receiver<Job>) {
    while let Ok(job) = asked.recv() {
        match job {
            Job::Begin(answer) => {
                roll_back(connection);
                let _ = answer.send(connection.execute_batch("BEGIN IMMEDIATE"));
            }
            Job::Query(sql, cells, answer) => {
                let _ = answer.send(query(connection, &sql, cells));
            }
            Job::Execute(sql, cells, answer) => {
                let _ = answer.send(execute(connection, &sql, cells));
            }
            Job::Commit(answer) => {
                let _ = answer.send(commit(connection));
            }
            Job::RollBack => roll_back(connection),
        }
    }
}

fn query(connection: &Connection, sql: &str, cells: Vec<Cell>) -> Result<Vec<Row>, StateError> {
    let mut statement = connection.prepare_cached(sql).map_err(not_done)?;
    let width = statement.column_count();
    let mut rows = statement.query(params_from_iter(cells.into_iter().map(value))).map_err(not_done)?;
    let mut all = Vec::new();
    while let Some(row) = rows.next().map_err(not_done)? {
        let cell = |at| row.get_ref(at).map_err(not_done).and_then(cell);
        all.push((0..width).map(cell).collect::<Result<Row, StateError>>()?);
    }
    Ok(all)
}

fn execute(connection: &Connection, sql: &str, cells: Vec<Cell>) -> rusqlite::Result<u64> {
    let changed = connection.prepare_cached(sql)?.execute(params_from_iter(cells.into_iter().map(value)))?;
    Ok(changed as u64)
}

fn commit(connection: &Connection) -> Result<(), StateError> {
    let done = connection.execute_batch("COMMIT");
    roll_back(connection);
    done.map_err(|error| match error.sqlite_error_code() {
        // The disk may have it all the same.
        Some(ErrorCode::SystemIoFailure) | None => StateError::Unknown(Box::new(error)),
        Some(_) => not_done(error),
    })
}

/// Ends a transaction that is still open.
fn roll_back(connection: &Connection) {
    if !connection.is_autocommit() {
        // If it fails, the next BEGIN does.
        let _ = connection.execute_batch("ROLLBACK");
    }
}

fn value(cell: Cell) -> Value {
    match cell {
        Cell::Null => Value::Null,
        Cell::Int(int) => Value::Integer(int),
        Cell::Text(text) => Value::Text(text),
        Cell::Bytes(bytes) => Value::Blob(bytes),
    }
}

fn cell(value: ValueRef<'_>) -> Result<Cell, StateError> {
    match value {
        ValueRef::Null => Ok(Cell::Null),
        ValueRef::Integer(int) => Ok(Cell::Int(int)),
        ValueRef::Text(text) => match std::str::from_utf8(text) {
            Ok(text) => Ok(Cell::Text(text.to_owned())),
            Err(error) => Err(StateError::Corrupt(Box::new(error))),
        },
        ValueRef::Blob(bytes) => Ok(Cell::Bytes(bytes.to_vec())),
        ValueRef::Real(_) => Err(StateError::Corrupt("a number with a fraction".into())),
    }
}

fn not_done(error: rusqlite::Error) -> StateError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => StateError::Corrupt(Box::new(error)),
        _ => StateError::NotDone(Box::new(error)),
    }
}

fn stopped() -> StateError {
    StateError::NotDone("the database has been closed".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blobs::Bounds;
    use crate::state::NewFile;
    use crate::tenant::{AccountId, Tenant};

    fn options() -> Options {
        let bounds = Bounds { bytes: 1_000, files: 10, batches: 10 };
        Options { clock: Clock::at(1_700_000_000), bounds, subscriptions: Vec::new() }
    }

    #[tokio::test]
    async fn one_process_has_the_folder_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("new");
        let state = open(&dir, options()).await.unwrap();
        let busy = open(&dir, options()).await.err().unwrap();
        assert_eq!(busy.kind(), io::ErrorKind::ResourceBusy);
        assert!(busy.to_string().contains("another process uses the folder"), "{busy}");
        state.clear().await;
        let again = open(&dir, options()).await.unwrap();
        // What was let go is of no use any more, and does no harm.
        assert!(matches!(state.ready().await, Err(StateError::NotDone(_))));
        again.ready().await.unwrap();
        drop(again);
        open(&dir, options()).await.unwrap();
        let mut names: Vec<_> =
            fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        assert_eq!(names, ["blobs", "lock", "lote.sqlite"]);
    }

    #[tokio::test]
    async fn what_is_of_a_newer_program_is_refused_in_words() {
        let folder = tempfile::tempdir().unwrap();
        drop(open(folder.path(), options()).await.unwrap());
        let database = Connection::open(folder.path().join("lote.sqlite")).unwrap();
        database.execute("UPDATE meta SET number = 7 WHERE k = 'format'", []).unwrap();
        open(folder.path(), options()).await.unwrap();
        database.execute("UPDATE meta SET number = 7 WHERE k = 'min_reader'", []).unwrap();
        drop(database);
        let newer = open(folder.path(), options()).await.err().unwrap();
        assert_eq!(newer.kind(), io::ErrorKind::Unsupported);
        let expected = "what is stored has format 7, and this program reads up to format 1: use a newer one";
        assert_eq!(newer.to_string(), expected);
    }

    #[tokio::test]
    async fn what_is_no_database_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("lote.sqlite"), "these are no tables, whatever else they may be".repeat(100))
            .unwrap();
        assert!(open(folder.path(), options()).await.is_err());
    }

    #[tokio::test]
    async fn what_is_not_committed_is_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let connection = connect(&folder.path().join("x.sqlite")).unwrap();
        let lock = lock(folder.path()).unwrap();
        let engine = Sqlite::start(connection, lock, Clock::at(0)).unwrap();
        let mut tx = engine.begin(Lane::Work).await.unwrap();
        tx.execute("CREATE TABLE t (n BIGINT, b BLOB)", &[]).await.unwrap();
        tx.commit().await.unwrap();
        let insert = "INSERT INTO t (n, b) VALUES ($1, $2)";
        let cells = [Cell::Int(i64::MIN), Cell::Bytes(vec![0, 255])];
        for commits in [false, true] {
            let mut tx = engine.begin(Lane::Work).await.unwrap();
            assert_eq!(tx.execute(insert, &cells).await.unwrap(), 1);
            // One that fails leaves the transaction as it was.
            assert!(matches!(tx.execute("INSERT INTO none VALUES (1)", &[]).await, Err(StateError::NotDone(_))));
            if commits {
                tx.commit().await.unwrap();
            }
        }
        let mut tx = engine.begin(Lane::Requests).await.unwrap();
        assert_eq!(tx.query("SELECT n, b FROM t", &[]).await.unwrap(), [cells.to_vec()]);
        assert!(matches!(tx.query("SELECT 1.5", &[]).await, Err(StateError::Corrupt(_))));
    }

    /// Copies a folder as it is on the disk.
    fn copy(from: &Path, to: &Path) {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            let to = to.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                copy(&entry.path(), &to);
            } else {
                fs::copy(entry.path(), to).unwrap();
            }
        }
    }

    #[tokio::test]
    async fn what_was_answered_is_there_after_a_kill() {
        let folder = tempfile::tempdir().unwrap();
        let (before, after) = (folder.path().join("before"), folder.path().join("after"));
        let state = open(&before, options()).await.unwrap();
        let (tenant, account) = (Tenant::new([1; 32]), AccountId::new([1; 32]));
        let mut spool = state.spool(&account).await.unwrap();
        spool.write(b"kept").await.unwrap();
        let new = NewFile {
            id: "file".to_owned(),
            filename: "name".to_owned(),
            purpose: "batch".to_owned(),
            media_type: None,
            lives: None,
            blob: Arc::new(spool.seal().await.unwrap()),
        };
        state.add_file(tenant, account, new).await.unwrap();
        let mut cut = state.spool(&account).await.unwrap();
        cut.write(&[b'x'; 996]).await.unwrap();
        // Nothing is closed, as nothing is when a process is killed.
        copy(&before, &after);
        let after_kill = open(&after, options()).await.unwrap();
        let file = after_kill.file(tenant, "file").await.unwrap().unwrap();
        let mut text = String::new();
        tokio::io::AsyncReadExt::read_to_string(&mut file.blob.open(0).await.unwrap(), &mut text).await.unwrap();
        assert_eq!(text, "kept");
        assert_eq!(fs::read_dir(after.join("blobs").join(".unfinished")).unwrap().count(), 0);
        // The room of what was cut is there again, to the last byte.
        let mut spool = after_kill.spool(&account).await.unwrap();
        spool.write(&[b'x'; 996]).await.unwrap();
        assert!(crate::blobs::Full::of(&spool.write(b"x").await.unwrap_err()).is_some());
    }
}
