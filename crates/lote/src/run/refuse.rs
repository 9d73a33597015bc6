//! What is refused of a run before anything is sent: options, places, and the run of another account.

use std::path::{Path, PathBuf};

use super::{
    Run, RunError, adopt,
    error::Kind,
    event::Opened,
    folder::Folder,
    found::{folder_of, resolved, within_a_run},
    plan::Cut,
    record::Asked,
    seam::{Rule, kept},
};
use crate::{
    Client, Error,
    deadline::Deadline,
    lines::CheckOptions,
    save::{self, Output, Replace, Written},
};

impl Run {
    /// Refuses to go on with a run of another service or end user. Another key is taken over when it knows something of
    /// the run: keys are renewed.
    pub(super) async fn check_account(&self, folder: &Folder, deadline: Deadline) -> Result<(), RunError> {
        let asked = self.asked();
        let then = &folder.record.asked;
        let refuse = |why: String| Err(RunError::new(Kind::Taken { why }).at(folder.path()).of(&folder.state));
        let elsewhere = (&then.base_url, &then.on_behalf_of) != (&asked.base_url, &asked.on_behalf_of);
        if elsewhere && kept(Rule::Account) {
            let user = |user: &Option<String>| if user.is_some() { " on behalf of an end user" } else { "" };
            return refuse(format!(
                "holds a run of {}{}, and not of {}{}",
                then.base_url,
                user(&then.on_behalf_of),
                asked.base_url,
                if then.base_url == asked.base_url {
                    " on behalf of another end user"
                } else {
                    user(&asked.on_behalf_of)
                },
            ));
        }
        let same = folder.state.opened.as_ref().is_none_or(|before| before.key == self.client.shared().account().key);
        let (Some(batch), false, None) = (folder.state.batches().pop(), same, &self.gateway) else { return Ok(()) };
        match deadline.bound(self.client.batches().get(&batch)).await {
            Ok(_) => Ok(()),
            Err(error) if error.is_not_found() || error.is_forbidden() || error.is_unauthorized() => {
                refuse(format!("was begun with another key, and this one does not know its batch {batch} ({error})"))
            }
            Err(error) => Err(RunError::refused(error).at(folder.path()).of(&folder.state)),
        }
    }

    pub(super) fn who(&self) -> Opened {
        Opened {
            lote: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            host: save::host(),
            folder: String::new(),
            key: match &self.gateway {
                Some(_) => Asked::EMBEDDED.to_owned(),
                None => self.client.shared().account().key.clone(),
            },
            gateway: self.gateway.clone(),
            anew: self.anew || self.gateway.is_some(),
            cut: false,
        }
    }

    /// What the input is held against.
    pub(super) fn check_rules(&self) -> CheckOptions {
        let dialect = self.client.dialect().check_options();
        CheckOptions { endpoint: self.endpoint.clone(), limits: self.limits.unwrap_or(dialect.limits), ..dialect }
    }

    pub(super) fn asked(&self) -> Asked {
        let cut = Cut::of(&self.check_rules());
        let asked = Asked::new(&self.client, self.gateway.is_some(), &self.options, self.endpoint.clone());
        Asked { cut, limit: self.limit, partition: self.partition, dedupe: self.dedupe, ..asked }
    }

    /// Refuses, before anything is sent, options that the create would refuse.
    pub(super) fn check_options(&self) -> Result<(), Error> {
        if let Some(key) = self.options.metadata.keys().find(|key| key.starts_with("lote_")) {
            let message =
                format!("metadata: {key}: names that begin with lote_ are the run's own; name the pair otherwise");
            return Err(Error::invalid(message));
        }
        let mut marked = self.options.clone();
        for key in [adopt::RUN, adopt::SHARD, adopt::CREATE, adopt::SHA256] {
            marked = marked.metadata(key, "0".repeat(64));
        }
        self.client.shared().dialect().check_batch(&marked)
    }

    /// Refuses, before anything is sent, places that cannot be read, or cannot take the results.
    pub(super) fn check_places(&self) -> Result<(), RunError> {
        let folder = self.folder_path();
        let inputs = self.inputs.as_deref().unwrap_or_default();
        if self.inputs.as_ref().is_some_and(Vec::is_empty) {
            return Err(RunError::place(&folder, "there is no file of requests to run"));
        }
        for input in inputs {
            match std::fs::metadata(input) {
                Err(error) => return Err(RunError::place(input, error.to_string())),
                Ok(found) if found.is_dir() => {
                    return Err(RunError::place(input, "it is a folder; name a file of requests"));
                }
                Ok(found) if !found.is_file() && self.folder.is_none() && self.default_folder.is_none() => {
                    let why = "it is no regular file to stand beside; name the folder of the run";
                    return Err(RunError::place(input, why));
                }
                Ok(_) => {}
            }
            if folder == *input {
                return Err(RunError::place(&folder, "it is the input; name another folder"));
            }
        }
        let real = std::fs::canonicalize(&folder).ok();
        if real.is_some() && real == std::env::current_dir().ok() && self.inputs.is_some() {
            return Err(RunError::place(&folder, "it is the current folder; name one that is not there yet"));
        }
        match &self.output {
            Some(output) => self.check_output(output, &folder),
            None => Ok(()),
        }
    }

    /// Refuses an output that could not be written at the end, or that would replace something of the run.
    fn check_output(&self, output: &Path, folder: &Path) -> Result<(), RunError> {
        let refuse = |why: &str| Err(RunError::place(output, why));
        let (real, real_folder) = (resolved(output), resolved(folder));
        if real == real_folder {
            return refuse("it is the folder of the run; name a file");
        }
        if real.starts_with(&real_folder) {
            return refuse("it is in the folder of the run, which keeps its own results; name another file");
        }
        if let Some(other) = folder_of(output) {
            return refuse(&within_a_run(&other));
        }
        let is_input = |input: &PathBuf| real == resolved(input) || save::same_file(output, input);
        if self.inputs.iter().flatten().any(is_input) {
            return refuse("it is the input; name another file");
        }
        if let Some(why) = Output::ending_fault(output, "results") {
            return refuse(&why);
        }
        // What can be written now can most likely be written later; nothing is left of it.
        let stored = Folder::look(folder).map(|seen| seen.state.written).unwrap_or_default();
        Output::new(output, self.may_replace(stored)).try_out().map_err(|error| RunError::closed(output, error))
    }

    /// What the output may replace, of a run that has written these results so far.
    pub(super) fn may_replace(&self, written: Vec<Written>) -> Replace {
        match written {
            _ if self.replace_output => Replace::Anything,
            written if written.is_empty() => Replace::Nothing,
            written => Replace::Written(written),
        }
    }
}

/// Refuses, before anything is sent, an endpoint that the dialect's create would refuse.
pub(super) fn check_endpoint(client: &Client, endpoint: &str) -> Result<(), Error> {
    if endpoint.is_empty() {
        let problem = "no request line has a url: say which endpoint the batch is for (--endpoint); nothing was sent";
        return Err(Error::invalid(problem));
    }
    client.shared().dialect().check_endpoint(endpoint)
}
