//! The steps of a run, in their order. The create is written down before it is sent.

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
    deadline::Deadline,
    fetch::{blocking, patience},
    lines::{CheckOptions, Joined},
    save::{Output, Stored},
};

pub(super) async fn execute(run: Run) -> Result<Report, RunError> {
    let (started, deadline) = (Instant::now(), Deadline::after(run.deadline));
    run.check_options().map_err(RunError::Refused)?;
    run.check_places()?;
    let mut folder = deadline.within(prepare(&run)).await.map_err(|error| late(error, "the check"))??;
    if let Err(error) = check_endpoint(&run, &folder.record.endpoint) {
        folder.remove();
        return Err(RunError::Refused(error));
    }

    let uploaded = deadline.within(upload(&run, &folder)).await.map_err(|error| late(error, "the upload"));
    let input = match uploaded.and_then(|uploaded| uploaded.map_err(RunError::Refused)) {
        Ok(input) => input,
        Err(error) => {
            folder.remove();
            return Err(error);
        }
    };
    folder.record.input_file_id = Some(input.clone());
    folder.reached(Stage::Uploaded)?;

    // What is not sent cannot have made a batch.
    deadline.check().map_err(|error| late(error, "the create"))?;
    let (mut folder, batch) = create(&run, folder, &input, deadline).await?;
    (run.on_progress)(Progress::Created(&batch));

    let batch = wait(&run, &folder, &batch, deadline).await?;
    folder.seen(&batch, Stage::Ended)?;
    let (batch, joined, stored) = collect(&run, &mut folder, batch, deadline).await?;
    folder.write_summary(&joined)?;
    folder.record.results = Some(stored);
    folder.reached(Stage::Finished)?;
    let mut report = Report {
        batch,
        joined,
        folder: folder.path().to_owned(),
        results: folder.join(Folder::RESULTS),
        seconds: started.elapsed().as_secs_f64(),
    };
    if let Some(output) = &run.output {
        let to = Output::new(output, run.may_replace(folder.record.results.clone())).access(folder.access());
        let output = output.clone();
        match copy_results(&report.results, to).await {
            Ok(true) => report.results = output,
            // What went into a pipe or a device cannot be read again.
            Ok(false) => {}
            Err(error) => return Err(RunError::NotCopied { output, error, report: Box::new(report) }),
        }
    }
    Ok(report)
}

/// Tells that there is no batch, when the deadline has passed before the create.
fn late(error: Error, before: &str) -> RunError {
    RunError::Refused(error.context(format_args!("gave up before the end of {before}")).and("there is no batch"))
}

/// Refuses, before anything is sent, an endpoint that the dialect's create would refuse.
fn check_endpoint(run: &Run, endpoint: &str) -> Result<(), Error> {
    if endpoint.is_empty() {
        let problem = "no request line has a url: say which endpoint the batch is for (--endpoint); nothing was sent";
        return Err(Error::invalid(problem));
    }
    run.client.shared().dialect().check_endpoint(endpoint)
}

