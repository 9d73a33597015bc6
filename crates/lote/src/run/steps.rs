//! Owns the order of a run's steps; never a step's own work.

use std::{
    fs, io,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    OnProgress, Progress, Report, Run, RunError, Stage,
    folder::{Folder, Service},
};
use crate::{
    Batch, Error, FileId, UploadPurpose, Waited,
    collect::{Collect, Step, Uncollected},
    fetch::{blocking, patience},
    lines::{CheckOptions, Joined},
    save::AtomicFile,
};

pub(super) async fn execute(run: Run) -> Result<Report, RunError> {
    let started = Instant::now();
    run.check_options().map_err(RunError::Refused)?;
    run.check_places()?;
    let mut folder = prepare(&run).await?;
    if folder.record.endpoint.is_empty() {
        let problem = "no request line has a url: say which endpoint the batch is for (--endpoint); nothing was sent";
        return Err(RunError::Refused(Error::invalid(problem)));
    }
    run.client.shared().dialect().check_endpoint(&folder.record.endpoint).map_err(RunError::Refused)?;

    let input = upload(&run, &folder).await.map_err(RunError::Refused)?;
    folder.record.input_file_id = Some(input.clone());
    folder.reached(Stage::Uploaded)?;

    let (mut folder, batch) = create(&run, folder, &input).await?;
    (run.on_progress)(Progress::Created(&batch));

    let end = run.deadline.and_then(|deadline| tokio::time::Instant::now().checked_add(deadline));
    let batch = wait(&run, &folder, &batch).await?;
    folder.seen(&batch, Stage::Ended)?;
    let (batch, joined) = collect(&run, &mut folder, batch, end).await?;
    folder.write_summary(&joined)?;
    folder.reached(Stage::Finished)?;
    let mut report = Report {
        batch,
        joined,
        folder: folder.path().to_owned(),
        results: folder.join(Folder::RESULTS),
        seconds: started.elapsed().as_secs_f64(),
    };
    if let Some(output) = run.output {
        match copy_results(&report.results, &output).await {
            Ok(()) => report.results = output,
            Err(error) => return Err(RunError::NotCopied { output, error, report: Box::new(report) }),
        }
    }
    Ok(report)
}

/// Checks and copies the input.
async fn prepare(run: &Run) -> Result<Folder, RunError> {
    let dialect = run.client.dialect().check_options();
    let options =
        CheckOptions { endpoint: run.endpoint.clone(), limits: run.limits.unwrap_or(dialect.limits), ..dialect };
    let (path, input) = (run.folder_path(), run.input.clone());
    let service =
        Service { base_url: run.client.base_url().to_owned(), dialect: run.client.dialect().name().to_owned() };
    // Work on another thread does not end with this future: it looks whether the future is still there.
    let here = Arc::new(());
    let seen = Arc::downgrade(&here);
    let wanted = move || seen.strong_count() > 0;
    let (folder, checked) = blocking(move || Folder::prepare(path, &input, &options, service, wanted)).await?;
    drop(here);
    (run.on_progress)(Progress::Checked(&checked));
    Ok(folder)
}

async fn upload(run: &Run, folder: &Folder) -> Result<FileId, Error> {
    let total = folder.record.bytes;
    let on_progress: OnProgress = Arc::clone(&run.on_progress);
    let name = run.input.file_name().map_or_else(|| Folder::REQUESTS.into(), |name| name.to_string_lossy());
    let upload = run
        .client
        .files()
        .upload(folder.join(Folder::REQUESTS), UploadPurpose::Batch)
        .file_name(name)
        .on_progress(move |sent| on_progress(Progress::Uploading { sent, total }));
    Ok(upload.send().await?.id)
}