/// Checks and copies the input.
async fn prepare(run: &Run) -> Result<Folder, RunError> {
    let dialect = run.client.dialect().check_options();
    let options =
        CheckOptions { endpoint: run.endpoint.clone(), limits: run.limits.unwrap_or(dialect.limits), ..dialect };
    let (path, input) = (run.folder_path(), run.input.clone());
    let service =
        Service { base_url: run.client.base_url().to_owned(), dialect: run.client.dialect().name().to_owned() };
    // The thread does not stop when this future is dropped: it asks `wanted` whether to go on.
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
async fn create(
    run: &Run,
    mut folder: Folder,
    input: &FileId,
    deadline: Deadline,
) -> Result<(Folder, Batch), RunError> {
    if let Err(error) = folder.reached(Stage::Creating) {
        folder.remove();
        return Err(error);
    }
    let record = &folder.record;
    let mut options = run.batch_options(&record.sha256);
    // With the upload's id, since the same file run again on purpose is to make another batch.
    options.idempotency_key.get_or_insert_with(|| format!("{}-{input}", record.sha256));
    let create = run.client.batches().create(input, &record.endpoint).options(options);
    match deadline.bound(create.send()).await {
        Ok(batch) => {
            folder.seen(&batch, Stage::Created)?;
            Ok((folder, batch))
        }
        Err(error) if error.batch_id().is_some() => {
            // There is a batch although its answer cannot be read: keep the id.
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
            // There is no batch, so delete the input file. If that fails, it only takes up space at the service.
            let _ = run.client.files().delete(input).await;
            folder.remove();
            Err(RunError::Refused(error))
        }
    }
}

async fn wait(run: &Run, folder: &Folder, batch: &Batch, deadline: Deadline) -> Result<Batch, RunError> {
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
    if let Some(left) = deadline.left() {
        wait = wait.deadline(left);
    }
    let (id, folder) = (batch.id.clone(), folder.path().to_owned());
    match wait.until_over().await {
        Waited::Ended(batch) => Ok(*batch),
        Waited::GaveUp(last) => {
            Err(RunError::GaveUp { id, last: last.or_else(|| Some(Box::new(batch.clone()))), folder })
        }
        Waited::CouldNotAsk { error, .. } => Err(RunError::Unfetched { id, error, folder }),
    }
}

/// Fetches the files of the batch and joins them with the requests into the folder's results.
async fn collect(
    run: &Run,
    folder: &mut Folder,
    batch: Batch,
    deadline: Deadline,
) -> Result<(Batch, Joined, Stored), RunError> {
    let (steps, troubles) = (Arc::clone(&run.on_progress), Arc::clone(&run.on_progress));
    let on_step = move |step: Step<'_>| match step {
        Step::Downloading(name) => steps(Progress::Downloading { name }),
        Step::Looked(batch) => steps(Progress::Waiting(batch)),
        Step::Joining => steps(Progress::Joining),
    };
    let on_trouble = move |error: &Error| troubles(Progress::Trouble(error));
    let is_ours = || folder.check().is_ok();
    let mut collect = Collect::new(run.client.clone(), batch, folder.path(), [Folder::OUTPUT, Folder::ERRORS])
        .access(folder.access())
        .while_ours(&is_ours)
        .tolerance(run.tolerance.clone().unwrap_or_else(patience))
        .cadence(run.cadence.clone())
        .deadline(deadline)
        .telling(Arc::new(on_step), Arc::new(on_trouble));
    let collected = collect.collect(&folder.join(Folder::REQUESTS), Some(|| folder.begin(Folder::RESULTS))).await;
    let batch = collect.batch;
    // It may name files that it did not name before.
    folder.seen(&batch, Stage::Ended)?;
    let (joined, results) = match collected {
        Ok(collected) => collected,
        Err(Uncollected::NotRun) => {
            folder.reached(Stage::Failed)?;
            return Err(uncollected(Uncollected::NotRun, folder, batch));
        }
        Err(error) => return Err(uncollected(error, folder, batch)),
    };
    let stored = blocking(move || Stored::read(results)).await;
    let stored = stored.map_err(|error| folder.failed("read", Folder::RESULTS, error))?;
    Ok((batch, joined, stored))
}

fn uncollected(error: Uncollected, folder: &Folder, batch: Batch) -> RunError {
    let path = folder.path().to_owned();
    match error {
        Uncollected::NotRun => RunError::BatchFailed { batch: Box::new(batch), folder: path },
        Uncollected::Unfetched(error) => RunError::Unfetched { id: batch.id, error, folder: path },
        Uncollected::Unjoined(error) => RunError::Unjoined { error, folder: path },
        Uncollected::Unwritten(error) => folder.failed("write", Folder::RESULTS, error),
        Uncollected::Lost => RunError::Lost { folder: path, batch: Some(batch.id) },
    }
}

/// Copies the results to where they are wanted as well, whole or not at all. Whether they are a file there.
async fn copy_results(results: &Path, output: Output) -> io::Result<bool> {
    let results = results.to_owned();
    blocking(move || {
        let mut writing = output.begin()?;
        io::copy(&mut fs::File::open(results)?, &mut writing)?;
        let file = writing.is_file();
        writing.commit().map(|()| file)
    })
    .await
}