/// Writes the intent down, creates, and writes the id down. Gives the folder back when there is a batch.
async fn create(run: &Run, mut folder: Folder, input: &FileId) -> Result<(Folder, Batch), RunError> {
    if let Err(error) = folder.reached(Stage::Creating) {
        folder.remove();
        return Err(error);
    }
    let record = &folder.record;
    let mut options = run.batch_options(&record.sha256);
    // Not the hash alone: the same file run again, on purpose, is another upload and another batch.
    options.idempotency_key.get_or_insert_with(|| format!("{}-{input}", record.sha256));
    let create = run.client.batches().create(input, &record.endpoint).options(options);
    match create.send().await {
        Ok(batch) => {
            folder.seen(&batch, Stage::Created)?;
            Ok((folder, batch))
        }
        Err(error) if error.batch_id().is_some() => {
            // There is a batch, although the answer cannot be read: its id is what must not be lost.
            folder.record.batch_id = error.batch_id().cloned();
            folder.reached(Stage::Created)?;
            match folder.record.batch_id.clone() {
                Some(id) => Err(RunError::Unfetched { id, error, folder: folder.path().to_owned() }),
                None => Err(RunError::Refused(error)),
            }
        }
        Err(error) if error.is_ambiguous() => {
            let sha256 = folder.record.sha256.clone();
            Err(RunError::Ambiguous { error, folder: folder.path().to_owned(), sha256 })
        }
        Err(error) => {
            // Nothing was made: the input file is of no use. That it cannot be deleted changes nothing.
            let _ = run.client.files().delete(input).await;
            folder.remove();
            Err(RunError::Refused(error))
        }
    }
}

async fn wait(run: &Run, folder: &Folder, batch: &Batch) -> Result<Batch, RunError> {
    let on_progress = Arc::clone(&run.on_progress);
    let on_trouble = Arc::clone(&run.on_progress);
    // Files that are late are waited for where they are fetched.
    let tolerance = run.tolerance.clone().unwrap_or_default().late_files(Duration::ZERO);
    let mut wait = run
        .client
        .batches()
        .wait(&batch.id)
        .cadence(run.cadence.clone())
        .tolerance(tolerance)
        .on_progress(move |batch| on_progress(Progress::Waiting(batch)))
        .on_trouble(move |error| on_trouble(Progress::Trouble(error)));
    if let Some(deadline) = run.deadline {
        wait = wait.deadline(deadline);
    }
    let (id, folder) = (batch.id.clone(), folder.path().to_owned());
    match wait.until_over().await {
        Waited::Ended(batch) => Ok(*batch),
        Waited::GaveUp(last) => Err(RunError::GaveUp { id, last, folder }),
        Waited::CouldNotAsk { error, .. } => Err(RunError::Unfetched { id, error, folder }),
    }
}

/// Fetches the files of the batch and joins them with the requests into the folder's results.
async fn collect(
    run: &Run,
    folder: &mut Folder,
    batch: Batch,
    end: Option<tokio::time::Instant>,
) -> Result<(Batch, Joined), RunError> {
    let (steps, troubles) = (Arc::clone(&run.on_progress), Arc::clone(&run.on_progress));
    let on_step = move |step: Step<'_>| match step {
        Step::Downloading(name) => steps(Progress::Downloading { name }),
        Step::Looked(batch) => steps(Progress::Waiting(batch)),
        Step::Joining => steps(Progress::Joining),
    };
    let on_trouble = move |error: &Error| troubles(Progress::Trouble(error));
    let mut collect = Collect::new(run.client.clone(), batch, folder.path(), [Folder::OUTPUT, Folder::ERRORS])
        .tolerance(run.tolerance.clone().unwrap_or_else(patience))
        .cadence(run.cadence.clone())
        .ending(end)
        .telling(Arc::new(on_step), Arc::new(on_trouble));
    let collected = collect.collect(&folder.join(Folder::REQUESTS), Some(&folder.join(Folder::RESULTS))).await;
    let batch = collect.batch;
    // It may name files that it did not name before.
    folder.seen(&batch, Stage::Ended)?;
    match collected {
        Ok((joined, _)) => Ok((batch, joined)),
        Err(error) => Err(uncollected(error, folder, batch)),
    }
}

fn uncollected(error: Uncollected, folder: &Folder, batch: Batch) -> RunError {
    let path = folder.path().to_owned();
    match error {
        Uncollected::NotRun => RunError::BatchFailed { batch: Box::new(batch), folder: path },
        Uncollected::Unfetched(error) => RunError::Unfetched { id: batch.id, error, folder: path },
        Uncollected::Unjoined(error) => RunError::Unjoined { error, folder: path },
        Uncollected::Unwritten(error) => folder.failed("write", Folder::RESULTS, error),
    }
}

/// Gives the results a second name, whole or not at all.
async fn copy_results(results: &Path, output: &Path) -> io::Result<()> {
    let (results, output) = (results.to_owned(), output.to_owned());
    blocking(move || {
        let mut atomic = AtomicFile::new(&output)?;
        io::copy(&mut fs::File::open(results)?, atomic.file())?;
        atomic.commit()
    })
    .await
}
